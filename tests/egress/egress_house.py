"""A fake internet on 127.0.0.1: hosts that answer, a resolver that knows them, and the proxy."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sealwright.adapters import egress_proxy
from sealwright.train.egress import Rule

HOST = "api.example.org"


class FakeHost:
    """An HTTP(S) server on loopback that remembers every request and echoes its headers."""

    def __init__(self, context: ssl.SSLContext | None = None, answer: bytes = b"hello") -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        house = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def _any(self):
                body = b""
                if length := self.headers.get("Content-Length"):
                    body = self.rfile.read(int(length))
                elif self.headers.get("Transfer-Encoding") == "chunked":
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                house.requests.append((self.command, self.path, dict(self.headers), body))
                told = "".join(f"{k}: {v}\n" for k, v in self.headers.items()).encode()
                out = told if self.path == "/headers" else answer
                self.send_response(200)
                self.send_header("Content-Length", str(len(out)))
                self.end_headers()
                self.wfile.write(out)

            do_GET = do_POST = do_PUT = do_DELETE = _any

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, address):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


class Sink:
    """A TCP server on loopback that swallows bytes and counts connections."""

    def __init__(self) -> None:
        self.received = b""
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                one, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with one:
                try:
                    while data := one.recv(1 << 16):
                        self.received += data
                except OSError:
                    continue

    def heard(self, count: int, seconds: float = 20) -> bool:
        """Whether ``count`` bytes arrived before the time was up."""
        end = time.monotonic() + seconds
        while len(self.received) < count and time.monotonic() < end:
            time.sleep(0.01)
        return len(self.received) >= count

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


def write_settings(project, text: str) -> None:
    """Beside what init wrote."""
    path = project.root / "seal.toml"
    path.write_text(path.read_text() + "\n" + text)


def provenance(project) -> dict:
    """The internal parameters of the newest run."""
    from sealwright.app import wiring
    from sealwright.core import predicates

    entry = wiring.open_workspace(project.root).history().of_type(predicates.SLSA_PROVENANCE)[-1]
    return entry.statement.predicate["buildDefinition"]["internalParameters"]


def contexts(folder: Path, host: str = HOST) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context for ``host`` and a client's that trusts it alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "host.pem").write_bytes(
        pem
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "host.pem")
    return server, ssl.create_default_context(cadata=pem.decode())


class Names:
    """A resolver with a table; it counts, and may change its mind as a rebinding one does."""

    def __init__(self, **table: list[str]) -> None:
        self.table = {HOST: ["127.0.0.1"]} | {k.replace("_", "."): v for k, v in table.items()}
        self.asked: list[str] = []
        self.trust: ssl.SSLContext | None = None

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        if host not in self.table:
            raise OSError(f"no such name: {host}")
        return self.table[host]


class Client:
    """Raw bytes to the proxy's socket, as anything inside a room could send them."""

    def __init__(self, opening) -> None:
        self.opening = opening

    def connect(self) -> socket.socket:
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(20)
        with short(self.opening.socket) as path:
            one.connect(path)
        return one

    def raw(self, data: bytes) -> bytes:
        with self.connect() as one:
            one.sendall(data)
            got = b""
            try:
                while more := one.recv(1 << 16):
                    got += more
            except ConnectionError:
                pass
            return got

    def get(self, url: str, host: str, method: str = "GET", extra: str = "") -> bytes:
        return self.raw(f"{method} {url} HTTP/1.1\r\nHost: {host}\r\n{extra}\r\n".encode())

    def lines(self) -> dict[tuple[str, str], object]:
        return {(line.host, line.reason): line for line in self.opening.traffic.lines()}


@contextmanager
def short(path: Path):
    """A Unix socket's path, short enough for the kernel."""
    import os

    fd = os.open(path.parent, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{fd}/{path.name}"
    finally:
        os.close(fd)


@contextmanager
def proxy(tmp_path, *rules: Rule, names=None, production=(), secrets=None, trust=None):
    """The proxy, and a client to its socket."""
    scratch = tmp_path / "rooms"
    scratch.mkdir(mode=0o700, exist_ok=True)
    with egress_proxy.opened(
        scratch, rules, production, secrets or {}, names or Names(), trust
    ) as opening:
        yield Client(opening)
