"""Looking at a dataset version before anything learns from it, and saying so in the log.

The look itself happens in the jail (:mod:`sealwright.app.screenwork`). Here: what is asked,
whether it was asked before, one statement, and the quarantine of what was found. Spec:
``docs/spec/screening-v1.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from sealwright.app import attributing, screendetails, screenlines, screenwords, screenwork
from sealwright.app.datasets import memory_of
from sealwright.app.jailing import jail_of
from sealwright.app.screendetails import Details
from sealwright.app.screenwords import Looked as Looked
from sealwright.app.screenwork import Answer, Question, Version
from sealwright.core import clock, settings
from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput, GateDenied, MissingExtra, Refused, VerifyError
from sealwright.core.ports import JailBounds, Progress
from sealwright.core.records import Json
from sealwright.evidence import jcs
from sealwright.evidence.history import History
from sealwright.intake.versions import Dataset, Datasets
from sealwright.policy import screened
from sealwright.policy.activation import timeline
from sealwright.policy.approvals import Book
from sealwright.policy.principals import here
from sealwright.policy.screened import Held, Move, Screened, Screening

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

OFF = "screening.off"
_RULES = ("poison.", "screening.", "data.unscreened")
_BYTES_PER_BYTE = 8  # what a byte of data may take in the worker, beside screening.memory


def standing(workspace: Workspace, history: History | None = None) -> Screened:
    """Every screening of the log, and where each group stands."""
    history = history or workspace.history()
    book = Book(history, workspace.trust)
    return Screened(history, book, timeline(history, book))


def look(
    workspace: Workspace,
    dataset: Dataset,
    progress: Progress,
    *,
    again: bool = False,
    model: bool = False,
) -> Looked:
    """Screen a version, unless the same was asked of it before and answered.

    ``model`` asks for the detectors that train one, though the settings do not.

    A worker that fails, runs out of time or leaves nonsense is a screening that failed, in the
    log like any other. Raises: VerifyError (the data's own bytes), BadInput (a setting that
    does not fit the data).
    """
    wanted = workspace.settings.screening
    question = _question(workspace, dataset, model=model)
    known = standing(workspace)
    reference = _reference(workspace, dataset, known) if wanted.enabled else None
    asked = _asked(dataset, question, reference, enabled=wanted.enabled)
    before = known.newest.get(dataset.digest)
    same = before is not None and before.asked == asked and before.verdict != "failed"
    if before is not None and same and not again:
        return Looked(dataset, before, known.entries[dataset.digest], False)
    blank = screenlines.blank(
        dataset,
        asked=asked,
        alpha=wanted.alpha,
        seed=wanted.seed,
        reduced=wanted.enabled and wanted.reduced,
        actor=workspace.principal.name,
    )
    if not wanted.enabled:
        off = msgspec.structs.replace(blank, verdict="unscreened", why=OFF)
        return _record(workspace, dataset, off, None)
    said, details = _look(workspace, dataset, reference, question, known, blank, progress)
    return _record(workspace, dataset, said, details)


def details_of(workspace: Workspace, looked: Looked) -> Details | None:
    """What was found, in full. Raises: VerifyError (not what was signed), Refused (shredded)."""
    dataset = looked.dataset
    return screendetails.load(workspace.store, dataset.scope, dataset.digest, looked.said)


def last_look(workspace: Workspace, dataset: Dataset, known: Screened | None = None) -> Looked:
    """The newest screening of a version. Raises: BadInput (nobody looked yet)."""
    known = known or standing(workspace)
    said = known.newest.get(dataset.digest)
    if said is None:
        raise BadInput(f"nobody screened {dataset.ref} yet", hint=f"seal data check {dataset.ref}")
    return Looked(dataset, said, known.entries[dataset.digest], False)


def explained(workspace: Workspace, denied: GateDenied, looked: Sequence[Looked]) -> GateDenied:
    """The same refusal, saying which groups and which failures stand behind it, if any do."""
    if not any(rule.startswith(_RULES) for rule in denied.rule.split(", ")):
        return denied
    known = standing(workspace)
    lines = [
        line
        for one in looked
        for line in screenwords.why_held(one, known.of(one.dataset.digest), _quiet(workspace, one))
    ]
    return GateDenied(
        denied.what,
        why="; ".join([denied.why, *lines]),
        hint=denied.hint,
        rule=denied.rule,
        evidence=(*denied.evidence, *(f"screening: entry {one.entry}" for one in looked)),
        decision=denied.decision,
    )


def _quiet(workspace: Workspace, looked: Looked) -> Details | None:
    """The details, or None where they cannot be read: a refusal stands without them."""
    try:
        return details_of(workspace, looked)
    except Refused:
        return None


def groups_of(workspace: Workspace, dataset: Dataset) -> tuple[Held, ...]:
    """Where the version's groups stand."""
    return standing(workspace).of(dataset.digest)


def _question(workspace: Workspace, dataset: Dataset, *, model: bool) -> Question:
    wanted = workspace.settings.screening
    told = workspace.settings.data.get(dataset.name)
    memory = settings.size_bytes(wanted.memory) + _BYTES_PER_BYTE * dataset.size_bytes
    return Question(
        label=dataset.label if dataset.kind != "images" else "",
        source=told.source if told else "",
        alpha=wanted.alpha,
        detectors=tuple(wanted.detectors),
        canary=wanted.canary,
        seed=wanted.seed,
        bounds=JailBounds(memory_bytes=memory, wall_s=wanted.max_seconds),
        model=model or wanted.model,
    )


def _asked(
    dataset: Dataset, question: Question, reference: Dataset | None, *, enabled: bool
) -> Digest:
    """The digest of all that decides the answer: the data, the question, the detectors' code."""
    said: dict[str, Json] = {
        "version": dataset.digest,
        "enabled": enabled,
        "label": question.label,
        "source": question.source,
        "alpha": screenlines.decimal(question.alpha),
        "detectors": list(question.detectors),
        "canary": question.canary,
        "seed": question.seed,
        "reference": reference.digest if reference else "",
        "code": screenwork.code_digest() if enabled else "",
    }
    if question.model:
        said["model"] = True
    return of_bytes(jcs.canonical(said))


def _reference(workspace: Workspace, dataset: Dataset, known: Screened) -> Dataset | None:
    """The newest earlier version that was screened and in which nothing is open."""
    chain = Datasets(workspace.history(), workspace.store).versions(dataset.name)
    for earlier in reversed(chain[: dataset.version - 1]):
        said = known.newest.get(earlier.digest)
        sound = said is not None and said.verdict in ("nothing-found", "found")
        same_kind = (earlier.kind, earlier.label) == (dataset.kind, dataset.label)
        if sound and same_kind and not any(one.open for one in known.of(earlier.digest)):
            return earlier
    return None


def _look(
    workspace: Workspace,
    dataset: Dataset,
    reference: Dataset | None,
    question: Question,
    known: Screened,
    blank: Screening,
    progress: Progress,
) -> tuple[Screening, Details | None]:
    seen = _canaries_before(dataset, question, known)
    if seen:
        question = msgspec.structs.replace(question, canary=False)
    version = _version(workspace, dataset)
    earlier = _version(workspace, reference) if reference else None
    jail = jail_of(workspace.state_dir, workspace.settings.room.isolation, _heard(progress))
    try:
        answer = screenwork.ask(jail, version, earlier, question)
    except VerifyError:
        raise
    except Refused as refused:
        return _failed(blank, refused.rule), _words(dataset, refused)
    except MissingExtra as missing:
        bare = msgspec.structs.replace(blank, verdict="unscreened", why="screening.missing-extra")
        return bare, _words(dataset, missing)
    except BadInput as error:
        kind = "unscreened" if error.what.endswith("table, picture or text") else "failed"
        rule = "screening.no-detector" if kind == "unscreened" else "screening.report"
        plain = msgspec.structs.replace(blank, verdict=kind, why=rule)
        return plain, _words(dataset, error)
    return _said(workspace, dataset, reference, answer, blank, seen, version)


def _said(
    workspace: Workspace,
    dataset: Dataset,
    reference: Dataset | None,
    answer: Answer,
    blank: Screening,
    seen: Sequence[screened.SeenLine],
    version: Version,
) -> tuple[Screening, Details]:
    groups, details = screenlines.groups(dataset.digest, answer)
    told = workspace.settings.data.get(dataset.name)
    traced = attributing.trace(
        workspace, version, told.source if told else "", [d.carriers for d in details]
    )
    details = [
        msgspec.structs.replace(one, sources=where.sources, added=where.added)
        for one, where in zip(details, traced, strict=True)
    ]
    said = msgspec.structs.replace(
        screenlines.fill(blank, answer, groups),
        code=screenwork.code_digest(),
        reference=reference.digest if reference else "",
    )
    if seen:
        said = msgspec.structs.replace(said, canaries=tuple(seen))
    return said, screenlines.details(dataset.digest, answer, tuple(details))


def _canaries_before(
    dataset: Dataset, question: Question, known: Screened
) -> tuple[screened.SeenLine, ...]:
    """What an earlier version of like size would have shown, under the same code and alpha."""
    if not question.canary:
        return ()
    code, alpha = screenwork.code_digest(), screenlines.decimal(question.alpha)
    for said in reversed(list(known.newest.values())):
        like = 0.9 * said.records <= dataset.rows <= 1.1 * max(1, said.records)
        same = (said.dataset, said.code, said.alpha) == (dataset.name, code, alpha)
        if same and like and said.canaries and not said.reduced:
            return said.canaries
    return ()


def _record(
    workspace: Workspace, dataset: Dataset, said: Screening, details: Details | None
) -> Looked:
    """One statement, and the quarantine of what was found and not released before."""
    said = msgspec.structs.replace(said, time=clock.stamp(workspace.clock()))
    if details is not None:
        kept = screendetails.put(workspace.store, dataset.scope, details)
        said = msgspec.structs.replace(said, details=kept)
    with workspace.lock():
        receipt = workspace.recorder.record(screened.statement_of(dataset.artifact, said))
        held = standing(workspace)
        new = [
            one
            for one in held.of(dataset.digest)
            if one.state == "quarantined" and one.index == receipt.index
        ]
        if new and details is not None:
            ids = {record for one in new for record in _carriers(details, one)}
            workspace.recorder.record(
                screened.moved(
                    dataset.artifact,
                    move(workspace, dataset, new, "quarantined", "found by screening", sorted(ids)),
                )
            )
    return Looked(dataset, said, receipt.index, True)


def move(
    workspace: Workspace,
    dataset: Dataset,
    held: Sequence[Held],
    state: screened.State,
    reason: str,
    carriers: Sequence[int],
    *,
    pattern: bool = False,
    derived: str = "",
    request: str = "",
) -> Move:
    """What a quarantine statement says about some groups of a version."""
    who = here(workspace.principal)
    return Move(
        dataset=dataset.name,
        version=dataset.version,
        state=state,
        groups=tuple(one.line.id for one in held),
        count=len(carriers),
        carriers=screened.carriers_digest(carriers),
        pattern=pattern,
        derived=derived,
        request=request,
        actor=who.name,
        key_id=who.key_id,
        uid=who.uid,
        host=who.host,
        reason=reason,
        time=clock.stamp(workspace.clock()),
    )


def _carriers(details: Details, held: Held) -> tuple[int, ...]:
    found = details.group(held.line.id)
    return found.carriers if found else ()


def _version(workspace: Workspace, dataset: Dataset) -> Version:
    return Version(dataset, memory_of(workspace, dataset), workspace.root)


def _failed(blank: Screening, rule: str) -> Screening:
    return msgspec.structs.replace(blank, verdict="failed", why=rule or "screening.failed")


def _words(dataset: Dataset, error: BadInput | MissingExtra | Refused) -> Details:
    """Why it failed, in words: they may quote the data, so they are kept with it."""
    return Details(screendetails.FORMAT, dataset.digest, (), (), (), (), tuple(error.lines()), {})


def _heard(progress: Progress) -> screenwork.Heard:
    """Turns the worker's ``DONE TOTAL what`` into progress; anything else is not shown."""

    def heard(line: str) -> None:
        done, _, rest = line.partition(" ")
        total, _, what = rest.partition(" ")
        if done.isdecimal() and total.isdecimal() and len(done + total) < 30:
            progress.advance(min(int(done), int(total)), int(total), what[:60])

    return heard
