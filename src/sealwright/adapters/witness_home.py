"""A witness's home: its key, the logs it watches, and the last checkpoint it cosigned of each.

::

    HOME/witness.json               name
    HOME/key.pem                    its private key, 0600
    HOME/logs/<sha256 of origin>/   origin and vkeys (log.json), last cosigned note (checkpoint)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sealwright.adapters.durable import read_beneath, sync_directory, write_durably
from sealwright.core.errors import BadInput, VerifyError
from sealwright.core.locking import exclusive
from sealwright.evidence import note as notes
from sealwright.evidence import witness
from sealwright.evidence.checkpoint import Checkpoint
from sealwright.evidence.note import Verifier
from sealwright.evidence.witness import Answer, Identity
from sealwright.vault.signers import Ed25519Signer

_LIMIT = 1 << 20
_CHECKPOINT = "checkpoint"


class _Name(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str


class WatchedLog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A log the witness was told about: its origin and the keys it may sign with."""

    origin: str
    vkeys: tuple[str, ...]

    def verifiers(self) -> list[Verifier]:
        """Raises: BadInput."""
        return [notes.parse_vkey(vkey) for vkey in self.vkeys]


def default_home(name: str) -> Path:
    """``$XDG_STATE_HOME/sealwright-witness/NAME``."""
    notes.check_name(name)
    if "/" in name or name.startswith("."):
        raise BadInput(f"{name!r} cannot name a witness's home", hint="give --home DIR")
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "sealwright-witness" / name


class WitnessHome:
    """One witness on disk. Several processes may serve it; each answer takes the lock."""

    def __init__(self, directory: Path, me: Identity) -> None:
        self.directory = directory
        self.me = me

    @classmethod
    def create(cls, directory: Path, name: str) -> WitnessHome:
        """A new home with a new key. Raises: BadInput (there is a witness already)."""
        notes.check_name(name)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        (directory / "logs").mkdir(exist_ok=True)
        if (directory / "key.pem").exists():
            raise BadInput(f"there is a witness in {directory} already")
        signer = Ed25519Signer(Ed25519PrivateKey.generate())
        write_durably(directory / "witness.json", msgspec.json.encode(_Name(name)) + b"\n")
        # last: a home without its key is no witness yet, and can be made again
        write_durably(directory / "key.pem", signer.private_pem(), 0o600)
        return cls(directory, Identity(name, signer))

    @classmethod
    def open(cls, directory: Path) -> WitnessHome:
        """Raises: BadInput (none there), VerifyError (files changed)."""
        try:
            name = msgspec.json.decode(_read(directory, "witness.json"), type=_Name).name
            pem = _read(directory, "key.pem")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise BadInput(
                f"there is no witness in {directory}", hint="seal log witness init NAME"
            ) from error
        except msgspec.MsgspecError as error:
            raise _changed(directory / "witness.json", str(error)) from error
        try:
            key = serialization.load_pem_private_key(pem, None)
        except (ValueError, TypeError) as error:
            raise _changed(directory / "key.pem", "not a private key") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise _changed(directory / "key.pem", "not an Ed25519 key")
        return cls(directory, Identity(notes.check_name(name), Ed25519Signer(key)))

    def watch(self, verifier: Verifier) -> WatchedLog:
        """Accept a log, or one more key of it; the key is named as the log's origin is."""
        if verifier.kind != notes.ED25519:
            raise BadInput("that is a witness's key, not a log's", why="type 0x01 wanted")
        with self._locked():
            before = self._watched(verifier.name)
            vkeys = [*(before.vkeys if before else ()), verifier.vkey]
            log = WatchedLog(verifier.name, tuple(dict.fromkeys(vkeys)))
            place = self._place(log.origin)
            place.mkdir(exist_ok=True)
            write_durably(place / "log.json", msgspec.json.encode(log) + b"\n")
            sync_directory(place.parent)
        return log

    def logs(self) -> list[WatchedLog]:
        """Every log it watches. Raises: VerifyError (files changed)."""
        found = []
        for place in sorted((self.directory / "logs").iterdir()):
            log = self._read_log(place)
            if log is not None:
                found.append(log)
        return found

    def held(self, origin: str) -> Checkpoint | None:
        """The last checkpoint it cosigned of a log. Raises: VerifyError (state changed)."""
        note = self.note(origin)
        log = self._watched(origin)
        if note is None or log is None:
            return None
        where = str(self._place(origin) / _CHECKPOINT)
        found = witness.held_checkpoint(note, log.verifiers(), self.me.verifier, where)
        if found.origin != origin:
            raise _changed(Path(where), f"it is of the log {found.origin}")
        return found

    def note(self, origin: str) -> bytes | None:
        """The last cosigned note of a log as stored, for the monitoring path."""
        try:
            return _read(self._place(origin), _CHECKPOINT)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def add_checkpoint(self, body: bytes, time: Callable[[], int]) -> Answer:
        """Answer a request; the new state is durable before this returns.

        Raises: VerifyError (state changed), Unavailable (locked).
        """
        with self._locked():
            logs = {log.origin: log.verifiers() for log in self.logs()}
            answer = witness.add_checkpoint(body, logs, self.held, self.me, time())
            if answer.keep:
                write_durably(self._place(answer.origin) / _CHECKPOINT, answer.keep)
        return answer

    def _watched(self, origin: str) -> WatchedLog | None:
        return self._read_log(self._place(origin))

    def _read_log(self, place: Path) -> WatchedLog | None:
        try:
            log = msgspec.json.decode(_read(place, "log.json"), type=WatchedLog)
            log.verifiers()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (msgspec.MsgspecError, BadInput) as error:
            raise _changed(place / "log.json", str(error)) from error
        if witness.origin_hash(log.origin) != place.name:
            raise _changed(place / "log.json", f"it names {log.origin}")
        return log

    def _place(self, origin: str) -> Path:
        return self.directory / "logs" / witness.origin_hash(origin)

    def _locked(self) -> AbstractContextManager[None]:
        return exclusive(self.directory / ".lock", "the witness")


def _read(directory: Path, name: str) -> bytes:
    return read_beneath(directory, name, _LIMIT)


def _changed(path: Path, why: str) -> VerifyError:
    return VerifyError(
        "a file of the witness was changed",
        where=str(path),
        why=why,
        hint="restore the witness's home from its own backup",
        rule="witness.state-changed",
    )
