"""Groups out of quarantine: released by people, or rejected into a version without them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from sealwright.app import accessing, cutting, screening
from sealwright.app.screendetails import Details, GroupDetail
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, GateDenied, Refused
from sealwright.core.records import Receipt
from sealwright.intake.versions import Dataset, Datasets
from sealwright.policy import approvals, screened
from sealwright.policy.activation import timeline
from sealwright.policy.approvals import Book
from sealwright.policy.principals import here
from sealwright.policy.screened import Held

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

_SHORTEST = 4


class Found(msgspec.Struct, frozen=True):
    """A group where it stands, with what is kept of it; None where that cannot be read."""

    dataset: Dataset
    held: Held
    detail: GroupDetail | None


class Rejected(msgspec.Struct, frozen=True):
    """The version that took the place of the one before, and how many records it left out."""

    dataset: Dataset
    removed: int
    receipt: Receipt


def all_of(workspace: Workspace, ref: str = "") -> list[Found]:
    """Every group of a version, or of every version; oldest first."""
    datasets = Datasets(workspace.history(), workspace.store)
    known = screening.standing(workspace)
    wanted = [datasets.resolve(ref)] if ref else datasets.all()
    found = []
    for dataset in wanted:
        groups = known.of(dataset.digest)
        details = _details(workspace, dataset) if groups else None
        found += [Found(dataset, x, details.group(x.line.id) if details else None) for x in groups]
    return found


def pick(found: Sequence[Found], names: Sequence[str], pattern: str = "") -> list[Found]:
    """The groups whose id starts with one of ``names``, or whose pattern has that key.

    Raises: BadInput (a name that is no group, or several).
    """
    if pattern:
        same = [one for one in found if one.held.line.key == pattern]
        if not same:
            keys = ", ".join(sorted({one.held.line.key for one in found})) or "none"
            raise BadInput(f"no group has the pattern {pattern!r}", why=f"there are: {keys}")
        return same
    picked = []
    for name in names:
        fits = [
            one for one in found if len(name) >= _SHORTEST and one.held.line.id.startswith(name)
        ]
        if len(fits) != 1:
            what = "no group" if not fits else f"{len(fits)} groups"
            raise BadInput(f"{name!r} names {what}", hint="seal data quarantine list")
        picked += fits
    return picked


def release(
    workspace: Workspace, chosen: Sequence[Found], reason: str, *, pattern: bool = False
) -> Receipt:
    """Let groups go: they are natural. ``pattern`` also lets later ones of the same pattern go.

    Raises: BadInput (no reason, not in quarantine), GateDenied, rule
    ``quarantine.second-person``, once a request for the approvals is in the log.
    """
    dataset = _one_version(chosen)
    _refuse_moved(chosen)
    accessing.require(workspace, "modify", [dataset.artifact], reason=reason)
    groups = [one.held.line.id for one in chosen]
    with workspace.lock():
        history = workspace.history()
        book = Book(history, workspace.trust)
        request = ""
        if timeline(history, book).rank_at(history.size) > 0:
            request = _approved(workspace, book, dataset, groups, reason)
        move = screening.move(
            workspace,
            dataset,
            [one.held for one in chosen],
            "released",
            reason,
            _carriers(chosen),
            pattern=pattern,
            request=request,
        )
        return workspace.recorder.record(screened.moved(dataset.artifact, move))


def reject(workspace: Workspace, chosen: Sequence[Found], reason: str) -> Rejected:
    """Make the next version without the groups' carriers. The version before keeps them all.

    Raises: BadInput (no reason, not the newest version, signed in place, edited since).
    """
    dataset = _one_version(chosen)
    _refuse_moved(chosen)
    if not reason.strip():
        raise BadInput("a move out of quarantine says why", hint="repeat it with --reason '...'")
    accessing.require(workspace, "modify", [dataset.artifact], reason=reason)
    records = _carriers(chosen)
    if not records:
        raise BadInput(
            f"what was found in {dataset.ref} cannot be read any more",
            hint=f"seal data check {dataset.ref} --again",
        )
    made = cutting.without(workspace, dataset, records, reason)
    with workspace.lock():
        move = screening.move(
            workspace,
            dataset,
            [one.held for one in chosen],
            "rejected",
            reason,
            records,
            derived=made.ref,
        )
        receipt = workspace.recorder.record(screened.moved(dataset.artifact, move))
    return Rejected(made, len(records), receipt)


def _approved(
    workspace: Workspace, book: Book, dataset: Dataset, groups: Sequence[Digest], reason: str
) -> Digest:
    """The request that two others approved. Raises: GateDenied, with it in the log."""
    actor, now = here(workspace.principal), workspace.clock()
    request = book.matching(screened.ACTION, groups, {})
    if request is None:
        subjects = [screened.artifact_of(group) for group in groups]
        asked = approvals.ask(screened.ACTION, subjects, {}, actor, reason, now)
        workspace.recorder.record(asked)
        raise _needs_people(dataset, approvals.digest_of(asked.predicate), ())
    barred = (actor, *screening.standing(workspace).barred(dataset.digest))
    history = workspace.history()
    people = screened.approvers(history, book, request, groups, barred, now, history.size)
    if len(people) < screened.TWO_PEOPLE:
        raise _needs_people(dataset, request.digest, people)
    return request.digest


def _needs_people(dataset: Dataset, request: str, people: Sequence[str]) -> GateDenied:
    missing = screened.TWO_PEOPLE - len(people)
    return GateDenied(
        f"the records of {dataset.ref} stay in quarantine",
        why=f"{missing} more of two people must approve who neither ask nor added the data",
        rule="quarantine.second-person",
        hint=f"seal access approve {request[:16]} --reason '...', then release them again",
        evidence=(f"request {request[:16]}",),
    )


def _one_version(chosen: Sequence[Found]) -> Dataset:
    if not chosen:
        raise BadInput("no group was named", hint="seal data quarantine list")
    if len({one.dataset.digest for one in chosen}) != 1:
        raise BadInput("the groups are of several versions", hint="name one version's at a time")
    return chosen[0].dataset


def _refuse_moved(chosen: Sequence[Found]) -> None:
    for one in chosen:
        if one.held.state != "quarantined":
            raise BadInput(
                f"group {one.held.line.id[:12]} was {one.held.state} before",
                why="a group moves out of quarantine once",
                hint="seal data quarantine list",
            )


def _carriers(chosen: Sequence[Found]) -> list[int]:
    return sorted({r for one in chosen if one.detail for r in one.detail.carriers})


def _details(workspace: Workspace, dataset: Dataset) -> Details | None:
    try:
        return screening.details_of(workspace, screening.last_look(workspace, dataset))
    except Refused:
        return None
