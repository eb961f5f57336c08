"""Running every probe outside and inside, and saying what that makes of this machine.

A probe counts only where its positive control succeeded: the same attempt, outside the room, by
the same user. What a room held although nothing would have stopped it outside is evidence;
anything else is not.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

import sealwright
from sealwright.train.probes import (  # noqa: F401  (each enters its probes)
    files,
    kernel,
    kit,
    network,
    plant,
    processes,
    resources,
)
from sealwright.train.probes.kit import ALL, Probe
from sealwright.train.room import run_room
from sealwright.train.spec import MIB, Channel, CodeFile, Limits, RoomInput, RoomSpec

GROUPS = ("network", "files", "processes", "kernel", "resources", "channels")
Walls = Literal["standard", "strict"]
Verdict = Literal["held", "leaked", "bounded", "no-control"]
Progress = Callable[[str], None]
LIMITS = Limits(
    memory_bytes=96 * MIB,
    processes=32,
    wall_s=40,
    output_bytes=8 * MIB,
    output_files=600,
    log_bytes=MIB,
)
_OVERTIME = msgspec.structs.replace(LIMITS, wall_s=2)
_LEFT = {
    "output-link": "left-link",
    "output-folder-link": "left-folder",
    "output-hard-link": "left-hard",
    "output-pipe": "left-pipe",
    "output-socket": "left-socket",
    "output-setuid": "left-setuid",
    "output-hook": ".git/hooks/post-checkout",
    "output-settings": "seal.toml",
}
_SKELETON = "sealwright/train/probes"


class Tried(msgspec.Struct, frozen=True):
    """What came of one probe: outside (the control), and at each isolation."""

    name: str
    group: str
    tries: str
    since: str
    control: str
    verdicts: dict[str, Verdict]
    details: dict[str, str]


class Suite:
    """One run of all probes, in a folder of its own."""

    def __init__(self, base: Path, told: Mapping[str, Any]) -> None:
        self.base = base
        self.told = dict(told) | {
            "processes": LIMITS.processes,
            "memory": LIMITS.memory_bytes,
            "output": LIMITS.output_bytes,
            "files": LIMITS.output_files,
            "log": LIMITS.log_bytes,
            "wall_s": _OVERTIME.wall_s,
            "scratch": "/tmp",  # noqa: S108
        }
        self.file = f"canaries-{told['token']}.json"

    def outside(self) -> dict[str, tuple[bool, str]]:
        """Every attempt without a room: the positive controls."""
        folder = self.base / "control"
        (folder / "data").mkdir(parents=True)
        (folder / "data/in.txt").write_text("declared")
        told = self.told | {"scratch": str(self.base)}
        (folder / self.file).write_text(json.dumps(told))
        os.mkfifo(self.told["pipe"])
        reader = os.open(self.told["pipe"], os.O_RDONLY | os.O_NONBLOCK)
        try:
            with (folder / "said").open("wb") as stream:  # a pipe would wait for the orphan
                subprocess.run(
                    [sys.executable, "-m", "sealwright.train.probes", self.file, *ALL],
                    cwd=folder,
                    env={**os.environ, "PYTHONPATH": str(Path(sealwright.__file__).parents[1])},
                    pass_fds=(self.told["descriptor"],),
                    stdout=stream,
                    stderr=subprocess.DEVNULL,
                    check=False,
                )
        finally:
            os.close(reader)
            Path(self.told["pipe"]).unlink()
        said = _parse((folder / "said").read_bytes())
        said["orphan"] = (self._still_runs(), "it still ran afterwards")
        Path(self.told["outside"]).unlink(missing_ok=True)
        return said

    def inside(self, walls: Walls) -> dict[str, tuple[bool, str]]:
        """Every attempt in rooms of isolation ``walls``. Raises: Refused."""
        together = [name for name, one in ALL.items() if not one.alone]
        said = self._room(walls, together, LIMITS)
        for name, one in ALL.items():
            if one.alone:
                limits = _OVERTIME if name == "overtime" else LIMITS
                said |= self._room(walls, [name], limits)
        return said

    def _room(self, walls: Walls, names: list[str], limits: Limits) -> dict[str, tuple[bool, str]]:
        heard: list[bytes] = []
        reader: list[int] = []

        def listen(channel: Channel, data: bytes) -> None:
            if channel == "stdout":
                heard.append(data)
            if b"ready for the pipe" in data and not reader:
                os.mkfifo(self.told["pipe"])
                reader.append(os.open(self.told["pipe"], os.O_RDONLY | os.O_NONBLOCK))

        project = self.base / "project"
        try:
            with run_room(self._spec(project, walls, names, limits), listen) as result:
                still = self._still_runs() if "orphan" in names else False
                result.write_back(project)
        finally:
            for fd in reader:
                os.close(fd)
                Path(self.told["pipe"]).unlink()
        said = dict.fromkeys(names, (False, "the room ended first"))
        said |= _parse(b"".join(heard))
        for name in names:
            if name in _LEFT:
                said[name] = (_came_out(project / _LEFT[name], name), "it came out")
        if "write-outside" in names:
            said["write-outside"] = (Path(self.told["outside"]).exists(), "on the host")
        if "orphan" in names:
            said["orphan"] = (
                still,
                "it still ran afterwards" if still else "it died with the room",
            )
        if "stdout-flood" in names:
            facts = result.logs["stdout"]
            said["stdout-flood"] = (
                facts.kept_bytes > limits.log_bytes + 4096,
                f"{facts.kept_bytes} bytes passed, {facts.dropped_bytes} cut and counted",
            )
        return said

    def _spec(self, project: Path, walls: Walls, names: list[str], limits: Limits) -> RoomSpec:
        package = Path(__file__).parent
        code = [CodeFile(self.file, 0o100644, json.dumps(self.told).encode())]
        packages = ("sealwright/__init__.py", "sealwright/train/__init__.py")
        code += [CodeFile(name, 0o100644, b"") for name in packages]
        for module in ("__init__", "__main__", "kit", *(m for m in GROUPS if m != "channels")):
            content = (package / f"{module}.py").read_bytes()
            code.append(CodeFile(f"{_SKELETON}/{module}.py", 0o100644, content))
        trees = tuple(dict.fromkeys(Path(path) for path in (sys.prefix, sys.base_prefix)))
        return RoomSpec(
            argv=(sys.executable, "-m", "sealwright.train.probes", self.file, *names),
            project=project,
            scratch=self.base / "rooms",
            code=tuple(code),
            inputs=(RoomInput("data/in.txt", 8, _Declared()),),
            read_only=(*trees, self.base / "bound"),
            limits=limits,
            isolation=walls,
        )

    def _still_runs(self) -> bool:
        """Does any process of this machine still have the canaries' file in its command?"""
        time.sleep(0.05)
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if self.file.encode() in path.read_bytes() and int(path.parts[2]) != os.getpid():
                    return True
            except OSError:  # it ended meanwhile
                continue
        return False


class _Declared:
    size = 8

    def pread(self, offset: int, count: int) -> bytes:
        return b"declared"[offset : offset + count]


def run(
    where: Path, progress: Progress, walls: Iterable[Walls] = ("standard", "strict")
) -> list[Tried]:
    """All probes, outside and at each of ``walls``. Takes about half a minute.

    ``where`` is a folder of the caller's own, outside /tmp, which every room has its own of.
    Raises: Refused (this machine cannot make one of those rooms).
    """
    with tempfile.TemporaryDirectory(prefix="probes-", dir=where) as name:
        base = Path(name)
        base.chmod(0o755)
        (base / "project").mkdir()
        with plant.canaries(base, Path(sys.prefix)) as told:
            suite = Suite(base, told)
            progress("outside the room")
            control = suite.outside()
            inside = {}
            for one in walls:
                progress(f"inside: {one}")
                inside[one] = suite.inside(one)
    return [_judged(one, control, inside) for one in ALL.values()]


def _judged(
    one: Probe,
    control: Mapping[str, tuple[bool, str]],
    inside: Mapping[Walls, Mapping[str, tuple[bool, str]]],
) -> Tried:
    fired, how = control.get(one.name, (False, "it did not run"))
    verdicts: dict[str, Verdict] = {}
    for walls, said in inside.items():
        got, _ = said[one.name]
        if not fired:
            verdicts[walls] = "no-control"
        elif one.bounded and not (one.name == "stdout-flood" and got):
            verdicts[walls] = "bounded"
        else:
            verdicts[walls] = "leaked" if got else "held"
    details: dict[str, str] = {walls: said[one.name][1] for walls, said in inside.items()}
    return Tried(
        one.name,
        one.group,
        one.tries,
        one.since,
        how if fired else f"failed: {how}",
        verdicts,
        details,
    )


def _parse(output: bytes) -> dict[str, tuple[bool, str]]:
    said = {}
    for line in output.split(b"\n"):
        if line.startswith(b"probe:"):
            name, got, what = json.loads(line[len(b"probe:") :])
            said[name] = (got, what)
    return said


def _came_out(path: Path, name: str) -> bool:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    return bool(mode & stat.S_ISUID) if name == "output-setuid" else True
