"""A key service in a directory: every key wrapped by a root key, the root by its owner.

``root.json``       the root key, wrapped twice (see ``vault.root``)
``root.key``        32 bytes that open it, where nobody can be asked for a passphrase
``keys/NAME.json``  a named wrapping key, wrapped by the root

The format is docs/spec/keys-v1.md. Implements ``core.ports.Kms``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from sealwright.core.errors import BadInput, Refused, Unavailable, VerifyError
from sealwright.vault import private, recovery, wrapping
from sealwright.vault import root as rootkey
from sealwright.vault.root import Cost, Custody, RootRecord

KEY_FORMAT = 1


class KeyRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named key at rest. ``wrapped`` is empty once the key was destroyed."""

    format: int
    name: str
    generation: int
    wrapped: bytes


class FileKms:
    """Named AES-256 keys under one root key. Safe for several processes at once."""

    def __init__(self, state_dir: Path, root: bytes, custody: Custody) -> None:
        self._dir = state_dir
        self._keys = state_dir / "keys"
        self._root = root
        self._custody: Custody = custody
        self._cache: dict[str, tuple[tuple[int, int, int], bytes]] = {}

    @classmethod
    def initialize(
        cls, state_dir: Path, passphrase: str | None, cost: Cost | None = None
    ) -> tuple[FileKms, str]:
        """A new root key, and its recovery key, which is shown this once.

        ``passphrase`` None keeps the root under a 0600 key file. Raises: BadInput (there is
        one already), Refused (the directory is open to others).
        """
        private.make_dir(state_dir)
        private.make_dir(state_dir / "keys")
        root, recover = wrapping.new_key(), recovery.generate()
        if (state_dir / "root.json").exists():
            raise _exists(state_dir)
        copy = rootkey.recovery_copy(root, recover)
        record = _protect(state_dir, root, passphrase, copy, cost)
        try:
            private.create(state_dir / "root.json", msgspec.json.encode(record))
        except FileExistsError as error:
            raise _exists(state_dir) from error
        return cls(state_dir, root, record.custody), recover

    @classmethod
    def open(cls, state_dir: Path, ask: Callable[[], str] | None) -> FileKms:
        """Unlock the root key. ``ask`` returns the passphrase, and is called only if needed.

        Raises: Unavailable (no keys here, nobody to ask, a newer format), Refused (wrong
        passphrase, files open to others), VerifyError (files changed).
        """
        private.check_dir(state_dir)
        record = _read_root(state_dir)
        if record.custody == "key-file":
            root = rootkey.open_by_key_file(record, _read_key_file(state_dir))
        elif ask is None:
            raise Unavailable(
                "the keys are locked and nobody can be asked for the passphrase",
                hint="set SEAL_PASSPHRASE, or run on a terminal",
            )
        else:
            root = rootkey.open_by_passphrase(record, ask())
        return cls(state_dir, root, record.custody)

    @classmethod
    def recover(
        cls, state_dir: Path, recovery_key: str, passphrase: str | None, cost: Cost | None = None
    ) -> tuple[FileKms, str]:
        """Unlock with the recovery key and protect anew; returns a new recovery key.

        Raises: BadInput (a typing slip), Refused (another workspace's recovery key).
        """
        private.check_dir(state_dir)
        record = _read_root(state_dir)
        root, recover = rootkey.open_by_recovery(record, recovery_key), recovery.generate()
        copy = rootkey.recovery_copy(root, recover)
        fresh = _protect(state_dir, root, passphrase, copy, cost)
        _install(state_dir, fresh)
        return cls(state_dir, root, fresh.custody), recover

    @property
    def custody(self) -> Custody:
        """``passphrase``, or ``key-file`` where nobody can be asked."""
        return self._custody

    def protect(self, passphrase: str | None, cost: Cost | None = None) -> None:
        """Put the root under another passphrase (or a key file); the recovery key stays.

        Raises: BadInput (an empty passphrase), Unavailable (disk full).
        """
        old = _read_root(self._dir)
        fresh = _protect(self._dir, self._root, passphrase, old.recovery, cost)
        _install(self._dir, fresh)
        self._custody = fresh.custody

    def create(self, key: str) -> None:
        """Make a wrapping key, if there is none by that name; a destroyed name starts afresh."""
        path = self._path(key)
        record = self._read(key)
        generation = 1 if record is None else record.generation + 1
        if record is not None and record.wrapped:
            return
        fresh = msgspec.json.encode(self._fresh(key, generation))
        if record is not None:
            private.replace(path, fresh)
            return
        with suppress(FileExistsError):
            private.create(path, fresh)

    def wrap(self, key: str, secret: bytes, context: bytes) -> bytes:
        """See ``core.ports.Kms``. Raises: Unavailable (no such key), Refused (destroyed)."""
        return wrapping.wrap(self._part(key, _WRAP), secret, context)

    def unwrap(self, key: str, wrapped: bytes, context: bytes) -> bytes:
        """See ``core.ports.Kms``. Raises: VerifyError, Unavailable, Refused (destroyed)."""
        return wrapping.unwrap(self._part(key, _WRAP), wrapped, context)

    def derive(self, key: str, label: bytes) -> bytes:
        """See ``core.ports.Kms``. Raises: Unavailable (no such key), Refused (destroyed)."""
        return wrapping.derive(self._secret(key), _DERIVE + label)

    def destroy(self, key: str) -> None:
        """See ``core.ports.Kms``; a name that has no key stays without one."""
        record = self._read(key)
        self._cache.pop(key, None)
        if record is None or not record.wrapped:
            return
        grave = KeyRecord(KEY_FORMAT, key, record.generation, b"")
        private.bury(self._path(key), msgspec.json.encode(grave))

    def keys(self) -> tuple[str, ...]:
        """The names of the keys that can still wrap and unwrap, sorted."""
        names = (path.name.removesuffix(".json") for path in self._keys.glob("[!.]*.json"))
        return tuple(sorted(name for name in names if self._alive(name)))

    def _alive(self, key: str) -> bool:
        record = self._read(key)
        return record is not None and bool(record.wrapped)

    def _path(self, key: str) -> Path:
        return self._keys / f"{private.check_label(key, 'a key')}.json"

    def _fresh(self, key: str, generation: int) -> KeyRecord:
        context = _key_context(key, generation)
        wrapped = wrapping.wrap(self._root, wrapping.new_key(), context)
        return KeyRecord(KEY_FORMAT, key, generation, wrapped)

    def _read(self, key: str) -> KeyRecord | None:
        try:
            data = private.read(self._path(key))
        except FileNotFoundError:
            return None
        record = _decode(data, KeyRecord, f"the key {key}")
        if record.format != KEY_FORMAT or record.name != key:
            raise VerifyError(
                f"the key file of {key} holds the key {record.name}, format {record.format}",
                where=str(self._path(key)),
                rule="keys.record-malformed",
            )
        return record

    def _part(self, key: str, label: bytes) -> bytes:
        return wrapping.derive(self._secret(key), label)

    def _secret(self, key: str) -> bytes:
        seen = self._fingerprint(key)
        cached = self._cache.get(key)
        if cached is not None and cached[0] == seen:
            return cached[1]
        record = self._read(key)
        if record is None:
            raise Unavailable(f"there is no key {key} here", why=f"looked in {self._keys}")
        if not record.wrapped:
            raise Refused(
                f"the key {key} was destroyed",
                why="what it wrapped cannot be read again by anybody",
                rule="keys.destroyed",
            )
        context = _key_context(key, record.generation)
        secret = wrapping.unwrap(self._root, record.wrapped, context)
        self._cache[key] = (seen, secret)
        return secret

    def _fingerprint(self, key: str) -> tuple[int, int, int]:
        try:
            facts = self._path(key).lstat()
        except FileNotFoundError:
            return (0, 0, 0)
        return (facts.st_ino, facts.st_mtime_ns, facts.st_size)


_WRAP = b"sealwright key v1 wrap"
_DERIVE = b"sealwright key v1 derive "


def _key_context(key: str, generation: int) -> bytes:
    return f"sealwright key v1 {key} {generation}".encode()


def _protect(
    state_dir: Path, root: bytes, passphrase: str | None, copy: bytes, cost: Cost | None
) -> RootRecord:
    if passphrase is None:
        return rootkey.protect_by_key_file(root, _make_key_file(state_dir), copy)
    return rootkey.protect_by_passphrase(root, passphrase, copy, cost or Cost())


def _install(state_dir: Path, record: RootRecord) -> None:
    private.replace(state_dir / "root.json", msgspec.json.encode(record))
    if record.custody == "passphrase" and (state_dir / "root.key").exists():
        private.overwrite(state_dir / "root.key")
        private.remove(state_dir / "root.key")


def _make_key_file(state_dir: Path) -> bytes:
    path = state_dir / "root.key"
    with suppress(FileExistsError):
        private.create(path, wrapping.new_key())
    return private.read(path)


def _read_key_file(state_dir: Path) -> bytes:
    try:
        return private.read(state_dir / "root.key")
    except FileNotFoundError as error:
        raise Unavailable(
            f"{state_dir / 'root.key'} is missing, so the keys stay locked",
            hint="put it back, or open the workspace with its recovery key: seal keys recover",
        ) from error


def _read_root(state_dir: Path) -> RootRecord:
    try:
        data = private.read(state_dir / "root.json")
    except FileNotFoundError as error:
        raise Unavailable(
            f"there are no keys in {state_dir}",
            hint="seal init, or seal restore from a backup made --with-keys",
        ) from error
    return rootkey.check(_decode(data, RootRecord, "the root record"))


_Record = TypeVar("_Record", RootRecord, KeyRecord)


def _decode(data: bytes, kind: type[_Record], what: str) -> _Record:
    try:
        found = msgspec.json.decode(data, type=_Stamp).format
        if found > rootkey.FORMAT:
            raise rootkey.newer_format(what, found)
        record = msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise _malformed(what, str(error)) from error
    if msgspec.json.encode(record) != data:
        raise _malformed(what, "it is not written the one way it is written")
    return record


def _malformed(what: str, why: str) -> VerifyError:
    return VerifyError(f"{what} is malformed", why=why, rule="keys.record-malformed")


class _Stamp(msgspec.Struct, frozen=True):
    format: int


def _exists(state_dir: Path) -> BadInput:
    return BadInput(
        f"there are keys in {state_dir} already", why="they would be lost; nothing was changed"
    )
