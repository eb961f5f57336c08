"""A stage that did not succeed: what it left goes into quarantine, and the user hears why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from sealwright.core.ports import Store, StoredFile
from sealwright.core.records import Json
from sealwright.pipeline.engine import StageFailed
from sealwright.pipeline.spec import StageSpec
from sealwright.train.keep import SCOPE
from sealwright.train.outcome import RoomResult
from sealwright.train.provenance import Byproduct
from sealwright.train.spec import OutputFile

MOST_QUARANTINED = 100


def failure(
    spec: StageSpec,
    run: str,
    result: RoomResult,
    store: Store,
    logs: Sequence[Byproduct],
) -> StageFailed:
    """Keep logs and outputs encrypted, and say how the stage ended and what to type next."""
    status = {"timeout": "timeout", "killed": "killed", "interrupted": "interrupted"}.get(
        result.status, "failed"
    )
    quarantined = [_quarantined(store, result, one) for one in result.outputs[:MOST_QUARANTINED]]
    details: dict[str, Json] = {
        "logs": [{"name": log.name, "stored": msgspec.to_builtins(log.stored)} for log in logs],
        "quarantine": quarantined,
        "ended": result.status,
        "findings": [*sorted({finding.rule for finding in result.findings})],
    }
    left = f"; {len(quarantined)} output(s) stay in quarantine" if quarantined else ""
    return StageFailed(
        f"stage {spec.name} did not succeed: {_ended(result)}{left}",
        status=status,
        exit_code=result.exit_code,
        why=_why(result),
        hint=_hint(spec, run, result),
        details=details,
    )


def _quarantined(store: Store, result: RoomResult, output: OutputFile) -> Json:
    with result.open(output) as stream:
        stored: StoredFile = store.put(SCOPE, stream)
    return {"path": output.relpath, "stored": msgspec.to_builtins(stored)}


def _ended(result: RoomResult) -> str:
    words = {
        "failed": f"exit code {result.exit_code}",
        "killed": f"killed by signal {result.exit.signal}",
        "timeout": "it ran out of time",
        "interrupted": "it was interrupted",
        "out-of-memory": "it ran out of memory",
        "cpu-time": "it used up the CPU time that its stage plans for",
        "too-many-processes": "it started more processes than it may",
        "output-full": "it wrote more than it may",
    }
    return words.get(result.status, result.status)


def _why(result: RoomResult) -> str:
    if result.missing_opens:
        return f"it looked for {', '.join(result.missing_opens)}, which no declared dataset holds"
    return "; ".join(finding.message for finding in result.findings)


def _hint(spec: StageSpec, run: str, result: RoomResult) -> str:
    if result.missing_opens:
        path = result.missing_opens[0]
        name = name_for(path)
        outside = " --reference" if path.startswith("/") else ""
        then = f', then name "{name}" among the inputs of {spec.name}' if spec.listed else ""
        return f"seal data add {path} --name {name}{outside}{then}"
    settings = {
        "timeout": "raise room.time in seal.toml",
        "out-of-memory": "raise room.memory in seal.toml",
        "too-many-processes": "raise room.processes in seal.toml",
        "cpu-time": f"raise compute.cpu of stage {spec.name} in seal.toml, or see what it did",
        "output-full": "raise room.output or room.files in seal.toml",
    }
    return settings.get(
        result.status, f"read what it printed, then run it again ({run} is in the log)"
    )


def name_for(path: str) -> str:
    """A dataset name for a path: ``data/Train set.csv`` is ``train-set``."""
    stem = Path(path).stem.lower() or "data"
    return (
        "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in stem).split()) or "data"
    )


def wrote_nothing(stage: str) -> StageFailed:
    """A run that made nothing is not a success."""
    return StageFailed(
        f"stage {stage} ended well and wrote nothing",
        status="failed",
        exit_code=0,
        why="a run whose outputs nobody can name proves nothing",
        hint="write the model below the project folder; /tmp and HOME vanish with the room",
    )
