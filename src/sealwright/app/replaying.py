"""``seal redteam replay``: copies trained on exactly what the heaviest callers were told.

What they asked is what ``[serve] kept_rows`` kept of it, and counts only where the keyed digest of
a request is in a record of that caller, of that model, under a signed root.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from sealwright.app import accessing, extracting, servingmodel
from sealwright.app.exampleinputs import examples_of
from sealwright.app.extracting import PUBLIC, SEED, Ground, decimal
from sealwright.app.servingbase import input_key
from sealwright.app.servingkept import Drawer
from sealwright.app.servinglinks import links_of
from sealwright.core import clock, refs
from sealwright.core.amounts import span_s
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, VerifyError
from sealwright.core.ports import Progress
from sealwright.core.predicates import GUARD_BATCH
from sealwright.core.records import Artifact
from sealwright.evidence.history import History
from sealwright.kit.intervals import interval
from sealwright.policy import replayed
from sealwright.policy.replayed import Held, Replay
from sealwright.redteam.extraction import heist
from sealwright.redteam.extraction.interface import Array, Released, Stolen
from sealwright.redteam.extraction.sizing import CONFIDENCE
from sealwright.redteam.extraction.space import Space
from sealwright.registry.versions import Models
from sealwright.serve.evidence import InputKey, Record, record_of, root_of
from sealwright.serve.kept import Kept, Told
from sealwright.serve.recordfile import lines_of

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

HEAVIEST = 5
FEWEST = 30
"""Rows below which no copy of a group is trained: they are in the one of all together."""


class Wish(msgspec.Struct, frozen=True):
    """What is to be looked at: so many link groups, those with the most answered rows."""

    heaviest: int = HEAVIEST
    target: Decimal = Decimal("0.9")
    seed: int = SEED
    shape: tuple[int, ...] = ()


class Looked(msgspec.Struct, frozen=True):
    """A replay and its statement's entry."""

    model: str
    data: str
    replay: Replay
    index: int


class Recorded(msgspec.Struct, frozen=True):
    """What records under signed roots say of one model: rows answered by principal, and which
    keyed digests each of them asked."""

    rows: Counter[str]
    asked: Mapping[str, set[Digest]]


def replay(
    workspace: Workspace, what: str, data: str, wish: Wish, reason: str, progress: Progress
) -> Looked:
    """Train the copies. Raises: BadInput (nothing is kept), VerifyError, Refused, GateDenied."""
    history = workspace.history()
    model = Models(history).resolve(refs.parse(what, "model"))
    dataset = extracting.dataset_of(workspace, model, data)
    subject = Artifact(model.ref, model.digest)
    accessing.require(workspace, "deploy", [subject], reason=reason, size_bytes=model.size_bytes)
    kept = _kept(workspace, model.ref, model.digest)
    found = recorded(workspace, history, model.digest)
    told, unrecorded = proven(kept, found, input_key(workspace))
    if not told:
        raise BadInput(
            f"nothing that was kept of {model.ref} is in a record under a root",
            why=f"{unrecorded:,} kept rows have none",
            hint="seal log verify; and ask again in a second",
        )
    groups = _groups(history, found, told)
    rows = examples_of(workspace, dataset, wish.shape)
    with servingmodel.opener(workspace, model)() as opened:
        field = extracting.ground(opened, rows, PUBLIC, wish.seed)
        held = list(_held(field, groups, found, told, wish, progress))
    nothing = heist.without_questions(field.known, field.exam)
    times = [one.at_ms for requests in told.values() for one in requests]
    said = Replay(
        data=dataset.digest,
        held_out=len(field.exam.labels),
        public=field.public,
        seed=wish.seed,
        since=_stamp(min(times)),
        until=_stamp(max(times)),
        groups=tuple(_said(field, one, nothing, len(held)) for one in held[:-1]),
        together=_said(field, held[-1], nothing, len(held)),
        no_questions=decimal(nothing / len(field.exam.labels)),
        unrecorded=unrecorded,
        target=str(wish.target),
        actor=workspace.principal.name,
        time=clock.stamp(workspace.clock()),
    )
    receipt = workspace.recorder.record(replayed.statement_of(subject, said))
    return Looked(model.ref, dataset.ref, said, receipt.index)


def _kept(workspace: Workspace, ref: str, digest: Digest) -> Kept:
    """What is not too old of what was kept. Raises: BadInput, VerifyError."""
    kept = Drawer(workspace, digest).read()
    serve = workspace.settings.serve
    if kept is None:
        raise BadInput(
            f"nothing of what callers asked {ref} is kept",
            why="a copy of what they were told needs their questions, and records hold digests",
            hint="kept_rows = 2000 under [serve] in seal.toml, tell your callers, and serve on",
        )
    oldest = workspace.clock().timestamp() * 1000 - 1000 * span_s(serve.kept_time)
    return msgspec.structs.replace(
        kept,
        accounts={
            who: msgspec.structs.replace(
                one, requests=tuple(told for told in one.requests if told.at_ms >= oldest)
            )
            for who, one in kept.accounts.items()
        },
    )


def recorded(workspace: Workspace, history: History, model: Digest) -> Recorded:
    """Every answered record of a model, each batch held against its signed root.

    Raises: VerifyError (``guard.record-inclusion``: a file of records was changed).
    """
    rows, asked = Counter[str](), defaultdict[str, set[Digest]](set)
    for record in _records(workspace, history, model):
        if record.verdict == "answered":
            rows[record.principal] += record.rows
            asked[record.principal].add(record.input)
    return Recorded(rows, asked)


def _records(workspace: Workspace, history: History, model: Digest) -> Iterator[Record]:
    folder = workspace.seal_dir / "serve" / "records"
    batches = defaultdict[str, list[Any]](list)
    for entry in history.of_type(GUARD_BATCH):
        told: Any = entry.statement.predicate
        if told["model_digest"] == model:
            root = entry.statement.subjects[0].digest
            batches[str(told["file"])].append((int(told["first"]), int(told["count"]), root))
    for file, parts in batches.items():
        path = folder / file
        lines = list(lines_of(path)) if path.exists() else []
        for first, count, root in parts if lines else []:
            part = lines[first : first + count]
            if root_of(part).hex() != root:
                raise VerifyError(
                    "records of served answers are not those under their root",
                    where=f"{path}, line {first + 1}",
                    rule="guard.record-inclusion",
                )
            yield from map(record_of, part)


def proven(kept: Kept, found: Recorded, key: InputKey) -> tuple[dict[str, tuple[Told, ...]], int]:
    """Of each caller the requests that a record tells of, in order; and how many rows none does."""
    told, lacking = dict[str, tuple[Told, ...]](), 0
    for who, account in kept.accounts.items():
        asked = found.asked.get(who, set())
        good = [one for one in account.requests if key.of(one.named) in asked]
        lacking += sum(one.rows for one in account.requests) - sum(one.rows for one in good)
        if good:
            told[who] = tuple(sorted(good, key=lambda one: one.at_ms))
    return told, lacking


def _groups(
    history: History, found: Recorded, told: Mapping[str, Sequence[Told]]
) -> dict[str, list[str]]:
    """Link groups and their callers, heaviest first: the log says who is counted with whom."""
    links = links_of(history)
    groups = defaultdict[str, list[str]](list)
    for who in sorted(told):
        groups[links[who].group if who in links else who].append(who)
    by_rows = sorted(groups, key=lambda name: (-sum(found.rows[one] for one in groups[name]), name))
    return {name: groups[name] for name in by_rows}


class _Copy(msgspec.Struct, frozen=True):
    group: str
    callers: int
    asked: int
    used: int
    agreed: int


def _held(
    field: Ground,
    groups: Mapping[str, Sequence[str]],
    found: Recorded,
    told: Mapping[str, Sequence[Told]],
    wish: Wish,
    progress: Progress,
) -> Iterator[_Copy]:
    """The heaviest groups' copies, then that of everything together."""
    size = {who: sum(one.rows for one in requests) for who, requests in told.items()}
    large = [name for name, who in groups.items() if sum(size[one] for one in who) >= FEWEST]
    parts: list[tuple[str, Sequence[str]]] = [
        (name, groups[name]) for name in large[: wish.heaviest]
    ]
    parts.append(("", sorted(told)))
    for number, (name, callers) in enumerate(parts):
        progress.advance(number, len(parts), name or "all together")
        requests = [one for who in callers for one in told[who]]
        loot = stolen(field.known.space, requests, field.known.classes)
        copy = heist.copied(field.known, loot)
        asked = sum(found.rows[who] for who in callers)
        agreed = field.exam.agreed(copy)
        yield _Copy(name, len(callers), asked, len(loot.inputs), agreed)


def stolen(space: Space, requests: Iterable[Told], classes: int) -> Stolen:
    """Questions and answers as thieves hold them. Raises: BadInput (of another form)."""
    inputs, targets = list[Array](), list[Array]()
    for one in requests:
        inputs.append(_as_inputs(space, one.batch()))
        labels = np.frombuffer(one.labels, "<u2").astype(np.int64)
        top = np.frombuffer(one.top, "<f4").astype(np.float64) if one.top else None
        scores = np.frombuffer(one.scores, "<f4").astype(np.float64) if one.scores else None
        if int(labels.max()) >= classes:
            raise BadInput("what was kept is of a model with more classes")
        rest = None if scores is None else scores.reshape(len(labels), -1)
        released = Released(np.arange(len(labels)), labels, top, rest)
        targets.append(released.targets(classes))
    return Stolen(np.concatenate(inputs), np.concatenate(targets))


def _as_inputs(space: Space, batch: Array) -> Array:
    """(n, d) in the data's own form. Raises: BadInput."""
    if batch.ndim == 1 and space.form == "text":
        return space.counts(batch.tolist())
    if batch.ndim == 2 and batch.shape[1] == space.width and not space.values:
        return np.nan_to_num(batch.astype(np.float64))
    raise BadInput(
        "the data has another form than what callers asked",
        why=f"{space.width} columns of a {space.form}; they asked {batch.shape[1:] or 'texts'}",
        hint="--data a dataset with the columns that the model takes, in their order",
    )


def _said(field: Ground, one: _Copy, nothing: int, copies: int) -> Held:
    of = len(field.exam.labels)
    _, bound = interval(one.agreed, of, 1 - 2 * (1 - CONFIDENCE) / copies)
    return Held(
        one.group,
        one.callers,
        one.asked,
        one.used,
        decimal(one.agreed / of),
        extracting.signed(one.agreed - nothing, of),
        decimal(bound),
    )


def _stamp(at_ms: int) -> str:
    return clock.stamp(datetime.fromtimestamp(at_ms / 1000, UTC))
