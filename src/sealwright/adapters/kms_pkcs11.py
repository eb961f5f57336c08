"""Keys in a PKCS#11 token (a hardware module, or SoftHSM): they are made there and stay there.

A named key is an AES-256 key a generation, which wraps by AES-GCM, and a generic secret to
derive from; none can be extracted. A private data object beside them says which generations
there are. What is wrapped has the form of docs/spec/keys-v1.md. Nothing is cached: another
process's switch or destruction counts at the next use. Implements ``core.ports.KeyService``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs

import msgspec

from sealwright.core.errors import BadInput, MissingExtra, Refused, Unavailable, VerifyError
from sealwright.core.locking import exclusive
from sealwright.core.ports import KeyState
from sealwright.vault import private

try:
    import pkcs11
    from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass
    from pkcs11 import exceptions as faults
except ImportError as error:
    raise MissingExtra("a key service in a PKCS#11 token", "pkcs11") from error

PREFIX = "pkcs11:"
_FORM, _NONCE_BYTES, _TAG_BITS = b"\x01", 12, 128
_DERIVE = b"sealwright key v1 derive "
# what tokens say when AES-GCM does not authenticate; modules differ
_UNOPENED = (
    faults.EncryptedDataInvalid,
    faults.EncryptedDataLenRange,
    faults.GeneralError,
    faults.FunctionFailed,
    faults.ArgumentsBad,
    faults.DataInvalid,
    faults.DataLenRange,
)


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data object: which generations wrap and unwrap, and which secret derives."""

    revision: int
    name: str
    generation: int
    former: tuple[int, ...]
    disabled: bool
    destroyed: bool
    seed: int


class Pkcs11Kms:
    """Named keys of one workspace in a token. Safe for threads and several processes."""

    custody: Literal["passphrase", "key-file", "external"] = "external"

    def __init__(self, session: Any, workspace: str, lock: Path) -> None:
        self._session = session
        self._workspace = workspace
        self._lock_file = lock
        self._lock = threading.RLock()

    @classmethod
    def open(
        cls, spec: str, workspace: str, lock: Path, ask: Callable[[], str] | None
    ) -> Pkcs11Kms:
        """Log in to the token of ``pkcs11:/path/of/library.so?token=LABEL``.

        ``ask`` returns the PIN; ``lock`` is the file that keeps this host's writers apart.
        Raises: BadInput (the text), Unavailable (no library, no token, no PIN), Refused (PIN).
        """
        library, label = _parsed(spec)
        if ask is None:
            raise Unavailable("the token needs its PIN", hint="set SEAL_PKCS11_PIN")
        try:
            token = pkcs11.lib(library).get_token(token_label=label)
            session = _logged_in(token, ask())
        except (faults.PinIncorrect, faults.PinInvalid, faults.PinLenRange) as error:
            raise Refused(
                f"the PIN does not open the token {label}",
                why="a few wrong ones lock it",
                hint="check SEAL_PKCS11_PIN",
                rule="keys.wrong-pin",
            ) from error
        except faults.PinLocked as error:
            raise Refused(
                f"the token {label} is locked", hint="its security officer", rule="keys.pin-locked"
            ) from error
        except (RuntimeError, OSError) as error:
            raise Unavailable(
                f"no token {label} through {library}",
                why=str(error) or type(error).__name__,
                hint="is the library installed, and the token there?",
            ) from error
        return cls(session, workspace, lock)

    def create(self, key: str) -> None:
        """See ``core.ports.Kms``."""
        private.check_label(key, "a key")
        with self._working():
            record = self._find(key)
        if record is not None and not record.destroyed:
            return
        with self._writing():
            record = self._find(key)
            if record is not None and not record.destroyed:
                return
            generation = record.generation + 1 if record else 1
            self._generate(key, generation)
            seed = self._label(key, f"seed/{generation}")
            self._remove(seed)
            self._session.generate_key(
                KeyType.GENERIC_SECRET, 256, label=seed, store=True, template=_template("SIGN")
            )
            self._put(_Record(_next(record), key, generation, (), False, False, generation))

    def wrap(self, key: str, secret: bytes, context: bytes) -> bytes:
        """See ``core.ports.Kms``."""
        with self._working():
            record = self._usable(key)
            nonce = os.urandom(_NONCE_BYTES)
            wrapping = self._key(key, record.generation)
            body = wrapping.encrypt(
                secret,
                mechanism=Mechanism.AES_GCM,
                mechanism_param=GCMParams(nonce, context, _TAG_BITS),
            )
            return _FORM + nonce + bytes(body)

    def unwrap(self, key: str, wrapped: bytes, context: bytes) -> bytes:
        """See ``core.ports.Kms``."""
        with self._working():
            record = self._usable(key)
            for generation in (record.generation, *reversed(record.former)):
                opened = self._opened(key, generation, wrapped, context)
                if opened is not None:
                    return opened
        raise VerifyError(
            "a wrapped key does not open",
            why="it was changed, or belongs to another key or another thing",
            rule="keys.unwrap-failed",
        )

    def rewrap(self, key: str, wrapped: bytes, context: bytes) -> bytes:
        """See ``core.ports.KeyService``."""
        with self._working():
            record = self._usable(key)
            if self._opened(key, record.generation, wrapped, context) is not None:
                return wrapped
        return self.wrap(key, self.unwrap(key, wrapped, context), context)

    def derive(self, key: str, label: bytes) -> bytes:
        """See ``core.ports.Kms``: HKDF-Expand (RFC 5869) by HMAC-SHA256 in the token."""
        with self._working():
            record = self._usable(key)
            seed = self._object(self._label(key, f"seed/{record.seed}"))
            info = _DERIVE + label + b"\x01"
            return bytes(seed.sign(info, mechanism=Mechanism.SHA256_HMAC))

    def destroy(self, key: str) -> None:
        """See ``core.ports.Kms``."""
        with self._writing():
            record = self._find(key)
            if record is None or record.destroyed:
                return
            for generation in (record.generation, *record.former):
                self._remove(self._label(key, f"wrap/{generation}"))
            self._remove(self._label(key, f"seed/{record.seed}"))
            self._put(
                msgspec.structs.replace(
                    record, revision=_next(record), former=(), disabled=False, destroyed=True
                )
            )

    def rotate(self, key: str) -> KeyState:
        """See ``core.ports.KeyService``."""
        with self._writing():
            record = self._usable(key)
            generation = record.generation + 1
            self._generate(key, generation)
            former = (*record.former, record.generation)
            return self._put(
                msgspec.structs.replace(
                    record, revision=_next(record), generation=generation, former=former
                )
            )

    def retire(self, key: str) -> KeyState:
        """See ``core.ports.KeyService``."""
        with self._writing():
            record = self._usable(key)
            for generation in record.former:
                self._remove(self._label(key, f"wrap/{generation}"))
            return self._put(msgspec.structs.replace(record, revision=_next(record), former=()))

    def switch(self, key: str, *, on: bool) -> KeyState:
        """See ``core.ports.KeyService``."""
        with self._writing():
            record = self._found(key)
            if record.destroyed:
                raise _destroyed(key)
            return self._put(
                msgspec.structs.replace(record, revision=_next(record), disabled=not on)
            )

    def states(self) -> tuple[KeyState, ...]:
        """See ``core.ports.KeyService``."""
        with self._working():
            newest: dict[str, _Record] = {}
            for record in self._records({Attribute.APPLICATION: self._application}):
                known = newest.get(record.name)
                if known is None or known.revision < record.revision:
                    newest[record.name] = record
        return tuple(_state(newest[name]) for name in sorted(newest))

    def close(self) -> None:
        """End the session."""
        self._session.close()

    @property
    def _application(self) -> str:
        return f"sealwright {self._workspace}"

    def _label(self, key: str, part: str) -> str:
        return f"{self._workspace}/{key}/{part}"

    def _find(self, key: str) -> _Record | None:
        found = self._records({Attribute.LABEL: self._label(key, "record")})
        return max(found, key=lambda record: record.revision, default=None)

    def _records(self, wanted: dict[Any, Any]) -> Iterator[_Record]:
        objects = self._session.get_objects({Attribute.CLASS: ObjectClass.DATA, **wanted})
        for each in list(objects):
            try:
                yield msgspec.json.decode(each[Attribute.VALUE], type=_Record)
            except msgspec.DecodeError as error:
                raise VerifyError(
                    "a key's record in the token is malformed",
                    why=str(error),
                    rule="keys.record-malformed",
                ) from error

    def _found(self, key: str) -> _Record:
        record = self._find(key)
        if record is None:
            raise Unavailable(f"there is no key {key} in the token")
        return record

    def _usable(self, key: str) -> _Record:
        record = self._found(key)
        if record.destroyed:
            raise _destroyed(key)
        if record.disabled:
            raise Refused(
                f"the key {key} is disabled",
                why="nothing it wrapped can be read or written while it is",
                hint=f"seal keys enable {key}",
                rule="keys.disabled",
            )
        return record

    def _put(self, record: _Record) -> KeyState:
        label = self._label(record.name, "record")
        wanted = {Attribute.CLASS: ObjectClass.DATA, Attribute.LABEL: label}
        older = list(self._session.get_objects(wanted))
        self._session.create_object(
            {
                **wanted,
                Attribute.TOKEN: True,
                Attribute.PRIVATE: True,
                Attribute.APPLICATION: self._application,
                Attribute.VALUE: msgspec.json.encode(record),
            }
        )
        for each in older:
            each.destroy()
        return _state(record)

    def _generate(self, key: str, generation: int) -> None:
        label = self._label(key, f"wrap/{generation}")
        # left by a process that was killed before it could write the record
        self._remove(label)
        template = _template("ENCRYPT", "DECRYPT")
        self._session.generate_key(KeyType.AES, 256, label=label, store=True, template=template)

    def _key(self, key: str, generation: int) -> Any:
        return self._object(self._label(key, f"wrap/{generation}"))

    def _object(self, label: str) -> Any:
        for each in self._objects(label):
            return each
        raise Unavailable("the token has lost a key it had", why=label)

    def _objects(self, label: str) -> list[Any]:
        wanted = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: label}
        return list(self._session.get_objects(wanted))

    def _remove(self, label: str) -> None:
        for each in self._objects(label):
            each.destroy()

    def _opened(self, key: str, generation: int, wrapped: bytes, context: bytes) -> bytes | None:
        least = len(_FORM) + _NONCE_BYTES + _TAG_BITS // 8
        if len(wrapped) < least or wrapped[:1] != _FORM:
            raise VerifyError(
                "a wrapped key is not in a form this version reads", rule="keys.wrap-malformed"
            )
        nonce, body = wrapped[1 : 1 + _NONCE_BYTES], wrapped[1 + _NONCE_BYTES :]
        try:
            return bytes(
                self._key(key, generation).decrypt(
                    body,
                    mechanism=Mechanism.AES_GCM,
                    mechanism_param=GCMParams(nonce, context, _TAG_BITS),
                )
            )
        except _UNOPENED:
            return None

    @contextmanager
    def _working(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except faults.PKCS11Error as error:
                raise Unavailable(
                    "the token does not answer as it should",
                    why=f"{type(error).__name__} {error}".strip(),
                    hint="is it still there? nothing was changed",
                ) from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with exclusive(self._lock_file, "the token"), self._working():
            yield


def _template(*uses: str) -> dict[Any, Any]:
    fixed = {
        Attribute.TOKEN: True,
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.MODIFIABLE: False,
    }
    every = ("ENCRYPT", "DECRYPT", "SIGN", "VERIFY", "WRAP", "UNWRAP", "DERIVE")
    return {**fixed, **{Attribute[use]: use in uses for use in every}}


def _logged_in(token: Any, pin: str) -> Any:
    try:
        return token.open(rw=True, user_pin=pin)
    except faults.UserAlreadyLoggedIn:
        # a login is the process's, and another session of it has logged in
        return token.open(rw=True)


def _parsed(spec: str) -> tuple[str, str]:
    library, _, query = spec.removeprefix(PREFIX).partition("?")
    label = parse_qs(query).get("token", [""])[0]
    if not library.startswith("/") or not label:
        raise BadInput(
            f"{spec!r} does not name a token",
            hint="write pkcs11:/usr/lib/softhsm/libsofthsm2.so?token=LABEL",
        )
    return library, label


def _next(record: _Record | None) -> int:
    return record.revision + 1 if record else 1


def _state(record: _Record) -> KeyState:
    state: Literal["enabled", "disabled", "destroyed"] = "enabled"
    if record.disabled:
        state = "disabled"
    if record.destroyed:
        state = "destroyed"
    return KeyState(record.name, record.generation, record.former, state)


def _destroyed(key: str) -> Refused:
    return Refused(
        f"the key {key} was destroyed",
        why="what it wrapped cannot be read again by anybody",
        rule="keys.destroyed",
    )
