"""Which paths of the machine a room has to show for a program to start, and which variables.

Everything is shown read-only at its own place. What is shown is listed, never the reverse: no
home directory, no parent of the project, and no source tree's secrets.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from sealwright.train import withheld
from sealwright.train.interpreter import Interpreter, Program

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32")


def too_wide(path: Path, root: Path) -> bool:
    """Is ``path`` the project's parent, the home or one of theirs? Nothing that wide is shown."""
    return path != root and any(kept.is_relative_to(path) for kept in (root, Path.home()))


def binds(
    program: Program, python: Interpreter | None, trees: Iterable[Path], root: Path
) -> tuple[str, ...]:
    """The paths to show besides the system's own: absolute, outermost only, sorted.

    ``trees`` are source trees outside the environment.
    """
    wanted: list[Path] = []
    if python:
        for folder in (Path(python.prefix), Path(python.base)):
            wanted += _narrowed(folder, Path(python.stdlib).name, root)
        wanted += [Path(python.path), Path(python.stdlib), *map(Path, python.sites)]
        wanted += [Path(python.user_site)] if python.user_site else []
        wanted += _hops(Path(python.path))
    path = Path(program.path)
    if not path.is_relative_to(root):
        wanted += [path, *_hops(path)]
    wanted += [part for tree in trees for part in _shown(tree)]
    return _outermost([*wanted, *(one.resolve() for one in wanted)], root)


def _narrowed(prefix: Path, library: str, root: Path) -> list[Path]:
    """A prefix that is or holds the home, the project or the whole disk is shown in parts."""
    return [prefix / "lib" / library] if too_wide(prefix, root) else [prefix]


def _hops(path: Path) -> Iterator[Path]:
    """Every link on the way from ``path`` to the file it leads to."""
    for _ in range(40):
        if not path.is_symlink():
            break
        path = Path(os.path.normpath(path.parent / path.readlink()))
        yield path


def _outermost(paths: Iterable[Path], root: Path) -> tuple[str, ...]:
    """Without duplicates, without the system's own, without what lies in another one."""
    kept: list[Path] = []
    for path in sorted({path for path in paths if path.exists()}, key=lambda one: len(one.parts)):
        if any(path.is_relative_to(folder) for folder in (*_SYSTEM, *map(str, kept))):
            continue
        if path != root and not too_wide(path, root):
            kept.append(path)
    return tuple(sorted(map(str, kept)))


def _shown(tree: Path) -> Iterator[Path]:
    """A source tree in as few paths as leave out its secrets and its version control."""
    if withheld.by_place(tree.name):
        return
    if not tree.is_dir() or not _hides(tree):
        yield tree
        return
    for entry in sorted(tree.iterdir()):
        if not entry.is_symlink():
            yield from _shown(entry)


def _hides(tree: Path) -> bool:
    for _, names, files in os.walk(tree):
        if any(withheld.by_place(name) for name in (*names, *files)):
            return True
    return False


def variables(
    python: Interpreter | None, shown: Sequence[str], around: Mapping[str, str], root: Path
) -> dict[str, str]:
    """The variables a room sets so that the same program and modules are found."""
    out: dict[str, str] = {}
    visible = (*_SYSTEM, *shown, str(root))
    first = [str(Path(python.path).parent)] if python else []
    others = [
        os.path.normpath(root / folder)
        for folder in around.get("PATH", os.defpath).split(os.pathsep)
        if folder
    ]
    searched = [f for f in others if any(Path(f).is_relative_to(place) for place in visible)]
    out["PATH"] = os.pathsep.join(dict.fromkeys([*first, *searched]))
    if python and python.prefix != python.base:
        out["VIRTUAL_ENV"] = python.prefix
    for name in ("CONDA_PREFIX", "CONDA_DEFAULT_ENV"):
        if python and around.get("CONDA_PREFIX") == python.prefix and name in around:
            out[name] = around[name]
    if python and around.get("PYTHONPATH"):
        folders = [f for f in around["PYTHONPATH"].split(os.pathsep) if f]
        out["PYTHONPATH"] = os.pathsep.join(os.path.normpath(root / f) for f in folders)
    if python and python.user_site:
        out["PYTHONUSERBASE"] = str(Path(python.user_site).parents[2])
    return out
