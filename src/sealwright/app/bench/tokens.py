"""Tokens verified per CPU-second: whole, with the proof and the deny-list, and beside PyJWT."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sealwright.app.bench import Row, cpu_s, measure
from sealwright.evidence.keys import load_public
from sealwright.vault import tokens
from sealwright.vault.denied import DenyList
from sealwright.vault.signers import Ed25519Signer
from sealwright.vault.tokens import Grantee

_AUDIENCE = "sealwright.local/bench"


def token_rows(quick: bool) -> list[Row]:
    """Issue, verify with a fresh proof each time; PyJWT verifies the signature alone."""
    count = 300 if quick else 3_000
    issuer, holder = Ed25519Signer.generate(), Ed25519Signer.generate()
    keys = {issuer.key_id: load_public(issuer.public_pem())}
    now = datetime.now(UTC)
    grantee = Grantee(_AUDIENCE, "ann", _AUDIENCE, "session", tokens.thumbprint(holder))
    token = tokens.issue(grantee, issuer, now)
    proofs = [tokens.prove(token, _AUDIENCE, holder, now) for _ in range(count)]

    def verify(directory: Path) -> float:
        denied = DenyList(directory)

        def work() -> None:
            for proof in proofs:
                tokens.verify(token, keys, _AUDIENCE, now, denied, proof)

        return cpu_s(work, repeat=1)

    def issue() -> None:
        for _ in range(count):
            tokens.issue(grantee, issuer, now)

    with tempfile.TemporaryDirectory() as folder:
        spent = sorted(verify(Path(folder) / str(n)) for n in range(3))[1]
    beside = _pyjwt(token, keys[issuer.key_id].raw(), count)
    return [
        measure(
            "tokens verified, with proof and deny-list", count / spent, "1/CPU-s", yardsticks=beside
        ),
        measure("tokens issued", count / cpu_s(issue), "1/CPU-s"),
    ]


def _pyjwt(token: str, raw: bytes, count: int) -> dict[str, float]:
    """The yardstick, where it is installed: one signature where ours are two."""
    try:
        import jwt
    except ImportError:
        return {}
    key = Ed25519PublicKey.from_public_bytes(raw)

    def work() -> None:
        for _ in range(count):
            jwt.decode(token, key, algorithms=["EdDSA"], audience=_AUDIENCE)

    return {"PyJWT, no proof, no deny-list": count / cpu_s(work)}
