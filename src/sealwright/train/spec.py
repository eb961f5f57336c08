"""What a room is given and what it gives back: records only, no behaviour.

A room never sees a key: the caller hands over readers that already decrypt and verify.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.ports import Readable
from sealwright.core.records import Finding
from sealwright.core.settings import Isolation

MIB = 1 << 20
GIB = 1 << 30

Content = bytes | Path | Readable
"""Where a code file's bytes come from; a path is opened without following links."""

Channel = Literal["stdout", "stderr"]
Listener = Callable[[Channel, bytes], None]
"""Gets the script's output live, in pieces, up to ``Limits.log_bytes`` per channel."""

Status = Literal[
    "ok",  # exit code 0
    "failed",  # any other exit code
    "killed",  # ended by a signal that the room did not send
    "timeout",  # Limits.wall_s was up
    "interrupted",  # Ctrl-C to the caller
    "too-many-processes",  # Limits.processes was hit where only a count could hold it
    "out-of-memory",  # Limits.memory_bytes was hit and the kernel killed something
    "cpu-time",  # Limits.cpu_s was used up
    "output-full",  # failed with the room's writable space or file count used up
]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a room may use at most. 0 is "as the machine allows" (see ``limits.resolve``).

    ``output_bytes`` and ``output_files`` bound what is written in the project, and once more
    what is written in the room's HOME, /tmp and /dev/shm together. ``log_bytes`` bounds
    stdout and stderr, each. ``cpu_s`` is the CPU time of all processes together; 0 is no bound.
    """

    memory_bytes: int = 0
    processes: int = 4096
    wall_s: int = 0
    output_bytes: int = 0
    output_files: int = 1_000_000
    log_bytes: int = 64 * MIB
    cpu_s: int = 0

    def told(self) -> dict[str, int]:
        """As evidence has them: a bound on CPU time only where there is one."""
        fields = msgspec.structs.asdict(self)
        return {name: fields[name] for name in fields if name != "cpu_s" or fields[name]}


class CodeFile(msgspec.Struct, frozen=True):
    """A file of the project copy. ``mode`` as in ``st_mode``; a link's content is its target."""

    relpath: str
    mode: int
    content: Content


class RoomInput(msgspec.Struct, frozen=True):
    """A declared input: decrypted into the room's memory, read-only at ``relpath``.

    When ``sha256`` is given, the bytes are hashed as they go in, and must match.
    """

    relpath: str
    size: int
    readable: Readable
    sha256: Digest = ""


class RoomSpec(msgspec.Struct, frozen=True):
    """One run. ``project`` is absolute and is where the private copy appears inside.

    ``read_only`` are host trees (interpreter, packages, editable sources) bound at their own
    paths. ``env`` is the whole environment, but for the defaults named in ``environment``.
    ``scratch`` is a 0700 folder of the caller's, outside the project: mount point, and the
    place for inputs that do not fit in memory. ``logs`` receive the kept stdout and stderr.
    ``sockets`` are Unix sockets of the host, each shown inside as ``/run/seal/NAME``.
    """

    argv: tuple[str, ...]
    project: Path
    scratch: Path
    code: tuple[CodeFile, ...] = ()
    inputs: tuple[RoomInput, ...] = ()
    env: Mapping[str, str] = msgspec.field(default_factory=dict)
    read_only: tuple[Path, ...] = ()
    limits: Limits = Limits()
    isolation: Isolation = "standard"
    gpu: Literal["off", "auto"] = "off"
    logs: Mapping[Channel, BinaryIO] = msgspec.field(default_factory=dict)
    sockets: Mapping[str, Path] = msgspec.field(default_factory=dict)

    def visible(self) -> frozenset[str]:
        """The relative paths that are in the room when it starts."""
        return frozenset(f.relpath for f in self.code) | {i.relpath for i in self.inputs}


Change = Literal["new", "changed"]


class OutputFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A regular file the script left in the project: ``new``, or ``changed`` code."""

    relpath: str
    size: int
    sha256: Digest
    executable: bool
    change: Change


class LogFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One channel: the digest and size of what was kept, and how many bytes were cut."""

    sha256: Digest
    kept_bytes: int
    dropped_bytes: int


class Usage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the run used. ``peak_bytes`` is the most memory the whole room held at once: with
    its files where a cgroup counted it, without them where it was sampled twice a second.
    ``processes`` is the most at once, 0 where this kernel does not keep it.
    """

    wall_ms: int
    cpu_ms: int
    peak_bytes: int
    processes: int = 0


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a stage says it will use at most; 0 is no plan, and so is ``gpu`` -1."""

    cpu_ms: int = 0
    memory_bytes: int = 0
    wall_ms: int = 0
    gpu: int = -1
    enforce: bool = False

    def limits(self, limits: Limits) -> Limits:
        """The room's limits, and where the plan is enforced what it plans for, if smaller."""
        if not self.enforce:
            return limits
        memory = [b for b in (limits.memory_bytes, self.memory_bytes) if b]
        wall = [s for s in (limits.wall_s, -(-self.wall_ms // 1000)) if s]
        cpu = [s for s in (limits.cpu_s, -(-self.cpu_ms // 1000)) if s]
        return msgspec.structs.replace(
            limits,
            memory_bytes=min(memory, default=0),
            wall_s=min(wall, default=0),
            cpu_s=min(cpu, default=0),
        )


class Exit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the script ended. ``signal`` is 0 when it exited; ``exit_code`` is then its own."""

    status: Status
    exit_code: int
    signal: int = 0


class Left(msgspec.Struct, frozen=True):
    """What lies in the project copy after a run."""

    outputs: tuple[OutputFile, ...] = ()
    removed: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
