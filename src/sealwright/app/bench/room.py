"""What a room costs: its start over the bare process, and its drag on a CPU-bound training."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sealwright.app.bench import Row, measure
from sealwright.core.settings import Isolation
from sealwright.train.outcome import RoomResult
from sealwright.train.room import run_room
from sealwright.train.spec import CodeFile, RoomInput, RoomSpec

START_TARGET_MS = 40.0
OVERHEAD_TARGET_PERCENT = 2.0
WALLS: tuple[Isolation, ...] = ("standard", "strict")
_TRAINING = b"""
weights = [0.0] * 64
for step in range(ROUNDS):
    for i in range(64):
        weights[i] += 0.01 * (i * 0.5 - weights[i])
print(sum(weights))
"""


def rows(quick: bool) -> list[Row]:
    """Starts in wall milliseconds, training in CPU time; bare and room take turns, so that
    other load meets both alike."""
    with tempfile.TemporaryDirectory(prefix="sealwright-bench-") as name:
        base = Path(name)
        (base / "project").mkdir()
        turns = 15 if quick else 60
        found = [_start(base, walls, turns) for walls in WALLS]
        found.append(_start_with_inputs(base, turns))
        rounds = (3, 250_000) if quick else (9, 400_000)
        return found + [_training(base, walls, *rounds) for walls in WALLS]


def _spec(base: Path, walls: Isolation, *argv: str, **more: object) -> RoomSpec:
    prefixes = tuple(dict.fromkeys(Path(path) for path in (sys.prefix, sys.base_prefix)))
    return RoomSpec(
        argv=argv,
        project=base / "project",
        scratch=base / "scratch",
        read_only=prefixes,
        isolation=walls,
        **more,  # type: ignore[arg-type]
    )


def _start(base: Path, walls: Isolation, turns: int) -> Row:
    spec = _spec(base, walls, "/bin/true")
    bare, room = _in_turns(turns, lambda: _bare("/bin/true"), lambda: run_room(spec).close())
    return measure(
        f"room start, {walls}, over the bare process, fastest of {turns}",
        _extra_ms(bare, room),
        "ms",
        target=START_TARGET_MS,
        better="lower",
        yardsticks={"bare process, median": _ms(bare), "room, median": _ms(room)},
    )


def _start_with_inputs(base: Path, turns: int) -> Row:
    """The same with 100 code files and 16 MiB of inputs in 8 files."""
    code = tuple(CodeFile(f"pkg/m{i}.py", 0o100644, b"x = 1\n" * 200) for i in range(100))
    block = os.urandom(2 << 20)
    inputs = tuple(RoomInput(f"data/{i}.bin", len(block), _Bytes(block)) for i in range(8))
    spec = _spec(base, "standard", "/bin/true", code=code, inputs=inputs)
    bare, room = _in_turns(turns, lambda: _bare("/bin/true"), lambda: run_room(spec).close())
    return measure(
        f"room start with 100 code files and 16 MiB of inputs, over bare, fastest of {turns}",
        _extra_ms(bare, room),
        "ms",
        yardsticks={"bare process, median": _ms(bare), "room, median": _ms(room)},
    )


def _training(base: Path, walls: Isolation, turns: int, rounds: int) -> Row:
    """The median of the pairs' ratios of CPU time: a pair ran under the same other load.

    The room's time is its cgroup's, where there is one: start and end are in it.
    """
    script = _TRAINING.replace(b"ROUNDS", str(rounds).encode())
    (base / "project/train.py").write_bytes(script)
    argv = (sys.executable, "train.py")
    spec = _spec(base, walls, *argv, code=(CodeFile("train.py", 0o100644, script),))
    pairs = []
    for turn in range(turns + 1):
        bare, room = _bare_cpu_ms(*argv, cwd=base / "project"), _room_cpu_ms(spec)
        if turn:  # the first warms the page cache
            pairs.append((bare, room))
    more = 100 * (statistics.median(room / bare for bare, room in pairs) - 1)
    return measure(
        f"CPU time of a CPU-bound script in the room, {walls}, over bare (start included)",
        round(more, 2),
        "%",
        target=OVERHEAD_TARGET_PERCENT,
        better="lower",
        yardsticks={
            "bare, median CPU ms": round(statistics.median(bare for bare, _ in pairs), 1),
            "room, median CPU ms": round(statistics.median(room for _, room in pairs), 1),
        },
    )


def _bare_cpu_ms(*argv: str, cwd: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"}
    subprocess.run(argv, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _room_cpu_ms(spec: RoomSpec) -> float:
    result: RoomResult
    with run_room(spec) as result:
        return float(result.usage.cpu_ms)


def _in_turns(
    turns: int, bare: Callable[[], object], room: Callable[[], object]
) -> tuple[list[float], list[float]]:
    took: tuple[list[float], list[float]] = ([], [])
    for turn in range(turns + 1):
        for work, seconds in zip((bare, room), took, strict=True):
            began = time.perf_counter()
            work()
            if turn:  # the first warms the page cache
                seconds.append(time.perf_counter() - began)
    return took


def _bare(*argv: str) -> None:
    subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=True)


def _extra_ms(bare: list[float], room: list[float]) -> float:
    """Between the fastest of each: what other load adds is not the room's (see ``timeit``)."""
    return round((min(room) - min(bare)) * 1000, 2)


def _ms(seconds: list[float]) -> float:
    return round(statistics.median(seconds) * 1000, 2)


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def pread(self, offset: int, count: int) -> bytes:
        return self._data[offset : offset + count]
