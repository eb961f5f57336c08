"""Where a dataset, a model or a run came from, and what was made of it.

seal lineage model:fraud@2          data, code and run it came from; gates and approvals
seal lineage data:train@3           what was made of it: the blast radius, as a tree
seal lineage train@3 --row 41       one record: its file and row, the versions that hold it
seal lineage train --history        every version: who, why, what changed
seal lineage model:fraud --history  made, approved, promoted, exported, withdrawn
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sealwright.app.cli.out import Out

if TYPE_CHECKING:
    from sealwright.app.lineage import Lineage, Node
    from sealwright.app.wiring import Workspace
    from sealwright.core.records import Recorded
    from sealwright.core.refs import Ref

HELP = "where something came from, and what was made of it"
_PARTS = ("interpreter", "packages", "config", "lock", "diff")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("ref", metavar="REF", help="data:NAME@N, model:NAME@N or run:ID")
    parser.add_argument("--row", type=int, metavar="N", help="follow one record, counted from 0")
    parser.add_argument(
        "--history", action="store_true", help="every version, and what happened to it"
    )


def run(args: argparse.Namespace, out: Out) -> int:
    """Show both trees."""
    from sealwright.app import lineage, referring, wiring
    from sealwright.core.errors import BadInput

    workspace = wiring.open_workspace()
    history = workspace.history()
    ref = referring.resolve(args.ref, history)
    if ref.kind != "data" and args.row is not None:
        raise BadInput(f"{ref} is no dataset", why="--row is about datasets")
    if ref.kind == "run" and args.history:
        raise BadInput(f"{ref} happened once", why="--history is about datasets and models")
    graph = lineage.Lineage(history, _sources(workspace))
    artifact = graph.artifact(ref)
    above, below = graph.up(artifact), graph.down(artifact)
    digests = {node.digest for node in lineage.walk(above) if node.digest}
    shape: dict[str, Any] = {
        "ref": artifact.name,
        "digest": artifact.digest,
        "status": above.status,
        "entry": above.entry,
        "notes": above.notes,
        "from": [_node_json(child) for child in above.children],
        "into": [_node_json(child) for child in below.children],
        "decisions": [_decision_json(e) for e in _spoken(graph, artifact.digest)],
        "revocations": [_revocation_json(e) for e in graph.revocations(digests)],
    }
    if args.history and ref.kind == "model":
        from sealwright.app import modelhistory

        shape["history"] = modelhistory.events(history, graph, ref.name)
    elif args.history:
        shape["history"] = lineage.changes(history, ref)
    if args.row is not None:
        shape["record"] = _record(workspace, ref, args.row, graph, out)
    out.emit(shape, lambda: "\n".join(_text(shape)))
    return 0


def _spoken(graph: Lineage, digest: str) -> Iterable[Recorded]:
    return graph.decisions(digest) if digest else ()


def _sources(workspace: Workspace) -> Callable[[str], str]:
    """Where a dataset version was read from: in its manifest, which is in the store."""
    from sealwright.core.errors import Refused
    from sealwright.intake.versions import Datasets

    datasets = Datasets(workspace.history(), workspace.store)

    def source_of(ref: str) -> str:
        try:
            return str(datasets.manifest(datasets.resolve(ref)).base)
        except Refused as error:
            return f"({error.what})"

    return source_of


def _record(workspace: Workspace, ref: Ref, row: int, graph: Lineage, out: Out) -> dict[str, Any]:
    from sealwright.app import lineage, recordtrace
    from sealwright.intake.versions import Datasets

    dataset = Datasets(workspace.history(), workspace.store).resolve(ref)
    with out.progress(f"following row {row}") as progress:
        found = recordtrace.trace(workspace, dataset, row, progress)
    seen: dict[str, str] = {}
    for place in found.places:
        version = Datasets(workspace.history(), workspace.store).resolve(place.ref)
        for node in lineage.walk(graph.down(version.artifact)):
            if node.kind in ("run", "model"):
                seen.setdefault(node.ref, node.kind)
    return {
        "row": found.row,
        "leaf": found.leaf,
        "path": found.here.path,
        "file_row": found.here.file_row,
        "versions": [
            {"ref": each.ref, "path": each.path, "file_row": each.file_row} for each in found.places
        ],
        "origins": [
            {"ref": each.ref, "path": each.path, "file_row": each.file_row}
            for each in found.origins
        ],
        "unchecked": list(found.unchecked),
        "runs": [name for name, kind in seen.items() if kind == "run"],
        "models": [name for name, kind in seen.items() if kind == "model"],
    }


def _node_json(node: Node) -> dict[str, Any]:
    return {
        "ref": node.ref,
        "kind": node.kind,
        "digest": node.digest,
        "status": node.status,
        "entry": node.entry,
        "notes": node.notes,
        "children": [_node_json(child) for child in node.children],
    }


def _decision_json(entry: Recorded) -> dict[str, Any]:
    told = entry.statement.predicate
    what = entry.statement.predicate_type.rpartition(":")[2].removesuffix("/v1")
    shape: dict[str, Any] = {"what": what, "entry": entry.index, "time": told.get("time")}
    if what == "decision":
        shape |= {key: told.get(key) for key in ("gate", "allowed", "actor", "warnings", "id")}
    elif what == "request":
        shape |= {key: told.get(key) for key in ("action", "requester", "reason")}
    else:
        shape |= {key: told.get(key) for key in ("approver", "self_approved", "reason")}
    return shape


def _revocation_json(entry: Recorded) -> dict[str, Any]:
    told = entry.statement.predicate
    return {
        "ref": entry.statement.subjects[0].name,
        "entry": entry.index,
        "actor": told.get("actor"),
        "reason": told.get("reason"),
        "time": told.get("time"),
    }


def _text(shape: Mapping[str, Any]) -> Iterator[str]:
    yield _line(shape)
    if shape["from"]:
        yield "made from"
        yield from _tree(shape["from"], "  ")
    if shape["into"]:
        yield "made of it"
        yield from _tree(shape["into"], "  ")
    elif not shape["ref"].startswith("model:"):
        yield "nothing was made of it"
    for each in shape["decisions"]:
        yield _decision_line(each)
    for each in shape["revocations"]:
        where = f"(entry {each['entry']})"
        yield f"revoked     {each['ref']} by {each['actor']}: {each['reason']} {where}"
    for each in shape.get("history", ()):
        yield _history_line(each)
    if "record" in shape:
        yield from _record_text(shape["record"])


def _tree(nodes: list[Mapping[str, Any]], indent: str) -> Iterator[str]:
    shown = [node for node in nodes if node["ref"] not in _PARTS]
    for at, node in enumerate(shown):
        last = at == len(shown) - 1
        yield f"{indent}{'└─ ' if last else '├─ '}{_line(node)}"
        yield from _tree(node["children"], indent + ("   " if last else "│  "))


def _line(node: Mapping[str, Any]) -> str:
    notes, name = node["notes"], node["ref"]
    status = "" if node["status"] in ("active", "ok") else f"  {node['status'].upper()}"
    if name.startswith("data:"):
        tail = f"{notes['rows']:,} records from {notes['source']}, by {notes['actor']}"
        tail += f", {notes['screening'].replace('-', ' ')}"
    elif name.startswith("run:") and notes:
        tail = f"{' '.join(notes['command'])[:60]}  (isolation {notes['isolation']})"
    elif name.startswith("model:") and notes:
        aliases = f", is {', '.join(notes['aliases'])}" if notes["aliases"] else ""
        tail = f"{node['digest'][:16]}  by {notes['actor']}{aliases}"
    else:
        tail = node["digest"][:16]
    entry = f"  entry {node['entry']}" if node["entry"] >= 0 else ""
    return f"{name}{status}  {tail}{entry}"


def _decision_line(each: Mapping[str, Any]) -> str:
    if each["what"] == "decision":
        word = "allowed" if each["allowed"] else "refused"
        text = f"gate        {each['gate']} {word} it for {each['actor']}"
        if each["warnings"]:
            text += f", with {len(each['warnings'])} warning(s)"
    elif each["what"] == "request":
        text = f"asked       {each['action']} by {each['requester']}: {each['reason'] or '-'}"
    else:
        own = " (self-approved)" if each["self_approved"] else ""
        text = f"approved    by {each['approver']}{own}: {each['reason'] or '-'}"
    return f"{text} (entry {each['entry']})"


def _history_line(each: Mapping[str, Any]) -> str:
    why = f": {each['reason']}" if each["reason"] else ""
    if "what" in each:
        about = f"  {each['about']}" if each["about"] else ""
        return f"{each['time']}  {each['what']:<10}  {each['ref']}{about}  by {each['actor']}{why}"
    change = each["change"] or {}
    counts = ", ".join(f"{change.get(key, 0):,} {key}" for key in ("added", "removed", "edited"))
    return f"{each['ref']}  {each['time']}  {counts}  by {each['actor']}{why}"


def _record_text(record: Mapping[str, Any]) -> Iterator[str]:
    yield f"row {record['row']} is row {record['file_row']} of {record['path']}"
    yield f"  leaf      {record['leaf']}"
    for each in record["versions"]:
        yield f"  also in   {each['ref']}, row {each['file_row']} of {each['path']}"
    for each in record["origins"]:
        yield f"  made from {each['ref']}, row {each['file_row']} of {each['path']}"
    for name in record["unchecked"]:
        yield f"  not searched: {name}"
    for name in (*record["runs"], *record["models"]):
        yield f"  went into {name}"
