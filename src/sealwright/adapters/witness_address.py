"""Where a witness listens: ``http://127.0.0.1:PORT`` or ``unix:/path``."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import msgspec

from sealwright.core.errors import BadInput


class Address(msgspec.Struct, frozen=True):
    """A TCP host and port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    socket: str = ""

    def __str__(self) -> str:
        return f"unix:{self.socket}" if self.socket else f"http://{self.host}:{self.port}"

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
    """Read ``unix:/path``, ``http://host:port`` or ``host:port``. Raises: BadInput."""
    if text.startswith("unix:") and len(text) > len("unix:"):
        return Address(socket=text[len("unix:") :])
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "http" or not parts.hostname or port is None or parts.path not in ("", "/"):
        raise BadInput(
            f"{text!r} is not where a witness can be",
            hint="write http://127.0.0.1:PORT or unix:/path/of/socket",
        )
    return Address(host=parts.hostname, port=port)
