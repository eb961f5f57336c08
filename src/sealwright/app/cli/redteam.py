"""Attack a model before somebody else does.

seal redteam extraction model:fraud@1       how well thieves copy it within a budget of queries
seal redteam replay model:fraud@1           what a copy of what callers were told is worth
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from sealwright.app.cli.out import Out

VERBS: dict[str, tuple[str, str]] = {
    "extraction": ("redteam_extraction", "set thieves on a model, and size its budget"),
    "replay": ("redteam_replay", "train copies on what the heaviest callers were told"),
}
"""Every verb: its file in ``app/cli`` and its one line."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments; each verb's file describes its own."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, (file, line) in VERBS.items():
        _module(file).arguments(verbs.add_parser(verb, help=line))


def run(args: argparse.Namespace, out: Out) -> int:
    """Run one verb."""
    return int(_module(VERBS[args.verb][0]).run(args, out))


def _module(file: str) -> ModuleType:
    return import_module(f"sealwright.app.cli.{file}")
