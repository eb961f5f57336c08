"""Sessions: for eight hours after ``seal access login`` the log knows how you were established.

A session is a key and a token bound to it, renewed while the session lasts. It rests in the
state directory, sealed by the key service; whoever can read that directory and unlock it can
act as anybody there, which is what evidence says of key custody. Spec: docs/spec/identity-v1.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from sealwright.core import refs
from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import Refused, VerifyError
from sealwright.policy.identities import Established, Identity
from sealwright.vault import private, tokens
from sealwright.vault.signers import Ed25519Signer
from sealwright.vault.tokens import Grantee

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

LASTS_S = 8 * 3600
_FORMAT = 1
_WRAPPING_KEY = "sessions"
_RENEW_BEFORE_S = 120


class Session(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``started`` and ``renew_at`` are seconds since 1970."""

    format: int
    name: str
    kind: Literal["person", "service"]
    established: Established
    key_id: Digest
    issuer: str
    subject: Digest
    started: int
    renew_at: int
    token: str
    private_pem: bytes

    @property
    def key(self) -> Ed25519Signer:
        """The session's own key."""
        return Ed25519Signer.from_private_pem(self.private_pem)

    @property
    def ends(self) -> int:
        """When it is over, however often it was renewed."""
        return self.started + LASTS_S

    @property
    def token_digest(self) -> Digest:
        """What names the present token in evidence."""
        return of_bytes(self.token.encode())


def path_of(state_dir: Path, name: str) -> Path:
    """Where the session of ``name`` rests, if there is one. Raises: BadInput."""
    return state_dir / "sessions" / f"{refs.check_name(name)}.session"


def start(workspace: Workspace, identity: Identity, key: Ed25519Signer) -> Session:
    """A session for somebody who was just established; replaces the one before."""
    now = workspace.clock()
    fresh = Session(
        format=_FORMAT,
        name=identity.principal,
        kind=identity.kind,
        established=identity.established,
        key_id=identity.key_id or key.key_id,
        issuer=identity.issuer,
        subject=identity.subject,
        started=int(now.timestamp()),
        renew_at=0,
        token="",
        private_pem=key.private_pem(),
    )
    return _renewed(workspace, fresh)


def current(workspace: Workspace, name: str) -> Session | None:
    """The session of ``name``; None where there is none, or it is over.

    Raises: Refused (``token.revoked``: log in again), VerifyError (its file was changed).
    """
    session = _read(workspace, name)
    now = workspace.clock()
    if session is None or now.timestamp() >= session.ends:
        return None
    if session.kind == "person" and not _is_listed(workspace, session):
        raise Refused(
            f"the trust root no longer lists the key {name} logged in with",
            hint="seal access whoami",
            rule="session.key-closed",
        )
    # a renewed token is younger than a revocation; the session it belongs to is not
    workspace.tokens.denied.check_subject(name, session.started, now)
    if now.timestamp() >= session.renew_at:
        session = _renewed(workspace, session)
    proof = tokens.prove(session.token, workspace.tokens.audience, session.key, now)
    claims = workspace.tokens.verify(session.token, proof, now).claims
    if claims.sub != name or claims.kind == "run" or claims.established != session.established:
        raise tokens.refused("token.malformed", f"it is a token of {claims.sub}")
    return session


def end(workspace: Workspace, name: str) -> bool:
    """Log out: revoke what was issued, forget the key. Whether there was a session."""
    path = path_of(workspace.state_dir, name)
    if not path.exists():
        return False
    workspace.tokens.denied.revoke_subject(name, workspace.clock())
    private.remove(path)
    return True


def _renewed(workspace: Workspace, session: Session) -> Session:
    """The session under a new token, saved. Whether it may go on is :func:`current`'s to say."""
    now, home = workspace.clock(), workspace.tokens
    grantee = Grantee(
        issuer=home.audience,
        subject=session.name,
        audience=home.audience,
        kind="service" if session.kind == "service" else "session",
        thumbprint=tokens.thumbprint(session.key),
        actor=session.name,
        established=session.established,
    )
    fresh = msgspec.structs.replace(
        session,
        token=home.issue(grantee, now),
        renew_at=int(now.timestamp()) + grantee.life_s - _RENEW_BEFORE_S,
    )
    workspace.kms.create(_WRAPPING_KEY)
    sealed = workspace.kms.wrap(_WRAPPING_KEY, msgspec.json.encode(fresh), _context(session.name))
    path = path_of(workspace.state_dir, session.name)
    private.make_dir(path.parent)
    private.replace(path, sealed)
    return fresh


def _read(workspace: Workspace, name: str) -> Session | None:
    path = path_of(workspace.state_dir, name)
    try:
        sealed = private.read(path)
    except FileNotFoundError:
        return None
    opened = workspace.kms.unwrap(_WRAPPING_KEY, sealed, _context(name))
    try:
        session = msgspec.json.decode(opened, type=Session)
    except msgspec.DecodeError as error:
        raise VerifyError(
            "a session is not in a form this version reads",
            where=str(path),
            why=str(error),
            hint="seal access login",
            rule="session.changed",
        ) from error
    return session


def _is_listed(workspace: Workspace, session: Session) -> bool:
    return any(
        key.role == "principal"
        and key.name == session.name
        and key.key_id == session.key_id
        and key.last_index is None
        for key in workspace.trust.keys
    )


def _context(name: str) -> bytes:
    return f"sealwright session v1 {name}".encode()
