"""The ports: what the rooms need from outside. Adapters implement them, wiring picks one.

Each port has at most about five methods and one conformance suite in ``tests/conformance``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import BinaryIO, Literal, Protocol

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.records import Artifact, Outcome, Receipt, Statement

Clock = Callable[[], datetime]
"""Returns the present moment, aware, in UTC. Passed in; nothing below ``app`` reads a clock."""


class Signer(Protocol):
    """A private key that signs and never shows itself."""

    @property
    def key_id(self) -> str:
        """SHA-256 (hex) of the public key's DER SubjectPublicKeyInfo."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Ed25519: the 64-byte signature. ECDSA P-256: ASN.1 DER over SHA-256."""
        ...

    def public_pem(self) -> bytes:
        """The public key, PEM SubjectPublicKeyInfo."""
        ...


class Kms(Protocol):
    """Wraps keys. ``key`` names a wrapping key, ``context`` is authenticated, not secret."""

    def create(self, key: str) -> None:
        """Make a wrapping key, if there is none by that name."""
        ...

    def wrap(self, key: str, secret: bytes, context: bytes) -> bytes:
        """Encrypt ``secret`` under ``key``. Raises: Unavailable, Refused (disabled)."""
        ...

    def unwrap(self, key: str, wrapped: bytes, context: bytes) -> bytes:
        """Raises: VerifyError (wrong key, context or bytes), Refused (destroyed)."""
        ...

    def derive(self, key: str, label: bytes) -> bytes:
        """32 bytes derived from ``key`` (HKDF-SHA256, RFC 5869) that reveal nothing of it."""
        ...

    def destroy(self, key: str) -> None:
        """Crypto-shred: what ``key`` wrapped can never be read again."""
        ...


class KeyState(msgspec.Struct, frozen=True):
    """What can be said of a wrapping key. ``former`` generations still open what they wrapped."""

    name: str
    generation: int
    former: tuple[int, ...]
    state: Literal["enabled", "disabled", "destroyed"]


class KeyService(Kms, Protocol):
    """A :class:`Kms` whose keys can be looked at, rotated and switched off."""

    @property
    def custody(self) -> Literal["passphrase", "key-file", "external"]:
        """How the root is kept."""
        ...

    def states(self) -> tuple[KeyState, ...]:
        """Every key there ever was, by name."""
        ...

    def rotate(self, key: str) -> KeyState:
        """A new generation wraps from now on; the former ones still unwrap."""
        ...

    def rewrap(self, key: str, wrapped: bytes, context: bytes) -> bytes:
        """``wrapped`` under the newest generation, of equal length; itself if it is already.

        Raises: VerifyError, Refused (destroyed, disabled).
        """
        ...

    def retire(self, key: str) -> KeyState:
        """Destroy the former generations: what only they wrapped can never be read again."""
        ...

    def switch(self, key: str, *, on: bool) -> KeyState:
        """Disable or enable: a disabled key refuses everything until it is enabled again."""
        ...


class Entry(msgspec.Struct, frozen=True):
    """One row of the log as stored: bytes nobody has verified yet."""

    index: int
    body: bytes


class Log(Protocol):
    """An append-only list of entries with a signed head. No update, no delete."""

    def append(self, bodies: Sequence[bytes]) -> Sequence[Receipt]:
        """Durable on return; all of ``bodies`` or none. Raises: Unavailable (locked, full)."""
        ...

    def size(self) -> int:
        """How many entries there are."""
        ...

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[Entry]:
        """The stored rows ``[start, end)`` in order."""
        ...

    def checkpoint(self) -> bytes:
        """The newest signed note over (origin, size, root)."""
        ...


class Recorder(Protocol):
    """Signs a statement and appends it. Every room records through this."""

    def record(self, statement: Statement) -> Receipt:
        """Returns once the statement is durable in the log."""
        ...


class Readable(Protocol):
    """Random access to verified plaintext."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    def pread(self, offset: int, count: int) -> bytes:
        """Up to ``count`` bytes from ``offset``; every byte returned was authenticated.

        Raises: VerifyError.
        """
        ...


class StoredFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file in the encrypted store: its plaintext digest and size, and its segments in order."""

    sha256: Digest
    size: int
    segments: tuple[str, ...]


class Store(Protocol):
    """Encrypted files. A ``scope`` (``data:train``, ``model:fraud``) has its own key."""

    def put(self, scope: str, source: BinaryIO) -> StoredFile:
        """Encrypt and keep everything ``source`` yields; equal content is kept once per scope."""
        ...

    def open(self, scope: str, file: StoredFile) -> Readable:
        """Raises: VerifyError (tampered), Refused (shredded or missing)."""
        ...

    def shred(self, scope: str, segments: Sequence[str]) -> int:
        """Destroy those segments' keys, then their bytes; returns how many there were."""
        ...

    def segments(self, scope: str) -> frozenset[str]:
        """Every segment id held for ``scope``."""
        ...


class JailInput(msgspec.Struct, frozen=True):
    """A file shown read-only at ``path`` inside; held against ``sha256`` as it goes in."""

    path: str
    size: int
    readable: Readable
    sha256: Digest


class JailBounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a jailed module may use at most."""

    memory_bytes: int = 4 << 30
    wall_s: int = 600
    output_bytes: int = 256 << 20


class Jailed(msgspec.Struct, frozen=True):
    """What a module left: its files by path, the end of its stderr, what it used."""

    outputs: Mapping[str, bytes]
    said: str
    cpu_ms: int
    peak_bytes: int


class Jail(Protocol):
    """Runs one of our own modules over files nobody trusts: no keys, no network, no home."""

    def run(
        self,
        module: str,
        arguments: Sequence[str],
        inputs: Sequence[JailInput],
        bounds: JailBounds,
    ) -> Jailed:
        """``python -m module arguments…`` over ``inputs``; it writes into its working folder.

        Raises: Refused (``jail.*``: no sandbox here, it failed, it ran over its bounds),
        VerifyError (an input's bytes).
        """
        ...


class Stage(Protocol):
    """A function from artifacts to artifacts and findings."""

    @property
    def name(self) -> str:
        """The stage's name in seal.toml."""
        ...

    def run(self, inputs: Mapping[str, Artifact], store: Store) -> Outcome:
        """Do the work. Raising is a failed stage; the engine records it."""
        ...


class Progress(Protocol):
    """Where long work says how far it is. The silent one does nothing."""

    def advance(self, done: int, total: int, what: str) -> None:
        """``done`` of ``total`` units (bytes or rows; ``total`` 0 when unknown)."""
        ...
