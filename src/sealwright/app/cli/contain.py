"""Hold somebody or something back for a while, see what is held, and let go.

Anybody may pull the brake; every step says why, ends by itself, and has an inverse. Releasing
before the time is up takes a reason in solo, and two other people in team and regulated.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from sealwright.app.cli.out import Out
    from sealwright.app.wiring import Workspace
    from sealwright.core.records import Artifact
    from sealwright.policy.containment import Containment, Holds, Step
    from sealwright.policy.principals import Account

_WORDS: dict[str, tuple[Step, str, str]] = {
    "throttle": ("throttle", "NAME", "let every access of a principal wait"),
    "revoke-tokens": ("revoke-tokens", "NAME", "refuse every token a principal and its runs hold"),
    "kill": ("kill-run", "RUN", "end a run that is running here"),
    "freeze": ("freeze-artifact", "REF", "let nobody use a dataset or model, nor what it became"),
    "quarantine": ("quarantine-principal", "NAME", "deny a principal everything"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the words."""
    words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
    listing = words.add_parser("list", help="what is held, why and until when")
    listing.add_argument("--all", action="store_true", help="what ended or was released too")
    for word, (_, metavar, line) in _WORDS.items():
        one = words.add_parser(word, help=line)
        one.add_argument("target", metavar=metavar)
        one.add_argument("--reason", required=True, help="why; goes into the log")
        one.add_argument("--for", dest="span", default="", metavar="SPAN", help="30m, 24h, 7d")
    release = words.add_parser("release", help="let go before the time is up")
    release.add_argument("containment", metavar="ID", help="the first 8 or more of its id")
    release.add_argument("--reason", required=True, help="why; goes into the log")


def run(args: argparse.Namespace, out: Out) -> int:
    """Run the word."""
    from sealwright.app import wiring

    workspace = wiring.open_workspace()
    if args.word == "list":
        return _list(workspace, args.all, out)
    if args.word == "release":
        return _release(workspace, args, out)
    return _take(workspace, args, out)


def _list(workspace: Workspace, everything: bool, out: Out) -> int:
    from sealwright.app import containing

    held, now = containing.holds(workspace, workspace.history()), workspace.clock()
    active = held.active(now)
    shown = tuple(held.all.values()) if everything else active
    rows = [_shape(one, held, now) for one in shown]
    head = ["id", "step", "target", "until", "by", "because", "state"]
    cells = [
        [
            row["id"][:16],
            row["step"],
            row["target"],
            row["until"],
            row["actor"],
            row["reason"],
            row["state"],
        ]
        for row in rows
    ]
    for problem in (*held.unreadable, *held.refused):
        out.note(f"does not count: {problem}")
    out.emit(
        {"containments": rows, "unreadable": held.unreadable, "refused": held.refused},
        out.table(cells, head) if rows else "nothing is held",
    )
    return 0


def _take(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from datetime import timedelta

    from sealwright.app import containing
    from sealwright.core import settings

    step = _WORDS[args.word][0]
    target, account = _target(workspace, step, args.target)
    held, receipt = containing.take(
        workspace,
        step,
        target,
        account,
        reason=args.reason,
        span=timedelta(seconds=settings.span_s(args.span or workspace.settings.watch.lasts)),
        actor=workspace.principal.name,
    )
    notes = workspace.settle() if receipt else []
    for note in notes:
        out.note(f"note: {note}")
    shape = {
        **_shape(held, None, workspace.clock()),
        "index": held.index,
        "new": receipt is not None,
        "notes": notes,
    }
    was = "" if receipt else " (it was in force already)"
    out.emit(
        shape,
        f"{held.step} {held.target.name} until {held.until}{was}\n"
        f"let go: seal contain release {held.id[:16]} --reason '...'",
    )
    return 0


def _release(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import containing
    from sealwright.policy.containment import INVERSES

    held = containing.holds(workspace, workspace.history())
    one = containing.find(held, args.containment)
    new = one in held.active(workspace.clock())
    index = containing.release(workspace, one, args.reason).index if new else None
    notes = workspace.settle() if new else []
    for note in notes:
        out.note(f"note: {note}")
    out.emit(
        {
            "id": one.id,
            "undoes": INVERSES[one.step],
            "target": one.target.name,
            "index": index,
            "new": new,
            "notes": notes,
        },
        f"{INVERSES[one.step]} {one.target.name}"
        if new
        else f"{one.step} of {one.target.name} had ended already",
    )
    return 0


def _target(workspace: Workspace, step: Step, text: str) -> tuple[Artifact, Account]:
    """What a word is about. Raises: BadInput (no such dataset, model or name)."""
    from sealwright.app import containing
    from sealwright.core import refs
    from sealwright.policy import containment
    from sealwright.policy.principals import Account

    nobody = Account("", "")
    if step == "freeze-artifact":
        return _artifact(workspace, text), nobody
    if step == "kill-run":
        return containment.run(refs.check_name(text.removeprefix("run:"))), nobody
    name = refs.check_name(text.removeprefix("principal:"))
    return containment.principal(name), containing.account_of(workspace.history(), name)


def _artifact(workspace: Workspace, text: str) -> Artifact:
    """A version of a dataset or a model. Raises: BadInput."""
    from sealwright.app import referring
    from sealwright.core.errors import BadInput
    from sealwright.core.records import Artifact
    from sealwright.intake.versions import Datasets
    from sealwright.registry.versions import Models

    history = workspace.history()
    ref = referring.resolve(text, history)
    if ref.kind == "data":
        dataset = Datasets(history, workspace.store).resolve(ref)
        return Artifact(dataset.ref, dataset.digest)
    if ref.kind == "model":
        model = Models(history).resolve(ref)
        return Artifact(model.ref, model.digest)
    raise BadInput("a run is not frozen", hint=f"seal contain kill {ref.name} --reason '...'")


def _shape(one: Containment, held: Holds | None, now: datetime) -> dict[str, Any]:
    released = held.ended.get(one.id) if held else None
    over = "released" if released is not None else "" if one.lasts(now) else "ended"
    return {
        "id": one.id,
        "step": one.step,
        "target": one.target.name,
        "digest": one.target.digest,
        "rule": one.rule,
        "automatic": one.automatic,
        "time": one.time,
        "until": one.until,
        "actor": one.actor,
        "reason": one.reason,
        "state": over or "in force",
    }
