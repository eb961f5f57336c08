"""A named key at rest, and what can be done with it once it is open. Pure.

A key has one secret that others are derived from, for as long as it lives, and a wrapping
key a generation. Rotating adds a generation; what the former ones wrapped still opens until
they are retired. The form is docs/spec/keys-v1.md.
"""

from __future__ import annotations

import msgspec

from sealwright.core.errors import Refused, VerifyError
from sealwright.vault import wrapping
from sealwright.vault.root import newer_format

FORMAT = 2
_WRAP = b"sealwright key v1 wrap"
_DERIVE = b"sealwright key v1 derive "
# what a key of format 1 may have been asked for: fixed, since nothing makes that format now
_FIRST_LABELS = (b"segment-name", b"segment-fingerprint", b"record-nonce/v1")


class KeyRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named key at rest. ``wrapped`` is empty once the key was destroyed."""

    format: int
    name: str
    generation: int
    former: tuple[int, ...]
    disabled: bool
    wrapped: bytes


class _FirstRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Format 1: one secret for wrapping and deriving; read, never written."""

    format: int
    name: str
    generation: int
    wrapped: bytes


class _Stamp(msgspec.Struct, frozen=True):
    format: int


class Secrets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An open key: the secret to derive from, a wrapping key a generation, derived keys kept."""

    seed: bytes
    wraps: dict[int, bytes]
    kept: dict[str, bytes] = msgspec.field(default_factory=dict)

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        """Under the newest generation."""
        return wrapping.wrap(self.wraps[max(self.wraps)], secret, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Under any generation that is left. Raises: VerifyError."""
        *newer, oldest = sorted(self.wraps, reverse=True)
        for generation in newer:
            try:
                return wrapping.unwrap(self.wraps[generation], wrapped, context)
            except VerifyError:
                # no generation is written in what was wrapped: the next one may open it
                continue
        return wrapping.unwrap(self.wraps[oldest], wrapped, context)

    def rewrap(self, wrapped: bytes, context: bytes) -> bytes:
        """``wrapped`` itself where the newest generation opens it, else wrapped by that.

        Raises: VerifyError.
        """
        try:
            wrapping.unwrap(self.wraps[max(self.wraps)], wrapped, context)
        except VerifyError:
            return self.wrap(self.unwrap(wrapped, context), context)
        return wrapped

    def derive(self, label: bytes) -> bytes:
        """32 bytes; the same for every generation."""
        kept = self.kept.get(label.hex())
        return kept if kept is not None else wrapping.derive(self.seed, _DERIVE + label)

    def rotated(self, generation: int) -> Secrets:
        """With a new wrapping key beside those there are."""
        return msgspec.structs.replace(self, wraps={**self.wraps, generation: wrapping.new_key()})

    def retired(self) -> Secrets:
        """With the newest wrapping key alone."""
        newest = max(self.wraps)
        return msgspec.structs.replace(self, wraps={newest: self.wraps[newest]})


def fresh(root: bytes, name: str, generation: int) -> KeyRecord:
    """A new key. It opens nothing of an earlier one of that name."""
    secrets = Secrets(wrapping.new_key(), {generation: wrapping.new_key()})
    return seal(root, KeyRecord(FORMAT, name, generation, (), False, b""), secrets)


def grave(record: KeyRecord) -> KeyRecord:
    """What is left of a destroyed key."""
    return KeyRecord(FORMAT, record.name, record.generation, (), False, b"")


def seal(root: bytes, bare: KeyRecord, secrets: Secrets) -> KeyRecord:
    """``bare`` with ``secrets`` wrapped by the root, bound to all the rest of it."""
    bare = msgspec.structs.replace(
        bare,
        format=FORMAT,
        generation=max(secrets.wraps),
        former=tuple(sorted(secrets.wraps)[:-1]),
    )
    body = msgspec.msgpack.encode(secrets)
    return msgspec.structs.replace(bare, wrapped=wrapping.wrap(root, body, _context(bare)))


def unseal(root: bytes, record: KeyRecord) -> Secrets:
    """Raises: VerifyError (another root, or a changed record)."""
    body = wrapping.unwrap(root, record.wrapped, _context(record))
    if record.format == 1:
        derived = {label.hex(): wrapping.derive(body, _DERIVE + label) for label in _FIRST_LABELS}
        return Secrets(body, {record.generation: wrapping.derive(body, _WRAP)}, derived)
    try:
        return msgspec.msgpack.decode(body, type=Secrets)
    except msgspec.DecodeError as error:
        raise malformed(f"the key {record.name}", str(error)) from error


def renewed(record: KeyRecord, secrets: Secrets) -> Secrets:
    """Before it is sealed again: a key of format 1 gets a secret of its own to derive from.

    Else the retired wrapping key, which came from the same secret, would never be gone.
    """
    if record.format == FORMAT:
        return secrets
    return msgspec.structs.replace(secrets, seed=wrapping.new_key())


def encode(record: KeyRecord) -> bytes:
    """The record as it rests."""
    return msgspec.json.encode(record)


def decode(data: bytes, name: str) -> KeyRecord:
    """Raises: VerifyError (not the key ``name``, or malformed), Unavailable (newer)."""
    what = f"the key {name}"
    try:
        found = msgspec.json.decode(data, type=_Stamp).format
        if found > FORMAT:
            raise newer_format(what, found, FORMAT)
        read: _FirstRecord | KeyRecord = (
            msgspec.json.decode(data, type=_FirstRecord)
            if found == 1
            else msgspec.json.decode(data, type=KeyRecord)
        )
    except msgspec.DecodeError as error:
        raise malformed(what, str(error)) from error
    if msgspec.json.encode(read) != data:
        raise malformed(what, "it is not written the one way it is written")
    if read.format not in (1, FORMAT) or read.name != name:
        raise malformed(what, f"the file holds the key {read.name}, format {read.format}")
    if isinstance(read, _FirstRecord):
        return KeyRecord(1, read.name, read.generation, (), False, read.wrapped)
    return read


def check_usable(record: KeyRecord) -> KeyRecord:
    """Raises: Refused (destroyed, disabled)."""
    if not record.wrapped:
        raise Refused(
            f"the key {record.name} was destroyed",
            why="what it wrapped cannot be read again by anybody",
            hint=_replace(record.name),
            rule="keys.destroyed",
        )
    if record.disabled:
        raise Refused(
            f"the key {record.name} is disabled",
            why="nothing it wrapped can be read or written while it is",
            hint=f"seal keys enable {record.name}",
            rule="keys.disabled",
        )
    return record


def _replace(scope: str) -> str:
    """What can be done when nothing opens what ``scope`` held: bring it in anew."""
    kind, _, name = scope.partition(":")
    if kind == "data":
        return f"seal data add PATH --name {name}"
    return "seal keys list"


def malformed(what: str, why: str) -> VerifyError:
    """The error for a record nobody wrote like that."""
    return VerifyError(f"{what} is malformed", why=why, rule="keys.record-malformed")


def _context(record: KeyRecord) -> bytes:
    if record.format == 1:
        return f"sealwright key v1 {record.name} {record.generation}".encode()
    bare = msgspec.structs.replace(record, wrapped=b"")
    return b"sealwright key v2 " + msgspec.json.encode(bare)
