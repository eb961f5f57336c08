"""What goes over the loader's socket: a header in JSON, and at most one array of plain numbers."""

from __future__ import annotations

import socket
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

_MOST = 1 << 30
_KINDS = "biufSU"


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``dtype`` is empty where no array follows. ``facts`` are names and counts, never code."""

    what: str
    dtype: str = ""
    shape: tuple[int, ...] = ()
    error: str = ""
    facts: dict[str, str] = msgspec.field(default_factory=dict)


def send(peer: socket.socket, message: Message, array: npt.NDArray[Any] | None = None) -> None:
    """Raises: OSError, ValueError (an array of objects)."""
    peer.sendall(encoded(message, array))


def receive(peer: socket.socket) -> tuple[Message, npt.NDArray[Any] | None]:
    """Raises: EOFError (it closed), OSError, msgspec.DecodeError, ValueError (sizes that lie)."""
    head, body = sizes(_exactly(peer, 16))
    return decoded(_exactly(peer, head), _exactly(peer, body))


def encoded(message: Message, array: npt.NDArray[Any] | None = None) -> bytes:
    """A message's bytes: two lengths of 8 bytes, the header, the array. Raises: ValueError."""
    body = b""
    if array is not None:
        if array.dtype.kind not in _KINDS:
            raise ValueError(f"arrays of {array.dtype} are not sent")
        body = np.ascontiguousarray(array).tobytes()
        message = msgspec.structs.replace(message, dtype=array.dtype.str, shape=array.shape)
    head = msgspec.json.encode(message)
    return len(head).to_bytes(8, "little") + len(body).to_bytes(8, "little") + head + body


def sizes(data: bytes) -> tuple[int, int]:
    """How long header and array are. Raises: ValueError (longer than any may be)."""
    head, body = int.from_bytes(data[:8], "little"), int.from_bytes(data[8:], "little")
    if head > 1 << 20 or body > _MOST:
        raise ValueError("a message larger than any may be")
    return head, body


def decoded(head: bytes, data: bytes) -> tuple[Message, npt.NDArray[Any] | None]:
    """Raises: msgspec.DecodeError, ValueError (an array of another kind, sizes that lie)."""
    message = msgspec.json.decode(head, type=Message)
    if not message.dtype:
        return message, None
    dtype = np.dtype(message.dtype)
    if dtype.kind not in _KINDS or any(one < 0 for one in message.shape):
        raise ValueError("an array of another kind than numbers and text")
    return message, np.frombuffer(data, dtype).reshape(message.shape)


def _exactly(peer: socket.socket, count: int) -> bytes:
    out = bytearray()
    while len(out) < count:
        part = peer.recv(min(count - len(out), 1 << 20))
        if not part:
            raise EOFError("the other side closed")
        out += part
    return bytes(out)
