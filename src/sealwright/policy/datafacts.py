"""Facts about the data itself, from statements: contracts, splits, and who verified what.

Pure. What a statement does not say plainly counts as not checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from sealwright.core import clock
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput
from sealwright.core.predicates import CONTRACT, CONTRACT_CHECK, SPLITS, VERIFICATION
from sealwright.core.records import Artifact, Recorded
from sealwright.evidence.history import History
from sealwright.policy.approvals import Book
from sealwright.policy.facts import NEVER
from sealwright.policy.factsheet import Value
from sealwright.policy.principals import Account

VERIFY = "data.verify"
"""What somebody signs who looked a validation set over."""

Role = Literal["train", "validation", "test"]
HELD_OUT: frozenset[Role] = frozenset({"validation", "test"})


class Side(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One side of a split: its role, the version and its digest."""

    role: Role
    ref: str
    digest: Digest

    @property
    def name(self) -> str:
        """The dataset's name."""
        return name_of(self.ref)


class Split(msgspec.Struct, frozen=True):
    """What a ``splits/v1`` statement says, once it agrees with its subjects."""

    index: int
    name: str
    sides: tuple[Side, ...]
    leaks: int


class Known(msgspec.Struct, frozen=True):
    """What the facts are drawn from: the versions behind a decision and who is behind those.

    ``involved`` are those whose verification of a set counts for nothing beside its adder's.
    """

    data: Sequence[Artifact]
    versions: Mapping[Digest, Recorded]
    history: History
    book: Book
    involved: Sequence[Account]
    now: datetime


def draw(known: Known) -> dict[str, Value]:
    """The facts ``contract_*``, ``split_*`` and ``validation_*``."""
    return {**_contracts(known), **_splits(known)}


def name_of(ref: str) -> str:
    """``train`` of ``data:train@3``."""
    return ref.removeprefix("data:").partition("@")[0]


def contracts(history: History, name: str) -> tuple[Recorded, ...]:
    """Every contract that was activated for a dataset, the one in force last."""
    wanted = f"contract:{name}"
    return tuple(
        entry
        for entry in history.of_type(CONTRACT)
        if any(subject.name == wanted for subject in entry.statement.subjects)
    )


def checked(history: History, version: Digest, contract: Digest) -> Recorded | None:
    """The newest check of a version against exactly that contract."""
    for entry in reversed(history.about(version)):
        kind, said = entry.statement.predicate_type, entry.statement.predicate
        if kind == CONTRACT_CHECK and said.get("contract") == contract:
            return entry
    return None


def split_of(entry: Recorded) -> Split | None:
    """A split check, or None where it contradicts itself."""
    said: Mapping[str, Any] = entry.statement.predicate
    try:
        sides = msgspec.convert(said["sides"], tuple[Side, ...])
        leaks = said["total"]
    except (KeyError, TypeError, msgspec.ValidationError):
        return None
    if {side.digest for side in sides} != {s.digest for s in entry.statement.subjects}:
        return None
    if isinstance(leaks, bool) or not isinstance(leaks, int) or leaks < 0:
        return None
    return Split(entry.index, str(said.get("name", "")), sides, leaks)


def newest_splits(history: History, version: Digest) -> tuple[Split, ...]:
    """The newest check of each split that a version is a side of."""
    found: dict[str, Split] = {}
    for entry in history.about(version):
        if entry.statement.predicate_type == SPLITS:
            split = split_of(entry)
            if split is not None:
                found[split.name] = split
    return tuple(found.values())


def _contracts(known: Known) -> dict[str, Value]:
    unchecked = structural = broken = 0
    for artifact in known.data:
        in_force = contracts(known.history, name_of(artifact.name))
        if not in_force:
            continue
        entry = checked(known.history, artifact.digest, in_force[-1].statement.subjects[0].digest)
        said = _counts(entry) if entry else None
        if said is not None:
            structural, broken = structural + said[0], broken + said[1]
        elif entry is not None or _since(known, artifact, in_force[0].index):
            unchecked += 1
    return {
        "contract_unchecked": unchecked,
        "contract_structural": min(structural, NEVER),
        "contract_broken": min(broken, NEVER),
    }


def _since(known: Known, artifact: Artifact, index: int) -> bool:
    """Whether the version came after entry ``index``; one that is not known did."""
    version = known.versions.get(artifact.digest)
    return version is None or version.index > index


def _counts(entry: Recorded) -> tuple[int, int] | None:
    said = entry.statement.predicate
    counts = said.get("structural"), said.get("broken")
    if all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in counts):
        return counts  # type: ignore[return-value]
    return None


def _splits(known: Known) -> dict[str, Value]:
    declared = _declared(known.history)
    unchecked = leaks = 0
    found: dict[int, Split] = {}
    for artifact in known.data:
        splits = newest_splits(known.history, artifact.digest)
        found.update({split.index: split for split in splits})
        first = declared.get(name_of(artifact.name))
        if not splits and first is not None and _since(known, artifact, first):
            unchecked += 1
    leaks = sum(split.leaks for split in found.values())
    held_out = {
        side.digest for split in found.values() for side in split.sides if side.role in HELD_OUT
    }
    return {
        "split_unchecked": unchecked,
        "split_leaks": min(leaks, NEVER),
        "validation_sets": len(held_out),
        "validation_age_s": max((_age_s(known, each) for each in held_out), default=0),
        "validation_unverified": sum(not _verified(known, each) for each in held_out),
    }


def _declared(history: History) -> dict[str, int]:
    """Dataset name → the first entry that made it a side of a split."""
    found: dict[str, int] = {}
    for entry in history.of_type(SPLITS):
        split = split_of(entry)
        for side in split.sides if split else ():
            found.setdefault(side.name, entry.index)
    return found


def _age_s(known: Known, version: Digest) -> int:
    """Seconds since the version was added; one from the future is as good as unknown."""
    entry = known.versions.get(version)
    try:
        added = clock.parse(str(entry.statement.predicate.get("time"))) if entry else None
    except BadInput:
        added = None
    if added is None:
        return NEVER
    age = (known.now - added).total_seconds()
    return NEVER if age < -300 else max(0, int(age) + 1)


def _verified(known: Known, version: Digest) -> bool:
    """Whether somebody signed for this version who neither added it nor trains on it."""
    entry = known.versions.get(version)
    people = known.book.people
    adder = str(entry.statement.predicate.get("actor", "")) if entry else ""
    barred = {people.person(account) for account in known.involved}
    if not adder:
        return False
    barred.add(people.person(Account(adder, "")))
    return any(people.person(account) not in barred for account in verifiers(known, version))


def verifiers(known: Known, version: Digest) -> Iterator[Account]:
    """Whoever verified a version with a signature of their own that holds."""
    for entry in known.history.about(version):
        if entry.statement.predicate_type != VERIFICATION:
            continue
        request = known.book.requests.get(str(entry.statement.predicate.get("request")))
        if request is None or request.action != VERIFY:
            continue
        if [subject.digest for subject in request.subjects] != [version]:
            continue
        for approval in known.book.approvals.get(request.digest, ()):
            own = approval.approver.key_id == request.requester.key_id
            if own and approval.approver.known and approval.index < entry.index:
                yield approval.approver
