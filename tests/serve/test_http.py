"""HTTP as strangers speak it: what floods, drips, smuggles or upgrades is bounded and refused."""

import asyncio
import json
import socket
import threading
from types import SimpleNamespace

import pytest
from serve_house import Chain, body_of, halves

pytest.importorskip("uvicorn", reason="needs the extra serve")

from sealwright.serve.gateway import Gateway, Limits
from sealwright.serve.listener import server_of
from sealwright.serve.messages import Reply

LIMITS = Limits(
    head_bytes=2_000,
    body_bytes=5_000,
    head_s=0.4,
    body_s=0.4,
    idle_s=2.0,
    requests=2,
    connections=6,
)
BODY = json.dumps(body_of()).encode()
POST = b"POST /v2/models/toy/infer HTTP/1.1\r\nHost: 127.0.0.1\r\n"
WHOLE = POST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY


class Running:
    """A gateway over a chain in memory, on a real socket, in a thread of its own."""

    def __init__(self, chain=None) -> None:
        self.chain = chain or Chain()
        self.gateway = Gateway(self.chain.front, LIMITS, self.chain.journal.count)
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(16)
        self.port = self.sock.getsockname()[1]
        self.server = server_of(self.gateway, 1)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        asyncio.run(self.server.serve(sockets=[self.sock]))

    def say(self, *parts, gap_s=0.0, most_s=20.0, shut=False):
        """Everything that comes back until the server closes."""
        import time

        with socket.create_connection(("127.0.0.1", self.port), timeout=most_s) as peer:
            for part in parts:
                try:
                    peer.sendall(part)
                except OSError:
                    break
                time.sleep(gap_s)
            if shut:
                peer.shutdown(socket.SHUT_WR)
            out = b""
            try:
                while part := peer.recv(1 << 16):
                    out += part
            except OSError:
                pass
            return out

    def in_turn(self, *requests):
        """The reply to each, asked once the one before is there."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as peer:
            out = []
            for request in requests:
                peer.sendall(request)
                out.append(peer.recv(1 << 16))
            return out

    def stop(self):
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def running():
    made = Running()
    yield made
    made.stop()


def closing(request):
    return request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)


def rules(said):
    return [
        line.split(b": ")[1].decode()
        for line in said.split(b"\r\n")
        if line.startswith(b"seal-rule")
    ]


def test_a_plain_request_is_answered(running):
    said = running.say(closing(WHOLE))
    assert said.startswith(b"HTTP/1.1 200")
    assert b'"probabilities"' in said, "the kernel says that this connection is the owner's own"


REFUSED = [
    (b"GET / HTTP/1.1\r\n" + b"X-A: %s\r\n" % (b"a" * 3000) + b"\r\n", "guard.headers"),
    (b"GET / HTTP/1.1\r\n" + b"".join(b"x%d: y\r\n" % n for n in range(500)), "guard.headers"),
    (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", "guard.headers"),
    (POST + b"Content-Length: 6000\r\n\r\n", "guard.too-large"),
    (
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1389\r\n" + b"a" * 5001 + b"\r\n10\r\n",
        "guard.too-large",
    ),
    (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "guard.http"),
    (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", "guard.http"),
    (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "guard.header"),
    (POST + b"Content-Length: -1\r\n\r\n", "guard.http"),
    (POST + b"Content-Length: +5\r\n\r\nabcde", "guard.http"),
    (POST + b"Content-Length : 5\r\n\r\nabcde", "guard.http"),
    (POST + b"Host: other\r\n\r\n", "guard.header"),
    (POST + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", "guard.header"),
    (b"GET /v2 HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "guard.upgrade"),
    (
        b"GET /v2 HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
        "guard.upgrade",
    ),
    (b"GET /v2 HTTP/1.1\r\nUpgrade: x\r\n\r\n", "guard.upgrade"),
    (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "guard.upgrade"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "guard.http"),
    (b"GET /v2?x=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "guard.http"),
    (b"\x16\x03\x01\x02\x00\x01\x00", "guard.http"),
    (b"GET /v2\nHost: a\n\n", "guard.http"),
    (b"GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n", "guard.http"),
    (b"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n", "guard.http"),
    (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "guard.header"),
    (POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "guard.http"),
    (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", "guard.http"),
    (
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "guard.http",
    ),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n2\nab\n0\n\n", "guard.http"),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", "guard.http"),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n-2\r\nab\r\n0\r\n\r\n", "guard.http"),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n", "guard.http"),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n%s\r\nab" % (b"f" * 17), "guard.http"),
    (POST + b"Content-Length: 5, 5\r\n\r\nabcde", "guard.http"),
    (POST + b"Content-Length: 0x5\r\n\r\nabcde", "guard.http"),
    (POST + b"Content-Length: %s\r\n\r\n" % (b"9" * 30), "guard.http"),
    (b"POST /v2 HTTP/1.1\rHost: a\r\r", "guard.http"),
    (b"GET http://a/v2?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", "guard.http"),
    (b"GET /v2 HTTP/1.1\r\nX-A: b\rTransfer-Encoding: chunked\r\n\r\n", "guard.http"),
    (b"GET /v2 HTTP/1.1 \r\nHost: a\r\n\r\n", "guard.http"),
]


@pytest.mark.parametrize(("request_bytes", "rule"), REFUSED)
def test_what_can_be_read_in_two_ways_or_is_too_much_is_refused(running, request_bytes, rule):
    said = running.say(request_bytes)
    assert rules(said) == [rule], said[:300]
    assert b"connection: close" in said
    assert running.chain.ledger.settled == []


@pytest.mark.parametrize(("request_bytes", "rule"), REFUSED)
def test_it_is_refused_after_a_request_that_was_answered(running, request_bytes, rule):
    first, said = running.in_turn(WHOLE, request_bytes)
    assert first.startswith(b"HTTP/1.1 200")
    assert rules(said) == [rule], said[:300]
    assert len(running.chain.ledger.settled) == 1
    assert running.chain.journal.counted == [rule]


def test_a_header_that_drips_is_cut_off(running):
    said = running.say(b"GET / HT", b"TP/1.1\r\n", b"A: b\r\n", b"C: d\r\n", gap_s=0.15)
    assert rules(said) == ["guard.slow"]


def test_a_connection_that_says_nothing_is_cut_off(running):
    assert rules(running.say(b"")) == ["guard.slow"]


def test_a_body_that_drips_is_cut_off(running):
    said = running.say(POST + b"Content-Length: 50\r\n\r\n", b"a", b"b", b"c", gap_s=0.2)
    assert rules(said) == ["guard.slow"]


def test_a_second_request_before_the_answer_is_not_read(running):
    said = running.say(WHOLE + WHOLE + WHOLE)
    assert said.count(b"HTTP/1.1 200") == 1
    assert running.chain.journal.counted == ["guard.pipelined"]
    assert len(running.chain.ledger.settled) == 1


def test_one_connection_asks_many_times_in_turn(running):
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    for _ in range(3):
        connection.request("POST", "/v2/models/toy/infer", BODY)
        found = connection.getresponse()
        assert (found.status, bool(found.read())) == (200, True)
    connection.close()


def test_the_head_of_before_is_another_request_where_anything_but_its_length_differs(running):
    longer = json.dumps({**body_of(), "id": "1"}).encode()
    heads = [
        POST + b"Content-Length: %d\r\n\r\n",
        POST.replace(b"toy", b"boy") + b"Content-Length: %d\r\n\r\n",
        POST.replace(b"POST", b"HEAD") + b"Content-Length: %d\r\n\r\n",
        POST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n",
    ]
    asked = [head % len(body) + body for head in heads for body in (BODY, longer, BODY)]
    said = running.in_turn(*asked)
    assert [one.split(b" ")[1] for one in said] == [b"200"] * 3 + [b"404"] * 3 + [b"405"] * 3 + [
        b"415"
    ] * 3
    assert [b'"id":"1"' in one for one in said[:3]] == [False, True, False]


def test_after_a_request_two_at_once_are_one_too_many(running):
    first, said = running.in_turn(WHOLE, WHOLE + WHOLE)
    assert first.startswith(b"HTTP/1.1 200")
    assert running.chain.journal.counted == ["guard.pipelined"]
    assert said.count(b"HTTP/1.1 200") == 1


def test_a_request_in_pieces_after_a_whole_one_is_a_request(running):
    cut = len(WHOLE) - 20
    said = running.say(WHOLE, WHOLE[:cut], WHOLE[cut:], closing(WHOLE), gap_s=0.1)
    assert said.count(b"HTTP/1.1 200") == 3


def test_who_half_closes_after_a_whole_request_gets_the_answer(running):
    assert running.say(WHOLE, shut=True).startswith(b"HTTP/1.1 200")


def test_who_half_closes_within_a_request_costs_nothing(running):
    assert running.say(POST + b"Content-Length: 50\r\n\r\nabc", shut=True) == b""
    assert running.chain.ledger.settled == []


def test_a_chunked_body_is_a_body(running):
    chunked = POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n"
    assert running.say(chunked).startswith(b"HTTP/1.1 200")


def test_too_many_at_once_are_told_to_come_back():
    import time

    async def slow(batch):
        await asyncio.sleep(1.0)
        return await halves(batch)

    running = Running(Chain(slow))
    try:
        said: list[bytes] = []
        threads = [
            threading.Thread(target=lambda: said.append(running.say(closing(WHOLE))))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
            time.sleep(0.05)
        for thread in threads:
            thread.join()
        codes = sorted(one[9:12] for one in said)
        assert codes == [b"200", b"200", b"503", b"503"]
        assert running.chain.journal.counted == ["guard.busy"] * 2
    finally:
        running.stop()


def test_too_many_connections_are_not_kept(running):
    import socket

    held = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(6)]
    try:
        assert rules(running.say(b"")) == ["guard.busy"]
    finally:
        for one in held:
            one.close()


def test_a_fault_is_a_word_and_never_a_traceback():
    async def broken(batch):
        raise KeyError("a secret of the inside")

    said: list[str] = []
    running = Running(Chain(broken))
    running.gateway._say = said.append
    try:
        answer = running.say(closing(WHOLE))
        assert answer.startswith(b"HTTP/1.1 500")
        assert rules(answer) == ["guard.fault"]
        assert b"secret" not in answer
        assert said == ["fault: KeyError: 'a secret of the inside'"]
        assert running.chain.ledger.settled == [0]
    finally:
        running.stop()


def test_while_it_stops_nothing_new_is_answered(running):
    running.gateway.stopping = True
    assert rules(running.say(WHOLE)) == ["guard.stopping"]


def test_a_trailer_is_no_header(running):
    chunked = POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\nAuthorization: Bearer x\r\n\r\n"
    assert running.say(chunked).startswith(b"HTTP/1.1 200"), "or it would be an unknown key"
    assert rules(running.say(chunked.replace(b"Bearer x", b"a" * 3000))) == ["guard.headers"]


def test_a_connection_that_lies_idle_after_an_answer_is_closed_without_a_word(running):
    said = running.say(WHOLE)
    assert said.startswith(b"HTTP/1.1 200")
    assert said.count(b"HTTP/1.1") == 1
    assert running.chain.journal.counted == []


def test_a_request_in_the_absolute_form_is_the_same_request(running):
    said = running.say(closing(WHOLE.replace(b"POST /v2", b"POST http://127.0.0.1/v2", 1)))
    assert said.startswith(b"HTTP/1.1 200")


def test_a_body_that_wants_to_be_asked_for_is(running):
    wanting = closing(WHOLE).replace(b"\r\n", b"\r\nExpect: 100-continue\r\n", 1)
    said = running.say(wanting)
    assert said.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")


def test_a_head_has_no_body_and_old_http_ends_with_its_answer(running):
    said = running.say(b"HEAD /v2/health/live HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 405") and said.endswith(b"\r\n\r\n")
    assert b"connection: close" in running.say(b"GET /v2/health/live HTTP/1.0\r\n\r\n")


class Counting:
    """What was refused."""

    def count(self, rule):
        """Nothing is kept."""


class Streaming:
    """A front whose one reply is a stream; ``ended`` once that was closed."""

    def __init__(self, pieces) -> None:
        self.pieces, self.ended = pieces, threading.Event()

    async def handle(self, request):
        return Reply(200, b"", stream=self._stream())

    async def _stream(self):
        try:
            async for piece in self.pieces():
                yield piece
        finally:
            self.ended.set()

    def refusal(self, error, rule, *, close=False):
        return Reply(400, str(error).encode(), close=close)


@pytest.fixture
def streaming():
    made = []

    def of(pieces):
        front = Streaming(pieces)
        made.append(Running(chain=SimpleNamespace(front=front, journal=Counting())))
        return made[-1], front

    yield of
    for one in made:
        one.stop()


GET = b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def test_a_stream_comes_in_chunks_and_the_connection_goes_on(streaming):
    async def pieces():
        for piece in (b"one", b"", b"two"):
            yield piece

    running, front = streaming(pieces)
    again = GET + b"Connection: close\r\n\r\n"
    said = running.say(GET + b"\r\n", again, gap_s=0.2)
    assert said.count(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n") == 2
    assert front.ended.is_set()


def test_a_stream_to_a_client_of_http_1_0_ends_with_the_connection(streaming):
    async def pieces():
        yield b"one"
        yield b"two"

    running, _ = streaming(pieces)
    said = running.say(GET.replace(b"1.1", b"1.0") + b"\r\n")
    assert said.endswith(b"\r\n\r\nonetwo")
    assert b"chunked" not in said


def test_a_client_that_leaves_while_nothing_comes_ends_the_stream(streaming):
    async def pieces():
        yield b"one"
        await asyncio.sleep(60)

    running, front = streaming(pieces)
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as peer:
        peer.sendall(GET + b"\r\n")
        assert peer.recv(1)
    assert front.ended.wait(5)


def test_a_client_that_does_not_read_ends_the_stream(streaming):
    async def pieces():
        while True:
            yield b"a" * 100_000

    running, front = streaming(pieces)
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as peer:
        peer.sendall(GET + b"\r\n")
        assert front.ended.wait(10)
