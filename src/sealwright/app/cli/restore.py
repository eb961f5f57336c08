"""Bring a backup back, under a new log origin.

All of it is checked before anything is written. The new log begins with the old one's
entries; the next says from which log, size and root it goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``seal restore``."""
    parser.add_argument("file", type=Path, help="a file that seal backup wrote")
    parser.add_argument("--into", type=Path, default=Path(), help="a directory (this one)")
    parser.add_argument("--reason", default="", help="why, for the log")
    parser.add_argument(
        "--trust",
        default="",
        metavar="FINGERPRINT",
        help="the trust root it must have, where this machine has none pinned",
    )
    parser.add_argument(
        "--recovery-key",
        action="store_true",
        help="open the keys with the recovery key, asked for or read from stdin",
    )
    parser.add_argument("--check", action="store_true", help="check the file, restore nothing")


def run(args: argparse.Namespace, out: Out) -> int:
    """Check the backup, restore it, and say where the log goes on."""
    from sealwright.adapters import tiles_dir
    from sealwright.app import publishing, restoring
    from sealwright.app.cli.keys_held import ask

    with out.progress("checking") as progress:
        plan = restoring.check(args.file, args.trust or None, progress)
    facts = {
        "workspace": plan.trust.workspace,
        "fingerprint": plan.trust.fingerprint,
        "origin_before": plan.trust.origin,
        "size_before": plan.catalogue.size,
        "root_before": plan.catalogue.root,
        "time": plan.catalogue.time,
        "files": len(plan.members),
    }
    if args.check:
        out.emit(
            {**facts, "restored": False},
            f"{args.file} is whole: {len(plan.members)} files of {plan.trust.workspace}, "
            f"{plan.catalogue.size} log entries, made {plan.catalogue.time}\n"
            f"trust {plan.trust.fingerprint}",
        )
        return 0
    with out.progress("restoring") as progress:
        done = restoring.restore(
            plan,
            args.into.resolve(),
            reason=args.reason,
            recovery=(lambda: ask("recovery key")) if args.recovery_key else None,
            progress=progress,
        )
    ws = done.workspace
    tiles_dir.publish(ws.log, publishing.tiles(ws))
    if done.unseen:
        out.note(f"{done.unseen} entries that this machine had seen are not in the backup")
    if done.recovery_key:
        out.note(f"the new recovery key, shown this once: {done.recovery_key}")
    if ws.settings.log.mirror:
        out.note(
            f"the mirror {ws.settings.log.mirror} holds the old origin: name another directory "
            "under [log] mirror"
        )
    out.emit(
        {
            **facts,
            "restored": True,
            "root": str(ws.root),
            "origin": ws.origin,
            "continuation": done.continuation,
            "unseen": done.unseen,
        },
        f"restored {len(plan.members)} files into {ws.root}\n"
        f"the log goes on as {ws.origin}; entry {done.continuation} says where it came from",
    )
    return 0
