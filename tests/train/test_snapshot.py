from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.core.errors import BadInput, Unavailable, VerifyError
from sealwright.evidence import jcs
from sealwright.train import snapshot

from .projects import commit, git, write

KEY = "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n"


def paths(taken: snapshot.Snapshot) -> list[str]:
    return [file.path for file in taken.files]


def rules(taken: snapshot.Snapshot) -> dict[str, str]:
    return {one.path: one.rule for one in taken.withheld}


def test_code_is_what_git_tracks_plus_untracked_unignored_files(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "a", ".gitignore": "junk/\n*.tmp\n", "pkg/m.py": "b"})
    commit(tmp_path)
    write(tmp_path, {"new.py": "c", "junk/x.py": "d", "y.tmp": "e"})
    taken = snapshot.take(tmp_path)
    assert paths(taken) == [".gitignore", "new.py", "pkg/m.py", "train.py"]
    assert taken.source == "git"


def test_without_git_the_tree_is_walked_and_says_so(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "a", "__pycache__/m.pyc": "x", ".venv/pyvenv.cfg": "home = /"})
    write(tmp_path, {"node_modules/x/i.js": "x", "pkg/m.py": "y"})
    taken = snapshot.take(tmp_path)
    assert (taken.source, taken.commit, taken.dirty) == ("walk", "", False)
    assert paths(taken) == ["pkg/m.py", "train.py"]


def test_an_unignored_environment_is_not_code(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "a"})
    commit(tmp_path)
    write(tmp_path, {"env/pyvenv.cfg": "home = /", "env/lib/python3.11/site-packages/m.py": "x"})
    write(tmp_path, {"cenv/conda-meta/history": "", "cenv/bin/tool": "x"})
    assert paths(snapshot.take(tmp_path)) == ["train.py"]


@pytest.mark.parametrize("with_git", [True, False])
def test_secrets_and_private_places_never_enter(tmp_path: Path, with_git: bool) -> None:
    write(
        tmp_path,
        {
            "train.py": "a",
            ".env": "TOKEN=1",
            "conf/.env.production": "TOKEN=1",
            ".ENV": "TOKEN=1",
            ".seal/ledger.db": "x",
            "deploy/id_rsa": "x",
            "server.key": "x",
            "credentials.json": "{}",
            "innocent.txt": KEY,
            "both.pem": "-----BEGIN CERTIFICATE-----\nx\n" + KEY,
            "ca.pem": "-----BEGIN CERTIFICATE-----\nx\n",
            "credentials/__init__.py": "a package of that name is code",
        },
    )
    if with_git:
        commit(tmp_path)
    taken = snapshot.take(tmp_path, keep=["*"])
    assert paths(taken) == ["ca.pem", "credentials/__init__.py", "train.py"]
    assert ".git" not in {Path(path).parts[0] for path in paths(taken)}
    assert rules(taken)["innocent.txt"] == "snapshot.secret"
    assert rules(taken)["both.pem"] == "snapshot.secret"


def test_undeclared_data_is_withheld_and_listed(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "a", "data/extra.csv": "x,y\n1,2\n", "model.joblib": b"\x80"})
    write(tmp_path, {"notes.txt": b"0" * ((8 << 20) + 1), "conf.json": "{}"})
    write(tmp_path, {"big.json": b"0" * ((1 << 20) + 1)})
    taken = snapshot.take(tmp_path)
    assert paths(taken) == ["conf.json", "train.py"]
    assert rules(taken) == {
        "big.json": "snapshot.data",
        "data/extra.csv": "snapshot.data",
        "model.joblib": "snapshot.model",
        "notes.txt": "snapshot.large",
    }


def test_declared_data_is_neither_code_nor_withheld(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "a", "data/train.csv": "x", "images/1.txt": "x", "data.py": "b"})
    taken = snapshot.take(tmp_path, {"data/train.csv", "images/"})
    assert paths(taken) == ["data.py", "train.py"]
    assert taken.withheld == ()


def test_keep_admits_a_data_like_file_as_code(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "a", "pkg/table.csv": "1"})
    assert paths(snapshot.take(tmp_path, keep=["pkg/*.csv"])) == ["pkg/table.csv", "train.py"]


def test_a_few_images_are_code_and_many_are_data(tmp_path: Path) -> None:
    write(tmp_path, {"logo.png": "x", "train.py": "a"})
    assert "logo.png" in paths(snapshot.take(tmp_path))
    write(tmp_path, {f"images/{number}.png": "x" for number in range(20)})
    taken = snapshot.take(tmp_path)
    assert paths(taken) == ["train.py"]
    assert len(taken.withheld) == 21


def test_the_digest_follows_content_name_and_execute_bit_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "a"})
    first = snapshot.take(tmp_path).digest
    os.utime(tmp_path / "train.py", (1, 1))
    (tmp_path / "train.py").chmod(0o600)
    assert snapshot.take(tmp_path).digest == first
    (tmp_path / "train.py").chmod(0o755)
    executable = snapshot.take(tmp_path).digest
    write(tmp_path, {"train.py": "b"})
    other = snapshot.take(tmp_path).digest
    (tmp_path / "train.py").rename(tmp_path / "t.py")
    assert len({first, executable, other, snapshot.take(tmp_path).digest}) == 4


def test_the_same_tree_elsewhere_has_the_same_digest_with_or_without_git(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"train.py": "a", "pkg/m.py": "b"}
    one, two = write(tmp_path / "1", files), write(tmp_path / "2", files)
    (one / "link").symlink_to("train.py")
    (two / "link").symlink_to(two / "train.py")
    commit(two)
    assert snapshot.take(one).digest == snapshot.take(two).digest


def test_a_link_inside_is_kept_and_a_link_outside_is_withheld(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", {"secret": "x"})
    project = write(tmp_path / "p", {"train.py": "a", "pkg/m.py": "b", ".env": "x"})
    (project / "pkg2").symlink_to("pkg")
    (project / "out").symlink_to(outside)
    (project / "up").symlink_to("../outside/secret")
    (project / "gone").symlink_to("nowhere")
    (project / "loop").symlink_to("loop")
    (project / "hidden").symlink_to(".env")
    taken = snapshot.take(project)
    assert paths(taken) == ["pkg/m.py", "pkg2", "train.py"]
    assert {rules(taken)[name] for name in ("out", "up", "gone", "loop", "hidden")} == {
        "snapshot.link"
    }


def test_sockets_and_pipes_are_withheld_without_hanging(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "a"})
    os.mkfifo(tmp_path / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.relpath(tmp_path / "sock"))
    listener.close()
    taken = snapshot.take(tmp_path)
    assert rules(taken) == {"pipe": "snapshot.special", "sock": "snapshot.special"}


def test_a_tree_deeper_than_a_path_may_be_long_is_withheld_where_it_ends(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "a"})
    top = os.open(tmp_path, os.O_RDONLY)
    fd = top
    for _ in range(60):
        os.mkdir("d" * 80, dir_fd=fd)
        below = os.open("d" * 80, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    taken = snapshot.take(tmp_path)
    assert paths(taken) == ["train.py"]
    shutil.rmtree(tmp_path)


def test_a_name_that_is_not_utf8_is_withheld(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9.py"))).write_text("x")
    write(tmp_path, {"train.py": "a"})
    taken = snapshot.take(tmp_path)
    assert paths(taken) == ["train.py"]
    assert [one.rule for one in taken.withheld] == ["snapshot.name"]


def test_the_diff_is_empty_exactly_when_the_tree_is_the_commit(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "a", "m.py": "b", "t.csv": "1"})
    commit(tmp_path)
    clean = snapshot.take(tmp_path)
    assert (clean.commit, clean.dirty, clean.diff) == (
        git(tmp_path, "rev-parse", "HEAD").strip(),
        False,
        "",
    )
    write(tmp_path, {"train.py": "A", "new.py": "c"})
    (tmp_path / "m.py").unlink()
    dirty = snapshot.take(tmp_path)
    assert [change.path for change in dirty.changes] == ["m.py", "new.py", "train.py"]
    assert dirty.dirty
    assert len(dirty.diff) == 64


def test_a_changed_execute_bit_is_a_diff(tmp_path: Path) -> None:
    commit(write(tmp_path, {"train.py": "a"}))
    (tmp_path / "train.py").chmod(0o755)
    assert [change.path for change in snapshot.take(tmp_path).changes] == ["train.py"]


def test_a_repository_without_a_commit_is_listed(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "a"})
    git(tmp_path, "init", "-q")
    taken = snapshot.take(tmp_path)
    assert (paths(taken), taken.commit, taken.source) == (["train.py"], "", "git")


def test_a_project_below_the_top_of_its_repository_is_its_own_tree(tmp_path: Path) -> None:
    write(tmp_path, {"a/train.py": "a", "b/other.py": "b"})
    commit(tmp_path)
    taken = snapshot.take(tmp_path / "a")
    assert (paths(taken), taken.dirty) == (["train.py"], False)


def test_a_repository_inside_a_repository_brings_its_code(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "a"})
    commit(tmp_path)
    commit(write(tmp_path / "lib", {"m.py": "b", ".gitignore": "x"}))
    assert paths(snapshot.take(tmp_path)) == ["lib/.gitignore", "lib/m.py", "train.py"]


def test_git_configuration_of_the_project_starts_no_program(tmp_path: Path) -> None:
    project = commit(write(tmp_path / "p", {"train.py": "a", ".gitattributes": "* filter=x\n"}))
    write(project, {"train.py": "b"})
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    trap.chmod(0o755)
    for key in ("core.fsmonitor", "filter.x.clean", "filter.x.process", "diff.external"):
        git(project, "config", key, str(trap))
    git(project, "config", "core.hooksPath", str(tmp_path))
    control = subprocess.run(["git", "-C", str(project), "status"], capture_output=True)
    assert (tmp_path / "sprung").exists(), control
    (tmp_path / "sprung").unlink()
    assert snapshot.take(project).dirty
    assert not (tmp_path / "sprung").exists()


def test_a_partial_clone_fetches_nothing(tmp_path: Path) -> None:
    project = commit(write(tmp_path / "p", {"pkg/train.py": "a"}))
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    for key, value in (
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", f"ext::{trap}"),
        ("protocol.ext.allow", "always"),
    ):
        git(project, "config", key, value)
    folder = git(project, "rev-parse", "HEAD:pkg").strip()
    (project / ".git/objects" / folder[:2] / folder[2:]).unlink()
    subprocess.run(["git", "-C", str(project), "ls-tree", "-r", "HEAD"], capture_output=True)
    assert (tmp_path / "sprung").exists()
    (tmp_path / "sprung").unlink()
    with pytest.raises(Unavailable):
        snapshot.take(project)
    assert not (tmp_path / "sprung").exists()


def test_git_variables_around_us_do_not_point_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = commit(write(tmp_path / "other", {"other.py": "x"}))
    project = commit(write(tmp_path / "p", {"train.py": "a"}))
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert paths(snapshot.take(project)) == ["train.py"]


def test_a_broken_repository_is_an_error_that_names_the_next_step(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "a", ".git/HEAD": "nonsense"})
    with pytest.raises(Unavailable) as caught:
        snapshot.take(tmp_path)
    assert "git -C" in caught.value.hint


def test_a_missing_project_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        snapshot.take(tmp_path / "nowhere")


def test_contents_are_the_bytes_that_were_hashed(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "a", "m.py": b"\x00\xff"})
    (tmp_path / "link").symlink_to("m.py")
    taken = snapshot.take(tmp_path)
    assert [(file.path, content) for file, content in taken.contents()] == [
        ("link", b""),
        ("m.py", b"\x00\xff"),
        ("train.py", b"a"),
    ]


@pytest.mark.parametrize("tamper", ["content", "gone", "link", "mode", "retarget"])
def test_a_file_that_changes_after_hashing_is_refused(tmp_path: Path, tamper: str) -> None:
    write(tmp_path, {"train.py": "a", "m.py": "b"})
    (tmp_path / "link").symlink_to("m.py")
    taken = snapshot.take(tmp_path)
    here = tmp_path / "train.py"
    if tamper == "content":
        here.write_text("z")
    elif tamper == "mode":
        here.chmod(0o755)
    elif tamper == "retarget":
        (tmp_path / "link").unlink()
        (tmp_path / "link").symlink_to("train.py")
    else:
        here.unlink()
        if tamper == "link":
            here.symlink_to("m.py")
    with pytest.raises(VerifyError) as caught:
        list(taken.contents())
    assert caught.value.rule == "snapshot.changed"


def test_a_manifest_reads_back_as_the_same_files(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "a", "pkg/m.py": "b"})
    (tmp_path / "pkg/link").symlink_to("../train.py")
    (tmp_path / "train.py").chmod(0o755)
    taken = snapshot.take(tmp_path)
    assert snapshot.files_of(taken.manifest()) == taken.files


SHA = "0" * 64


@pytest.mark.parametrize(
    "row",
    [
        {"path": "../x", "mode": "file", "size": 0, "sha256": SHA},
        {"path": "/x", "mode": "file", "size": 0, "sha256": SHA},
        {"path": "a//x", "mode": "file", "size": 0, "sha256": SHA},
        {"path": "a/./x", "mode": "file", "size": 0, "sha256": SHA},
        {"path": "x", "mode": "link", "link": "../y"},
        {"path": "a/x", "mode": "link", "link": "../../y"},
        {"path": "x", "mode": "link", "link": "/etc"},
    ],
)
def test_a_manifest_that_leads_out_of_its_tree_is_refused(row: dict[str, object]) -> None:
    manifest = jcs.canonical({"format": snapshot.FORMAT, "files": [row]})
    with pytest.raises(VerifyError) as caught:
        snapshot.files_of(manifest)
    assert caught.value.rule == "snapshot.escape"


def test_a_manifest_with_a_file_below_a_link_is_refused() -> None:
    rows = [
        {"path": "a", "mode": "link", "link": "b"},
        {"path": "a/x", "mode": "file", "size": 0, "sha256": SHA},
    ]
    with pytest.raises(VerifyError) as caught:
        snapshot.files_of(jcs.canonical({"format": snapshot.FORMAT, "files": rows}))
    assert caught.value.rule == "snapshot.escape"


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_manifest_with_one_flipped_byte_is_refused_or_has_another_digest(
    data: st.DataObject,
) -> None:
    files = (snapshot.CodeFile("a.py", "file", 1, SHA), snapshot.CodeFile("b.py", "exec", 2, SHA))
    manifest = bytearray(snapshot.manifest_of(files))
    manifest[data.draw(st.integers(0, len(manifest) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        read = snapshot.files_of(bytes(manifest))
    except VerifyError:
        return
    assert read != files
