"""A room with a wall missing does not open: every primitive is taken away once."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest

from sealwright.core.errors import Refused
from sealwright.train import keeper, primitives, seccomp
from sealwright.train.room import run_room

from .rooms import hear, make_spec, needs_room


def run(base: Path) -> Refused:
    with pytest.raises(Refused) as refused:
        run_room(make_spec(base, "open('ran', 'w')"))
    error = refused.value
    assert error.rule == "room.missing-primitive"
    assert error.exit_code == 1
    assert error.why and error.hint
    scratch = base / "scratch"
    assert not scratch.exists() or list(scratch.iterdir()) == []
    return error


def fake_bwrap(folder: Path, body: str) -> str:
    folder.mkdir()
    program = folder / "bwrap"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


@needs_room
def test_every_required_primitive_is_here_and_says_what_it_is() -> None:
    found = primitives.survey()
    assert [one.name for one in found] == [
        "bubblewrap",
        "seccomp",
        "namespaces",
        "private-memory",
        "cgroup",
        "no-nested-namespaces",
        "landlock",
    ]
    assert all(one.present and one.detail and not one.mend for one in found if one.required)


def test_without_bubblewrap_the_run_is_refused_with_the_line_that_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    error = run(tmp_path)
    assert "bubblewrap" in error.what
    assert error.hint == "sudo apt-get install bubblewrap"
    survey = {one.name: one for one in primitives.survey()}
    assert not survey["bubblewrap"].present
    assert "namespaces" not in survey


def test_a_bubblewrap_that_is_too_old_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", fake_bwrap(tmp_path / "bin", "echo bubblewrap 0.3.1"))
    assert "older" in run(tmp_path).why


@needs_room
def test_a_bubblewrap_that_gives_up_is_a_refusal_and_not_a_failed_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = '[ "$1" = --version ] && echo bubblewrap 0.8.0 && exit 0\n'
    body += "echo 'bwrap: Creating new namespace failed: Operation not permitted' >&2; exit 1"
    monkeypatch.setenv("PATH", fake_bwrap(tmp_path / "bin", body))
    assert "Creating new namespace failed" in run(tmp_path).why


def test_without_a_filter_for_this_machine_the_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seccomp, "supported", lambda machine="": False)
    assert "seccomp" in run(tmp_path).what
    assert [one.name for one in primitives.survey() if not one.present] == ["seccomp"]


@needs_room
def test_a_filter_the_kernel_does_not_take_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seccomp, "program", lambda machine="", *, strict=False: b"\xff" * 16)
    run(tmp_path)


@needs_room
@pytest.mark.parametrize("call", ["unshare", "mount"])
def test_without_namespaces_or_mounts_the_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def forbidden(*arguments: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(f"sealwright.train.kernel.{call}", forbidden)
    error = run(tmp_path)
    assert "Operation not permitted" in error.why
    private = {one.name: one for one in primitives.survey()}["private-memory"]
    assert not private.present and private.mend


@needs_room
def test_a_keeper_that_dies_without_a_word_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(berth: keeper.Berth) -> None:
        raise RuntimeError("not a system error")

    monkeypatch.setattr(keeper, "_mount_memory", broken)
    run(tmp_path)


@needs_room
def test_an_input_that_cannot_be_mounted_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*arguments: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(keeper, "_mount_inputs", forbidden)
    assert "inputs" in run(tmp_path).why


def test_on_macos_the_room_is_refused_and_says_what_else_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    error = run(tmp_path)
    assert "everything else works" in error.why
    assert [(one.name, one.present) for one in primitives.survey()] == [("linux", False)]


def test_on_macos_isolation_none_still_runs_and_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    result, _ = hear(tmp_path, "open('out', 'w').write('x')", isolation="none")
    assert result.facts["rung"] == "unisolated"
    assert [output.relpath for output in result.outputs] == ["out"]


@pytest.mark.parametrize(
    ("switch", "value", "mend"),
    [
        ("apparmor_restrict_unprivileged_userns", "1", "apparmor_restrict_unprivileged_userns=0"),
        ("unprivileged_userns_clone", "0", "unprivileged_userns_clone=1"),
        ("max_user_namespaces", "0", "max_user_namespaces="),
    ],
)
def test_a_switch_that_forbids_namespaces_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switch: str, value: str, mend: str
) -> None:
    (tmp_path / switch).write_text(f"{value}\n")
    moved = tuple(
        (str(tmp_path / Path(path).name), forbids, line)
        for path, forbids, line in primitives._SWITCHES
    )
    monkeypatch.setattr(primitives, "_SWITCHES", moved)
    failed = keeper.Failed(errno.EPERM, "Operation not permitted")
    assert mend in primitives.refusal(failed).hint
