"""Secrets at rest: each value encrypted under a key of its own, that key wrapped by the KMS.

``secrets/NAME.json`` in the state directory, never in a project. Values are shown to nobody:
they go to the proxy that uses them, or into one run's environment where a setting says so.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, VerifyError
from sealwright.core.ports import KeyService, Kms
from sealwright.vault import private, wrapping

KEY = "secrets"
_FINGERPRINT = b"sealwright secret fingerprint v1"
FORMAT = 1
SHORTEST = 8
LONGEST = 64 << 10
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class SecretRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file. ``value`` is encrypted under the key in ``wrapped``; both are bound to the name."""

    format: int
    name: str
    wrapped: bytes
    value: bytes
    actor: str
    time: str


class Secrets:
    """The secrets of one workspace."""

    def __init__(self, state_dir: Path, kms: Kms) -> None:
        self._dir = state_dir / "secrets"
        self._kms = kms

    def put(self, name: str, value: str, actor: str, time: str) -> None:
        """Keep a value, in place of what had the name. Raises: BadInput, Unavailable."""
        raw = checked(name, value)
        private.make_dir(self._dir)
        self._kms.create(KEY)
        key = wrapping.new_key()
        record = SecretRecord(
            FORMAT,
            name,
            self._kms.wrap(KEY, key, _context(name)),
            wrapping.wrap(key, raw, _context(name)),
            actor,
            time,
        )
        private.replace(self._dir / f"{name}.json", msgspec.json.encode(record))

    def fingerprint(self, name: str, value: str) -> Digest:
        """Tells whether two values are equal, to who holds our key; reveals nothing else.

        HMAC-SHA-256 under a key derived from the one that wraps secrets. Raises: BadInput.
        """
        raw = checked(name, value)
        self._kms.create(KEY)
        secret = self._kms.derive(KEY, _FINGERPRINT)
        return hmac.new(secret, name.encode() + b"\0" + raw, hashlib.sha256).hexdigest()

    def fingerprint_of(self, name: str) -> Digest:
        """The fingerprint of what is kept; empty where it can no longer be opened.

        Raises: BadInput (no such).
        """
        path = self._dir / f"{check_name(name)}.json"
        if not path.exists():
            raise BadInput(f"there is no secret {name}", hint="seal secret list")
        try:
            return self.fingerprint(name, self._open(self._read(path)))
        except VerifyError:
            return ""

    def records(self) -> tuple[SecretRecord, ...]:
        """Every secret, without its value. Raises: VerifyError."""
        if not self._dir.is_dir():
            return ()
        private.check_dir(self._dir)
        return tuple(self._read(path) for path in sorted(self._dir.glob("*.json")))

    def values(self) -> dict[str, str]:
        """Every value by name. Raises: VerifyError (a file was changed or swapped)."""
        return {record.name: self._open(record) for record in self.records()}

    def rewrap(self, kms: KeyService) -> int:
        """Put every secret's key under the newest wrapping key; how many were not. Resumable."""
        changed = 0
        for record in self.records():
            wrapped = kms.rewrap(KEY, record.wrapped, _context(record.name))
            if wrapped != record.wrapped:
                fresh = msgspec.structs.replace(record, wrapped=wrapped)
                private.replace(self._dir / f"{record.name}.json", msgspec.json.encode(fresh))
                changed += 1
        return changed

    def remove(self, name: str) -> None:
        """Forget a secret; what lay on the disk is overwritten. Raises: BadInput (no such)."""
        path = self._dir / f"{check_name(name)}.json"
        if not path.exists():
            raise BadInput(f"there is no secret {name}", hint="seal secret list")
        private.overwrite(path)
        private.remove(path)

    def _read(self, path: Path) -> SecretRecord:
        try:
            record = msgspec.json.decode(private.read(path), type=SecretRecord)
        except msgspec.DecodeError as error:
            raise _changed(path) from error
        if record.format != FORMAT or record.name != path.stem:
            raise _changed(path)
        return record

    def _open(self, record: SecretRecord) -> str:
        key = self._kms.unwrap(KEY, record.wrapped, _context(record.name))
        return wrapping.unwrap(key, record.value, _context(record.name)).decode()


def checked(name: str, value: str) -> bytes:
    """A value that can be kept under that name, as bytes. Raises: BadInput."""
    check_name(name)
    raw = value.encode()
    if not SHORTEST <= len(raw) <= LONGEST or value != value.strip() or "\0" in value:
        raise BadInput(
            f"the value of {name} cannot be kept",
            why=f"{SHORTEST} to {LONGEST} bytes of text without blanks around it; one that is"
            " shorter could not be told from ordinary output",
        )
    return raw


def check_name(name: str) -> str:
    """Named like an environment variable. Raises: BadInput."""
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} cannot name a secret", why="A-Z, 0-9 and _ : API_TOKEN")
    return name


def _context(name: str) -> bytes:
    return b"sealwright secret/v1 " + name.encode()


def _changed(path: Path) -> VerifyError:
    return VerifyError(
        f"the secret {path.stem} was changed on the disk",
        where=str(path),
        hint=f"seal secret set {path.stem} --reason '...'",
        rule="secret.changed",
    )
