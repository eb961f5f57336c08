"""However a run ends, it is told apart, and nothing of it stays: no process, no plaintext."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from sealwright.core.errors import BadInput, Refused
from sealwright.train import leftovers, limits
from sealwright.train.room import run_room
from sealwright.train.spec import MIB, Limits

from .rooms import (
    PYTHON,
    SMALL,
    Heard,
    has_cgroup,
    hear,
    make_spec,
    needs_room,
    play,
    room_input,
    wait_until,
)

pytestmark = needs_room


def bounds(**changes: int) -> Limits:
    return msgspec.structs.replace(SMALL, **changes)


def processes_named(marker: str) -> list[int]:
    """Host processes whose command line holds ``marker`` (not this one)."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if marker.encode() in line:
                found.append(int(folder.name))
    return found


def test_a_script_that_writes_nothing_is_fine(tmp_path: Path) -> None:
    result, heard = hear(tmp_path, "")
    assert (result.status, result.exit_code, result.outputs) == ("ok", 0, ())
    assert heard.out == heard.err == ""


def test_a_failing_script_keeps_its_exit_code(tmp_path: Path) -> None:
    result, _ = hear(tmp_path, "import sys; open('half.bin', 'w').write('x'); sys.exit(3)")
    assert (result.status, result.exit_code) == ("failed", 3)
    assert [output.relpath for output in result.outputs] == ["half.bin"]


def test_a_missing_script_fails_and_is_named(tmp_path: Path) -> None:
    result, heard = hear(tmp_path, argv=(PYTHON, "nowhere.py"))
    assert (result.status, result.exit_code) == ("failed", 2)
    assert "nowhere.py" in heard.err


def test_a_missing_program_fails_and_is_named(tmp_path: Path) -> None:
    result, heard = hear(tmp_path, argv=("no-such-program",))
    assert result.status == "failed"
    assert "no-such-program" in heard.err


def test_no_command_at_all_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        run_room(make_spec(tmp_path, argv=()))


@pytest.mark.parametrize("place", ["/", "/proc/x", "/dev/shm", "relative"])
def test_a_project_cannot_lie_where_the_room_has_its_own(tmp_path: Path, place: str) -> None:
    with pytest.raises(BadInput):
        run_room(make_spec(tmp_path, project=Path(place)))


def test_a_killed_script_is_told_apart(tmp_path: Path) -> None:
    result, _ = hear(tmp_path, "import os; os.kill(os.getpid(), 9)")
    assert (result.status, result.exit_code, result.exit.signal) == ("killed", 137, 9)


def test_a_hanging_script_ends_with_its_time_and_so_do_its_children(tmp_path: Path) -> None:
    marker = f"sleep-{os.getpid()}-hanging"
    script = f"""
import subprocess, sys, time
open("partial.txt", "w").write("kept")
for _ in range(3):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", {marker!r}],
                     start_new_session=True)
time.sleep(600)
"""
    result, _ = hear(tmp_path, script, limits=bounds(wall_s=2))
    assert result.status == "timeout"
    assert [output.relpath for output in result.outputs] == ["partial.txt"]
    assert processes_named(marker) == []


def test_a_background_process_does_not_outlive_the_script(tmp_path: Path) -> None:
    marker = f"sleep-{os.getpid()}-background"
    script = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", {marker!r}],
                 start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""
    result, _ = hear(tmp_path, script)
    assert result.status == "ok"
    assert processes_named(marker) == []


def test_ctrl_c_ends_the_room_and_is_a_result(tmp_path: Path) -> None:
    marker = f"sleep-{os.getpid()}-ctrl-c"

    heard: list[bytes] = []

    def interrupt(channel: str, data: bytes) -> None:
        heard.append(data)
        if len(heard) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    script = "import time; print('up'); time.sleep(600)"
    with play(tmp_path, script, interrupt, argv=(PYTHON, "train.py", marker)) as result:
        assert result.status == "interrupted"
    assert processes_named(marker) == []


def test_a_listener_that_breaks_ends_the_room(tmp_path: Path) -> None:
    marker = f"sleep-{os.getpid()}-listener"

    def broken(channel: str, data: bytes) -> None:
        raise BrokenPipeError

    script = "import time; print('up'); time.sleep(600)"
    with pytest.raises(BrokenPipeError):
        play(tmp_path, script, broken, argv=(PYTHON, "train.py", marker))
    assert processes_named(marker) == []
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_writer_without_end_is_stopped_by_the_cap(tmp_path: Path) -> None:
    script = """
with open("huge.bin", "wb") as f:
    while True: f.write(b"x" * 1_000_000)
"""
    result, _ = hear(tmp_path, script, limits=bounds(output_bytes=8 * MIB))
    assert result.status == "output-full"
    assert sum(output.size for output in result.outputs) <= 10 * MIB


def test_many_small_files_are_stopped_by_the_cap(tmp_path: Path) -> None:
    script = """
for i in range(10_000): open(f"f{i}", "w").close()
"""
    result, _ = hear(tmp_path, script, limits=bounds(output_files=300))
    assert result.status == "output-full"
    assert len(result.outputs) < 1000


def test_temporary_files_and_shared_memory_have_a_cap_too(tmp_path: Path) -> None:
    script = """
for path in ("/tmp/a", "/dev/shm/b"):
    try:
        with open(path, "wb") as f:
            for _ in range(20): f.write(b"x" * 1_000_000)
    except OSError as error:
        print(error.errno)
"""
    _, heard = hear(tmp_path, script, limits=bounds(output_bytes=8 * MIB))
    assert heard.out.split() in (["28", "28"], ["27", "28"], ["27", "27"], ["28", "27"])


def test_a_memory_bomb_is_contained(tmp_path: Path) -> None:
    script = """
held = []
while True: held.append(bytearray(16 << 20))
"""
    result, _ = hear(tmp_path, script, limits=bounds(memory_bytes=128 * MIB))
    assert result.status in (("out-of-memory",) if has_cgroup else ("failed", "out-of-memory"))


def test_a_memory_bomb_of_many_processes_is_contained(tmp_path: Path) -> None:
    script = """
import os, time
for _ in range(8):
    if os.fork() == 0:
        held = [bytearray(os.urandom(1) * (8 << 20)) for _ in range(5)]
        time.sleep(3); os._exit(0)
for _ in range(8): os.wait()
"""
    result, _ = hear(tmp_path, script, limits=bounds(memory_bytes=150 * MIB))
    assert any(f.rule == "room.memory-limit" for f in result.findings)


def test_a_fork_bomb_is_contained(tmp_path: Path) -> None:
    script = """
import os
made = 0
try:
    while True:
        if os.fork() == 0:
            import time; time.sleep(60); os._exit(0)
        made += 1
except OSError:
    print(made)
"""
    result, heard = hear(tmp_path, script, limits=bounds(processes=20))
    if result.facts["limit_processes"] == "none":
        assert result.status == "too-many-processes"
    else:
        assert int(heard.out) <= 20
        assert result.status == "ok"


def test_a_flood_on_stdout_is_cut_counted_and_marked(tmp_path: Path) -> None:
    kept = io.BytesIO()
    script = """
import sys
for _ in range(400): sys.stdout.write("x" * 9999 + "\\n")
sys.stderr.write("still heard\\n")
"""
    result, heard = hear(tmp_path, script, limits=bounds(log_bytes=100_000), logs={"stdout": kept})
    assert result.status == "ok"
    facts = result.logs["stdout"]
    assert facts.dropped_bytes == 4_000_000 - 100_000
    assert facts.kept_bytes == len(kept.getvalue()) < 101_000
    assert heard.parts["stdout"] == kept.getvalue()
    assert kept.getvalue().endswith(b"went over 100000 bytes]\n")
    assert heard.err == "still heard\n"
    assert [f.rule for f in result.findings] == ["room.log-cut"]


def test_output_is_heard_while_the_script_still_runs(tmp_path: Path) -> None:
    marker = f"live-{os.getpid()}"
    running: list[bool] = []

    def listen(channel: str, data: bytes) -> None:
        if not running:
            running.append(bool(processes_named(marker)))

    script = "import time; print('one'); time.sleep(1)"
    play(tmp_path, script, listen, argv=(PYTHON, "train.py", marker)).close()
    assert running == [True]


def test_an_undeclared_file_that_exists_outside_is_named(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, "open('data/extra.csv')")
    (spec.project / "data").mkdir()
    (spec.project / "data/extra.csv").write_text("a\n")
    with run_room(spec) as result:
        assert result.status == "failed"
        assert result.missing_opens == ("data/extra.csv",)


def test_a_file_that_exists_nowhere_is_not_named(tmp_path: Path) -> None:
    result, _ = hear(tmp_path, "open('data/extra.csv')")
    assert result.status == "failed"
    assert result.missing_opens == ()


def test_what_a_run_used_is_measured(tmp_path: Path) -> None:
    result, _ = hear(tmp_path, "held = bytearray(50_000_000)\nfor i in range(3_000_000): pass")
    assert result.usage.cpu_ms > 20
    assert result.usage.peak_bytes > (50_000_000 if has_cgroup else -1)
    assert result.usage.wall_ms > 0


def test_limits_left_open_are_resolved_and_recorded(tmp_path: Path) -> None:
    result, _ = hear(tmp_path, "", limits=Limits())
    assert result.limits.memory_bytes > 0
    assert result.limits.output_bytes > 0


def test_two_rooms_at_once_do_not_meet(tmp_path: Path) -> None:
    def inner(channel: str, data: bytes) -> None:
        if not nested:
            nested.append(hear(tmp_path, "import os; print(os.listdir('.'))"))

    nested: list[tuple[object, Heard]] = []
    script = "import time; open('mine', 'w').close(); print('up'); time.sleep(0.2)"
    with play(tmp_path, script, inner) as result:
        assert result.status == "ok"
    assert nested[0][1].out == "['train.py']\n"


PARENT = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from tests.train.rooms import make_spec, room_input
from sealwright.train.room import run_room
spec = make_spec(Path({base!r}), "import time; print('up'); time.sleep(600)",
    argv=({python!r}, "train.py", {marker!r}), inputs=(room_input("in.txt", b"plaintext"),))
run_room(spec, lambda channel, data: print("up", flush=True))
"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A process of its own with a room that hangs, and the room's marker."""
    marker = f"sleep-{os.getpid()}-parent"
    root = str(Path(__file__).parents[2])
    text = PARENT.format(path=[root], base=str(tmp_path), python=PYTHON, marker=marker)
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        yield child, marker
        child.kill()


def test_kill_9_of_the_parent_takes_the_room_along(
    parent: tuple[subprocess.Popen[bytes], str], tmp_path: Path
) -> None:
    child, marker = parent
    assert processes_named(marker)
    child.kill()
    child.wait()
    assert wait_until(lambda: processes_named(marker) == [])
    scratch = tmp_path / "scratch"
    assert [path for path in scratch.rglob("*") if path.is_file()] == []
    assert leftovers.sweep(scratch) == 1
    assert list(scratch.iterdir()) == []


def test_kill_9_at_any_moment_leaves_no_process(tmp_path: Path) -> None:
    marker = f"sleep-{os.getpid()}-moment"
    root = str(Path(__file__).parents[2])
    text = PARENT.format(path=[root], base=str(tmp_path), python=PYTHON, marker=marker)
    text = text.replace("run_room(spec,", "print('go', flush=True); run_room(spec,")
    for milliseconds in range(0, 60, 5):
        with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"go\n"
            time.sleep(milliseconds / 1000)
            child.kill()
            child.wait()
        assert wait_until(lambda: processes_named(marker) == []), milliseconds
    leftovers.sweep(tmp_path / "scratch")
    assert not any((tmp_path / "scratch").iterdir())


def test_plaintext_of_a_dead_run_is_removed_by_the_next(tmp_path: Path) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", "from sealwright.train import leftovers; print(leftovers.tag())"],
        capture_output=True,
        text=True,
        check=True,
    )
    scratch = tmp_path / "scratch"
    stale = scratch / f"room-{dead.stdout.strip()}" / "inputs"
    stale.mkdir(parents=True)
    scratch.chmod(0o700)
    (stale / "in.txt").write_text("plaintext")
    mine = scratch / f"room-{leftovers.tag()}"
    mine.mkdir()
    hear(tmp_path, "")
    assert list(scratch.iterdir()) == [mine]


def test_a_scratch_folder_that_others_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir(mode=0o755)
    with pytest.raises(Refused) as refused:
        hear(tmp_path, "")
    assert refused.value.rule == "room.scratch-open"


@pytest.mark.skipif(not has_cgroup, reason="no cgroup may be made here")
def test_the_groups_of_a_run_are_gone_after_it(tmp_path: Path) -> None:
    hear(tmp_path, "")
    group = limits.make_cgroup(SMALL)
    assert group is not None
    parents = {directory.parent for directory in group.directories.values()}
    group.remove()
    tag = f"sealwright-{os.getpid()}-"
    assert [p for top in parents for p in top.iterdir() if p.name.startswith(tag)] == []


def test_without_a_cgroup_rlimits_and_a_census_hold_and_evidence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sealwright.train.limits.make_cgroup", lambda limits: None)
    script = """
held = []
while True: held.append(bytearray(16 << 20))
"""
    result, _ = hear(tmp_path, script, limits=bounds(memory_bytes=128 * MIB))
    assert result.status in ("failed", "out-of-memory")
    assert result.facts["limit_memory"] == "rlimit-data-per-process"
    assert result.facts["rung"] == "bwrap+seccomp+rlimits"


def test_without_a_cgroup_many_small_hogs_are_counted_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sealwright.train.limits.make_cgroup", lambda limits: None)
    script = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        held = bytearray(b"x") * (40 << 20)
        time.sleep(60); os._exit(0)
for _ in range(6): os.wait()
"""
    result, _ = hear(tmp_path, script, limits=bounds(memory_bytes=128 * MIB))
    assert result.status == "out-of-memory"
    assert [f.rule for f in result.findings] == ["room.memory-limit"]


def test_the_listener_hears_what_a_dead_script_left_in_the_pipe(tmp_path: Path) -> None:
    script = "import os; os.write(1, b'x' * 60_000); os.kill(os.getpid(), 9)"
    _, heard = hear(tmp_path, script)
    assert len(heard.out) == 60_000


def test_inputs_in_the_room_are_not_outputs(tmp_path: Path) -> None:
    result, _ = hear(tmp_path, "", inputs=(room_input("a/b/c.txt", b"x"),))
    assert result.outputs == () and result.removed == ()


def test_a_script_may_move_the_folder_its_input_is_in_and_it_still_is_no_output(
    tmp_path: Path,
) -> None:
    script = "import os; os.rename('a', 'z'); print(open('z/b.txt').read())"
    result, heard = hear(tmp_path, script, inputs=(room_input("a/b.txt", b"in"),))
    assert result.outputs == (), heard.err


def test_no_descriptor_and_no_child_is_left_behind(tmp_path: Path) -> None:
    def held() -> tuple[int, int]:
        children = Path("/proc/self/task").glob("*/children")
        return len(os.listdir("/proc/self/fd")), sum(len(c.read_text().split()) for c in children)

    hear(tmp_path, "")
    before = held()
    for argv in ((PYTHON, "train.py"), ("no-such-program",), (PYTHON, "-c", "1/0")):
        hear(tmp_path, "", argv=argv)
    with pytest.raises(Refused):
        hear(tmp_path, "", inputs=(room_input("d", b"x", "0" * 64),))
    assert held() == before


@pytest.mark.parametrize("grouped", [True, False])
def test_cpu_time_of_all_processes_together_ends_the_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grouped: bool
) -> None:
    if not grouped:
        monkeypatch.setattr(limits, "make_cgroup", lambda bounds: None)
    script = "import os\nos.fork()\nos.fork()\nwhile True: pass"
    result, _ = hear(tmp_path, script, limits=bounds(cpu_s=2, wall_s=300))
    assert (result.status, result.exit_code) == ("cpu-time", 137)
    assert result.usage.cpu_ms >= 1000
    assert "room.cpu-limit" in [found.rule for found in result.findings]


def test_one_process_is_stopped_by_the_kernel_where_nobody_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sealwright.train.room.Spent.__call__", lambda spent: "")
    result, _ = hear(tmp_path, "while True: pass", limits=bounds(cpu_s=1, wall_s=300))
    assert result.status == "cpu-time"
    assert result.usage.cpu_ms >= 1000
