"""Which keys there are, how the root key is kept, and getting back in.

show     names, roles and custody
protect  keep the root under a new passphrase (typed twice, or a line on stdin), or --key-file
recover  open the root with the recovery key (typed, or a line on stdin) and protect it anew,
         by SEAL_PASSPHRASE if it is set and by a key file if not
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sealwright.core.errors import BadInput

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.wiring import Workspace


def configure(parser: argparse.ArgumentParser) -> None:
    """The acts of ``seal keys``."""
    parser.add_argument("act", nargs="?", default="show", choices=("show", "protect", "recover"))
    parser.add_argument(
        "--key-file", action="store_true", help="protect: by a 0600 file, where nobody can be asked"
    )


def run(args: argparse.Namespace, out: Out) -> int:
    """Run one act."""
    from sealwright.app import wiring

    ws = wiring.open_workspace()
    if args.act == "recover":
        return _recover(ws, out)
    if args.act == "protect":
        ws.kms.protect(None if args.key_file else _new_passphrase())
        words = f"{_kept(ws.kms.custody)}; the recovery key stays what it was"
        out.emit({"custody": ws.kms.custody}, words)
        return 0
    return _show(ws, out)


def ask(what: str) -> str:
    """A secret from the terminal, or one line of stdin."""
    import getpass
    import sys

    if sys.stdin.isatty():
        return getpass.getpass(f"{what}: ", stream=sys.stderr)
    return sys.stdin.readline().rstrip("\n")


def _show(ws: Workspace, out: Out) -> int:
    from sealwright.evidence.keys import load_public

    signers = [
        (role, load_public(ws.keyring.public_pem(role)).key_id) for role in ws.keyring.roles()
    ]
    report = {
        "directory": str(ws.state_dir),
        "custody": ws.kms.custody,
        "signers": [{"role": role, "key_id": key_id} for role, key_id in signers],
        "wrapping": list(ws.kms.keys()),
    }
    text = (
        f"{ws.state_dir}\n{_kept(ws.kms.custody)}\n\n{out.table(signers, ['signs as', 'key id'])}"
        f"\n\nwraps   {'  '.join(ws.kms.keys())}"
    )
    out.emit(report, text)
    return 0


def _recover(ws: Workspace, out: Out) -> int:
    from sealwright.adapters.kms_file import FileKms
    from sealwright.app import wiring

    kms, fresh = FileKms.recover(ws.state_dir, ask("recovery key"), wiring.passphrase())
    out.emit(
        {"custody": kms.custody, "recovery_key": fresh},
        f"the keys are open again; {_kept(kms.custody)}\n"
        f"the new recovery key, shown this once: {fresh}",
    )
    return 0


def _new_passphrase() -> str:
    import sys

    first = ask("new passphrase")
    if sys.stdin.isatty() and ask("again") != first:
        raise BadInput("the two are not the same", why="nothing was changed")
    return first


def _kept(custody: str) -> str:
    return f"the root key is kept by a {custody.replace('-', ' ')}"
