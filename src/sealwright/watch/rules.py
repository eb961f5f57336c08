"""What is too much: windows and hard budgets first, statistics second.

Pure: an event in, breaches out. The thresholds that detection was measured with are
:data:`MEASURED`; they were set on seeds that the figures in ``docs/benchmarks-watch.md`` do
not use. :data:`GENEROUS` is what a workspace starts with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from sealwright.watch.baselines import Baseline
from sealwright.watch.counters import Counters, Tally
from sealwright.watch.events import HOUR_S, Access, hour_of_day

GIB = 1 << 30


class Limits(msgspec.Struct, frozen=True):
    """0 is no limit. Bytes and counts are of one principal unless they say otherwise.

    ``hours`` is ``(from, to)`` UTC, equal numbers for any hour; ``to`` itself is outside. Of
    reads and exports outside them, ``outside_per_day`` are a mistake that anybody may make.
    """

    hours: tuple[int, int] = (0, 0)
    outside_per_day: int = 1
    bytes_per_hour: int = 0
    bytes_per_day: int = 0
    reads_per_hour: int = 0
    reads_per_day: int = 0
    exports_per_day: int = 0
    export_bytes_per_day: int = 0
    new_artifacts_per_day: int = 0
    compute_s_per_day: int = 0
    artifact_bytes_per_day: int = 0
    artifact_exports_per_day: int = 0
    statistics: bool = False
    deviations: float = 4.0
    spread: float = 0.7
    cusum: float = 8.0
    drift: float = 2.0
    weight: float = 0.02
    floor_bytes: int = 6 * GIB
    history_days: int = 5


GENEROUS = Limits(
    bytes_per_hour=1 << 40,
    bytes_per_day=4 << 40,
    exports_per_day=1_000,
    artifact_exports_per_day=1_000,
)
MEASURED = Limits(
    bytes_per_hour=16 * GIB,
    bytes_per_day=18 * GIB,
    exports_per_day=20,
    export_bytes_per_day=8 * GIB,
    statistics=True,
)


class Breach(msgspec.Struct, frozen=True):
    """A limit that was passed: by whom, on what, how much it was and how much it may be."""

    rule: str
    principal: str
    artifact: str
    value: int
    limit: int
    time: int


class State(msgspec.Struct):
    """All that the rules remember. The log can make it again."""

    counters: Counters = msgspec.field(default_factory=Counters)
    baselines: dict[str, Baseline] = msgspec.field(default_factory=dict)


_BUDGETS = (
    ("watch.bytes-hour", "size_bytes", 1, "bytes_per_hour"),
    ("watch.bytes-day", "size_bytes", 24, "bytes_per_day"),
    ("watch.reads-hour", "reads", 1, "reads_per_hour"),
    ("watch.reads-day", "reads", 24, "reads_per_day"),
    ("watch.exports-day", "exports", 24, "exports_per_day"),
    ("watch.export-bytes-day", "export_bytes", 24, "export_bytes_per_day"),
)
_ARTIFACT_BUDGETS = (
    ("watch.artifact-bytes-day", "size_bytes", 24, "artifact_bytes_per_day"),
    ("watch.artifact-exports-day", "exports", 24, "artifact_exports_per_day"),
)
RULES = (
    "watch.hours",
    *(row[0] for row in _BUDGETS),
    "watch.new-artifacts-day",
    "watch.compute-day",
    *(row[0] for row in _ARTIFACT_BUDGETS),
    "watch.unusual-day",
    "watch.unusual-drift",
)
"""Every rule, in the order it is asked."""


def feed(state: State, access: Access, limits: Limits) -> Iterator[Breach]:
    """Count one event, then say which limits are passed because of it."""
    state.counters.add(access)
    tally = state.counters.of(access.principal)
    baseline = state.baselines.setdefault(access.principal, Baseline())
    if access.action in ("read", "export"):
        baseline.add(access.time, access.size_bytes, limits.drift, limits.weight)
    yield from _window(tally, access, limits)
    yield from _budgets(tally, access, limits)
    yield from _of_artifact(state.counters.artifacts, access, limits)
    if limits.statistics and access.action == "read":
        yield from _statistics(tally, baseline, access, limits)


def is_outside(limits: Limits, time: int) -> bool:
    """Whether ``time`` lies outside the hours that are allowed."""
    first, last = limits.hours
    if first == last:
        return False
    hour = hour_of_day(time)
    return not (first <= hour < last if first < last else hour >= first or hour < last)


def _window(tally: Tally, access: Access, limits: Limits) -> Iterator[Breach]:
    if access.action not in ("read", "export") or not is_outside(limits, access.time):
        return
    last = access.time // HOUR_S
    value = sum(
        cell.reads + cell.exports
        for hour, cell in tally.hours.items()
        if last - 24 < hour <= last and is_outside(limits, hour * HOUR_S)
    )
    if value > limits.outside_per_day:
        yield _breach("watch.hours", access, value, limits.outside_per_day)


def _budgets(tally: Tally, access: Access, limits: Limits) -> Iterator[Breach]:
    for rule, amount, hours, name in _BUDGETS:
        yield from _over(rule, tally, amount, hours, getattr(limits, name), access)
    limit = limits.new_artifacts_per_day
    if limit and tally.before:
        fresh = tally.new_artifacts(access.time, 24)
        if fresh > limit:
            yield _breach("watch.new-artifacts-day", access, fresh, limit)
    limit = 1000 * limits.compute_s_per_day
    yield from _over("watch.compute-day", tally, "compute_ms", 24, limit, access)


def _of_artifact(tallies: Mapping[str, Tally], access: Access, limits: Limits) -> Iterator[Breach]:
    for rule, amount, hours, name in _ARTIFACT_BUDGETS:
        limit = getattr(limits, name)
        if limit and access.artifact:
            yield from _over(rule, tallies[access.artifact], amount, hours, limit, access)


def _over(
    rule: str, tally: Tally, amount: str, hours: int, limit: int, access: Access
) -> Iterator[Breach]:
    if not limit or not _adds(access, amount):
        return
    value = tally.total(amount, access.time, hours)
    if value > limit:
        yield _breach(rule, access, value, limit)


def _adds(access: Access, amount: str) -> bool:
    """Whether the event itself is of that kind: a reader does not pay for an export again."""
    if amount == "compute_ms":
        return access.compute_ms > 0
    return access.action == ("export" if amount.startswith("export") else "read")


def _statistics(
    tally: Tally, baseline: Baseline, access: Access, limits: Limits
) -> Iterator[Breach]:
    if len(baseline.days) < limits.history_days:
        return
    day_bytes = tally.total("size_bytes", access.time, 24)
    if day_bytes > limits.floor_bytes:
        z = baseline.deviation(day_bytes, limits.spread)
        if z > limits.deviations:
            yield _breach("watch.unusual-day", access, day_bytes, limits.floor_bytes)
    level, run_bytes = baseline.drifting(limits.drift)
    if level > limits.cusum and run_bytes > limits.floor_bytes:
        yield _breach("watch.unusual-drift", access, run_bytes, limits.floor_bytes)


def _breach(rule: str, access: Access, value: int, limit: int) -> Breach:
    return Breach(rule, access.principal, access.artifact, value, limit, access.time)
