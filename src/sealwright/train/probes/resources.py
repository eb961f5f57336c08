"""Taking more than was given, and the channels that stay.

Each goal lies above the limit that the suite sets, and is safe to reach without one.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from sealwright.train.probes.kit import probe

Canaries = dict[str, Any]
_BLOCK = b"x" * (1 << 20)


@probe("resources", "start more processes than the limit", alone=True)
def fork_bomb(canaries: Canaries) -> str:
    made = 0
    while made < canaries["processes"] * 3:
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
        made += 1
    return f"{made} processes"


@probe("resources", "hold more memory than the limit in one process", alone=True)
def memory_bomb(canaries: Canaries) -> str:
    held = bytearray(b"x") * (canaries["memory"] * 2)
    return f"{len(held)} bytes"


@probe("resources", "hold more memory than the limit in many processes", alone=True)
def memory_swarm(canaries: Canaries) -> str:
    share = canaries["memory"] // 2
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            held = bytearray(b"x") * share
            time.sleep(2.5)
            os._exit(0 if held[-1] else 1)
        children.append(pid)
    good = sum(os.waitpid(pid, 0)[1] == 0 for pid in children)
    return f"{good} processes" if good == len(children) else ""


def _fill(path: Path, size: int) -> str:
    try:
        with path.open("wb") as stream:
            for _ in range(size // len(_BLOCK)):
                stream.write(_BLOCK)
    finally:
        got = path.stat().st_size
        path.unlink()
    return f"{got} bytes" if got >= size else ""


@probe("resources", "fill the temporary folder", alone=True)
def tmpfs_bomb(canaries: Canaries) -> str:
    return _fill(Path(canaries["scratch"]) / "bomb", canaries["output"] * 2)


@probe("resources", "fill shared memory", alone=True)
def shm_bomb(canaries: Canaries) -> str:
    return _fill(Path("/dev/shm/sealwright-bomb"), canaries["output"] * 2)  # noqa: S108


@probe("resources", "write a huge output", alone=True)
def huge_output(canaries: Canaries) -> str:
    return _fill(Path("huge.bin"), canaries["output"] * 2)


@probe("resources", "make more files than the limit", alone=True)
def inode_bomb(canaries: Canaries) -> str:
    folder = Path("many")
    folder.mkdir()
    for number in range(canaries["files"] * 2):
        (folder / str(number)).touch()
    return f"{canaries['files'] * 2} files"


@probe("resources", "run on after the time is up", alone=True)
def overtime(canaries: Canaries) -> str:
    time.sleep(canaries["wall_s"] + 1.5)
    return "still here"


@probe("resources", "stay behind after the script has ended", alone=True)
def orphan(canaries: Canaries) -> str:
    first = os.fork()
    if first == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1.5)
            os._exit(0)
        os._exit(0)
    os.waitpid(first, 0)
    return "left one behind"


@probe("channels", "print more than the cap", alone=True, bounded=True)
def stdout_flood(canaries: Canaries) -> str:
    sys.stdout.write("y" * canaries["log"] * 4)
    sys.stdout.flush()
    return "printed"


@probe("channels", "print a secret", bounded=True)
def stdout(canaries: Canaries) -> str:
    return "what is printed is shown and kept, up to the cap"


@probe("channels", "tell by how long it takes", bounded=True)
def timing(canaries: Canaries) -> str:
    started = time.monotonic()
    time.sleep(0.05)
    return f"{time.monotonic() - started:.3f} s"
