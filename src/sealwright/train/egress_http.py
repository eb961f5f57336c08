"""The head of a proxy request: bytes in, one unambiguous request out, or a refusal. Pure.

Stricter than RFC 9112: whatever two parsers could read in two ways is refused, so that the
host that was judged is the host that is asked.
"""

from __future__ import annotations

import re

import msgspec

from sealwright.train.egress import Denied, is_host

MOST_HEAD_BYTES = 32 << 10
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_TARGET = re.compile(rb"[\x21-\x7e]{1,16384}")
_METHOD = re.compile(rb"[A-Z]{1,16}")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_HOP = frozenset(
    b"connection keep-alive proxy-connection proxy-authorization proxy-authenticate trailer"
    b" te transfer-encoding upgrade expect host content-length".split()  # codespell:ignore te
)


class Head(msgspec.Struct, frozen=True):
    """One request. ``length`` is its body's size; ``chunked`` says that the body tells it."""

    method: str
    host: str
    port: int
    path: str
    headers: tuple[tuple[bytes, bytes], ...]
    length: int = 0
    chunked: bool = False

    @property
    def tunnel(self) -> bool:
        """An opaque tunnel (CONNECT)."""
        return self.method == "CONNECT"

    def forward(self, host_header: str, extra: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
        """The request as the upstream gets it: written anew, one request a connection."""
        replaced = {name.lower() for name, _ in extra}
        lines = [f"{self.method} {self.path} HTTP/1.1".encode(), b"Host: " + host_header.encode()]
        lines += [
            name + b": " + value
            for name, value in self.headers
            if name.lower() not in _HOP | replaced
        ]
        lines += [name + b": " + value for name, value in extra]
        if self.chunked:
            lines.append(b"Transfer-Encoding: chunked")
        elif self.length or self.method in ("POST", "PUT", "PATCH"):
            lines.append(b"Content-Length: %d" % self.length)
        return b"\r\n".join([*lines, b"Connection: close", b"", b""])


def parse(head: bytes) -> Head:
    """``head`` ends with the empty line. Raises: Denied (egress.malformed)."""
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    words = lines[0].split(b" ")
    if len(words) != 3 or not _METHOD.fullmatch(words[0]) or not _TARGET.fullmatch(words[1]):
        raise Denied("egress.malformed")
    method, target, version = words[0].decode(), words[1].decode(), words[2]
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise Denied("egress.malformed")
    host, port, path = _connect(target) if method == "CONNECT" else _absolute(target)
    headers = tuple(_header(line, host, port) for line in lines[1:])
    _check_host(headers, host, port, version == b"HTTP/1.1" and method != "CONNECT")
    length, chunked = _framing(headers, host, port)
    if (method == "CONNECT" and (length or chunked)) or (chunked and version == b"HTTP/1.0"):
        raise Denied("egress.malformed", host, port)
    return Head(method, host, port, path, headers, length, chunked)


def _connect(target: str) -> tuple[str, int, str]:
    host, port = _authority(target, 0)
    return host, port, ""


def _absolute(target: str) -> tuple[str, int, str]:
    """``http://host[:port]/path``; anything else is no request to a proxy."""
    if not target.startswith("http://") or "\\" in target or "#" in target:
        raise Denied("egress.malformed")
    rest = target.removeprefix("http://")
    cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    host, port = _authority(rest[:cut], 80)
    path = rest[cut:]
    return host, port, path if path.startswith("/") else f"/{path}"


def _authority(text: str, default: int) -> tuple[str, int]:
    """Exactly a host and a port: no userinfo, no blank port, no second way to write it."""
    match = re.fullmatch(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::([1-9][0-9]{0,4}))?", text)
    if match is None:
        raise Denied("egress.malformed")
    host, port = match[1] or match[2], int(match[3] or default)
    if not is_host(host) or (match[1] is not None) != (":" in host) or not 0 < port < 1 << 16:
        raise Denied("egress.malformed")
    return host, port


def _header(line: bytes, host: str, port: int) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
        raise Denied("egress.malformed", host, port)
    return name, value.strip(b" \t")


def _check_host(
    headers: tuple[tuple[bytes, bytes], ...], host: str, port: int, wanted: bool
) -> None:
    """At most one Host header, and it says what the request line says."""
    given = [value.decode("latin-1") for name, value in headers if name.lower() == b"host"]
    if len(given) > 1 or (wanted and not given):
        raise Denied("egress.malformed", host, port)
    bare = f"[{host}]" if ":" in host else host
    if given and given[0] not in (bare, f"{bare}:{port}"):
        raise Denied("egress.host-mismatch", host, port)


def _framing(headers: tuple[tuple[bytes, bytes], ...], host: str, port: int) -> tuple[int, bool]:
    """One length or one chunked coding, never both: two readers agree where the body ends."""
    lengths = [value for name, value in headers if name.lower() == b"content-length"]
    codings = [value for name, value in headers if name.lower() == b"transfer-encoding"]
    if len(lengths) + len(codings) > 1 or any(coding != b"chunked" for coding in codings):
        raise Denied("egress.malformed", host, port)
    if lengths and not re.fullmatch(rb"[0-9]{1,15}", lengths[0]):
        raise Denied("egress.malformed", host, port)
    return int(lengths[0]) if lengths else 0, bool(codings)
