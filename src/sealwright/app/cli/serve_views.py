"""``seal serve status|budget|links|thaw|prove``: what the running server knows of itself."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealwright.app import servecontrol, serveproof, wiring
from sealwright.app.servecontrol import Question
from sealwright.core.amounts import span_s
from sealwright.serve.linking import ENOUGH

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out


def status(args: argparse.Namespace, out: Out) -> int:
    """``seal serve status``."""
    found = servecontrol.ask(wiring.open_workspace(), Question("status"))
    out.emit(found, lambda: _status_text(found))
    return 0


def _status_text(found: dict[str, Any]) -> str:
    counts = ", ".join(f"{count:,} {word}" for word, count in found["verdicts"].items())
    unnamed = ", ".join(f"{count:,} {rule}" for rule, count in found["unnamed"].items())
    lines = [
        f"{found['ref']} at {found['url']}, pid {found['pid']}, since {found['since']}",
        f"  state    {found['state']}",
        f"  profile  {found['profile']}",
        f"  asked    {counts or 'not yet'}",
    ]
    if "upstream" in found:
        lines.append(f"  upstream {found['upstream']}")
    if "lease_until" in found:
        lines += [
            f"  lease    until {found['lease_until']}",
            f"  worker   opened {found['worker_starts']}x",
        ]
    if "coverage" in found:
        lines += [f"  coverage {found['coverage']}", f"  monitors {found['monitors']}"]
    if "kept" in found:
        lines.append(f"  kept     {found['kept']}")
    if unnamed:
        lines.append(f"  turned away  {unnamed}")
    return "\n".join(lines)


def budget(args: argparse.Namespace, out: Out) -> int:
    """``seal serve budget``."""
    found = servecontrol.ask(wiring.open_workspace(), Question("budget"))
    rows = [
        [
            one["group"],
            f"{one['spent_bits']:,}",
            f"{one['left_bits']:,}",
            f"{one['cells']:,}",
            one["rung"],
            ", ".join(one["members"]),
        ]
        for one in found["groups"]
    ]
    head = ["group", "bits spent", "left", "cells", "rung", "members"]
    left = f"{found['ref']}: {found['model_left_bits']:,} bits are left for everybody together"
    said = "\n".join([left, *_pace_text(found)])
    out.emit(found, lambda: f"{out.table(rows, head) or 'nobody asked yet'}\n\n{said}")
    return 0


def _pace_text(found: dict[str, Any]) -> list[str]:
    if "pace" not in found:
        return []
    if found["pace"]:
        knots = ", ".join(f"[{bits}, {cells}]" for bits, cells in found["pace"])
        callers = f"{found['pace_callers']:,} callers"
        return [f"a pace that leaves 97.5 % of callers like these {callers} alone: [{knots}]"]
    wanted, fewest = found["pace_wanted"]
    return [
        f"a pace is told from {wanted} callers outside who asked {fewest} answers each: "
        f"{found['pace_callers']} did"
    ]


def links(args: argparse.Namespace, out: Out) -> int:
    """``seal serve links``."""
    workspace = wiring.open_workspace()
    question = Question("links")
    if args.place:
        question = Question("place", args.place[1], args.place[0], args.reason)
    found = servecontrol.ask(workspace, question)
    rows = [[one["group"], ", ".join(one["members"]), one["why"]] for one in found["links"]]
    suggested = [
        [f"{one['score']} of {ENOUGH}", ", ".join(one["members"]), one["why"]]
        for one in found["suggested"]
    ]

    def text() -> str:
        linked = out.table(rows, ["group", "members", "why"]) or "no callers are linked"
        hints = out.table(suggested, ["suggested", "members", "why"])
        return f"{linked}\n\n{hints}" if hints else linked

    out.emit(found, text)
    return 0


def thaw(args: argparse.Namespace, out: Out) -> int:
    """``seal serve thaw``."""
    workspace = wiring.open_workspace()
    found = servecontrol.ask(workspace, Question("thaw", args.group, reason=args.reason))
    out.emit(
        found, f"{found['group']} is on the rung {found['rung']} again (entry {found['entry']})"
    )
    return 0


def hold(args: argparse.Namespace, out: Out) -> int:
    """``seal serve hold``."""
    workspace = wiring.open_workspace()
    question = Question(
        "hold", args.group, reason=args.reason, rung=args.rung, span_s=span_s(args.span)
    )
    found = servecontrol.ask(workspace, question)
    out.emit(
        found,
        f"{found['group']} is on the rung {found['rung']} for {args.span} (entry {found['entry']})",
    )
    return 0


def prove(args: argparse.Namespace, out: Out) -> int:
    """``seal serve prove``."""
    workspace = wiring.open_workspace()
    found = serveproof.export(workspace, args.what, Path(args.out))
    fingerprint = workspace.trust.fingerprint
    shape = {
        "out": found.path,
        "entry": found.entry,
        "record": found.record.id if found.record else None,
        "trust": fingerprint,
    }
    what = f"record {found.record.id}" if found.record else "the event"
    out.emit(
        shape,
        f"{found.path} shows {what} in entry {found.entry} of the log\n"
        f"  check it  seal verify {found.path} --trust {fingerprint}",
    )
    return 0
