"""Drift: false alarms on splits of one dataset, power at a named shift, and cells per second.

Adult and NSL-KDD come from the shared data folder; without them their rows are left out.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from sealwright.app.bench import Row, measure
from sealwright.app.bench.shared import Table, adult, nsl_kdd
from sealwright.scan import sketch
from sealwright.scan.drift import Drift, Shift, Sketches
from sealwright.scan.interface import Batch, Column, Frame

_SHIFT_SD = 0.4
"""The named shift: one numeric column's mean moves by this many standard deviations."""

_WIDE = 1_000
_ROWS_GOAL = 3_000_000


def rows(quick: bool) -> list[Row]:
    """Every row of the bench."""
    out: list[Row] = []
    table = adult()
    if table is not None:
        out += _alarms(table, 20 if quick else 300)
        out += _power(table, 10 if quick else 100)
    parts = nsl_kdd()
    if parts is not None:
        out.append(_natural(*parts))
    out += _speed((16_384, 32_768) if quick else (65_536, 131_072, 262_144))
    return out


def shifts(before: Table, now: Table, seed: int = 0) -> tuple[Shift, ...]:
    """What the detector says of ``now`` against ``before``."""
    reference = _scan(before, None, seed)
    return _scan(now, reference, seed).shifts()


def _scan(table: Table, reference: Sketches | None, seed: int) -> Sketches:
    frame = Frame(table.rows, table.columns, table.labels, (), seed, 0.01, 50)
    scan = Drift().begin(frame, reference)
    for number in range(Drift.spec.passes):
        scan.observe(number, table.batch())
        scan.settle(number)
    return scan


def _alarms(table: Table, splits: int) -> list[Row]:
    """Halves of one dataset: every alarm is false."""
    alarmed = 0
    for seed in range(splits):
        chance = np.random.default_rng(seed)
        order = chance.permutation(table.rows)[:8_000]
        one, other = table.take(order[:4_000]), table.take(order[4_000:])
        alarmed += any(each.drifted for each in shifts(one, other, seed))
    share = alarmed / splits
    return [
        measure(
            f"drift: null splits of Adult that alarm, of {splits}",
            share,
            "share",
            target=0.01,
            better="lower",
        )
    ]


def _power(table: Table, repeats: int) -> list[Row]:
    """One numeric column of one half moves; it must be named, and no other."""
    column = next(c.name for c in table.columns if c.type == "number")
    found = others = 0
    for seed in range(repeats):
        chance = np.random.default_rng(10_000 + seed)
        order = chance.permutation(table.rows)[:4_000]
        one, other = table.take(order[:2_000]), table.take(order[2_000:])
        moved = other.moved(column, _SHIFT_SD)
        named = {each.column for each in shifts(one, moved, seed) if each.drifted}
        found += column in named
        others += bool(named - {column})
    what = f"drift: power, one mean moved by {_SHIFT_SD} sd, 2,000 records a side"
    return [
        measure(what, found / repeats, "share", target=0.9),
        measure(
            "drift: of those, another column named too",
            others / repeats,
            "share",
            target=0.01,
            better="lower",
        ),
    ]


def _natural(before: Table, now: Table) -> Row:
    """NSL-KDD's test set was collected later, with attacks the training set has not."""
    found = [each.column for each in shifts(before, now) if each.drifted]
    count = len(set(found))
    return measure(
        "drift: columns of NSL-KDD drifted from train to test", count, "columns", target=1
    )


def _speed(sizes: tuple[int, ...]) -> list[Row]:
    """1,000 numeric columns at growing row counts; the goal is 3 M rows in 600 CPU-s."""
    names = [f"c{at}" for at in range(_WIDE)]
    columns = tuple(Column(name, "number") for name in names)
    frame = Frame(_ROWS_GOAL, columns, (), (), 0, 0.01, 50)
    reference = _settled(frame, names)
    before = _peak_mib()
    used = []
    for size in sizes:
        started = time.process_time()
        scan = Drift().begin(frame, reference)
        for batch in _made(names, size, 1):
            scan.observe(1, batch)
        scan.shifts()
        used.append(time.process_time() - started - _making_s(names, size))
    slope = float(np.polyfit(sizes, used, 1)[0])
    cells = sizes[-1] * _WIDE / used[-1]
    return [
        measure("drift: cells counted per CPU-second", cells, "cells/s", target=5e6),
        measure(
            f"drift: 3 M x 1,000 at the slope of {len(sizes)} sizes",
            slope * _ROWS_GOAL,
            "CPU-s",
            target=600,
            better="lower",
        ),
        measure(
            "drift: memory the largest size added",
            max(0.0, _peak_mib() - before),
            "MiB",
            target=256,
            better="lower",
        ),
    ]


def _settled(frame: Frame, names: list[str]) -> Sketches:
    scan = Drift().begin(frame)
    few = Frame(16_384, frame.columns, (), (), 0, 0.01, 50)
    scan.edges = sketch.Edges(names, few.rows, 0)
    for number in (0, 1):
        for batch in _made(names, 16_384, 0):
            scan.observe(number, batch)
        scan.settle(number)
    return scan


def _made(names: list[str], size: int, seed: int, step: int = 8_192) -> Iterator[Batch]:
    chance = np.random.default_rng(seed)
    for start in range(0, size, step):
        cells = chance.standard_normal((len(names), step))
        ids: npt.NDArray[np.int64] = np.arange(start, start + step, dtype=np.int64)
        none: npt.NDArray[np.int32] = np.full(step, -1, np.int32)
        yield Batch(ids, none, none, dict(zip(names, cells, strict=True)))


def _making_s(names: list[str], size: int) -> float:
    """What making the records costs, which is not drift's."""
    started = time.process_time()
    for _ in _made(names, size, 1):
        pass
    return time.process_time() - started


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
