"""CPU time at growing sizes: images, a million table rows mined, drift over wide tables."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from sealwright.app.bench import Answer, Row, measure
from sealwright.app.bench.poison.data import Absent, cifar, digits
from sealwright.app.bench.poison.sets import SOURCES, of_images
from sealwright.app.bench.poison.trial import spread
from sealwright.scan import registry
from sealwright.scan.ensemble import Live, Silent, run, screen
from sealwright.scan.interface import Batch, Column, Detector, Frame

IMAGE_COUNTS = (2_500, 5_000, 10_000)
MINED_ROWS = 1_000_000
_BATCH = 50_000
_WORDS = [np.array([f"v{n}" for n in range(size)], object) for size in (2, 5, 7, 9, 14, 16, 40, 6)]
_NUMBERS = 6


class Spent(NamedTuple):
    """CPU seconds, and the process's peak memory in MiB after it."""

    name: str
    cpu_s: float
    peak_mib: float


def scaling(quick: bool, jobs: int) -> Answer:
    """Times are CPU seconds of this process; each table detector runs in one of its own."""
    return Answer([*_images(quick), *_mined(quick, jobs)], [])


def _images(quick: bool) -> list[Row]:
    """The whole image ensemble at three sizes; the slope of log time over log size."""
    try:
        data = digits() if quick else cifar()
    except Absent as absent:
        return [Row("screening: CPU-ms per image", None, "ms", note=str(absent))]
    counts = (350, 700, 1400) if quick else IMAGE_COUNTS
    spent = []
    for count in counts:
        rows = of_images(data.train[:count], data.labels[:count], data.names, 1)
        start = time.process_time()
        screen(rows.source, rows.frame)
        spent.append(time.process_time() - start)
    slope = float(np.polyfit(np.log(counts), np.log(spent), 1)[0])
    sizes = ", ".join(f"{n:,}: {1000 * s / n:.2f}" for n, s in zip(counts, spent, strict=True))
    each = measure(
        f"screening {counts[-1]:,} images",
        1000 * spent[-1] / counts[-1],
        "CPU-ms per image",
        target=3.6,
        better="lower",
        note=f"CPU-ms per image at {sizes}",
    )
    rise = measure(
        "screening images: slope of log time over log count",
        slope,
        "",
        target=1.15,
        better="lower",
        note="1 is linear",
    )
    return [each, rise]


def _mined(quick: bool, jobs: int) -> list[Row]:
    """Each table detector alone on generated rows, streamed; generating them is taken off."""
    count = 20_000 if quick else MINED_ROWS
    names = [
        name
        for name in registry.detectors()
        if registry.detector(name).spec.modality in ("table", "any")
        and registry.detector(name).spec.kind == "group"
    ]
    done = list(spread([(name, count) for name in names], mine, jobs))
    every = {one.name: one.cpu_s for one in done}
    mined = {
        name: s for name, s in every.items() if registry.detector(name).spec.modality == "table"
    }
    peak = max((one.peak_mib for one in done), default=0.0)
    return [
        measure(
            f"{count:,} rows of 14 columns mined for value patterns",
            sum(mined.values()),
            "CPU s",
            target=None if quick else 60,
            better="lower",
            yardsticks={f"{name}, CPU s": s for name, s in every.items()},
            note=f"{', '.join(mined) or 'no table detector'}; peak memory {peak:,.0f} MiB, batches "
            f"of {_BATCH:,} rows",
        )
    ]


def mine(asked: tuple[str, int]) -> Spent:
    """CPU seconds of one detector over ``count`` generated rows."""
    name, count = asked
    detector: Detector = registry.detector(name)
    frame = table_frame(count)
    start = time.process_time()
    for _ in range(detector.spec.passes):
        for _ in table_batches(count):
            pass
    made = time.process_time() - start
    start = time.process_time()
    live = Live(detector, frame, None)
    run(lambda: table_batches(count), frame, [live], Silent())
    verdict = live.verdict()
    if verdict.error:
        raise RuntimeError(f"{name}: {verdict.error}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Spent(name, max(0.0, time.process_time() - start - made), peak)


def table_frame(count: int) -> Frame:
    """14 columns as Adult has them: six numbers and eight categories."""
    columns = [Column(f"number-{n}", "number") for n in range(_NUMBERS)]
    columns += [Column(f"category-{n}", "category") for n in range(len(_WORDS))]
    return Frame(count, tuple(columns), ("no", "yes"), SOURCES, 5, 0.001, 200)


def table_batches(count: int) -> Iterator[Batch]:
    """The same rows at every pass, made batch by batch."""
    for number, start in enumerate(range(0, count, _BATCH)):
        rng = np.random.default_rng([7, number])
        size = min(_BATCH, count - start)
        hidden = rng.standard_normal(size)
        values = {
            f"number-{n}": np.round(10 * (hidden * 0.3 * n + rng.standard_normal(size)), n % 3)
            for n in range(_NUMBERS)
        }
        for n, words in enumerate(_WORDS):
            shape = rng.beta(1, 3, size) if n % 2 else (np.tanh(hidden) + 1) / 2 * rng.random(size)
            values[f"category-{n}"] = words[
                (shape * len(words)).astype(int).clip(0, len(words) - 1)
            ]
        labels = (hidden + rng.standard_normal(size) > 1).astype(np.int32)
        yield Batch(
            np.arange(start, start + size, dtype=np.int64),
            labels,
            rng.integers(0, len(SOURCES), size).astype(np.int32),
            values,
        )
