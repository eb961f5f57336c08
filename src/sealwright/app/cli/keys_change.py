"""``seal keys rotate|disable|enable|shred|drill``: keys that change, and what the log says."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.wiring import Workspace


def run(args: argparse.Namespace, out: Out) -> int:
    """Run one word; returns the exit code."""
    from sealwright.app import rotating, wiring

    if args.act == "rotate" and args.home:
        return _root_of(Path(args.home), out)
    ws = wiring.open_workspace()
    if args.act == "drill":
        return _drill(ws, out)
    if args.act == "rotate" and args.key == "root":
        return _root(ws, args.reason, out)
    if args.act == "rotate":
        code = _rotate(ws, args, out)
    elif args.act == "shred":
        code = _shred(ws, args, out)
    else:
        state = rotating.switch(ws, args.key, args.reason, on=args.act == "enable")
        out.emit({"key": state.name, "state": state.state}, f"{state.name} is {state.state}")
        code = 0
    for note in ws.settle():
        out.note(note)
    return code


def _rotate(ws: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import rotating

    if rotating.is_signing(args.key):
        new = rotating.signing_key(ws, args.key, args.reason)
        out.emit(
            {
                "role": new.role,
                "key_id": new.key_id,
                "former": new.former,
                "first_index": new.first_index,
                "trust": new.trust.digest,
            },
            f"{new.role} signs with {new.key_id[:16]} from entry {new.first_index} on\n"
            f"what {new.former[:16]} signed before still verifies; what it signs now does not",
        )
        return 0
    with out.progress(args.key) as progress:
        done = rotating.wrapping_key(ws, args.key, args.reason, progress)
    out.emit(
        {
            "key": done.key.name,
            "generation": done.key.generation,
            "retired": list(done.retired) if not done.key.former else [],
            "segments": done.segments,
            "rewrapped": done.changed,
            "damaged": list(done.damaged),
        },
        f"{done.key.name} is at generation {done.key.generation}; {done.changed} wrapped keys of"
        f" {done.segments} segments changed, no data was encrypted again",
    )
    for segment in done.damaged:
        out.note(f"a segment opens under no key and was left as it is: {segment}")
    return 0


def _root(ws: Workspace, reason: str, out: Out) -> int:
    from sealwright.app import rotating, wiring
    from sealwright.app.cli.keys_held import ask, held_here

    kms = held_here(ws)
    passphrase = None
    if kms.custody == "passphrase":
        passphrase = wiring.passphrase() or ask("passphrase")
    recovery = rotating.root(ws, passphrase, reason)
    ws.settle()
    _new_root(kms.custody, recovery, out)
    return 0


def _root_of(home: Path, out: Out) -> int:
    from sealwright.adapters.kms_file import FileKms
    from sealwright.app import wiring
    from sealwright.app.cli.keys_held import ask

    kms = FileKms.open(home, wiring.passphrase_asker())
    passphrase = None
    if kms.custody == "passphrase":
        passphrase = wiring.passphrase() or ask("passphrase")
    _new_root(kms.custody, kms.rotate_root(passphrase), out)
    out.note("start the key service again: a running one holds the old root")
    return 0


def _new_root(custody: str, recovery: str, out: Out) -> None:
    out.emit(
        {"key": "root", "custody": custody, "recovery_key": recovery},
        "every key is under a new root; the old root and its recovery key open nothing here\n"
        f"the new recovery key, shown this once: {recovery}",
    )


def _shred(ws: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import shredding
    from sealwright.app.cli.data_shred import report

    done = shredding.key(ws, args.key, args.reason)
    report(done, out)
    return 0


def _drill(ws: Workspace, out: Out) -> int:
    from sealwright.app import drilling

    steps = drilling.log_key(ws)
    body = [{"what": each.what, "held": each.held, "seen": each.seen} for each in steps]
    rows = [["yes" if each.held else "NO", each.what, each.seen] for each in steps]
    held = all(each.held for each in steps)
    end = "this was a copy; the real one: seal keys rotate log --reason '…'"
    out.emit(
        {"drill": "log", "held": held, "steps": body},
        f"{out.table(rows, ['held', 'what', 'seen'])}\n{end}",
    )
    return 0 if held else 1
