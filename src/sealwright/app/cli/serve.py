"""Serve a model: its weights in a sandboxed worker, the guard in front of it.

seal serve model:fraud@1                         Open Inference Protocol v2 on 127.0.0.1:8080
seal serve --upstream http://127.0.0.1:8000 --model NAME   the guard before a server that runs
seal serve keys create acme --organisation acme  a key for somebody outside, printed once
seal serve status                                what is served, and what was answered
seal serve budget                                what each caller has learned, and has left
seal serve prove RECORD proof.json               one answer's evidence, checked anywhere
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sealwright.app.cli import Parser
    from sealwright.app.cli.out import Out
    from sealwright.app.serving import Where
    from sealwright.app.servingupstream import Behindhand
    from sealwright.app.wiring import Workspace

HELP = "serve a model behind the guard"


def configure(parser: Parser) -> None:
    """Describe the arguments."""
    parser.default_word = "start"
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="WORD")
    start = verbs.add_parser("start", help="serve a model; the word may be left out")
    start.add_argument("ref", nargs="?", metavar="MODEL", help="model:NAME@N, NAME@ALIAS or NAME")
    _behind(start.add_argument_group("before another server, instead of a model of this project"))
    start.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    start.add_argument("--port", type=int, default=8080, help="the port (8080); 0 for a free one")
    start.add_argument("--socket", default="", metavar="PATH", help="a Unix socket instead")
    start.add_argument("--own", action="store_true", help="only our own may ask")
    start.add_argument("--reason", default="", help="why, for the log")
    runs = verbs.add_parser("memorised", help="hashes of a version's words, for [serve.egress]")
    runs.add_argument("ref", metavar="DATA", help="data:NAME@N: what the model was trained on")
    runs.add_argument("--column", action="append", default=[], help="a column of texts (all)")
    runs.add_argument("--words", type=int, default=8, help="words in a row (8)")
    runs.add_argument("--out", default="memorised.runs", metavar="FILE", help="(memorised.runs)")
    _keys(verbs.add_parser("keys", help="make, list and revoke serving keys"))
    verbs.add_parser("status", help="what is served, since when, and what was asked")
    verbs.add_parser("budget", help="what each group has learned, and has left")
    links = verbs.add_parser("links", help="who is counted together, and why")
    links.add_argument("--place", nargs=2, metavar=("PRINCIPAL", "GROUP"), help="count them there")
    links.add_argument("--reason", default="", help="why, for the log")
    thaw = verbs.add_parser("thaw", help="take a group off its rung: an appeal that was granted")
    thaw.add_argument("group", metavar="GROUP")
    thaw.add_argument("--reason", default="", help="why, for the log")
    hold = verbs.add_parser("hold", help="put a group on a rung, for a time")
    hold.add_argument("group", metavar="GROUP")
    rungs = ("warn", "throttle", "step-up", "degrade", "block")
    hold.add_argument("--rung", choices=rungs, required=True)
    hold.add_argument("--for", default="24h", dest="span", metavar="SPAN", help="how long (24h)")
    hold.add_argument("--reason", default="", help="why, for the log")
    prove = verbs.add_parser("prove", help="write one answer's evidence, for seal verify")
    prove.add_argument("what", metavar="RECORD", help="the id in seal-record, or entry:N")
    prove.add_argument("out", metavar="OUT", help="the file to write")


def _behind(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--upstream", default="", metavar="URL", help="http://HOST:PORT, unix:/PATH")
    group.add_argument("--model", default="", metavar="NAME", help="the model's name there")
    group.add_argument(
        "--as",
        dest="name",
        default="",
        metavar="NAME",
        help="its name here; model:NAME@N: it is said to be that registered model",
    )
    group.add_argument(
        "--protocol", choices=("openai", "oip"), default="openai", help="what it speaks (openai)"
    )
    group.add_argument(
        "--credential", default="", metavar="SECRET", help="the secret it is shown, as a Bearer"
    )
    group.add_argument("--ca", default="", metavar="FILE", help="who vouches for its certificate")


def _keys(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    made = acts.add_parser("create", help="make a key and print it once")
    made.add_argument("name", metavar="NAME")
    made.add_argument("--organisation", default="", help="who it is for; they share one budget")
    where = made.add_mutually_exclusive_group()
    where.add_argument("--external", action="store_true", help="somebody outside (the default)")
    where.add_argument("--internal", action="store_true", help="one of our own: full outputs")
    made.add_argument("--honey", action="store_true", help="a tripwire: any use is an event")
    made.add_argument("--fidelity", choices=("label", "top1", "full"), default="")
    made.add_argument("--budget", type=int, default=0, metavar="BITS", help="a budget of its own")
    made.add_argument("--until", default="", metavar="WHEN", help="the grant's end: +30d or a time")
    made.add_argument("--reason", default="", help="why, for the log")
    acts.add_parser("list", help="every key, without the key")
    ended = acts.add_parser("revoke", help="a key is good no more, within a second")
    ended.add_argument("name", metavar="NAME")
    ended.add_argument("--reason", default="", help="why, for the log")


def run(args: argparse.Namespace, out: Out) -> int:
    """Run one word."""
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(threads, "1")  # products here are small: a second thread only spins
    from sealwright.app.cli import serve_keys, serve_views

    words: dict[str, Callable[[argparse.Namespace, Out], int]] = {
        "start": _start,
        "memorised": _memorised,
        "keys": serve_keys.run,
        "status": serve_views.status,
        "budget": serve_views.budget,
        "links": serve_views.links,
        "thaw": serve_views.thaw,
        "hold": serve_views.hold,
        "prove": serve_views.prove,
    }
    return words[args.verb](args, out)


def _start(args: argparse.Namespace, out: Out) -> int:
    from sealwright.core.errors import BadInput

    if bool(args.ref) == bool(args.upstream):
        raise BadInput(
            "what is to be served: a model of this project, or a server that runs already?",
            hint="seal serve MODEL, or seal serve --upstream URL --model NAME",
        )
    return _before(args, out) if args.upstream else _own(args, out)


def _before(args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import serving, servinggate, servingupstream, wiring
    from sealwright.app.serving import Ready
    from sealwright.core.errors import BadInput

    if not args.model:
        raise BadInput(
            "which model of that server?", hint="add --model NAME, as it is called there"
        )
    workspace = wiring.open_workspace()
    behind = _behindhand(args, workspace)
    servingupstream.check(behind)
    gate = servinggate.allowed(
        workspace,
        behind.subject,
        args.reason,
        external=not args.own,
        text=args.protocol == "openai",
    )
    for note in (*gate.warnings, *workspace.settle()):
        out.note(note)

    def ready(found: Ready) -> None:
        shape = {
            "url": found.url,
            "ref": found.ref,
            "digest": found.digest,
            "profile": found.profile,
            "upstream": args.upstream,
            "recovered": found.recovered,
        }
        base = "/v1" if args.protocol == "openai" else ""
        out.emit(
            shape,
            f"{found.ref} is served at {found.url}{base}\n"
            f"  model    {args.model} at {args.upstream}, as {behind.name}\n"
            f"  profile  {found.profile}; what it answers is read and written anew",
        )

    source = servingupstream.OtherServer(workspace, behind)
    serving.run(workspace, source, _where(args), ready, out.note)
    return _stopped(workspace, out)


def _behindhand(args: argparse.Namespace, workspace: Workspace) -> Behindhand:
    """What stands behind, and which registered model it is said to be, if any."""
    from sealwright.app.cli.model_views import resolved
    from sealwright.app.servingupstream import Behindhand
    from sealwright.core.refs import check_name

    said = resolved(workspace, args.name) if args.name.startswith("model:") else None
    name = said.name if said else check_name(args.name or args.model.rsplit("/", 1)[-1].lower())
    return Behindhand(
        args.upstream, args.protocol, args.model, name, args.credential, args.ca, said
    )


def _where(args: argparse.Namespace) -> Where:
    from sealwright.app.serving import Where

    return Where(args.host, args.port, args.socket, not args.own)


def _own(args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import serving, servinggate, servingown, wiring
    from sealwright.app.cli.model_views import resolved
    from sealwright.app.serving import Ready

    workspace = wiring.open_workspace()
    model = resolved(workspace, args.ref)
    subject = servingown.subject_of(model)
    gate = servinggate.allowed(workspace, subject, args.reason, external=not args.own)
    lease = servingown.leased(workspace, model, args.reason)
    for note in (*gate.warnings, *workspace.settle()):
        out.note(note)

    def ready(found: Ready) -> None:
        shape = {
            "url": found.url,
            "ref": found.ref,
            "digest": found.digest,
            "profile": found.profile,
            "lease": {"id": lease.id, "until": found.lease_until},
            "recovered": found.recovered,
        }
        lines = [
            f"{found.ref} is served at {found.url}",
            f"  profile  {found.profile}; outside callers get its label and top-1 share",
            f"  lease    until {found.lease_until}",
        ]
        if found.recovered:
            lines.append(
                f"  records  {found.recovered:,} of a server that was killed are sealed now"
            )
        out.emit(shape, "\n".join(lines))

    source = servingown.OwnWorker(workspace, model, out.note)
    serving.run(workspace, source, _where(args), ready, out.note)
    return _stopped(workspace, out)


def _stopped(workspace: Workspace, out: Out) -> int:
    for note in workspace.settle():
        out.note(note)
    out.note("stopped")
    return 0


def _memorised(args: argparse.Namespace, out: Out) -> int:
    from pathlib import Path

    from sealwright.app import memorising, wiring
    from sealwright.intake.versions import Datasets

    workspace = wiring.open_workspace()
    dataset = Datasets(workspace.history(), workspace.store).resolve(args.ref)
    with out.progress(f"reading {dataset.ref}") as progress:
        runs = memorising.make(
            workspace, dataset, args.column, Path(args.out), args.words, progress
        )
    out.emit(
        {"data": dataset.ref, "file": args.out, "runs": runs, "words": args.words},
        f"{args.out} holds {runs:,} runs of {args.words} words of {dataset.ref}, as hashes\n"
        f'  use it  [serve.egress] memorised_runs = "{args.out}"',
    )
    return 0
