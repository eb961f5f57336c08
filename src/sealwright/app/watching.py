"""The watch over a workspace: what the log gained, against what anybody may take.

What the rules remember lies in the state directory and is made again from the log when it is
missing, damaged or of another log. What it costs a command that did nothing wrong is a small
file read and written; everything that holds somebody back is in ``app.containing``.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from sealwright.core import amounts
from sealwright.core.predicates import CANARY, RELEASE
from sealwright.core.records import Artifact
from sealwright.core.watchsettings import WatchSettings
from sealwright.evidence.history import History
from sealwright.policy import accessfacts
from sealwright.vault import private
from sealwright.watch import events, reserved, wire
from sealwright.watch.rules import Breach, Limits, State

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

FORMAT = 2
STATE = "watch.bin"


class Kept(msgspec.Struct):
    """The rules' memory of the log's first ``size`` entries; ``last`` digests the newest."""

    format: int
    size: int
    last: str
    state: State


def limits_of(watch: WatchSettings) -> Limits:
    """``[watch]`` as the rules have it; what is not in it is as measured."""
    return Limits(
        hours=amounts.hours(watch.hours),
        outside_per_day=watch.outside_per_day,
        bytes_per_hour=amounts.size_bytes(watch.bytes_per_hour),
        bytes_per_day=amounts.size_bytes(watch.bytes_per_day),
        reads_per_hour=watch.reads_per_hour,
        reads_per_day=watch.reads_per_day,
        exports_per_day=watch.exports_per_day,
        export_bytes_per_day=amounts.size_bytes(watch.export_bytes_per_day),
        new_artifacts_per_day=watch.new_artifacts_per_day,
        compute_s_per_day=amounts.span_s(watch.compute_per_day),
        artifact_bytes_per_day=amounts.size_bytes(watch.artifact_bytes_per_day),
        artifact_exports_per_day=watch.artifact_exports_per_day,
        statistics=watch.statistics,
    )


def evaluate(workspace: Workspace, history: History) -> list[str]:
    """Look at what the log gained; contain what went too far. Returns a line for each step.

    Looking again at the same log does nothing. What is remembered is written last, so a crash
    on the way is made good next time.
    """
    kept = load(workspace, history)
    if kept.size == history.size:
        return []
    _pardon(workspace, kept, history)
    limits = limits_of(workspace.settings.watch)
    accesses = tuple(events.drawn(history, kept.size))
    breaches = [
        *wire.tripped(accesses, _armed(workspace, history)),
        *(b for access in accesses for b in reserved.feed(kept.state, access, limits)),
    ]
    said: list[str] = []
    if breaches and workspace.settings.watch.automatic:
        from sealwright.app import containing

        said = containing.contain_all(workspace, breaches)
    kept.size, kept.last = history.size, history.entries[-1].digest
    packed = zlib.compress(msgspec.msgpack.encode(kept), 1)
    private.replace(workspace.state_dir / STATE, packed)
    return said


def admit(workspace: Workspace) -> None:
    """Before an access: contain what is overdue, refuse tokens again, let the throttled wait.

    Who is quarantined and what is frozen is refused by the gate or the access check itself.
    """
    from sealwright.app import containing

    history = workspace.history()
    if evaluate(workspace, history):
        history = workspace.history()
    containing.hold_back(workspace, history)


def would_pass(
    workspace: Workspace, action: str, artifacts: Sequence[Artifact], size_bytes: int
) -> tuple[Breach, ...]:
    """The limits that an access would pass, by the log as it is; for before it is recorded.

    Ask under the workspace's lock: what is recorded next is what this was asked about.
    """
    watch = workspace.settings.watch
    if action not in accessfacts.READS or not watch.automatic:
        return ()
    history, limits = workspace.history(), limits_of(watch)
    kept = load(workspace, history)
    _pardon(workspace, kept, history)
    for access in events.drawn(history, kept.size):
        for _ in reserved.feed(kept.state, access, limits):
            pass
    asked = [
        events.Access(
            workspace.principal.name,
            "export" if action == "export" else "read",
            artifact.digest,
            size_bytes if number == 0 else 0,
            int(workspace.clock().timestamp()),
            shown=action != "inspect",
        )
        for number, artifact in enumerate(artifacts)
    ]
    tripped = tuple(wire.tripped(asked, dict.fromkeys(_armed(workspace, history), 0)))[:1]
    return tripped + reserved.would_pass(kept.state, asked, limits)


def _armed(workspace: Workspace, history: History) -> dict[str, int]:
    """What nobody has business with; nothing is loaded where nothing was ever armed."""
    if not history.of_type(CANARY):
        return {}
    from sealwright.app import wires

    return wires.armed(workspace, history)


def load(workspace: Workspace, history: History) -> Kept:
    """What was remembered of this log; nothing yet where that cannot be used."""
    with suppress(FileNotFoundError, zlib.error, msgspec.DecodeError):
        packed = (workspace.state_dir / STATE).read_bytes()
        kept = msgspec.msgpack.decode(zlib.decompress(packed), type=Kept)
        if kept.format == FORMAT and 0 < kept.size <= history.size:
            if history.entries[kept.size - 1].digest == kept.last:
                return kept
    return Kept(FORMAT, 0, "", State())


def _pardon(workspace: Workspace, kept: Kept, history: History) -> None:
    """What people released is not held against anybody a second time."""
    if any(entry.index >= kept.size for entry in history.of_type(RELEASE)):
        from sealwright.app import containing

        held = containing.holds(workspace, history)
        for key, index in held.ended.items():
            if index >= kept.size:
                containing.pardon(kept.state, held.all[key])
