"""Write the workspace to one file: seal.toml, policies, the log, the encrypted store.

Keys stay in the state directory unless --with-keys; then they go along in their wrapped form,
which the passphrase or the recovery key opens, and nothing else does.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``seal backup``."""
    parser.add_argument("file", type=Path, help="the file to write; it must not exist")
    parser.add_argument(
        "--with-keys", action="store_true", help="also the keys, in their wrapped form"
    )


def run(args: argparse.Namespace, out: Out) -> int:
    """Write the backup and say what is in it, and what is not."""
    from sealwright.app import backups, wiring

    ws = wiring.open_workspace()
    with out.progress("backing up") as progress:
        made = backups.make(ws, args.file, with_keys=args.with_keys, progress=progress)
    size = args.file.stat().st_size
    if not args.with_keys:
        out.note(f"the keys are not in it: keep {ws.state_dir} too, or use --with-keys")
    elif ws.kms.custody == "key-file":
        out.note("the key file is not in it: only the recovery key opens the keys in it")
    out.emit(
        {
            "file": str(args.file),
            "size_bytes": size,
            "files": len(made.members),
            "origin": made.origin,
            "size": made.size,
            "root": made.root,
            "keys": made.keys,
        },
        f"{args.file}: {len(made.members)} files, {size:,} bytes, the log up to entry "
        f"{made.size - 1}",
    )
    return 0
