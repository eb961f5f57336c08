"""The only place that picks adapters: a directory in, a :class:`Workspace` out.

The environment is read here and nowhere else: ``XDG_STATE_HOME``, ``SEAL_PASSPHRASE``,
``SEAL_PERSON_PASSPHRASE``, ``SEAL_PRINCIPAL``, ``SEAL_ID_TOKEN``, ``SEAL_PKCS11_PIN``.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.adapters.keyring_file import Keyring
from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.store_local import LocalStore
from sealwright.adapters.tokens_dir import TokenHome
from sealwright.app.people import Home, OwnSigner
from sealwright.app.recording import Steady
from sealwright.core import clock, refs
from sealwright.core import settings as settings_
from sealwright.core.errors import BadInput, Unavailable, VerifyError
from sealwright.core.locking import exclusive, is_held
from sealwright.core.ports import Jail, KeyService, Recorder, Signer
from sealwright.core.reading import small_file
from sealwright.core.records import Principal
from sealwright.evidence import trust as trusts
from sealwright.evidence.history import Head, History
from sealwright.evidence.keys import load_public
from sealwright.evidence.recorder import SigningRecorder
from sealwright.evidence.trust import Trust
from sealwright.policy.principals import is_key_of
from sealwright.vault import private
from sealwright.vault.secrets import Secrets

if TYPE_CHECKING:
    from sealwright.app.sessions import Session
    from sealwright.train.egress import Opener

FORMAT = 1
SETTINGS = "seal.toml"
SEAL_DIR = ".seal"
LOCK_WAIT_S = 60.0


class WorkspaceRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``.seal/workspace.json``: which keys and which log belong to this project."""

    format: int
    id: str
    origin: str


class Workspace:
    """A project, its log, its store and its keys. Parts open when first used."""

    def __init__(self, root: Path, record: WorkspaceRecord) -> None:
        self.root = root
        self.id = record.id
        self.origin = record.origin
        self.seal_dir = root / SEAL_DIR
        self.state_dir = state_home() / record.id
        self.clock = clock.now
        self._lock_depth = 0
        self._history: History | None = None

    @cached_property
    def settings(self) -> settings_.Settings:
        """``seal.toml``; the defaults where there is none."""
        path = self.root / SETTINGS
        return settings_.load(path) if path.exists() else settings_.Settings()

    @property
    def profile(self) -> settings_.Profile:
        """solo, team or regulated."""
        return self.settings.profile

    @cached_property
    def kms(self) -> KeyService:
        """What wraps keys, as ``[keys] kms`` says: by default a file in the state directory."""
        if self.settings.keys.kms == "file":
            return FileKms.open(self.state_dir, passphrase_asker())
        from sealwright.app import choosing

        name = principal_name()
        return choosing.elsewhere(self.settings, self.root, self.state_dir, name, pin_asker())

    @cached_property
    def keyring(self) -> Keyring:
        """The signing keys; a rotation of one that was cut short is brought to its end."""
        from sealwright.vault.custody import Custodian

        kms = self.kms
        keyring = Keyring(self.state_dir, kms, kms if isinstance(kms, Custodian) else None)
        if keyring.pending():
            from sealwright.app import choosing

            choosing.finish(keyring, self.trust)
        return keyring

    @cached_property
    def log(self) -> SqliteLog:
        """The ledger, open for appending."""
        former = [load_public(key.pem.encode()) for key in self.trust.keys if key.role == "log"]
        signer = self.keyring.following("log")
        return SqliteLog.open(self.seal_dir / "ledger.db", self.origin, signer, former=former)

    @cached_property
    def trust(self) -> Trust:
        """The trust chain in ``.seal/trust``, held against the fingerprint we pinned."""
        try:
            pin = private.read(self.state_dir / "trust.pin").decode().strip()
        except FileNotFoundError:
            raise Unavailable(
                "the keys of this workspace are not here",
                why=f"{self.state_dir} is not there; they stay with the account that made it",
                hint="seal restore FILE, from a backup with keys",
            ) from None
        return trusts.load(trust_chain(self.seal_dir / "trust"), pin)

    @cached_property
    def store(self) -> LocalStore:
        """The encrypted store."""
        return LocalStore(self.seal_dir / "store", self.kms)

    @cached_property
    def secrets(self) -> Secrets:
        """The secrets that runs may be served with."""
        return Secrets(self.state_dir, self.kms)

    @cached_property
    def jail(self) -> Jail:
        """Where files that nobody trusts are opened: the room's walls, and none of its inputs."""
        from sealwright.app import jailing

        return jailing.jail_of(self.state_dir, self.settings.room.isolation)

    @cached_property
    def recorder(self) -> Recorder:
        """Signs with the workspace key and appends; never while that key changes hands."""
        return Steady(
            SigningRecorder(self.log, self.keyring.following("workspace")), self.seal_dir / "trust"
        )

    @cached_property
    def tokens(self) -> TokenHome:
        """The workspace's tokens: who issues them, and which are refused."""
        return TokenHome(
            self.state_dir / "tokens",
            lambda: self.kms,
            self.origin,
            lambda run: is_held(self.run_lock(run)),
        )

    def run_lock(self, run: str) -> Path:
        """The file that is locked for as long as a run runs. Raises: BadInput."""
        return self.seal_dir / "tmp" / f"run-{refs.check_name(run)}.lock"

    @cached_property
    def principal(self) -> Principal:
        """Who acts: ``SEAL_PRINCIPAL`` or the login name, and how that was established."""
        name = principal_name()
        if self.session:
            found = self.session
            return Principal(name, found.key_id, found.kind, found.established, os.getuid())
        return Principal(name, self.signer.key_id, uid=os.getuid())

    @cached_property
    def session(self) -> Session | None:
        """How the principal was established, where they logged in. Raises: Refused (revoked)."""
        from sealwright.app import sessions

        return sessions.current(self, principal_name())

    @cached_property
    def signer(self) -> Signer:
        """The principal's own key, made on first use: from their own home if it is listed here.

        A home's key is unlocked when it first signs. Raises: Unavailable, VerifyError.
        """
        name = principal_name()
        if self.session and self.session.kind == "service":
            return self.session.key
        home = person_home(name)
        own = home.public()
        if own and is_key_of(self.trust, name, own.key_id, None):
            return OwnSigner(home, own)
        role = f"principal:{name}"
        return (
            self.keyring.signer(role) if role in self.keyring.roles() else self.keyring.create(role)
        )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One writer at a time: held from reading what is there to recording what is new.

        Entering it again in the same process is free. Raises: Unavailable (busy for long).
        """
        if self._lock_depth:
            yield
            return
        with exclusive(self.seal_dir / "tmp" / "lock", "the workspace", LOCK_WAIT_S):
            self._lock_depth += 1
            try:
                yield
            finally:
                self._lock_depth -= 1

    def history(self) -> History:
        """The whole log, verified; the anchor in the state directory moves up to it.

        Read once for each checkpoint: what was verified and is held here cannot change.
        """
        known = self._history
        if known is not None and self.log.checkpoint() == known.checkpoint:
            return known
        if (self.seal_dir / "trust" / f"{self.trust.version + 1}.json").is_file():
            self.__dict__.pop("trust")
        seen = self._anchor()
        history = History.read(self.log, self.trust, seen)
        if seen is None or history.head.size > seen.size:
            self.anchor(history.head)
        self._history = history
        return history

    def settle(self) -> list[str]:
        """After recording: watch, move the anchor up, publish the tiles, mirror, ask the witness.

        Returns what was contained, and what could not be done (a witness out of reach never
        blocks an append).
        """
        from sealwright.app import publishing, watching

        return [*watching.evaluate(self, self.history()), *publishing.settle(self)]

    def anchor(self, head: Head) -> None:
        """Remember outside the project how far the log had come."""
        private.replace(self.state_dir / "anchor.json", msgspec.json.encode(head))

    def _anchor(self) -> Head | None:
        try:
            data = private.read(self.state_dir / "anchor.json")
        except FileNotFoundError:
            return None
        try:
            return msgspec.json.decode(data, type=Head)
        except msgspec.DecodeError as error:
            raise VerifyError(
                "the anchor of the log was changed",
                where=str(self.state_dir / "anchor.json"),
                rule="log.anchor-changed",
                hint="compare the log with a witness or a mirror (seal log verify)",
            ) from error


def open_workspace(start: Path | None = None) -> Workspace:
    """As :func:`find_workspace`. Raises also: BadInput (there is none)."""
    if found := find_workspace(start):
        return found
    where = (start or Path.cwd()).resolve()
    raise BadInput(f"no workspace in {where} or above it", hint="seal init")


def find_workspace(start: Path | None = None) -> Workspace | None:
    """The workspace of the directory ``start`` (the present one) or the nearest above it.

    Raises: Unavailable (made by a newer version), VerifyError (a broken one is not passed over).
    """
    here = (start or Path.cwd()).resolve()
    around = (here, *here.parents)
    root = next((each for each in around if (each / SEAL_DIR / "workspace.json").is_file()), None)
    return Workspace(root, read_record(root / SEAL_DIR)) if root else None


def egress_opener(workspace: Workspace) -> Opener:
    """What opens the proxy of a run that was granted a network."""
    from sealwright.adapters import egress_proxy

    scratch = workspace.state_dir / "rooms"
    return lambda rules, zones, secrets: egress_proxy.opened(scratch, rules, zones, secrets)


def read_record(seal_dir: Path) -> WorkspaceRecord:
    """``workspace.json``, checked. Raises: VerifyError, Unavailable."""
    path = seal_dir / "workspace.json"
    data = small_file(path)
    try:
        stamp = msgspec.json.decode(data, type=dict)
        if int(stamp.get("format", 0)) > FORMAT:
            raise Unavailable(
                "this workspace was made by a newer Sealwright",
                why=f"its format is {stamp['format']}, this version knows {FORMAT}",
                hint="pip install --upgrade sealwright",
            )
        record = msgspec.json.decode(data, type=WorkspaceRecord)
    except (msgspec.DecodeError, TypeError, ValueError, RecursionError) as error:
        raise VerifyError(
            "workspace.json was changed", where=str(path), why=str(error), rule="workspace.changed"
        ) from error
    if not record.origin.startswith(f"sealwright.local/{record.id}"):
        raise VerifyError(
            "workspace.json was changed",
            where=str(path),
            why="the origin is not this workspace's",
            rule="workspace.changed",
        )
    return record


def copied(seal_dir: Path, pin: str) -> tuple[History, Trust]:
    """The log in a copied ``.seal``, from its published tiles; needs no key.

    Raises: VerifyError.
    """
    from sealwright.adapters.tiles_dir import TileLog

    trust = trusts.load(trust_chain(seal_dir / "trust"), pin)
    return History.read(TileLog(seal_dir / "tiles"), trust), trust


def trust_chain(directory: Path) -> list[bytes]:
    """The trust envelopes ``1.json``, ``2.json``, … in order."""
    chain: list[bytes] = []
    while (path := directory / f"{len(chain) + 1}.json").is_file():
        chain.append(small_file(path))
    return chain


def state_home() -> Path:
    """``$XDG_STATE_HOME/sealwright``: keys live here, never in a project."""
    base = os.environ.get("XDG_STATE_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    return root / "sealwright"


def passphrase() -> str | None:
    """``SEAL_PASSPHRASE``, if it is set and not empty."""
    return os.environ.get("SEAL_PASSPHRASE") or None


def passphrase_asker() -> Callable[[], str] | None:
    """What asks for the passphrase: the environment, a terminal, or nothing at all."""
    given = passphrase()
    if given is not None:
        return lambda: given
    if sys.stdin.isatty() and sys.stderr.isatty():
        return lambda: getpass.getpass("passphrase: ", stream=sys.stderr)
    return None


def person_home(name: str) -> Home:
    """Where ``name`` keeps their own key on this machine. Raises: BadInput."""
    path = state_home().with_name("sealwright-people") / refs.check_name(name)
    return Home(path, name, person_asker())


def person_asker() -> Callable[[], str] | None:
    """What asks for a person's own passphrase: ``SEAL_PERSON_PASSPHRASE``, else as above."""
    given = person_passphrase()
    return (lambda: given) if given is not None else passphrase_asker()


def person_passphrase() -> str | None:
    """``SEAL_PERSON_PASSPHRASE``, if it is set and not empty."""
    return os.environ.get("SEAL_PERSON_PASSPHRASE") or None


def id_token() -> str | None:
    """``SEAL_ID_TOKEN``: what a CI system gives a job to say who it is."""
    return os.environ.get("SEAL_ID_TOKEN") or None


def pin_asker() -> Callable[[], str] | None:
    """What asks for a PKCS#11 token's PIN: ``SEAL_PKCS11_PIN``, a terminal, or nothing."""
    given = os.environ.get("SEAL_PKCS11_PIN")
    if given:
        return lambda: given
    if sys.stdin.isatty() and sys.stderr.isatty():
        return lambda: getpass.getpass("PIN of the token: ", stream=sys.stderr)
    return None


def principal_name() -> str:
    """``SEAL_PRINCIPAL`` or the login name, as a name."""
    given = os.environ.get("SEAL_PRINCIPAL")
    if given:
        return refs.check_name(given)
    try:
        login = getpass.getuser().lower()
    except (OSError, KeyError):
        login = ""
    return login if refs.NAME.fullmatch(login) else f"uid-{os.getuid()}"
