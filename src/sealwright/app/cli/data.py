"""Datasets: add, list, show, verify, diff, prove, read, check, shred, revoke, and their rules.

seal data add data/train.parquet --name train --label label --reason "first delivery"
seal data add /mnt/big --name big --reference      signs in place, copies nothing
seal data prove train@1 --row 41 --out row41.json  one record, shown to be in the version
seal data read train@1 --purpose audit --out a.csv rows and columns that your roles may see
seal data check train@2 --html found.html          what does not belong, before it trains
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealwright.app.cli import (
    data_canary,
    data_classify,
    data_contract,
    data_derive,
    data_drift,
    data_screen,
    data_shred,
    data_splits,
    data_survival,
    revoking,
)
from sealwright.app.cli.out import Out
from sealwright.core.sensitivity import NAMED

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace
    from sealwright.intake.add import Added, AddRequest

HELP = "add, list, verify, screen, compare, prove and read datasets"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _configure_add(verbs.add_parser("add", help="sign data as the next version of a dataset"))
    shown = verbs.add_parser("list", help="every dataset's newest version")
    shown.add_argument("--all", action="store_true", help="every version")
    shown = verbs.add_parser("show", help="one version: root, files, columns, parents")
    shown.add_argument("ref", metavar="REF", help="data:NAME@N; the newest version if @N is left")
    shown = verbs.add_parser("verify", help="read everything again, against what was signed")
    shown.add_argument("ref", metavar="REF", nargs="*", help="all newest versions if left out")
    shown = verbs.add_parser("log", help="a dataset's versions: who, when, why, what changed")
    shown.add_argument("name", metavar="NAME")
    shown = verbs.add_parser("diff", help="what changed between two versions")
    shown.add_argument("old", metavar="REF")
    shown.add_argument("new", metavar="REF", nargs="?", help="else REF against the one before it")
    _configure_prove(verbs.add_parser("prove", help="show that a record is in a version"))
    _configure_read(verbs.add_parser("read", help="rows, as your roles may see them"))
    data_contract.arguments(
        verbs.add_parser("contract", help="what every later version must look like")
    )
    data_splits.arguments(verbs.add_parser("splits", help="whether training and test are apart"))
    data_drift.arguments(verbs.add_parser("drift", help="what moved between two versions"))
    data_survival.arguments(
        verbs.add_parser("survival", help="how many poisoned rows predictions survive")
    )
    data_splits.arguments_vouch(verbs.add_parser("vouch", help="sign that you looked a set over"))
    _configure_add(verbs.add_parser("refresh", help="a newer held-out set, shown to be apart"))
    shown = verbs.add_parser("check", help="look for poisoned records; show what was found")
    data_screen.check_arguments(shown)
    shown = verbs.add_parser("quarantine", help="records that are held back, and how they leave")
    data_screen.quarantine_arguments(shown)
    _configure_private(verbs)
    data_canary.arguments(
        verbs.add_parser("canary", help="records that nobody has business with, and who does")
    )
    data_shred.arguments(verbs.add_parser("shred", help="destroy what only one version needs"))
    shown = verbs.add_parser("revoke", help="withdraw a version; what was made of it is blocked")
    revoking.arguments(shown)


def run(args: argparse.Namespace, out: Out) -> int:
    """Run one verb."""
    from sealwright.app.cli import data_views

    if args.verb == "prove" and args.check:
        return data_views.check(args, out)
    from sealwright.app import wiring

    workspace = wiring.open_workspace()
    verbs: dict[str, Callable[[Workspace, argparse.Namespace, Out], int]] = {
        "add": _add,
        "list": data_views.list_,
        "show": data_views.show,
        "verify": data_views.verify,
        "log": data_views.log,
        "diff": data_views.diff,
        "prove": data_views.prove,
        "read": _read,
        "classify": data_classify.run,
        "mask": data_derive.mask,
        "tokenize": data_derive.tokenize,
        "detokenize": data_derive.detokenize,
        "generalise": data_derive.generalise,
        "minimize": data_derive.minimize,
        "canary": data_canary.run,
        "contract": data_contract.run,
        "splits": data_splits.run,
        "drift": data_drift.run,
        "survival": data_survival.run,
        "vouch": data_splits.vouch,
        "refresh": _add,
        "check": data_screen.check,
        "quarantine": data_screen.quarantine,
        "shred": data_shred.run,
        "revoke": _revoke,
    }
    return verbs[args.verb](workspace, args, out)


def _configure_private(verbs: Any) -> None:
    data_classify.arguments(verbs.add_parser("classify", help="what personal data is in it"))
    for name, arguments, said in (
        ("mask", data_derive.arguments_mask, "a version with columns masked"),
        ("tokenize", data_derive.arguments_tokenize, "a version with tokens for values"),
        ("detokenize", data_derive.arguments_detokenize, "the values again, with a grant"),
        ("generalise", data_derive.arguments_generalise, "a version with coarser values"),
        ("minimize", data_derive.arguments_minimize, "a version without unneeded columns"),
    ):
        arguments(verbs.add_parser(name, help=said))


def _configure_add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", nargs="?", help="a file or a folder")
    parser.add_argument("--name", help="what to call it; else the file's name")
    parser.add_argument("--label", metavar="COLUMN", help="the column a model is to predict")
    parser.add_argument("--key", metavar="COLUMN", help="the column that tells records apart")
    parser.add_argument(
        "--sensitivity", choices=NAMED, help="how much harm it could do in the wrong hands"
    )
    parser.add_argument("--reason", default="", help="why this version exists, for the log")
    parser.add_argument("--reference", action="store_true", help="sign in place, copy nothing")
    parser.add_argument("--kind", default="", help="csv, jsonl, parquet, images or files")
    parser.add_argument(
        "--from", dest="inputs", action="append", default=[], metavar="REF", help="made from this"
    )
    parser.add_argument(
        "--urls", default="", metavar="LIST", help="a CSV: where each file was fetched from"
    )
    parser.add_argument(
        "--repin", action="store_true", help="take in changed content of URLs, with a reason"
    )
    parser.add_argument("--reread", action="store_true", help="read unchanged-looking files too")
    parser.add_argument(
        "--force-version", action="store_true", help="make a version even of equal records"
    )


def _configure_read(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ref", metavar="REF", help="data:NAME@N; the newest version if @N is left")
    parser.add_argument("--purpose", default="", help="what for; the data must allow it")
    parser.add_argument("--out", metavar="FILE", help=".csv or .parquet; CSV to stdout if absent")
    parser.add_argument("--reason", default="", help="why; goes into the log")


def _configure_prove(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ref", metavar="REF", nargs="?")
    parser.add_argument("--row", type=int, help="the record, counted from 0")
    parser.add_argument("--file", default="", help="count within this file of the version")
    parser.add_argument("--out", metavar="FILE", help="write the proof there")
    parser.add_argument("--reveal", action="store_true", help="put the record's values in it")
    parser.add_argument("--check", metavar="FILE", help="check a proof; needs no workspace")
    parser.add_argument("--root", help="the version's root, from somebody you trust")
    parser.add_argument("--trust", metavar="FILE|FINGERPRINT", help="whose signature to accept")


def _read(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app.cli import data_read

    return data_read.read(workspace, args, out)


def _add(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import accessing, urlpins
    from sealwright.app.datasets import ports_of
    from sealwright.intake.add import add

    ports = ports_of(workspace)
    done: list[Added] = []
    for request in _requests(workspace, args):
        named = accessing.whole_project(workspace, f"data:{request.name}")
        accessing.require(workspace, "modify", [named], reason=args.reason)
        pinned = urlpins.check(
            workspace, request.name, request.path, args.urls, repin=_repins(args)
        )
        with out.progress(f"data:{request.name}") as progress:
            added = add(request, ports, progress)
        if pinned is not None:
            urlpins.record(workspace, added.dataset, pinned, args.reason)
        notes = (*added.notes, *_standing(workspace, added), *_against_contract(workspace, added))
        for note in notes:
            out.note(note)
        done.append(added)
    for note in workspace.settle() if any(each.outcome == "added" for each in done) else []:
        out.note(note)
    shapes = [_added_json(each) for each in done]
    shape = shapes[0] if args.path else {"datasets": shapes}
    text = "\n".join(_added_text(each) for each in done)
    if args.verb == "refresh":
        return _refreshed(workspace, [each.dataset.name for each in done], shape, text, out)
    out.emit(shape, text)
    return 0


def _repins(args: argparse.Namespace) -> bool:
    from sealwright.core.errors import BadInput

    if args.urls and not args.path:
        raise BadInput("--urls goes with one PATH", hint="seal data add DIR --urls LIST.csv")
    if args.repin and not args.reason.strip():
        raise BadInput("--repin says why", hint="repeat it with --reason '...'")
    return bool(args.repin)


def _refreshed(
    workspace: Workspace, names: list[str], shape: dict[str, Any], text: str, out: Out
) -> int:
    """The proof that goes with a refresh: the new version beside the other sides."""
    compared = data_splits.refreshed(workspace, names, out)
    for note in workspace.settle():
        out.note(note)
    leaks = any(not each.apart for each in compared)
    told = [text, data_splits.text_of(compared)] if compared else [text]
    if compared and not leaks:
        told.append(f"next, somebody else: seal data vouch {names[0]} --reason '...'")
    shape = {**shape, "splits": [data_splits.checked_json(each) for each in compared]}
    out.emit(shape, "\n".join(told))
    return int(leaks)


def _standing(workspace: Workspace, added: Added) -> list[str]:
    """A word of warning where unchanged data is a version that was withdrawn."""
    from sealwright.evidence.standing import Standing

    status = Standing(workspace.history()).of(added.dataset.digest)
    if status == "active":
        return []
    mend = "; if that was a mistake, --force-version signs it anew" * (status == "revoked")
    return [f"{added.dataset.ref} is {status}{mend}"]


def _against_contract(workspace: Workspace, added: Added) -> list[str]:
    """What does not conform. The version is kept, marked by a statement, and gates refuse it."""
    from sealwright.app import contracts

    checked = contracts.check(workspace, added.dataset)
    if checked is None or checked.conforms:
        return []
    return [*checked.lines(), f"{added.dataset.ref} is kept, and does not conform to its contract"]


def _requests(workspace: Workspace, args: argparse.Namespace) -> list[AddRequest]:
    """One request for PATH, or one for each ``[data.NAME]`` of seal.toml."""
    import msgspec

    from sealwright.core.errors import BadInput
    from sealwright.core.settings import Data
    from sealwright.intake.add import AddRequest
    from sealwright.intake.versions import Datasets

    declared = workspace.settings.data
    if args.path:
        name = args.name or _name_of(Path(args.path))
        told = declared.get(name, Data(""))
        reference = args.reference or told.reference
        wanted = {name: msgspec.structs.replace(told, path=args.path, reference=reference)}
    else:
        wanted = {
            name: msgspec.structs.replace(each, path=str(workspace.root / each.path))
            for name, each in declared.items()
            if args.name in (None, name)
        }
    if not wanted:
        raise BadInput(
            "there is nothing to add",
            why="no PATH was given, and seal.toml declares no such dataset",
            hint="seal data add PATH --name NAME",
        )
    datasets = Datasets(workspace.history(), workspace.store) if args.inputs else None
    inputs = tuple(datasets.resolve(ref).artifact for ref in args.inputs) if datasets else ()
    return [
        AddRequest(
            path=told.path,
            name=name,
            actor=workspace.principal.name,
            reason=args.reason,
            label=args.label if args.label is not None else told.label or None,
            key=args.key if args.key is not None else told.key or None,
            sensitivity=args.sensitivity or told.sensitivity or None,
            kind=args.kind,
            reference=told.reference,
            inputs=inputs,
            reread=args.reread,
            force_version=args.force_version,
        )
        for name, told in wanted.items()
    ]


def _name_of(path: Path) -> str:
    """A name from a file's: lower case, odd characters as ``-``. Raises: BadInput."""
    from sealwright.core import refs

    stem = path.stem if path.suffix else path.name
    return refs.check_name(re.sub(r"[^a-z0-9_.-]+", "-", stem.lower()).strip("-_.")[:64])


def _added_json(added: Added) -> dict[str, Any]:
    from sealwright.app.cli.data_views import version_json

    return {**version_json(added.dataset), "outcome": added.outcome, "notes": list(added.notes)}


def _added_text(added: Added) -> str:
    from sealwright.app.cli.data_views import change_words, count

    dataset = added.dataset
    if added.outcome == "unchanged":
        return f"{dataset.ref} is unchanged ({count(dataset.rows, 'record')}); no new version"
    if added.outcome == "same-records":
        return (
            f"{dataset.ref}: same records, new encoding; no new version\n"
            "  --force-version records the new bytes"
        )
    where = "signed in place (external)" if dataset.external else "encrypted and signed"
    return (
        f"{dataset.ref}  {count(dataset.rows, 'record')} in {count(dataset.files, 'file')}, "
        f"{where}\n  root    {dataset.root}\n  digest  {dataset.digest}\n"
        f"  change  {change_words(dataset)}\n  entry   {dataset.index}"
    )


def _revoke(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.intake.versions import Datasets

    dataset = Datasets(workspace.history(), workspace.store).resolve(args.ref)
    return revoking.run(workspace, dataset.artifact, args, out)
