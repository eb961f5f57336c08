"""Check a dataset, a model or a run of this workspace, or an exported bundle anywhere.

seal verify model:fraud@2                             read again to the last byte
seal verify fraud.tar --trust FINGERPRINT             offline, without a workspace
seal verify fraud.tar --trust trust.json --max-age 7d
seal verify fraud.tar --trust trust.json --profile team    and your own policy has to allow it
seal verify proof.json --trust FINGERPRINT            one answer of a served model, or a denial
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealwright.app.cli.out import Out

if TYPE_CHECKING:
    from sealwright.policy.gates import Judgement
    from sealwright.policy.policyset import PolicySet
    from sealwright.registry.check import VerifiedBundle

HELP = "check a dataset, a model, a run or an exported bundle"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("target", metavar="REF|BUNDLE", help="a reference, or a directory or tar")
    parser.add_argument(
        "--trust",
        metavar="FILE|FINGERPRINT",
        help="whose bundle to accept: a trust file or a fingerprint you got by another way",
    )
    parser.add_argument("--max-age", metavar="SPAN", help="refuse older evidence: 12h, 7d")
    own = parser.add_mutually_exclusive_group()
    own.add_argument(
        "--profile",
        choices=("solo", "team", "regulated"),
        help="judge the bundle by the shipped policy of this profile",
    )
    own.add_argument("--policy", metavar="DIR", help="judge it by the policy files in DIR")


def run(args: argparse.Namespace, out: Out) -> int:
    """Verify; every failure is an error with its exit code."""
    if _is_bundle(args.target):
        return _bundle(args, out)
    from sealwright.app import referring, wiring
    from sealwright.core.errors import BadInput

    if "/" in args.target or args.target.endswith((".tar", ".json")):
        raise BadInput(
            f"there is no bundle at {args.target}",
            why="no such file or folder",
            hint="look at the path; seal model export MODEL FILE writes one",
        )
    if args.trust or args.max_age or args.profile or args.policy:
        raise BadInput(
            f"there is no bundle at {args.target}",
            why="--trust, --max-age, --profile and --policy are for bundles",
        )
    workspace = wiring.open_workspace()
    history = workspace.history()
    ref = referring.resolve(args.target, history)
    if ref.kind == "data":
        from sealwright.app.cli import data_views

        return data_views.verify(workspace, argparse.Namespace(ref=[str(ref)]), out)
    from sealwright.app import lineage, verifying
    from sealwright.evidence.lineage import inputs_of
    from sealwright.registry.aliases import refuse_unusable
    from sealwright.registry.versions import Models

    if ref.kind == "run":
        checked = verifying.run(workspace, ref.name, history)
        shape: dict[str, Any] = {
            "verified": True,
            "run": checked.run,
            "entries": [entry.index for entry in checked.entries],
            "kept": list(checked.kept),
            "models": list(checked.models),
        }
        text = (
            f"run:{checked.run} holds: its provenance, {', '.join(checked.kept) or 'nothing kept'}"
        )
        out.emit(shape, text)
        return 0
    wanted = Models(history).resolve(ref)
    with out.progress(f"verifying {wanted.ref}") as progress:
        found = verifying.model(workspace, wanted, progress)
    shape = {
        "verified": True,
        "ref": wanted.ref,
        "digest": wanted.digest,
        "status": wanted.status,
        "files": [{"path": f.path, "size": f.size, "sha256": f.sha256} for f in found.files],
        "run": wanted.run,
        "entry": wanted.index,
        "log_size": history.size,
        "screening": [
            {"ref": used.name, "verdict": lineage.verdict_of(history, used.digest)}
            for used in (inputs_of(found.run) if found.run else ())
            if used.name.startswith("data:")
        ],
    }
    refuse_unusable(wanted)
    out.emit(shape, lambda: _model_text(shape))
    return 0


def _is_bundle(target: str) -> bool:
    path = Path(target)
    if path.is_file():
        return True
    return path.is_dir() and (
        any((path / name).exists() for name in ("evidence", "model.sig")) or "/" in target
    )


def _is_guard_proof(target: str) -> bool:
    from sealwright.serve.proof import MARK

    path = Path(target)
    if not path.is_file():
        return False
    with open(path, "rb") as stream:
        return stream.read(len(MARK)) == MARK


def _bundle(args: argparse.Namespace, out: Out) -> int:
    if _is_guard_proof(args.target):
        from sealwright.app.cli import verify_guard

        return verify_guard.run(args, out)
    from sealwright.app.pinning import pin
    from sealwright.core import clock
    from sealwright.core.settings import span_s
    from sealwright.registry import consumer
    from sealwright.registry.check import verify_bundle

    max_age_s = span_s(args.max_age) if args.max_age else None
    own, now = _own_policy(args), clock.now()
    found = verify_bundle(Path(args.target), pin(args.trust), max_age_s=max_age_s, now=now)
    shape = _bundle_json(found, consumer.require(found, own, now) if own else None)
    out.emit(shape, lambda: _bundle_text(shape))
    return 0


def _own_policy(args: argparse.Namespace) -> PolicySet | None:
    """The policy set that the reader of a bundle named. Raises: BadInput."""
    from sealwright.policy import policyset

    if args.profile:
        return policyset.shipped(args.profile)
    return policyset.load_any(Path(args.policy)) if args.policy else None


def _bundle_json(found: VerifiedBundle, own: Judgement | None) -> dict[str, Any]:
    """The stable shape (docs/reference/json-registry.md)."""
    from sealwright.registry.versions import run_of

    model = found.model
    return {
        "verified": True,
        "ref": model.ref,
        "digest": model.digest,
        "status": model.status,
        "as_of": {
            "time": found.as_of,
            "by": found.as_of_by,
            "entries": found.history.size,
            "root": found.history.root,
        },
        "trust": {"fingerprint": found.trust.fingerprint, "version": found.trust.version},
        "witnesses": [
            {"name": c.witness, "separation": c.separation, "size": c.size, "time": c.time}
            for c in found.cosignatures
        ],
        "run": run_of(found.run) if found.run else "",
        "isolation": found.isolation,
        "profile": found.profile,
        "data": [{"ref": each.name, "digest": each.digest} for each in found.datasets],
        "decisions": [
            {
                "gate": entry.statement.predicate["gate"],
                "entry": entry.index,
                "warnings": entry.statement.predicate.get("warnings", []),
            }
            for entry in found.decisions
        ],
        "files": [{"path": f.path, "size": f.size, "sha256": f.sha256} for f in found.files],
        "signer": model.signer,
        "actor": model.actor,
        "warnings": list(found.warnings),
        "policy": _own_json(own) if own else None,
    }


def _own_json(judged: Judgement) -> dict[str, Any]:
    return {
        "profile": judged.active.profile,
        "digest": judged.active.digest,
        "decision": judged.decision.id,
        "facts": judged.drawn.facts.digest,
        "warnings": list(judged.decision.warnings),
    }


def _model_text(shape: Mapping[str, Any]) -> str:
    count = len(shape["files"])
    screened = "".join(
        f"\n  data    {one['ref']}: {one['verdict'].replace('-', ' ')}"
        for one in shape["screening"]
    )
    return (
        f"{shape['ref']} is what was signed: {count} file{'s' if count != 1 else ''}\n"
        f"  digest  {shape['digest']}\n"
        f"  status  {shape['status']}, as of log entry {shape['log_size'] - 1}{screened}"
    )


def _bundle_text(shape: Mapping[str, Any]) -> str:
    as_of, data = shape["as_of"], shape["data"]
    lines = [
        f"{shape['ref']} is what was signed, with its evidence",
        f"  digest     {shape['digest']}",
        f"  status     {shape['status']}, as of entry {as_of['entries'] - 1} of the log",
        f"  seen       {as_of['time']} by {_who(as_of['by'])}",
        f"  signed by  {shape['actor']}, under the trust root {shape['trust']['fingerprint']}",
        f"  made by    run {shape['run'] or 'unknown'}, isolation {shape['isolation']}, "
        f"under the profile {shape['profile']}",
        f"  from       {', '.join(each['ref'] for each in data) or 'no signed data'}",
    ]
    for each in shape["decisions"]:
        lines.append(f"  gate       {each['gate']} allowed it (entry {each['entry']})")
        lines += [f"             it warned: {warning}" for warning in each["warnings"]]
    if own := shape["policy"]:
        lines.append(f"  accepted   by your policy ({own['profile']}), decision {own['decision']}")
        lines += [f"             it warns: {warning}" for warning in own["warnings"]]
    lines += [f"  warning    {warning}" for warning in shape["warnings"]]
    return "\n".join(lines)


def _who(by: str) -> str:
    """Who says when the log was seen; nobody but the exporter where no witness cosigned."""
    return "the bundle's own word, no witness" if by == "self-asserted" else by
