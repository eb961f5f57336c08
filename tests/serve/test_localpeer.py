"""Whose a local connection is, in every state that a client can bring its socket into."""

import os
import socket
import sys
import time

import pytest

from sealwright.serve import localpeer

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/net/tcp")


@pytest.fixture
def pair():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        with socket.create_connection(listener.getsockname()) as client:
            server, _ = listener.accept()
            with server:
                yield client, server


def owner(server):
    return localpeer.uid_of(server.getpeername(), server.getsockname())


def test_an_open_connection_is_its_owners(pair):
    assert owner(pair[1]) == os.getuid()


def test_a_half_closed_connection_is_still_its_owners(pair):
    client, server = pair
    client.shutdown(socket.SHUT_WR)
    assert owner(server) == os.getuid()
    time.sleep(0.05)
    assert owner(server) == os.getuid()


def test_a_closed_connection_is_nobodys_and_not_roots(pair):
    client, server = pair
    client.sendall(b"GET / HTTP/1.1")
    there, here = server.getpeername(), server.getsockname()
    client.close()
    assert localpeer.uid_of(there, here) == localpeer.UNKNOWN


def test_an_orphan_in_the_table_is_unknown(pair, tmp_path, monkeypatch):
    there, here = ("127.0.0.1", 40000), ("127.0.0.1", 8080)
    line = "   1: 0100007F:9C40 0100007F:1F90 {} 00000000:00000000 00:00000000 00000000 {} 0 {} 1\n"
    table = tmp_path / "tcp"
    monkeypatch.setattr(localpeer, "_TABLES", (table,))
    for state, uid, inode, said in [
        ("01", 7, 99, 7),
        ("04", 7, 99, 7),
        ("05", 7, 99, 7),
        ("05", 0, 0, localpeer.UNKNOWN),
        ("06", 0, 0, localpeer.UNKNOWN),
        ("08", 7, 99, localpeer.UNKNOWN),
    ]:
        table.write_text("head\n" + line.format(state, uid, inode))
        assert localpeer.uid_of(there, here) == said, state
