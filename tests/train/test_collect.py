"""What comes out of a room: regular files, as they are, to where they were written."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec
import pytest

from sealwright.core.errors import Refused, Unavailable, VerifyError
from sealwright.train import fill, kernel, leftovers
from sealwright.train.collect import WorkTree
from sealwright.train.mounts import InputMount
from sealwright.train.spec import CodeFile

from .rooms import needs_room, play

FOLDER = os.O_RDONLY | os.O_DIRECTORY


def survey(copy: Path, code: dict[str, bytes], covered: tuple[str, ...] = ()) -> WorkTree:
    """A work tree over the folder ``copy``, which began as ``code``."""
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in code.items()}
    mounts = tuple(InputMount(path, False) for path in covered)
    laid = fill.Laid(digests, {}, frozenset())
    return WorkTree(os.open(copy, FOLDER), laid, mounts)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / "train.py").write_bytes(b"code")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def test_new_changed_and_removed_files_are_told_apart(copy: Path) -> None:
    (copy / "kept.txt").write_bytes(b"same")
    (copy / "config.json").write_bytes(b"after")
    (copy / "out").mkdir()
    (copy / "out/model.bin").write_bytes(b"weights")
    tree = survey(
        copy, {"train.py": b"code", "kept.txt": b"same", "config.json": b"x", "gone.txt": b""}
    )
    found = {output.relpath: output.change for output in tree.left.outputs}
    assert found == {"config.json": "changed", "out/model.bin": "new"}
    assert [finding.rule for finding in tree.left.findings] == ["room.code-changed"]
    assert tree.left.removed == ("gone.txt",)
    model = tree.left.outputs[1]
    assert model.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert model.size == 7


@pytest.mark.parametrize("folder", ["__pycache__", ".git", ".seal", "pkg/__pycache__"])
def test_caches_and_the_ledger_are_never_collected(copy: Path, folder: str) -> None:
    (copy / folder).mkdir(parents=True)
    (copy / folder / "x").write_text("x")
    assert survey(copy, {"train.py": b"code"}).left.outputs == ()


def test_inputs_are_never_collected(copy: Path) -> None:
    (copy / "data.csv").write_text("x")
    assert survey(copy, {"train.py": b"code"}, ("data.csv",)).left.outputs == ()


@pytest.mark.parametrize("kind", ["link", "dangling", "folder-link", "fifo"])
def test_what_is_no_regular_file_is_a_finding_and_stays(copy: Path, kind: str) -> None:
    target = copy / "out"
    if kind == "fifo":
        os.mkfifo(target)
    else:
        targets = {"link": "/etc/passwd", "dangling": "nowhere", "folder-link": "/etc"}
        target.symlink_to(targets[kind])
    left = survey(copy, {"train.py": b"code"}).left
    assert left.outputs == ()
    assert [finding.rule for finding in left.findings] == ["room.output-special"]
    assert "out" in left.findings[0].message


def test_a_name_that_is_not_text_is_a_finding(copy: Path) -> None:
    Path(os.fsdecode(bytes(copy) + b"/\xff\xfe")).write_text("x")
    left = survey(copy, {"train.py": b"code"}).left
    assert left.outputs == ()
    assert [finding.rule for finding in left.findings] == ["room.output-name"]
    left.findings[0].message.encode()


def test_findings_do_not_grow_without_end(copy: Path) -> None:
    for number in range(300):
        (copy / f"l{number}").symlink_to("x")
    assert len(survey(copy, {"train.py": b"code"}).left.findings) == 100


def test_a_deep_tree_is_collected(copy: Path) -> None:
    deep = "/".join(["d"] * 1500)
    here = os.open(copy, FOLDER)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", FOLDER, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    tree = survey(copy, {"train.py": b"code"})
    leftovers.remove(copy)
    assert [output.relpath for output in tree.left.outputs] == [f"{deep}/leaf"]


def test_outputs_go_to_where_the_script_wrote_them(copy: Path, project: Path) -> None:
    (copy / "a/b").mkdir(parents=True)
    (copy / "a/b/model.bin").write_bytes(b"weights")
    (copy / "run.sh").write_bytes(b"#!/bin/sh\n")
    (copy / "run.sh").chmod(0o755)
    (project / "run.sh").write_text("before")
    survey(copy, {"train.py": b"code"}).write_back(project)
    assert (project / "a/b/model.bin").read_bytes() == b"weights"
    assert (project / "run.sh").read_bytes() == b"#!/bin/sh\n"
    assert (project / "run.sh").stat().st_mode & 0o777 == 0o755
    assert sorted(p.name for p in project.iterdir()) == ["a", "run.sh"]


def test_nothing_is_written_through_a_linked_folder(
    copy: Path, project: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (project / "out").symlink_to(outside)
    (copy / "out").mkdir()
    (copy / "out/x").write_text("x")
    with pytest.raises(Refused) as refused:
        survey(copy, {"train.py": b"code"}).write_back(project)
    assert refused.value.rule == "room.output-through-link"
    assert list(outside.iterdir()) == []


def test_a_linked_file_is_replaced_and_its_target_left_alone(
    copy: Path, project: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    (project / "model.bin").symlink_to(outside)
    (copy / "model.bin").write_text("new")
    survey(copy, {"train.py": b"code"}).write_back(project)
    assert outside.read_text() == "mine"
    assert not (project / "model.bin").is_symlink()
    assert (project / "model.bin").read_text() == "new"


def test_a_folder_in_the_way_is_refused_and_stays(copy: Path, project: Path) -> None:
    (project / "model").mkdir()
    (project / "model/keep").write_text("keep")
    (copy / "model").write_text("new")
    with pytest.raises(Refused) as refused:
        survey(copy, {"train.py": b"code"}).write_back(project)
    assert refused.value.rule == "room.output-in-the-way"
    assert (project / "model/keep").read_text() == "keep"


def test_an_output_that_changed_since_it_was_listed_is_not_copied(
    copy: Path, project: Path
) -> None:
    (copy / "model.bin").write_bytes(b"listed")
    tree = survey(copy, {"train.py": b"code"})
    (copy / "model.bin").write_bytes(b"swapped")
    with pytest.raises(VerifyError):
        tree.write_back(project)
    assert list(project.iterdir()) == []


def test_an_output_swapped_for_a_link_is_not_followed(copy: Path, project: Path) -> None:
    (copy / "model.bin").write_bytes(b"listed")
    tree = survey(copy, {"train.py": b"code"})
    (copy / "model.bin").unlink()
    (copy / "model.bin").symlink_to("/etc/passwd")
    with pytest.raises(OSError):
        tree.write_back(project)
    assert list(project.iterdir()) == []


def test_outputs_that_do_not_fit_on_the_disk_change_nothing(
    copy: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy / "model.bin").write_bytes(b"weights")
    tree = survey(copy, {"train.py": b"code"})
    huge = msgspec.structs.replace(tree.left.outputs[0], size=1 << 60)
    with pytest.raises(Unavailable):
        tree.write_back(project, [huge])
    assert list(project.iterdir()) == []


@pytest.mark.parametrize("path", ["../up", "a/../../up", "/etc/passwd", "link/x"])
@pytest.mark.parametrize("by_steps", [False, True])
def test_no_path_leaves_the_tree_with_openat2_or_without(
    copy: Path, path: str, by_steps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy.parent / "up").write_text("secret")
    (copy / "link").symlink_to("..")
    (copy / "a").mkdir()
    if by_steps:
        monkeypatch.setattr(kernel, "_OPENAT2", 99_999)
    top = os.open(copy, FOLDER)
    with pytest.raises(OSError):
        kernel.open_beneath(top, path, os.O_RDONLY)
    os.close(top)


@pytest.mark.parametrize("by_steps", [False, True])
def test_a_path_inside_the_tree_opens(
    copy: Path, by_steps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy / "a").mkdir()
    (copy / "a/x").write_text("inside")
    if by_steps:
        monkeypatch.setattr(kernel, "_OPENAT2", 99_999)
    top = os.open(copy, FOLDER)
    with open(kernel.open_beneath(top, "a/x", os.O_RDONLY)) as stream:
        assert stream.read() == "inside"
    os.close(top)


@pytest.mark.parametrize("relpath", ["", "/abs", "../up", "a//b", "a/./b", "a/..", "nul\0"])
def test_code_cannot_be_laid_outside_the_copy(copy: Path, relpath: str) -> None:
    top = os.open(copy, FOLDER)
    with pytest.raises(Exception, match="not a path inside"):
        fill.lay_code(top, [CodeFile(relpath, 0o100644, b"x")], ())
    os.close(top)


@needs_room
def test_outputs_of_a_real_room_come_back_after_it_is_gone(tmp_path: Path, project: Path) -> None:
    script = """
import os
os.makedirs("out/deep")
open("out/deep/model.bin", "wb").write(os.urandom(3_000_000))
os.symlink("/etc/passwd", "sneaky")
os.mkfifo("out/pipe")
os.remove("old.txt")
"""
    code = (
        CodeFile("train.py", 0o100644, script.encode()),
        CodeFile("old.txt", 0o100644, b"old"),
    )
    with play(tmp_path, code=code) as result:
        assert [(o.relpath, o.size) for o in result.outputs] == [("out/deep/model.bin", 3_000_000)]
        assert sorted(f.rule for f in result.findings) == ["room.output-special"] * 2
        assert result.removed == ("old.txt",)
        result.write_back(project)
        with result.open(result.outputs[0]) as stream:
            assert stream.read() == (project / "out/deep/model.bin").read_bytes()


@needs_room
def test_a_file_the_script_locked_away_is_still_told(tmp_path: Path) -> None:
    script = """
import os
open("locked", "w").write("x"); os.chmod("locked", 0)
os.mkdir("shut"); open("shut/in", "w").write("x"); os.chmod("shut", 0)
"""
    with play(tmp_path, script) as result:
        told = {o.relpath for o in result.outputs} | {f.message.split()[0] for f in result.findings}
        assert {"locked"} <= told
        assert told & {"shut", "shut/in", "shut/"}
