"""Serves a witness over HTTP: its own process, on a loopback port, a Unix socket or by TLS.

``POST /add-checkpoint`` and ``GET /<origin hash>/checkpoint`` (c2sp.org/tlog-witness).
"""

from __future__ import annotations

import socket
import socketserver
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from sealwright.adapters import tls
from sealwright.adapters.witness_address import Address
from sealwright.adapters.witness_home import WitnessHome
from sealwright.core.errors import SealError, Unavailable
from sealwright.evidence.witness import MAX_REQUEST_BYTES, TEXT_TYPE, Answer, origin_hash

_IDLE_S = 10.0


class WitnessServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Answers until ``shutdown``. ``time`` returns POSIX seconds, ``say`` takes one line each."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 32

    def __init__(
        self,
        address: Address,
        home: WitnessHome,
        time: Callable[[], int],
        say: Callable[[str], None] = lambda _line: None,
        files: tls.TlsFiles | None = None,
    ) -> None:
        """Raises: Unavailable (the address is taken), Refused (off loopback without TLS)."""
        tls.check_listener(str(address), local=address.local, files=files)
        self._files = None if address.socket else files
        self.home = home
        self.time = time
        self.say = say
        self.address_family = socket.AF_UNIX if address.socket else socket.AF_INET
        self._socket_path = Path(address.socket) if address.socket else None
        if self._socket_path is not None:
            _clear_stale(self._socket_path)
        target: Any = address.socket or (address.host, address.port)
        try:
            super().__init__(target, _Exchange)
        except OSError as error:
            raise Unavailable(
                f"cannot listen on {address}", why=str(error.strerror or error)
            ) from error
        if self._socket_path is not None:
            # another uid must reach it; what it accepts is decided by signatures
            self._socket_path.chmod(0o666)

    @property
    def url(self) -> str:
        """What a log puts into ``[log] witness``."""
        if self._socket_path is not None:
            return f"unix:{self._socket_path}"
        host, port = self.server_address[:2]
        return f"{'https' if self._files else 'http'}://{host!s}:{port}"

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread, so that a slow peer holds up nobody."""
        if self._files is None:
            _Exchange(request, client_address, self)
            return
        with tls.accept(request, self._files) as sock:
            _Exchange(sock, client_address, self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke off; the next one is not affected."""
        self.say(f"broken off: {sys.exc_info()[1]}")

    def server_close(self) -> None:
        """Stop listening; a socket file is removed."""
        super().server_close()
        if self._socket_path is not None:
            self._socket_path.unlink(missing_ok=True)


class _Exchange(BaseHTTPRequestHandler):
    server: WitnessServer
    protocol_version = "HTTP/1.1"
    server_version = "sealwright-witness"
    sys_version = ""
    timeout = _IDLE_S
    disable_nagle_algorithm = False

    def do_POST(self) -> None:
        if self.path != "/add-checkpoint":
            self._answer(Answer(404, b"no such path\n"))
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_REQUEST_BYTES:
            self.close_connection = True
            self._answer(Answer(400, b"a Content-Length of at most 1 MiB is needed\n"))
            return
        self._guarded(lambda: self._add(self.rfile.read(int(length))))

    def do_GET(self) -> None:
        self._guarded(self._monitor)

    def _add(self, body: bytes) -> Answer:
        return self.server.home.add_checkpoint(body, self.server.time)

    def _monitor(self) -> Answer:
        home = self.server.home
        for log in home.logs():
            if self.path == f"/{origin_hash(log.origin)}/checkpoint":
                note = home.note(log.origin) if home.held(log.origin) else None
                if note is not None:
                    return Answer(200, note)
        return Answer(404, b"no checkpoint of such a log was cosigned\n")

    def _guarded(self, work: Callable[[], Answer]) -> None:
        try:
            answer = work()
        except (SealError, OSError) as error:
            self.server.say(f"fault: {error}")
            answer = Answer(500, b"the witness cannot answer; its operator must look\n")
        self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type or TEXT_TYPE)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:
        self.server.say(format % args)

    def address_string(self) -> str:
        return "local"


def _clear_stale(path: Path) -> None:
    """Remove a socket nobody answers on. Raises: Unavailable when somebody does."""
    if not path.is_socket():
        return
    probe = socket.socket(socket.AF_UNIX)
    try:
        probe.connect(str(path))
    except OSError:
        path.unlink(missing_ok=True)
        return
    finally:
        probe.close()
    raise Unavailable(f"a witness is already listening on {path}")
