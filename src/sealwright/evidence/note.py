"""Signed notes and Ed25519 cosignatures (c2sp.org/signed-note, c2sp.org/tlog-cosignature).

A note is text ending in a newline, a blank line, and signature lines. A *verifier* is a key
name, a signature type and a raw Ed25519 public key; its ``vkey`` is the text form.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import unicodedata
from collections.abc import Iterable, Sequence

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealwright.core.errors import BadInput, UnknownSigner, VerifyError
from sealwright.core.ports import Signer
from sealwright.evidence.keys import PublicKey, load_public

ED25519 = 0x01
COSIGNATURE_V1 = 0x04
MAX_NOTE_BYTES = 1 << 20
MAX_SIGNATURES = 100
_TYPES = (ED25519, COSIGNATURE_V1)
_DASH = "\u2014 ".encode()


class Verifier(msgspec.Struct, frozen=True):
    """Who may sign a note: a key name, a signature type and 32 bytes of Ed25519 public key."""

    name: str
    kind: int
    public: bytes

    @property
    def key_hash(self) -> bytes:
        """The four bytes that tell this key from others of the same name."""
        head = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(head).digest()[:4]

    @property
    def vkey(self) -> str:
        """``name+hash+base64(type || key)``, as Go's ``sumdb/note`` takes it."""
        material = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.key_hash.hex()}+{material}"

    def public_key(self) -> PublicKey:
        """The key without its name."""
        return load_public(
            Ed25519PublicKey.from_public_bytes(self.public).public_bytes(
                Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
            )
        )


class NoteSignature(msgspec.Struct, frozen=True):
    """A signature that verified. ``time`` is POSIX seconds for a cosignature, else 0."""

    verifier: Verifier
    line: bytes
    time: int = 0


class OpenedNote(msgspec.Struct, frozen=True):
    """A note with at least one signature by a known key, every known one of them good."""

    text: bytes
    signatures: tuple[NoteSignature, ...]


def verifier(name: str, key: PublicKey | bytes, kind: int = ED25519) -> Verifier:
    """The verifier for an Ed25519 public key (or its PEM). Raises: BadInput."""
    public = load_public(key) if isinstance(key, bytes) else key
    if public.algorithm != "ed25519":
        raise BadInput("notes are signed with Ed25519", why=f"this key is {public.algorithm}")
    return Verifier(check_name(name), kind, public.raw())


def vkey(name: str, key: PublicKey | bytes, kind: int = ED25519) -> str:
    """The text form of :func:`verifier`. Raises: BadInput."""
    return verifier(name, key, kind).vkey


def parse_vkey(text: str) -> Verifier:
    """The inverse of :attr:`Verifier.vkey`. Raises: BadInput."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3:
        raise BadInput(f"not a verifier key: {text!r}", why="name+hash+key wanted")
    material = _decoded(parts[2].encode())
    if material is None or len(material) != 33 or material[0] not in _TYPES:
        raise BadInput(f"not a verifier key: {text!r}", why="an Ed25519 key wanted (type 1 or 4)")
    found = Verifier(check_name(parts[0]), material[0], material[1:])
    if found.key_hash.hex() != parts[1]:
        raise BadInput(f"not a verifier key: {text!r}", why="the hash is not that of the key")
    return found


def check_name(name: str) -> str:
    """Return ``name`` if a key may be called that. Raises: BadInput."""
    if not name or "+" in name or any(c.isspace() or unicodedata.category(c) == "Cc" for c in name):
        raise BadInput(f"{name!r} cannot name a key", why="no spaces, no '+', not empty")
    return name


def sign_note(text: bytes, signers: Sequence[tuple[str, Signer]]) -> bytes:
    """The note over ``text`` with one Ed25519 signature per (key name, signer), in order.

    Raises: BadInput when ``text`` cannot be a note's.
    """
    check_text(text)
    if not signers:
        raise BadInput("a note needs a signature")
    return text + b"\n" + b"".join(signature_line(text, name, s) for name, s in signers)


def signature_line(text: bytes, name: str, signer: Signer) -> bytes:
    """One Ed25519 signature line (type 0x01) over ``text``."""
    key = verifier(name, signer.public_pem())
    return line_of(key, signer.sign(text))


def cosignature_line(text: bytes, name: str, signer: Signer, time: int) -> bytes:
    """One cosignature/v1 line (type 0x04) over the checkpoint ``text``; ``time`` in seconds."""
    key = verifier(name, signer.public_pem(), COSIGNATURE_V1)
    return line_of(key, time.to_bytes(8, "big") + signer.sign(_cosigned(text, time)))


def line_of(key: Verifier, signature: bytes) -> bytes:
    """The signature line by ``key`` that carries ``signature``."""
    blob = base64.b64encode(key.key_hash + signature)
    return _DASH + key.name.encode() + b" " + blob + b"\n"


def check_text(text: bytes) -> bytes:
    """Return ``text`` if it can be a note's text. Raises: BadInput."""
    if not text.endswith(b"\n") or any(c < 0x20 and c != 0x0A for c in text):
        raise BadInput("a note's text ends in a newline and has no control characters")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise BadInput("a note's text is UTF-8", why=str(error)) from error
    return text


def split_note(note: bytes, where: str = "note") -> tuple[bytes, list[bytes]]:
    """The text of a note and its signature lines, none of them verified.

    Raises: VerifyError (rule ``log.note``) when the bytes are no note.
    """
    if len(note) > MAX_NOTE_BYTES:
        raise _malformed(f"it is longer than {MAX_NOTE_BYTES} bytes", where)
    at = note.rfind(b"\n\n")
    if at < 0 or not note.endswith(b"\n"):
        raise _malformed("there is no blank line before the signatures", where)
    text, lines = note[: at + 1], note[at + 2 :].split(b"\n")[:-1]
    try:
        check_text(text)
    except BadInput as error:
        raise _malformed(error.what, where) from error
    if not 0 < len(lines) <= MAX_SIGNATURES:
        raise _malformed(f"it has {len(lines)} signatures", where)
    return text, lines


def parse_line(line: bytes, where: str = "note") -> tuple[str, bytes, bytes]:
    """A signature line (no newline) as (key name, key hash, signature); unverified.

    Raises: VerifyError (rule ``log.note``).
    """
    name, _, blob = line[len(_DASH) :].partition(b" ")
    raw = _decoded(blob)
    if not line.startswith(_DASH) or raw is None or len(raw) < 5:
        raise _malformed("a signature line is malformed", where)
    try:
        return check_name(name.decode()), raw[:4], raw[4:]
    except (BadInput, UnicodeDecodeError) as error:
        raise _malformed("a signature line has no key name", where) from error


def open_note(note: bytes, verifiers: Iterable[Verifier], where: str = "note") -> OpenedNote:
    """Verify every signature by a known key; signatures by others are ignored.

    Raises: UnknownSigner when no known key signed; VerifyError (``log.note``,
    ``log.signature``) for a malformed note or a bad or repeated signature by a known key.
    """
    text, lines = split_note(note, where)
    known = {(v.name, v.key_hash): v for v in verifiers}
    good: dict[Verifier, NoteSignature] = {}
    for line in lines:
        name, key_hash, signature = parse_line(line, where)
        key = known.get((name, key_hash))
        if key is None:
            continue
        if key in good:
            raise _malformed(f"{name} signed twice", where)
        good[key] = NoteSignature(key, line + b"\n", verify_signature(text, key, signature, where))
    if not good:
        names = ", ".join(sorted({parse_line(line, where)[0] for line in lines}))
        raise UnknownSigner(f"{where}: signed by no key you trust", why=f"it names {names}")
    return OpenedNote(text, tuple(good.values()))


def verify_signature(text: bytes, key: Verifier, signature: bytes, where: str = "note") -> int:
    """The time of a good cosignature in seconds, 0 for a plain signature.

    Raises: VerifyError (rule ``log.signature``).
    """
    time, message = 0, text
    if key.kind == COSIGNATURE_V1:
        time, signature = int.from_bytes(signature[:8], "big"), signature[8:]
        message = _cosigned(text, time)
    try:
        if time >= 1 << 63:
            raise InvalidSignature
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    except InvalidSignature as error:
        raise VerifyError(
            f"the signature by {key.name} does not verify",
            where=where,
            why="the text or the signature was changed after signing",
            rule="log.signature",
        ) from error
    return time


def _cosigned(text: bytes, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n".encode() + text


def _decoded(blob: bytes) -> bytes | None:
    try:
        raw = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw) == blob else None


def _malformed(why: str, where: str) -> VerifyError:
    return VerifyError("this is not a signed note", where=where, why=why, rule="log.note")
