"""Model files of a folder, each opened once and judged as it is: what ``seal supply scan`` does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput
from sealwright.core.ports import Progress
from sealwright.kit.modelfile.opened import Opened
from sealwright.kit.modelfile.policy import Level, Policy, Signed, policy_of
from sealwright.kit.modelfile.report import Unsound, Verdict, settled
from sealwright.kit.modelfile.scan import Scanner

SKIPPED = frozenset({".git", ".seal", "__pycache__", ".venv"})
"""Folders that hold no model: version control, our own store, caches."""


class Scanned(msgspec.Struct, frozen=True):
    """One file. ``sha256`` is of the bytes that were judged, empty where they could not be read."""

    path: str
    sha256: Digest
    verdict: Verdict


def scan_paths(
    paths: Sequence[str], level: Level, signed: Sequence[Signed], progress: Progress
) -> list[Scanned]:
    """Every file at or below ``paths``, in order. Raises: BadInput (a path is not there)."""
    files = [file for path in paths for file in _files(Path(path))]
    if not files:
        raise BadInput("there is nothing to scan", why=f"{', '.join(paths)} holds no files")
    out = list[Scanned]()
    policy = policy_of(level, signed)
    with Scanner(policy) as scanner:
        for done, path in enumerate(files):
            progress.advance(done, len(files), str(path))
            out.append(scan_one(path, scanner, policy))
    return out


def scan_one(path: Path, scanner: Scanner, policy: Policy) -> Scanned:
    """One file by its descriptor. Never raises for what it holds."""
    try:
        with Opened(path) as opened:
            verdict = scanner.scan(opened)
            sha256 = opened.digest()
            opened.unchanged()
            return Scanned(str(path), sha256, verdict)
    except Unsound as error:
        return Scanned(str(path), "", settled([error.found], "", policy.digest))
    except OSError as error:
        found = Unsound("file.fault", error.strerror or "it cannot be opened").found
        return Scanned(str(path), "", settled([found], "", policy.digest))


def _files(path: Path) -> Iterator[Path]:
    if not path.is_symlink() and path.is_dir():
        for folder, folders, names in os.walk(path):
            for name in sorted(folders):
                if (Path(folder) / name).is_symlink():
                    yield Path(folder) / name
            folders[:] = sorted(set(folders) - SKIPPED)
            yield from (Path(folder) / name for name in sorted(names))
    elif os.path.lexists(path):
        yield path
    else:
        raise BadInput(f"there is no {path}", hint="seal supply scan PATH")
