"""``seal doctor --probes``: try to get out of the room here, and keep what came of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from sealwright.app import wiring
from sealwright.app.cli.out import Out
from sealwright.core import clock
from sealwright.core.errors import BadInput
from sealwright.train import measured, primitives
from sealwright.train.measured import Measured
from sealwright.train.probes import suite
from sealwright.train.probes.suite import Tried, Walls

_COSTS = {
    "cgroup": "one rung: memory and processes are held per process, and counted twice a second",
    "landlock": "the strict room: pipes in bound folders, and one more wall around every file",
    "no-nested-namespaces": "the strict room: a script may have user namespaces of its own",
    "bubblewrap": "every room",
    "seccomp": "every room",
    "namespaces": "every room",
    "private-memory": "every room",
}


def run(out: Out) -> int:
    """Run the suite, print it by group, keep the rung. 1 when a promised wall leaked."""
    absent = [one for one in primitives.survey() if not one.present]
    walls = _possible({one.name for one in absent})
    folder = _folder()
    with out.progress("probes") as bar:
        steps = iter(range(len(walls) + 1))

        def step(what: str) -> None:
            bar.advance(next(steps), len(walls) + 1, what)

        tried = suite.run(folder, step, walls)
    found = measured.measure(tried, clock.stamp(clock.now()))
    kept = _keep(found)
    report = {
        "machine": found.machine,
        "time": found.time,
        "digest": found.digest,
        "kept": kept,
        "rungs": msgspec.to_builtins(found.rungs),
        "missing": [
            {"primitive": one.name, "costs": _COSTS.get(one.name, ""), "mend": one.mend}
            for one in absent
        ],
        "probes": msgspec.to_builtins(tried),
    }
    out.emit(report, lambda: _text(found, tried, report, out))
    return int(any(rung.measured < rung.promised for rung in found.rungs.values()))


def _possible(absent: set[str]) -> tuple[Walls, ...]:
    if absent & {"landlock", "no-nested-namespaces"}:
        return ("standard",)
    return ("standard", "strict")


def _folder() -> Path:
    """Where canaries may lie: not in /tmp, which every room has its own of."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    folder = Path(base) / "sealwright"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _keep(found: Measured) -> str:
    """Kept beside the keys of the workspace one stands in; nowhere when there is none."""
    try:
        workspace = wiring.open_workspace()
    except BadInput:
        return ""
    return str(measured.save(found, workspace.state_dir))


def _text(found: Measured, tried: Sequence[Tried], report: dict[str, Any], out: Out) -> str:
    lines = [table(tried, out), ""]
    for walls, rung in found.rungs.items():
        lines.append(
            f"{walls}: rung {rung.measured} measured, {rung.promised} promised;"
            f" {rung.held} of {rung.counted} held, {len(rung.leaked)} leaked,"
            f" {len(rung.bounded)} bounded channels"
        )
        lines += [f"  leaked: {one.name}: {one.tries}" for one in tried if one.name in rung.leaked]
    lines += [f"missing: {one['primitive']} costs {one['costs']}" for one in report["missing"]]
    machine = found.machine
    lines.append(
        f"Linux {machine['kernel']}, bubblewrap {machine['bubblewrap']}, Landlock ABI"
        f" {machine['landlock']}, as {machine['uid']}, {found.time[:10]}"
    )
    lines.append(f"kept in {report['kept']}" if report["kept"] else "not kept: no workspace here")
    return "\n".join(lines)


def table(tried: Sequence[Tried], out: Out) -> str:
    """Held, leaked and bounded by group, for the probes whose control succeeded."""
    walls = tuple(tried[0].verdicts)
    rows = []
    for group in (*suite.GROUPS, "all"):
        ours = [one for one in tried if group in (one.group, "all")]
        row = [group, str(len(ours)), str(sum(not _idle(one) for one in ours))]
        for one_wall in walls:
            verdicts = [one.verdicts[one_wall] for one in ours]
            row += [str(verdicts.count(word)) for word in ("held", "leaked", "bounded")]
        rows.append(row)
    head = ["group", "probes", "control fired"]
    head += [f"{one_wall} {word}" for one_wall in walls for word in ("held", "leaked", "bounded")]
    return out.table(rows, head)


def _idle(one: Tried) -> bool:
    return "no-control" in one.verdicts.values()
