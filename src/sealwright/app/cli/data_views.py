"""What ``seal data`` shows: list, show, verify, log, diff and prove."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sealwright.app import accessing, lineage
from sealwright.app import datasets as shared
from sealwright.app.cli.out import Out
from sealwright.app.pinning import pin
from sealwright.app.wiring import Workspace
from sealwright.core import digest as digests
from sealwright.core.errors import BadInput
from sealwright.evidence.history import History
from sealwright.evidence.standing import Standing
from sealwright.intake import diff as diffs
from sealwright.intake import prove as proving
from sealwright.intake import verify as verifying
from sealwright.intake.change import Rows
from sealwright.intake.manifest import Manifest
from sealwright.intake.versions import Dataset, Datasets

_SHOWN_ROWS = 20
_SHOWN_FILES = 20


def version_json(dataset: Dataset) -> dict[str, Any]:
    """The stable shape of a version (docs/reference/json-data.md)."""
    signed = dataset.signed
    previous = signed.previous
    return {
        "ref": dataset.ref,
        "root": dataset.root,
        "rows": dataset.rows,
        "digest": dataset.digest,
        "parents": [parent.name for parent in dataset.parents],
        "name": dataset.name,
        "version": dataset.version,
        "kind": dataset.kind,
        "external": dataset.external,
        "label": dataset.label,
        "key": dataset.key,
        "sensitivity": signed.sensitivity,
        "file_count": dataset.files,
        "size_bytes": dataset.size_bytes,
        "previous": {"ref": f"data:{dataset.name}@{previous.version}", "root": previous.root}
        if previous
        else None,
        "change": {
            "added": signed.change.added,
            "removed": signed.change.removed,
            "edited": signed.change.edited,
        },
        "inputs": [{"ref": each.name, "digest": each.digest} for each in dataset.parents],
        "stage": signed.stage,
        "run": signed.run,
        "actor": signed.actor,
        "reason": signed.reason,
        "time": signed.time,
        "entry": dataset.index,
    }


def count(number: int, noun: str) -> str:
    """``1 record``, ``2,000 records``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def change_words(dataset: Dataset) -> str:
    """``+3 -1 ~2`` in words."""
    change = dataset.signed.change
    words = f"{change.added:,} added, {change.removed:,} removed"
    return f"{words}, {change.edited:,} edited" if dataset.key else words


def list_(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal data list``."""
    history = workspace.history()
    every = Datasets(history, workspace.store).all()
    newest = {dataset.name: dataset for dataset in every}
    shown = list(reversed(every if args.all else sorted(newest.values(), key=lambda d: d.index)))
    standing = Standing(history)
    rows = [{**version_json(each), "status": standing.of(each.digest)} for each in shown]
    out.emit({"datasets": rows}, lambda: _list_text(rows, out))
    return 0


def show(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal data show``."""
    history, dataset = _resolved(workspace, args.ref)
    accessing.require(workspace, "inspect", [dataset.artifact])
    memory = shared.memory_of(workspace, dataset)
    manifest = memory.manifest
    shape = {
        **version_json(dataset),
        "status": Standing(history).of(dataset.digest),
        "path": manifest.base,
        "columns": [{"name": n, "type": t} for n, t in manifest.columns()],
        "files": [
            {"path": f.path, "size": f.size, "sha256": f.sha256, "rows": f.rows, "root": f.root}
            for f in manifest.files
        ],
    }
    out.emit(shape, lambda: _show_text(dataset, manifest, shape, out))
    return 0


def verify(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal data verify``."""
    history = workspace.history()
    datasets = Datasets(history, workspace.store)
    if args.ref:
        wanted = [datasets.resolve(ref) for ref in args.ref]
    else:
        wanted = list({dataset.name: dataset for dataset in datasets.all()}.values())
    shapes = []
    for dataset in wanted:
        size = dataset.size_bytes
        accessing.require(workspace, "inspect", [dataset.artifact], size_bytes=size)
        memory = shared.memory_of(workspace, dataset)
        with out.progress(f"verifying {dataset.ref}") as progress:
            found = verifying.verify(dataset, memory, workspace.root, progress)
        shared.refuse_edited_original(workspace, dataset, memory)
        shapes.append(
            {
                "ref": dataset.ref,
                "verified": True,
                "root": dataset.root,
                "rows": dataset.rows,
                "digest": dataset.digest,
                "file_count": dataset.files,
                "external": dataset.external,
                "rewritten": list(found.rewritten),
                "screening": lineage.verdict_of(history, dataset.digest),
                "entry": dataset.index,
            }
        )
    shape = shapes[0] if len(args.ref) == 1 else {"datasets": shapes}
    out.emit(shape, lambda: "\n".join(map(_verified_text, shapes)) or "no datasets yet")
    return 0


def log(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal data log``."""
    history, newest = _resolved(workspace, args.name)
    chain = Datasets(history, workspace.store).versions(newest.name)
    standing = Standing(history)
    rows = [{**version_json(each), "status": standing.of(each.digest)} for each in reversed(chain)]
    out.emit({"name": newest.name, "versions": rows}, lambda: "\n".join(map(_log_text, rows)))
    return 0


def diff(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal data diff``."""
    datasets = Datasets(workspace.history(), workspace.store)
    new = datasets.resolve(args.new or args.old)
    if args.new:
        old = datasets.resolve(args.old)
    elif new.version > 1:
        old = datasets.versions(new.name)[new.version - 2]
    else:
        raise BadInput(f"{new.ref} is the first version", hint="seal data show " + new.ref)
    if old.name != new.name:
        raise BadInput(
            f"{old.ref} and {new.ref} are two datasets",
            why="records are compared under one dataset's key",
            hint=f"compare versions of one: seal data log {new.name}",
        )
    size = old.size_bytes + new.size_bytes
    accessing.require(workspace, "inspect", [old.artifact, new.artifact], size_bytes=size)
    with out.progress("comparing") as progress:
        found = diffs.diff(
            shared.memory_of(workspace, old), shared.memory_of(workspace, new), progress
        )
    difference = found.difference
    shape = {
        "old": old.ref,
        "new": new.ref,
        "added": difference.change.added,
        "removed": difference.change.removed,
        "edited": difference.change.edited,
        "key": new.key,
        "columns": list(found.columns),
        "files": {
            "added": list(found.files_added),
            "removed": list(found.files_removed),
            "changed": list(found.files_changed),
        },
        "rows": {
            "added": _rows_json(difference.added),
            "removed": _rows_json(difference.removed),
            "edited_old": _rows_json(difference.before),
            "edited_new": _rows_json(difference.after),
        },
    }
    out.emit(shape, lambda: _diff_text(shape))
    return 0


def prove(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal data prove REF --row N``."""
    if not args.ref or args.row is None:
        raise BadInput("which record?", hint="seal data prove REF --row N [--out FILE]")
    _, dataset = _resolved(workspace, args.ref)
    action = "view" if args.reveal else "inspect"
    accessing.require(workspace, action, [dataset.artifact], size_bytes=dataset.size_bytes)
    memory = shared.memory_of(workspace, dataset)
    with out.progress("proving") as progress:
        proven = proving.prove_row(
            dataset,
            memory,
            args.row,
            workspace.root,
            path=args.file,
            show=args.reveal,
            progress=progress,
        )
    data = shared.encode_proof(shared.proof_file(workspace, dataset, proven))
    if args.out:
        Path(args.out).write_bytes(data)
    proof = proven.proof
    shape = {
        "ref": dataset.ref,
        "root": dataset.root,
        "row": args.row,
        "path": proof.path,
        "file_row": proof.row,
        "leaf": proof.leaf,
        "entry": dataset.index,
        "out": args.out or "",
    }
    if args.out:
        text = f"row {args.row} of {dataset.ref} is proven in {args.out}\n  root  {dataset.root}"
        text += "\n  it shows the record's values: hand it only to who may see them" * args.reveal
        out.emit(shape, text)
    else:
        out.emit({**shape, "proof": _parsed(data)}, data.decode())
    return 0


def check(args: argparse.Namespace, out: Out) -> int:
    """``seal data prove --check FILE``: offline, without a workspace."""
    root = digests.check(args.root) if args.root else None
    checked = shared.check_proof(Path(args.check), root, pin(args.trust))
    record = checked.record
    shape: dict[str, Any] = {
        "verified": True,
        "ref": checked.ref,
        "root": record.version,
        "path": record.path,
        "file_row": record.row,
        "leaf": record.leaf,
        "trust": checked.fingerprint,
        "values": checked.values,
    }
    by = f"signed as {checked.ref}" if checked.ref else "under the root you named"
    text = f"row {record.row} of {record.path} is in the version with root {record.version}, {by}"
    if checked.values is not None:
        text += "".join(f"\n  {name} = {value}" for name, value in checked.values.items())
    out.emit(shape, text)
    return 0


def _resolved(workspace: Workspace, ref: str) -> tuple[History, Dataset]:
    history = workspace.history()
    return history, Datasets(history, workspace.store).resolve(ref)


def _list_text(rows: Sequence[Mapping[str, Any]], out: Out) -> str:
    if not rows:
        return "no datasets yet; seal data add PATH --name NAME"
    cells = [
        [
            each["ref"],
            f"{each['rows']:,}",
            each["kind"],
            "external" if each["external"] else "stored",
            each["status"],
            each["time"],
            each["root"][:16],
        ]
        for each in rows
    ]
    return out.table(cells, ["ref", "records", "kind", "kept", "status", "added", "root"])


def _show_text(dataset: Dataset, manifest: Manifest, shape: Mapping[str, Any], out: Out) -> str:
    signed = dataset.signed
    lines = [
        f"{dataset.ref}  ({shape['status']})",
        f"  root      {dataset.root}",
        f"  digest    {dataset.digest}",
        f"  records   {dataset.rows:,} in {count(dataset.files, 'file')}, "
        f"{dataset.size_bytes:,} bytes, {dataset.kind}",
        f"  path      {manifest.base}{' (external: nothing was copied)' * dataset.external}",
        f"  change    {change_words(dataset)}",
        f"  added by  {signed.actor} at {signed.time}, log entry {dataset.index}",
    ]
    lines += [f"  reason    {signed.reason}"] if signed.reason else []
    lines += [f"  label     {dataset.label}"] if dataset.label else []
    lines += [f"  key       {dataset.key}"] if dataset.key else []
    lines += [f"  sensitive {signed.sensitivity}"] if signed.sensitivity else []
    lines += [f"  parents   {', '.join(shape['parents'])}"] if shape["parents"] else []
    columns = ", ".join(f"{n} {t}" for n, t in manifest.columns())
    lines += textwrap.wrap(
        columns, 90, initial_indent="  columns   ", subsequent_indent="            "
    )
    files = [
        [each.path, f"{each.size:,}", f"{each.rows:,}", each.sha256[:16]]
        for each in manifest.files[:_SHOWN_FILES]
    ]
    lines.append(out.table(files, ["file", "bytes", "records", "sha256"]))
    if len(manifest.files) > _SHOWN_FILES:
        lines.append(f"… {len(manifest.files) - _SHOWN_FILES:,} more (--json lists all)")
    return "\n".join(lines)


def _verified_text(shape: Mapping[str, Any]) -> str:
    text = (
        f"{shape['ref']} is what was signed: {count(shape['rows'], 'record')} in "
        f"{count(shape['file_count'], 'file')} read again, root {shape['root']}"
    )
    text += f"\n  screening: {shape['screening'].replace('-', ' ')}"
    for path in shape["rewritten"]:
        text += f"\n  {path}: same records, new encoding (seal data add --reference records it)"
    return text


def _log_text(row: Mapping[str, Any]) -> str:
    change = row["change"]
    words = f"+{change['added']:,} -{change['removed']:,} ~{change['edited']:,}"
    status = "" if row["status"] == "active" else f"  {row['status'].upper()}"
    before = row["previous"]["root"][:16] if row["previous"] else "nothing"
    return (
        f"{row['ref']}  {row['time']}  {row['actor']}  {words}  {row['rows']:,} records"
        f"{status}\n  {row['reason'] or '(no reason given)'}\n"
        f"  root {before} → {row['root'][:16]}"
    )


def _rows_json(rows: Sequence[Rows]) -> list[dict[str, Any]]:
    return [{"path": each.path, "rows": list(each.rows)} for each in rows]


def _diff_text(shape: Mapping[str, Any]) -> str:
    words = f"{shape['added']:,} added, {shape['removed']:,} removed"
    words += f", {shape['edited']:,} edited" if shape["key"] else ""
    lines = [f"{shape['old']} → {shape['new']}: {words}"]
    lines += [f"  {sentence}" for sentence in shape["columns"]]
    for role in ("added", "removed", "edited_old", "edited_new"):
        for each in shape["rows"][role]:
            numbers = ", ".join(map(str, each["rows"][:_SHOWN_ROWS]))
            more = ", …" if len(each["rows"]) > _SHOWN_ROWS else ""
            lines.append(f"  {role.replace('_', ' in '):<13} {each['path']} rows {numbers}{more}")
    if not shape["key"]:
        lines.append("  (no key column: an edited record counts as one removed and one added)")
    return "\n".join(lines)


def _parsed(data: bytes) -> Any:
    import json

    return json.loads(data)
