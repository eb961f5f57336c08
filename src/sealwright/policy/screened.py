"""What was looked for in dataset versions, what was found, and which findings are still open.

::

    quarantined  →  released      by two others where the profile wants them
                 →  rejected      a version without those records takes its place

A version's groups stay with its digest: screening it again with less never closes one. Reading
never raises: a statement nobody can read counts as a screening that failed, and a release that
does not hold releases nothing. Spec: ``docs/spec/screening-v1.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from sealwright.core import clock
from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput, SealError
from sealwright.core.ports import StoredFile
from sealwright.core.predicates import DATASET_VERSION, QUARANTINE, SCREENING
from sealwright.core.records import Artifact, Recorded, Statement
from sealwright.evidence import jcs
from sealwright.evidence.history import History
from sealwright.policy.activation import Timeline
from sealwright.policy.approvals import Book, Request
from sealwright.policy.principals import Account
from sealwright.policy.roles import members_of

Verdict = Literal["nothing-found", "found", "failed", "unscreened"]
State = Literal["quarantined", "released", "rejected"]
Looked = Literal["looked", "not-looked", "failed"]

ACTION = "quarantine.release"
MEDIA_TYPE = "application/vnd.sealwright.quarantine+json"
TWO_PEOPLE = 2
GROWS_AT_MOST = 2
"""A pattern that was released stays so until its share of the records doubles."""


class DetectorLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One detector: its share of the error, how many patterns it tried, what came of it."""

    name: str
    version: int
    alpha: str
    tried: int
    groups: int
    ranked: int
    unread: int
    state: Looked


class GroupLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One significant group, without a value of any record. ``carriers`` is the SHA-256 of the
    canonical list of record numbers; ``key`` names the pattern without quoting it."""

    id: Digest
    detector: str
    family: str
    key: str
    count: int
    seen: int
    expected: str
    p_value: str
    carriers: Digest


class FactLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something true of the whole version, by its rule; the words are in the details."""

    detector: str
    rule: str
    severity: str


class Planted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often ``count`` planted records were found."""

    count: int
    found: int
    tried: int


class SeenLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The smallest count of one trigger family that would have been seen; 0: none that was
    tried."""

    family: str
    smallest: int
    planted: tuple[Planted, ...] = ()


class Screening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The predicate ``screening/v1`` over one version. ``asked`` is the digest of all that
    decides the answer; ``plan``, ``report`` and ``code`` are empty where nothing ran."""

    dataset: str
    version: int
    verdict: Verdict
    why: str
    records: int
    unread: int
    alpha: str
    seed: int
    reduced: bool
    asked: Digest
    plan: str
    report: str
    code: str
    reference: str
    detectors: tuple[DetectorLine, ...]
    groups: tuple[GroupLine, ...]
    facts: tuple[FactLine, ...]
    canaries: tuple[SeenLine, ...]
    details: StoredFile | None
    cpu_ms: int
    peak_bytes: int
    actor: str
    time: str


class Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The predicate ``quarantine/v1``: what happened to groups of one version."""

    dataset: str
    version: int
    state: State
    groups: tuple[Digest, ...]
    count: int
    carriers: Digest
    pattern: bool
    derived: str
    request: str
    actor: str
    key_id: str
    uid: int
    host: str
    reason: str
    time: str


class Held(msgspec.Struct, frozen=True):
    """A group and where it stands. ``records`` is how many its version has."""

    line: GroupLine
    version: Artifact
    records: int
    state: State
    index: int
    reason: str = ""
    allowed_by: int = -1

    @property
    def artifact(self) -> Artifact:
        """The group as requests and moves name it."""
        return artifact_of(self.line.id)

    @property
    def open(self) -> bool:
        """Whether it holds its version back."""
        return self.state != "released"


class Screened:
    """Every screening of a history, by version, and where each group stands."""

    def __init__(self, history: History, book: Book, timeline: Timeline) -> None:
        self.newest: dict[Digest, Screening] = {}
        self.entries: dict[Digest, int] = {}
        self.groups: dict[Digest, Held] = {}
        self.unreadable: set[Digest] = set()
        self.refused: list[str] = []
        self._history = history
        self._added_by = _adders(history)
        self._released: list[Held] = []
        for entry in history.of_type(SCREENING, QUARANTINE):
            if entry.statement.predicate_type == SCREENING:
                self._screening(entry)
            elif problem := self._move(entry, book, timeline):
                self.refused.append(f"entry {entry.index}: {problem}")

    def of(self, version: Digest) -> tuple[Held, ...]:
        """The groups of one version, oldest first."""
        return tuple(one for one in self.groups.values() if one.version.digest == version)

    def facts(self, versions: Iterable[Digest]) -> dict[str, int]:
        """The facts about ``versions``: counts, and nothing that is not known is a zero."""
        wanted = list(dict.fromkeys(versions))
        read = [self.newest.get(digest) for digest in wanted]
        failed = sum(
            digest in self.unreadable or (one is not None and one.verdict == "failed")
            for digest, one in zip(wanted, read, strict=True)
        )
        return {
            "poison_groups_open": sum(one.open for digest in wanted for one in self.of(digest)),
            "screening_failed": failed,
            "screening_reduced": sum(one is not None and one.reduced for one in read),
            "screening_unread": sum(one.unread for one in read if one is not None),
            "unscreened": sum(one is None or one.verdict == "unscreened" for one in read),
        }

    def barred(self, version: Digest) -> tuple[Account, ...]:
        """Who added the version: they release nothing that was found in it."""
        return tuple(Account(name, "") for name in self._added_by.get(version, ()))

    def _screening(self, entry: Recorded) -> None:
        subjects = entry.statement.subjects
        try:
            said = read(entry)
        except (SealError, TypeError, ValueError) as error:
            self.unreadable.update(subject.digest for subject in subjects)
            self.refused.append(f"entry {entry.index}: {error}")
            return
        version = subjects[0]
        self.unreadable.discard(version.digest)
        self.newest[version.digest] = said
        self.entries[version.digest] = entry.index
        for line in said.groups:
            if line.id not in self.groups:
                held = Held(line, version, said.records, "quarantined", entry.index)
                self.groups[line.id] = self._allowed(held, said.dataset)

    def _allowed(self, held: Held, dataset: str) -> Held:
        """Released at once where the same pattern of the same dataset was, and did not grow."""
        for known in reversed(self._released):
            same = (known.line.detector, known.line.key) == (held.line.detector, held.line.key)
            share = held.line.count * max(1, known.records)
            before = known.line.count * max(1, held.records)
            named = known.version.name.startswith(f"data:{dataset}@")
            if same and named and share <= GROWS_AT_MOST * before:
                return msgspec.structs.replace(
                    held, state="released", reason=known.reason, allowed_by=known.index
                )
        return held

    def _move(self, entry: Recorded, book: Book, timeline: Timeline) -> str:
        """Take a move into account, or say why not."""
        try:
            move = msgspec.convert(dict(entry.statement.predicate), Move)
            when = clock.parse(move.time)
        except (SealError, TypeError, ValueError, msgspec.ValidationError) as error:
            return f"unreadable ({error})"
        if move.state == "quarantined":
            return ""
        held = [self.groups.get(group) for group in move.groups]
        version = entry.statement.subjects[0]
        known = [one for one in held if one is not None and one.version.digest == version.digest]
        if not known or len(known) != len(held):
            return "it moves a group that was not found in this version before"
        if any(one.state != "quarantined" for one in known):
            return "a group that was released or rejected moves no more"
        if not move.reason.strip():
            return "it gives no reason"
        if move.state == "released" and timeline.rank_at(entry.index) > 0:
            actor = Account(move.actor, move.key_id, move.uid, move.host)
            request = book.requests.get(move.request)
            barred = (actor, *self.barred(version.digest))
            people = approvers(self._history, book, request, move.groups, barred, when, entry.index)
            if len(people) < TWO_PEOPLE:
                return "it needs two people who neither ask nor added the data"
        for one in known:
            moved = msgspec.structs.replace(
                one, state=move.state, index=entry.index, reason=move.reason
            )
            self.groups[one.line.id] = moved
            if move.state == "released" and move.pattern:
                self._released.append(moved)
        return ""


def read(entry: Recorded) -> Screening:
    """A screening from its entry. Raises: BadInput (about another version than it says)."""
    try:
        said = msgspec.convert(dict(entry.statement.predicate), Screening)
        clock.parse(said.time)
    except msgspec.ValidationError as error:
        raise BadInput("not a screening", why=str(error)) from None
    (version,) = entry.statement.subjects
    if version.name != f"data:{said.dataset}@{said.version}":
        raise BadInput(f"it is about {version.name} and says {said.dataset}@{said.version}")
    if len({line.id for line in said.groups}) != len(said.groups):
        raise BadInput("it lists a group twice")
    if any(line.id != id_of(version.digest, line) for line in said.groups):
        raise BadInput("a group's id is not that of what it holds")
    if said.groups and said.verdict not in ("found", "failed"):
        raise BadInput(f"it has groups and says {said.verdict}")
    return said


def id_of(version: Digest, line: GroupLine) -> Digest:
    """A group is one pattern of one detector, and its carriers, in one version."""
    parts = {
        "version": version,
        "detector": line.detector,
        "family": line.family,
        "key": line.key,
        "carriers": line.carriers,
    }
    return of_bytes(jcs.canonical(dict(parts)))


def carriers_digest(records: Sequence[int]) -> Digest:
    """SHA-256 over the canonical list of record numbers, ascending, each once."""
    return of_bytes(jcs.canonical(sorted(set(records))))


def artifact_of(group: Digest) -> Artifact:
    """A group as requests name it."""
    return Artifact(f"quarantine:{group[:12]}", group, MEDIA_TYPE)


def statement_of(version: Artifact, said: Screening) -> Statement:
    """The statement over one version."""
    return Statement((version,), SCREENING, msgspec.to_builtins(said))


def moved(version: Artifact, move: Move) -> Statement:
    """The statement that moves groups. Raises: BadInput (no reason)."""
    if not move.reason.strip():
        raise BadInput("a move out of quarantine says why", hint="repeat it with --reason '...'")
    groups = tuple(artifact_of(group) for group in move.groups)
    return Statement((version, *groups), QUARANTINE, msgspec.to_builtins(move))


def approvers(
    history: History,
    book: Book,
    request: Request | None,
    groups: Sequence[Digest],
    barred: Sequence[Account],
    now: datetime,
    before: int,
) -> tuple[str, ...]:
    """Who approved the release of exactly these groups, in a role that may, and is not barred."""
    if request is None or request.action != ACTION:
        return ()
    if {subject.digest for subject in request.subjects} != set(groups):
        return ()
    objection = members_of(history, book).objection(ACTION)
    return book.tally(request, barred, now, before=before, objection=objection).people


def _adders(history: History) -> Mapping[Digest, tuple[str, ...]]:
    found: dict[Digest, tuple[str, ...]] = {}
    for entry in history.of_type(DATASET_VERSION):
        said: Any = entry.statement.predicate.get("actor")
        for subject in entry.statement.subjects:
            found[subject.digest] = (*found.get(subject.digest, ()), str(said))
    return found
