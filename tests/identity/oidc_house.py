"""A real OpenID provider on loopback, with real keys; ``lies`` says where it is hostile."""

import base64
import hashlib
import json
import secrets
import ssl
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

CLIENT = "sealwright"
MAKERS = {
    "EdDSA": (ed25519.Ed25519PrivateKey.generate, OKPAlgorithm),
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "RS256": (lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048), RSAAlgorithm),
}


def jwk_of(private, algorithm: str, kid: str) -> dict:
    found = MAKERS[algorithm][1].to_jwk(private.public_key(), as_dict=True)
    return {**found, "kid": kid, "use": "sig", "alg": algorithm}


class OpenIdProvider:
    """``person`` is who is signed in at it. ``claims`` and ``lies`` bend its answers."""

    def __init__(self, algorithm: str = "ES256", tls: Path | None = None) -> None:
        self.algorithm = algorithm
        self.key = MAKERS[algorithm][0]()
        self.kid = "key-1"
        self.person = "248289761001"
        self.claims: dict = {}
        self.header: dict = {}
        self.lies: dict = {}
        self.asked: list[str] = []
        self._codes: dict[str, dict] = {}
        provider = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked.append(self.path)
                provider.answer(self, self.path, "")

            def do_POST(self) -> None:
                provider.asked.append(self.path)
                length = int(self.headers["Content-Length"])
                provider.answer(self, self.path, self.rfile.read(length).decode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        scheme = "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.issuer = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def jwks(self) -> dict:
        return self.lies.get("jwks", {"keys": [jwk_of(self.key, self.algorithm, self.kid)]})

    def token(self, **claims) -> str:
        """An ID token, as the present claims and lies have it."""
        now = int(time.time())
        said = {
            "iss": self.issuer,
            "sub": self.person,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            **claims,
            **self.claims,
        }
        said = {name: value for name, value in said.items() if value is not None}
        header = {"kid": self.kid, **self.header}
        header = {name: value for name, value in header.items() if value is not None}
        return jwt.encode(said, self.key, algorithm=self.algorithm, headers=header)

    def answer(self, request: BaseHTTPRequestHandler, path: str, form: str) -> None:
        parts = urlsplit(path)
        said = {name: values[0] for name, values in parse_qs(parts.query or form).items()}
        if parts.path in self.lies.get("redirect", ()):
            self._redirect(request, self.lies["elsewhere"])
        elif parts.path == "/.well-known/openid-configuration":
            self._json(request, self.document())
        elif parts.path == "/jwks":
            self._json(request, self.jwks())
        elif parts.path == "/authorize":
            self._authorize(request, said)
        elif parts.path == "/token":
            self._token(request, said)
        else:
            request.send_error(404)

    def document(self) -> dict:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            **self.lies.get("document", {}),
        }

    def _authorize(self, request: BaseHTTPRequestHandler, said: dict) -> None:
        if said.get("code_challenge_method") != "S256" or said.get("client_id") != CLIENT:
            request.send_error(400)
            return
        code = secrets.token_urlsafe(16)
        self._codes[code] = said
        back = {"code": code, "state": said["state"], **self.lies.get("callback", {})}
        back = {name: value for name, value in back.items() if value is not None}
        address = self.lies.get("send_to", said["redirect_uri"])
        self._redirect(request, f"{address}?{urlencode(back, doseq=True)}")

    def _token(self, request: BaseHTTPRequestHandler, said: dict) -> None:
        asked = self._codes.pop(said.get("code", ""), None)
        verifier = said.get("code_verifier", "").encode()
        shown = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
        if (
            asked is None
            or shown != asked["code_challenge"]
            or said.get("redirect_uri") != asked["redirect_uri"]
            or said.get("client_id") != CLIENT
        ):
            request.send_error(400)
            return
        self._json(request, {"id_token": self.token(nonce=asked["nonce"]), "token_type": "Bearer"})

    def _json(self, request: BaseHTTPRequestHandler, value: dict) -> None:
        body = self.lies.get("body", json.dumps(value).encode())
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _redirect(self, request: BaseHTTPRequestHandler, where: str) -> None:
        request.send_response(302)
        request.send_header("Location", where)
        request.send_header("Content-Length", "0")
        request.end_headers()


class Browser:
    """A person who opens the address that is shown, and is sent on from there."""

    def __init__(self, first: tuple[str, ...] = (), edit=None) -> None:
        self._first = first
        self._edit = edit
        self.threads: list[threading.Thread] = []
        self.statuses: list[int] = []

    def __call__(self, address: str) -> None:
        thread = threading.Thread(target=self._go, args=(address,))
        self.threads.append(thread)
        thread.start()

    def _go(self, address: str) -> None:
        back = parse_qs(urlsplit(address).query)["redirect_uri"][0]
        base = back.removesuffix("/callback")
        for path in self._first:
            self._open(base + path)
        self._open(self._edit(address) if self._edit else address)

    def _open(self, address: str) -> None:
        try:
            with urllib.request.urlopen(address, timeout=10) as response:
                self.statuses.append(response.status)
        except urllib.error.HTTPError as error:
            with error:
                self.statuses.append(error.code)

    def close(self) -> None:
        for thread in self.threads:
            thread.join()
