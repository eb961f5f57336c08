"""Which hosts a room may reach, and what became of every attempt. Pure; no socket is opened here.

A rule names one host exactly. What is not named is denied, and every attempt is counted:
host names and numbers, never contents. See docs/spec/egress-v1.md.
"""

from __future__ import annotations

import ipaddress
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput, Refused
from sealwright.core.records import Finding, Json
from sealwright.evidence import jcs

DEFAULT_BYTES = 64 << 20
SOCKET = "egress"
"""Its name below /run/seal in the room."""

PROBE_HOST = "denied.probe.invalid"
"""A name no rule can grant (RFC 2606): the probe asks for it before every job."""

_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_METHOD = re.compile(r"[A-Z]{1,16}")
_MOST_NAMES = 40
_LONGEST_NAME = 100
_OTHER = "(others)"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One host. ``methods`` empty is any; ``budget`` is bytes up and down together.

    ``tls``: the room asks for ``http://HOST/``, the proxy goes on with TLS and may add
    ``secret``. ``private``: the host may have a private or loopback address.
    """

    host: str
    ports: tuple[int, ...] = (443,)
    methods: tuple[str, ...] = ()
    budget: int = DEFAULT_BYTES
    purpose: str = ""
    tls: bool = False
    private: bool = False
    secret: str = ""


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was attempted towards one host: ``verdict`` allowed or denied, and the reason."""

    host: str
    port: int
    verdict: str
    reason: str
    attempts: int
    up_bytes: int
    down_bytes: int


class Opening(msgspec.Struct, frozen=True):
    """A proxy that listens on ``socket``. ``loaded`` is the digest of the rules it holds."""

    socket: Path
    loaded: Digest
    traffic: Traffic


Opener = Callable[
    [Sequence[Rule], Sequence[str], Mapping[str, str]], AbstractContextManager[Opening]
]
"""Rules, production hosts and secrets by name → a proxy, for as long as the block runs."""


class Denied(Exception):
    """An attempt that goes nowhere. ``reason`` is a rule id of docs/spec/egress-v1.md."""

    def __init__(self, reason: str, host: str = "(malformed)", port: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.host = host
        self.port = port


def is_host(text: str) -> bool:
    """A plain lower-case name, or an address in its one canonical form."""
    try:
        return str(ipaddress.ip_address(text)) == text
    except ValueError:
        last = text.rpartition(".")[2]
        return bool(_NAME.fullmatch(text)) and not re.fullmatch(r"\d+|0x[0-9a-f]*", last)


def parse(text: str) -> tuple[str, int]:
    """``HOST[:PORT]``; the port is 443 unless given. Raises: BadInput."""
    host, colon, port = text.strip().rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text.strip(), "443"
    host = host.removeprefix("[").removesuffix("]")
    if not is_host(host):
        raise BadInput(
            f"{text!r} names no host",
            why="one exact host in lower case, without scheme, path or *; IDNs as xn--…",
            hint="api.example.org or api.example.org:8443",
        )
    if host == PROBE_HOST or host.endswith(".invalid"):
        raise BadInput(f"{host} can never be granted", why="the probe relies on its denial")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise BadInput(f"{text!r} has no port from 1 to 65535")
    return host, int(port)


def check(rules: Sequence[Rule], production: Iterable[str] = ()) -> tuple[Rule, ...]:
    """The rules, each sound and none for production. Raises: BadInput, Refused."""
    zones = tuple(production)
    for rule in rules:
        for port in rule.ports:
            parse(f"[{rule.host}]:{port}" if ":" in rule.host else f"{rule.host}:{port}")
        if not rule.ports or rule.budget < 1:
            raise BadInput(f"the egress rule for {rule.host} needs a port and a byte budget")
        for method in rule.methods:
            if not _METHOD.fullmatch(method):
                raise BadInput(f"{method!r} is no HTTP method", why=f"egress rule for {rule.host}")
        if rule.secret and not rule.tls:
            raise Refused(
                f"{rule.host} would get the secret {rule.secret} in the clear",
                why="the proxy adds a secret only where it carries TLS itself",
                hint=f"tls = true in the [egress.NAME] of {rule.host}",
                rule="egress.secret-in-clear",
            )
        if is_production(rule.host, zones):
            raise production_refusal(rule.host)
    hosts = [rule.host for rule in rules]
    if len(hosts) != len(set(hosts)):
        raise BadInput("two egress rules name one host", why=", ".join(sorted(hosts)))
    return tuple(rules)


def is_production(host: str, production: Iterable[str]) -> bool:
    """Whether a host is one of the production endpoints, or below one."""
    return any(host == zone or host.endswith(f".{zone}") for zone in production)


def production_refusal(host: str) -> Refused:
    """Training reaches no production endpoint, granted or not."""
    return Refused(
        f"{host} is a production endpoint, and training may not reach it",
        why="seal.toml names it in [zones] production",
        hint="read a sealed copy: seal data add",
        rule="egress.production",
    )


def digest_of(rules: Sequence[Rule], production: Sequence[str] = ()) -> Digest:
    """What is in force, by digest: a proxy that loaded anything else is not used."""
    return of_bytes(
        jcs.canonical({"rules": msgspec.to_builtins(list(rules)), "production": list(production)})
    )


def judge(rules: Sequence[Rule], method: str, host: str, port: int, secure: bool) -> Rule:
    """The rule an attempt falls under. ``secure`` says that it is an opaque tunnel.

    Raises: Denied (egress.not-granted, egress.port, egress.method).
    """
    rule = next((rule for rule in rules if rule.host == host), None)
    if rule is None:
        raise Denied("egress.not-granted", host, port)
    carried = rule.tls and not secure and port == 80 and 443 in rule.ports
    if port not in rule.ports and not carried:
        raise Denied("egress.port", host, port)
    if rule.methods and method not in rule.methods:
        raise Denied("egress.method", host, port)
    return rule


def check_address(address: str, rule: Rule) -> None:
    """Refuse what is not the public internet, unless granted; link-local only by its number.

    Raises: Denied (egress.address).
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if isinstance(ip, ipaddress.IPv6Address) and (ip.sixtofour or ip.teredo or _is_nat64(ip)):
        raise Denied("egress.address", rule.host)
    if ip.is_link_local and rule.private and str(ip) == rule.host:
        return
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved:
        raise Denied("egress.address", rule.host)
    if not ip.is_global and not rule.private:
        raise Denied("egress.address", rule.host)


def _is_nat64(ip: ipaddress.IPv6Address) -> bool:
    return ip in ipaddress.ip_network("64:ff9b::/96")


class Budget:
    """Bytes left for one host, over all its connections."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._lock = threading.Lock()

    def take(self, count: int) -> bool:
        """Take ``count`` bytes, or none: what does not fit is not sent."""
        with self._lock:
            if count > self._left:
                self._left = 0
                return False
            self._left -= count
            return True


class Traffic:
    """The count of every attempt. Names are a script's invention: forty, of a hundred letters."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[tuple[str, int, str, str], list[int]] = {}

    def add(self, host: str, port: int, reason: str = "", up: int = 0, down: int = 0) -> None:
        """One attempt; ``reason`` empty means it was allowed."""
        verdict = "denied" if reason else "allowed"
        host = host if len(host) <= _LONGEST_NAME else f"{host[:_LONGEST_NAME]}…"
        with self._lock:
            key = (host, port, verdict, reason)
            if reason and key not in self._rows and len(self._rows) >= _MOST_NAMES:
                key = (_OTHER, 0, verdict, reason)
            row = self._rows.setdefault(key, [0, 0, 0])
            row[0] += 1
            row[1] += up
            row[2] += down

    def lines(self) -> tuple[Line, ...]:
        """Everything so far, sorted."""
        with self._lock:
            return tuple(Line(*key, *row) for key, row in sorted(self._rows.items()))

    def forget(self) -> None:
        """Start again: what the probe did is not the job's doing."""
        with self._lock:
            self._rows.clear()


def findings(lines: Sequence[Line]) -> tuple[Finding, ...]:
    """One finding a line: what was denied matters, what was allowed is told."""
    return tuple(_finding(line) for line in lines)


def _finding(line: Line) -> Finding:
    where = f"{line.host}:{line.port}" if line.port else line.host
    subject = of_bytes(where.encode())
    moved = f"{line.up_bytes} bytes up, {line.down_bytes} down"
    if line.verdict == "allowed":
        message = f"{line.attempts} connection(s) to {where}: {moved}"
        return Finding("egress.used", "info", subject, message)
    message = f"{line.attempts} attempt(s) to reach {where} were denied ({line.reason})"
    if line.reason == "egress.budget":
        message = f"the byte budget of {where} ran out and the connection was cut: {moved}"
    hint = f"grant it if it is wanted: seal run --network allow:{where}"
    return Finding(line.reason, "medium", subject, message, hint)


def record(rules: Sequence[Rule], lines: Sequence[Line], granted: bool) -> dict[str, Json]:
    """``internalParameters.egress`` of the provenance. Hosts, counts and names; no contents."""
    return {
        "granted": granted,
        "probe": "denied",
        "rules": [msgspec.to_builtins(rule) for rule in rules],
        "attempts": [msgspec.to_builtins(line) for line in lines],
    }
