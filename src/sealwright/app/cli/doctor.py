"""What this machine has, what it lacks, and the line that mends it; how the keys are kept."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from sealwright import __version__
from sealwright.app.cli.out import Out
from sealwright.core.errors import BadInput, SealError

EXTRAS = {"demo": "sklearn", "torch": "torch"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument(
        "--probes",
        action="store_true",
        help="try to get out of the room in more than 100 ways, and keep the measured rung",
    )


def run(args: argparse.Namespace, out: Out) -> int:
    """Look at everything; 1 when something required is missing, or a promised wall leaks."""
    if args.probes:
        from sealwright.app import probing

        return probing.run(out)
    checks = [*_machine(), *_room(), *_workspace()]
    missing = [check for check in checks if check["required"] and not check["ok"]]
    out.emit(
        {"version": __version__, "ok": not missing, "checks": checks},
        lambda: _text(checks, out),
    )
    return 1 if missing else 0


def _check(
    name: str, ok: bool, detail: str, mend: str = "", *, required: bool = True
) -> dict[str, Any]:
    return {"name": name, "ok": ok, "required": required, "detail": detail, "mend": mend}


def _machine() -> list[dict[str, Any]]:
    from importlib.util import find_spec

    from sealwright.intake import kernel

    python = f"{platform.python_implementation()} {platform.python_version()}"
    checks = [_check("python", sys.version_info >= (3, 11), python, "install Python 3.11 or newer")]
    fast = kernel.load() is not None
    checks.append(
        _check(
            "record hashing",
            fast,
            "compiled kernel" if fast else "plain path: same roots, several times slower",
            "sudo apt-get install gcc python3-dev, then install Sealwright again",
            required=False,
        )
    )
    for extra, module in EXTRAS.items():
        there = find_spec(module) is not None
        version = metadata.version({"sklearn": "scikit-learn"}.get(module, module)) if there else ""
        checks.append(
            _check(
                f"extra {extra}",
                there,
                f"{module} {version}" if there else f"{module} is not installed",
                "" if there else f"pip install 'sealwright[{extra}]'",
                required=False,
            )
        )
    return checks


def _room() -> list[dict[str, Any]]:
    from sealwright.train import primitives

    return [
        _check(f"room: {one.name}", one.present, one.detail, one.mend, required=one.required)
        for one in primitives.survey()
    ]


def _workspace() -> list[dict[str, Any]]:
    from sealwright.app import wiring

    try:
        workspace = wiring.open_workspace()
    except BadInput as error:
        return [_check("workspace", True, error.what, error.hint, required=False)]
    checks = [_check("workspace", True, f"{workspace.id} in {workspace.root}")]
    steps: tuple[tuple[str, Callable[[], str]], ...] = (
        ("keys", lambda: _custody(workspace)),
        ("key folder", lambda: str(workspace.state_dir).replace(str(Path.home()), "~")),
        ("log", lambda: f"{workspace.history().size} entries, all verified"),
        ("settings", lambda: f"seal.toml, profile {workspace.profile}"),
        ("witness", lambda: workspace.settings.log.witness or "none: only you hold this log"),
    )
    for name, look in steps:
        try:
            checks.append(_check(name, True, look()))
        except SealError as error:
            checks.append(_check(name, False, f"{error.what} {error.why}".strip(), error.hint))
    return [*checks, *_defaults(workspace)]


def _defaults(workspace: Any) -> list[dict[str, Any]]:
    """What is on without being asked for; of each opt-out, what it costs and what still catches."""
    from sealwright.app.defaults import ALWAYS, DEFAULTS, of_project

    try:
        out = of_project(workspace.settings, workspace.kms.custody)
    except SealError:  # said above
        return []
    held = [one.on for one in DEFAULTS if one.name not in out]
    checks = [_check("defaults", True, "; ".join([*ALWAYS, *held]), required=False)]
    for one in DEFAULTS:
        if one.name in out:
            said = f"opted out: {one.costs}; still: {one.still}; every run's evidence says so"
            checks.append(_check(f"default: {one.name}", False, said, one.mend, required=False))
    return checks


def _custody(workspace: Any) -> str:
    words = {
        "key-file": "root key in a 0600 file: whoever has your account has the keys",
        "passphrase": "root key locked with a passphrase (Argon2id)",
        "external": "root key held elsewhere: a key service of another uid or host, or a token",
    }
    return words[workspace.kms.custody]


def _text(checks: list[dict[str, Any]], out: Out) -> str:
    lines = [f"sealwright {__version__}"]
    width = max(len(check["name"]) for check in checks)
    for check in checks:
        mark = "ok" if check["ok"] else ("MISSING" if check["required"] else "absent")
        colour = "green" if check["ok"] else ("red" if check["required"] else "yellow")
        lines.append(
            f"  {check['name']:<{width}}  {out.paint(f'{mark:<7}', colour)}  {check['detail']}"
        )
        if check["mend"] and not check["ok"]:
            lines.append(f"  {'':<{width}}           mend: {check['mend']}")
    return "\n".join(lines)
