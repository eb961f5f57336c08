"""The verb ``revoke`` of ``seal data`` and ``seal model``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.wiring import Workspace
    from sealwright.core.records import Artifact
    from sealwright.registry.revoke import Revocation


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("ref", metavar="REF")
    parser.add_argument("--reason", required=True, help="why, for the log")
    parser.add_argument("--dry-run", action="store_true", help="only list what it would block")


def run(workspace: Workspace, artifact: Artifact, args: argparse.Namespace, out: Out) -> int:
    """Revoke, or with ``--dry-run`` only tell what that would block."""
    from sealwright.registry.revoke import blast_radius, revoke

    if args.dry_run:
        found = blast_radius(workspace.history(), artifact)
    else:
        found = revoke(
            workspace.history(),
            artifact,
            actor=workspace.principal.name,
            reason=args.reason,
            recorder=workspace.recorder,
            clock=workspace.clock,
        )
        for note in workspace.settle():
            out.note(note)
    shape = _json(found)
    out.emit(shape, lambda: _text(shape))
    return 0


def _json(found: Revocation) -> dict[str, Any]:
    return {
        "ref": found.artifact.name,
        "digest": found.artifact.digest,
        "revoked": found.index >= 0,
        "entry": found.index,
        "blast": [{"ref": each.name, "digest": each.digest} for each in found.blast],
        "models": list(found.models),
        "aliases": list(found.aliases),
    }


def _text(shape: dict[str, Any]) -> str:
    head = f"{shape['ref']} {'is revoked' if shape['revoked'] else 'would be revoked'}"
    # versions of equal bytes share a digest, so the models are listed from the registry
    others = [each["ref"] for each in shape["blast"] if not each["ref"].startswith("model:")]
    made = [each for each in dict.fromkeys([*shape["models"], *others]) if each != shape["ref"]]
    if not made:
        lines = [f"{head}; nothing was made of it"]
    else:
        lines = [f"{head}; {len(made)} made of it {'is' if len(made) == 1 else 'are'} blocked:"]
        lines += [f"  {each}" for each in made]
    lines += [f"  {alias} points at a model that cannot be used" for alias in shape["aliases"]]
    return "\n".join(lines)
