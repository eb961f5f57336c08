"""Where a witness listens: ``http://127.0.0.1:PORT``, ``https://HOST:PORT`` or ``unix:/path``."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import msgspec

from sealwright.core.errors import BadInput


class Address(msgspec.Struct, frozen=True):
    """A TCP host and port, with mutual TLS if ``secure``, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    socket: str = ""
    secure: bool = False

    def __str__(self) -> str:
        if self.socket:
            return f"unix:{self.socket}"
        return f"{'https' if self.secure else 'http'}://{self.host}:{self.port}"

    @property
    def local(self) -> bool:
        """Whether only this host can be meant."""
        if self.socket or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(text: str) -> Address:
    """Read ``unix:/path``, ``http(s)://host:port`` or ``host:port``. Raises: BadInput."""
    if text.startswith("unix:") and len(text) > len("unix:"):
        return Address(socket=text[len("unix:") :])
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = parts.port
    except ValueError:
        port = None
    known = parts.scheme in ("http", "https")
    if not known or not parts.hostname or port is None or parts.path not in ("", "/"):
        raise BadInput(
            f"{text!r} is not where a witness can be",
            hint="write http://127.0.0.1:PORT, https://HOST:PORT or unix:/path/of/socket",
        )
    return Address(host=parts.hostname, port=port, secure=parts.scheme == "https")
