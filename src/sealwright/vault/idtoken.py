"""An OpenID provider's ID token: verified against the keys of the one issuer that was pinned.

Pure: the token, the provider's JWKS and the clock come in. Signatures are PyJWT's; everything
else is checked here, because the moment is ours and because a check that a caller can switch
off is one that somebody will. Sources: OpenID Connect Core 1.0 section 3.1.3.7, RFC 8725.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, MissingExtra, Refused
from sealwright.vault.people import Provider, subject_digest

SKEW_S = 60
MOST_AGE_S = 3600
MOST_BYTES = 16 << 10
MOST_KEYS = 64
LEAST_RSA_BITS = 2048
_KINDS = {"EdDSA": ("OKP", "Ed25519"), "ES256": ("EC", "P-256"), "RS256": ("RSA", None)}
"""The algorithms taken, and the only kind of key each is taken with."""


class IdToken(msgspec.Struct, frozen=True):
    """A token whose every check held. ``subject`` is a digest (see ``people.subject_digest``)."""

    issuer: str
    subject: Digest
    expires: int


def verify(
    token: str, jwks: bytes, provider: Provider, now: datetime, nonce: str | None
) -> IdToken:
    """Every check. ``nonce`` None is for workload tokens, which carry none.

    Raises: Refused (``oidc.*``), MissingExtra, BadInput (a JWKS nobody can read).
    """
    if len(token) > MOST_BYTES:
        raise refused("oidc.oversize", f"the ID token is over {MOST_BYTES} bytes")
    claims = _authentic(token, _keys_in(jwks))
    if claims.get("iss") != provider.issuer:
        raise refused("oidc.issuer", f"{str(claims.get('iss'))[:120]!r} issued it")
    _for_us(claims, provider.client_id)
    expires = _in_time(claims, now)
    if nonce is not None and not _equal(claims.get("nonce"), nonce):
        raise refused("oidc.nonce", "it does not answer this request")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise refused("oidc.malformed", "it names no subject")
    return IdToken(provider.issuer, subject_digest(provider.issuer, subject), expires)


def refused(rule: str, why: str) -> Refused:
    """The one shape of a refused identity."""
    return Refused(
        "the identity provider's answer was refused",
        why=why,
        hint="seal access login again; if it stays, compare [identity] in seal.toml",
        rule=rule,
    )


def check_jwks(jwks: bytes) -> None:
    """Raises: BadInput (not a JWKS, or too many keys)."""
    _keys_in(jwks)


def _authentic(token: str, keys: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The claims, their signature checked; nothing else is."""
    jwt = _pyjwt()
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise refused("oidc.malformed", str(error)[:200]) from error
    algorithm = header.get("alg")
    if algorithm not in _KINDS:
        raise refused("oidc.algorithm", f"alg {str(algorithm)[:20]!r}; taken: {', '.join(_KINDS)}")
    if "crit" in header or "b64" in header:
        raise refused("oidc.malformed", "its header asks for an extension")
    key = _key_for(header.get("kid"), str(algorithm), keys)
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token, key, algorithms=[str(algorithm)], options=_SIGNATURE_ALONE
        )
    except jwt.InvalidSignatureError as error:
        raise refused("oidc.signature", "the provider's key did not sign it") from error
    except jwt.PyJWTError as error:
        raise refused("oidc.malformed", str(error)[:200]) from error
    return claims


def _key_for(kid: object, algorithm: str, keys: Sequence[Mapping[str, Any]]) -> Any:
    jwt = _pyjwt()
    if not isinstance(kid, str) or not kid:
        raise refused("oidc.key", "it names no key (kid)")
    fits = [key for key in keys if key.get("kid") == kid]
    if len(fits) != 1:
        raise refused("oidc.key", f"the provider has {len(fits)} keys by the id {kid[:80]!r}")
    key = fits[0]
    kind, curve = _KINDS[algorithm]
    if key.get("kty") != kind or (curve and key.get("crv") != curve):
        raise refused("oidc.key", f"the key {kid[:80]!r} is not one for {algorithm}")
    if key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm:
        raise refused("oidc.key", f"the key {kid[:80]!r} is for something else")
    try:
        made = jwt.PyJWK(dict(key), algorithm=algorithm)
    except jwt.PyJWTError as error:
        raise refused("oidc.key", f"the key {kid[:80]!r} cannot be read: {error}") from error
    if algorithm == "RS256" and made.key.key_size < LEAST_RSA_BITS:
        raise refused("oidc.key", f"the key {kid[:80]!r} has under {LEAST_RSA_BITS} bits")
    return made


def _for_us(claims: Mapping[str, Any], client_id: str) -> None:
    audience, party = claims.get("aud"), claims.get("azp")
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list) or client_id not in named:
        raise refused("oidc.audience", f"it is not for the client {client_id!r}")
    if party is None and len(named) > 1:
        raise refused("oidc.azp", "it is for several clients and says of none that it asked")
    if party is not None and party != client_id:
        raise refused("oidc.azp", "another client asked for it")


def _in_time(claims: Mapping[str, Any], now: datetime) -> int:
    at = now.timestamp()
    issued, expires, early = (_seconds(claims, name) for name in ("iat", "exp", "nbf"))
    if issued is None or expires is None:
        raise refused("oidc.malformed", "it says neither when it was issued nor when it ends")
    if at >= expires + SKEW_S:
        raise refused("oidc.expired", f"it ended {int(at - expires)} s ago")
    if at + SKEW_S < max(issued, early or 0):
        raise refused("oidc.not-yet-valid", "it is from the future; is the clock right?")
    if at - issued > MOST_AGE_S:
        raise refused("oidc.expired", f"it was issued over {MOST_AGE_S} s ago")
    return expires


def _seconds(claims: Mapping[str, Any], name: str) -> int | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise refused("oidc.malformed", f"{name} is no time")
    return int(value)


def _equal(found: object, wanted: str) -> bool:
    return isinstance(found, str) and hmac.compare_digest(found.encode(), wanted.encode())


def _keys_in(jwks: bytes) -> list[Mapping[str, Any]]:
    try:
        keys = json.loads(jwks)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadInput("not a JSON Web Key Set", why=str(error)[:200]) from error
    if not isinstance(keys, list) or len(keys) > MOST_KEYS:
        raise BadInput("not a JSON Web Key Set", why=f"a list of at most {MOST_KEYS} keys wanted")
    if any(not isinstance(key, dict) or "d" in key or key.get("kty") == "oct" for key in keys):
        raise BadInput("a JSON Web Key Set holds public keys and nothing else")
    return keys


_SIGNATURE_ALONE: Any = {
    "verify_signature": True,
    **{f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")},
}


def _pyjwt() -> Any:
    try:
        import jwt
    except ImportError as error:
        raise MissingExtra("signing in with an identity provider", "oidc") from error
    return jwt
