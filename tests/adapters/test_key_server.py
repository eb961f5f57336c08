"""The key service as its users meet it: who may ask, what it writes down, and how it fails."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from sealwright.adapters import kms_record, kms_wire, tls, tls_authority, witness_http
from sealwright.adapters.keyring_file import Keyring
from sealwright.adapters.kms_client import KmsClient, ServiceAddress, parse_service
from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.kms_record import UseRecord, chained
from sealwright.adapters.kms_server import KeyServer
from sealwright.adapters.kms_wire import Answer, Question
from sealwright.adapters.witness_address import parse_address
from sealwright.adapters.witness_home import WitnessHome
from sealwright.adapters.witness_server import WitnessServer
from sealwright.core.errors import BadInput, Refused, Unavailable, VerifyError
from sealwright.evidence.keys import load_public
from sealwright.vault.acting import acting
from sealwright.vault.root import LEAST

NOW = datetime.now(UTC)


@contextmanager
def serving(home, listen, uids=None, files=None, idle_s=5.0):
    if not (home / "root.json").exists():
        FileKms.initialize(home, None, LEAST)
    record = UseRecord(home)
    server = KeyServer(
        FileKms.open(home, None),
        "w1",
        record,
        listen=listen,
        uids=frozenset({os.geteuid()}) if uids is None else uids,
        files=files,
        stamp=lambda: "2026-01-01T00:00:00Z",
        idle_s=idle_s,
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        record.close()


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "socket"


@contextmanager
def client(path, workspace="w1", **more):
    made = KmsClient(ServiceAddress(socket=str(path)), workspace, **more)
    try:
        yield made
    finally:
        made.close()


def test_every_use_is_written_down_with_who_what_for_and_about_what(home, path):
    with serving(home, path), client(path, principal="ada") as kms:
        kms.create("data:a")
        wrapped = kms.wrap("data:a", b"s", b"ctx")
        with acting(purpose="fraud-model", artifact="data:a@1"):
            kms.unwrap("data:a", wrapped, b"ctx")
        with pytest.raises(VerifyError):
            kms.unwrap("data:a", wrapped, b"other")
        kms.switch("data:a", on=False)
        with pytest.raises(Refused):
            kms.unwrap("data:a", wrapped, b"ctx")
    uses = [use for use, _ in chained(home / kms_record.NAME)]
    assert [(u.operation, u.outcome) for u in uses] == [
        ("unwrap", "done"),
        ("unwrap", "keys.unwrap-failed"),
        ("disable", "done"),
        ("unwrap", "keys.disabled"),
    ]
    first = uses[0]
    assert (first.peer, first.principal) == (f"uid {os.geteuid()}", "ada")
    assert (first.purpose, first.artifact, first.context) == ("fraud-model", "data:a@1", "ctx")


def test_a_record_that_was_edited_cut_or_reordered_is_refused(home, path):
    with serving(home, path), client(path) as kms:
        kms.create("data:a")
        for _ in range(5):
            kms.derive("data:a", b"x")
    log = home / kms_record.NAME
    lines = log.read_bytes().splitlines(keepends=True)
    for bad in (
        [*lines[:2], *lines[3:]],
        [lines[1], lines[0], *lines[2:]],
        [lines[0].replace(b"uid", b"UID"), *lines[1:]],
        lines[1:],
    ):
        log.write_bytes(b"".join(bad))
        with pytest.raises(VerifyError):
            UseRecord(home)
    log.write_bytes(b"".join(lines)[:-10])
    again = UseRecord(home)
    again.close()
    assert len(list(chained(log))) == 4


def test_a_service_that_cannot_write_gives_no_key_away(home, path, monkeypatch):
    with serving(home, path), client(path) as kms:
        kms.create("data:a")
        wrapped = kms.wrap("data:a", b"s", b"c")
        real = os.write

        def full(fd, data):
            if b"unwrap" in bytes(data):
                raise OSError(28, "No space left on device")
            return real(fd, data)

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            with pytest.raises(Unavailable, match="write down"):
                kms.unwrap("data:a", wrapped, b"c")
        assert kms.unwrap("data:a", wrapped, b"c") == b"s"


def test_a_uid_that_is_not_allowed_gets_nothing_and_is_written_down(home, path):
    with serving(home, path, uids=frozenset({12345})), client(path) as kms:
        for use in (lambda: kms.create("data:a"), kms.states, lambda: kms.unwrap("k", b"", b"")):
            with pytest.raises(Refused) as caught:
                use()
            assert caught.value.rule == "keys.not-allowed"
    assert {u.outcome for u, _ in chained(home / kms_record.NAME)} == {"keys.not-allowed"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_kernel_tells_who_asks_not_the_asker(home, tmp_path):
    path = tmp_path / "socket"
    for above in (tmp_path, *tmp_path.parents):
        if above.stat().st_uid == 0 and above.is_dir() and str(above) != "/":
            above.chmod(above.stat().st_mode | 0o055)
    script = (
        "import os\n"
        "from sealwright.adapters.kms_client import KmsClient, ServiceAddress\n"
        "os.setgid(12345); os.setuid(12345)\n"
        f"k = KmsClient(ServiceAddress(socket={str(path)!r}), 'w1', principal='root')\n"
        "try:\n k.states()\nexcept Exception as e: print(getattr(e, 'rule', repr(e)))\n"
    )
    with serving(home, path, uids=frozenset({0})):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "keys.not-allowed", done.stderr


def test_another_workspace_is_told_so(home, path):
    with serving(home, path), client(path, "w2") as kms, pytest.raises(Refused) as caught:
        kms.states()
    assert caught.value.rule == "keys.other-workspace"


def test_private_signing_keys_stay_in_the_service(home, path, tmp_path):
    with serving(home, path), client(path) as kms:
        ring = Keyring(tmp_path / "state", kms, kms)
        signer = ring.create("log")
        model = ring.create("model", "ecdsa-p256")
        for each in (signer, ring.signer("log"), model):
            assert not hasattr(each, "private_pem")
            load_public(each.public_pem()).verify(b"message", each.sign(b"message"))
        assert ring.rotate("log").key_id != signer.key_id
        body = (tmp_path / "state/signers/log.json").read_bytes()
        import msgspec

        wrapped = msgspec.json.decode(body, type=dict)["wrapped"].encode()
        for use in (
            lambda: kms.unwrap("keyring", wrapped, b"x"),
            lambda: kms.derive("keyring", b"x"),
            lambda: kms.wrap("keyring", b"x", b"x"),
        ):
            with pytest.raises(Refused) as caught:
                use()
            assert caught.value.rule == "keys.stays-here"


def test_down_is_one_clear_error_and_the_next_question_finds_it_up_again(home, path):
    with client(path) as kms:
        with pytest.raises(Unavailable, match="cannot be reached"):
            kms.states()
        with serving(home, path):
            kms.create("data:a")
            wrapped = kms.wrap("data:a", b"s", b"c")
        with pytest.raises(Unavailable):
            kms.unwrap("data:a", wrapped, b"c")
        with serving(home, path):
            assert kms.unwrap("data:a", wrapped, b"c") == b"s"


def test_slow_is_one_clear_error(path):
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen()
        with client(path, answer_s=0.2) as kms, pytest.raises(Unavailable, match="did not answer"):
            kms.unwrap("data:a", b"x", b"c")


@pytest.mark.parametrize(
    "said",
    [
        b"\xff\xff\xff\xff",
        struct.pack(">I", 4) + b"\xc1abc",
        struct.pack(">I", 3) + b"\x93\x01\x02",
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack(">I", 0),
    ],
)
def test_nonsense_ends_its_own_connection_and_no_other(home, path, said):
    with serving(home, path), client(path) as kms:
        kms.create("data:a")
        with socket.socket(socket.AF_UNIX) as bad:
            bad.connect(str(path))
            bad.sendall(said)
            bad.settimeout(5)
            answer = kms_wire.receive(bad, Answer)
            assert answer is not None
            assert answer.fault is not None
            assert ended(bad)
        assert kms.keys() == ("data:a",)


def ended(sock):
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_peer_that_stops_in_the_middle_is_dropped(home, path):
    with serving(home, path, idle_s=0.2), socket.socket(socket.AF_UNIX) as lazy:
        lazy.connect(str(path))
        lazy.sendall(struct.pack(">I", 100) + b"half")
        lazy.settimeout(10)
        assert lazy.recv(1) == b""


def test_an_unknown_version_or_operation_is_refused(home, path):
    with serving(home, path):
        for question in (
            Question(9, "w1", "states"),
            Question(1, "w1", "states", key="x" * 200),
        ):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(path))
                kms_wire.send(sock, question)
                answer = kms_wire.receive(sock, Answer)
                assert (answer.fault is not None) == (question.version == 9)
    with socket.socket() as sock, pytest.raises(BadInput):
        kms_wire.send(sock, Question(1, "w1", "wrap", data=bytes(2 << 20)))


def test_a_socket_where_others_could_put_theirs_is_not_asked(home, tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with serving(home, folder / "socket"), client(folder / "socket") as kms:
        with pytest.raises(Refused) as caught:
            kms.states()
        assert caught.value.rule == "keys.socket-unsafe"


def test_two_services_do_not_share_a_socket(home, path, tmp_path):
    with serving(home, path), pytest.raises(Unavailable, match="already listening"):
        with serving(tmp_path / "other", path):
            pass


def test_no_more_connections_than_it_has_room_for(home, path):
    with serving(home, path) as server, client(path) as kms:
        kms.create("data:a")
        held = []
        try:
            for _ in range(80):
                sock = socket.socket(socket.AF_UNIX)
                sock.connect(str(path))
                held.append(sock)
            deadline = time.monotonic() + 20
            while server._room._value and time.monotonic() < deadline:
                time.sleep(0.02)
            assert server._room._value == 0
            assert kms.keys() == ("data:a",), "who is connected goes on"
        finally:
            for sock in held:
                sock.close()


@pytest.mark.parametrize(
    "text", ["service:", "service:/x", "service:http://h:1", "service:tls://h"]
)
def test_an_address_that_names_no_service_is_refused(text):
    with pytest.raises(BadInput):
        parse_service(text)


# -- over the network ---------------------------------------------------------------------------


@pytest.fixture
def certified(tmp_path):
    """Makes a folder with a certificate of one authority or another."""

    def make(name, authority="ca", hosts=("localhost",), now=NOW, life=timedelta(hours=1)):
        tls_authority.ensure_authority(tmp_path / authority, NOW)
        out = tmp_path / f"{name}-{authority}"
        tls_authority.issue(tmp_path / authority, out, name, hosts, now, life)
        return tls.TlsFiles(out)

    return make


@contextmanager
def remote(server, files, host="localhost"):
    port = server.server_address[1]
    made = KmsClient(ServiceAddress(host=host, port=port), "w1", files)
    try:
        yield made
    finally:
        made.close()


def test_over_tls_a_certificate_says_who_asks(home, certified):
    with serving(home, ("127.0.0.1", 0), files=certified("keys")) as server:
        with remote(server, certified("trainer")) as kms:
            kms.create("data:a")
            assert kms.unwrap("data:a", kms.wrap("data:a", b"s", b"c"), b"c") == b"s"
            assert isinstance(kms._sock, ssl.SSLSocket)
            assert kms._sock.version() == "TLSv1.3"
    assert [u.peer for u, _ in chained(home / kms_record.NAME)] == ["certificate trainer"]


def test_a_port_without_tls_is_refused(home):
    with pytest.raises(Refused) as caught, serving(home, ("127.0.0.1", 0)):
        pass
    assert caught.value.rule == "tls.required"


def test_the_wrong_authority_the_wrong_host_and_an_expired_leaf_are_refused(home, certified):
    old = {"now": NOW - timedelta(days=2)}
    with serving(home, ("127.0.0.1", 0), files=certified("keys")) as server:
        for files, host in (
            (certified("thief", "otherca"), "localhost"),
            (certified("expired", **old), "localhost"),
            (certified("trainer"), "127.0.0.1"),
        ):
            with remote(server, files, host) as kms, pytest.raises(Unavailable):
                kms.states()
        with remote(server, certified("trainer")) as kms:
            assert kms.keys() == ()
    with serving(home, ("127.0.0.1", 0), files=certified("stale", **old)) as server:
        with remote(server, certified("trainer")) as kms, pytest.raises(Unavailable) as caught:
            kms.states()
        assert "expired" in caught.value.why


def scan(server, change):
    """A handshake as a scanner makes it; True if the server answers a question over it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    change(context)
    try:
        with socket.create_connection(server.server_address[:2], 5) as raw:
            with context.wrap_socket(raw) as sock:
                kms_wire.send(sock, Question(1, "w1", "states"))
                return kms_wire.receive(sock, Answer) is not None
    except (OSError, EOFError):
        return False


def limited(files, low, high):
    def change(context):
        if files is not None:
            context.load_cert_chain(files.folder / "cert.pem", files.folder / "key.pem")
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = low, high

    return change


V = ssl.TLSVersion


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [V.TLSv1, V.TLSv1_1, V.TLSv1_2])
def test_nothing_older_than_1_3_is_spoken(home, certified, version):
    with serving(home, ("127.0.0.1", 0), files=certified("keys")) as server:
        assert not scan(server, limited(certified("a"), version, version))
        assert scan(server, limited(certified("a"), V.TLSv1_3, V.TLSv1_3))


def test_without_a_certificate_and_in_plaintext_there_is_no_answer(home, certified):
    with serving(home, ("127.0.0.1", 0), files=certified("keys")) as server:
        assert not scan(server, limited(None, V.TLSv1_3, V.TLSv1_3))
        with socket.create_connection(server.server_address[:2], 5) as plain:
            kms_wire.send(plain, Question(1, "w1", "states"))
            got = b""
            try:
                got = plain.recv(100)
            except OSError:
                got = b""
            assert not got or got[0] == 0x15, "an alert at most"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_1_2_has_to_be_asked_for_and_speaks_ecdhe_alone(home, certified):
    files = tls.TlsFiles(certified("keys").folder, "1.2")
    with serving(home, ("127.0.0.1", 0), files=files) as server:
        assert scan(server, limited(certified("a"), V.TLSv1_2, V.TLSv1_2))
        assert not scan(server, limited(certified("a"), V.TLSv1_1, V.TLSv1_1))

        def static_rsa(context):
            limited(certified("a"), V.TLSv1_2, V.TLSv1_2)(context)
            context.set_ciphers("AES256-GCM-SHA384:DHE:@SECLEVEL=0")

        assert not scan(server, static_rsa)


def test_a_key_open_to_others_and_a_missing_file_are_refused(certified):
    files = certified("keys")
    (files.folder / "key.pem").chmod(0o644)
    with pytest.raises(Refused):
        tls.server_context(files)
    (files.folder / "key.pem").unlink()
    with pytest.raises(Unavailable):
        tls.client_context(files)


# -- a witness on another host ------------------------------------------------------------------


@contextmanager
def witnessing(tmp_path, files):
    home = WitnessHome.create(tmp_path / "witness", "paul")
    server = WitnessServer(
        parse_address("https://127.0.0.1:0"), home, lambda: 1_800_000_000, files=files
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_witness_speaks_mutual_tls_and_nothing_else(tmp_path, certified):
    hosts = {"hosts": ("127.0.0.1",)}
    with witnessing(tmp_path, certified("paul", **hosts)) as server:
        address = parse_address(server.url)
        assert address.secure
        assert witness_http.latest(address, "sealwright.local/w1", certified("log")) is None
        for files in (certified("thief", "otherca"), certified("old", now=NOW - timedelta(days=2))):
            with pytest.raises(Unavailable):
                witness_http.latest(address, "sealwright.local/w1", files)
        with pytest.raises(BadInput):
            witness_http.latest(address, "sealwright.local/w1")
        plain = parse_address(server.url.replace("https", "http"))
        with pytest.raises(Unavailable):
            witness_http.latest(plain, "sealwright.local/w1")


def test_a_witness_listens_to_nobody_else_in_plaintext_and_is_not_asked_so(tmp_path):
    home = WitnessHome.create(tmp_path / "witness", "paul")
    with pytest.raises(Refused) as caught:
        WitnessServer(parse_address("http://0.0.0.0:0"), home, lambda: 0)
    assert caught.value.rule == "tls.required"
    with pytest.raises(Refused) as caught:
        witness_http.latest(parse_address("http://192.0.2.1:7465"), "sealwright.local/w1")
    assert caught.value.rule == "tls.required"
