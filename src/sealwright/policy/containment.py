"""Who and what is held back now: containments in the log, less those that ended or were released.

Spec: ``docs/spec/containment-v1.md``. Reading never raises: a containment that cannot be read
holds everybody, and a release that does not hold releases nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

import msgspec

from sealwright.core import clock
from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput, SealError
from sealwright.core.predicates import CONTAINMENT, RELEASE
from sealwright.core.records import Artifact, Json, Recorded, Statement
from sealwright.evidence import jcs
from sealwright.evidence.history import History
from sealwright.policy.activation import Timeline
from sealwright.policy.approvals import Book, Request
from sealwright.policy.principals import Account
from sealwright.policy.roles import Members, members_of

Step = Literal["throttle", "revoke-tokens", "kill-run", "freeze-artifact", "quarantine-principal"]
STEPS: tuple[Step, ...] = get_args(Step)
INVERSES: Mapping[Step, str] = {
    "throttle": "unthrottle",
    "revoke-tokens": "readmit-tokens",
    "kill-run": "run-again",
    "freeze-artifact": "thaw-artifact",
    "quarantine-principal": "readmit-principal",
}
"""What a release undoes. A killed run is not revived; it may be run again."""

ACTION = "containment.release"
MEDIA_TYPE = "application/vnd.sealwright.containment+json"
LONGEST = timedelta(days=30)
TWO_PEOPLE = 2
_NOBODY = Account("", "")


class Containment(msgspec.Struct, frozen=True):
    """A step in force. ``id`` is the SHA-256 of its canonical predicate."""

    id: Digest
    step: Step
    target: Artifact
    account: Account
    rule: str
    reason: str
    automatic: bool
    time: str
    until: str
    index: int
    actor: str

    @property
    def artifact(self) -> Artifact:
        """A containment as requests and releases name it."""
        return Artifact(f"containment:{self.id}", self.id, MEDIA_TYPE)

    def lasts(self, now: datetime) -> bool:
        """Whether its time is not up. A clock set back makes it last longer, never shorter."""
        return now < clock.parse(self.until)

    def is_about(self, account: Account) -> bool:
        """The same name, the same key, or the same (uid, host)."""
        mine = self.account
        return (
            bool(mine.name and mine.name == account.name)
            or bool(mine.key_id and mine.key_id == account.key_id)
            or (mine.known and (mine.uid, mine.host) == (account.uid, account.host))
        )


class Holds:
    """Every containment of a history that nobody released, and those that nobody can read."""

    def __init__(self, history: History, book: Book, timeline: Timeline) -> None:
        self.unreadable: list[str] = []
        self.refused: list[str] = []
        self.ended: dict[Digest, int] = {}
        self.all: dict[Digest, Containment] = {}
        for entry in history.of_type(CONTAINMENT):
            try:
                one = read(entry)
            except (SealError, KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
                self.unreadable.append(f"entry {entry.index}: {error}")
            else:
                self.all[one.id] = one
        releases = history.of_type(RELEASE)
        self._members = members_of(history, book) if releases else None
        for entry in releases:
            problem = self._release(entry, book, timeline)
            if problem:
                self.refused.append(f"entry {entry.index}: {problem}")

    def active(self, now: datetime) -> tuple[Containment, ...]:
        """What is in force, oldest first."""
        return tuple(
            one for key, one in self.all.items() if key not in self.ended and one.lasts(now)
        )

    def holding(self, step: Step, account: Account, now: datetime) -> Containment | None:
        """The step that holds ``account`` now, if one does."""
        return next(
            (one for one in self.active(now) if one.step == step and one.is_about(account)), None
        )

    def quarantined(self, account: Account, now: datetime) -> bool:
        """Whether a principal may do nothing. A containment nobody can read holds everybody."""
        return bool(self.unreadable) or bool(self.holding("quarantine-principal", account, now))

    def frozen(self, digests: Iterable[Digest], now: datetime) -> bool:
        """Whether one of the artifacts may not be used."""
        held = {o.target.digest for o in self.active(now) if o.step == "freeze-artifact"}
        return bool(self.unreadable) or not held.isdisjoint(digests)

    def _release(self, entry: Recorded, book: Book, timeline: Timeline) -> str:
        """Take a release into account, or say why not."""
        predicate: Mapping[str, Any] = entry.statement.predicate
        try:
            held = self.all.get(predicate["containment"])
            actor = Account(
                predicate["actor"], predicate["key_id"], predicate["uid"], predicate["host"]
            )
            when, reason = clock.parse(predicate["time"]), str(predicate["reason"])
        except (SealError, KeyError, TypeError, ValueError) as error:
            return f"unreadable ({error})"
        if held is None or held.index > entry.index:
            return "it releases nothing that was contained before"
        if not reason.strip():
            return "it gives no reason"
        if timeline.rank_at(entry.index) > 0:
            request = book.requests.get(str(predicate["request"]))
            people = approvers(book, self._members, request, held, actor, when, entry.index)
            if len(people) < TWO_PEOPLE:
                return "it needs two people who neither ask nor are held themselves"
        self.ended.setdefault(held.id, entry.index)
        return ""


def statement_of(
    step: Step,
    target: Artifact,
    account: Account,
    *,
    actor: str,
    reason: str,
    rule: str = "",
    evidence: Mapping[str, Json] | None = None,
    span: timedelta,
    now: datetime,
) -> Statement:
    """The statement that contains. Raises: BadInput (no reason, too long, no step)."""
    if step not in STEPS:
        raise BadInput(f"there is no step {step!r}", why=f"known: {', '.join(STEPS)}")
    if not reason.strip():
        raise BadInput("a containment says why", hint="repeat it with --reason '...'")
    if not timedelta() < span <= LONGEST:
        raise BadInput("a containment lasts between a second and 30 days")
    predicate: dict[str, Json] = {
        "step": step,
        "inverse": INVERSES[step],
        "target": target.name,
        "account": account.jsonable(),
        "rule": rule,
        "evidence": dict(evidence or {}),
        "automatic": bool(rule),
        "until": clock.stamp(now + span),
        "actor": actor,
        "reason": reason,
        "time": clock.stamp(now),
    }
    return Statement((target,), CONTAINMENT, predicate)


def release(
    held: Containment, request: Request | None, actor: Account, reason: str, now: datetime
) -> Statement:
    """The statement that undoes a step. Raises: BadInput (no reason)."""
    if not reason.strip():
        raise BadInput("a release says why", hint="repeat it with --reason '...'")
    predicate: dict[str, Json] = {
        "containment": held.id,
        "step": held.step,
        "undoes": INVERSES[held.step],
        "target": held.target.name,
        "request": request.digest if request else "",
        "actor": actor.name,
        "key_id": actor.key_id,
        "uid": actor.uid,
        "host": actor.host,
        "reason": reason,
        "time": clock.stamp(now),
    }
    return Statement((held.artifact,), RELEASE, predicate)


def approvers(
    book: Book,
    members: Members | None,
    request: Request | None,
    held: Containment,
    actor: Account,
    now: datetime,
    before: int,
) -> tuple[str, ...]:
    """Who approved the release of exactly this: not who asks, acts or is held."""
    if members is None or request is None or request.action != ACTION:
        return ()
    if [subject.digest for subject in request.subjects] != [held.id]:
        return ()
    barred = [actor, held.account] if held.account != _NOBODY else [actor]
    objection = members.objection(ACTION)
    return book.tally(request, barred, now, before=before, objection=objection).people


def principal(name: str) -> Artifact:
    """A principal as containments name it: by name, because keys change."""
    return Artifact(f"principal:{name}", of_bytes(f"principal:{name}".encode()))


def run(name: str) -> Artifact:
    """A run as containments name it."""
    return Artifact(f"run:{name}", of_bytes(f"run:{name}".encode()))


def read(entry: Recorded) -> Containment:
    """A containment from its entry. Raises: BadInput, or what a value of another kind raises."""
    predicate: Mapping[str, Any] = entry.statement.predicate
    (target,) = entry.statement.subjects
    until, time = predicate["until"], predicate["time"]
    if not timedelta() < clock.parse(until) - clock.parse(time) <= LONGEST:
        raise BadInput("it has no end")
    if target.name != predicate["target"]:
        raise BadInput("it is about something else than it says")
    return Containment(
        of_bytes(jcs.canonical(predicate)),
        msgspec.convert(predicate["step"], Step),
        target,
        msgspec.convert(predicate["account"], Account),
        str(predicate["rule"]),
        str(predicate["reason"]),
        bool(predicate["automatic"]),
        time,
        until,
        entry.index,
        str(predicate["actor"]),
    )


def latest(history: History, now: datetime) -> datetime:
    """``now``, or the newest time the log's last entries speak of: never before the log."""
    return max([now, *_times(history.entries[-16:])])


def _times(entries: Iterable[Recorded]) -> Iterator[datetime]:
    for entry in entries:
        said = entry.statement.predicate.get("time")
        if isinstance(said, str):
            try:
                yield clock.parse(said)
            except BadInput:
                continue  # another predicate's notion of time
