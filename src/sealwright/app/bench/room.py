"""What a room costs: its start over the bare process, and its drag on a CPU-bound training."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sealwright.app.bench import Row, measure
from sealwright.train.room import run_room
from sealwright.train.spec import CodeFile, RoomInput, RoomSpec

START_TARGET_MS = 40.0
_TRAINING = b"""
weights = [0.0] * 64
for step in range(ROUNDS):
    for i in range(64):
        weights[i] += 0.01 * (i * 0.5 - weights[i])
print(sum(weights))
"""


def rows(quick: bool) -> list[Row]:
    """Wall milliseconds; bare and room take turns, so that other load meets both alike."""
    with tempfile.TemporaryDirectory(prefix="sealwright-bench-") as name:
        base = Path(name)
        (base / "project").mkdir()
        turns = 15 if quick else 60
        return [
            _start(base, turns),
            _start_with_inputs(base, turns),
            _training(base, 3 if quick else 7, 20_000 if quick else 200_000),
        ]


def _spec(base: Path, *argv: str, **more: object) -> RoomSpec:
    prefixes = tuple(dict.fromkeys(Path(path) for path in (sys.prefix, sys.base_prefix)))
    return RoomSpec(
        argv=argv,
        project=base / "project",
        scratch=base / "scratch",
        read_only=prefixes,
        **more,  # type: ignore[arg-type]
    )


def _start(base: Path, turns: int) -> Row:
    bare, room = _in_turns(
        turns, lambda: _bare("/bin/true"), lambda: run_room(_spec(base, "/bin/true")).close()
    )
    return measure(
        "room start, over the bare process",
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
    bare, room = _in_turns(
        turns,
        lambda: _bare("/bin/true"),
        lambda: run_room(_spec(base, "/bin/true", code=code, inputs=inputs)).close(),
    )
    return measure(
        "room start with 100 code files and 16 MiB of inputs, over the bare process",
        _extra_ms(bare, room),
        "ms",
        yardsticks={"bare process, median": _ms(bare), "room, median": _ms(room)},
    )


def _training(base: Path, turns: int, rounds: int) -> Row:
    script = _TRAINING.replace(b"ROUNDS", str(rounds).encode())
    (base / "project/train.py").write_bytes(script)
    code = (CodeFile("train.py", 0o100644, script),)
    argv = (sys.executable, "train.py")
    bare, room = _in_turns(
        turns,
        lambda: _bare(*argv, cwd=base / "project"),
        lambda: run_room(_spec(base, *argv, code=code)).close(),
    )
    slower = 100 * (statistics.median(room) / statistics.median(bare) - 1)
    return measure(
        "room on a CPU-bound script, slower than bare (start included)",
        round(slower, 2),
        "%",
        yardsticks={"bare, median ms": _ms(bare), "room, median ms": _ms(room)},
    )


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


def _bare(*argv: str, cwd: Path | None = None) -> None:
    subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, check=True)


def _extra_ms(bare: list[float], room: list[float]) -> float:
    return round(_ms(room) - _ms(bare), 2)


def _ms(seconds: list[float]) -> float:
    return round(statistics.median(seconds) * 1000, 2)


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def pread(self, offset: int, count: int) -> bytes:
        return self._data[offset : offset + count]
