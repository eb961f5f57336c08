"""What lies where a file of ours should lie: one clear error each, no hang and no traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from app_house import needs_room

from sealwright.core import reading
from sealwright.core.errors import BadInput

Put = Callable[[Path], object]
DEEP = 200_000


def cleared(path: Path) -> Path:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    return path


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 << 30)


PUTS: dict[str, Put] = {
    "a named pipe": os.mkfifo,
    "a directory": Path.mkdir,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a device that never ends": lambda path: path.symlink_to("/dev/zero"),
    "brackets": lambda path: path.write_text("[" * DEEP),
    "objects": lambda path: path.write_text('{"a":' * DEEP),
    "a nested array": lambda path: path.write_text("a = " + "[" * DEEP),
    "three gigabytes": sparse,
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00{"),
    "nothing": lambda path: path.write_bytes(b""),
    "a huge number": lambda path: path.write_text("9" * 100_000),
}
PLACES = {
    "seal.toml": ("data", "list"),
    ".seal/workspace.json": ("data", "list"),
    ".seal/trust/1.json": ("data", "list"),
    "policies/solo.cedar": ("policy", "check"),
    "policies/facts-v1.cedarschema": ("policy", "check"),
}


AS_IF_ABSENT = {
    ("seal.toml", "a link to itself"),
    ("seal.toml", "nothing"),
    ("policies/solo.cedar", "nothing"),
}
"""No settings are the defaults, and no rule of a profile is a policy that permits nothing."""


def told(project, *words: str) -> tuple[int, str]:
    child = project.spawn(*words, stdin=subprocess.DEVNULL)
    try:
        _, err = child.communicate(timeout=60)
    finally:
        child.kill()
    return child.returncode, err


def is_one_clear_error(code: int, err: str) -> bool:
    return code in (1, 2) and err.startswith("seal: ") and "Traceback" not in err


@pytest.mark.parametrize("place", PLACES)
def test_a_file_of_the_project_that_is_no_file_ends_in_words(project, place) -> None:
    path = project.root / place
    for name, put in PUTS.items():
        kept = path.read_bytes()
        put(cleared(path))
        code, err = told(project, *PLACES[place])
        cleared(path).write_bytes(kept)
        fine = (place, name) in AS_IF_ABSENT and code in (0, 1) and "Traceback" not in err
        assert fine or is_one_clear_error(code, err), (place, name, code, err[-500:])
    code, err = told(project, *PLACES[place])
    assert code == 0, err


GIVEN = {
    "a bundle": ("verify", "given"),
    "a backup": ("restore", "given"),
    "a proof": ("data", "prove", "--check", "given", "--root", "0" * 64),
    "a policy set": ("verify", "bundle", "--policy", "given"),
    "a trust file": ("data", "prove", "--check", "proof.json", "--trust", "given"),
}


@pytest.mark.parametrize("what", GIVEN)
def test_what_somebody_handed_over_and_is_not_that_ends_in_words(project, what) -> None:
    (project.root / "bundle" / "evidence").mkdir(parents=True)
    project.ok("data", "prove", "train", "--row", "1", "--out", "proof.json")
    for name, put in PUTS.items():
        put(cleared(project.root / "given"))
        code, err = told(project, *GIVEN[what])
        assert is_one_clear_error(code, err), (what, name, code, err[-500:])


def test_a_tar_of_many_names_or_great_claims_is_refused_by_both_readers(project) -> None:
    given = project.root / "given"
    with tarfile.open(given, "w") as tar:
        for number in range(20_000):
            tar.addfile(tarfile.TarInfo(f"{number:06}"))
    for words in (("verify", "given"), ("restore", "given")):
        assert is_one_clear_error(*told(project, *words))
    claim = tarfile.TarInfo("catalogue.json")
    claim.size = 1 << 62
    given.write_bytes(claim.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    for words in (("verify", "given"), ("restore", "given")):
        assert is_one_clear_error(*told(project, *words))


def test_a_name_that_turns_the_terminal_is_shown_and_not_obeyed(project) -> None:
    name = "a\x1b[2J\u202e\n.csv"
    project.write(f"odd/{name}", "x\n1\n")
    code, err = told(project, "data", "add", f"odd/{name}", "--name", "odd")
    shown = (code, err, project.spawn("data", "show", "odd").communicate(timeout=60)[0])
    assert not any(mark in str(part) for part in shown for mark in ("\x1b", "\u202e")), shown


@needs_room
def test_a_hostile_git_repository_runs_nothing(project) -> None:
    """What a repository's own configuration may name as a program is never started."""
    mark = project.root.parent / "ran"
    project.write(
        ".git/config",
        "[core]\n\trepositoryformatversion = 0\n"
        + f"\tfsmonitor = touch {mark}\n\tsshCommand = touch {mark}\n\tpager = touch {mark}\n"
        + f"[diff]\n\texternal = touch {mark}\n"
        + f'[filter "x"]\n\tclean = touch {mark}\n\tsmudge = touch {mark}\n\trequired = true\n'
        + f"[alias]\n\tls-files = !touch {mark}\n",
    )
    project.write(".git/HEAD", "ref: refs/heads/main\n")
    for folder in ("objects", "refs"):
        (project.root / ".git" / folder).mkdir()
    project.write(".gitattributes", "* filter=x diff=x\n")
    told(project, "run", "--model", "model.json", "--name", "m", "--", sys.executable, "train.py")
    assert not mark.exists()


def test_a_plain_file_is_read_through_a_link_and_only_so_far(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").symlink_to("a")
    assert reading.small_file(tmp_path / "b") == b"12345"
    with pytest.raises(BadInput, match="too large"):
        reading.small_file(tmp_path / "b", 4)
