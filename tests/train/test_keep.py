from __future__ import annotations

import os
from pathlib import Path

import pytest

from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.store_local import LocalStore
from sealwright.core.errors import VerifyError
from sealwright.train import environment, keep, snapshot

from .projects import write


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    kms, _ = FileKms.initialize(tmp_path / "state", None)
    kms.create(keep.SCOPE)
    return LocalStore(tmp_path / "store", kms)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = write(
        tmp_path / "p",
        {"train.py": "a", "copy.py": "a", "empty.py": "", "big.txt": os.urandom(100_000)},
    )
    write(root, {"pkg/m.py": b"\x00\xff"})
    (root / "pkg/link").symlink_to("../train.py")
    (root / "train.py").chmod(0o755)
    return root


def test_the_code_is_kept_exactly_though_the_project_changed(
    store: LocalStore, project: Path
) -> None:
    taken = snapshot.take(project)
    record = keep.save_code(store, taken)
    before = dict(taken.contents())
    for path in (project / "train.py", project / "big.txt"):
        path.write_text("changed")
    kept = keep.load_code(store, record, taken.digest)
    assert dict(kept.contents()) == before
    assert kept.digest == taken.digest


def test_keeping_equal_code_twice_adds_nothing(store: LocalStore, project: Path) -> None:
    first = keep.save_code(store, snapshot.take(project))
    held = store.segments(keep.SCOPE)
    assert keep.save_code(store, snapshot.take(project)) == first
    assert store.segments(keep.SCOPE) == held


def test_a_large_file_is_kept_once_for_all_runs(store: LocalStore, project: Path) -> None:
    keep.save_code(store, snapshot.take(project))
    held = store.segments(keep.SCOPE)
    (project / "train.py").write_text("b")
    keep.save_code(store, snapshot.take(project))
    assert len(store.segments(keep.SCOPE) - held) == 2


def test_code_that_changed_since_it_was_hashed_is_not_kept(
    store: LocalStore, project: Path
) -> None:
    taken = snapshot.take(project)
    (project / "train.py").write_text("b")
    with pytest.raises(VerifyError) as caught:
        keep.save_code(store, taken)
    assert caught.value.rule == "snapshot.changed"


def test_another_runs_code_is_refused(store: LocalStore, project: Path) -> None:
    record = keep.save_code(store, snapshot.take(project))
    (project / "train.py").write_text("b")
    with pytest.raises(VerifyError) as caught:
        keep.load_code(store, record, snapshot.take(project).digest)
    assert caught.value.rule == "snapshot.kept-changed"


def test_a_tree_of_links_and_empty_files_is_kept(store: LocalStore, tmp_path: Path) -> None:
    root = write(tmp_path / "p", {"empty.py": ""})
    (root / "link").symlink_to("empty.py")
    taken = snapshot.take(root)
    kept = keep.load_code(store, keep.save_code(store, taken), taken.digest)
    assert [(file.path, content) for file, content in kept.contents()] == [
        ("empty.py", b""),
        ("link", b""),
    ]


def test_the_room_gets_modes_contents_and_link_targets(store: LocalStore, project: Path) -> None:
    taken = snapshot.take(project)
    kept = keep.load_code(store, keep.save_code(store, taken), taken.digest)
    files = snapshot.room_files(taken.contents())
    assert files == snapshot.room_files(kept.contents())
    by_path = {file.relpath: (oct(file.mode), file.content) for file in files}
    assert by_path["train.py"] == ("0o100755", b"a")
    assert by_path["empty.py"] == ("0o100644", b"")
    assert by_path["pkg/link"] == ("0o120777", b"../train.py")


def test_the_environment_record_comes_back_or_is_refused(store: LocalStore, tmp_path: Path) -> None:
    found = environment.describe(["sh"], tmp_path)
    record = keep.save_environment(store, found)
    assert keep.load_environment(store, record, found.digest) == found.identity
    with pytest.raises(VerifyError) as caught:
        keep.load_environment(store, record, "0" * 64)
    assert caught.value.rule == "environment.kept-changed"
