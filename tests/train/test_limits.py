"""Limits: which mechanism holds them, and what stays of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sealwright.train import leftovers, limits
from sealwright.train.census import Census, Spent
from sealwright.train.spec import MIB, Limits

from .rooms import has_cgroup

BOUNDS = Limits(memory_bytes=64 * MIB, processes=10, output_bytes=MIB)


def test_what_is_given_is_kept_and_what_is_open_is_resolved() -> None:
    resolved = limits.resolve(Limits(memory_bytes=1000))
    assert (resolved.memory_bytes, resolved.output_bytes) == (1000, 500)
    open_ended = limits.resolve(Limits())
    assert 0 < open_ended.memory_bytes < limits.available_memory() * 2
    assert limits.resolve(Limits(1000, 5, 6, 7)).output_bytes == 7


@pytest.mark.skipif(not has_cgroup, reason="no cgroup may be made here")
def test_a_group_holds_its_limits_and_goes_away() -> None:
    group = limits.make_cgroup(BOUNDS)
    assert group is not None
    memory = group.directories["memory"]
    name = "memory.max" if group.version == "v2" else "memory.limit_in_bytes"
    assert int((memory / name).read_text()) == 64 * MIB
    assert int((group.directories["pids"] / "pids.max").read_text()) == 12
    assert limits.facts(group)["limit_memory"] == f"cgroup-{group.version}"
    group.remove()
    assert not any(directory.exists() for directory in group.directories.values())


@pytest.mark.skipif(not has_cgroup, reason="no cgroup may be made here")
def test_removing_a_group_ends_what_still_runs_in_it() -> None:
    group = limits.make_cgroup(BOUNDS)
    assert group is not None
    with subprocess.Popen(["sleep", "600"]) as child:
        group.attach(child.pid)
        group.remove()
        assert child.wait(timeout=20) == -9
    assert not any(directory.exists() for directory in group.directories.values())


@pytest.mark.skipif(not has_cgroup, reason="no cgroup may be made here")
def test_the_group_of_a_dead_run_is_swept_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "tag", lambda: f"{os.getpid()}-1-stale")
    stale = limits.make_cgroup(BOUNDS)
    monkeypatch.undo()
    fresh = limits.make_cgroup(BOUNDS)
    assert stale is not None and fresh is not None
    try:
        assert not any(directory.exists() for directory in stale.directories.values())
    finally:
        fresh.remove()


def test_without_a_group_evidence_does_not_claim_one() -> None:
    facts = limits.facts(None)
    assert facts["limit_memory"] == "rlimit-data-per-process"
    assert facts["limit_processes"] == ("none" if os.getuid() == 0 else "rlimit-nproc")


def test_rlimits_forbid_core_dumps_and_bound_memory_without_a_group() -> None:
    script = """
import resource
from sealwright.train import limits
from sealwright.train.spec import Limits
limits.set_rlimits(Limits(memory_bytes=300 << 20, output_bytes=1 << 20), grouped=GROUPED)
print(*(resource.getrlimit(w) for w in
        (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_DATA)))
"""
    said = []
    for grouped in ("True", "False"):
        done = subprocess.run(
            [sys.executable, "-c", script.replace("GROUPED", grouped)],
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(done.stdout.strip())
    assert said[0].startswith("(1, 1) (1048576, 1048576) (-1, -1)")
    assert said[1] == "(1, 1) (1048576, 1048576) (314572800, 314572800)"


def test_a_census_counts_grandchildren_and_says_what_is_over() -> None:
    script = "import os, time; os.fork(); os.fork(); print('up', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        for _ in range(4):
            child.stdout.readline()
        try:
            assert Census(child.pid, Limits(memory_bytes=1 << 40, processes=10))() == ""
            assert Census(child.pid, Limits(memory_bytes=1 << 40, processes=1))() == "processes"
            assert Census(child.pid, Limits(memory_bytes=1 << 20, processes=10))() == "memory"
        finally:
            for pid in [int(p) for p in _children(child.pid)]:
                os.kill(pid, 9)
            child.kill()


def _children(pid: int) -> list[str]:
    found: list[str] = []
    for name in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [*_children(int(name)), name]
    return found


def test_a_census_of_a_process_that_is_gone_finds_nothing() -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert Census(child.pid, Limits(memory_bytes=1, processes=0))() == ""


@pytest.mark.parametrize("tag", ["", "x", "12", "a-b-c", "12-x-y"])
def test_what_is_no_tag_counts_as_alive_and_is_left_alone(tag: str) -> None:
    assert leftovers.is_alive(tag)


def test_a_recycled_pid_is_no_alibi() -> None:
    pid, started, token = leftovers.tag().split("-")
    assert leftovers.is_alive(f"{pid}-{started}-{token}")
    assert not leftovers.is_alive(f"{pid}-{int(started) - 1}-{token}")


def test_memory_that_a_cgroup_forbids_does_not_count_as_available(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("2000\n")
    (inner / "memory.max").write_text("max\n")
    (inner / "memory.current").write_text("1000\n")
    monkeypatch.setattr(limits, "_own_groups", lambda: {"": inner})
    assert limits.available_memory() == 3000


def test_cpu_time_counts_children_that_ended_and_what_the_group_counted() -> None:
    burn = "import time\nwhile time.process_time() < 1.1: pass\n"
    script = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])\n"
    script += "print('done', flush=True)\ninput()"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"done\n"
        assert Spent(child.pid, 1)() == "cpu"
        assert Spent(child.pid, 600)() == ""
        assert Spent(child.pid, 600, lambda: 600_000)() == "cpu"
        assert Spent(child.pid, 0, lambda: 600_000)() == ""
        child.kill()
