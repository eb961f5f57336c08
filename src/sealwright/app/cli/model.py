"""Models: list, show, promote, rollback, export, revoke; whose a model is.

seal model list                                newest first
seal model promote fraud@2 prod --reason "…"   point the alias prod at version 2
seal model rollback fraud prod                 point it back
seal model export fraud@prod fraud.tar         model, signature and all the evidence
seal model lease fraud@prod --for 24h          let this host serve it until then
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sealwright.app.cli import model_compare, model_fingerprint, revoking
from sealwright.app.cli.out import Out

if TYPE_CHECKING:
    from sealwright.app.gating import WorkspaceGate
    from sealwright.app.wiring import Workspace
    from sealwright.registry.aliases import Move

HELP = "list, show, promote, roll back, export and revoke models"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    shown = verbs.add_parser("list", help="every model version, newest first")
    shown.add_argument("name", metavar="NAME", nargs="?", help="only this model")
    shown = verbs.add_parser("show", help="one version: files, run, data, aliases, status")
    shown.add_argument("ref", metavar="REF", help="model:NAME@N, NAME@ALIAS or NAME")
    shown = verbs.add_parser("promote", help="point an alias at a version")
    shown.add_argument("ref", metavar="REF")
    shown.add_argument("alias", metavar="ALIAS", help="for example: prod")
    shown.add_argument("--reason", default="", help="why, for the log")
    shown = verbs.add_parser("rollback", help="point an alias back at the version before")
    shown.add_argument("ref", metavar="NAME", help="the model; or NAME@ALIAS")
    shown.add_argument("alias", metavar="ALIAS", nargs="?")
    shown.add_argument("--reason", default="", help="why, for the log")
    shown = verbs.add_parser("export", help="write a bundle that anybody can check offline")
    shown.add_argument("ref", metavar="REF")
    shown.add_argument("out", metavar="OUT", help="a directory, or one file where it ends in .tar")
    shown.add_argument("--reason", default="", help="why, for the log")
    shown.add_argument("--purpose", default="", help="what for; the data behind it must allow it")
    shown = verbs.add_parser("lease", help="let this host serve a version, for a time")
    shown.add_argument("ref", metavar="REF")
    shown.add_argument("--for", default="24h", dest="span", metavar="SPAN", help="how long (24h)")
    shown.add_argument("--end", action="store_true", help="give the leases on this host back")
    shown.add_argument("--list", action="store_true", help="show the leases there are")
    shown.add_argument("--reason", default="", help="why, for the log")
    shown = verbs.add_parser("revoke", help="withdraw a version; what was made of it is blocked")
    revoking.arguments(shown)
    shown = verbs.add_parser("fingerprint", help="commit to what tells this model from others")
    model_fingerprint.arguments(shown)
    shown = verbs.add_parser("questions", help="write a fingerprint's questions to a file")
    model_fingerprint.question_arguments(shown)
    shown = verbs.add_parser("compare", help="does a suspect answer as a copy would?")
    model_compare.arguments(shown)


def run(args: argparse.Namespace, out: Out) -> int:
    """Run one verb."""
    from sealwright.app import wiring
    from sealwright.app.cli import model_leases, model_views

    workspace = wiring.open_workspace()
    verbs: dict[str, Callable[[Workspace, argparse.Namespace, Out], int]] = {
        "list": model_views.list_,
        "show": model_views.show,
        "promote": _promote,
        "rollback": _rollback,
        "export": _export,
        "revoke": _revoke,
        "lease": model_leases.run,
        "fingerprint": model_fingerprint.run,
        "questions": model_fingerprint.run_questions,
        "compare": model_compare.run,
    }
    return verbs[args.verb](workspace, args, out)


def _promote(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import exporting
    from sealwright.app.cli.model_views import resolved
    from sealwright.app.gating import WorkspaceGate

    gate = WorkspaceGate(workspace, args.reason)
    model = resolved(workspace, args.ref)
    move = exporting.promote(workspace, gate, model, args.alias, args.reason)
    return _moved(workspace, move, gate, out)


def _rollback(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import exporting
    from sealwright.app.gating import WorkspaceGate
    from sealwright.core import refs
    from sealwright.core.errors import BadInput

    ref = refs.parse(args.ref, "model")
    alias = args.alias or ref.alias
    if not alias or ref.version:
        raise BadInput("which alias?", hint=f"seal model rollback {ref.name} ALIAS")
    gate = WorkspaceGate(workspace, args.reason)
    move = exporting.rollback(workspace, gate, ref.name, alias, args.reason)
    return _moved(workspace, move, gate, out)


def _moved(workspace: Workspace, move: Move, gate: WorkspaceGate, out: Out) -> int:
    for note in (*gate.warnings, *workspace.settle()):
        out.note(note)
    shape = {
        "alias": f"model:{move.model.name}@{move.alias}",
        "ref": move.model.ref,
        "digest": move.model.digest,
        "previous": f"model:{move.model.name}@{move.previous}" if move.previous else None,
        "action": move.action,
        "entry": move.index,
        "warnings": list(gate.warnings),
    }
    before = f" (it was {shape['previous']})" if move.previous else ""
    out.emit(shape, f"{shape['alias']} is {move.model.ref}{before}\n  entry   {move.index}")
    return 0


def _export(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import exporting
    from sealwright.app.cli.model_views import readable, resolved
    from sealwright.app.gating import WorkspaceGate

    gate = WorkspaceGate(workspace, args.reason)
    model = resolved(workspace, args.ref)
    with out.progress(f"exporting {model.ref}") as progress:
        done = exporting.export_model(
            workspace, gate, model, Path(args.out), out.note, progress, purpose=args.purpose
        )
    for note in gate.warnings:
        out.note(note)
    fingerprint = workspace.trust.fingerprint
    shape = {
        "ref": model.ref,
        "digest": model.digest,
        "out": str(done.path),
        "members": done.files,
        "size_bytes": done.size_bytes,
        "log_size": done.size,
        "entry": done.index,
        "witnesses": [
            {"name": c.witness, "separation": c.separation, "size": c.size}
            for c in done.cosignatures
        ],
        "trust": fingerprint,
        "warnings": list(gate.warnings),
    }
    seen = ", ".join(c.witness for c in done.cosignatures) or "no witness"
    text = (
        f"{model.ref} is in {done.path}: {done.files} files, {readable(done.size_bytes)}\n"
        f"  log       {done.size:,} entries, cosigned by {seen}\n"
        f"  check it  seal verify {done.path} --trust {fingerprint}"
    )
    out.emit(shape, text)
    return 0


def _revoke(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app.cli.model_views import resolved
    from sealwright.app.exporting import artifact_of

    return revoking.run(workspace, artifact_of(resolved(workspace, args.ref)), args, out)
