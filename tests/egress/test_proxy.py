import socket
import ssl

import pytest
from egress_house import HOST, FakeHost, Names, contexts, proxy

from sealwright.core.errors import BadInput, Refused
from sealwright.train import egress
from sealwright.train.egress import Rule


def local(port: int, **more) -> Rule:
    return Rule(HOST, **({"ports": (port,), "private": True} | more))


def test_a_granted_host_answers_and_is_counted(tmp_path, web):
    with proxy(tmp_path, local(web.port)) as client:
        answer = client.get(f"http://{HOST}:{web.port}/x", f"{HOST}:{web.port}")
    assert answer.endswith(b"hello")
    line = client.lines()[(HOST, "")]
    assert (line.verdict, line.attempts) == ("allowed", 1)
    assert line.up_bytes > 0 and line.down_bytes >= len(b"hello")
    assert web.requests[0][:2] == ("GET", "/x")


def test_a_tunnel_carries_bytes_both_ways(tmp_path, web):
    with proxy(tmp_path, local(web.port)) as client, client.connect() as one:
        one.sendall(
            f"CONNECT {HOST}:{web.port} HTTP/1.1\r\nHost: {HOST}:{web.port}\r\n\r\n".encode()
        )
        assert one.recv(200).startswith(b"HTTP/1.1 200")
        one.sendall(b"GET /in HTTP/1.0\r\n\r\n")
        got = b""
        while more := one.recv(4096):
            got += more
    assert got.endswith(b"hello")


ATTACKS = {
    "another host": ("http://other.example.org/", "other.example.org"),
    "a longer suffix": (f"http://{HOST}.evil.example/", f"{HOST}.evil.example"),
    "a longer prefix": (f"http://evil{HOST}/", f"evil{HOST}"),
    "a subdomain": (f"http://x.{HOST}/", f"x.{HOST}"),
    "upper case": (f"http://{HOST.upper()}/", HOST.upper()),
    "a trailing dot": (f"http://{HOST}./", f"{HOST}."),
    "userinfo": (f"http://{HOST}@127.0.0.1/", HOST),
    "userinfo the other way": (f"http://user:pw@{HOST}/", HOST),
    "an address": ("http://127.0.0.1/", "127.0.0.1"),
    "an address in decimal": ("http://2130706433/", "2130706433"),
    "an address in hex": ("http://0x7f000001/", "0x7f000001"),
    "a short address": ("http://127.1/", "127.1"),
    "an octal address": ("http://0177.0.0.1/", "0177.0.0.1"),
    "an IPv6 loopback": ("http://[::1]/", "[::1]"),
    "an IPv6 address that wraps IPv4": ("http://[::ffff:127.0.0.1]/", "[::ffff:127.0.0.1]"),
    "a homograph": ("http://\u0430pi.example.org/", "\u0430pi.example.org"),
    "an escaped name": ("http://%61pi.example.org/", "%61pi.example.org"),
    "a backslash": (f"http://{HOST}\\@evil.example/", HOST),
    "a fragment": (f"http://evil.example#@{HOST}/", HOST),
    "another scheme": (f"ftp://{HOST}/", HOST),
    "no scheme": ("/", HOST),
    "https in the clear": (f"https://{HOST}/", HOST),
    "an empty port": (f"http://{HOST}:/", HOST),
    "a port with a sign": (f"http://{HOST}:+80/", HOST),
    "a huge port": (f"http://{HOST}:65616/", f"{HOST}:65616"),
    "an ungranted port": (f"http://{HOST}:22/", f"{HOST}:22"),
    "another Host": (f"http://{HOST}/", "evil.example"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_but_the_exact_host_is_reached(tmp_path, attack):
    url, host = ATTACKS[attack]
    names = Names(evil_example=["127.0.0.1"])
    with proxy(tmp_path, Rule(HOST, (80,), private=True), names=names) as client:
        answer = client.get(url, host)
        (line,) = client.opening.traffic.lines()
    assert answer.startswith(b"HTTP/1.1 403")
    assert (line.verdict, line.up_bytes, line.down_bytes) == ("denied", 0, 0)
    assert names.asked == []


HEADS = {
    "two Hosts": "GET http://{h}/ HTTP/1.1\r\nHost: {h}\r\nHost: {h}\r\n\r\n",
    "no Host": "GET http://{h}/ HTTP/1.1\r\n\r\n",
    "a length and a coding": "POST http://{h}/ HTTP/1.1\r\nHost: {h}\r\nContent-Length: 4\r\n"
    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": "POST http://{h}/ HTTP/1.1\r\nHost: {h}\r\nContent-Length: 4\r\n"
    "Content-Length: 5\r\n\r\nabcd",
    "a signed length": "POST http://{h}/ HTTP/1.1\r\nHost: {h}\r\nContent-Length: +4\r\n\r\nabcd",
    "a list of lengths": "POST http://{h}/ HTTP/1.1\r\nHost: {h}\r\n"
    "Content-Length: 4, 4\r\n\r\nabcd",
    "an unknown coding": "POST http://{h}/ HTTP/1.1\r\nHost: {h}\r\n"
    "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two codings": "POST http://{h}/ HTTP/1.1\r\nHost: {h}\r\n"
    "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a blank before the colon": "GET http://{h}/ HTTP/1.1\r\nHost : {h}\r\n\r\n",
    "a folded line": "GET http://{h}/ HTTP/1.1\r\nHost: {h}\r\nX: a\r\n b\r\n\r\n",
    "a bare line feed": "GET http://{h}/ HTTP/1.1\r\nHost: {h}\r\nX: a\nHost: evil\r\n\r\n",
    "a bare carriage return": "GET http://{h}/ HTTP/1.1\r\nHost: {h}\r\nX: a\rHost: evil\r\n\r\n",
    "a zero byte": "GET http://{h}/ HTTP/1.1\r\nHost: {h}\r\nX: a\0b\r\n\r\n",
    "a blank in the target": "GET http://{h}/ HTTP/1.1 HTTP/1.1\r\nHost: {h}\r\n\r\n",
    "HTTP/2 in the clear": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an old version": "GET http://{h}/ HTTP/0.9\r\nHost: {h}\r\n\r\n",
    "a small method": "get http://{h}/ HTTP/1.1\r\nHost: {h}\r\n\r\n",
    "a tunnel with a body": "CONNECT {h}:80 HTTP/1.1\r\nHost: {h}:80\r\n"
    "Content-Length: 3\r\n\r\nabc",
    "a tunnel without a port": "CONNECT {h} HTTP/1.1\r\nHost: {h}\r\n\r\n",
    "a tunnel to another Host": "CONNECT {h}:80 HTTP/1.1\r\nHost: evil.example:80\r\n\r\n",
    "garbage": "\x16\x03\x01\x02\r\n\r\n",
}


@pytest.mark.parametrize("head", HEADS)
def test_what_two_readers_could_read_differently_is_refused(tmp_path, head):
    names = Names()
    with proxy(tmp_path, Rule(HOST, (80,), private=True), names=names) as client:
        answer = client.raw(HEADS[head].format(h=HOST).encode("latin-1"))
    assert answer.startswith(b"HTTP/1.1 403")
    assert names.asked == []


def test_a_second_request_behind_the_first_is_never_sent_on(tmp_path, web):
    named = f"{HOST}:{web.port}"
    one = f"POST http://{named}/a HTTP/1.1\r\nHost: {named}\r\nContent-Length: 3\r\n\r\nabc"
    two = f"GET http://{named}/smuggled HTTP/1.1\r\nHost: {named}\r\n\r\n"
    with proxy(tmp_path, local(web.port)) as client:
        client.raw((one + two).encode())
    assert [(path, body) for _, path, _, body in web.requests] == [("/a", b"abc")]


def test_a_chunked_body_is_written_anew_and_one_with_an_extension_is_cut(tmp_path, web):
    one = f"POST http://{HOST}:{web.port}/c HTTP/1.1\r\nHost: {HOST}:{web.port}\r\n"
    one += "Transfer-Encoding: chunked\r\n\r\n"
    with proxy(tmp_path, local(web.port)) as client:
        assert client.raw(f"{one}3\r\nabc\r\n0\r\n\r\n".encode()).endswith(b"hello")
        client.raw(f"{one}3;x=y\r\nabc\r\n0\r\n\r\n".encode())
        assert (HOST, "egress.malformed") in client.lines()
    assert [body for *_, body in web.requests] == [b"abc"]


def test_hop_headers_and_a_proxys_password_do_not_travel(tmp_path, web):
    extra = (
        "Proxy-Authorization: Basic x\r\nConnection: keep-alive\r\nUpgrade: h2c\r\nX-Mine: 1\r\n"
    )
    with proxy(tmp_path, local(web.port)) as client:
        client.get(f"http://{HOST}:{web.port}/", f"{HOST}:{web.port}", extra=extra)
    headers = web.requests[0][2]
    assert headers["X-Mine"] == "1" and headers["Connection"] == "close"
    assert not {"Proxy-Authorization", "Upgrade"} & set(headers)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1",
     "0.0.0.0", "224.0.0.1", "240.0.0.1", "::1", "fe80::1", "fc00::1", "::ffff:127.0.0.1",
     "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::"],
)  # fmt: skip
def test_a_name_that_points_inside_is_refused(tmp_path, address):
    names = Names()
    names.table[HOST] = [address]
    with proxy(tmp_path, Rule(HOST, (80,)), names=names) as client:
        assert client.get(f"http://{HOST}/", HOST).startswith(b"HTTP/1.1 403")
        assert (HOST, "egress.address") in client.lines()


def test_one_inner_address_among_public_ones_is_refused(tmp_path):
    names = Names()
    names.table[HOST] = ["93.184.216.34", "10.0.0.1"]
    with proxy(tmp_path, Rule(HOST, (80,)), names=names) as client:
        client.get(f"http://{HOST}/", HOST)
        assert (HOST, "egress.address") in client.lines()


def test_a_metadata_service_is_not_reached_by_a_private_grant(tmp_path):
    names = Names()
    names.table[HOST] = ["169.254.169.254"]
    with proxy(tmp_path, Rule(HOST, (80,), private=True), names=names) as client:
        client.get(f"http://{HOST}/", HOST)
        assert (HOST, "egress.address") in client.lines()


def test_the_address_that_was_checked_is_the_one_connected_to(tmp_path, web, monkeypatch):
    """A rebinding name answers differently the second time: there is no second time."""
    names = Names()
    dialled = []
    real = socket.create_connection

    def dial(address, *rest):
        dialled.append(address)
        return real(address, *rest)

    monkeypatch.setattr(socket, "create_connection", dial)
    with proxy(tmp_path, local(web.port), names=names) as client:
        client.get(f"http://{HOST}:{web.port}/", f"{HOST}:{web.port}")
    assert names.asked == [HOST] and dialled == [("127.0.0.1", web.port)]


def test_a_method_that_was_not_granted_is_refused_and_a_tunnel_that_hides_it_too(tmp_path, web):
    with proxy(tmp_path, local(web.port, methods=("GET",))) as client:
        url, host = f"http://{HOST}:{web.port}/", f"{HOST}:{web.port}"
        assert client.get(url, host).startswith(b"HTTP/1.0 200")
        assert client.get(url, host, "DELETE").startswith(b"HTTP/1.1 403")
        assert client.raw(f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).startswith(
            b"HTTP/1.1 403"
        )
        assert client.lines()[(HOST, "egress.method")].attempts == 2
    assert len(web.requests) == 1


def test_a_host_is_cut_off_at_its_byte_budget(tmp_path, sink):
    with proxy(tmp_path, local(sink.port, budget=200_000)) as client:
        with client.connect() as one:
            one.sendall(f"CONNECT {HOST}:{sink.port} HTTP/1.0\r\n\r\n".encode())
            one.recv(200)
            with pytest.raises(OSError, match=r"reset|pipe|abort"):
                while True:
                    one.sendall(b"x" * 50_000)
        again = client.get(f"http://{HOST}:{sink.port}/", f"{HOST}:{sink.port}")
        assert again.startswith(b"HTTP/1.1 403")
        assert (HOST, "egress.budget") in client.lines()
    assert 0 < len(sink.received) <= 200_000


def test_what_comes_down_counts_too(tmp_path):
    big = FakeHost(answer=b"y" * 300_000)
    try:
        with proxy(tmp_path, local(big.port, budget=100_000)) as client:
            got = client.get(f"http://{HOST}:{big.port}/", f"{HOST}:{big.port}")
            assert (HOST, "egress.budget") in client.lines()
    finally:
        big.close()
    assert len(got) <= 100_000


def test_a_production_endpoint_is_refused_even_if_it_is_granted(tmp_path):
    with pytest.raises(Refused) as refused, proxy(tmp_path, Rule(HOST), production=["example.org"]):
        pass
    assert refused.value.rule == "egress.production"


def test_another_name_of_a_production_endpoint_is_refused(tmp_path, web):
    names = Names(db_prod_internal=["127.0.0.1"])
    with proxy(tmp_path, local(web.port), names=names, production=["db.prod.internal"]) as client:
        client.get(f"http://{HOST}:{web.port}/", f"{HOST}:{web.port}")
        assert (HOST, "egress.production") in client.lines()
    assert web.requests == []


def test_the_proxy_carries_tls_and_adds_the_secret_that_the_room_never_sees(tmp_path):
    server, trust = contexts(tmp_path)
    host = FakeHost(server)
    secrets = {"API_TOKEN": "s3cr3t-value-0123456789"}
    rule = local(host.port, tls=True, secret="API_TOKEN")
    try:
        with proxy(tmp_path, rule, secrets=secrets, trust=trust) as client:
            named = f"{HOST}:{host.port}"
            answer = client.get(f"http://{named}/headers", named, extra="Authorization: mine\r\n")
    finally:
        host.close()
    assert host.requests[0][2]["Authorization"] == "Bearer s3cr3t-value-0123456789"
    assert b"200 OK" in answer and b"Authorization: " in answer
    assert b"s3cr3t" not in answer and b"mine" not in answer


def test_a_host_with_another_certificate_gets_no_secret(tmp_path):
    server, trust = contexts(tmp_path, "other.example.org")
    host = FakeHost(server)
    rule = local(host.port, tls=True, secret="API_TOKEN")
    try:
        with proxy(tmp_path, rule, secrets={"API_TOKEN": "s3cr3t-value"}, trust=trust) as client:
            named = f"{HOST}:{host.port}"
            assert client.get(f"http://{named}/", named).startswith(b"HTTP/1.1 502")
    finally:
        host.close()
    assert host.requests == []


def test_a_secret_is_never_added_in_the_clear():
    with pytest.raises(Refused) as refused:
        egress.check([Rule(HOST, secret="API_TOKEN")])
    assert refused.value.rule == "egress.secret-in-clear"


@pytest.mark.parametrize(
    "text",
    ["*.example.org", "https://example.org", "Example.org", "example.org.", "a@b.org", "b.org/x",
     "127.1", "0x7f.1", "bücher.example", "example.org:0", "example.org:99999", "", "a..b",
     "-a.org", "probe.invalid", "01.2.3.4"],
)  # fmt: skip
def test_a_grant_that_is_not_one_exact_host_is_refused(text):
    with pytest.raises(BadInput):
        egress.parse(text)


def test_names_that_a_script_invents_do_not_fill_the_record(tmp_path):
    with proxy(tmp_path, Rule(HOST, (80,))) as client:
        for number in range(60):
            client.get(f"http://x{number}.example.net/", f"x{number}.example.net")
        lines = client.opening.traffic.lines()
    assert len(lines) <= 41
    assert sum(line.attempts for line in lines) == 60


def test_the_socket_is_gone_with_the_run(tmp_path):
    with proxy(tmp_path, Rule(HOST)) as client:
        path = client.opening.socket
        assert path.exists()
    assert not path.exists()


def test_a_tls_client_goes_through_the_tunnel_end_to_end(tmp_path):
    server, trust = contexts(tmp_path)
    host = FakeHost(server)
    try:
        with proxy(tmp_path, local(host.port)) as client, client.connect() as one:
            one.sendall(f"CONNECT {HOST}:{host.port} HTTP/1.0\r\n\r\n".encode())
            assert one.recv(100).startswith(b"HTTP/1.1 200")
            with trust.wrap_socket(one, server_hostname=HOST) as secure:
                secure.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert isinstance(secure, ssl.SSLSocket)
                assert secure.recv(4096).startswith(b"HTTP/1.0 200")
    finally:
        host.close()


def test_a_tunnel_still_open_at_the_end_is_counted(tmp_path, sink):
    with proxy(tmp_path, local(sink.port)) as client:
        one = client.connect()
        one.sendall(f"CONNECT {HOST}:{sink.port} HTTP/1.0\r\n\r\n".encode())
        one.recv(100)
        one.sendall(b"x" * 1000)
        assert sink.heard(1000)
    one.close()
    line = client.lines()[(HOST, "")]
    assert (line.verdict, line.up_bytes) == ("allowed", 1000)


def test_a_second_address_is_tried_where_the_first_does_not_answer(tmp_path, web):
    names = Names()
    names.table[HOST] = ["127.0.0.2", "127.0.0.1"]
    with proxy(tmp_path, local(web.port), names=names) as client:
        named = f"{HOST}:{web.port}"
        assert client.get(f"http://{named}/", named).endswith(b"hello")


def test_a_long_name_is_cut_in_the_record(tmp_path):
    name = ".".join(["a" * 60] * 4)
    with proxy(tmp_path, Rule(HOST, (80,))) as client:
        client.get(f"http://{name}/", name)
        (line,) = client.opening.traffic.lines()
    assert len(line.host) == 101


def test_a_secret_in_a_name_is_not_recorded(tmp_path):
    with proxy(tmp_path, Rule(HOST, (80,)), secrets={"TEAM": "hunter2hunter2"}) as client:
        client.get("http://hunter2hunter2.example.net/", "hunter2hunter2.example.net")
        (line,) = client.opening.traffic.lines()
    assert line.host == "[redacted:TEAM].example.net"
