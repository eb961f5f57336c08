"""TLS between our own processes: 1.3, both sides with a certificate, never a fallback.

A folder holds ``ca.pem`` (whom we believe), ``cert.pem`` and ``key.pem`` (who we are), from
files you have or from the local authority in ``adapters.tls_authority``. There is no session
ticket, no early data and no plaintext to fall back to. TLS 1.2 with ECDHE has to be asked for.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Literal

import msgspec

from sealwright.core.errors import BadInput, Refused, Unavailable

Minimum = Literal["1.3", "1.2"]
HANDSHAKE_S = 5.0
_ECDHE = "ECDHE+AESGCM:ECDHE+CHACHA20"


class TlsFiles(msgspec.Struct, frozen=True):
    """The folder, and the lowest version that is spoken."""

    folder: Path
    minimum: Minimum = "1.3"


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """For a listener: a peer without a certificate of our authority gets nothing.

    Read anew for each connection, so that renewed certificates count at once.
    Raises: Unavailable (a file is missing or unreadable).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    return _filled(context, files)


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """For a client: the server's certificate must be our authority's and name the host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = True
    return _filled(context, files)


def accept(raw: socket.socket, files: TlsFiles) -> ssl.SSLSocket:
    """The handshake on an accepted connection. Raises: ssl.SSLError, OSError (slow peers)."""
    raw.settimeout(HANDSHAKE_S)
    return server_context(files).wrap_socket(raw, server_side=True)


def peer_name(sock: ssl.SSLSocket) -> str:
    """The common name in the peer's verified certificate."""
    subject = (sock.getpeercert() or {}).get("subject", ())
    for part in subject:
        for pair in part:
            if isinstance(pair, tuple) and pair[0] == "commonName":
                return str(pair[1])
    return ""


def reason(error: ssl.SSLError) -> str:
    """What OpenSSL has against the other side, in words."""
    said = getattr(error, "verify_message", "") or error.reason or str(error)
    return str(said).replace("_", " ").lower()


def check_listener(where: str, *, local: bool, files: TlsFiles | None) -> None:
    """Raises: Refused (it would be reachable from outside in plaintext)."""
    if not local and files is None:
        raise Refused(
            f"{where} is not on this machine alone, and nothing here speaks plaintext off it",
            why="what listens off loopback uses mutual TLS",
            hint="seal keys certify NAME --host HOST, then --tls DIR; or listen on 127.0.0.1",
            rule="tls.required",
        )


def _filled(context: ssl.SSLContext, files: TlsFiles) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if files.minimum == "1.2":
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_ECDHE)
        context.options |= ssl.OP_NO_RENEGOTIATION
    context.verify_mode = ssl.CERT_REQUIRED
    folder = files.folder
    for name in ("ca.pem", "cert.pem", "key.pem"):
        if not (folder / name).is_file():
            raise Unavailable(
                f"{folder / name} is missing",
                why="a TLS folder holds ca.pem, cert.pem and key.pem",
                hint="seal keys certify NAME --host HOST --out DIR",
            )
    if (folder / "key.pem").stat().st_mode & 0o077:
        raise Refused(
            f"{folder / 'key.pem'} is open to others",
            hint=f"chmod go= {folder / 'key.pem'}",
            rule="keys.readable-by-others",
        )
    try:
        context.load_verify_locations(cafile=folder / "ca.pem")
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    except (ssl.SSLError, OSError) as error:
        raise BadInput(f"{folder} holds no usable certificate", why=str(error)) from error
    return context
