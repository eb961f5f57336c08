"""The only way out of a room: a proxy outside it, on a Unix socket that is shown inside.

It resolves names itself, connects to the address it checked, counts every byte before the
byte goes on, and cuts a host off at its budget. What a rule does not name gets 403.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sealwright.adapters.egress_wire import Wire, relay_body, tunnel
from sealwright.core.digest import Digest
from sealwright.train import egress, leftovers
from sealwright.train.egress import Budget, Denied, Opening, Rule, Traffic
from sealwright.train.egress_http import MOST_HEAD_BYTES, Head, parse
from sealwright.train.redact import Redactor

Resolver = Callable[[str, int], Sequence[str]]
"""A host and a port → its addresses as text. Raises: OSError."""

CONNECT_S = 10.0
IDLE_S = 60.0
MOST_CONNECTIONS = 64
_MOST_DRAINED = 16


def system_resolver(host: str, port: int) -> list[str]:
    """What this machine's own name service says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


@contextmanager
def opened(
    scratch: Path,
    rules: Sequence[Rule],
    production: Sequence[str],
    secrets: Mapping[str, str],
    resolve: Resolver = system_resolver,
    trust: ssl.SSLContext | None = None,
) -> Iterator[Opening]:
    """A proxy that holds ``rules`` for as long as the block runs. ``secrets`` by name.

    Raises: Refused, BadInput (a rule that does not hold), OSError.
    """
    proxy = Proxy(rules, production, secrets, resolve, trust)
    folder = leftovers.make_folder(scratch)
    try:
        with _listening(folder) as listener:
            proxy.start(listener)
            try:
                yield Opening(folder / egress.SOCKET, proxy.loaded, proxy.traffic)
            finally:
                proxy.stop(listener)
    finally:
        leftovers.remove(folder)


@contextmanager
def _listening(folder: Path) -> Iterator[socket.socket]:
    """A Unix socket in ``folder``, by a path that is short however deep the folder lies."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(f"/proc/self/fd/{fd}/{egress.SOCKET}")
            listener.listen(MOST_CONNECTIONS)
            yield listener
    finally:
        os.close(fd)


class Proxy:
    """The rules in force, what is left of their budgets, and the count of attempts."""

    def __init__(
        self,
        rules: Sequence[Rule],
        production: Sequence[str],
        secrets: Mapping[str, str],
        resolve: Resolver,
        trust: ssl.SSLContext | None,
    ) -> None:
        self._production = tuple(production)
        self._rules = egress.check(rules, self._production)
        self._budgets = {rule.host: Budget(rule.budget) for rule in self._rules}
        self._secrets = {rule.secret: secrets[rule.secret] for rule in self._rules if rule.secret}
        self._redact = Redactor(secrets)
        self._resolve = resolve
        self._trust = trust or ssl.create_default_context()
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._stopping = False
        self.traffic = Traffic()

    @property
    def loaded(self) -> Digest:
        """The digest of what is in force."""
        return egress.digest_of(self._rules, self._production)

    def start(self, listener: socket.socket) -> None:
        """Accept in a thread of its own."""
        self._accepting = threading.Thread(target=self._serve, args=(listener,), daemon=True)
        self._accepting.start()

    def _serve(self, listener: socket.socket) -> None:
        """Accept until :meth:`stop`; each connection is one request in a thread of its own."""
        while not self._stopping:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            if not self._places.acquire(blocking=False):
                client.close()
                self.traffic.add("(any)", 0, "egress.too-many")
                continue
            with self._lock:
                self._open.add(client)
            thread = threading.Thread(target=self._one, args=(client,), daemon=True)
            self._threads = [one for one in self._threads if one.is_alive()] + [thread]
            thread.start()

    def stop(self, listener: socket.socket) -> None:
        """End at once: nothing that a room began outlives it, and all of it is counted."""
        self._stopping = True
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        with self._lock:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(CONNECT_S)

    def _one(self, client: socket.socket) -> None:
        try:
            with client:
                client.settimeout(IDLE_S)
                self._answer(client)
        finally:
            with self._lock:
                self._open.discard(client)
            self._places.release()

    def _answer(self, client: socket.socket) -> None:
        host, port, wire = "(malformed)", 0, Wire(None)
        try:
            raw, early = _read_head(client)
            head = parse(raw)
            host, port = head.host, head.port
            rule = egress.judge(self._rules, head.method, host, port, head.tunnel)
            wire = Wire(self._budgets[rule.host])
            with self._reached(rule, head) as upstream:
                if head.tunnel:
                    wire.begun = True
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    tunnel(client, upstream, early, wire)
                else:
                    self._exchange(client, upstream, head, rule, early, wire)
            self.traffic.add(host, port, "", wire.up, wire.down)
        except Denied as denied:
            name = self._redact.text(host if host != "(malformed)" else denied.host)
            self.traffic.add(name, port or denied.port, denied.reason, wire.up, wire.down)
            if not wire.begun:
                _say_no(client, denied.reason)
        except OSError:
            reason = "" if wire.begun else "egress.unreachable"
            self.traffic.add(host, port, reason, wire.up, wire.down)
            if reason:
                _say_no(client, reason)

    def _exchange(
        self,
        client: socket.socket,
        upstream: socket.socket,
        head: Head,
        rule: Rule,
        early: bytes,
        wire: Wire,
    ) -> None:
        bare = f"[{rule.host}]" if ":" in rule.host else rule.host
        default = 443 if rule.tls else 80
        port = _port(rule, head)
        named = bare if port == default else f"{bare}:{port}"
        extra: tuple[tuple[bytes, bytes], ...] = ()
        masked = None
        if rule.secret:
            value = self._secrets[rule.secret]
            given = value if " " in value else f"Bearer {value}"
            extra = ((b"Authorization", given.encode()), (b"Accept-Encoding", b"identity"))
            masked = self._redact.stream(same_length=True)
        wire.send_up(upstream, head.forward(named, extra))
        relay_body(client, upstream, head, early, wire)
        wire.pour_down(upstream, client, masked)

    @contextmanager
    def _reached(self, rule: Rule, head: Head) -> Iterator[socket.socket]:
        """A connection to an address that was checked: never to a name looked up again."""
        port = _port(rule, head)
        addresses = list(self._resolve(rule.host, port))
        if not addresses:
            raise Denied("egress.unreachable", rule.host, port)
        for address in addresses:
            egress.check_address(address, rule)
        self._check_production(addresses, port, rule)
        plain = _dial(addresses, port)
        with self._lock:
            self._open.add(plain)
        try:
            plain.settimeout(IDLE_S)
            if rule.tls and not head.tunnel:
                with self._trust.wrap_socket(plain, server_hostname=rule.host) as secure:
                    yield secure
            else:
                yield plain
        finally:
            with self._lock:
                self._open.discard(plain)
            plain.close()

    def _check_production(self, addresses: Sequence[str], port: int, rule: Rule) -> None:
        """Another name for a production endpoint is that endpoint."""
        for zone in self._production:
            try:
                guarded = set(self._resolve(zone, port))
            except OSError:
                continue  # a zone without an address of its own has nothing to hide behind
            if guarded & set(addresses):
                raise Denied("egress.production", rule.host, port)


def _port(rule: Rule, head: Head) -> int:
    return 443 if rule.tls and not head.tunnel and head.port == 80 else head.port


def _dial(addresses: Sequence[str], port: int) -> socket.socket:
    """The first address that answers. Raises: OSError."""
    for address in addresses[:-1]:
        with suppress(OSError):
            return socket.create_connection((address, port), CONNECT_S)
    return socket.create_connection((addresses[-1], port), CONNECT_S)


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    """The head with its empty line, and what came after it. Raises: Denied, OSError."""
    client.settimeout(CONNECT_S)
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        if len(data) > MOST_HEAD_BYTES:
            raise Denied("egress.malformed")
        more = client.recv(4096)
        if not more:
            raise Denied("egress.malformed")
        data += more
    client.settimeout(IDLE_S)
    return data[: end + 4], data[end + 4 :]


def _say_no(client: socket.socket, reason: str) -> None:
    body = f"seal: {reason}\n".encode()
    status = "502 Bad Gateway" if reason == "egress.unreachable" else "403 Forbidden"
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    with suppress(OSError):
        client.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)
        client.shutdown(socket.SHUT_WR)
        client.settimeout(1.0)
        for _ in range(_MOST_DRAINED):  # a close with unread bytes would cut the answer off
            if not client.recv(1 << 16):
                return
