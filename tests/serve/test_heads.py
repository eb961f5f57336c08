"""A head that came before is not parsed again: what is taken for one the parser reads alike."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwright.serve.heads import body_at, head_of

httptools = pytest.importorskip("httptools", reason="needs the extra serve")

HEADS = (
    "POST /v2/models/toy/infer HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\nX: y\r\n\r\n",
    "POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n",
    "POST / HTTP/1.1\r\nX: Content-Length: 7\r\nContent-length: {}\r\n\r\n",
    "HTTP/1.1 200 OK\r\nserver: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
)
BODY = st.binary(max_size=20) | st.just(b"\r\n\r\nContent-Length: 3\r\n\r\nabc")


class Seen:
    """What the parser makes of bytes: messages of a head and a body."""

    def __init__(self) -> None:
        self.messages: list[tuple[list[tuple[bytes, bytes]], bytes]] = []

    def on_message_begin(self) -> None:
        self.head: list[tuple[bytes, bytes]] = []
        self.body = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self.head.append((name.lower(), value))

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        plain = [one for one in self.head if one[0] != b"content-length"]
        self.messages.append((plain, self.body))


def parsed(data: bytes) -> list[tuple[list[tuple[bytes, bytes]], bytes]]:
    seen = Seen()
    kind = httptools.HttpResponseParser if data[:5] == b"HTTP/" else httptools.HttpRequestParser
    kind(seen).feed_data(data)
    return seen.messages


def whole(head: str, body: bytes) -> bytes:
    return head.format(len(body)).encode() + body


@given(st.sampled_from(HEADS), BODY, BODY)
def test_the_same_head_with_another_length_is_known(head: str, one: bytes, other: bytes) -> None:
    met, data = head_of(whole(head, one), len(one)), whole(head, other)
    assert met is not None
    assert data[body_at(met, data) :] == other


@given(st.sampled_from(HEADS), BODY, BODY, st.data())
def test_what_is_taken_for_the_same_head_the_parser_reads_so(
    head: str, one: bytes, other: bytes, drawn: Any
) -> None:
    first, second = whole(head, one), bytearray(whole(head, other))
    for _ in range(drawn.draw(st.integers(1, 3))):
        at = drawn.draw(st.integers(0, len(second)))
        second[at : at + drawn.draw(st.integers(0, 2))] = drawn.draw(
            st.binary(max_size=2) | st.sampled_from([b"0", b"9", b" ", b"\r\n", b"\r\n\r\n"])
        )
    met, data = head_of(first, len(one)), bytes(second)
    assert met is not None
    at = body_at(met, data)
    if at >= 0:
        ((given_head, _),) = parsed(first)
        assert parsed(data) == [(given_head, data[at:])]


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nContent-Length:2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nContent-Length: 2 \r\n\r\nab",
        b"POST / HTTP/1.1\r\nContent-Length: 000000002\r\n\r\nab",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\na",
    ],
)
def test_a_head_that_is_not_plain_is_not_kept(data: bytes) -> None:
    assert head_of(data, 2) is None
