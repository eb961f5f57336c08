"""The guard's own HTTP client: strict framing, a pool, limits, and a question asked once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from sealwright.adapters.upstream_http import Address, HttpUpstream, parse_address
from sealwright.adapters.upstream_wire import Limits, head_of
from sealwright.core.errors import BadInput, Unavailable

pytest.importorskip("httptools", reason="the extra 'serve' is not installed")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
QUICK = Limits(connect_s=1, head_s=2, piece_s=0.3, total_s=3)


class Server:
    """Answers each question with the next scripted bytes; None closes without a word."""

    def __init__(self, *answers: bytes | None, pause_s: float = 0) -> None:
        self.answers = list(answers)
        self.seen: list[bytes] = []
        self.connections = 0
        self.pause_s = pause_s

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = [x for x in head.lower().split(b"\r\n") if x.startswith(b"content-length")]
                body = await reader.readexactly(int(length[0].split(b":")[1]) if length else 0)
                self.seen.append(head + body)
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer is None:
                    break
                for at in range(0, len(answer), 7 if self.pause_s else len(answer)):
                    writer.write(answer[at : at + (7 if self.pause_s else len(answer))])
                    await writer.drain()
                    await asyncio.sleep(self.pause_s)
                if b"closes" in answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def behind(server: Handler, limits: Limits = QUICK) -> AsyncIterator[HttpUpstream]:
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    upstream = HttpUpstream(Address("127.0.0.1", port), limits, {b"authorization": b"Bearer own"})
    try:
        yield upstream
    finally:
        await upstream.close()
        listening.close()
        await asyncio.sleep(0.01)


def test_an_answer_comes_whole_and_its_connection_is_used_again() -> None:
    server = Server(OK)

    async def main() -> None:
        async with behind(server) as upstream:
            for _ in range(3):
                got = await upstream.ask("POST", "/x", b"{}", {b"content-type": b"text/json"})
                assert (got.status, got.body) == (200, b"ab")

    asyncio.run(main())
    assert server.connections == 1
    assert b"authorization: Bearer own\r\n" in server.seen[0]
    assert server.seen[0].endswith(b"\r\n\r\n{}")


def test_a_unix_socket_will_do(tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / "s")
        listening = await asyncio.start_unix_server(Server(OK), path)
        upstream = HttpUpstream(parse_address(f"unix:{path}"), QUICK)
        assert (await upstream.ask("GET", "/")).body == b"ab"
        await upstream.close()
        listening.close()

    asyncio.run(main())


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BAD = {
    "both lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nab\r\n0\r\n\r\n",
    "both, the other way": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2"
    b"\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "a length with a sign": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nab",
    "a folded header": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nab",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nab",
    "a blank before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nab",
    "a NUL": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nab",
    "a coding besides chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
    b"2\r\nab\r\n0\r\n\r\n",
    "chunked not last": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\nab",
    "no length at all": b"HTTP/1.1 200 OK\r\n\r\ncloses",
    "a chunk longer than it says": CHUNKED + b"2\r\nabc\r\n0\r\n\r\n",
    "chunks with bare line feeds": CHUNKED + b"2\nab\n0\n\n",
    "a chunk that is no number": CHUNKED + b"zz\r\nab\r\n0\r\n\r\n",
    "chunk extensions without end": CHUNKED + b"2;" + b"x" * 200_000 + b"\r\nab\r\n0\r\n\r\n",
    "compressed": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab",
    "an upgrade": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "two answers": OK + OK,
    "bytes after the answer": OK + b"GET / HTTP/1.1\r\n\r\n",
    "a head without end": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000,
    "headers without end": b"HTTP/1.1 200 OK\r\n" + b"X-Y: zzzzzzzzzzzzzzzz\r\n" * 9_000,
    "trailers without end": CHUNKED + b"0\r\n" + b"X-Y: zzzzzzzzzzzzzzzz\r\n" * 9_000,
    "interim answers without end": b"HTTP/1.1 100 Continue\r\n\r\n" * 50 + OK,
    "another protocol": b"SSH-2.0-OpenSSH_9.9\r\n",
    "HTTP/0.9": b"closes, and no head",
    "a length that is a lie": b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\ncloses",
    "chunks cut short": CHUNKED + b"6\r\ncloses\r\n",
    "larger than is taken": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nab",
    "larger in chunks than is taken": CHUNKED + (b"1000\r\n" + b"a" * 4096 + b"\r\n") * 80,
    "a chunk whose size overflows": CHUNKED + b"f" * 17 + b"\r\nab\r\n0\r\n\r\n",
    "a chunk with a signed size": CHUNKED + b"+2\r\nab\r\n0\r\n\r\n",
    "two lengths that agree": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2"
    b"\r\n\r\nab",
    "lengths in a list": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nab",
    "chunked twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked"
    b"\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "a body where none may be": b"HTTP/1.1 204 No Content\r\n\r\nab",
    "an interim answer with a body": b"HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\nab"
    + OK,
    "not a word": None,
}


@pytest.mark.parametrize("how", BAD)
def test_an_answer_that_is_framed_wrongly_is_none(how: str) -> None:
    async def main() -> None:
        limits = msgspec.structs.replace(QUICK, body_bytes=300_000)
        async with behind(Server(BAD[how]), limits) as upstream:
            with pytest.raises(Unavailable):
                await upstream.ask("POST", "/", b"{}")

    asyncio.run(main())


@pytest.mark.parametrize("how", BAD)
def test_it_is_none_after_an_answer_that_was_good(how: str) -> None:
    async def main() -> None:
        limits = msgspec.structs.replace(QUICK, body_bytes=300_000)
        async with behind(Server(OK, BAD[how]), limits) as upstream:
            assert (await upstream.ask("POST", "/", b"{}")).body == b"ab"
            with pytest.raises(Unavailable):
                await upstream.ask("POST", "/", b"{}")

    asyncio.run(main())


def test_answers_with_the_head_of_before_are_each_their_own() -> None:
    heads = [
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: a\r\n\r\n%s",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: b\r\n\r\n%s",
        b"HTTP/1.1 400 No\r\nContent-Length: %d\r\nContent-Type: b\r\n\r\n%s",
    ]
    bodies = [b"ab", b"c", b"", b"d" * 300]
    server = Server(*(head % (len(body), body) for head in heads for body in bodies))

    async def main() -> None:
        async with behind(server) as upstream:
            for status, kind in ((200, b"a"), (200, b"b"), (400, b"b")):
                for body in bodies:
                    got = await upstream.ask("POST", "/")
                    assert (got.status, got.body) == (status, body)
                    length = b"%d" % len(body)
                    assert got.headers == {b"content-length": length, b"content-type": kind}

    asyncio.run(main())
    assert server.connections == 1


GOOD = {
    "chunked": CHUNKED + b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n",
    "a chunk extension": CHUNKED + b"2;a=b\r\nab\r\n0\r\n\r\n",
    "a trailer": CHUNKED + b"2\r\nab\r\n0\r\nX-T: 1\r\n\r\n",
    "continue first": b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    "HTTP/1.0 with a length": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab",
}


@pytest.mark.parametrize("how", GOOD)
@pytest.mark.parametrize("pause_s", [0, 0.001])
def test_an_answer_that_is_framed_well_is_taken(how: str, pause_s: float) -> None:
    async def main() -> None:
        async with behind(Server(GOOD[how], pause_s=pause_s)) as upstream:
            assert (await upstream.ask("POST", "/", b"{}")).body == b"ab"

    asyncio.run(main())


def test_a_question_with_a_body_is_never_asked_twice() -> None:
    server = Server(OK, None, OK)

    async def main() -> None:
        async with behind(server) as upstream:
            await upstream.ask("POST", "/", b"1")
            with pytest.raises(Unavailable):
                await upstream.ask("POST", "/", b"2")

    asyncio.run(main())
    assert len(server.seen) == 2


def test_one_that_only_reads_is_asked_again_where_a_kept_connection_died() -> None:
    server = Server(OK, None, OK)

    async def main() -> None:
        async with behind(server) as upstream:
            await upstream.ask("GET", "/")
            assert (await upstream.ask("GET", "/")).body == b"ab"

    asyncio.run(main())
    assert server.connections == 2


def test_a_connection_that_was_closed_while_it_lay_idle_is_not_used() -> None:
    server = Server(OK[:-2] + b"ab", OK)

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        writer.close()

    async def main() -> None:
        async with behind(once) as upstream:
            for _ in range(3):
                await upstream.ask("POST", "/")
                await asyncio.sleep(0.05)

    asyncio.run(main())
    assert server.connections == 3


def test_a_server_that_hangs_is_given_up() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def main() -> None:
        async with behind(hang, Limits(head_s=0.1)) as upstream:
            with pytest.raises(Unavailable) as caught:
                await upstream.ask("POST", "/")
            assert "longer than 0.1 s" in caught.value.why

    asyncio.run(main())


def test_a_server_that_is_not_there_is_named() -> None:
    async def main() -> None:
        with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:1 cannot be reached"):
            await HttpUpstream(Address("127.0.0.1", 1), QUICK).ask("GET", "/")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("answer", "pause_s", "whole"),
    [
        (CHUNKED + b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n", 0.001, True),
        (CHUNKED + b"3\r\nabc\r\n6\r\ncloses\r\n", 0.001, False),
        (CHUNKED + b"3\r\nabc\r\n", 0, False),
    ],
)
def test_a_stream_comes_in_pieces_and_half_of_one_is_told(
    answer: bytes, pause_s: float, whole: bool
) -> None:
    async def main() -> bytes:
        got = b""
        async with behind(Server(answer, pause_s=pause_s)) as upstream:
            stream = await upstream.open("POST", "/")
            try:
                async for piece in stream.pieces():
                    got += piece
                assert whole
            except Unavailable:
                assert not whole
        return got

    assert asyncio.run(main()).startswith(b"abc")


def test_more_than_the_pool_holds_wait_their_turn() -> None:
    server = Server(OK, pause_s=0.002)

    async def main() -> None:
        async with behind(server, Limits(connections=2)) as upstream:
            got = await asyncio.gather(*(upstream.ask("POST", "/") for _ in range(12)))
            assert {each.body for each in got} == {b"ab"}

    asyncio.run(main())
    assert server.connections <= 2


def test_a_stream_that_is_let_go_early_ends_its_connection() -> None:
    server = Server(CHUNKED + b"3\r\nabc\r\n" * 50, OK)

    async def main() -> None:
        async with behind(server) as upstream:
            stream = await upstream.open("POST", "/")
            stream.close()
            assert (await upstream.ask("POST", "/")).body == b"ab"

    asyncio.run(main())
    assert server.connections == 2


@pytest.mark.parametrize(
    "text",
    ["ftp://a", "http://", "http://a/path", "http://u@a", "a:80", "http://a:99999", "unix:x"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_address(text)


def test_addresses() -> None:
    assert str(parse_address("http://[::1]:8000")) == "http://[::1]:8000"
    assert str(parse_address("https://models.example")) == "https://models.example:443"
    assert str(parse_address("unix:/run/a.sock")) == "unix:/run/a.sock"


def test_a_header_cannot_bring_another() -> None:
    with pytest.raises(Unavailable):
        head_of("GET", "/", "h", {b"authorization": b"x\r\nx-y: z"})
