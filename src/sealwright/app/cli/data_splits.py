"""``seal data splits``, ``vouch`` and ``refresh``: sets kept apart, looked over and fresh."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sealwright.core.errors import BadInput

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.splits import Checked
    from sealwright.app.wiring import Workspace


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of ``splits``."""
    parser.add_argument(
        "refs",
        metavar="REF",
        nargs="*",
        help="train and test, or train, validation and test; else every split of seal.toml",
    )
    parser.add_argument("--key", default="", metavar="COLUMN", help="what names an entity")
    parser.add_argument("--time", default="", metavar="COLUMN", help="what dates a record")
    parser.add_argument(
        "--near", type=float, default=0.8, help="the least similarity that counts; 0: equal only"
    )


def arguments_vouch(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of ``vouch``."""
    parser.add_argument("ref", metavar="REF", help="data:NAME@N; the newest version if @N is left")
    parser.add_argument("--reason", default="", help="what you looked at; goes into the log")


def run(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Compare, record, print; 1 where something leaks."""
    from sealwright.app import splits
    from sealwright.core.settings import SplitSettings
    from sealwright.intake.versions import Datasets

    catalogue = Datasets(workspace.history(), workspace.store)
    if args.refs:
        if not 0 <= args.near <= 1:
            raise BadInput(f"--near {args.near:g} is no similarity", why="from 0 to 1")
        terms = SplitSettings(key=args.key, time=args.time, near=args.near)
        wanted = [splits.ad_hoc([catalogue.resolve(ref) for ref in args.refs], terms)]
    else:
        names = list(workspace.settings.splits)
        if not names:
            raise BadInput(
                "no split is named",
                why="no REF was given, and seal.toml has no [splits.NAME]",
                hint="seal data splits TRAIN TEST",
            )
        wanted = [splits.declared(workspace, catalogue, name) for name in names]
    done = [splits.check(workspace, each, again=True) for each in wanted]
    for note in workspace.settle():
        out.note(note)
    out.emit({"splits": [checked_json(each) for each in done]}, lambda: text_of(done))
    return int(not all(each.apart for each in done))


def vouch(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Sign that a held-out set was looked over."""
    from sealwright.app import vouching
    from sealwright.intake.versions import Datasets

    dataset = Datasets(workspace.history(), workspace.store).resolve(args.ref)
    done = vouching.vouch(workspace, dataset, args.reason)
    for note in workspace.settle():
        out.note(note)
    if done.own:
        out.note(f"you added {done.ref} yourself: outside solo somebody else has to vouch for it")
    shape = {
        "ref": done.ref,
        "verifier": workspace.principal.name,
        "checks": list(done.checks),
        "own": done.own,
        "entry": done.index,
    }
    rests = ", ".join(map(str, done.checks))
    out.emit(shape, f"{done.ref} is vouched for by {workspace.principal.name}, on entries {rests}")
    return 0


def refreshed(workspace: Workspace, names: list[str], out: Out) -> list[Checked]:
    """Compare the newest versions of datasets just added with the other sides of their splits."""
    from sealwright.app import splits
    from sealwright.intake.versions import Datasets

    catalogue = Datasets(workspace.history(), workspace.store)
    done = []
    for name in workspace.settings.splits:
        sides = splits.declared(workspace, catalogue, name)
        if any(one.name in names for one in sides.datasets.values()):
            done.append(splits.check(workspace, sides))
    if not done:
        out.note(f"{', '.join(names)} is a side of no [splits.NAME] in seal.toml: nothing proved")
    return done


def checked_json(checked: Checked) -> dict[str, Any]:
    """The stable shape of a comparison."""
    import msgspec

    return {
        "name": checked.name,
        "sides": dict(checked.refs),
        "apart": checked.apart,
        "leaks": msgspec.to_builtins(checked.leaks),
        "total": checked.total,
        "unread": checked.unread,
        "report": checked.report,
        "entry": checked.index,
    }


def text_of(done: list[Checked]) -> str:
    """For people."""
    lines = []
    for each in done:
        if each.apart:
            lines.append(f"{' / '.join(each.refs.values())}: apart (entry {each.index})")
        lines += each.lines()
        if each.unread:
            lines.append(f"{each.unread:,} records could not be read")
    return "\n".join(lines)
