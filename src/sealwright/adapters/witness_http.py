"""The log's side of a witness: submit the newest checkpoint, keep the cosignature that returns."""

from __future__ import annotations

import http.client
import os
import socket
import struct
from typing import Literal, Protocol

import msgspec

from sealwright.adapters.tls import TlsFiles, client_context
from sealwright.adapters.witness_address import Address
from sealwright.core.errors import BadInput, Refused, Unavailable, UnknownSigner, VerifyError
from sealwright.evidence import note as notes
from sealwright.evidence.checkpoint import Checkpoint, read_checkpoint
from sealwright.evidence.merkle import consistency_proof
from sealwright.evidence.note import Verifier
from sealwright.evidence.tlog import Tile, TileHashes
from sealwright.evidence.witness import SIZE_TYPE, Request, origin_hash

TIMEOUT_S = 5.0
_MAX_ANSWER = notes.MAX_NOTE_BYTES

Separation = Literal["same-uid", "same-host", "remote"]


class Cosignable(Protocol):
    """A log that keeps cosignatures."""

    def checkpoint(self) -> bytes:
        """The newest signed note."""
        ...

    def tile(self, tile: Tile) -> bytes:
        """The bytes of a tile."""
        ...

    def cosign(self, note: bytes, line: bytes) -> None:
        """Keep a verified cosignature line."""
        ...

    def cosigned_size(self, witness: Verifier) -> int:
        """The size last cosigned by ``witness``, 0 if never."""
        ...


class Cosigned(msgspec.Struct, frozen=True):
    """A checkpoint a witness has just cosigned. ``time`` is POSIX seconds, by its clock."""

    checkpoint: Checkpoint
    time: int
    separation: Separation


def submit(
    log: Cosignable, address: Address, witness: Verifier, files: TlsFiles | None = None
) -> Cosigned:
    """Have ``witness`` cosign the newest checkpoint, and keep what it signed.

    Raises: Unavailable (cannot be reached; nothing else is held up by that), UnknownSigner
    (it answers with another key), Refused (``witness.unknown-log``), VerifyError
    (``log.rewound``, ``log.forked``, ``witness.rewound``).
    """
    text, lines = notes.split_note(log.checkpoint())
    note = text + b"\n" + _line_by_log(lines, read_checkpoint(log.checkpoint()).origin)
    head = Checkpoint.decode(text)
    before = log.cosigned_size(witness)
    old = min(before, head.size)
    link = _Link(address, files)
    for _ in range(3):
        status, kind, body = link.post(_request(log, old, head, note))
        if status != 409 or kind != SIZE_TYPE:
            break
        old = _held_size(body, head, before, witness)
    if status != 200:
        raise _refused(status, body, head, old, witness)
    line, time = _verified(body, text, witness)
    log.cosign(note, line)
    return Cosigned(head, time, link.separation)


def latest(address: Address, origin: str, files: TlsFiles | None = None) -> bytes | None:
    """The note the witness last cosigned for ``origin``, unverified; None if it has none.

    Raises: Unavailable.
    """
    link = _Link(address, files)
    status, _, body = link.get(f"/{origin_hash(origin)}/checkpoint")
    if status == 404:
        return None
    if status != 200:
        raise _fault(address, status, body)
    return body


def separation(address: Address, files: TlsFiles | None = None) -> Separation:
    """How far away the witness is, as this machine can tell. Raises: Unavailable."""
    link = _Link(address, files)
    link.get("/")
    return link.separation


class _Link:
    def __init__(self, address: Address, files: TlsFiles | None) -> None:
        self._address = address
        self._files = files
        if not address.secure and not address.local:
            raise Refused(
                f"the witness at {address} is on another host, and is not asked in plaintext",
                why="what goes off this machine goes over mutual TLS",
                hint=f"https://{address.host}:{address.port}, and [tls] folder in seal.toml",
                rule="tls.required",
            )
        self.separation: Separation = "same-uid" if address.local else "remote"

    def post(self, body: bytes) -> tuple[int, str, bytes]:
        return self._exchange("POST", "/add-checkpoint", body)

    def get(self, path: str) -> tuple[int, str, bytes]:
        return self._exchange("GET", path, None)

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, str, bytes]:
        connection = self._connection()
        try:
            connection.connect()
            self._look(connection.sock)
            connection.request(method, path, body)
            response = connection.getresponse()
            found = response.read(_MAX_ANSWER)
            if response.length:  # a read with a limit does not notice an answer broken off
                raise http.client.IncompleteRead(found, response.length)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"the witness at {self._address} cannot be reached",
                why=str(error) or type(error).__name__,
                hint="start it with `seal log witness serve`; the log goes on without it",
            ) from error
        finally:
            connection.close()
        kind = response.headers.get_content_type()
        return response.status, kind, found

    def _connection(self) -> http.client.HTTPConnection:
        if self._address.socket:
            return _UnixConnection(self._address.socket)
        if self._address.secure:
            if self._files is None:
                raise BadInput(
                    f"the witness at {self._address} is asked over mutual TLS",
                    hint="name the folder of our certificate: [tls] folder in seal.toml",
                )
            context = client_context(self._files)
            host, port = self._address.host, self._address.port
            return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
        return http.client.HTTPConnection(self._address.host, self._address.port, TIMEOUT_S)

    def _look(self, sock: socket.socket) -> None:
        """A Unix socket tells who is at the other end; a port does not, so it counts as us."""
        if not self._address.socket or not hasattr(socket, "SO_PEERCRED"):
            return
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _, uid, _ = struct.unpack("3i", raw)
        self.separation = "same-uid" if uid == os.getuid() else "same-host"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self._path)


def _request(log: Cosignable, old: int, head: Checkpoint, note: bytes) -> bytes:
    proof = consistency_proof(old, head.size, TileHashes(head.size, log.tile)) if old else []
    return Request(old, tuple(proof), note).encode()


def _held_size(body: bytes, head: Checkpoint, before: int, witness: Verifier) -> int:
    text = body.strip().decode("ascii", "replace")
    if not text.isdecimal():
        raise Unavailable(f"the witness {witness.name} answered nonsense", why=repr(text[:80]))
    held = int(text)
    if held > head.size:
        raise VerifyError(
            f"the log was rewound: the witness {witness.name} saw {held} entries, it now has"
            f" {head.size}",
            where=f"entry {head.size}",
            why="a log only grows; an older copy of the ledger was put back",
            hint="restore the newer ledger, or open a new origin: seal restore",
            rule="log.rewound",
        )
    if held < before:
        raise VerifyError(
            f"the witness {witness.name} forgot: it cosigned {before} entries, it now says {held}",
            where=witness.name,
            why="its home was put back to an older state, or another witness answers there",
            hint="ask who runs the witness",
            rule="witness.rewound",
        )
    return held


def _refused(
    status: int, body: bytes, head: Checkpoint, old: int, witness: Verifier
) -> VerifyError | Refused | Unavailable:
    said = body.decode("utf-8", "replace").strip()[:200]
    if status == 422:
        return VerifyError(
            f"the log was forked: the witness {witness.name} saw other entries below {old}",
            where=f"entries 0 to {old - 1}",
            why=f"the checkpoint of {head.size} entries does not continue the one it cosigned",
            hint="history was rewritten by somebody who holds the log key: seal log verify",
            rule="log.forked",
        )
    if status in (403, 404):
        return Refused(
            f"the witness {witness.name} does not accept this log",
            why=said,
            hint="on the witness: seal log witness init NAME --log VKEY (seal log show prints it)",
            rule="witness.unknown-log",
        )
    return _fault(witness.name, status, body)


def _fault(who: object, status: int, body: bytes) -> Unavailable:
    said = body.decode("utf-8", "replace").strip()[:200]
    return Unavailable(f"the witness {who} answered {status}", why=said)


def _verified(body: bytes, text: bytes, witness: Verifier) -> tuple[bytes, int]:
    opened = notes.open_note(text + b"\n" + body, [witness], f"answer of {witness.name}")
    if not opened.signatures:
        raise UnknownSigner(f"the witness {witness.name} did not sign")
    found = opened.signatures[0]
    return found.line, found.time


def _line_by_log(lines: list[bytes], origin: str) -> bytes:
    return b"".join(line + b"\n" for line in lines if notes.parse_line(line)[0] == origin)
