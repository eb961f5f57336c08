"""Canary records: data that nobody has business with, so that whoever opens it is held.

``make`` lays decoys beside a dataset, ``arm`` tells the watch, ``look`` says whether a file that
turned up somewhere holds any of them. The log says that something was armed and never what:
only who has the workspace's keys can tell. Spec: ``docs/spec/canary-v1.md``.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sealwright.app import wires
from sealwright.core import clock, predicates, refs
from sealwright.core.errors import BadInput
from sealwright.core.predicates import ACCESS, INTENT, READ
from sealwright.core.reading import open_plain
from sealwright.core.records import Artifact, Json, Statement
from sealwright.evidence.history import History

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace
    from sealwright.core.ports import Progress
    from sealwright.intake.add import Added
    from sealwright.intake.versions import Dataset

MOST = 10_000
"""Decoys in one dataset."""

_BLOCK = 1 << 20
_PACKED = (b"PAR1", b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")


class Made(msgspec.Struct, frozen=True):
    """The decoys as a version. ``marked`` of their values can be recognised elsewhere."""

    added: Added
    path: str
    rows: int
    marked: int


class Found(msgspec.Struct, frozen=True):
    """How many distinct values of ``dataset`` a file holds. ``index`` is its statement's;
    ``opened`` says who asked for the decoys, and when, as far as the log knows."""

    path: str
    sha256: str
    dataset: str
    values: int
    of: int
    index: int
    opened: tuple[str, ...]


def make(
    workspace: Workspace, source: Dataset, name: str, count: int, reason: str, progress: Progress
) -> Made:
    """``count`` decoys of ``source`` as the dataset ``name``, not armed yet.

    Raises: BadInput, GateDenied (``access.*``), VerifyError, Refused.
    """
    from sealwright.app import accessing, deriving, rows
    from sealwright.app.datasets import ports_of
    from sealwright.intake import decoys
    from sealwright.intake.add import AddRequest, add

    refs.check_name(name)
    if name == source.name:
        raise BadInput("decoys are a dataset of their own", hint="--name customers-archive")
    if not 1 <= count <= MOST:
        raise BadInput(f"{count:,} decoys are not made", why=f"from 1 to {MOST:,}")
    accessing.require(workspace, "modify", [source.artifact], reason=reason)
    accessing.require(
        workspace, "modify", [accessing.whole_project(workspace, f"data:{name}")], reason=reason
    )
    schema, batches = rows.of(workspace, source)
    key = wires.key(workspace)
    table = decoys.make(schema, batches, count, key, random.SystemRandom())
    path = deriving.path_of(workspace, name, "")
    if path.exists():
        raise BadInput(f"{path.name} is there already", hint="give the decoys another --name")
    deriving.written(iter(table.to_batches()), path)
    request = AddRequest(
        path=str(path), name=name, actor=workspace.principal.name, reason=reason,
        label=source.label or None, key=source.key or None,
    )  # fmt: skip
    added = add(request, ports_of(workspace), progress)
    marked = len(decoys.marks(table.to_batches(), key))
    return Made(added, str(path.relative_to(workspace.root)), count, marked)


def arm(workspace: Workspace, name: str, on: bool, reason: str) -> int:
    """Hold whoever opens a version of ``name`` from here on, or no longer; its statement.

    Raises: BadInput (no such dataset, no reason, armed or disarmed already), GateDenied.
    """
    from sealwright.app import accessing
    from sealwright.intake.versions import Datasets

    newest = Datasets(workspace.history(), workspace.store).latest(name)
    if newest is None:
        raise BadInput(f"there is no dataset called {name!r}", hint="seal data list")
    if not reason.strip():
        raise BadInput("a canary says why", hint="add --reason '...'")
    accessing.require(workspace, "modify", [newest.artifact], reason=reason)
    with workspace.lock():
        committed = wires.commitment(wires.key(workspace), name)
        if (committed in wires.standing(workspace.history())) is on:
            raise BadInput(f"data:{name} is {'armed already' if on else 'not armed'}")
        return _record(workspace, committed, {"change": "armed" if on else "disarmed"}, reason)


def names(workspace: Workspace) -> list[str]:
    """The datasets that are canaries, for who may change the whole project. Raises: GateDenied."""
    from sealwright.app import accessing

    accessing.require(workspace, "modify", [accessing.whole_project(workspace)])
    history = workspace.history()
    digests = wires.armed(workspace, history)
    return sorted(name for name, own in wires.datasets(history).items() if own & digests.keys())


def look(workspace: Workspace, paths: Sequence[str], progress: Progress) -> list[Found]:
    """Which files hold values of armed decoys; each find is a statement.

    Raises: BadInput (no such file, a packed one), GateDenied, VerifyError.
    """
    from sealwright.app import rows
    from sealwright.intake import decoys
    from sealwright.intake.versions import Datasets

    catalogue, key = Datasets(workspace.history(), workspace.store), wires.key(workspace)
    known = []
    for name in names(workspace):
        dataset = catalogue.resolve(f"data:{name}")
        _, batches = rows.of(workspace, dataset)
        known.append((dataset, sorted(each.encode() for each in decoys.marks(batches, key))))
    if not known:
        raise BadInput("nothing is armed to look for", hint="seal data canary arm NAME --reason …")
    every = [mark for _, marks in known for mark in marks]
    if not every:
        raise BadInput(
            "no value of what is armed can be recognised",
            why="decoys are marked in values of ten letters and digits and more",
            hint="seal data canary make of a dataset that has such a column",
        )
    found = []
    for done, path in enumerate(paths):
        sha256, seen = _search(Path(path), every)
        for dataset, marks in known:
            if held := len(seen.intersection(marks)):
                said: dict[str, Json] = {
                    "change": "found", "file": sha256, "values": held, "of": len(marks),
                }  # fmt: skip
                index = _record(workspace, wires.commitment(key, dataset.name), said, "")
                opened = _openers(workspace.history(), dataset.name)
                found.append(Found(path, sha256, dataset.ref, held, len(marks), index, opened))
        progress.advance(done + 1, len(paths), "files")
    return found


def _search(path: Path, marks: Sequence[bytes]) -> tuple[str, set[bytes]]:
    """The file's SHA-256, and the marks in it."""
    overlap = max(map(len, marks), default=1) - 1
    digest, seen, tail = hashlib.sha256(), set[bytes](), b""
    with open_plain(path) as stream:
        if stream.read(len(max(_PACKED, key=len))).startswith(_PACKED):
            raise BadInput(
                f"{path} is packed and was not looked into",
                hint="unpack it, or make it CSV, and look again",
            )
        stream.seek(0)
        while block := stream.read(_BLOCK):
            digest.update(block)
            window = tail + block
            seen.update(mark for mark in marks if mark not in seen and mark in window)
            tail = window[-overlap:] if overlap else b""
    return digest.hexdigest(), seen


def _openers(history: History, name: str) -> tuple[str, ...]:
    """Who asked to open a version of ``name``, oldest first."""
    digests = wires.datasets(history)[name]
    lines = []
    for entry in history.of_type(READ, ACCESS, INTENT):
        told = entry.statement.predicate
        if digests.isdisjoint(subject.digest for subject in entry.statement.subjects):
            continue
        refused = ", refused" if told.get("allowed") is False else ""
        what = told.get("action", "run")
        if what != "modify":
            lines.append(f"{told.get('time')}  {told.get('actor')}  {what}{refused}")
    return tuple(lines)


def _record(workspace: Workspace, committed: str, said: dict[str, Json], reason: str) -> int:
    predicate: dict[str, Json] = {
        **said,
        "actor": workspace.principal.name,
        "reason": reason,
        "time": clock.stamp(workspace.clock()),
    }
    subject = Artifact(f"canary:{committed[:16]}", committed)
    return workspace.recorder.record(Statement((subject,), predicates.CANARY, predicate)).index
