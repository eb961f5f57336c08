"""A room for someone who is not root: no cgroup, a user namespace, the same walls."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .rooms import needs_room

USER = 65534
SYSTEM_PYTHON = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
pytestmark = [
    needs_room,
    pytest.mark.skipif(os.getuid() != 0, reason="the other tests already run as a plain user"),
    pytest.mark.skipif(not shutil.which("setpriv"), reason="no setpriv"),
    pytest.mark.skipif(
        not Path(SYSTEM_PYTHON).exists(), reason=f"no {SYSTEM_PYTHON} that everyone may run"
    ),
]

DRIVER = """
import json, sys
from pathlib import Path
import msgspec
from sealwright.train.room import run_room
from sealwright.train.spec import MIB, CodeFile, Limits, RoomInput, RoomSpec

class Bytes:
    size = 8
    def pread(self, offset, count): return b"declared"[offset:offset + count]

base = Path(sys.argv[1])
limits = Limits(memory_bytes=256 * MIB, processes=30, wall_s=40, output_bytes=16 * MIB,
                output_files=500, log_bytes=MIB)
said = {}
for name, script in json.loads(sys.argv[2]).items():
    out = {"stdout": b"", "stderr": b""}
    def listen(channel, data): out[channel] += data
    (base / "project").mkdir(exist_ok=True)
    spec = RoomSpec(("/usr/bin/python3", "train.py"), base / "project", base / "scratch",
        code=(CodeFile("train.py", 0o100644, script.encode()),),
        inputs=(RoomInput("data/in.txt", 8, Bytes()),), limits=limits)
    with run_room(spec, listen) as result:
        result.write_back(base / "project")
        said[name] = {"status": result.status, "facts": result.facts,
            "out": out["stdout"].decode(), "err": out["stderr"].decode(),
            "outputs": [o.relpath for o in result.outputs],
            "rules": [f.rule for f in result.findings]}
print(json.dumps(said))
"""

SCRIPTS = {
    "plain": """
import os
print(open("data/in.txt").read(), os.getuid())
open("out.txt", "w").write("x")
for path in ("data/in.txt", "/usr/x", "/etc/x"):
    try: open(path, "w"); print("OPEN", path)
    except OSError: pass
""",
    "forks": """
import os, time
made = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(20); os._exit(0)
        made += 1
except OSError:
    print(made)
""",
    "memory": "held = []\nwhile True: held.append(bytearray(16 << 20))",
    "hogs": """
import os, time
for _ in range(6):
    if os.fork() == 0:
        held = bytearray(b"x") * (80 << 20)
        time.sleep(20); os._exit(0)
for _ in range(6): os.wait()
""",
    "network": """
import socket
try: socket.create_connection(("192.0.2.1", 80), timeout=3); print("OPEN")
except OSError as error: print("shut")
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname(), timeout=3); print("loopback")
""",
    "fills": "f = open('huge', 'wb')\nwhile True: f.write(b'x' * 1_000_000)",
}


@pytest.fixture(scope="module")
def said() -> Iterator[Any]:
    base = Path(tempfile.mkdtemp(prefix="sealwright-test-"))
    os.chown(base, USER, USER)
    spec = importlib.util.find_spec("msgspec")
    source = importlib.util.find_spec("sealwright")
    assert spec and spec.origin and source and source.origin
    path = f"{Path(source.origin).parents[1]}:{Path(spec.origin).parents[1]}"
    command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    command += ["env", "-i", f"PYTHONPATH={path}", "PATH=/usr/bin:/bin", f"HOME={base}"]
    command += [SYSTEM_PYTHON, "-c", DRIVER, str(base), json.dumps(SCRIPTS)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout) | {"base": base}
    finally:
        shutil.rmtree(base)


def test_a_plain_user_gets_a_room_under_their_own_uid(said: Any) -> None:
    plain = said["plain"]
    assert plain["status"] == "ok", plain["err"]
    assert plain["out"] == f"declared {USER}\n"
    assert plain["outputs"] == ["out.txt"]
    assert (said["base"] / "project/out.txt").stat().st_uid == USER


def test_evidence_says_which_limits_hold_without_a_cgroup(said: Any) -> None:
    facts = said["plain"]["facts"]
    if facts["rung"] == "bwrap+seccomp+rlimits":
        assert facts["limit_processes"] == "rlimit-nproc"
        assert facts["limit_memory"] == "rlimit-data-per-process"
    assert facts["uid"] == USER


def test_a_fork_bomb_stops_at_the_process_limit(said: Any) -> None:
    assert said["forks"]["status"] == "ok", said["forks"]["err"]
    assert 10 <= int(said["forks"]["out"]) <= 31


def test_a_memory_bomb_of_one_process_stops(said: Any) -> None:
    assert said["memory"]["status"] in ("failed", "out-of-memory")


def test_many_hogs_together_are_stopped(said: Any) -> None:
    assert said["hogs"]["status"] == "out-of-memory"
    assert said["hogs"]["rules"] == ["room.memory-limit"]


def test_there_is_no_network_but_loopback(said: Any) -> None:
    assert said["network"]["out"].split() == ["shut", "loopback"]


def test_output_stops_at_the_cap(said: Any) -> None:
    assert said["fills"]["status"] == "output-full"


def test_nothing_is_left_in_the_scratch_folder(said: Any) -> None:
    assert list((said["base"] / "scratch").iterdir()) == []
