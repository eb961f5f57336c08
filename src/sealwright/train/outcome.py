"""What came of a run: how it ended, what it left, and the facts that go into evidence."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from sealwright.core import digest
from sealwright.core.records import Finding
from sealwright.train.collect import WorkTree
from sealwright.train.spec import Channel, Exit, Limits, LogFacts, OutputFile, Status, Usage
from sealwright.train.watch import Watched

Fact = int | str | bool

_FULL = re.compile(r"No space left on device|\[Errno 28\]|\[Errno 27\]|File too large")
_SHELL_SIGNAL = 128
_KILLED = _SHELL_SIGNAL + int(signal.SIGKILL)


class RoomResult(msgspec.Struct, frozen=True):
    """The end of a run. Holds the room's memory until ``close``; use it with ``with``.

    ``facts`` are integers, strings and booleans, ready for a statement. ``missing_opens`` are
    paths that exist outside and that the script, having failed, seems to have looked for.
    """

    exit: Exit
    outputs: tuple[OutputFile, ...]
    removed: tuple[str, ...]
    findings: tuple[Finding, ...]
    missing_opens: tuple[str, ...]
    usage: Usage
    limits: Limits
    logs: dict[Channel, LogFacts]
    facts: dict[str, Fact]
    tree: WorkTree

    @property
    def status(self) -> Status:
        """In a word."""
        return self.exit.status

    @property
    def exit_code(self) -> int:
        """As a shell would give it: the script's own, or 128 and the signal."""
        return self.exit.exit_code

    def open(self, output: OutputFile) -> BinaryIO:
        """The bytes of an output, straight from the room."""
        return self.tree.open(output)

    def write_back(self, project: Path) -> None:
        """Copy the outputs to where the script wrote them. See ``WorkTree.write_back``."""
        self.tree.write_back(project, self.outputs)

    def close(self) -> None:
        """Free the room's memory."""
        self.tree.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Pressure(msgspec.Struct, frozen=True):
    """Which limits the run ran into."""

    oom_kills: int
    denied_forks: int
    files_full: bool
    cpu_used_up: bool = False


def how_it_ended(watched: Watched, pressure: Pressure, stderr: str) -> Exit:
    """One word for it, and the code."""
    code = watched.exit_code if watched.exit_code is not None else _KILLED
    if watched.ended in ("timeout", "interrupted"):
        return Exit(watched.ended, _KILLED, int(signal.SIGKILL))
    if watched.ended == "over-limit":
        over: Status = "out-of-memory" if pressure.oom_kills else "too-many-processes"
        if pressure.cpu_used_up:
            over = "cpu-time"
        return Exit(over, _KILLED, int(signal.SIGKILL))
    if code == 0:
        return Exit("ok", 0)
    number = code - _SHELL_SIGNAL if _SHELL_SIGNAL < code <= _SHELL_SIGNAL + 64 else 0
    if pressure.cpu_used_up and number:
        return Exit("cpu-time", code, number)
    if pressure.oom_kills:
        return Exit("out-of-memory", code, number)
    if pressure.files_full or _FULL.search(stderr[-4096:]):
        return Exit("output-full", code, number)
    return Exit("killed" if number else "failed", code, number)


def limit_findings(pressure: Pressure, logs: dict[Channel, LogFacts]) -> tuple[Finding, ...]:
    """Limits that bit, also where the script went on regardless."""
    found = []
    if pressure.oom_kills:
        found.append(
            _finding(
                "room.memory-limit",
                f"the kernel killed {pressure.oom_kills} process(es) at the memory limit",
                "raise room.memory in seal.toml",
            )
        )
    if pressure.denied_forks:
        found.append(
            _finding(
                "room.process-limit",
                f"{pressure.denied_forks} process or thread start(s) were refused",
                "raise room.processes in seal.toml",
            )
        )
    if pressure.cpu_used_up:
        found.append(
            _finding(
                "room.cpu-limit",
                "all the CPU time that its stage plans for was used up",
                "raise compute.cpu of the stage in seal.toml",
            )
        )
    for channel, facts in logs.items():
        if facts.dropped_bytes:
            found.append(
                _finding(
                    "room.log-cut",
                    f"{facts.dropped_bytes} bytes of {channel} were cut",
                    "print less, or raise room.log in seal.toml",
                )
            )
    return tuple(found)


def _finding(rule: str, message: str, hint: str) -> Finding:
    return Finding(rule, "low", digest.of_bytes(message.encode()), message, hint)
