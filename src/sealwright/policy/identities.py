"""How each principal was established, as the log states it: by their key, or by a provider.

Statements ``identity`` (who somebody is) and ``login`` (a session that proved it). A provider's
subject appears as a digest. Spec: ``docs/spec/identity-v1.md``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from sealwright.core import clock
from sealwright.core.digest import Digest
from sealwright.core.errors import Refused
from sealwright.core.predicates import IDENTITY, LOGIN
from sealwright.core.records import Artifact, Json, Statement
from sealwright.evidence.history import History

Kind = Literal["person", "service"]
Established = Literal["self-asserted", "key", "oidc"]


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who a principal is. ``provider`` and ``subject`` are digests, empty without a provider.

    ``key_id`` is empty for a service that has no key of its own.
    """

    principal: str
    kind: Kind
    established: Established
    key_id: Digest = ""
    issuer: str = ""
    subject: Digest = ""
    provider: Digest = ""
    invitation: Digest = ""


class Identities:
    """Every identity in a history: the newest statement about each principal holds."""

    def __init__(self, history: History) -> None:
        self._of: dict[str, Identity] = {}
        self._invitations: set[Digest] = set()
        for entry in history.of_type(IDENTITY):
            try:
                identity = msgspec.convert(entry.statement.predicate, Identity)
            except msgspec.ValidationError:
                continue  # what nobody can read establishes nobody
            self._of[identity.principal] = identity
            self._invitations.add(identity.invitation)

    def get(self, name: str) -> Identity | None:
        """The identity of ``name``."""
        return self._of.get(name)

    def of_subject(self, subject: Digest) -> Identity:
        """The principal a provider's subject stands for. Raises: Refused (nobody's)."""
        for identity in self._of.values():
            if subject and identity.subject == subject:
                return identity
        raise Refused(
            "the provider vouches for somebody who is nobody here",
            why=f"no principal has the subject {subject[:16]}",
            hint="an owner: seal access invite NAME --role ROLE --provider P --subject SUBJECT",
            rule="identity.unknown-subject",
        )

    def refuse_taken(self, identity: Identity) -> None:
        """Raises: Refused (the invitation was used, or the subject is another principal's)."""
        if identity.invitation and identity.invitation in self._invitations:
            raise Refused("this invitation was accepted before", rule="invitation.used")
        for other in self._of.values():
            same = identity.subject and other.subject == identity.subject
            if same and other.principal != identity.principal:
                raise Refused(
                    f"the provider's subject is {other.principal} already",
                    why="one person under two names could approve their own request",
                    rule="identity.taken",
                )


def statement_of(
    identity: Identity, role: str, actor: str, reason: str, now: datetime
) -> Statement:
    """The statement that ``identity`` holds from here on."""
    predicate: dict[str, Json] = {
        **msgspec.to_builtins(identity),
        "role": role,
        "actor": actor,
        "reason": reason,
        "time": clock.stamp(now),
    }
    return Statement((_subject(identity),), IDENTITY, predicate)


def login_of(
    identity: Identity, *, token: Digest, until: str, uid: int, host: str, now: datetime
) -> Statement:
    """The statement that a session began; ``token`` is the digest of its first token's id."""
    predicate: dict[str, Json] = {
        "principal": identity.principal,
        "kind": identity.kind,
        "established": identity.established,
        "key_id": identity.key_id,
        "issuer": identity.issuer,
        "subject": identity.subject,
        "token": token,
        "until": until,
        "uid": uid,
        "host": host,
        "actor": identity.principal,
        "time": clock.stamp(now),
    }
    return Statement((_subject(identity),), LOGIN, predicate)


def _subject(identity: Identity) -> Artifact:
    return Artifact(f"principal:{identity.principal}", identity.key_id or identity.subject)
