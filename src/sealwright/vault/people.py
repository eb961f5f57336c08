"""How a person joins: an invitation signed by the workspace, an acceptance signed by their key.

Pure: bytes in, a verified record or an error out. Both are DSSE envelopes; an invitation also
travels as one line of text. The acceptance holds the invitation, so the workspace keeps nothing
between the two. Spec: docs/spec/identity-v1.md.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

import msgspec

from sealwright.core import clock
from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput, Refused, SealError, UnknownSigner, VerifyError
from sealwright.core.ports import Signer
from sealwright.evidence import dsse, jcs
from sealwright.evidence.keys import PublicKey, load_public

INVITATION = "application/vnd.sealwright.invitation+json"
ACCEPTANCE = "application/vnd.sealwright.acceptance+json"
CHALLENGE = "application/vnd.sealwright.challenge+json"
CODE = "seal-invite:"
LONGEST = timedelta(days=30)
SKEW = timedelta(minutes=5)
MOST_BYTES = 1 << 16


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An OpenID provider as the workspace pins it. ``keys`` is a JWKS (empty: fetch it), ``ca``
    certificates in PEM (empty: the system's)."""

    issuer: str
    client_id: str
    keys: str = ""
    ca: str = ""

    @property
    def digest(self) -> Digest:
        """What names exactly this pin."""
        return of_bytes(jcs.canonical(msgspec.to_builtins(self)))


class Invitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An offer to one person. ``subject`` is set where a provider must vouch for them."""

    id: str
    workspace: str
    origin: str
    fingerprint: Digest
    pem: str
    name: str
    role: str
    invited_by: str
    issued: str
    expires: str
    provider: Provider | None = None
    subject: Digest = ""


class Acceptance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answer. ``invitation`` is the envelope (base64); ``id_token`` is for the owner only."""

    invitation: str
    name: str
    pem: str
    uid: int
    host: str
    time: str
    id_token: str = ""


class Accepted(msgspec.Struct, frozen=True):
    """A joined person: only :func:`verify_acceptance` makes these."""

    invitation: Invitation
    digest: Digest
    acceptance: Acceptance
    public: PublicKey


def subject_digest(issuer: str, subject: str) -> Digest:
    """How evidence names a provider's subject: no address or account name goes into the log."""
    return of_bytes(jcs.canonical(["sealwright subject v1", issuer, subject]))


def binding_nonce(invitation: bytes, public: PublicKey) -> str:
    """The OpenID nonce of an acceptance: the provider vouches for this key, in this offer."""
    return of_bytes(jcs.canonical(["sealwright bind v1", of_bytes(invitation), public.key_id]))


def invite(offer: Invitation, signer: Signer, now: datetime) -> bytes:
    """The signed invitation. Raises: BadInput (expired at birth, or good for over 30 days)."""
    ends = clock.parse(offer.expires)
    if not now < ends <= now + LONGEST:
        raise BadInput("an invitation ends within 30 days", why=f"{offer.expires} was asked for")
    return dsse.sign(jcs.canonical(msgspec.to_builtins(offer)), [signer], INVITATION)


def new_id() -> str:
    """What tells two invitations apart."""
    return secrets.token_hex(16)


def to_code(envelope: bytes) -> str:
    """An invitation as one line."""
    return CODE + base64.urlsafe_b64encode(envelope).decode("ascii")


def from_text(text: bytes) -> bytes:
    """The envelope in a file or a code. Raises: BadInput (neither)."""
    word = text.strip()
    if len(word) > MOST_BYTES:
        raise BadInput("too long to be an invitation")
    if not word.startswith(CODE.encode()):
        return word
    try:
        return base64.urlsafe_b64decode(word[len(CODE) :])
    except (binascii.Error, ValueError) as error:
        raise BadInput("the invitation's line was cut or changed", why=str(error)) from error


def read_invitation(envelope: bytes, now: datetime) -> Invitation:
    """What an invited person can check: its form, its signature by the key it names, its time.

    That this is the right workspace they learn by comparing its fingerprint.
    Raises: VerifyError, Refused (``invitation.*``).
    """
    said = _payload(envelope, INVITATION, Invitation)
    key = _key(said.pem, "invitation")
    _signed_by(envelope, key, INVITATION, "invitation")
    _in_time(said, now)
    return said


def accept(acceptance: Acceptance, signer: Signer) -> bytes:
    """The signed acceptance."""
    return dsse.sign(jcs.canonical(msgspec.to_builtins(acceptance)), [signer], ACCEPTANCE)


def verify_acceptance(
    envelope: bytes, workspace_keys: Mapping[Digest, PublicKey], fingerprint: Digest, now: datetime
) -> Accepted:
    """An acceptance, held against the workspace that is said to have invited.

    ``workspace_keys`` are the keys that may have signed the invitation. Whether it was used
    before, and what an ID token says, is for the caller.
    Raises: VerifyError, Refused, rule ``invitation.*`` or ``acceptance.*``.
    """
    said = _payload(envelope, ACCEPTANCE, Acceptance)
    public = _key(said.pem, "acceptance")
    _signed_by(envelope, public, ACCEPTANCE, "acceptance")
    try:
        inner = base64.b64decode(said.invitation, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad("acceptance", "malformed", "it holds no invitation") from error
    offer = _payload(inner, INVITATION, Invitation)
    try:
        dsse.verify(inner, workspace_keys, INVITATION)
    except (UnknownSigner, VerifyError) as error:
        raise _bad("invitation", "signature", "this workspace did not sign it") from error
    if offer.fingerprint != fingerprint:
        raise _bad("invitation", "elsewhere", "it is for another workspace")
    _in_time(offer, now)
    if said.name != offer.name:
        raise _bad("acceptance", "name", f"{offer.name} was invited, not {said.name}")
    if public.algorithm != "ed25519":
        raise _bad("acceptance", "key", "a person's key is Ed25519")
    made = _parsed(said.time)
    if not clock.parse(offer.issued) - SKEW <= made <= now + SKEW:
        raise _bad("acceptance", "time", f"it says it was signed at {said.time}")
    return Accepted(offer, of_bytes(inner), said, public)


def challenge(origin: str, name: str, session: str, now: datetime) -> bytes:
    """What a person signs to log in: this log, this name, this session's key, this moment."""
    return jcs.canonical(
        {
            "name": name,
            "nonce": new_id(),
            "origin": origin,
            "session": session,
            "time": clock.stamp(now),
        }
    )


def answer(question: bytes, signer: Signer) -> bytes:
    """The signature over a challenge."""
    return signer.sign(dsse.pae(CHALLENGE, question))


def verify_answer(question: bytes, signature: bytes, public: PublicKey) -> Literal["key"]:
    """How the person was established. Raises: VerifyError (``challenge.signature``)."""
    try:
        public.verify(dsse.pae(CHALLENGE, question), signature)
    except VerifyError as error:
        raise _bad("challenge", "signature", "the key did not answer it") from error
    return "key"


_Said = TypeVar("_Said")


def _payload(envelope: bytes, kind: str, shape: type[_Said]) -> _Said:
    word = "invitation" if kind == INVITATION else "acceptance"
    if len(envelope) > MOST_BYTES:
        raise _bad(word, "malformed", "it is too long")
    try:
        parsed = dsse.parse(envelope)
        if parsed.payload_type != kind:
            raise _bad(word, "malformed", f"it is a {parsed.payload_type[:80]}")
        value: Any = jcs.parse(parsed.payload)
        return msgspec.convert(value, shape, strict=True)
    except (SealError, msgspec.ValidationError) as error:
        raise _bad(word, "malformed", str(error)[:200]) from error


def _key(pem: str, word: str) -> PublicKey:
    try:
        public = load_public(pem.encode())
    except (BadInput, UnicodeEncodeError) as error:
        raise _bad(word, "key", "it holds no public key") from error
    if public.pem.decode("ascii") != pem:
        raise _bad(word, "key", "its key is not written the one way it is written")
    return public


def _signed_by(envelope: bytes, key: PublicKey, kind: str, word: str) -> None:
    try:
        dsse.verify(envelope, {key.key_id: key}, kind)
    except (UnknownSigner, VerifyError) as error:
        raise _bad(word, "signature", "the key it names did not sign it") from error


def _in_time(offer: Invitation, now: datetime) -> None:
    if now < _parsed(offer.issued) - SKEW:
        raise Refused(
            "an invitation is not good yet",
            why=f"it was issued at {offer.issued}; is the clock right?",
            rule="invitation.not-yet-valid",
        )
    if now >= _parsed(offer.expires):
        raise Refused(
            "an invitation has expired",
            why=f"it ended at {offer.expires}",
            hint=f"seal access invite {offer.name} --role {offer.role}",
            rule="invitation.expired",
        )


def _parsed(text: str) -> datetime:
    try:
        return clock.parse(text)
    except BadInput as error:
        raise _bad("invitation", "malformed", error.what) from error


def _bad(word: str, rule: str, why: str) -> VerifyError:
    return VerifyError(f"the {word} does not hold", why=why, rule=f"{word}.{rule}")
