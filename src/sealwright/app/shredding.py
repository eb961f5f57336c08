"""Destroying for good: a version's segments, or a whole key; stated in the log.

A version's segments are destroyed only where no other version needs them. Copies of them in a
backup or a snapshot still hold their wrapped keys, so the scope's wrapping key is rotated too
and the former generation destroyed: then every copy of them is noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING

import msgspec

from sealwright.app import accessing, rotating
from sealwright.core import clock, digest
from sealwright.core import predicates as p
from sealwright.core.errors import BadInput, Refused
from sealwright.core.locking import exclusive
from sealwright.core.ports import Progress
from sealwright.core.records import Artifact, Json, Receipt, Statement
from sealwright.evidence.history import History
from sealwright.intake.versions import Dataset, Datasets, lock_of
from sealwright.vault.custody import WRAPPING_KEY

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace


_GONE = ("store.segment-missing", "store.header-changed")


class Shredded(msgspec.Struct, frozen=True):
    """What is gone: segments of ``scope``, and the generations of its key that wrapped them."""

    artifact: str
    scope: str
    segments: int
    kept: int
    destroyed: tuple[int, ...]
    index: int


def version(ws: Workspace, ref: str, reason: str, progress: Progress) -> Shredded:
    """Destroy what only this version needs. Killed at any moment, the same line goes on.

    Raises: GateDenied (``access.*``), BadInput (no such version, shredded before), VerifyError
    (another version's manifest is unreadable: what that needs cannot be known).
    """
    with ws.lock():
        history = ws.history()
        datasets = Datasets(history, ws.store)
        dataset = datasets.resolve(ref)
        if _shredded(history, dataset.digest):
            raise BadInput(f"{dataset.ref} was shredded before", hint="seal log show --all")
        accessing.require(ws, "destroy", [dataset.artifact], reason=reason)
        with exclusive(lock_of(ws.seal_dir / "tmp", dataset.name), dataset.scope, inf):
            return _version(ws, datasets, dataset, reason, progress)


def _version(
    ws: Workspace, datasets: Datasets, dataset: Dataset, reason: str, progress: Progress
) -> Shredded:
    scope = dataset.scope
    others = [each for each in datasets.versions(dataset.name) if each.version != dataset.version]
    living = [each for each in others if not _shredded(ws.history(), each.digest)]
    needed = frozenset[str]().union(*(datasets.segments(each) for each in living))
    announced = _announced(ws.history(), dataset)
    try:
        own = (datasets.segments(dataset) | _found(ws.history(), dataset)) - needed
        kept = len(datasets.segments(dataset) & needed)
    except Refused as error:
        if announced is None or error.rule not in _GONE:
            raise
        # killed when the manifest, which goes last, was going or gone
        own, kept = frozenset(dataset.signed.manifest.segments) - needed, 0
    if announced is None:
        announced = len(own)
        state = rotating.state_of(ws, scope)
        more: dict[str, Json] = {"artifact": dataset.ref, "segments": announced}
        rotating.record_key(ws, state, "shredding", reason, **more)
    manifest = [each for each in dataset.signed.manifest.segments if each in own]
    ws.store.shred(scope, sorted(own - set(manifest)))
    rotated = rotating.renewed(ws, scope, reason, progress)
    ws.store.shred(scope, manifest)
    receipt = _record(ws, [dataset.artifact], announced, scope, rotated.retired, reason)
    return Shredded(dataset.ref, scope, announced, kept, rotated.retired, receipt.index)


def key(ws: Workspace, name: str, reason: str) -> Shredded:
    """Destroy a wrapping key, and with it everything it ever wrapped, in every copy.

    Raises: GateDenied (``access.*``), BadInput (no such key, or what the workspace lives by).
    """
    if name == WRAPPING_KEY:
        raise BadInput(
            f"{name} wraps the signing keys",
            why="without it the workspace could never sign again",
            hint=f"seal keys rotate {name}",
        )
    with ws.lock():
        state = rotating.state_of(ws, name)
        if state.state == "destroyed":
            raise BadInput(f"the key {name} was destroyed before", hint="seal keys list")
        subject = Artifact(f"key:{name}", digest.of_bytes(f"{ws.id} {name}".encode()))
        accessing.require(ws, "destroy", [subject], reason=reason)
        segments = len(ws.store.segments(name)) if name in ws.store.scopes() else 0
        ws.kms.destroy(name)
        gone = (*state.former, state.generation)
        receipt = _record(ws, [subject], segments, name, gone, reason)
    return Shredded(subject.name, name, segments, 0, gone, receipt.index)


def _record(
    ws: Workspace,
    subjects: Sequence[Artifact],
    segments: int,
    scope: str,
    destroyed: tuple[int, ...],
    reason: str,
) -> Receipt:
    return ws.recorder.record(
        Statement(
            tuple(subjects),
            p.SHRED,
            {
                "segments": segments,
                "key": scope,
                "destroyed": list(destroyed),
                "actor": ws.principal.name,
                "reason": reason,
                "time": clock.stamp(ws.clock()),
            },
        )
    )


def _found(history: History, dataset: Dataset) -> frozenset[str]:
    """What screenings kept of the version: it quotes its records."""
    kept: set[str] = set()
    for entry in history.about(dataset.digest):
        details = entry.statement.predicate.get("details")
        if entry.statement.predicate_type == p.SCREENING and isinstance(details, dict):
            segments = details.get("segments")
            kept.update(map(str, segments) if isinstance(segments, list) else ())
    return frozenset(kept)


def _shredded(history: History, version: digest.Digest) -> bool:
    return any(entry.statement.predicate_type == p.SHRED for entry in history.about(version))


def _announced(history: History, dataset: Dataset) -> int | None:
    """How many segments an earlier attempt was going to destroy."""
    for entry in history.of_type(p.KEY):
        said = entry.statement.predicate
        count = said.get("segments")
        if (said.get("act"), said.get("artifact")) == ("shredding", dataset.ref):
            return count if isinstance(count, int) else None
    return None
