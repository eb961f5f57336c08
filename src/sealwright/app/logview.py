"""The log as people and programs read it: a list of entries, or one entry whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealwright.adapters.durable import write_durably
from sealwright.core.records import Recorded
from sealwright.evidence import note as notes
from sealwright.evidence import proof
from sealwright.evidence.history import History
from sealwright.evidence.merkle import leaf_hash

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.wiring import Workspace

_OWN = "urn:sealwright:predicate:"


def listing(history: History, count: int, workspace: Workspace) -> dict[str, Any]:
    """The ``--json`` shape of ``seal log show``: the newest ``count`` entries, oldest first."""
    shown = history.entries[max(history.size - count, 0) :]
    return {
        "origin": workspace.origin,
        "vkey": vkey(workspace),
        "size": history.size,
        "root": history.root,
        "entries": [line(entry, workspace) for entry in shown],
    }


def line(entry: Recorded, workspace: Workspace) -> dict[str, Any]:
    """One entry in brief."""
    statement = entry.statement
    key = workspace.trust.find(entry.key_id, "workspace")
    return {
        "index": entry.index,
        "time": _time(entry),
        "type": short(statement.predicate_type),
        "predicate_type": statement.predicate_type,
        "subjects": [{"name": s.name, "digest": s.digest} for s in statement.subjects],
        "signer": {"key_id": entry.key_id, "name": key.name if key else ""},
    }


def whole(entry: Recorded, workspace: Workspace) -> dict[str, Any]:
    """The ``--json`` shape of ``seal log show --index N``."""
    body = next(iter(workspace.log.entries(entry.index, entry.index + 1))).body
    return {
        **line(entry, workspace),
        "digest": entry.digest,
        "leaf": leaf_hash(body).hex(),
        "predicate": dict(entry.statement.predicate),
    }


def write_proof(index: int, file: str, workspace: Workspace, history: History) -> str:
    """Write the entry's ``.tlog-proof`` and return where. Raises: OSError."""
    made = proof.prove(index, history.checkpoint, workspace.log.hash_at)
    write_durably(Path(file), made.encode())
    return file


def listing_text(found: dict[str, Any], out: Out) -> str:
    """The table people see."""
    rows = [
        [
            str(entry["index"]),
            entry["time"],
            entry["type"],
            _subjects(entry["subjects"]),
            entry["signer"]["name"] or entry["signer"]["key_id"][:16],
        ]
        for entry in found["entries"]
    ]
    table = out.table(rows, ["index", "time", "what", "subjects", "signer"])
    return f"{table}\n\n{counted(found['size'])}, root {found['root']}\nlog key {found['vkey']}"


def whole_text(found: dict[str, Any]) -> str:
    """One entry for people."""
    head = [
        f"entry    {found['index']}",
        f"time     {found['time']}",
        f"what     {found['type']}  ({found['predicate_type']})",
        *(f"subject  {s['name']}  {s['digest']}" for s in found["subjects"]),
        f"signer   {found['signer']['name']}  {found['signer']['key_id']}",
        f"leaf     {found['leaf']}",
    ]
    if "proof" in found:
        head.append(f"proof    {found['proof']}")
    predicate = json.dumps(found["predicate"], indent=2, ensure_ascii=False, sort_keys=True)
    return "\n".join(head) + "\n\n" + predicate


def vkey(workspace: Workspace) -> str:
    """The log's present verifier key, as witnesses and Go's ``sumdb/note`` take it."""
    keys = workspace.trust.public("log", max(workspace.log.size() - 1, 0))
    return ", ".join(notes.vkey(workspace.origin, key) for key in keys.values())


def counted(size: int) -> str:
    """``1 entry``, ``2 entries``."""
    return f"{size:,} entr{'y' if size == 1 else 'ies'}"


def short(predicate_type: str) -> str:
    """``dataset-version`` for our own predicates, ``provenance`` for SLSA's."""
    trimmed = predicate_type.removeprefix(_OWN).rstrip("/")
    parts = trimmed.split("/")
    return parts[-2] if len(parts) > 1 else trimmed


def _time(entry: Recorded) -> str:
    predicate: Any = entry.statement.predicate
    found = predicate.get("time")
    if found is None:
        found = predicate.get("runDetails", {}).get("metadata", {}).get("finishedOn", "")
    return str(found)


def _subjects(subjects: list[dict[str, str]]) -> str:
    names = [s["name"] for s in subjects]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
