"""Run a training command in the sealed room, unmodified, and seal what comes out.

seal run -- python train.py --epochs 3     one command; no edits, no settings needed
seal run                                   the stages of seal.toml, in order
seal run --when-drifted                    only the stages whose newest data has drifted
seal run --observe -- python train.py      outside the room: say what it opens, change nothing
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from sealwright.app.cli.out import Out
from sealwright.core import refs
from sealwright.core.errors import BadInput

if TYPE_CHECKING:
    from sealwright.app.releasing import Released
    from sealwright.app.retraining import Due
    from sealwright.app.running import Ran
    from sealwright.app.wiring import Workspace

TAKES_COMMAND = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.usage = "seal run [options] [-- COMMAND ...]"
    parser.add_argument("--observe", action="store_true", help="watch the command outside the room")
    parser.add_argument(
        "--when-drifted",
        action="store_true",
        help="run a stage only where the newest data has drifted from what it read last",
    )
    parser.add_argument("--stage", action="append", default=[], help="only this stage of seal.toml")
    parser.add_argument("--input", action="append", default=[], metavar="REF", help="a dataset")
    parser.add_argument("--model", default="", metavar="PATH", help="which output is the model")
    parser.add_argument("--name", default="", help="what to call the model")
    parser.add_argument("--reason", default="", help="why, for the log")
    parser.add_argument("--purpose", default="", help="what for; the data must allow it")
    parser.add_argument(
        "--isolation",
        choices=["strict", "standard", "none"],
        help="strict: every wall this machine offers, or a refusal; none: no room at all",
    )
    parser.add_argument(
        "--network",
        default="",
        metavar="allow:HOST[:PORT],...",
        help="let the script reach these hosts, and no others; none by default",
    )
    parser.add_argument("--gpu", choices=["off", "auto"], help="auto: bind the GPU devices")


def run(args: argparse.Namespace, out: Out) -> int:
    """Run the command or the stages."""
    import msgspec

    from sealwright.app import wiring

    if args.observe:
        return _observe(args, out)
    workspace = wiring.open_workspace()
    done: list[tuple[Ran, Released]] = []
    asked: list[Due] = []
    for spec in _specs(workspace, args):
        if args.when_drifted:
            asked.append(_due(workspace, spec, out))
        if not asked or asked[-1].due:
            done.append(_stage(workspace, spec, args, out))
    report = {
        "runs": [_json(ran, released) for ran, released in done],
        **({"due": msgspec.to_builtins(asked)} if args.when_drifted else {}),
        "log": {"size": workspace.log.size(), "origin": workspace.origin},
        "notes": workspace.settle(),
    }
    for note in report["notes"]:
        out.note(f"note: {note}")
    out.emit(report, lambda: _text(done, workspace, out))
    return 0


def _due(workspace: Workspace, spec: Any, out: Out) -> Due:
    """Whether the stage has to run again. A stage before it may have made newer data."""
    from sealwright.app import retraining

    with out.progress(spec.name) as progress:
        due = retraining.due(workspace, spec, progress)
    out.note(f"seal: {due.line()}")
    return due


def _specs(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, ...]:
    from sealwright.pipeline import plan, spec

    inputs = [refs.parse(text, "data") for text in args.input]
    if args.command_line:
        if args.stage:
            raise BadInput("--stage and a command do not go together")
        adhoc = spec.ad_hoc(args.command_line, workspace.settings, inputs, args.model, args.name)
        return (_with_network(adhoc, args.network),)
    if inputs or args.model or args.name:
        raise BadInput(
            "--input, --model and --name describe a command",
            hint="seal run --model model.joblib -- python train.py; stages say it in seal.toml",
        )
    stages = plan.order(spec.of_settings(workspace.settings, args.stage))
    return tuple(_with_network(stage, args.network) for stage in stages)


def _with_network(stage: Any, flag: str) -> Any:
    """The stage, and what the command line grants beside seal.toml."""
    if not flag:
        return stage
    import msgspec

    from sealwright.app import leaving

    both = dict.fromkeys((*stage.network, *leaving.of_flag(flag)))
    return msgspec.structs.replace(stage, network=tuple(both))


def _stage(
    workspace: Workspace, spec: Any, args: argparse.Namespace, out: Out
) -> tuple[Ran, Released]:
    from sealwright.app import releasing, running, screenwords
    from sealwright.pipeline import engine

    for ended in running.sweep(workspace):
        out.note(f"note: {ended} was cut off earlier; the log now says so")
    run_id = engine.new_run_id(workspace.clock())
    with running.running(workspace, run_id):
        where = running.around(workspace, args.isolation, args.gpu)
        prepared = running.prepare(workspace, spec, run_id, where, args.reason)
        _announce(prepared, out)
        started = time.monotonic()
        ran = running.execute(
            workspace,
            prepared,
            _listener(out),
            args.reason,
            args.purpose,
            out.progress,
            lambda looked: out.note(f"seal: {screenwords.line(looked)}"),
        )
        with ran.made.room:
            released = releasing.release(workspace, ran, args.reason)
        out.note(f"seal: {spec.name} ended well after {time.monotonic() - started:.1f} s")
    for finding in ran.made.room.findings:
        out.note(f"finding: {finding.message}")
    for warning in dict.fromkeys((*ran.warnings, *released.warnings)):
        out.note(f"warning: {warning}")
    return ran, released


def _announce(prepared: Any, out: Out) -> None:
    """One line of what is going in, and what is not."""
    data = ", ".join(one.ref for one in prepared.datasets) or "no datasets"
    identity = prepared.environment.identity
    out.note(
        f"seal: {prepared.spec.name} ({prepared.run}): {data}, {len(prepared.code.files)} code"
        f" files, {identity.implementation} {identity.version},"
        f" {len(identity.packages)} packages"
    )
    withheld = prepared.code.withheld
    if withheld:
        shown = ", ".join(one.path for one in withheld[:4]) + (" ..." if len(withheld) > 4 else "")
        out.note(f"seal: not in the room ({len(withheld)}): {shown}")
    for note in prepared.environment.notes:
        out.note(f"seal: {note}")


def _listener(out: Out) -> Any:
    """The script's own words: stdout to stdout, unless stdout is for JSON."""
    streams = {"stdout": sys.stderr if out.as_json else sys.stdout, "stderr": sys.stderr}

    def listen(channel: str, data: bytes) -> None:
        stream = streams[channel]
        stream.write(data.decode("utf-8", "replace"))
        stream.flush()

    return listen


def _observe(args: argparse.Namespace, out: Out) -> int:
    if not args.command_line:
        raise BadInput("--observe needs a command", hint="seal run --observe -- python train.py")
    from sealwright.app import observing

    return observing.run(args.command_line, out)


def _json(ran: Ran, released: Released) -> dict[str, Any]:
    prepared, usage = ran.prepared, ran.made.room.usage
    return {
        "run": prepared.run,
        "stage": prepared.spec.name,
        "index": ran.done.receipt.index,
        "inputs": [{"ref": one.ref, "digest": one.digest} for one in prepared.datasets],
        "code": prepared.pins.code,
        "environment": prepared.pins.environment,
        "outputs": [{"path": x.relpath, "sha256": x.sha256} for x in ran.made.room.outputs],
        "model": {"ref": released.model.ref, "digest": released.model.digest}
        if released.model
        else None,
        "datasets": [{"ref": one.ref, "digest": one.digest} for one in released.datasets],
        "screened": [
            {"ref": one.dataset.ref, "verdict": one.said.verdict, "entry": one.entry}
            for one in ran.looked
        ],
        "findings": [{"rule": x.rule, "message": x.message} for x in ran.made.room.findings],
        "usage": {"wall_ms": usage.wall_ms, "cpu_ms": usage.cpu_ms},
        "warnings": list(dict.fromkeys((*ran.warnings, *released.warnings))),
    }


def _text(done: list[tuple[Ran, Released]], workspace: Workspace, out: Out) -> str:
    lines = []
    for ran, released in done:
        lines.append(f"{out.paint('sealed', 'green')} run:{ran.prepared.run}")
        lines += [
            f"  data     {one.ref}  {one.rows:,} rows  root {one.root[:16]}"
            for one in ran.prepared.datasets
        ]
        facts = ran.made.room.facts
        lines.append(f"  room     {facts.get('rung')}, network {facts.get('network')}")
        lines += [f"  made     {one.ref}  {one.rows:,} rows" for one in released.datasets]
        if released.model:
            guessed = ", guessed" if ran.prepared.spec.guess_model else ""
            lines.append(
                f"  model    {released.model.ref}  {released.model.digest[:16]}"
                f"  ({ran.made.model}{guessed})"
            )
        lines.append(f"  log      entry {ran.done.receipt.index} of {workspace.log.size()}")
    last = next((x.model for _, x in reversed(done) if x.model), None)
    if not done:
        lines.append("nothing has to run again")
    if last:
        lines.append(f"next: seal verify {last.ref}   seal model export {last.ref} bundle.tar")
    return "\n".join(lines)
