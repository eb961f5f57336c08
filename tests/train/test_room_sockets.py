"""Sockets of the host that a room was given on purpose: those, and nothing beside them."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from sealwright.core.errors import BadInput
from sealwright.train.room import run_room

from .rooms import hear, make_spec, needs_room

TALK = """
import json, os, socket
client = socket.socket(socket.AF_UNIX)
client.connect("/run/seal/proxy")
client.sendall(b"hello")
try:
    os.unlink("/run/seal/proxy")
    gone = True
except OSError:
    gone = False
print(json.dumps([os.listdir("/run"), os.listdir("/run/seal"), gone]))
"""


@needs_room
def test_a_declared_socket_is_shown_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "proxy.sock"
    (tmp_path / "beside.txt").write_text("not yours")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        result, heard = hear(tmp_path, TALK, sockets={"proxy": path})
        assert result.status == "ok", heard.err
        peer, _ = server.accept()
        with peer:
            assert peer.recv(16) == b"hello"
    assert json.loads(heard.out) == [["seal"], ["proxy"], False]


@pytest.mark.parametrize("name", ["../x", "a/b", "", "."])
def test_a_socket_name_that_is_a_path_is_refused(tmp_path: Path, name: str) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        with pytest.raises(BadInput):
            run_room(make_spec(tmp_path, "", sockets={name: tmp_path / "s"}))


def test_what_is_no_socket_is_not_shown_as_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for name in ("file", "link"):
        with pytest.raises(BadInput):
            run_room(make_spec(tmp_path, "", sockets={"x": tmp_path / name}))
