"""The words ``seal data check`` and ``seal data quarantine``; what they do is imported later."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sealwright.app.cli.out import Out

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace


def check_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe what ``check`` takes."""
    parser.add_argument("ref", metavar="REF", nargs="*", help="all newest versions if left out")
    parser.add_argument("--html", metavar="FILE", help="write what was found as a page")
    parser.add_argument("--again", action="store_true", help="look again, though nothing changed")
    parser.add_argument(
        "--model",
        action="store_true",
        help="train a small model too, for warps and other hidden triggers in images (minutes)",
    )
    parser.add_argument("--purpose", default="", help="what for; the data must allow it")
    parser.add_argument("--reason", default="", help="why, for the log")


def quarantine_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the words of ``quarantine`` and what each takes."""
    verbs = parser.add_subparsers(dest="act", required=True, metavar="VERB")
    shown = verbs.add_parser("list", help="the groups, and where each stands")
    shown.add_argument("ref", metavar="REF", nargs="?", default="", help="all versions if left out")
    shown.add_argument("--all", action="store_true", help="released and rejected ones too")
    shown = verbs.add_parser("show", help="the records of a version's groups, and their source")
    shown.add_argument("ref", metavar="REF")
    shown.add_argument("group", metavar="GROUP", nargs="*", help="the beginning of a group's id")
    shown.add_argument("--purpose", default="", help="what for; the data must allow it")
    shown.add_argument("--reason", default="", help="why, for the log")
    shown = verbs.add_parser("release", help="let groups go: what they share is natural")
    shown.add_argument("ref", metavar="REF")
    shown.add_argument("group", metavar="GROUP", nargs="*", help="the beginning of a group's id")
    shown.add_argument(
        "--pattern",
        default="",
        metavar="KEY",
        help="the groups of this pattern, in later versions too, until it spreads",
    )
    shown.add_argument("--reason", default="", help="why, for the log")
    shown = verbs.add_parser("reject", help="make the next version, without the groups' records")
    shown.add_argument("ref", metavar="REF")
    shown.add_argument("group", metavar="GROUP", nargs="*", help="all in quarantine if left out")
    shown.add_argument("--reason", default="", help="why, for the log")


def check(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal data check``."""
    from sealwright.app.cli import data_check

    return data_check.run(workspace, args, out)


def quarantine(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal data quarantine``."""
    from sealwright.app.cli import data_quarantine

    return data_quarantine.run(workspace, args, out)
