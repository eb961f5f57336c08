"""An OpenID provider over HTTPS: its discovery document, its keys, and a sign-in by a browser.

Authorization code with PKCE (RFC 7636), for a public client, to a loopback address (RFC 8252).
TLS always, 1.2 at least; plain HTTP only to this machine's own loopback. No redirect is ever
followed: one from the token endpoint would carry the code to somebody else.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import json
import secrets
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from sealwright.core.errors import Unavailable
from sealwright.vault.idtoken import refused
from sealwright.vault.people import Provider
from sealwright.vault.tokens import b64

TIMEOUT_S = 10.0
SIGN_IN_S = 300.0
_MOST_BYTES = 256 << 10
_CALLBACK = "/callback"
_MANY_REQUESTS = 64


class HttpProvider:
    """One pinned provider. Each object asks for the discovery document once."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._document: Mapping[str, Any] | None = None

    def jwks(self) -> bytes:
        """The provider's public keys, as pinned or as served now. Raises: Refused, Unavailable."""
        if self._provider.keys:
            return self._provider.keys.encode()
        return self._fetch(self._endpoint("jwks_uri"))

    def sign_in(self, nonce: str, show: Callable[[str], None]) -> str:
        """The ID token of a person who signs in at the address handed to ``show``.

        Raises: Refused (``oidc.state``, ``oidc.denied``, …), Unavailable (nobody came).
        """
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(32)
        with _Listener(self._provider.issuer, state) as listener:
            asked = {
                "response_type": "code",
                "client_id": self._provider.client_id,
                "redirect_uri": listener.address,
                "scope": "openid",
                "state": state,
                "nonce": nonce,
                "code_challenge": b64(hashlib.sha256(verifier.encode()).digest()),
                "code_challenge_method": "S256",
            }
            start = self._endpoint("authorization_endpoint")
            show(f"{start}{'&' if urlsplit(start).query else '?'}{urlencode(asked)}")
            code = listener.wait()
        return self._exchange(code, verifier, listener.address)

    def _exchange(self, code: str, verifier: str, address: str) -> str:
        form = urlencode(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": address,
                "client_id": self._provider.client_id,
                "code_verifier": verifier,
            }
        )
        answer = _object(self._fetch(self._endpoint("token_endpoint"), form.encode()))
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise refused("oidc.malformed", "the provider gave no ID token")
        return token

    def _endpoint(self, name: str) -> str:
        if self._document is None:
            where = self._provider.issuer.rstrip("/") + "/.well-known/openid-configuration"
            document = _object(self._fetch(where))
            if document.get("issuer") != self._provider.issuer:
                raise refused("oidc.issuer", f"{where} speaks for {document.get('issuer')!r}")
            self._document = document
        url = self._document.get(name)
        if not isinstance(url, str):
            raise refused("oidc.malformed", f"the provider names no {name}")
        return self._checked(url)

    def _checked(self, url: str) -> str:
        """Raises: Refused (``oidc.plaintext``)."""
        parts = urlsplit(url)
        local = _is_loopback(parts.hostname) and _is_loopback(
            urlsplit(self._provider.issuer).hostname
        )
        if parts.scheme == "https" or (parts.scheme == "http" and local):
            return url
        raise refused("oidc.plaintext", f"{url[:200]} is not https")

    def _fetch(self, url: str, form: bytes | None = None) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked
            self._checked(url), data=form, headers={"Accept": "application/json"}
        )
        try:
            with self._opener(url).open(request, timeout=TIMEOUT_S) as response:
                body: bytes = response.read(_MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            with error:
                if 300 <= error.code < 400:
                    raise refused("oidc.redirect", f"{url} sends us elsewhere") from error
                raise refused("oidc.denied", f"{url} answered {error.code}") from error
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"{url} cannot be asked",
                why=str(error)[:200],
                hint="check the network and [identity] in seal.toml",
            ) from error
        if len(body) > _MOST_BYTES:
            raise refused("oidc.oversize", f"{url} answered over {_MOST_BYTES} bytes")
        return body

    def _opener(self, url: str) -> urllib.request.OpenerDirector:
        context = ssl.create_default_context(cadata=self._provider.ca or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        handlers: list[urllib.request.BaseHandler] = [
            urllib.request.HTTPSHandler(context=context),
            _NoRedirect(),
        ]
        if _is_loopback(urlsplit(url).hostname):
            handlers.append(urllib.request.ProxyHandler({}))
        return urllib.request.build_opener(*handlers)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Never: the answer becomes an error."""


class _Listener:
    """One callback on a port of our own, on loopback; anything else that comes is turned away."""

    def __init__(self, issuer: str, state: str) -> None:
        self._issuer = issuer
        self._state = state
        self._answer: dict[str, list[str]] | None = None
        listener = self

        class Callback(BaseHTTPRequestHandler):
            timeout = TIMEOUT_S

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                mine = parts.path == _CALLBACK and len(self.path) < 8192
                if mine:
                    listener._answer = parse_qs(parts.query, max_num_fields=16)
                body = b"You can close this window.\n" if mine else b"Not here.\n"
                self.send_response(200 if mine else 404)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: the address holds the code."""

        self._server = HTTPServer(("127.0.0.1", 0), Callback)

    def __enter__(self) -> _Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    @property
    def address(self) -> str:
        """Where the provider sends the person back to."""
        return f"http://127.0.0.1:{self._server.server_port}{_CALLBACK}"

    def wait(self) -> str:
        """The code. Raises: Refused (``oidc.state``, ``oidc.issuer``, ``oidc.denied``)."""
        until = time.monotonic() + SIGN_IN_S
        for _ in range(_MANY_REQUESTS):
            self._server.timeout = max(0.0, until - time.monotonic())
            self._server.handle_request()
            if self._answer is not None:
                return self._code(self._answer)
            if time.monotonic() >= until:
                break
        raise Unavailable("nobody signed in", why=f"waited {SIGN_IN_S:.0f} s on {self.address}")

    def _code(self, answer: Mapping[str, list[str]]) -> str:
        if any(len(values) != 1 for values in answer.values()):
            raise refused("oidc.malformed", "the provider says something twice")
        said = {name: values[0] for name, values in answer.items()}
        if not hmac.compare_digest(said.get("state", "").encode(), self._state.encode()):
            raise refused("oidc.state", "the answer does not belong to this sign-in")
        if said.get("iss", self._issuer) != self._issuer:
            raise refused("oidc.issuer", "another provider answered (RFC 9207)")
        if "error" in said or "code" not in said:
            raise refused("oidc.denied", f"the provider said {said.get('error', 'nothing')[:80]!r}")
        return said["code"]


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise refused("oidc.malformed", "the provider's answer is not JSON") from error
    if not isinstance(value, dict):
        raise refused("oidc.malformed", "the provider's answer is no object")
    return value


def _is_loopback(host: str | None) -> bool:
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
