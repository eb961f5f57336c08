"""Short-lived tokens: EdDSA JWTs of one form, bound to a key that has to be shown at each use.

A token alone opens nothing. Whoever uses it signs a proof with the key its ``cnf`` names, over
this token, this audience and this moment, and each proof counts once. There is one algorithm,
written into the code: what a token's header says about it is compared, never followed.

The format is docs/spec/tokens-v1.md. Sources: RFC 7519 (JWT), RFC 8037 (EdDSA), RFC 7638
(thumbprints), RFC 7800 (``cnf``), RFC 8725 (best practice); proofs are shaped as in RFC 9449.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, Protocol

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, Refused, VerifyError
from sealwright.core.ports import Signer
from sealwright.core.records import Json
from sealwright.evidence import jcs
from sealwright.evidence.keys import PublicKey, load_public

LEAST_LIFE_S, LIFE_S, MOST_LIFE_S = 300, 600, 900
SKEW_S = 5
"""How far the clocks of two processes may differ; expiry gets no such grace."""
PROOF_LIFE_S = 30
MOST_BYTES = 4096
ALGORITHM = "EdDSA"
TYPE, PROOF_TYPE = "seal+jwt", "seal-proof+jwt"
_SIGNATURE_BYTES = 64

Kind = Literal["session", "service", "run"]
Established = Literal["self-asserted", "key", "oidc"]


class Confirmation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``jkt``: the RFC 7638 thumbprint of the key that must prove itself."""

    jkt: str


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a token says. Times are seconds since 1970; ``act`` is who a run acts for."""

    iss: str
    sub: str
    aud: str
    kind: Kind
    cnf: Confirmation
    iat: int
    nbf: int
    exp: int
    jti: str
    act: str = ""
    established: Established = "self-asserted"


class Grantee(msgspec.Struct, frozen=True):
    """Who a token is for: everything in :class:`Claims` that the issuer does not add."""

    issuer: str
    subject: str
    audience: str
    kind: Kind
    thumbprint: str
    actor: str = ""
    established: Established = "self-asserted"
    life_s: int = LIFE_S


class Verified(msgspec.Struct, frozen=True):
    """A token whose every check held. Only :func:`verify` makes these."""

    claims: Claims
    key_id: Digest


class Denied(Protocol):
    """What is refused although it is signed; ``vault.denied`` keeps it in a directory."""

    def check(self, claims: Claims, now: datetime) -> None:
        """Raises: Refused (``token.revoked``, ``token.clock-set-back``)."""
        ...

    def first_use(self, proof: str, now: datetime) -> None:
        """Raises: Refused (``token.proof-replayed``)."""
        ...


def issue(grantee: Grantee, signer: Signer, now: datetime) -> str:
    """A token for ``grantee``, good from ``now``. Raises: BadInput (a life out of bounds)."""
    if not LEAST_LIFE_S <= grantee.life_s <= MOST_LIFE_S:
        raise BadInput(
            f"a token cannot live {grantee.life_s} s",
            why=f"{LEAST_LIFE_S} to {MOST_LIFE_S} seconds wanted",
        )
    at = int(now.timestamp())
    claims = Claims(
        iss=grantee.issuer,
        sub=grantee.subject,
        aud=grantee.audience,
        kind=grantee.kind,
        cnf=Confirmation(grantee.thumbprint),
        iat=at,
        nbf=at,
        exp=at + grantee.life_s,
        jti=secrets.token_hex(16),
        act=grantee.actor,
        established=grantee.established,
    )
    header: dict[str, Json] = {"alg": ALGORITHM, "kid": signer.key_id, "typ": TYPE}
    return _signed(header, msgspec.to_builtins(claims), signer)


def prove(token: str, audience: str, signer: Signer, now: datetime, nonce: str = "") -> str:
    """A proof that whoever uses ``token`` holds the key it is bound to; good once, for 30 s.

    ``nonce`` is the verifier's challenge, where it gave one.
    """
    header: dict[str, Json] = {"alg": ALGORITHM, "jwk": _jwk(signer), "typ": PROOF_TYPE}
    said: dict[str, Json] = {
        "ath": _hash(token),
        "aud": audience,
        "iat": int(now.timestamp()),
        "jti": secrets.token_hex(16),
        "nonce": nonce,
    }
    return _signed(header, said, signer)


def verify(
    token: str,
    keys: Mapping[Digest, PublicKey],
    audience: str,
    now: datetime,
    denied: Denied,
    proof: str,
    nonce: str = "",
) -> Verified:
    """Every check, cheapest first. ``keys`` are the issuer's that are good now, by key id.

    Raises: Refused, rule ``token.*`` (the table in docs/spec/tokens-v1.md).
    """
    claims, key_id = _authentic(token, keys)
    _in_time(claims, now)
    if claims.aud != audience:
        raise refused("token.audience", f"it is for {claims.aud[:80]!r}, not for {audience!r}")
    denied.check(claims, now)
    _proven(proof, token, claims, audience, now, nonce)
    denied.first_use(proof, now)
    return Verified(claims, key_id)


def thumbprint(signer: Signer) -> str:
    """RFC 7638 of the signer's public key: what ``cnf.jkt`` holds."""
    return _thumbprint(_jwk(signer))


def refused(rule: str, why: str, hint: str = "seal access login") -> Refused:
    """The one shape of a refused token."""
    return Refused("a token was refused", why=why, hint=hint, rule=rule)


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64(text: str) -> bytes:
    """The inverse of :func:`b64`, for its one spelling only. Raises: ValueError."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if b64(data) != text:
        raise ValueError("base64url with stray bits")
    return data


def _authentic(token: str, keys: Mapping[Digest, PublicKey]) -> tuple[Claims, Digest]:
    """The claims, their signature checked; nothing else is."""
    header = _parsed(token)[0]
    _check_header(header, {"alg", "kid", "typ"}, TYPE)
    public = keys.get(str(header["kid"]))
    if public is None or public.algorithm != "ed25519":
        raise refused("token.unknown-key", "no key that is good now signed it")
    return _claims(token, public), public.key_id


@lru_cache(maxsize=256)
def _claims(token: str, public: PublicKey) -> Claims:
    """The same bytes under the same key hold for good; what else is checked is each time's."""
    _, payload, message, signature = _parsed(token)
    try:
        public.verify(message, signature)
    except VerifyError as error:
        raise refused("token.signature", error.why) from error
    if isinstance(payload, dict) and "cnf" not in payload:
        raise refused("token.unbound", "it is bound to no key")
    try:
        return msgspec.convert(payload, Claims, strict=True)
    except msgspec.ValidationError as error:
        raise refused("token.malformed", str(error)) from error


def _in_time(claims: Claims, now: datetime) -> None:
    at = now.timestamp()
    if not 0 < claims.exp - claims.iat <= MOST_LIFE_S or claims.nbf < claims.iat:
        raise refused("token.life", f"it lives {claims.exp - claims.iat} s, {MOST_LIFE_S} at most")
    if at + SKEW_S < claims.nbf:
        raise refused(
            "token.not-yet-valid",
            f"it is good in {int(claims.nbf - at)} s, or the clock was set back",
            "set the clock",
        )
    if at >= claims.exp:
        raise refused("token.expired", f"it ended {int(at - claims.exp)} s ago")


def _proven(
    proof: str, token: str, claims: Claims, audience: str, now: datetime, nonce: str
) -> None:
    header, said, message, signature = _split(proof, "token.proof")
    _check_header(header, {"alg", "jwk", "typ"}, PROOF_TYPE, "token.proof")
    jwk = header["jwk"]
    if not isinstance(jwk, dict) or jwk.keys() != {"crv", "kty", "x"}:
        raise refused("token.proof", "its key is not an Ed25519 JWK")
    if _thumbprint(jwk) != claims.cnf.jkt:
        raise refused("token.proof", "another key than the token is bound to made it")
    try:
        key = ed25519.Ed25519PublicKey.from_public_bytes(unb64(str(jwk["x"])))
        key.verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise refused("token.proof", "its signature does not hold") from error
    if not isinstance(said, dict) or said.keys() != {"ath", "aud", "iat", "jti", "nonce"}:
        raise refused("token.proof", "it does not say what a proof says")
    if said["ath"] != _hash(token) or said["aud"] != audience or said["nonce"] != nonce:
        raise refused("token.proof", "it was made for another token, audience or challenge")
    made = said["iat"]
    if not isinstance(made, int) or not -SKEW_S <= now.timestamp() - made <= PROOF_LIFE_S:
        raise refused("token.proof-expired", f"a proof counts for {PROOF_LIFE_S} s")


def _check_header(header: Any, members: set[str], kind: str, rule: str = "token.malformed") -> None:
    if not isinstance(header, dict):
        raise refused(rule, "its header is no object")
    if header.get("alg") != ALGORITHM:
        raise refused(
            "token.algorithm" if rule == "token.malformed" else rule,
            f"it says alg {str(header.get('alg'))[:20]!r}; only {ALGORITHM} is taken",
        )
    if header.keys() != members or header["typ"] != kind:
        raise refused(rule, f"its header is not that of a {kind}")


def _split(text: str, rule: str = "token.malformed") -> tuple[Any, Any, bytes, bytes]:
    if len(text) > MOST_BYTES:
        raise refused("token.oversize", f"it is over {MOST_BYTES} bytes")
    parts = text.split(".")
    if len(parts) != 3 or not text.isascii():
        raise refused(rule, "three parts wanted")
    try:
        header, payload, signature = (unb64(part) for part in parts)
        said = jcs.parse(header), jcs.parse(payload)
    except (ValueError, VerifyError) as error:
        raise refused(rule, f"{error}: one spelling only, RFC 8785 in base64url") from error
    message = text.rpartition(".")[0].encode("ascii")
    return *said, message, signature


_parsed = lru_cache(maxsize=256)(_split)


def _signed(header: Mapping[str, Json], payload: Mapping[str, Json], signer: Signer) -> str:
    message = f"{b64(jcs.canonical(header))}.{b64(jcs.canonical(payload))}"
    signature = signer.sign(message.encode("ascii"))
    if len(signature) != _SIGNATURE_BYTES:
        raise BadInput("tokens are signed with Ed25519")
    return f"{message}.{b64(signature)}"


def _jwk(signer: Signer) -> dict[str, Json]:
    public = load_public(signer.public_pem())
    if public.algorithm != "ed25519":
        raise BadInput("a token is bound to an Ed25519 key")
    return {"crv": "Ed25519", "kty": "OKP", "x": b64(public.raw())}


def _thumbprint(jwk: Mapping[str, Json]) -> str:
    return b64(hashlib.sha256(jcs.canonical(jwk)).digest())


def _hash(token: str) -> str:
    return b64(hashlib.sha256(token.encode("ascii")).digest())
