"""A key service in a directory: every key wrapped by a root key, the root by its owner.

``root.json``       the root key, wrapped twice (see ``vault.root``)
``root.key``        32 bytes that open it, where nobody can be asked for a passphrase
``root.next``       only while the root is rotated: the next root, wrapped by the present one
``keys/NAME.json``  a named key, wrapped by the root (see ``vault.keyrecord``)

The format is docs/spec/keys-v1.md. Implements ``core.ports.KeyService``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from sealwright.core.errors import BadInput, Unavailable, VerifyError
from sealwright.core.locking import exclusive
from sealwright.core.ports import KeyState
from sealwright.vault import keyrecord, private, recovery, wrapping
from sealwright.vault import root as rootkey
from sealwright.vault.keyrecord import KeyRecord, Secrets
from sealwright.vault.root import Cost, Custody, RootRecord

_NEXT = b"sealwright root v1 next"
_LOCK_WAIT_S = 60.0


class FileKms:
    """Named AES-256 keys under one root key. Safe for several processes at once."""

    def __init__(self, state_dir: Path, root: bytes, record: RootRecord) -> None:
        self._dir = state_dir
        self._keys = state_dir / "keys"
        self._root = root
        self._custody: Custody = record.custody
        self._copy = record.recovery
        self._cache: dict[str, tuple[tuple[int, int, int], Secrets]] = {}

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
        return cls(state_dir, root, record), recover

    @classmethod
    def open(cls, state_dir: Path, ask: Callable[[], str] | None) -> FileKms:
        """Unlock the root key. ``ask`` returns the passphrase, and is called only if needed.

        Raises: Unavailable (no keys here, nobody to ask, a newer format), Refused (wrong
        passphrase, files open to others), VerifyError (files changed).
        """
        private.check_dir(state_dir)
        record = _read_root(state_dir)
        if record.custody == "key-file":
            root = _open_by_key_file(state_dir, record)
        elif ask is None:
            raise Unavailable(
                "the keys are locked and nobody can be asked for the passphrase",
                hint="set SEAL_PASSPHRASE, or run on a terminal",
            )
        else:
            root = rootkey.open_by_passphrase(record, ask())
        return cls(state_dir, root, record)

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
        return cls(state_dir, root, fresh), recover

    @property
    def custody(self) -> Custody:
        """``passphrase``, or ``key-file`` where nobody can be asked."""
        return self._custody

    def protect(self, passphrase: str | None, cost: Cost | None = None) -> None:
        """Put the root under another passphrase (or a key file); the recovery key stays.

        Raises: BadInput (an empty passphrase), Unavailable (disk full).
        """
        with self._writing():
            fresh = _protect(self._dir, self._root, passphrase, self._copy, cost)
            _install(self._dir, fresh)
        self._custody = fresh.custody

    def rotate_root(self, passphrase: str | None, cost: Cost | None = None) -> str:
        """A new root key over the same keys; returns its recovery key.

        ``passphrase`` is the present one, None where a key file keeps the root. Killed at any
        moment, the keys open as before, and calling it again goes on. Raises: Refused (wrong
        passphrase), BadInput, Unavailable.
        """
        if (passphrase is None) is not (self._custody == "key-file"):
            raise BadInput(f"the root key is kept by a {self._custody}; rotating keeps that")
        with self._writing():
            if passphrase is not None:
                rootkey.open_by_passphrase(_read_root(self._dir), passphrase)
            following = self._following() or wrapping.new_key()
            next_file = self._dir / "root.next"
            private.replace(next_file, wrapping.wrap(self._root, following, _NEXT))
            for key in self._names():
                self._move(key, following)
            recover = recovery.generate()
            copy = rootkey.recovery_copy(following, recover)
            if passphrase is None:
                private.replace(self._dir / "root.key.next", wrapping.new_key())
                held = private.read(self._dir / "root.key.next")
                record = rootkey.protect_by_key_file(following, held, copy)
            else:
                record = rootkey.protect_by_passphrase(following, passphrase, copy, cost or Cost())
            private.bury(self._dir / "root.json", msgspec.json.encode(record))
            _settle_key_file(self._dir)
            private.overwrite(next_file)
            private.remove(next_file)
        self._root, self._copy = following, copy
        return recover

    def create(self, key: str) -> None:
        """Make a wrapping key, if there is none by that name; a destroyed name starts afresh."""
        record = self._read(key)
        if record is not None and record.wrapped:
            return
        with self._writing():
            record = self._read(key)
            if record is not None and record.wrapped:
                return
            generation = 1 if record is None else record.generation + 1
            fresh = keyrecord.encode(keyrecord.fresh(self._root, key, generation))
            private.replace(self._path(key), fresh)

    def wrap(self, key: str, secret: bytes, context: bytes) -> bytes:
        """See ``core.ports.Kms``. Raises: Unavailable (no such key), Refused."""
        return self._open(key).wrap(secret, context)

    def unwrap(self, key: str, wrapped: bytes, context: bytes) -> bytes:
        """See ``core.ports.Kms``. Raises: VerifyError, Unavailable, Refused."""
        return self._open(key).unwrap(wrapped, context)

    def derive(self, key: str, label: bytes) -> bytes:
        """See ``core.ports.Kms``. Raises: Unavailable (no such key), Refused."""
        return self._open(key).derive(label)

    def rewrap(self, key: str, wrapped: bytes, context: bytes) -> bytes:
        """See ``core.ports.KeyService``."""
        return self._open(key).rewrap(wrapped, context)

    def destroy(self, key: str) -> None:
        """See ``core.ports.Kms``; a name that has no key stays without one."""
        if self._read(key) is None:
            return
        with self._writing():
            record = self._read(key)
            self._cache.pop(key, None)
            if record is not None and record.wrapped:
                private.bury(self._path(key), keyrecord.encode(keyrecord.grave(record)))

    def rotate(self, key: str) -> KeyState:
        """See ``core.ports.KeyService``. Raises: Unavailable (no such key), Refused."""
        with self._writing():
            record, secrets = self._pair(key)
            secrets = keyrecord.renewed(record, secrets)
            return self._put(record, secrets.rotated(record.generation + 1))

    def retire(self, key: str) -> KeyState:
        """See ``core.ports.KeyService``. Raises: Unavailable (no such key), Refused."""
        with self._writing():
            record, secrets = self._pair(key)
            if not record.former:
                return _state(record)
            return self._put(record, secrets.retired())

    def switch(self, key: str, *, on: bool) -> KeyState:
        """See ``core.ports.KeyService``. Raises: Unavailable (no such key), Refused."""
        with self._writing():
            record = self._found(key)
            if record.disabled is not on and record.wrapped:
                return _state(record)
            if not record.wrapped:
                keyrecord.check_usable(record)
            secrets = keyrecord.renewed(record, self._unseal(record))
            return self._put(msgspec.structs.replace(record, disabled=not on), secrets)

    def states(self) -> tuple[KeyState, ...]:
        """See ``core.ports.KeyService``."""
        return tuple(_state(self._found(name)) for name in self._names())

    def keys(self) -> tuple[str, ...]:
        """The names of the keys that were not destroyed, sorted."""
        return tuple(each.name for each in self.states() if each.state != "destroyed")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Alone, and with the root that is in force. Raises: Unavailable."""
        with exclusive(self._dir / "lock", "the key service", _LOCK_WAIT_S):
            if _read_root(self._dir).recovery != self._copy:
                raise Unavailable(
                    "the root key was changed while this command ran",
                    why="it was rotated or recovered; nothing was written under the old one",
                    hint="run the command again; a key service must be started again",
                )
            yield

    def _put(self, record: KeyRecord, secrets: Secrets) -> KeyState:
        sealed = keyrecord.seal(self._root, record, secrets)
        private.bury(self._path(record.name), keyrecord.encode(sealed))
        self._cache.pop(record.name, None)
        return _state(sealed)

    def _move(self, key: str, following: bytes) -> None:
        """Put one key under the next root, unless it is already."""
        record = self._found(key)
        if not record.wrapped:
            return
        try:
            keyrecord.unseal(following, record)
        except VerifyError:
            secrets = keyrecord.renewed(record, keyrecord.unseal(self._root, record))
            sealed = keyrecord.seal(following, record, secrets)
            private.bury(self._path(key), keyrecord.encode(sealed))

    def _names(self) -> tuple[str, ...]:
        return tuple(sorted(p.name.removesuffix(".json") for p in self._keys.glob("[!.]*.json")))

    def _path(self, key: str) -> Path:
        return self._keys / f"{private.check_label(key, 'a key')}.json"

    def _read(self, key: str) -> KeyRecord | None:
        try:
            data = private.read(self._path(key))
        except FileNotFoundError:
            return None
        return keyrecord.decode(data, key)

    def _found(self, key: str) -> KeyRecord:
        record = self._read(key)
        if record is None:
            raise Unavailable(f"there is no key {key} here", why=f"looked in {self._keys}")
        return record

    def _pair(self, key: str) -> tuple[KeyRecord, Secrets]:
        record = keyrecord.check_usable(self._found(key))
        return record, self._unseal(record)

    def _open(self, key: str) -> Secrets:
        # whoever disables or destroys a key replaces its file, so a look at that is enough
        seen = self._fingerprint(key)
        cached = self._cache.get(key)
        if cached is not None and cached[0] == seen:
            return cached[1]
        _, secrets = self._pair(key)
        self._cache[key] = (seen, secrets)
        return secrets

    def _unseal(self, record: KeyRecord) -> Secrets:
        try:
            return keyrecord.unseal(self._root, record)
        except VerifyError:
            following = self._following()
            if following is None:
                raise
            return keyrecord.unseal(following, record)

    def _following(self) -> bytes | None:
        """The root that an unfinished rotation is putting in force."""
        try:
            return wrapping.unwrap(self._root, private.read(self._dir / "root.next"), _NEXT)
        except FileNotFoundError:
            return None
        except VerifyError:
            # left by a rotation that had come to its end: our root is the next one by now
            return None

    def _fingerprint(self, key: str) -> tuple[int, int, int]:
        try:
            facts = self._path(key).lstat()
        except FileNotFoundError:
            return (0, 0, 0)
        return (facts.st_ino, facts.st_mtime_ns, facts.st_size)


def _state(record: KeyRecord) -> KeyState:
    usable = "disabled" if record.disabled else "enabled"
    state = usable if record.wrapped else "destroyed"
    return KeyState(record.name, record.generation, record.former, state)  # type: ignore[arg-type]


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


def _open_by_key_file(state_dir: Path, record: RootRecord) -> bytes:
    try:
        return rootkey.open_by_key_file(record, _read_key_file(state_dir))
    except VerifyError:
        # a rotation of the root was killed between its last two steps
        if not (state_dir / "root.key.next").exists():
            raise
        root = rootkey.open_by_key_file(record, private.read(state_dir / "root.key.next"))
        _settle_key_file(state_dir)
        return root


def _settle_key_file(state_dir: Path) -> None:
    with suppress(FileNotFoundError):
        following = private.read(state_dir / "root.key.next")
        private.bury(state_dir / "root.key", following)
        private.remove(state_dir / "root.key.next")


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
    return rootkey.check(_decode_root(data))


def _decode_root(data: bytes) -> RootRecord:
    what = "the root record"
    try:
        found = msgspec.json.decode(data, type=_Stamp).format
        if found > rootkey.FORMAT:
            raise rootkey.newer_format(what, found)
        record = msgspec.json.decode(data, type=RootRecord)
    except msgspec.DecodeError as error:
        raise keyrecord.malformed(what, str(error)) from error
    if msgspec.json.encode(record) != data:
        raise keyrecord.malformed(what, "it is not written the one way it is written")
    return record


class _Stamp(msgspec.Struct, frozen=True):
    format: int


def _exists(state_dir: Path) -> BadInput:
    return BadInput(
        f"there are keys in {state_dir} already", why="they would be lost; nothing was changed"
    )
