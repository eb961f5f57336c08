"""The sealed room: one command, seeing its project copy and its declared inputs, nothing else.

::

    limits.resolve   →  leftovers.make_folder  →  keeper.start     a private memory, held
    fill.lay_…       →  keeper.go              →  watch.Watch      bubblewrap, until all is dead
    collect.WorkTree →  missing.missing_opens  →  RoomResult       what it left, and how it ended

See docs/concepts/room.md for what this holds back, and docs/spec/room-v1.md for the facts.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec

from sealwright.core.errors import BadInput
from sealwright.train import (
    fill,
    keeper,
    landlock,
    leftovers,
    limits,
    missing,
    mounts,
    outcome,
    primitives,
    seccomp,
    strict,
    threshold,
    unisolated,
    world,
)
from sealwright.train.capture import Capture
from sealwright.train.census import Census, Spent
from sealwright.train.collect import WorkTree
from sealwright.train.outcome import Fact, Pressure, RoomResult
from sealwright.train.pipes import Pipes, memory_file
from sealwright.train.spec import Channel, Listener, RoomSpec, Usage
from sealwright.train.watch import Process, Watched, follow

_SLACK_BYTES = 1 << 20
_SLACK_FILES = 64
_FULL_BELOW_BYTES = 1 << 16
_MEMORY_SHARE = 2  # inputs and code may take up to half of what is free, else inputs go to disk
_NOT_FOUND = 127  # as a shell says it
_PATH = "/usr/local/bin:/usr/bin:/bin"


def silent(channel: Channel, data: bytes) -> None:
    """The listener that does not listen."""


def run_room(spec: RoomSpec, listener: Listener = silent) -> RoomResult:
    """Run ``spec.argv`` in a room and return what it did; close the result when done with it.

    Raises: Refused (``room.*``: a primitive is missing, a bind is unsafe), VerifyError (an
    input's bytes), BadInput, OSError. A script that fails is a result, not an exception.
    """
    if not spec.argv:
        raise BadInput("no command to run", hint="seal run -- python train.py")
    mounts.check_project(spec.project)
    mounts.check_project(spec.project.resolve())
    if spec.isolation == "none":
        return unisolated.run(spec, environment(spec), listener)
    program = primitives.bubblewrap()
    mounts.check_read_only(spec.read_only, (spec.scratch, Path(os.path.expanduser("~"))))  # noqa: PTH111
    with ExitStack() as stack:
        return _Room(spec, program, stack).run(listener)


def environment(spec: RoomSpec) -> dict[str, str]:
    """The room's whole environment: these defaults, then ``spec.env``, then HOME.

    PYTHONHASHSEED is fixed so that a run can be repeated; PYTHONUNBUFFERED makes output live.
    """
    defaults = {
        "LANG": "C.UTF-8",
        "LOGNAME": "room",
        "PATH": _PATH,
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "USER": "room",
    }
    return defaults | dict(spec.env) | {"HOME": mounts.HOME}


class _Room:
    """One run. Everything it holds is on ``stack``, but for the work tree it hands on."""

    def __init__(self, spec: RoomSpec, program: primitives.Bubblewrap, stack: ExitStack) -> None:
        self.spec = spec
        self.program = program
        self.strict = spec.isolation == "strict"
        self.drop: world.Drop | None = None
        self.stack = stack
        self.bounds = limits.resolve(spec.limits)
        self.plan = mounts.plan_inputs(item.relpath for item in spec.inputs)
        self.sockets = mounts.socket_binds(spec.sockets)
        self.folder = leftovers.make_folder(spec.scratch)
        stack.callback(leftovers.remove, self.folder)
        if self.strict:
            strict.check(spec, program)
        self.berth = self._berth()
        self.gpu = mounts.gpu_binds() if spec.gpu == "auto" else []
        self.group = limits.make_cgroup(self.bounds)
        if self.group is not None:
            stack.callback(self.group.remove)
        self.pipes = Pipes(stack)

    def run(self, listener: Listener) -> RoomResult:
        try:
            launch = self._launch()
            pid, channel = keeper.start(self.berth, self.plan, launch, self._joined)
        except keeper.Failed as failed:
            raise primitives.refusal(failed) from failed
        process = Process(pid)
        self.stack.callback(process.end)
        with channel:
            try:
                work, laid = self._fill(channel)
                keeper.go(channel)
            except keeper.Failed as failed:
                raise primitives.refusal(failed) from failed
        return self._follow(process, work, laid, listener)

    def _berth(self) -> keeper.Berth:
        inputs = sum(fill.pages(item.size) for item in self.spec.inputs)
        code = fill.size_of(self.spec.code)
        on_disk = (inputs + code) * _MEMORY_SHARE > limits.available_memory()
        point = self.folder / "memory"
        point.mkdir(mode=0o700)
        disk = self.folder / "inputs"
        if on_disk:
            disk.mkdir(mode=0o700)
        size = code * 2 + (0 if on_disk else inputs) + self.bounds.output_bytes + _SLACK_BYTES
        files = 4 * (len(self.spec.code) + len(self.spec.inputs)) + self.bounds.output_files
        return keeper.Berth(
            point=str(point),
            size_bytes=size,
            files=files + _SLACK_FILES,
            scratch_bytes=self.bounds.output_bytes,
            inputs_on_disk=str(disk) if on_disk else "",
        )

    def _launch(self) -> keeper.Launch:
        args = mounts.arguments(
            self.berth.point,
            self.spec.project,
            self.spec.read_only,
            [*self.gpu, *self.sockets],
            disable_userns=self.program.version >= primitives.DISABLES_USERNS_FROM,
        )
        env = environment(self.spec)
        for name, value in env.items():
            args += ["--setenv", name, value]
        command, keep = self.spec.argv, list[int]()
        if self.strict:
            self.drop = strict.drop(args, self.program.path, self.spec.sockets)
            more, fd = strict.arguments(self.spec, env, self.stack)
            args, command, keep = [*more, *args], (strict.PROGRAM,), [fd]
        args_fd = memory_file(self.stack, b"".join(os.fsencode(arg) + b"\0" for arg in args))
        filter_fd = memory_file(self.stack, seccomp.program(strict=self.strict))
        pipes = self.pipes
        options = ["--args", args_fd, "--seccomp", filter_fd]
        options += ["--json-status-fd", pipes.status_write]
        return keeper.Launch(
            program=self.program.path,
            argv=("bwrap", *map(str, options), "--", *command),
            keep=(args_fd, filter_fd, pipes.status_write, *keep),
            stdio=(pipes.null, pipes.stdout_write, pipes.stderr_write),
            limits=self.bounds,
            strict=self.strict,
            drop=self.drop,
        )

    def _joined(self, pid: int) -> bool:
        if self.group is None:
            return False
        with suppress(ProcessLookupError):  # it failed early, and is about to say why
            self.group.attach(pid)
        return True

    def _fill(self, channel: socket.socket) -> tuple[int, fill.Laid]:
        """Write everything into the room; returns a descriptor of its project copy."""
        root = keeper.receive_root(channel)
        self.stack.callback(os.close, root)
        work = _folder(self.stack, "work", root)
        etc = _folder(self.stack, "etc", root)
        inputs = _folder(self.stack, self.berth.inputs_on_disk or "inputs", root)
        ids = (strict.INSIDE,) * 2 if self.strict else (os.getuid(), os.getgid())
        fill.lay_small(etc, mounts.small_files(*ids))
        laid = fill.lay_code(work, self.spec.code, self.plan)
        fill.lay_inputs(inputs, self.spec.inputs, self.spec.code, self.plan)
        if self.drop is not None:
            strict.hand_over(root, self.drop.uid)
        return work, laid

    def _follow(
        self, process: Process, work: int, laid: fill.Laid, listener: Listener
    ) -> RoomResult:
        """Wait for the end, and take stock."""
        self.pipes.close_writing_ends()
        cap, logs = self.bounds.log_bytes, self.spec.logs
        captures = {
            channel: Capture(channel, fd, cap, listener, logs.get(channel))
            for channel, fd in self.pipes.reading_ends()
        }
        census = None if self.group else Census(process.pid, self.bounds)
        counted = self.group.cpu_ms if self.group else lambda: 0
        spent = Spent(process.pid, self.bounds.cpu_s, counted)

        def over_limit() -> str:
            return (census() if census else "") or spent()

        watched = follow(
            process, self.pipes.status, list(captures.values()), self.bounds.wall_s, over_limit
        )
        stderr = captures["stderr"].tail()
        if watched.ended == "by-itself" and watched.exit_code is None and not watched.signal:
            if self.strict or not stderr.startswith("bwrap: execvp"):
                raise primitives.setup_refusal(stderr.strip())
            watched = msgspec.structs.replace(watched, exit_code=_NOT_FOUND)
        if watched.exit_code == threshold.FAILED and stderr.startswith(threshold.REFUSED.decode()):
            raise primitives.setup_refusal(stderr.strip())
        usage = self._usage(watched, census)
        limit_ms = 1000 * self.bounds.cpu_s
        used_up = spent.over or 0 < limit_ms <= usage.cpu_ms
        pressure = msgspec.structs.replace(self._pressure(work, census), cpu_used_up=used_up)
        ended = outcome.how_it_ended(watched, pressure, stderr)
        tree = WorkTree(os.dup(work), laid, self.plan)
        kept = {channel: capture.facts() for channel, capture in captures.items()}
        return RoomResult(
            exit=ended,
            outputs=tree.left.outputs,
            removed=tree.left.removed,
            findings=tree.left.findings + outcome.limit_findings(pressure, kept),
            missing_opens=self._missing(stderr) if ended.status == "failed" else (),
            usage=usage,
            limits=self.bounds,
            logs=kept,
            facts=self._facts(),
            tree=tree,
        )

    def _missing(self, stderr: str) -> tuple[str, ...]:
        spec = self.spec
        return missing.missing_opens(stderr, spec.argv, spec.project, spec.visible())

    def _pressure(self, work: int, census: Census | None) -> Pressure:
        room = os.fstatvfs(work)
        full = room.f_bavail * room.f_frsize < _FULL_BELOW_BYTES or room.f_ffree == 0
        if self.group is not None:
            return Pressure(self.group.oom_kills(), self.group.denied_forks(), full)
        if census is not None:
            return Pressure(census.over_memory, census.over_processes, full)
        return Pressure(0, 0, full)

    def _usage(self, watched: Watched, census: Census | None) -> Usage:
        cpu_ms, peak_bytes, processes = watched.cpu_ms, 0, 0
        if self.group is not None:
            cpu_ms, peak_bytes = max(cpu_ms, self.group.cpu_ms()), self.group.peak_bytes()
            processes = self.group.peak_processes()
        elif census is not None:
            cpu_ms, peak_bytes = max(cpu_ms, census.cpu_ms), census.peak_bytes
            processes = max(0, census.peak_processes)
        return Usage(watched.wall_ms, cpu_ms, peak_bytes, processes)

    def _facts(self) -> dict[str, Fact]:
        held = "cgroup" if self.group is not None else "rlimits"
        return {
            "backend": "bubblewrap",
            "backend_version": self.program.text,
            "namespaces": "user,pid,network,mount,ipc,uts,cgroup",
            "network": "none",
            "seccomp": seccomp.program_digest(strict=self.strict),
            "landlock": landlock.abi() if self.strict else 0,
            "rung": "bwrap+seccomp+"
            + ("landlock+" if self.strict else "")
            + held
            + ("+gpu" if self.gpu else ""),
            "gpu": "bound" if self.gpu else ("absent" if self.spec.gpu == "auto" else "off"),
            "plaintext_on_disk": bool(self.berth.inputs_on_disk),
            "hash_seed": environment(self.spec)["PYTHONHASHSEED"],
            "swap": _swap(),
            "uid": self.drop.uid if self.drop else os.getuid(),
            **limits.facts(self.group, own_uid=self.drop is not None),
        }


def _swap() -> str:
    """Could the room's memory reach a swap device? ``noswap`` needs root and Linux 6.4."""
    swaps = Path("/proc/swaps")
    lines = swaps.read_text().splitlines()[1:] if swaps.exists() else []
    return "possible" if lines else "none"


def _folder(stack: ExitStack, name: str, root: int) -> int:
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
    stack.callback(os.close, fd)
    return fd
