"""What a key service and its clients say to each other: frames of at most 1 MiB.

A frame is a length (4 bytes, big-endian) and that many bytes of MessagePack: one question,
one answer, and again on the same connection. See docs/spec/keys-v1.md.
"""

from __future__ import annotations

import socket
import struct
from typing import Annotated, Literal, TypeVar

import msgspec

from sealwright.core.errors import BadInput, Refused, SealError, Unavailable, VerifyError
from sealwright.core.ports import KeyState

VERSION = 1
MOST_BYTES = 1 << 20
ANSWER_S = 5.0
"""How long a client waits for an answer."""

Operation = Literal[
    "hello",
    "create",
    "wrap",
    "unwrap",
    "derive",
    "rewrap",
    "destroy",
    "states",
    "rotate",
    "retire",
    "enable",
    "disable",
    "make",
    "sign",
]
WORD = 300
"""The longest word in a question, in characters."""

_Word = Annotated[str, msgspec.Meta(max_length=WORD)]
_LENGTH = struct.Struct(">I")


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One operation. ``role`` and ``algorithm`` belong to ``make`` and ``sign``, ``message`` to
    ``sign``; the last three are what the client says it is for."""

    version: int
    workspace: _Word
    operation: Operation
    key: _Word = ""
    data: bytes = b""
    context: bytes = b""
    role: _Word = ""
    algorithm: _Word = ""
    message: bytes = b""
    principal: _Word = ""
    purpose: _Word = ""
    artifact: _Word = ""


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An error as the client is to raise it."""

    kind: Literal["verify", "refused", "bad-input", "unavailable"]
    what: str
    why: str = ""
    hint: str = ""
    rule: str = ""


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What came of it."""

    data: bytes = b""
    public: bytes = b""
    states: tuple[KeyState, ...] = ()
    custody: str = ""
    fault: Fault | None = None


def fault_of(error: SealError) -> Fault:
    """An error for the way over the wire."""
    rule = error.rule if isinstance(error, Refused) else ""
    kinds: tuple[
        tuple[type[SealError], Literal["verify", "refused", "bad-input", "unavailable"]], ...
    ] = ((VerifyError, "verify"), (Refused, "refused"), (BadInput, "bad-input"))
    kind = next((name for of, name in kinds if isinstance(error, of)), "unavailable")
    return Fault(kind, error.what, error.why, error.hint, rule)  # type: ignore[arg-type]


def raised(fault: Fault) -> SealError:
    """The error a fault stands for."""
    if fault.kind == "verify":
        return VerifyError(fault.what, why=fault.why, hint=fault.hint, rule=fault.rule)
    if fault.kind == "refused":
        return Refused(fault.what, why=fault.why, hint=fault.hint, rule=fault.rule)
    kind = BadInput if fault.kind == "bad-input" else Unavailable
    return kind(fault.what, why=fault.why, hint=fault.hint)


def send(sock: socket.socket, message: Question | Answer) -> None:
    """Raises: BadInput (too long), OSError."""
    body = msgspec.msgpack.encode(message)
    if len(body) > MOST_BYTES:
        raise BadInput("too long for a key service", why=f"at most {MOST_BYTES} bytes a frame")
    sock.sendall(_LENGTH.pack(len(body)) + body)


_Message = TypeVar("_Message", Question, Answer)


def receive(sock: socket.socket, kind: type[_Message]) -> _Message | None:
    """One message; None where the other side closed between two.

    Raises: BadInput (not a frame of ours), OSError, EOFError (closed in the middle).
    """
    head = _exactly(sock, _LENGTH.size)
    if head is None:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > MOST_BYTES:
        raise BadInput("a frame is too long", why=f"{length} bytes; at most {MOST_BYTES}")
    body = _exactly(sock, length) if length else b""
    if body is None:
        raise EOFError("closed in the middle of a frame")
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise BadInput("not a message of the key service's", why=str(error)) from error


def _exactly(sock: socket.socket, count: int) -> bytes | None:
    parts: list[bytes] = []
    have = 0
    while have < count:
        part = sock.recv(min(count - have, 1 << 16))
        if not part:
            if have:
                raise EOFError("closed in the middle of a frame")
            return None
        parts.append(part)
        have += len(part)
    return b"".join(parts)
