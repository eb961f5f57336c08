"""Looking for credentials in a project's files, with what people waived taken out."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from sealwright.app.wiring import Workspace
from sealwright.core.errors import BadInput
from sealwright.core.reading import open_plain
from sealwright.policy import waivers
from sealwright.policy.approvals import Book
from sealwright.supply import sarif, secretscan
from sealwright.supply.secretscan import Hit

_SKIPPED = frozenset({".git", ".hg", ".svn", ".seal", "__pycache__", ".venv", "node_modules"})
_LABEL = b"secret fingerprint v1"
_KEY = "workspace"


class Looked(msgspec.Struct, frozen=True):
    """What a look at some files found. ``cut`` were too large to be read whole."""

    files: int
    open: tuple[Hit, ...]
    waived: tuple[Hit, ...]
    cut: tuple[str, ...]


class Baseline(msgspec.Struct, frozen=True):
    """The key fingerprints are made with, and the ones that people waived."""

    key: bytes
    waived: frozenset[str] = frozenset()


def baseline(workspace: Workspace) -> Baseline:
    """What this workspace knows, with the waivers of today."""
    history = workspace.history()
    book = Book(history, workspace.trust)
    standing = waivers.standing(history, book, workspace.clock(), workspace.profile)
    return Baseline(fingerprint_key(workspace), waivers.secrets(standing))


def without_workspace() -> Baseline:
    """Nothing is waived, and fingerprints name a value within one run only."""
    return Baseline(secrets.token_bytes(32))


def look(known: Baseline, contents: Iterable[tuple[str, bytes]]) -> Looked:
    """Every credential in ``contents`` (path, bytes), held against what people waived."""
    files = 0
    hits: list[Hit] = []
    cut: list[str] = []
    for path, data in contents:
        files += 1
        scanned = secretscan.scan(path, data, known.key)
        hits += scanned.hits
        if scanned.cut:
            cut.append(path)
    return Looked(
        files,
        tuple(hit for hit in hits if hit.fingerprint not in known.waived),
        tuple(hit for hit in hits if hit.fingerprint in known.waived),
        tuple(cut),
    )


def fingerprint_key(workspace: Workspace) -> bytes:
    """What makes fingerprints this workspace's own: from outside nobody can try values."""
    workspace.kms.create(_KEY)
    return workspace.kms.derive(_KEY, _LABEL)


def files_below(paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of every plain file; links and version control are passed over.

    Raises: BadInput (no such path).
    """
    for text in paths:
        path = Path(text)
        if path.is_dir():
            yield from _folder(path)
        elif path.exists():
            yield text, _read(path)
        else:
            raise BadInput(f"{text} does not exist", hint="seal supply secrets PATH")


def _folder(root: Path) -> Iterator[tuple[str, bytes]]:
    for here, folders, names in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        for name in sorted(names):
            path = Path(here) / name
            if path.is_file() and not path.is_symlink():
                yield str(path), _read(path)


def _read(path: Path) -> bytes:
    with open_plain(path) as stream:
        return stream.read(secretscan.MOST_BYTES + 1)


def jsonable(hit: Hit) -> Mapping[str, str | int]:
    """A hit as commands print it: never the value."""
    return {
        "path": hit.path,
        "line": hit.line,
        "cell": hit.cell,
        "kind": hit.kind,
        "pattern": hit.pattern,
        "coat": hit.coat,
        "confidence": hit.confidence,
        "fingerprint": hit.fingerprint,
    }


def results(hits: Sequence[Hit], lasting: bool) -> Iterator[sarif.Result]:
    """What SARIF shows: the place and the kind, never the value.

    ``lasting`` says that fingerprints are a workspace's, so that a reader may follow them.
    """
    for hit in hits:
        rule = sarif.Rule(
            f"secret.{hit.pattern}",
            f"A credential lies in a file: {hit.pattern}",
            "take it out, and change it where it is used: seal secret set NAME keeps it for a run",
        )
        cell = f" in cell {hit.cell}" if hit.cell else ""
        coat = "" if hit.coat == "text" else f", in {hit.coat}"
        yield sarif.Result(
            rule,
            "error",
            f"what looks like a {hit.kind} ({hit.pattern}){cell}{coat}",
            hit.path,
            line=0 if hit.cell or hit.coat == "strings" else hit.line,
            fingerprint=hit.fingerprint if lasting else "",
        )
