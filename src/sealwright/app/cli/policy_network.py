"""``seal policy network``: the segments of the stage graph, for people and for Kubernetes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.wiring import Workspace
    from sealwright.pipeline.segments import Segment


def run(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Print the rules, or the NetworkPolicy objects."""
    from sealwright.app import leaving
    from sealwright.pipeline import segments

    found = leaving.segments_of(workspace)
    if args.kubernetes:
        objects = segments.kubernetes(found)
        out.emit({"objects": objects}, segments.yaml(objects).rstrip("\n"))
        return 0
    body: dict[str, Any] = {
        "segments": [msgspec.to_builtins(one) for one in found],
        "production": list(workspace.settings.zones.production),
    }
    out.emit(body, lambda: _text(found, workspace))
    return 0


def _text(found: tuple[Segment, ...], workspace: Workspace) -> str:
    lines = []
    for one in found:
        reads = [f"data:{name}" + (f" (of {by})" if by else "") for name, by in one.reads.items()]
        hosts = [
            f"{rule.host}:{port} {'/'.join(rule.methods) or 'any method'}, {rule.budget:,} bytes"
            for rule in one.hosts
            for port in rule.ports
        ]
        lines.append(one.stage)
        lines.append(f"  reads    {', '.join(reads) or 'what lies in the project and was signed'}")
        lines.append(f"  writes   {', '.join(f'data:{x}' for x in one.writes) or one.model or '-'}")
        lines += [f"  reaches  {host}" for host in hosts or ["nothing"]]
        lines += [f"  secret   {name}: {how}" for name, how in one.secrets.items()]
    zones = workspace.settings.zones.production
    if zones:
        lines.append(f"never: {', '.join(zones)} (production)")
    return "\n".join(lines)
