"""``seal data contract``: draw, look at, hold against, put in force."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealwright.core.errors import BadInput

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.contracts import Checked
    from sealwright.app.wiring import Workspace
    from sealwright.intake.contract import Contract
    from sealwright.intake.versions import Dataset


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
    infer = words.add_parser("infer", help="draw a contract from a version, to be edited")
    infer.add_argument("ref", metavar="REF", help="data:NAME@N; the newest version if @N is left")
    infer.add_argument("--reason", default="", help="why; goes into the log")
    infer.add_argument(
        "--from-pandera", metavar="FILE", help="take it from a pandera schema in JSON or YAML"
    )
    infer.add_argument("--out", metavar="FILE", help="write there, not to contracts/NAME.toml")
    infer.add_argument("--force", action="store_true", help="write over what is there")
    shown = words.add_parser("show", help="the contract in force, and what the page says")
    shown.add_argument("name", metavar="NAME")
    shown.add_argument("--reason", default="", help="why; goes into the log")
    check = words.add_parser("check", help="hold a version to its contract")
    check.add_argument("ref", metavar="REF", help="data:NAME@N; the newest version if @N is left")
    check.add_argument("--draft", action="store_true", help="to the page; records nothing")
    check.add_argument("--file", metavar="FILE", help="to this contract; records nothing")
    activate = words.add_parser("activate", help="put the page in force for later versions")
    activate.add_argument("name", metavar="NAME")
    activate.add_argument("--file", default="", metavar="FILE", help="else contracts/NAME.toml")
    activate.add_argument("--reason", default="", help="why; goes into the log")


def run(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Run one word."""
    words = {"infer": _infer, "show": _show, "check": _check, "activate": _activate}
    return words[args.word](workspace, args, out)


def _infer(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import contracts
    from sealwright.intake import contract_infer

    dataset = _dataset(workspace, args.ref)
    path = Path(args.out) if args.out else contracts.page_of(workspace, dataset.name)
    if path.exists() and not args.force:
        raise BadInput(f"{path.name} is there already", hint="--force writes over it")
    if args.from_pandera:
        contract, page = _imported(args.from_pandera, dataset.name)
        source = args.from_pandera
    else:
        found = contracts.infer(workspace, dataset, args.reason)
        contract, source = found.contract, dataset.ref
        page = contract_infer.page(contract, found.seen, found.records)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, "utf-8")
    shown = args.out or f"{contracts.FOLDER}/{path.name}"
    shape = {"name": dataset.name, "file": shown, "from": source, **_counts(contract)}
    text = (
        f"{shown}: {len(contract.columns)} columns, drawn from {source}\n"
        f"next: edit it, then seal data contract activate {dataset.name} --reason '...'"
    )
    out.emit(shape, text)
    return 0


def _imported(file: str, name: str) -> tuple[Contract, str]:
    from sealwright.core.reading import small_file
    from sealwright.intake import contract, contract_infer, contract_pandera

    try:
        data = small_file(Path(file))
    except FileNotFoundError as error:
        raise BadInput(f"{file} is missing", hint="schema.to_json('schema.json')") from error
    made = contract_pandera.read(data, file, name)
    page = contract_infer.page(made)
    return contract.parse(page.encode(), file), page


def _show(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import accessing, contracts
    from sealwright.intake import contract_infer

    dataset = _dataset(workspace, args.name)
    found = contracts.in_force(workspace, dataset.name)
    if found is None:
        raise BadInput(
            f"no contract is in force for data:{dataset.name}",
            hint=f"seal data contract infer {dataset.name}",
        )
    accessing.require(workspace, "modify", [dataset.artifact], reason=args.reason)
    contract = contracts.load(workspace, found)
    page = contract_infer.page(contract)
    edited = ""
    if contracts.page_of(workspace, dataset.name).exists():
        try:
            written = contracts.draft(workspace, dataset.name).digest
        except BadInput as error:
            written = "unreadable"
            out.note(error.what)
        edited = "" if written == found.digest else written
    shape = {
        "name": dataset.name,
        "version": found.version,
        "digest": found.digest,
        "entry": found.index,
        "draft": edited,
        "contract": page,
        **_counts(contract),
    }
    text = f"# contract {found.version} of data:{dataset.name}, entry {found.index}\n{page}"
    if edited:
        out.note(f"contracts/{dataset.name}.toml says something else; it is not in force")
    out.emit(shape, text)
    return 0


def _check(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import contracts

    dataset = _dataset(workspace, args.ref)
    if args.draft or args.file:
        contract = contracts.draft(workspace, dataset.name, args.file or "")
        checked = contracts.of_report(dataset, contracts.held(workspace, dataset, contract))
    else:
        made = contracts.check(workspace, dataset, again=True)
        if made is None:
            raise BadInput(
                f"no contract is in force for data:{dataset.name}",
                hint=f"seal data contract infer {dataset.name}",
            )
        checked = made
    for note in workspace.settle():
        out.note(note)
    out.emit(checked_json(checked), lambda: checked_text(checked))
    return 0 if checked.conforms else 1


def _activate(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import contracts

    dataset = _dataset(workspace, args.name)
    contract = contracts.draft(workspace, dataset.name, args.file)
    found = contracts.activate(workspace, dataset.name, contract, args.reason)
    checked = contracts.check(workspace, dataset)
    for note in workspace.settle():
        out.note(note)
    shape = {
        "name": dataset.name,
        "version": found.version,
        "digest": found.digest,
        "entry": found.index,
        "check": checked_json(checked) if checked else None,
    }
    text = f"contract {found.version} of data:{dataset.name} is in force, entry {found.index}"
    out.emit(shape, lambda: "\n".join([text, *([checked_text(checked)] if checked else [])]))
    return 0


def checked_json(checked: Checked) -> dict[str, Any]:
    """The stable shape of a check."""
    import msgspec

    return {
        "ref": checked.ref,
        "conforms": checked.conforms,
        "contract": checked.contract,
        "report": checked.report,
        "structural": checked.structural,
        "broken": checked.broken,
        "breaches": msgspec.to_builtins(checked.breaches),
        "entry": checked.index,
    }


def checked_text(checked: Checked) -> str:
    """For people."""
    if checked.conforms:
        return f"{checked.ref} conforms to its contract"
    return "\n".join(checked.lines())


def _dataset(workspace: Workspace, ref: str) -> Dataset:
    from sealwright.intake.versions import Datasets

    return Datasets(workspace.history(), workspace.store).resolve(ref)


def _counts(contract: Contract) -> dict[str, int]:
    return {"columns": len(contract.columns), "rules": len(contract.rules)}
