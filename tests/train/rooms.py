"""Rooms for tests: a script, what it may see, and a real run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sealwright.train import primitives
from sealwright.train.outcome import RoomResult
from sealwright.train.room import run_room, silent
from sealwright.train.spec import MIB, CodeFile, Limits, Listener, RoomInput, RoomSpec

_MISSING = [one for one in primitives.survey() if one.required and not one.present]
needs_room = pytest.mark.skipif(
    bool(_MISSING), reason=f"no room here: {', '.join(f'{m.name} ({m.mend})' for m in _MISSING)}"
)
has_cgroup = any(one.name == "cgroup" and one.present for one in primitives.survey())

PYTHON = sys.executable
SMALL = Limits(
    memory_bytes=512 * MIB,
    processes=64,
    wall_s=60,
    output_bytes=32 * MIB,
    output_files=2000,
    log_bytes=MIB,
)


class Bytes:
    """A readable over bytes in memory, as the vault's readers look."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def pread(self, offset: int, count: int) -> bytes:
        return self.data[offset : offset + count]


def interpreter_trees() -> tuple[Path, ...]:
    return tuple(dict.fromkeys(Path(p) for p in (sys.prefix, sys.base_prefix)))


def room_input(relpath: str, data: bytes, sha256: str = "") -> RoomInput:
    return RoomInput(relpath, len(data), Bytes(data), sha256)


def make_spec(base: Path, script: str = "", **changes: object) -> RoomSpec:
    """A spec for ``script`` as train.py in ``base``/project."""
    project = base / "project"
    project.mkdir(exist_ok=True)
    settings: dict[str, object] = {
        "argv": (PYTHON, "train.py"),
        "project": project,
        "scratch": base / "scratch",
        "code": (CodeFile("train.py", 0o100644, script.encode()),),
        "read_only": interpreter_trees(),
        "limits": SMALL,
    }
    return RoomSpec(**(settings | changes))  # type: ignore[arg-type]


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Until ``condition`` holds, or False after ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.parts: dict[str, bytes] = {"stdout": b"", "stderr": b""}

    def __call__(self, channel: str, data: bytes) -> None:
        self.parts[channel] += data

    @property
    def out(self) -> str:
        return self.parts["stdout"].decode()

    @property
    def err(self) -> str:
        return self.parts["stderr"].decode()


def play(
    base: Path, script: str = "", listener: Listener = silent, **changes: object
) -> RoomResult:
    """Run ``script`` in a room; the caller closes the result."""
    return run_room(make_spec(base, script, **changes), listener)


def hear(base: Path, script: str = "", **changes: object) -> tuple[RoomResult, Heard]:
    """Run ``script``; the result is closed already, and what it printed comes along."""
    heard = Heard()
    with play(base, script, heard, **changes) as result:
        return result, heard
