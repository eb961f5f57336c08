"""HTTP/1.1 as the guard writes it: the head of a reply, a piece of its body."""

from __future__ import annotations

from http import HTTPStatus

from sealwright.serve.messages import Reply

CLOSE = (b"connection", b"close")
CHUNKED, LAST_CHUNK = (b"transfer-encoding", b"chunked"), b"0\r\n\r\n"
_STATUS = {one.value: b"HTTP/1.1 %d %s" % (one.value, one.phrase.encode()) for one in HTTPStatus}


def encoded(reply: Reply) -> bytes:
    """A reply as HTTP/1.1 bytes, after which the connection closes."""
    length = (b"content-length", b"%d" % len(reply.body))
    return head_of(reply.status, (*reply.headers, length, CLOSE)) + reply.body


def head_of(status: int, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """A reply's head. Raises: ValueError (a header would be two)."""
    lines = [_STATUS[status], *map(b": ".join, headers), b"", b""]
    head = b"\r\n".join(lines)
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
        raise ValueError("a header holds a line break")
    return head
