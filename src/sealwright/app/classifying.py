"""What personal data a version holds, and the sensitivity that a person confirms for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from sealwright.app import accessing, rows
from sealwright.app.wiring import Workspace
from sealwright.core import clock, predicates
from sealwright.core.errors import BadInput
from sealwright.core.ports import Progress
from sealwright.core.records import Json, Statement
from sealwright.core.sensitivity import Sensitivity, highest
from sealwright.intake.versions import Dataset
from sealwright.kit.patterns import Match
from sealwright.scan.pii import ColumnFound, Counting, Kind, suggestion

NAMED_CELLS = 500
"""Cells of a column that a language model is shown: it takes milliseconds for each."""


class Found(msgspec.Struct, frozen=True):
    """Every column, and the level that all of them suggest."""

    ref: str
    columns: tuple[ColumnFound, ...]
    suggested: Sensitivity


def look(
    workspace: Workspace,
    dataset: Dataset,
    progress: Progress,
    names: Callable[[str], Iterator[Match]] | None = None,
) -> Found:
    """Look at every column. Raises: BadInput (no table), GateDenied, VerifyError, Refused."""
    accessing.require(workspace, "modify", [dataset.artifact])
    schema, batches = rows.of(workspace, dataset)
    counts = {name: Counting(name) for name in schema.names}
    cells: dict[str, list[str]] = {name: [] for name in schema.names}
    done = 0
    for batch in batches:
        for name, counting in counts.items():
            values = batch.column(name).to_pylist()
            counting.add(values)
            if names is not None and len(cells[name]) < NAMED_CELLS:
                cells[name] += [v for v in values if isinstance(v, str)][:NAMED_CELLS]
        done += batch.num_rows
        progress.advance(done, dataset.rows, "rows looked at")
    found = [_with_names(counts[name].found(), cells[name], names) for name in counts]
    return Found(dataset.ref, tuple(found), highest(each.suggested for each in found))


def confirm(
    workspace: Workspace, dataset: Dataset, found: Found, level: Sensitivity, reason: str
) -> int:
    """Record the level that a person confirms; from here on policies see it. Raises: BadInput."""
    if not reason.strip():
        raise BadInput("a confirmation says why", hint="repeat it with --reason '...'")
    accessing.require(workspace, "modify", [dataset.artifact], reason=reason)
    predicate: dict[str, Json] = {
        "columns": [
            {
                "column": each.column,
                "kinds": {kind.kind: kind.cells for kind in each.kinds},
                "cells": each.looked,
                "suggested": each.suggested,
            }
            for each in found.columns
            if each.kinds
        ],
        "suggested": found.suggested,
        "signed": dataset.signed.sensitivity,
        "confirmed": level,
        "actor": workspace.principal.name,
        "reason": reason,
        "time": clock.stamp(workspace.clock()),
    }
    statement = Statement((dataset.artifact,), predicates.CLASSIFICATION, predicate)
    return workspace.recorder.record(statement).index


def shape_of(found: Found, dataset: Dataset) -> dict[str, Any]:
    """The stable shape for ``--json``."""
    return {
        "ref": found.ref,
        "sensitivity": dataset.signed.sensitivity,
        "suggested": found.suggested,
        "columns": msgspec.to_builtins(found.columns),
    }


def _with_names(
    found: ColumnFound, cells: list[str], names: Callable[[str], Iterator[Match]] | None
) -> ColumnFound:
    if names is None or not cells:
        return found
    counts: dict[str, int] = {}
    for cell in cells:
        for kind in {match.kind for match in names(cell) if match.confidence >= 50}:
            counts[kind] = counts.get(kind, 0) + 1
    known = {each.kind for each in found.kinds}
    more = [
        Kind(kind, count, "presidio")
        for kind, count in sorted(counts.items())
        if kind not in known and count >= max(1, len(cells) // 20)
    ]
    kinds = (*found.kinds, *more)
    return msgspec.structs.replace(
        found, kinds=kinds, suggested=suggestion(each.kind for each in kinds)
    )
