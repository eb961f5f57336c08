"""The strict room: what it adds, what it refuses for want of, and that scripts still run."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sealwright.core.errors import Refused
from sealwright.train import (
    keeper,
    kernel,
    landlock,
    limits,
    primitives,
    seccomp,
    strict,
    threshold,
    trees,
    world,
)
from sealwright.train.room import run_room

from .rooms import has_cgroup, hear, make_spec, needs_room, room_input
from .test_room_filter import ALLOW, judge, refused

has_landlock = pytest.mark.skipif(
    landlock.abi() < landlock.OLDEST, reason="this kernel has no Landlock of ABI 3 or later"
)
machines = pytest.mark.parametrize("machine", ["x86_64", "aarch64"])


def strict_spec(base: Path, script: str = "open('ran', 'w')", **changes: Any) -> Any:
    return make_spec(base, script, isolation="strict", **changes)


@needs_room
@has_landlock
def test_a_strict_room_runs_a_script_and_names_what_held(tmp_path: Path) -> None:
    script = "import os; print(os.getuid(), open('data/in.txt').read()); open('o', 'w').write('x')"
    result, heard = hear(
        tmp_path, script, isolation="strict", inputs=(room_input("data/in.txt", b"declared"),)
    )
    assert result.status == "ok", heard.err
    assert heard.out == "1000 declared\n"
    assert [output.relpath for output in result.outputs] == ["o"]
    assert str(result.facts["rung"]).startswith("bwrap+seccomp+landlock+")
    assert result.facts["seccomp"] == seccomp.program_digest(strict=True)
    if os.getuid() == 0:
        assert int(result.facts["uid"]) >= 60000


@needs_room
@has_landlock
def test_a_single_file_may_be_bound_too(tmp_path: Path) -> None:
    module = tmp_path / "lent.py"
    module.write_text("x = 7\n")
    spec = make_spec(tmp_path)
    result, heard = hear(
        tmp_path,
        f"print(open({str(module)!r}).read())",
        isolation="strict",
        read_only=(*spec.read_only, module),
    )
    assert (result.status, heard.out) == ("ok", "x = 7\n\n"), heard.err


@needs_room
@has_landlock
class TestWithinAStrictRoom:
    def test_a_program_that_is_not_there_ends_as_in_a_shell(self, tmp_path: Path) -> None:
        result, heard = hear(tmp_path, argv=("no-such-program",), isolation="strict")
        assert (result.status, result.exit_code) == ("failed", 127)
        assert "cannot start no-such-program" in heard.err

    def test_a_program_is_found_on_the_path_and_gets_its_words(self, tmp_path: Path) -> None:
        result, heard = hear(
            tmp_path,
            argv=("sh", "-c", 'echo "$0 $1 $WORD"', "a b", "ü"),
            isolation="strict",
            env={"WORD": "declared"},
        )
        assert (result.status, heard.out) == ("ok", "a b ü declared\n")

    def test_a_script_cannot_pass_as_a_wall_that_did_not_hold(self, tmp_path: Path) -> None:
        """What it gains by trying is that its own run is refused."""
        script = (
            "import sys; sys.stderr.write('threshold: the walls did not hold: x\\n'); sys.exit(125)"
        )
        with pytest.raises(Refused):
            run_room(strict_spec(tmp_path, script))

    def test_two_rooms_never_share_a_uid(self, tmp_path: Path) -> None:
        if os.getuid() != 0:
            pytest.skip("only root changes its uid")
        assert len({world.choose_uid() for _ in range(50)}) > 45

    def test_the_host_file_system_is_gone_and_not_only_hidden(self, tmp_path: Path) -> None:
        script = "print(open('/proc/self/mountinfo').read())"
        result, heard = hear(tmp_path, script, isolation="strict")
        assert result.status == "ok"
        assert "oldroot" not in heard.out

    def test_a_declared_socket_can_be_reached(self, tmp_path: Path) -> None:
        path = tmp_path / "s"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()
            script = "import socket; socket.socket(socket.AF_UNIX).connect('/run/seal/s')"
            result, heard = hear(tmp_path, script, isolation="strict", sockets={"s": path})
        assert result.status == "ok", heard.err


@pytest.mark.parametrize("kind", ["socket", "pipe"])
@needs_room
@has_landlock
def test_a_tree_with_a_way_out_in_it_is_refused(tmp_path: Path, kind: str) -> None:
    tree = tmp_path / "package/deep/er"
    tree.mkdir(parents=True)
    spec = strict_spec(tmp_path, read_only=(*make_spec(tmp_path).read_only, tmp_path / "package"))
    run_room(spec).close()  # looked through once, and remembered
    if kind == "pipe":
        os.mkfifo(tree / "agent")
    else:
        with socket.socket(socket.AF_UNIX) as service:
            service.bind(str(tree / "agent"))
    with pytest.raises(Refused) as refusal:
        run_room(spec)
    assert refusal.value.rule == "room.socket-in-bind"
    assert "agent" in refusal.value.what


def test_deep_down_a_tree_is_looked_through_again_after_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / "tree/a/b/c/d/e"
    deep.mkdir(parents=True)
    trees.refuse_special([tmp_path / "tree"], tmp_path / "memory")
    os.mkfifo(deep / "pipe")
    trees.refuse_special([tmp_path / "tree"], tmp_path / "memory")  # not yet
    later = time.time() + 4000
    monkeypatch.setattr(trees.time, "time", lambda: later)
    with pytest.raises(Refused):
        trees.refuse_special([tmp_path / "tree"], tmp_path / "memory")


def test_a_broken_memory_of_trees_is_no_excuse(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    os.mkfifo(tmp_path / "tree/pipe")
    for content in ("", "{", '{"x": 1}'):
        (tmp_path / "memory").write_text(content)
        with pytest.raises(Refused):
            trees.refuse_special([tmp_path / "tree"], tmp_path / "memory")


def _fails(code: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def _denies_landlock(machine: str, version: int, rules: object) -> tuple[threshold.Step, ...]:
    return (threshold.Step(-1, (), 0, what="landlock"),)


FAULTS: dict[str, tuple[Any, str, Any, str]] = {
    "bubblewrap is not installed": (shutil, "which", lambda *_, **__: None, "bubblewrap"),
    "bubblewrap is too old": (primitives, "_version", lambda *_: (0, 4, 1), "bubblewrap"),
    "bubblewrap cannot forbid nested namespaces": (
        primitives,
        "_version",
        lambda *_: (0, 7, 0),
        "no-nested-namespaces",
    ),
    "no filter for this machine": (seccomp, "supported", lambda *_: False, "seccomp"),
    "the kernel refuses the filter": (seccomp, "program", lambda **_: b"\xff" * 16, "namespaces"),
    "no Landlock": (landlock, "abi", lambda: 0, "landlock"),
    "a Landlock that is too old": (landlock, "abi", lambda: 2, "landlock"),
    "Landlock refuses the rules": (
        landlock,
        "rights",
        lambda _version: (1 << 63) - 1,
        "namespaces",
    ),
    "Landlock is taken away before the script": (landlock, "steps", _denies_landlock, "namespaces"),
    "namespaces are forbidden": (kernel, "unshare", _fails(errno.EPERM), "private-memory"),
    "nothing may be mounted": (kernel, "mount", _fails(errno.EPERM), "private-memory"),
    "no session keyring of its own": (
        kernel,
        "join_new_session_keyring",
        _fails(errno.EDQUOT),
        "session-keyring",
    ),
    "limits cannot be set": (limits, "set_rlimits", _fails(errno.EPERM), "private-memory"),
    "descriptors cannot be closed": (
        kernel,
        "close_on_exec_from",
        _fails(errno.EMFILE),
        "private-memory",
    ),
}
AS_ROOT: dict[str, tuple[Any, str, Any, str]] = {
    "no uid to drop to": (world, "_uid_map", lambda: ["0 1000 1"], "uid-drop"),
    "the uid cannot be dropped": (world, "become", _fails(errno.EPERM), "uid-drop"),
    "the old root cannot be left": (world, "enter", _fails(errno.EINVAL), "world"),
    "the old root stays": (kernel, "unmount", _fails(errno.EBUSY), "world"),
}


@pytest.mark.parametrize("fault", [*FAULTS, *AS_ROOT])
@needs_room
@has_landlock
def test_a_missing_primitive_refuses_the_run_and_says_what_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    if fault in AS_ROOT and os.getuid() != 0:
        pytest.skip("only root changes its uid")
    spec = strict_spec(tmp_path)
    monkeypatch.setattr(*(FAULTS | AS_ROOT)[fault][:3])
    with pytest.raises(Refused) as refusal:
        run_room(spec)
    monkeypatch.undo()
    assert refusal.value.rule == primitives.RULE
    assert (FAULTS | AS_ROOT)[fault][3] in refusal.value.what
    assert refusal.value.hint
    scratch = tmp_path / "scratch"
    assert not scratch.exists() or {path.name for path in scratch.iterdir()} <= {"trees.json"}
    assert not (tmp_path / "project/ran").exists()


@needs_room
@has_landlock
def test_without_a_cgroup_the_run_goes_on_and_its_rung_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "make_cgroup", lambda _limits: None)
    result, heard = hear(tmp_path, "print(1)", isolation="strict")
    assert result.status == "ok", heard.err
    assert result.facts["rung"] == "bwrap+seccomp+landlock+rlimits"
    assert result.facts["limit_processes"] == "rlimit-nproc"  # for root too: the uid is its own


@pytest.mark.skipif(not has_cgroup, reason="no cgroup may be made here")
@needs_room
@has_landlock
def test_with_a_cgroup_the_rung_is_the_highest(tmp_path: Path) -> None:
    result, _ = hear(tmp_path, "print(1)", isolation="strict")
    assert result.facts["rung"] == "bwrap+seccomp+landlock+cgroup"


@needs_room
def test_a_kernel_without_keyrings_needs_no_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoKeyrings:
        def syscall(self, *_: object) -> int:
            ctypes.set_errno(errno.ENOSYS)
            return -1

    monkeypatch.setattr(kernel, "libc", NoKeyrings)
    kernel.join_new_session_keyring()


@machines
def test_the_strict_filter_knows_only_its_vocabulary(machine: str) -> None:
    column = 0 if machine == "x86_64" else 1
    known = {pair[column] for pair in seccomp.ALLOWED.values()}
    known |= {pair[column] for pair in seccomp.DENIED.values()}
    for number in range(500):
        if number not in known and number != 435:
            assert judge(machine, number, strict=True) == refused(errno.ENOSYS), number


@machines
def test_the_strict_filter_still_denies_what_standard_denies(machine: str) -> None:
    column = 0 if machine == "x86_64" else 1
    for name, numbers in seccomp.DENIED.items():
        if numbers[column] is not None:
            assert judge(machine, numbers[column], strict=True) == refused(errno.EPERM), name
    assert not set(seccomp.DENIED) & set(seccomp.ALLOWED)


@machines
def test_the_strict_filter_passes_files_and_threads_and_no_raw_sockets(machine: str) -> None:
    socket_call = 41 if machine == "x86_64" else 198
    assert judge(machine, socket_call, 2, 0o2000000 | 1, 0, strict=True) == ALLOW
    assert judge(machine, socket_call, 1, 3, 0, strict=True) == ALLOW
    assert judge(machine, socket_call, 16, 3, 0, strict=True) == ALLOW
    for family in (2, 10):
        assert judge(machine, socket_call, family, 0o2000000 | 3, 1, strict=True) == refused(1)
    assert judge(machine, socket_call, 40, 1, 0, strict=True) == refused(errno.EAFNOSUPPORT)
    personality = 135 if machine == "x86_64" else 92
    assert judge(machine, personality, 0xFFFFFFFF, strict=True) == ALLOW
    assert judge(machine, personality, 0x0040000, strict=True) == refused(errno.EPERM)
    mknodat = 259 if machine == "x86_64" else 33
    assert judge(machine, mknodat, 0, 0, 0o010600, strict=True) == ALLOW
    assert judge(machine, mknodat, 0, 0, 0o020600, strict=True) == refused(errno.EPERM)
    assert judge(machine, mknodat, 0, 0, 0o060600, strict=True) == refused(errno.EPERM)


def _run(machine: str, path: Path, *steps: threshold.Step) -> subprocess.CompletedProcess[bytes]:
    path.write_bytes(
        threshold.program(machine, steps, ["true"], {"PATH": "/nowhere:/usr/bin:/bin"})
    )
    path.chmod(0o755)
    emulator = [] if machine == os.uname().machine else [f"qemu-{machine}"]
    if emulator and not shutil.which(emulator[0]):
        pytest.skip(f"no {emulator[0]} to run it")
    return subprocess.run([*emulator, str(path)], capture_output=True, check=False)


@machines
def test_the_threshold_stops_at_the_first_step_that_fails(machine: str, tmp_path: Path) -> None:
    close = 3 if machine == "x86_64" else 57
    bad = threshold.Step(close, (-1,), 0, what="closing")
    done = _run(machine, tmp_path / "t", bad)
    assert done.returncode == threshold.FAILED
    assert done.stderr == threshold.REFUSED + b"closing\n"


@machines
def test_the_threshold_leaves_out_what_a_missing_folder_makes_pointless(
    machine: str, tmp_path: Path
) -> None:
    openat, close = ((257, 3), (56, 57))[machine != "x86_64"]
    missing = threshold.Step(openat, (-100, b"/no/such\0", 0, 0), 99, skip=1)
    never = threshold.Step(close, (-1,), 0, what="never reached")
    done = _run(machine, tmp_path / "t", missing, never)
    assert done.returncode in (0, 127), done.stderr  # 127: nothing of that machine to start
    assert b"never" not in done.stderr


def test_an_emulated_threshold_refuses_without_landlock(tmp_path: Path) -> None:
    """The emulator has no Landlock: just the machine on which a run must not start."""
    if os.uname().machine == "aarch64":
        pytest.skip("this is an AArch64 machine")
    steps = landlock.steps("aarch64", 7, [("/usr", landlock.RUN)])
    done = _run("aarch64", tmp_path / "t", *steps)
    assert done.returncode == threshold.FAILED
    assert done.stderr.startswith(threshold.REFUSED)


def test_every_rule_of_the_room_allows_something_and_devices_are_never_made() -> None:
    forbidden = landlock.MAKE_CHAR | landlock.MAKE_BLOCK
    for allowed in (landlock.OWN, landlock.PROJECT, landlock.RUN, landlock.READ, landlock.DEVICES):
        assert allowed
        assert not allowed & forbidden
    assert not landlock.PROJECT & (landlock.MAKE_SOCK | landlock.MAKE_FIFO)
    assert not landlock.RUN & landlock.WRITE_FILE


def test_the_rules_follow_the_project_and_its_trees(tmp_path: Path) -> None:
    spec = strict_spec(tmp_path, read_only=(Path("/opt/python"),))
    rules = dict(strict.rules(spec))
    assert rules["/opt/python"] == landlock.RUN
    assert rules[str(tmp_path / "project")] == landlock.PROJECT
    assert rules["/"] == landlock.READ_DIR


def test_what_bubblewrap_binds_is_all_that_a_dropped_root_keeps() -> None:
    args = ["--ro-bind", "/usr", "/usr", "--bind", "/a/b/c", "/x", "--ro-bind", "/a/b", "/y"]
    args += ["--ro-bind", "/proc/sys", "/proc/sys", "--setenv", "A", "/secret"]
    assert set(world.sources(args)) == {"/dev", "/proc", "/usr", "/a/b"}


def test_a_keeper_says_which_step_failed() -> None:
    failed = keeper.Failed(errno.EPERM, "no")
    failed.step = "uid-drop"
    told = primitives.refusal(failed)
    assert "uid-drop" in told.what
    assert "standard" in told.hint
