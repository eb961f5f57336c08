"""The supply chain: what a run is made of, and whether that can be trusted.

seal supply scan models/               model files: clean, dangerous or not understood, and why
seal supply bom model:fraud@1 --out bom.json
seal supply audit                      packages here against the offline index of advisories
seal supply advisories update --from DIR|ZIP|URL
seal supply waive ID --package P --versions '==1.2' --until +30d --reason '...'
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from sealwright.app.cli.out import Out

VERBS: dict[str, tuple[str, str]] = {
    "allow": ("supply_allow", "sign a class of your own that model files may hold"),
    "convert": ("supply_convert", "turn a clean model into safetensors and plain parameters"),
    "scan": ("supply_scan", "judge model files, archives and notebooks without opening them"),
    "attest": ("supply_attest", "attestations: those of others verified, ours written"),
    "audit": ("supply_audit", "known vulnerabilities of an environment or a run"),
    "bom": ("supply_bom", "a bill of materials of a run or a model, as CycloneDX 1.6"),
    "advisories": ("supply_advisories", "the offline index: update it, say how old it is"),
    "image": ("supply_image", "the reputation of a container image, from its OCI layout alone"),
    "rebuild": ("supply_rebuild", "build it again, and name why it came out different"),
    "secrets": ("supply_secrets", "credentials in files, notebooks and archives, never printed"),
    "waive": (
        "supply_waive",
        "take an advisory, or what looks like a credential, on yourself for a time",
    ),
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
