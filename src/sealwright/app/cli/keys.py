"""Which keys there are, how they are kept, changed and destroyed, and a service that holds them.

show      names, roles and custody (what `seal keys` alone prints)
rotate    a new generation of KEY, a new root, or a new signing key; nothing is encrypted again
disable   at once nothing KEY wrapped can be read, until it is enabled
shred     destroy KEY: what it wrapped is gone in every copy
serve     hold the keys in a process, home and uid of their own
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sealwright.app.cli.keys_held import ask, held_here, kept
from sealwright.core.errors import BadInput

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.wiring import Workspace

_CHANGES = ("rotate", "disable", "enable", "shred", "drill")
_SERVICE = ("serve", "move", "uses", "certify")


def configure(parser: argparse.ArgumentParser) -> None:
    """The words of ``seal keys``."""
    words = parser.add_subparsers(dest="act", metavar="WORD")
    words.add_parser("show", help="names, roles and custody")
    words.add_parser("list", help="every wrapping key, its generation and whether it is in use")
    words.add_parser("status", help="where the keys are, and what is half done")
    protect = words.add_parser("protect", help="keep the root under a new passphrase")
    protect.add_argument("--key-file", action="store_true", help="by a 0600 file instead")
    words.add_parser("recover", help="open the root with the recovery key, and protect it anew")
    rotate = words.add_parser("rotate", help="a new wrapping key, root or signing key")
    rotate.add_argument("key", metavar="KEY", help="data:NAME, model:NAME, run, keyring, root,")
    rotate.add_argument("--home", metavar="DIR", help="root: of the key service in DIR")
    for word, text in (
        ("disable", "nothing it wrapped can be read until it is enabled"),
        ("enable", "use it again"),
        ("shred", "destroy it: what it wrapped can never be read again"),
    ):
        words.add_parser(word, help=text).add_argument("key", metavar="KEY")
    rotate.epilog = "… log, workspace, model or principal:NAME, which sign"
    for word in ("rotate", "disable", "enable", "shred"):
        words.choices[word].add_argument("--reason", default="", help="why; goes into the log")
    drill = words.add_parser("drill", help="play the theft of a key, on a copy")
    drill.add_argument("key", choices=("log",))
    _configure_service(words)


def _configure_service(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = words.add_parser("serve", help="answer for the keys until stopped")
    serve.add_argument("--home", metavar="DIR", help="where they are; default: this workspace's")
    serve.add_argument("--socket", metavar="PATH", help="default: DIR/socket")
    serve.add_argument("--user", metavar="NAME", help="as root: become this user")
    serve.add_argument(
        "--allow", metavar="UID", type=int, action="append", default=[], help="who may ask, too"
    )
    serve.add_argument("--listen", metavar="HOST:PORT", help="over mutual TLS; needs --tls")
    serve.add_argument("--tls", metavar="DIR", help="ca.pem, cert.pem and key.pem")
    move = words.add_parser("move", help="this workspace's keys into the home of a key service")
    move.add_argument("home", metavar="DIR")
    uses = words.add_parser("uses", help="what a key service was asked, checked as a chain")
    uses.add_argument("--home", metavar="DIR", help="default: this workspace's")
    uses.add_argument("--last", metavar="N", type=int, default=20, help="how many (20)")
    certify = words.add_parser("certify", help="a certificate from a local authority")
    certify.add_argument("name", metavar="NAME", help="whom it is for")
    certify.add_argument("--host", metavar="HOST", action="append", default=[], help="or address")
    certify.add_argument("--authority", metavar="DIR", help="default: made in the state directory")
    certify.add_argument("--out", metavar="DIR", required=True, help="where the three files go")
    certify.add_argument("--life", metavar="SPAN", default="24h", help="24h, 7d, …")


def run(args: argparse.Namespace, out: Out) -> int:
    """Run one word."""
    if args.act in _SERVICE:
        from sealwright.app.cli import keys_service

        return keys_service.run(args, out)
    if args.act in _CHANGES:
        from sealwright.app.cli import keys_change

        return keys_change.run(args, out)
    from sealwright.app import wiring

    ws = wiring.open_workspace()
    if args.act == "recover":
        return _recover(ws, out)
    if args.act == "protect":
        kms = held_here(ws)
        kms.protect(None if args.key_file else _new_passphrase())
        words = f"{kept(kms.custody)}; the recovery key stays what it was"
        out.emit({"custody": kms.custody}, words)
        return 0
    if args.act == "list":
        return _list(ws, out)
    return _status(ws, out) if args.act == "status" else _show(ws, out)


def _show(ws: Workspace, out: Out) -> int:
    from sealwright.evidence.keys import load_public

    signers = [
        (role, load_public(ws.keyring.public_pem(role)).key_id) for role in ws.keyring.roles()
    ]
    custody = ws.kms.custody
    wrapping = [each.name for each in ws.kms.states() if each.state != "destroyed"]
    report = {
        "directory": str(ws.state_dir),
        "custody": custody,
        "signers": [{"role": role, "key_id": key_id} for role, key_id in signers],
        "wrapping": wrapping,
    }
    text = (
        f"{ws.state_dir}\n{kept(custody)}\n\n{out.table(signers, ['signs as', 'key id'])}"
        f"\n\nwraps   {'  '.join(wrapping)}"
    )
    out.emit(report, text)
    return 0


def _list(ws: Workspace, out: Out) -> int:
    states = ws.kms.states()
    report = [
        {
            "key": each.name,
            "generation": each.generation,
            "former": list(each.former),
            "state": each.state,
        }
        for each in states
    ]
    rows = [
        [each.name, str(each.generation), each.state, " ".join(map(str, each.former)) or "-"]
        for each in states
    ]
    out.emit({"keys": report}, out.table(rows, ["key", "generation", "state", "still opens"]))
    return 0


def _status(ws: Workspace, out: Out) -> int:
    custody, states = ws.kms.custody, ws.kms.states()
    half = [each.name for each in states if each.former]
    disabled = [each.name for each in states if each.state == "disabled"]
    ranges = [
        (key.role, key.name, key.key_id[:16], f"{key.first_index}-{_end(key.last_index)}")
        for key in ws.trust.keys
    ]
    report = {
        "kms": ws.settings.keys.kms,
        "custody": custody,
        "keys": len(states),
        "disabled": disabled,
        "half_rotated": half,
        "signing": [dict(zip(("role", "name", "key", "entries"), r, strict=True)) for r in ranges],
    }
    lines = [
        f"kms       {ws.settings.keys.kms}: {kept(custody)}",
        f"keys      {len(states)}, {len(disabled)} disabled",
        *(f"half done {name}: seal keys rotate {name} goes on" for name in half),
        "",
        out.table([list(r) for r in ranges], ["signs as", "name", "key", "log entries"]),
    ]
    out.emit(report, "\n".join(lines))
    return 0


def _end(last: int | None) -> str:
    return "" if last is None else str(last)


def _recover(ws: Workspace, out: Out) -> int:
    from sealwright.adapters.kms_file import FileKms
    from sealwright.app import wiring

    kms, fresh = FileKms.recover(ws.state_dir, ask("recovery key"), wiring.passphrase())
    out.emit(
        {"custody": kms.custody, "recovery_key": fresh},
        f"the keys are open again; {kept(kms.custody)}\n"
        f"the new recovery key, shown this once: {fresh}",
    )
    return 0


def _new_passphrase() -> str:
    import sys

    first = ask("new passphrase")
    if sys.stdin.isatty() and ask("again") != first:
        raise BadInput("the two are not the same", why="nothing was changed")
    return first
