"""``--isolation none``: the same private copy and the same bookkeeping, and no walls at all.

The script runs as you, with your files and your network. Evidence says ``unisolated``, and
policy decides what that is worth. Inputs lie decrypted in a 0700 folder meanwhile.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from sealwright.train import fill, leftovers, missing, outcome
from sealwright.train.capture import Capture
from sealwright.train.census import Spent
from sealwright.train.collect import WorkTree
from sealwright.train.mounts import InputMount
from sealwright.train.outcome import Fact, Pressure, RoomResult
from sealwright.train.pipes import Pipes
from sealwright.train.spec import Listener, RoomSpec, Usage
from sealwright.train.watch import Watched, drain, interruptible_pump

FACTS: dict[str, Fact] = {
    "backend": "none",
    "backend_version": "",
    "namespaces": "",
    "network": "host",
    "seccomp": "",
    "rung": "unisolated",
    "gpu": "host",
    "plaintext_on_disk": True,
    "swap": "possible",
    "limit_memory": "none",
    "limit_processes": "none",
}


def run(spec: RoomSpec, env: Mapping[str, str], listener: Listener) -> RoomResult:
    """Run ``spec.argv`` in a private copy of the project, unsandboxed.

    Limits hold for time, CPU time and logs alone. Raises: BadInput, VerifyError, OSError.
    """
    with ExitStack() as keep, ExitStack() as stack:
        folder = leftovers.make_folder(spec.scratch)
        keep.callback(leftovers.remove, folder)
        work, laid, masks = _lay(spec, folder, stack)
        pipes = Pipes(stack)
        captures = {
            channel: Capture(channel, fd, spec.limits.log_bytes, listener, spec.logs.get(channel))
            for channel, fd in pipes.reading_ends()
        }
        watched = _watch(spec, env, folder / "work", pipes, list(captures.values()))
        stderr = captures["stderr"].tail()
        used_up = 0 < 1000 * spec.limits.cpu_s <= watched.cpu_ms or watched.ended == "over-limit"
        nothing = Pressure(0, 0, False, used_up)
        ended = outcome.how_it_ended(watched, nothing, stderr)
        tree = WorkTree(os.dup(work), laid, masks, keep.pop_all().close)
        logs = {channel: capture.facts() for channel, capture in captures.items()}
        visible = spec.visible()
        lost = missing.missing_opens(stderr, spec.argv, spec.project, visible)
        return RoomResult(
            exit=ended,
            outputs=tree.left.outputs,
            removed=tree.left.removed,
            findings=tree.left.findings + outcome.limit_findings(nothing, logs),
            missing_opens=lost if ended.status == "failed" else (),
            usage=Usage(watched.wall_ms, watched.cpu_ms, 0),
            limits=spec.limits,
            logs=logs,
            facts=FACTS | {"uid": os.getuid(), "hash_seed": env["PYTHONHASHSEED"]},
            tree=tree,
        )


def _lay(
    spec: RoomSpec, folder: Path, stack: ExitStack
) -> tuple[int, fill.Laid, tuple[InputMount, ...]]:
    """Code and inputs side by side in one copy; inputs count as covered, file by file."""
    (folder / "work").mkdir(mode=0o700)
    work = os.open(folder / "work", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, work)
    given = {item.relpath for item in spec.inputs}
    code = [file for file in spec.code if file.relpath not in given]
    laid = fill.lay_code(work, code, ())
    fill.lay_inputs(work, spec.inputs, (), ())
    return work, laid, tuple(InputMount(relpath, False) for relpath in sorted(given))


def _watch(
    spec: RoomSpec, env: Mapping[str, str], work: Path, pipes: Pipes, captures: list[Capture]
) -> Watched:
    began = time.monotonic()
    child = subprocess.Popen(
        spec.argv,
        cwd=work,
        env={**env, "HOME": str(Path.home())},
        stdin=pipes.null,
        stdout=pipes.stdout_write,
        stderr=pipes.stderr_write,
        start_new_session=True,
    )
    pipes.close_writing_ends()
    ended = interruptible_pump(
        child.pid, captures, spec.limits.wall_s, Spent(child.pid, spec.limits.cpu_s)
    )
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    drain(captures)
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return Watched(
        ended=ended,
        exit_code=128 + number if number else child.returncode,
        signal=number,
        wall_ms=int((time.monotonic() - began) * 1000),
        cpu_ms=int((usage.ru_utime + usage.ru_stime) * 1000),
    )
