"""Find the train script and the data; write seal.toml, policies/, a workspace and its keys.

Nothing is run, nothing that is there is overwritten, and no data is read into the workspace:
the next lines to type are printed.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealwright.app.cli.out import Out
from sealwright.core.errors import BadInput

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace
    from sealwright.train.guess import Guess

PROFILES = ("solo", "team", "regulated")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("--profile", choices=PROFILES, default=None, help="default: solo")
    parser.add_argument(
        "--passphrase",
        action="store_true",
        help="ask for a passphrase (or take SEAL_PASSPHRASE); otherwise a 0600 key file",
    )
    parser.add_argument(
        "--kms", metavar="TOKEN", help="keys in a token: pkcs11:/path/of/library.so?token=LABEL"
    )


def run(args: argparse.Namespace, out: Out) -> int:
    """Make the workspace."""
    from sealwright.app import setup, wiring
    from sealwright.core import settings
    from sealwright.train import guess

    root = Path.cwd().resolve()
    if (root / wiring.SEAL_DIR).exists():
        raise BadInput(f"{root} has a workspace already", hint="seal doctor says how it is")
    toml = root / wiring.SETTINGS
    found = guess.project(root)
    if toml.exists():
        chosen = settings.load(toml).profile
        if args.profile not in (None, chosen):
            raise BadInput(f"seal.toml says profile {chosen!r}", hint="edit seal.toml")
    else:
        chosen = args.profile or "solo"
        settings.parse(guess.settings_text(found, chosen).encode())
    text = toml.read_text("utf-8") if toml.exists() else guess.settings_text(found, chosen)
    token = _token(args, settings.parse(text.encode()).keys.kms)
    passphrase = None if token else _passphrase(args)
    workspace, recovery = setup.create_workspace(root, chosen, passphrase, token)
    if args.kms and settings.parse(text.encode()).keys.kms == "file":
        text += f'\n[keys]\nkms = "{token}"\n'
        toml.write_text(text, encoding="utf-8")
    elif not toml.exists():
        toml.write_text(text, encoding="utf-8")
    setup.activate(workspace, chosen)
    workspace.settle()
    report = _report(workspace, found, recovery)
    out.emit(report, lambda: _text(workspace, found, recovery, out))
    return 0


def _token(args: argparse.Namespace, said: str) -> str:
    """The PKCS#11 token the keys go into; empty where they go into a file."""
    kms = args.kms or said
    if said not in ("file", kms):
        raise BadInput(f"seal.toml says kms {said!r}", hint="edit seal.toml")
    if kms.startswith("service:"):
        raise BadInput(
            "a workspace is made with its keys in a file, and moved to a key service then",
            hint="take [keys] out of seal.toml; seal init; then seal keys move DIR",
        )
    if kms != "file" and (not kms.startswith("pkcs11:") or '"' in kms or "\\" in kms):
        raise BadInput(f"{kms!r} names no token", hint="pkcs11:/path/of/library.so?token=LABEL")
    return "" if kms == "file" else kms


def _passphrase(args: argparse.Namespace) -> str | None:
    from sealwright.app import wiring

    given = wiring.passphrase()
    if given is not None or not args.passphrase:
        return given
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise BadInput("nobody can be asked for a passphrase here", hint="set SEAL_PASSPHRASE")
    first = getpass.getpass("new passphrase: ", stream=sys.stderr)
    if first != getpass.getpass("once more: ", stream=sys.stderr):
        raise BadInput("the two passphrases differ", why="nothing was changed")
    return first


def _report(workspace: Workspace, found: Guess, recovery: str) -> dict[str, Any]:
    on, out = _defaults(workspace)
    return {
        "workspace": workspace.id,
        "origin": workspace.origin,
        "profile": workspace.profile,
        "keys": str(workspace.state_dir),
        "custody": workspace.kms.custody,
        "recovery_key": recovery,
        "trust": workspace.trust.fingerprint,
        "defaults": {"on": on, "opted_out": list(out)},
        "script": found.script,
        "frameworks": list(found.frameworks),
        "data": [{"name": one.name, "path": one.path, "label": one.label} for one in found.data],
        "next": _next(found),
    }


def _defaults(workspace: Workspace) -> tuple[list[str], tuple[str, ...]]:
    """What is on, in words, and the names of what seal.toml or the keys opt out of."""
    from sealwright.app.defaults import ALWAYS, DEFAULTS, of_project

    out = of_project(workspace.settings, workspace.kms.custody)
    return [*ALWAYS, *(one.on for one in DEFAULTS if one.name not in out)], out


def _defaults_lines(workspace: Workspace) -> list[str]:
    on, out = _defaults(workspace)
    width = 88
    lines = textwrap.wrap("; ".join(on), width)
    if out:
        lines.append(f"opted out: {', '.join(out)} (seal doctor: what that costs)")
    return [f"  {'on' if not n else '':<9} {line}" for n, line in enumerate(lines)]


def _next(found: Guess) -> list[str]:
    lines = []
    for one in found.data:
        label = f" --label {one.label}" if one.label else ""
        lines.append(f"seal data add {one.path} --name {one.name}{label} --reason 'first delivery'")
    return [*lines, "seal run" if found.command else "seal run -- python train.py"]


def _recovery_lines(recovery: str, out: Out) -> list[str]:
    if not recovery:
        return ["  recovery  none: keep the token, and a second one that it was copied to"]
    return [
        f"  recovery  {out.paint(recovery, 'bold')}",
        "            write it down now: it is shown this once, and opens the keys if they are lost",
    ]


def _text(workspace: Workspace, found: Guess, recovery: str, out: Out) -> str:
    home = str(workspace.state_dir).replace(str(Path.home()), "~")
    why = {
        "key-file": "a key file only you can read",
        "passphrase": "locked with your passphrase",
        "external": "the keys that wrap them are in your token",
    }[workspace.kms.custody]
    lines = [
        f"workspace {workspace.id}, profile {workspace.profile}",
        f"  keys      {home} ({why}); none in the project",
        *_recovery_lines(recovery, out),
        f"  trust     {workspace.trust.fingerprint}",
        f"  script    {found.script or 'none found'}"
        + (f" ({', '.join(found.frameworks)})" if found.frameworks else ""),
    ]
    for one in found.data:
        label = f", label {one.label}" if one.label else ""
        lines.append(f"  data      {one.path} as {one.name}{label}")
    lines += _defaults_lines(workspace)
    lines += ["  wrote     seal.toml, policies/, .seal/ (not for git)", "next:"]
    lines += [f"  {line}" for line in _next(found)]
    if os.environ.get("SEAL_PASSPHRASE"):
        lines.append("  (SEAL_PASSPHRASE is the passphrase from now on)")
    return "\n".join(lines)
