"""What the identity tests share: a moment, keys, a deny-list, a token and its proof."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sealwright.evidence.keys import load_public
from sealwright.vault import tokens
from sealwright.vault.denied import DenyList
from sealwright.vault.signers import Ed25519Signer
from sealwright.vault.tokens import Grantee

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
AUDIENCE = "sealwright.local/w0123456789abcdef"


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def parts(token: str) -> tuple[dict, dict, bytes]:
    header, payload, signature = token.split(".")
    return json.loads(unb64(header)), json.loads(unb64(payload)), unb64(signature)


def compact(value: dict) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return b64(text.encode())


class House:
    """An issuer, a holder and a verifier."""

    def __init__(self, directory: Path) -> None:
        self.issuer = Ed25519Signer.generate()
        self.holder = Ed25519Signer.generate()
        self.keys = {self.issuer.key_id: load_public(self.issuer.public_pem())}
        self.denied = DenyList(directory / "denied")

    def issue(self, now: datetime = NOW, **changed) -> str:
        grantee = {
            "issuer": AUDIENCE,
            "subject": "ann",
            "audience": AUDIENCE,
            "kind": "session",
            "thumbprint": tokens.thumbprint(self.holder),
            "actor": "ann",
            **changed,
        }
        return tokens.issue(Grantee(**grantee), self.issuer, now)

    def signed(self, header: dict, payload: dict, signer: Ed25519Signer | None = None) -> str:
        """Any token at all, well signed."""
        message = f"{compact(header)}.{compact(payload)}"
        return f"{message}.{b64((signer or self.issuer).sign(message.encode()))}"

    def proof(self, token: str, now: datetime = NOW, nonce: str = "") -> str:
        return tokens.prove(token, AUDIENCE, self.holder, now, nonce)

    def verify(self, token: str, now: datetime = NOW, proof: str | None = None, **more):
        shown = self.proof(token, now) if proof is None else proof
        audience = more.pop("audience", AUDIENCE)
        return tokens.verify(token, self.keys, audience, now, self.denied, shown, **more)
