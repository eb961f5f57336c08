"""``seal data quarantine``: groups of records that are held back, and how they leave."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from sealwright.app import accessing, quarantining, screenwords
from sealwright.app.cli.out import Out
from sealwright.app.datasets import memory_of
from sealwright.app.quarantining import Found
from sealwright.app.wiring import Workspace
from sealwright.intake import present
from sealwright.intake.manifest import TABLES
from sealwright.intake.versions import Datasets

_MOST_SHOWN = 20


def run(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Run one verb."""
    verbs: dict[str, Callable[[Workspace, argparse.Namespace, Out], int]] = {
        "list": _list,
        "show": _show,
        "release": _release,
        "reject": _reject,
    }
    return verbs[args.act](workspace, args, out)


def _list(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Counts and names only: what is quoted of records is for ``show``."""
    found = quarantining.all_of(workspace, args.ref)
    shown = [one for one in found if args.all or one.held.state == "quarantined"]
    rows = [
        [
            one.held.line.id[:12],
            one.dataset.ref,
            one.held.state,
            f"{one.held.line.count:,}",
            one.held.line.detector,
            one.held.line.key,
        ]
        for one in shown
    ]
    head = ("group", "version", "state", "records", "detector", "pattern")
    empty = "nothing is in quarantine" + ("" if len(found) == len(shown) else " (--all: what was)")
    out.emit({"groups": [_json(one) for one in shown]}, lambda: out.table(rows, head) or empty)
    return 0


def _show(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    dataset = Datasets(workspace.history(), workspace.store).resolve(args.ref)
    accessing.require(
        workspace,
        "view",
        [dataset.artifact],
        purpose=args.purpose,
        size_bytes=dataset.size_bytes,
        reason=args.reason,
    )
    found = quarantining.all_of(workspace, args.ref)
    chosen = quarantining.pick(found, args.group) if args.group else found
    memory = memory_of(workspace, dataset)
    groups = []
    for one in chosen:
        carriers = list(one.detail.carriers) if one.detail else []
        some = carriers[:_MOST_SHOWN]
        if memory.manifest.kind in TABLES:
            rows = present.rows_of(memory, workspace.root, some)
            if len(memory.manifest.files) == 1:
                rows = [{k: v for k, v in row.items() if k != present.FILE_COLUMN} for row in rows]
        else:
            rows = [{"file": memory.manifest.files[at].path} for at in some]
        records = [{"record": at, **row} for at, row in zip(some, rows, strict=True)]
        groups.append({**_json(one), "carriers": carriers, "records": records})
    for note in workspace.settle():
        out.note(note)
    shape = {"ref": dataset.ref, "groups": groups}
    out.emit(shape, lambda: _show_text(chosen, groups) or f"nothing was found in {dataset.ref}")
    return 0


def _show_text(chosen: list[Found], groups: list[dict[str, Any]]) -> str:
    parts = []
    for one, shape in zip(chosen, groups, strict=True):
        lines = [f"{one.held.line.id[:12]}  {one.held.state}"]
        lines.append(f"  {screenwords.group(one.held.line, one.detail)}")
        if one.held.reason:
            lines.append(f"  reason    {one.held.reason} (entry {one.held.index})")
        for record in shape["records"]:
            cells = ", ".join(f"{k}={v}" for k, v in record.items() if k != "record")
            lines.append(f"  {record['record']:>8}  {cells}"[:200])
        if len(shape["carriers"]) > _MOST_SHOWN:
            lines.append(f"            and {len(shape['carriers']) - _MOST_SHOWN:,} more (--json)")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _release(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    found = quarantining.all_of(workspace, args.ref)
    waiting = [one for one in found if one.held.state == "quarantined"]
    chosen = quarantining.pick(waiting if args.pattern else found, args.group, args.pattern)
    receipt = quarantining.release(workspace, chosen, args.reason, pattern=bool(args.pattern))
    for note in workspace.settle():
        out.note(note)
    ids = [one.held.line.id for one in chosen]
    later = "; later ones of its pattern too, until it spreads" if args.pattern else ""
    out.emit(
        {"released": ids, "pattern": args.pattern, "entry": receipt.index},
        f"released {screenwords.count(len(ids), 'group')} of {chosen[0].dataset.ref}"
        f" (entry {receipt.index}){later}",
    )
    return 0


def _reject(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    found = quarantining.all_of(workspace, args.ref)
    waiting = [one for one in found if one.held.state == "quarantined"]
    chosen = quarantining.pick(found, args.group) if args.group else waiting
    done = quarantining.reject(workspace, chosen, args.reason)
    for note in workspace.settle():
        out.note(note)
    before = chosen[0].dataset.ref
    out.emit(
        {
            "rejected": [one.held.line.id for one in chosen],
            "removed": done.removed,
            "ref": done.dataset.ref,
            "digest": done.dataset.digest,
            "entry": done.receipt.index,
        },
        f"{done.dataset.ref}  {before} without {screenwords.count(done.removed, 'record')}"
        f" (entry {done.receipt.index})\n  {before} keeps them, encrypted, and trains nothing",
    )
    return 0


def _json(one: Found) -> dict[str, Any]:
    line = one.held.line
    return {
        "id": line.id,
        "ref": one.dataset.ref,
        "state": one.held.state,
        "detector": line.detector,
        "family": line.family,
        "key": line.key,
        "count": line.count,
        "p_value": line.p_value,
        "reason": one.held.reason,
        "entry": one.held.index,
    }
