"""``seal reproduce``: the kept code on the sealed data, in a room, and what comes out compared."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sealwright.app import running
from sealwright.app.pastruns import Past, outputs_of
from sealwright.app.wiring import Workspace
from sealwright.core import clock, predicates, refs
from sealwright.core.errors import VerifyError
from sealwright.core.records import Json, Statement
from sealwright.intake.versions import Dataset, Datasets
from sealwright.pipeline.spec import StageSpec
from sealwright.pipeline.training import Prepared, opened_inputs, room_spec
from sealwright.train import environment, keep, snapshot
from sealwright.train.keep import KeptCode
from sealwright.train.reproduce import Comparison, Difference, compare, unavailable
from sealwright.train.room import run_room
from sealwright.train.snapshot import Snapshot
from sealwright.train.spec import Channel, Listener

MOST_NAMED = 100


def reproduce(workspace: Workspace, past: Past, listener: Listener) -> Comparison:
    """Run a stage again and compare; the outcome is a statement in the log.

    Raises: VerifyError (what was kept is not what was sealed), BadInput.
    """
    comparison = _compare(workspace, past, listener)
    differences: list[Json] = [one.path for one in comparison.differences[:MOST_NAMED]]
    lacking: list[Json] = [*comparison.lacking[:MOST_NAMED]]
    predicate: dict[str, Json] = {
        "run": past.run,
        "stage": past.stage,
        "outcome": comparison.outcome,
        "differences": differences,
        "lacking": lacking,
        "actor": workspace.principal.name,
        "time": clock.stamp(workspace.clock()),
    }
    subjects = past.entry.statement.subjects
    workspace.recorder.record(Statement(subjects, predicates.REPRODUCTION, predicate))
    return comparison


def _compare(workspace: Workspace, past: Past, listener: Listener) -> Comparison:
    code = keep.load_code(workspace.store, past.stored["code"], past.used["code"])
    now = environment.describe(past.command, workspace.root, kept=_script(code, past, workspace))
    recorded = keep.load_environment(
        workspace.store, past.stored["environment"], past.used["environment"]
    )
    lacking = unavailable(recorded, now.identity)
    if lacking is not None:
        return lacking
    prepared = Prepared(
        StageSpec(past.stage, past.command, ()),
        past.run,
        msgspec.structs.replace(
            running.around(workspace), limits=past.limits, isolation=past.isolation
        ),
        tuple(_datasets(workspace, past)),
        Snapshot(workspace.root, code.files, source="store"),
        now,
    )
    running.refuse_without_access(workspace, prepared, "reproduce", "")
    opened = tuple(opened_inputs(prepared, prepared.inputs, workspace.store))
    logs: dict[Channel, io.BytesIO] = {"stdout": io.BytesIO(), "stderr": io.BytesIO()}
    files = snapshot.room_files(code.contents())
    with run_room(room_spec(prepared, files, opened, logs), listener) as result:
        again = {one.relpath: one.sha256 for one in result.outputs}
        if result.status != "ok":
            ended = Difference("(the script)", "changed", "ok", result.status)
            return Comparison("different", (ended,))
    return compare(outputs_of(workspace, past), again)


def _script(code: KeptCode, past: Past, workspace: Workspace) -> dict[Path, bytes]:
    """The program that the command starts, where it is part of the code: as it was then."""
    wanted = Path(os.path.normpath(workspace.root / past.command[0]))
    if "/" not in past.command[0] or not wanted.is_relative_to(workspace.root):
        return {}
    name = str(wanted.relative_to(workspace.root))
    if not any(file.path == name and file.mode != "link" for file in code.files):
        return {}
    return {wanted: next(content for file, content in code.contents() if file.path == name)}


def _datasets(workspace: Workspace, past: Past) -> Iterator[Dataset]:
    catalogue = Datasets(workspace.history(), workspace.store)
    for name, digest in past.used.items():
        if not name.startswith("data:"):
            continue
        dataset = catalogue.resolve(refs.parse(name))
        if dataset.digest != digest:
            raise VerifyError(
                f"{name} is not what run {past.run} used", where=name, rule="run.input-swapped"
            )
        yield dataset
