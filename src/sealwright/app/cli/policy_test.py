"""``seal policy test``: the cases in ``policies/tests``, against the rules in ``policies/``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.wiring import Workspace
    from sealwright.policy.policytests import Tested


def run(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Exits 1 where a case fails, and with ``--strict`` where a rule is untested."""
    from sealwright.app.gating import policies_of
    from sealwright.policy import policytests

    policy = policies_of(workspace)
    tested = policytests.run(workspace.root / "policies", policy)
    shape: dict[str, Any] = {
        "policy": policy.digest,
        "profile": policy.profile,
        **tested.jsonable(),
        "results": [
            {
                "file": one.file,
                "case": one.case.name,
                "passed": not one.problem,
                "why": one.problem,
                "fired": sorted(one.fired),
            }
            for one in tested.outcomes
        ],
        "unnoticed": list(tested.unnoticed),
    }
    out.emit(shape, lambda: _text(tested, args.strict, out))
    return 1 if tested.failed or (args.strict and tested.unnoticed) else 0


def _text(tested: Tested, strict: bool, out: Out) -> str:
    lines = []
    for one in tested.outcomes:
        word = out.paint("FAILS", "red") if one.problem else out.paint("ok", "green")
        lines.append(f"{word:<6} {one.file}: {one.case.name}")
        lines += [f"       {one.problem}"] if one.problem else []
    lines.append(f"{len(tested.outcomes)} cases, {len(tested.failed)} fail")
    if tested.unnoticed:
        count = len(tested.unnoticed)
        lines.append(f"{count} rules could be deleted and no case would notice")
        lines += [f"       {rule}" for rule in tested.unnoticed] if strict else []
        lines += [] if strict else ["       seal policy test --strict names them"]
    return "\n".join(lines)
