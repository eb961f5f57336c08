"""Which paths of a project are code: asked of git, or walked where there is no git.

git is run so that nothing in the repository's configuration can start a program: no hooks, no
fsmonitor, no filters (nothing here reads content through git), no lazy fetch, no prompt.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sealwright.core.errors import Unavailable

_SKIPPED_DIRS = frozenset(
    {
        ".git", ".hg", ".svn", ".seal", "__pycache__", ".pytest_cache", ".mypy_cache",
        ".ruff_cache", ".ipynb_checkpoints", "node_modules", ".tox", ".nox", ".eggs", ".cache",
        ".idea", ".vscode", "mlruns", "wandb", "lightning_logs",
    }
)  # fmt: skip
_GIT = (
    "git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null",
    "-c", "core.untrackedCache=false", "-c", "protocol.allow=never", "-c", "safe.directory=*",
)  # fmt: skip
_TIMEOUT_S = 120


class Head(msgspec.Struct, frozen=True):
    """What git has committed: ``blobs`` maps a path to its (mode, blob id).

    ``nested`` are the paths of submodules, whose files are not in ``blobs``.
    """

    commit: str
    hash_name: str
    blobs: dict[str, tuple[str, str]]
    nested: tuple[str, ...] = ()


def is_repository(project: Path) -> bool:
    """Is ``project`` in a git work tree that git can read?"""
    if not any((folder / ".git").exists() for folder in (project, *project.parents)):
        return False
    answer = _git(project, "rev-parse", "--is-inside-work-tree", check=False)
    if answer.returncode != 0:
        raise Unavailable(
            f"git cannot read the repository of {project}",
            why=_last_line(answer.stderr),
            hint=f"git -C {project} status",
        )
    return answer.stdout.strip() == b"true"


def tracked_and_untracked(project: Path) -> Iterator[bytes]:
    """Relative paths git tracks, and untracked ones it does not ignore; nested repositories too."""
    listing = _git(
        project, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"
    )
    environments: dict[Path, bool] = {}
    for raw in sorted(set(listing.stdout.split(b"\0")) - {b""}):
        path = raw.rstrip(b"/")
        here = project / os.fsdecode(path)
        if _in_environment(here, project, environments):
            continue
        if not stat.S_ISDIR(_mode(here)):
            yield path
        elif (here / ".git").exists():
            for inner in tracked_and_untracked(here):
                yield path + b"/" + inner


def walked(project: Path) -> Iterator[bytes]:
    """Relative paths of every file, without caches, environments and version control."""
    for entry in _below(project):
        yield os.fsencode(entry.relative_to(project))


def _below(top: Path) -> Iterator[Path]:
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            yield folder
            continue
        for entry in entries:
            here = Path(entry.path)
            if not entry.is_dir(follow_symlinks=False):
                if here.suffix not in (".pyc", ".pyo"):
                    yield here
            elif entry.name not in _SKIPPED_DIRS and not is_environment(here):
                waiting.append(here)


def is_environment(folder: Path) -> bool:
    """Is ``folder`` a virtual or conda environment? Those are described, not copied."""
    try:
        return (folder / "pyvenv.cfg").is_file() or (folder / "conda-meta").is_dir()
    except OSError:
        return False


def _in_environment(path: Path, project: Path, known: dict[Path, bool]) -> bool:
    if path == project:
        return False
    if path not in known:
        inherited = _in_environment(path.parent, project, known)
        known[path] = inherited or is_environment(path)
    return known[path]


def head(project: Path) -> Head | None:
    """The commit and its blobs under ``project``; None before the first commit."""
    commit = _git(project, "rev-parse", "--verify", "-q", "HEAD", check=False)
    if commit.returncode != 0:
        return None
    hash_name = _git(project, "rev-parse", "--show-object-format").stdout.decode().strip()
    blobs, nested = {}, []
    for row in _git(project, "ls-tree", "-r", "-z", "HEAD").stdout.split(b"\0"):
        if row:
            facts, _, path = row.partition(b"\t")
            mode, kind, blob = facts.decode().split(" ")
            if kind == "blob":
                blobs[os.fsdecode(path)] = (mode, blob)
            elif kind == "commit":
                nested.append(os.fsdecode(path))
    return Head(commit.stdout.decode().strip(), hash_name, blobs, tuple(nested))


def _git(project: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "LC_ALL": "C",
    }
    try:
        done = subprocess.run(
            [*_GIT, "-C", str(project), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise Unavailable(
            f"{project} is a git repository, and git is not installed", hint="apt install git"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(
            f"git took over {_TIMEOUT_S} s to list {project}", hint=f"git -C {project} status"
        ) from error
    if check and done.returncode != 0:
        raise Unavailable(
            f"git cannot list {project}",
            why=_last_line(done.stderr),
            hint=f"git -C {project} {' '.join(arguments)}",
        )
    return done


def _last_line(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "no message"


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:
        return 0
