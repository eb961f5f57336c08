"""Planning without a room: which inputs are mounted how, and which missing files are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from sealwright.core.errors import BadInput
from sealwright.train import mounts
from sealwright.train.missing import missing_opens
from sealwright.train.mounts import InputMount, plan_inputs


def test_a_few_files_are_mounted_one_by_one() -> None:
    assert plan_inputs(["data/a.csv", "b.csv"]) == (
        InputMount("data/a.csv", False),
        InputMount("b.csv", False),
    )


def test_a_folder_of_many_is_mounted_whole_as_deep_as_can_be() -> None:
    images = [f"data/images/{kind}/{i}.png" for kind in ("cat", "dog") for i in range(100)]
    assert set(plan_inputs([*images, "data/train.csv"])) == {
        InputMount("data/images/cat", True),
        InputMount("data/images/dog", True),
        InputMount("data/train.csv", False),
    }


def test_many_folders_are_mounted_as_their_parent() -> None:
    plan = plan_inputs(f"images/c{c}/{i}.png" for c in range(1000) for i in range(50))
    assert plan == (InputMount("images", True),)


def test_the_number_of_mounts_is_bounded() -> None:
    paths = [f"a{i}/b{j}/c{k}.csv" for i in range(15) for j in range(15) for k in range(15)]
    assert len(plan_inputs(paths)) <= 1024
    assert len(plan_inputs(f"d{i}/x/f{j}" for i in range(60) for j in range(30))) <= 1024


def test_the_project_itself_is_never_an_input_folder() -> None:
    assert all(not mount.is_folder for mount in plan_inputs(f"{i}.csv" for i in range(200)))


@pytest.mark.parametrize("paths", [["a", "a/b"], ["a/b", "a"]])
def test_a_file_cannot_also_be_a_folder(paths: list[str]) -> None:
    with pytest.raises(BadInput):
        plan_inputs(paths)


MESSAGES = {
    "python": "FileNotFoundError: [Errno 2] No such file or directory: 'extra.csv'",
    "pyarrow": "FileNotFoundError: [Errno 2] Failed to open local file 'extra.csv'. Detail: x",
    "pyarrow-bare": "FileNotFoundError: extra.csv",
    "numpy": "FileNotFoundError: extra.csv not found.",
    "h5py": "FileNotFoundError: [Errno 2] Unable to open file (unable to open file: "
    "name = 'extra.csv', errno = 2, error message = 'No such file or directory')",
    "interpreter": "python: can't open file '{project}/extra.csv': [Errno 2] No such file",
    "shell": "cat: extra.csv: No such file or directory",
    "ls": "ls: cannot access 'extra.csv': No such file or directory",
    "polars": "FileNotFoundError: No such file or directory (os error 2): extra.csv",
    "absolute": "FileNotFoundError: [Errno 2] No such file or directory: '{project}/extra.csv'",
}


@pytest.mark.parametrize("library", sorted(MESSAGES))
def test_the_file_is_found_in_the_message_of(library: str, tmp_path: Path) -> None:
    (tmp_path / "extra.csv").write_text("x")
    stderr = f"Traceback:\n  x\n{MESSAGES[library].format(project=tmp_path)}\n"
    assert missing_opens(stderr, ["python", "t.py"], tmp_path, ()) == ("extra.csv",)


def test_a_path_given_on_the_command_line_is_found(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x.csv").write_text("x")
    for argv in (["python", "t.py", "data/x.csv"], ["python", "t.py", "--data=data/x.csv"]):
        assert missing_opens("it failed", argv, tmp_path, ()) == ("data/x.csv",)


def test_a_path_outside_the_project_is_named_in_full(tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("x")
    (tmp_path / "project").mkdir()
    stderr = f"FileNotFoundError: [Errno 2] No such file or directory: '{outside}'"
    assert missing_opens(stderr, [], tmp_path / "project", ()) == (str(outside),)


def test_what_was_in_the_room_or_exists_nowhere_is_not_named(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("x")
    stderr = "No such file or directory: 'in.csv'\nNo such file or directory: 'nowhere.csv'"
    assert missing_opens(stderr, ["python", "in.csv"], tmp_path, {"in.csv"}) == ()


@pytest.mark.parametrize("noise", ["", "\0" * 100, "No such file or directory: ''", "'" * 5000])
def test_noise_names_nothing(noise: str, tmp_path: Path) -> None:
    assert missing_opens(noise, ["a\0b", "/\0"], tmp_path, ()) == ()


def test_the_machine_switches_in_proc_are_covered() -> None:
    targets = {target for _, _, target in mounts._proc_covers()}
    assert {"/proc/sys", "/proc/irq", "/proc/bus"} & targets
    assert not any(part in targets for part in ("/proc/self", "/proc/cpuinfo", "/proc/meminfo"))
