"""Inviting, joining and logging in, over a workspace: the joiner of keys, providers and the log.

The owner's side: :func:`invite`, :func:`enrol_service`, :func:`accept`. The person's side:
:func:`join` (needs no workspace), :func:`log_in`. Spec: docs/spec/identity-v1.md.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from sealwright.adapters.oidc_http import HttpProvider
from sealwright.app import sessions, trusting, wiring
from sealwright.app.sessions import Session
from sealwright.app.wiring import Workspace
from sealwright.core import clock, refs
from sealwright.core.digest import of_bytes
from sealwright.core.errors import BadInput, Refused
from sealwright.core.ports import Signer
from sealwright.evidence import jcs
from sealwright.evidence import trust as trusts
from sealwright.policy.identities import Identities, Identity, login_of, statement_of
from sealwright.policy.principals import established_of, host_id, is_key_of
from sealwright.vault import idtoken, people
from sealwright.vault.idtoken import IdToken
from sealwright.vault.people import Acceptance, Accepted, Invitation, Provider
from sealwright.vault.signers import Ed25519Signer
from sealwright.vault.tokens import thumbprint

Admit = Callable[[str, str, Literal["person", "service"]], None]
"""Makes a name a member in a role. Raises: GateDenied."""

Show = Callable[[str], None]
"""Puts the provider's sign-in address before a person."""


def provider_of(workspace: Workspace, name: str) -> Provider:
    """``[identity.NAME]``, its files read. Raises: BadInput."""
    settings = workspace.settings.identity
    if name not in settings:
        known = ", ".join(settings) or "none"
        raise BadInput(
            f"seal.toml names no provider {name!r}",
            why=f"known: {known}",
            hint=f"add [identity.{name}] with issuer and client_id to seal.toml",
        )
    found = settings[name]
    keys = (workspace.root / found.keys).read_bytes() if found.keys else b""
    if keys:
        idtoken.check_jwks(keys)
    ca = (workspace.root / found.ca).read_text("ascii") if found.ca else ""
    return Provider(found.issuer, found.client_id, keys.decode(), ca)


def invite(
    workspace: Workspace,
    name: str,
    role: str,
    life: timedelta,
    provider: Provider | None = None,
    subject: str = "",
) -> bytes:
    """A signed invitation; nothing is recorded until it is accepted. Raises: BadInput."""
    refs.check_name(name)
    if bool(provider) != bool(subject):
        raise BadInput(
            "a provider vouches for one subject",
            hint="give --provider and --subject together: the `sub` of their ID tokens",
        )
    now = workspace.clock()
    signer = workspace.keyring.signer("workspace")
    offer = Invitation(
        id=people.new_id(),
        workspace=workspace.id,
        origin=workspace.origin,
        fingerprint=workspace.trust.fingerprint,
        pem=signer.public_pem().decode("ascii"),
        name=name,
        role=role,
        invited_by=workspace.principal.name,
        issued=clock.stamp(now),
        expires=clock.stamp(now + life),
        provider=provider,
        subject=people.subject_digest(provider.issuer, subject) if provider else "",
    )
    return people.invite(offer, signer, now)


def enrol_service(
    workspace: Workspace, name: str, provider: Provider, subject: str, reason: str, admit: Admit
) -> Identity:
    """A service that a provider's workload tokens establish; it needs no key and no answer.

    Raises: Refused (the subject is another principal's), BadInput.
    """
    if not subject:
        raise BadInput("which of the provider's tokens is it?", hint="add --subject: their `sub`")
    identity = Identity(
        principal=refs.check_name(name),
        kind="service",
        established="oidc",
        issuer=provider.issuer,
        subject=people.subject_digest(provider.issuer, subject),
        provider=provider.digest,
    )
    with workspace.lock():
        Identities(workspace.history()).refuse_taken(identity)
        if any(key.role == "principal" and key.name == name for key in workspace.trust.keys):
            raise BadInput(f"{name} is a person with a key here")
        admit(name, "service", "service")
        _record(workspace, identity, "service", reason)
    return identity


def join(envelope: bytes, signer: Signer, now: datetime, show: Show) -> tuple[Invitation, bytes]:
    """Accept an invitation with one's own key; a provider vouches where the invitation asks.

    Raises: Refused (``invitation.*``, ``oidc.*``), VerifyError, Unavailable, MissingExtra.
    """
    offer = people.read_invitation(envelope, now)
    token = ""
    public = wiring.person_home(offer.name).public()
    if public is None or public.key_id != signer.key_id:
        raise BadInput(f"the key at hand is not {offer.name}'s own")
    if offer.provider:
        reach, nonce = HttpProvider(offer.provider), people.binding_nonce(envelope, public)
        token = reach.sign_in(nonce, show)
        known = idtoken.verify(token, reach.jwks(), offer.provider, now, nonce)
        if known.subject != offer.subject:
            raise Refused(
                "you signed in as somebody who was not invited",
                why="the invitation names another subject of this provider",
                rule="oidc.subject",
            )
    said = Acceptance(
        invitation=base64.b64encode(envelope).decode("ascii"),
        name=offer.name,
        pem=signer.public_pem().decode("ascii"),
        uid=os.getuid(),
        host=host_id(),
        time=clock.stamp(now),
        id_token=token,
    )
    return offer, people.accept(said, signer)


def accept(
    workspace: Workspace, envelope: bytes, reason: str, admit: Admit
) -> tuple[Accepted, Identity]:
    """Enrol who accepted: their key into the trust root, how they were established into the log.

    ``admit`` makes them a member, and refuses where the present principal may not.

    Raises: VerifyError, Refused (``invitation.*``, ``acceptance.*``, ``oidc.*``).
    """
    with workspace.lock():
        now, trust = workspace.clock(), workspace.trust
        keys = trust.public("workspace", workspace.log.size())
        accepted = people.verify_acceptance(envelope, keys, trust.fingerprint, now)
        offer, public = accepted.invitation, accepted.public
        identity = Identity(
            principal=offer.name,
            kind="person",
            established="oidc" if offer.provider else "key",
            key_id=public.key_id,
            issuer=offer.provider.issuer if offer.provider else "",
            subject=offer.subject,
            provider=offer.provider.digest if offer.provider else "",
            invitation=accepted.digest,
        )
        Identities(workspace.history()).refuse_taken(identity)
        if offer.provider:
            _vouched(accepted, offer.provider, now)
        admit(offer.name, offer.role, "person")
        _enrol(workspace, identity, accepted, reason)
        _record(workspace, identity, offer.role, reason)
    return accepted, identity


def log_in(workspace: Workspace, name: str) -> Session:
    """A session for ``name``, established by their own key. Raises: Refused, Unavailable."""
    home, trust = wiring.person_home(name), workspace.trust
    public = home.public()
    if public is None or not is_key_of(trust, name, public.key_id, None):
        raise Refused(
            f"this workspace knows no key of {name}'s own",
            why="only an enrolled key can answer for a name",
            hint=f"an owner: seal access invite {name} --role ROLE; "
            "then: seal access login --invite FILE",
            rule="identity.unknown-key",
        )
    key = Ed25519Signer.generate()
    question = people.challenge(workspace.origin, name, thumbprint(key), workspace.clock())
    answer = people.answer(question, home.unlock())
    established = people.verify_answer(question, answer, public)
    identity = Identity(
        principal=name, kind="person", established=established, key_id=public.key_id
    )
    return _started(workspace, identity, key)


def log_in_with(workspace: Workspace, provider: Provider, show: Show) -> Session:
    """A person's session, established by a provider: they sign in at the address shown.

    Raises: Refused (``oidc.*``, ``identity.*``), Unavailable, MissingExtra.
    """
    key = Ed25519Signer.generate()
    fresh = ["sealwright login v1", workspace.origin, thumbprint(key), people.new_id()]
    nonce = of_bytes(jcs.canonical(fresh))
    reach = HttpProvider(provider)
    token = reach.sign_in(nonce, show)
    known = idtoken.verify(token, reach.jwks(), provider, workspace.clock(), nonce)
    return _started(workspace, _mapped(workspace, known, provider, "person"), key)


def log_in_workload(workspace: Workspace, provider: Provider, token: str) -> Session:
    """A service's session, established by a workload token, which counts once.

    Raises: Refused (``oidc.*``, ``identity.*``, ``token.replayed``), MissingExtra.
    """
    jwks = HttpProvider(provider).jwks()
    known = idtoken.verify(token, jwks, provider, workspace.clock(), None)
    identity = _mapped(workspace, known, provider, "service")
    workspace.tokens.denied.once(token, known.expires)
    return _started(workspace, identity, Ed25519Signer.generate())


def _mapped(workspace: Workspace, known: IdToken, provider: Provider, kind: str) -> Identity:
    """The principal that the provider's subject stands for. Raises: Refused."""
    identity = Identities(workspace.history()).of_subject(known.subject)
    if identity.provider != provider.digest:
        raise Refused(
            "the provider in seal.toml is not the one that was pinned",
            why="its issuer, client, keys or certificate changed since this identity was recorded",
            hint=f"an owner: seal access invite {identity.principal} --role ROLE again",
            rule="identity.provider-changed",
        )
    if identity.kind != kind:
        raise Refused(
            f"{identity.principal} is a {identity.kind}",
            why="a person signs in; a token from a file establishes services alone",
            rule="identity.kind",
        )
    listed = is_key_of(workspace.trust, identity.principal, identity.key_id, None)
    if kind == "person" and not listed:
        raise Refused(f"{identity.principal}'s key was closed", rule="identity.unknown-key")
    return identity


def _vouched(accepted: Accepted, provider: Provider, now: datetime) -> None:
    inner = base64.b64decode(accepted.acceptance.invitation)
    nonce = people.binding_nonce(inner, accepted.public)
    jwks = HttpProvider(provider).jwks()
    # an acceptance may lie for days; what the token said holds at the time it was signed
    made = clock.parse(accepted.acceptance.time)
    known = idtoken.verify(accepted.acceptance.id_token, jwks, provider, made, nonce)
    if known.subject != accepted.invitation.subject:
        raise Refused("the provider vouches for somebody else", rule="oidc.subject")


def _enrol(workspace: Workspace, identity: Identity, accepted: Accepted, reason: str) -> None:
    trust, public = workspace.trust, accepted.public
    if is_key_of(trust, identity.principal, public.key_id, None):
        # enrolled before: by an acceptance that was cut off, or for another provider
        if established_of(trust, identity.principal, public.key_id, None) == "self-asserted":
            raise BadInput(
                f"{identity.principal}'s key was enrolled by hand",
                why="an entry of the trust root is never altered",
                hint="they make a new key: move their folder in sealwright-people away",
            )
        return
    if any(key.role == "principal" and key.key_id == public.key_id for key in trust.keys):
        raise Refused("this key is another principal's", rule="identity.taken")
    added = trusts.key_of_public(
        public,
        "principal",
        identity.principal,
        first_index=workspace.log.size(),
        note=identity.established,
    )
    trusting.extend(workspace, (*trust.keys, added), reason)


def _record(workspace: Workspace, identity: Identity, role: str, reason: str) -> None:
    actor, now = workspace.principal.name, workspace.clock()
    workspace.recorder.record(statement_of(identity, role, actor, reason, now))


def _started(workspace: Workspace, identity: Identity, key: Ed25519Signer) -> Session:
    session = sessions.start(workspace, identity, key)
    named = msgspec.structs.replace(identity, key_id=session.key_id)
    until = datetime.fromtimestamp(session.ends, UTC)
    statement = login_of(
        named,
        token=session.token_digest,
        until=clock.stamp(until),
        uid=os.getuid(),
        host=host_id(),
        now=workspace.clock(),
    )
    workspace.recorder.record(statement)
    return session
