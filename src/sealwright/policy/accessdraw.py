"""What the log says about access, and the facts of access/v1 drawn from it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from sealwright.core import clock
from sealwright.core.errors import BadInput
from sealwright.core.predicates import APPROVAL
from sealwright.core.records import Artifact, Json, Principal
from sealwright.evidence.history import History
from sealwright.evidence.lineage import Graph
from sealwright.evidence.trust import Trust
from sealwright.policy import accessfacts, grants, views
from sealwright.policy.accessfacts import AccessFacts
from sealwright.policy.activation import timeline
from sealwright.policy.approvals import CLOCK_SKEW, Book, Request
from sealwright.policy.containment import Holds
from sealwright.policy.factsheet import Value
from sealwright.policy.grants import Grant, Grants
from sealwright.policy.policyset import PolicySet
from sealwright.policy.principals import Account, is_key_of
from sealwright.policy.reviews import Reviews
from sealwright.policy.roles import members_of


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to do. ``now`` is ours, ``profile`` what seal.toml says.

    ``over`` are the limits of ``[watch]`` it would pass, each with its figures.
    """

    action: str
    subjects: tuple[Artifact, ...]
    principal: Principal
    host: str
    now: datetime
    profile: str
    trust: Trust | None = None
    purpose: str = ""
    size_bytes: int = 0
    run: str = ""
    reason: str = ""
    params: Mapping[str, Json] = msgspec.field(default_factory=dict)
    over: tuple[str, ...] = ()

    @property
    def account(self) -> Account:
        """Who asks, where."""
        return Account(self.principal.name, self.principal.key_id, self.principal.uid, self.host)

    def jsonable(self) -> dict[str, Json]:
        """What a statement keeps, so that an auditor can judge again."""
        return {
            "time": clock.stamp(self.now),
            "principal": self.account.jsonable(),
            "kind": self.principal.kind,
            "established": self.principal.established,
            "profile": self.profile,
            "purpose": self.purpose,
            "size_bytes": self.size_bytes,
            "run": self.run,
            "reason": self.reason,
            "params": dict(self.params),
            "over": list(self.over),
        }


class Ledger:
    """What the log says about access, read once for a decision or a listing."""

    def __init__(self, history: History, trust: Trust | None) -> None:
        self.history = history
        self.trust = trust
        self.book = Book(history, trust)
        self.timeline = timeline(history, self.book)
        self.holds = Holds(history, self.book, self.timeline)
        self.members = members_of(history, self.book)
        self.grants = Grants(history, self.book, self.members)
        self.reviews = Reviews(history, self.book, self.members)

    def held_as(self, name: str) -> tuple[str, ...]:
        """Whose grants somebody may use: their own, and those of the teams they are in now."""
        return (name, *self.members.teams.of(name))

    def approvals(self, grant: Grant, user: Account) -> int:
        """People behind a grant who are not the one who uses it: a team may have gained one."""
        people = self.book.people
        using = people.person(user)
        return sum(people.person(Account(name, "")) != using for name in grant.approvers)

    @property
    def refused(self) -> tuple[str, ...]:
        """Statements about access that do not hold."""
        return (*self.members.refused, *self.grants.refused, *self.reviews.refused)

    def backwards(self) -> tuple[str, ...]:
        """Entries that say they were made well before an earlier one: the clock was set back."""
        out, newest = [], ""
        for entry in self.history.entries:
            time = str(entry.statement.predicate.get("time", ""))
            if entry.statement.predicate_type == APPROVAL or not _is_time(time):
                continue
            if newest and clock.parse(newest) - clock.parse(time) > CLOCK_SKEW:
                out.append(f"entry {entry.index} says {time}, after {newest}")
            newest = max(newest, time)
        return tuple(out)

    def newest_time(self) -> str:
        """The latest time this machine put into the log (an approval may come from another)."""
        times = (
            str(entry.statement.predicate.get("time", ""))
            for entry in self.history.entries
            if entry.statement.predicate_type != APPROVAL
        )
        return max((t for t in times if _is_time(t)), default="")


class Drawn(msgspec.Struct, frozen=True):
    """The facts, the grants they use, the grant that comes nearest, and what is asked for.

    ``pending`` is a request for a grant that nobody answered; ``request`` one for exactly this.
    """

    facts: AccessFacts
    grants: tuple[Grant, ...]
    nearest: Grant | None
    state: str
    pending: Request | None
    request: Request | None
    fault: str = ""


def draw(ask: Ask, ledger: Ledger, active: PolicySet) -> Drawn:
    """Every fact of access/v1. What cannot be drawn is at its refusing value."""
    newest = ledger.newest_time()
    back = bool(newest) and clock.parse(newest) - ask.now > CLOCK_SKEW
    # a clock set back by less than the skew must not bring an expired grant back
    now = max(ask.now, clock.parse(newest)) if newest else ask.now
    held_as = ledger.held_as(ask.principal.name)
    purpose = ask.purpose or _purpose_of_grants(ask, ledger, now)
    found = [
        ledger.grants.nearest(held_as, ask.action, artifact, purpose, ask.size_bytes, now)
        for artifact in ask.subjects
    ]
    lacking = [(state, grant) for state, grant in found if state != "live"]
    state, nearest = lacking[0] if lacking else (found[0] if found else ("none", None))
    used = {g.id: g for _, g in found if g} if not lacking else {}
    request = _matching(ask, ledger.book)
    people = (
        ledger.book.tally(
            request,
            [ask.account],
            now,
            before=ledger.history.size,
            objection=ledger.members.objection(request.action),
        ).people
        if (request)
        else ()
    )
    in_force = ledger.timeline.newest
    rules = active.access
    left = None
    if rules is not None:
        left = views.purposes_of(ask.subjects, rules.views, Graph.of(ledger.history))
    behind = [ledger.approvals(grant, ask.account) for grant in used.values()]
    budgets = [g.bytes_left for g in used.values() if g.bytes_left is not None]
    values: dict[str, Value] = {
        "approvals": len(people),
        "budgets_passed": ask.over,
        "clock_back": back,
        "established": ask.principal.established,
        "frozen": ledger.holds.frozen([s.digest for s in ask.subjects], now),
        "grant_approvals": min(behind, default=0),
        "grant_bytes_left": min(budgets, default=0),
        "grant_state": state,
        "grants": len(used),
        "key_known": is_key_of(
            ask.trust, ask.principal.name, ask.principal.key_id, ledger.history.size
        ),
        "members": len(ledger.members.present),
        "policy_active": in_force is not None and in_force.digest == active.digest,
        "profile": active.rank,
        "profile_matches": ask.profile == active.profile,
        "purpose": purpose,
        "purpose_fits": rules is not None and (left is None or purpose in left),
        "purpose_given": bool(purpose.strip()),
        "quarantined": ledger.holds.quarantined(ask.account, now),
        "reason_given": bool(ask.reason.strip()),
        "reviews_overdue": ledger.reviews.overdue(ledger.members, now),
        "roles": ledger.members.roles(ask.principal.name),
        "size_bytes": ask.size_bytes,
        "subjects": len({s.digest for s in ask.subjects}),
        "teams": ledger.members.teams.of(ask.principal.name),
    }
    try:
        facts, fault = accessfacts.of(values), ""
    except BadInput as error:
        facts, fault = accessfacts.of(accessfacts.refusing()), f"{error.what} ({error.why})"
    pending = _pending(ask, ledger)
    return Drawn(facts, tuple(used.values()), nearest, state, pending, request, fault)


def _purpose_of_grants(ask: Ask, ledger: Ledger, now: datetime) -> str:
    """What the live grants are for, where they agree; nothing is guessed between two purposes."""
    purposes = {
        grant.terms.purpose
        for grant in ledger.grants.of(ledger.held_as(ask.principal.name), ask.action)
        for artifact in ask.subjects
        if grant.state(artifact, "", ask.size_bytes, now) == "live"
    }
    return purposes.pop() if len(purposes) == 1 else ""


def _matching(ask: Ask, book: Book) -> Request | None:
    if ask.action not in accessfacts.TWO_PEOPLE:
        return None
    return book.matching(f"access.{ask.action}", [s.digest for s in ask.subjects], ask.params)


def _pending(ask: Ask, ledger: Ledger) -> Request | None:
    """The newest open request for a grant that would cover one of the subjects."""
    for request in reversed(ledger.book.requests.values()):
        if request.action != grants.ACTION or request.digest in ledger.grants.closed:
            continue
        try:
            terms = grants.terms_of(request)
        except BadInput:
            continue
        mine = terms.principal in ledger.held_as(ask.principal.name)
        if (
            mine
            and terms.action == ask.action
            and any(terms.covers(artifact) for artifact in ask.subjects)
        ):
            return request
    return None


def _is_time(text: str) -> bool:
    try:
        clock.parse(text)
    except BadInput:
        return False
    return True
