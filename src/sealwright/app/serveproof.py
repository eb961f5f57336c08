"""Records of served answers: found again, and proven to whoever asks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sealwright.adapters.durable import write_durably
from sealwright.app.wiring import trust_chain
from sealwright.core.errors import BadInput, Unavailable
from sealwright.core.ports import Entry
from sealwright.core.predicates import GUARD_BATCH, GUARD_EVENT
from sealwright.core.records import Recorded
from sealwright.evidence.history import History
from sealwright.serve import proof
from sealwright.serve.evidence import Record, record_of
from sealwright.serve.journal import SUFFIX
from sealwright.serve.recordfile import lines_of

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace


class Exported(msgspec.Struct, frozen=True):
    """A proof that was written: of which entry, and the record in it (None: an event)."""

    path: str
    entry: int
    record: Record | None


def export(workspace: Workspace, what: str, out: Path) -> Exported:
    """Write the proof of a record (its id) or of an event (``entry:N``).

    Raises: BadInput (no such), Unavailable (it has no root yet), OSError.
    """
    history = workspace.history()
    if what.startswith("entry:"):
        entry, lines, place = _event(history, what.removeprefix("entry:")), list[bytes](), 0
    else:
        file, at, line = _find(workspace, what)
        entry = _batch(history, file, at)
        told: Any = entry.statement.predicate
        first, count = int(told["first"]), int(told["count"])
        lines, place = list(lines_of(_folder(workspace) / file))[first : first + count], at - first
        if lines[place] != line:
            raise Unavailable("the file of records changed while it was read")
    body = next(iter(workspace.log.entries(entry.index, entry.index + 1))).body
    chain = trust_chain(workspace.seal_dir / "trust")
    data = proof.made(
        lines, place, Entry(entry.index, body), history.checkpoint, workspace.log.hash_at, chain
    )
    proven = proof.verify(data, workspace.trust.fingerprint)
    write_durably(out, data)
    return Exported(str(out), entry.index, proven.record)


def _folder(workspace: Workspace) -> Path:
    return workspace.seal_dir / "serve" / "records"


def _find(workspace: Workspace, name: str) -> tuple[str, int, bytes]:
    """``(file, line number, line)`` of the record with that id, the newest files first."""
    wanted = f'"id":"{name}"'.encode()
    for path in sorted(_folder(workspace).glob(f"*{SUFFIX}"), reverse=True):
        for at, line in enumerate(lines_of(path)):
            if wanted in line and record_of(line).id == name:
                return path.name, at, line
    raise BadInput(
        f"there is no record {name!r}",
        why="an id is what the header seal-record said; entry:N names an event",
        hint="seal serve status",
    )


def _batch(history: History, file: str, at: int) -> Recorded:
    for entry in reversed(history.of_type(GUARD_BATCH)):
        told: Any = entry.statement.predicate
        if told["file"] == file and told["first"] <= at < told["first"] + told["count"]:
            return entry
    raise Unavailable("this record has no root yet", hint="ask again in a second")


def _event(history: History, number: str) -> Recorded:
    for entry in history.of_type(GUARD_EVENT):
        if str(entry.index) == number:
            return entry
    raise BadInput(f"entry {number} is no event of the guard", hint="seal log show --all")
