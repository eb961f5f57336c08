"""``seal serve keys``: made and printed once, listed, revoked."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sealwright.app import servingkeys, wiring
from sealwright.serve.callers import ServingKey

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out


def run(args: argparse.Namespace, out: Out) -> int:
    """Run one act."""
    return {"create": _create, "list": _list, "revoke": _revoke}[args.act](args, out)


def _create(args: argparse.Namespace, out: Out) -> int:
    workspace = wiring.open_workspace()
    made = servingkeys.create(
        workspace,
        args.name,
        servingkeys.Wish(
            args.organisation,
            args.internal,
            args.fidelity or ("full" if args.internal else "top1"),
            args.budget,
            args.until,
            args.honey,
        ),
        args.reason,
    )
    for note in workspace.settle():
        out.note(note)
    shape = {**key_json(made.record), "secret": made.key, "entry": made.index}
    text = (
        f"{made.key}\n"
        f"  key      {made.record.name}, shown once; the log has its SHA-256 (entry {made.index})\n"
        f"  gets     {made.record.fidelity}{', as one of our own' if made.record.internal else ''}"
    )
    out.emit(shape, text)
    return 0


def _list(args: argparse.Namespace, out: Out) -> int:
    keys = servingkeys.listed(wiring.open_workspace())
    rows = [
        [
            key.name,
            "good" if key.action == "create" else "revoked",
            "internal" if key.internal else "external",
            key.fidelity,
            key.organisation or "-",
            key.time,
        ]
        for key in keys
    ]
    head = ["name", "state", "whose", "gets", "organisation", "since"]
    out.emit(
        {"keys": [key_json(key) for key in keys]},
        lambda: out.table(rows, head) or "no serving key was made yet",
    )
    return 0


def _revoke(args: argparse.Namespace, out: Out) -> int:
    workspace = wiring.open_workspace()
    key, index = servingkeys.revoke(workspace, args.name, args.reason)
    for note in workspace.settle():
        out.note(note)
    out.emit({**key_json(key), "entry": index}, f"{key.name} is revoked (entry {index})")
    return 0


def key_json(key: ServingKey) -> dict[str, Any]:
    """A key without anything that lets one in (docs/reference/json-serve.md)."""
    return {
        "name": key.name,
        "digest": key.digest,
        "state": "good" if key.action == "create" else "revoked",
        "organisation": key.organisation,
        "internal": key.internal,
        "fidelity": key.fidelity,
        "budget_bits": key.budget_bits,
        "until": key.until,
        "time": key.time,
    }
