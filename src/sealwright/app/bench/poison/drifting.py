"""Drift: alarms on null splits, power at a named shift, and a wide table streamed.

A null split cuts one shuffled data set in two; nothing has changed between the halves, so an alarm
is a false one. The named shift moves one number by 0.3 of its standard deviation, or gives a tenth
of one category's rows to another.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.app.bench import Answer, Row, measure
from sealwright.app.bench.poison.data import Absent, Table
from sealwright.app.bench.poison.score import rate
from sealwright.app.bench.poison.sets import Set, of_table
from sealwright.app.bench.poison.trial import SETS, spread
from sealwright.scan import registry
from sealwright.scan.ensemble import Live, Silent, Source, run, screen
from sealwright.scan.interface import Batch, Column, Frame, Result

DETECTOR = "drift"
NULLS, SHIFTS = 300, 100
SHIFT_SD, SHIFT_SHARE = 0.3, 0.1
WIDE_ROWS, WIDE_COLUMNS = 3_000_000, 1_000
_BATCH = 10_000


class Split(NamedTuple):
    """Two halves of ``rows`` rows of ``data``; ``shift`` is what changed in the second."""

    data: str
    rows: int
    draw: int
    shift: str


class Seen(NamedTuple):
    """Did it alarm."""

    split: Split
    alarmed: bool


class Wide(NamedTuple):
    """CPU seconds over a wide table and the peak memory of the process."""

    rows: int
    cpu_s: float
    made_s: float
    peak_mib: float


def drift(quick: bool, jobs: int) -> Answer:
    """Null splits of three tables, shifts of two, and the wide table."""
    if DETECTOR not in registry.detectors():
        return Answer([Row("drift", None, "%", note="no drift detector is registered")], [])
    names = ("breast cancer",) if quick else ("breast cancer", "Adult", "NSL-KDD")
    plans, lacking = [], []
    for name in names:
        try:
            SETS[name]()
        except Absent as absent:
            lacking.append(Row(f"drift, {name}", None, "%", note=str(absent)))
            continue
        rows = 280 if name == "breast cancer" else 4000
        nulls, shifts = (10, 0) if quick else (NULLS // len(names), SHIFTS)
        plans += [Split(name, rows, draw, "") for draw in range(nulls)]
        if name != "breast cancer":
            plans += [Split(name, rows, draw, "number") for draw in range(shifts)]
            plans += [Split(name, rows, draw, "category") for draw in range(shifts)]
    seen = list(spread(plans, look, jobs))
    return Answer([*_alarms(seen, quick), *lacking, *_wide(quick)], [])


def _alarms(seen: list[Seen], quick: bool) -> list[Row]:
    rows = []
    for shift in ("", "number", "category"):
        some = [one for one in seen if one.split.shift == shift]
        if not some:
            continue
        found = rate(sum(one.alarmed for one in some), len(some))
        by = ", ".join(
            f"{name} {sum(o.alarmed for o in some if o.split.data == name)}"
            f"/{sum(o.split.data == name for o in some)}"
            for name in dict.fromkeys(one.split.data for one in some)
        )
        if not shift:
            row = measure(
                f"drift: alarms on {len(some)} null splits",
                100 * found.share,
                "%",
                target=1,
                better="lower",
                note=f"{found.words()}; {by}",
            )
            rows.append(msgspec.structs.replace(row, met=None) if quick else row)
            continue
        named = (
            f"one number moved by {SHIFT_SD} standard deviations"
            if shift == "number"
            else f"{100 * SHIFT_SHARE:.0f} % of the rows moved from one category to another"
        )
        rows.append(
            measure(
                f"drift: power at {named}",
                found.share,
                "",
                target=0.9,
                note=f"{found.words()}; {by}; halves of 4,000 rows",
            )
        )
    return rows


def look(split: Split) -> Seen:
    """Compare two halves."""
    before, after = halves(split)
    result = compared(before.source, before.frame, after.source, after.frame)
    alarmed = any(fact.severity not in ("info", "low") for fact in result.facts)
    return Seen(split, alarmed or bool(result.groups))


def compared(before: Source, was: Frame, after: Source, now: Frame) -> Result:
    """What the drift detector says of ``after`` beside ``before``."""
    told = screen(after, now, [registry.detector(DETECTOR)], reference=(before, was))
    (verdict,) = told.verdicts
    if verdict.result is None:
        raise RuntimeError(verdict.error)
    return verdict.result


def halves(split: Split) -> tuple[Set, Set]:
    """Two disjoint random halves, the second one shifted."""
    whole: Table = SETS[split.data]()
    rng = np.random.default_rng([split.draw, len(split.shift), split.rows])
    order = rng.permutation(len(whole.labels))
    one = whole.taken(order[: split.rows])
    two = whole.taken(order[split.rows : 2 * split.rows])
    if split.shift == "number":
        able = [n for n, v in two.columns.items() if v.dtype != object and np.unique(v).size > 20]
        name = str(rng.choice(able))
        two.columns[name] = two.columns[name] + SHIFT_SD * float(np.std(one.columns[name]))
    elif split.shift == "category":
        _give(two, rng)
    return _set(one, split), _set(two, split)


def _set(part: Table, split: Split) -> Set:
    return of_table(part.columns, part.labels, part.names, split.draw)


def _give(part: Table, rng: np.random.Generator) -> None:
    """A share of all rows passes from a column's most common category to its second."""
    able = [n for n, v in part.columns.items() if v.dtype == object]
    name = str(rng.choice(able))
    values, counts = np.unique(part.columns[name], return_counts=True)
    first, second = values[np.argsort(-counts)][:2]
    have = np.flatnonzero(part.columns[name] == first)
    count = min(len(have), round(SHIFT_SHARE * len(part.labels)))
    part.columns[name][rng.choice(have, count, replace=False)] = second


def _wide(quick: bool) -> list[Row]:
    """Streamed and generated; at a third of the rows too, to see that memory stays."""
    counts = (20_000, 40_000) if quick else (WIDE_ROWS // 30, WIDE_ROWS // 10)
    small, large = sorted(spread(counts, wide, 1 if quick else 2))
    scale = WIDE_ROWS / large.rows
    return [
        measure(
            f"drift over 3,000,000 rows of {WIDE_COLUMNS:,} columns",
            large.cpu_s * scale / 60,
            "CPU min",
            target=10,
            better="lower",
            note=f"measured on {large.rows:,} rows ({large.cpu_s:.1f} CPU-s) and multiplied by "
            f"{scale:g}; {small.rows:,} rows took {small.cpu_s:.1f} CPU-s",
        ),
        measure(
            "drift: peak memory at three times the rows, over the smaller run",
            large.peak_mib / small.peak_mib,
            "times",
            target=1.1,
            better="lower",
            note=f"{small.peak_mib:,.0f} MiB at {small.rows:,} rows, {large.peak_mib:,.0f} MiB at "
            f"{large.rows:,}, batches of {_BATCH:,}",
        ),
    ]


def wide(rows: int) -> Wide:
    """Both sides of the comparison streamed; the time to make them is taken off."""
    frame = Frame(
        rows,
        tuple(Column(f"c{n}", "number") for n in range(WIDE_COLUMNS)),
        (),
        (),
        1,
        0.01,
        200,
    )
    detector = registry.detector(DETECTOR)
    start = time.process_time()
    for _ in range(detector.spec.passes):
        for _ in wide_batches(rows, 0):
            pass
    made = time.process_time() - start
    known = Live(detector, msgspec.structs.replace(frame, rows=_BATCH * 3), None)
    run(lambda: wide_batches(_BATCH * 3, 1), known_frame(frame), [known], Silent())
    start = time.process_time()
    live = Live(detector, frame, known.scan)
    run(lambda: wide_batches(rows, 0), frame, [live], Silent())
    verdict = live.verdict()
    if verdict.error:
        raise RuntimeError(verdict.error)
    spent = time.process_time() - start - made
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Wide(rows, max(0.0, spent), made, peak)


def known_frame(frame: Frame) -> Frame:
    """The earlier version's frame: three batches are enough to know the columns by."""
    return msgspec.structs.replace(frame, rows=_BATCH * 3)


def wide_batches(rows: int, side: int) -> Iterator[Batch]:
    """One block of normal numbers, shifted a little from batch to batch, as ``rows`` rows."""
    rng = np.random.default_rng([11, side])
    block = rng.standard_normal((WIDE_COLUMNS, _BATCH))
    for number, start in enumerate(range(0, rows, _BATCH)):
        size = min(_BATCH, rows - start)
        turned = np.roll(block, 17 * number, axis=0)
        values = {f"c{n}": turned[n, :size] + 1e-6 * number for n in range(WIDE_COLUMNS)}
        ids: npt.NDArray[np.int64] = np.arange(start, start + size, dtype=np.int64)
        none: npt.NDArray[np.int32] = np.full(size, -1, np.int32)
        yield Batch(ids, none, none, values)
