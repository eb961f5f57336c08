"""Projects whose wheel differs by one planted cause: whether exactly that cause is named."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sealwright.app import rebuilding, setup
from sealwright.app.bench import Ask, Row, measure, rebuildplant
from sealwright.app.bench.supply.faults import state
from sealwright.app.wiring import Workspace
from sealwright.core.errors import SealError
from sealwright.supply import archive, archivediff


def rows(ask: Ask) -> list[Row]:
    """Ten projects (two where ``quick``), a sound one, and archives that differ by one thing."""
    wanted = list(rebuildplant.PROJECTS)[: 2 if ask.quick else None]
    with state(), tempfile.TemporaryDirectory(prefix="sealwright-bench-") as folder:
        workspace, _ = setup.create_workspace(Path(folder), "solo", None)
        try:
            sound = _causes(workspace, "sound")
            named = {cause: _causes(workspace, cause) for cause in wanted}
        except SealError as error:
            return [Row("rebuild causes named", None, "causes", note=f"not measured: {error.what}")]
    right = [cause for cause, found in named.items() if found == [cause]]
    odd = [f"{cause}: {', '.join(found)}" for cause, found in named.items() if found != [cause]]
    return [
        measure(
            "planted causes of different builds, named and no other",
            len(right),
            f"of {len(wanted)}",
            target=len(wanted),
            note="; ".join(odd),
        ),
        _pairs(),
        measure("causes named for a sound project", len(sound), "causes", target=0, better="lower"),
    ]


def _pairs() -> Row:
    """Two archives that differ by one thing, compared without a build."""
    odd = []
    for name, (cause, _) in rebuildplant.CHANGED.items():
        one, two = (archive.of_bytes(data, name) for data in rebuildplant.pair(name))
        if [found.cause for found in archivediff.compare(one, two)] != [cause]:
            odd.append(name)
    total = len(rebuildplant.CHANGED)
    return measure(
        "planted causes between two archives, named and no other",
        total - len(odd),
        f"of {total}",
        target=total,
        note="; ".join(odd),
    )


def _causes(workspace: Workspace, name: str) -> list[str]:
    target = rebuildplant.project(workspace.root / name, rebuildplant.PROJECTS.get(name))
    outcome, _ = rebuilding.rebuild_one(workspace, target)
    return [cause.cause for cause in outcome.causes]
