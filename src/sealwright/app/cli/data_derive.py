"""``seal data mask``, ``tokenize``, ``generalise``, ``minimize`` and ``detokenize``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sealwright.core.errors import BadInput
from sealwright.core.sensitivity import NAMED

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.deriving import Derived, Wish
    from sealwright.app.wiring import Workspace
    from sealwright.intake.derive import Anonymity, Change
    from sealwright.intake.versions import Dataset

_MASKS = {
    "drop": "leave the column out",
    "null": "empty it",
    "last4": "keep the last four characters",
    "hash": "a pseudonym under a key of this derived dataset",
    "partial": "star the middle, as the value's form allows",
}


def arguments_mask(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of ``mask``."""
    _common(parser)
    for name, said in _MASKS.items():
        parser.add_argument(f"--{name}", action="append", default=[], metavar="COLUMN", help=said)


def arguments_tokenize(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of ``tokenize``."""
    _common(parser)
    parser.add_argument(
        "--column", action="append", default=[], metavar="COLUMN", help="replace it by tokens"
    )
    parser.add_argument("--purpose", required=True, help="tokens join within it, not across")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--irreversible", action="store_true", help="HMAC: nobody turns them back")
    how.add_argument(
        "--format-preserving", action="store_true", help="FF1: digits stay digits, at least six"
    )


def arguments_generalise(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of ``generalise``."""
    _common(parser)
    parser.add_argument("--bin", action="append", default=[], metavar="COLUMN=WIDTH")
    parser.add_argument("--date", action="append", default=[], metavar="COLUMN=day|month|year")
    parser.add_argument("--prefix", action="append", default=[], metavar="COLUMN=LENGTH")
    parser.add_argument("--quasi", default="", metavar="A,B", help="count k-anonymity over these")


def arguments_minimize(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of ``minimize``."""
    _common(parser)
    parser.add_argument("--drop", action="append", default=[], metavar="COLUMN")
    parser.add_argument("--keep", action="append", default=[], metavar="COLUMN")
    parser.add_argument(
        "--max-cost", type=float, metavar="SHARE", help="drop what costs at most this accuracy"
    )


def arguments_detokenize(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of ``detokenize``."""
    parser.add_argument("ref", metavar="REF", help="a version that was tokenized")
    parser.add_argument("--purpose", required=True, help="what its tokens are for")
    parser.add_argument("--out", metavar="FILE", help=".csv or .parquet; CSV to stdout if absent")
    parser.add_argument("--reason", default="", help="why; goes into the log")


def mask(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal data mask``."""
    from sealwright.intake.derive import Change

    changes = [Change(column, how) for how in _MASKS for column in getattr(args, how)]  # type: ignore[arg-type]
    return _made(workspace, args, out, changes, suffix="masked")


def tokenize(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal data tokenize``."""
    from sealwright.intake.derive import Change

    how = "hmac" if args.irreversible else "ff1" if args.format_preserving else "siv"
    changes = [Change(column, how) for column in args.column]  # type: ignore[arg-type]
    return _made(workspace, args, out, changes, suffix="tokenized", purpose=args.purpose)


def generalise(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal data generalise``."""
    from sealwright.intake.derive import Change

    wanted = (("bin", args.bin), ("period", args.date), ("prefix", args.prefix))
    changes = [Change(*_split(each, how)) for how, all_ in wanted for each in all_]  # type: ignore[arg-type]
    quasi = tuple(filter(None, args.quasi.split(","))) or tuple(c.column for c in changes)
    return _made(workspace, args, out, changes, suffix="general", quasi=quasi)


def minimize(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal data minimize``: without ``--drop`` and ``--max-cost`` it only shows the costs."""
    from sealwright.app import accessing, minimizing
    from sealwright.intake.derive import Change

    dataset = _dataset(workspace, args.ref)
    accessing.require(workspace, "modify", [dataset.artifact], reason=args.reason)
    found = minimizing.measured(workspace, dataset)
    dropped = minimizing.chosen(found, args.drop, args.keep, args.max_cost)
    if not dropped:
        out.emit(
            {"ref": dataset.ref, **minimizing.shape_of(found)},
            lambda: minimizing.text_of(found, out, dataset.ref),
        )
        return 0
    cost = minimizing.cost_of(workspace, dataset, found, dropped)
    changes = [Change(column, "drop") for column in dropped]
    said = (("accuracy_lost", f"{cost:.4f}"), ("accuracy_before", f"{found.accuracy:.4f}"))
    return _made(workspace, args, out, changes, suffix="minimal", utility=said)


def detokenize(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal data detokenize``: the read is in the log before a token is turned back."""
    from sealwright.app import deriving, rows
    from sealwright.app.cli import data_read
    from sealwright.intake import masks
    from sealwright.intake.versions import Datasets

    dataset = _dataset(workspace, args.ref)
    form = data_read.form_of(args.out)
    found = deriving.of(workspace.history(), dataset)
    if found is None:
        raise BadInput(f"{dataset.ref} was not derived here", hint=f"seal data show {dataset.ref}")
    source = Datasets(workspace.history(), workspace.store).resolve(found.source)
    tokens, columns = deriving.detokenize(workspace, dataset, source, args.purpose, args.reason)
    for note in workspace.settle():
        out.note(note)
    _, batches = rows.of(workspace, dataset)

    def opened() -> Any:
        for batch in batches:
            for name in columns:
                at = batch.schema.get_field_index(name)
                plain = masks.each(batch.column(name), tokens[name].value)
                batch = batch.set_column(at, name, plain)
            yield batch

    shape = {"ref": dataset.ref, "source": source.ref, "columns": columns, "purpose": args.purpose}
    return data_read.hand_out(opened(), args.out, form, dataset.rows, shape, out)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ref", metavar="REF", help="data:NAME@N; the newest version if @N is left")
    parser.add_argument("--name", default="", help="what to call what is derived")
    parser.add_argument("--out", default="", metavar="FILE", help="a Parquet file in the project")
    parser.add_argument("--reason", default="", help="why; goes into the log")
    parser.add_argument("--sensitivity", choices=NAMED, help="of what is derived")
    parser.add_argument(
        "--confirm", action="store_true", help="you confirm that it is less sensitive than before"
    )


def _made(
    workspace: Workspace,
    args: argparse.Namespace,
    out: Out,
    changes: Sequence[Change],
    *,
    suffix: str,
    purpose: str = "",
    quasi: tuple[str, ...] = (),
    utility: tuple[tuple[str, str], ...] = (),
) -> int:
    from sealwright.app import deriving
    from sealwright.app.deriving import Wish

    dataset = _dataset(workspace, args.ref)
    wish: Wish = Wish(
        name=args.name or f"{dataset.name}-{suffix}",
        changes=tuple(changes),
        purpose=purpose,
        reason=args.reason,
        path=args.out,
        sensitivity=args.sensitivity,
        confirmed=args.confirm,
        quasi=quasi,
        utility=utility,
    )
    with out.progress(f"data:{wish.name}") as progress:
        made = deriving.make(workspace, dataset, wish, progress)
    for note in (*made.added.notes, *workspace.settle()):
        out.note(note)
    out.emit(_shape(dataset, made, wish), lambda: _text(dataset, made, wish))
    return 0


def _shape(source: Dataset, made: Derived, wish: Wish) -> dict[str, Any]:
    import msgspec

    from sealwright.app.cli.data_views import version_json

    return {
        **version_json(made.added.dataset),
        "source": source.ref,
        "path": made.path,
        "changes": msgspec.to_builtins(wish.changes),
        "purpose": wish.purpose,
        "anonymity": {
            "columns": list(wish.quasi),
            "before": msgspec.to_builtins(made.before) if made.before else None,
            "after": msgspec.to_builtins(made.after) if made.after else None,
        },
        "utility": dict(wish.utility),
        "derivation": made.index,
    }


def _text(source: Dataset, made: Derived, wish: Wish) -> str:
    dataset = made.added.dataset
    lines = [
        f"{dataset.ref}  {made.rows:,} records of {source.ref}, row for row, in {made.path}",
        *(
            f"  {change.column}: {change.how}{f' {change.argument}' if change.argument else ''}"
            for change in wish.changes
        ),
    ]
    if wish.purpose:
        lines.append(f"  for the purpose {wish.purpose}")
    if made.before and made.after:
        over = ", ".join(wish.quasi)
        lines.append(
            f"  k-anonymity over {over}: {_alike(made.before)} before, {_alike(made.after)} after"
        )
    lines += [f"  {name.replace('_', ' ')}: {value}" for name, value in wish.utility]
    if dataset.signed.sensitivity:
        lines.append(f"  sensitive {dataset.signed.sensitivity}")
    return "\n".join(lines)


def _alike(found: Anonymity) -> str:
    return f"k = {found.k:,} ({found.below:,} records in groups smaller than {found.of})"


def _split(text: str, how: str) -> tuple[str, str, str]:
    column, equals, argument = text.rpartition("=")
    if not equals or not column:
        raise BadInput(f"{text!r} says no amount", hint="--bin age=10 --date born=year")
    return column, how, argument


def _dataset(workspace: Workspace, ref: str) -> Dataset:
    from sealwright.intake.versions import Datasets

    return Datasets(workspace.history(), workspace.store).resolve(ref)
