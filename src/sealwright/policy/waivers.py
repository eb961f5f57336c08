"""Waivers: a person takes an advisory, or a credential that is none, on themselves for a time.

A waiver is a request (action ``supply.waive``) and the approvals it found, so it is signed by
the people's own keys and judged from the log alone. Source: docs/spec/advisories-v1.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from sealwright.core import clock
from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput
from sealwright.core.predicates import WAIVER_END
from sealwright.core.records import Artifact, Json, Statement
from sealwright.evidence import jcs
from sealwright.evidence.history import History
from sealwright.policy.approvals import Book, Request
from sealwright.policy.roles import members_of

ACTION = "supply.waive"
LONGEST = timedelta(days=90)
JUSTIFICATIONS = (
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
    "accepted_for_now",
)
"""OpenVEX's five, and the honest sixth."""


CREDENTIAL = "secret:"
"""A waiver of ``secret:FINGERPRINT`` is the baseline of the secret scan; it names no package."""


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is waived. ``versions`` is a PEP 440 specifier; ``scope`` a stage, or ``*``."""

    vulnerability: str
    package: str
    versions: str
    until: str
    justification: str
    scope: str = "*"

    def jsonable(self) -> dict[str, Json]:
        """As the request's parameters hold it."""
        return {key: str(value) for key, value in msgspec.structs.asdict(self).items()}

    @property
    def artifact(self) -> Artifact:
        """The waived thing as statements name it."""
        digest = of_bytes(jcs.canonical(self.jsonable()))
        return Artifact(f"waiver:{self.vulnerability}:{self.package}", digest)


class Waiver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A waiver in force. Only :func:`standing` makes these."""

    request: Digest
    vulnerability: str
    package: str
    versions: str
    until: str
    scope: str
    justification: str
    owner: str
    approvers: tuple[str, ...]
    reason: str


class Standing(msgspec.Struct, frozen=True):
    """Waivers in force, and those that are not, each with why."""

    active: tuple[Waiver, ...]
    refused: tuple[tuple[Digest, str, str], ...]


def check(terms: Terms, now: datetime) -> None:
    """Raises: BadInput (too long, already over, a justification nobody knows)."""
    if terms.justification not in JUSTIFICATIONS:
        raise BadInput(
            f"{terms.justification!r} is no justification",
            why=f"one of {', '.join(JUSTIFICATIONS)}",
        )
    if terms.vulnerability.startswith(CREDENTIAL) == bool(terms.package or terms.versions):
        raise BadInput(
            "a waiver of an advisory names package and versions, one of a credential neither",
            hint="seal supply waive ID --package P --versions '==1.2' --until +30d --reason '...'",
        )
    until = clock.parse(terms.until)
    if until <= now:
        raise BadInput("a waiver ends in the future", why=f"{terms.until} is over")
    if until - now > LONGEST:
        raise BadInput(
            f"a waiver lasts {LONGEST.days} days at most",
            why=f"{terms.until} is {(until - now).days} days away",
            hint=f"--until +{LONGEST.days}d, and look again then",
        )


def standing(history: History, book: Book, now: datetime, profile: str) -> Standing:
    """Every waiver there ever was, judged now and in this profile."""
    ended = {entry.statement.subjects[0].digest for entry in history.of_type(WAIVER_END)}
    active, refused = [], []
    for request in book.requests.values():
        if request.action != ACTION:
            continue
        try:
            terms = _terms(request)
        except BadInput as error:
            refused.append((request.digest, request.subjects[0].name, error.what))
            continue
        objection = members_of(history, book).objection(request.action)
        tally = book.tally(request, [], None, before=history.size, objection=objection)
        why = _lacking(request, terms, ended, now)
        if not why and not tally.people and not (profile == "solo" and tally.self_approved):
            why = "nobody else approved it" if profile != "solo" else "nobody approved it"
        if why:
            refused.append((request.digest, terms.artifact.name, why))
            continue
        approvers = tally.people or (request.requester.name,)
        active.append(_waiver(request, terms, approvers))
    return Standing(tuple(active), tuple(refused))


def secrets(active: Standing) -> frozenset[str]:
    """Fingerprints that a waiver in force lets through."""
    return frozenset(
        one.vulnerability.removeprefix(CREDENTIAL)
        for one in active.active
        if one.vulnerability.startswith(CREDENTIAL)
    )


def end(waiver: Request, actor: str, reason: str, now: datetime) -> Statement:
    """The statement that ends a waiver before its time."""
    said: dict[str, Json] = {
        "request": waiver.digest,
        "actor": actor,
        "reason": reason,
        "time": clock.stamp(now),
    }
    name = f"request:{waiver.digest}"
    return Statement((Artifact(name, waiver.digest),), WAIVER_END, said)


def _terms(request: Request) -> Terms:
    params: Mapping[str, Any] = request.params
    try:
        terms = msgspec.convert(dict(params), Terms)
        clock.parse(terms.until)
    except (msgspec.ValidationError, BadInput) as error:
        raise BadInput("a waiver nobody can read", why=str(error)) from error
    if [subject.digest for subject in request.subjects] != [terms.artifact.digest]:
        raise BadInput("a waiver that is about something else than it says")
    return terms


def _lacking(request: Request, terms: Terms, ended: set[Digest], now: datetime) -> str:
    until, asked = clock.parse(terms.until), clock.parse(request.time)
    if request.digest in ended:
        return "it was ended"
    if now >= until:
        return f"it expired at {terms.until}"
    if until - asked > LONGEST:
        return f"it lasts longer than {LONGEST.days} days"
    if not request.reason.strip():
        return "it gives no reason"
    return ""


def _waiver(request: Request, terms: Terms, approvers: tuple[str, ...]) -> Waiver:
    return Waiver(
        request.digest,
        terms.vulnerability,
        terms.package,
        terms.versions,
        terms.until,
        terms.scope,
        terms.justification,
        request.requester.name,
        approvers,
        request.reason,
    )
