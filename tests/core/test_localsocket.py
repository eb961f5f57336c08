"""Sockets in the file system: taken over when left over, never from who answers."""

import errno
import socket
import stat

import pytest

from sealwright.app.servingbase import Where
from sealwright.app.servinghttp import listen
from sealwright.core import localsocket
from sealwright.core.errors import Unavailable


def test_what_nobody_answers_on_is_taken_over_and_private(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with localsocket.private(path, 1):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_somebody_answers_on_stays_theirs(tmp_path):
    path = tmp_path / "s"
    with localsocket.private(path, 1):
        with pytest.raises(OSError) as caught:
            localsocket.private(path, 1)
        assert caught.value.errno == errno.EADDRINUSE
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(path))


def test_a_server_does_not_take_the_socket_of_another(tmp_path):
    where = Where("127.0.0.1", 0, str(tmp_path / "s"))
    with listen(where):
        with pytest.raises(Unavailable, match="cannot listen"):
            listen(where)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "s"
    path.write_text("mine")
    with pytest.raises(OSError):
        localsocket.private(path, 1)
    assert path.read_text() == "mine"
