"""Attestations: those of others, verified offline; ours, written to lie beside an artifact.

seal supply attest verify bundle.json --artifact app.whl --key signer.pem
seal supply attest verify app.whl.provenance --artifact app.whl --root ca.pem --log-key log.pem \\
    --identity https://ci.example/pipeline --issuer https://id.example
seal supply attest write model:fraud@1 --out attestations --beside layout
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealwright.app.cli.out import Out

if TYPE_CHECKING:
    from sealwright.app.attesting import Held
    from sealwright.supply.attestation import Trusted

_PEM_BYTES = 1 << 16


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    verbs = parser.add_subparsers(dest="attest", required=True, metavar="VERB")
    check = verbs.add_parser("verify", help="does what others attest of an artifact hold?")
    check.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="DSSE, Sigstore bundle v0.3, PEP 740, or an OCI layout with referrers",
    )
    check.add_argument(
        "--artifact",
        required=True,
        metavar="PATH",
        help="a file, a model folder, an OCI layout, or sha256:…",
    )
    check.add_argument("--tag", default="", help="which image of that layout")
    for name, metavar, line in (
        ("--key", "PEM", "a public key you trust"),
        ("--root", "PEM", "certificates of an authority you trust"),
        ("--identity", "ID", "whose certificate it must be: an e-mail or a URI"),
        ("--issuer", "URL", "who must have vouched for that identity"),
        ("--log-key", "PEM", "the public key of a transparency log you trust"),
        ("--builder", "ID", "which builder the provenance must name"),
    ):
        check.add_argument(name, action="append", default=[], metavar=metavar, help=line)
    ours = verbs.add_parser("write", help="our statements about an artifact, as Sigstore bundles")
    ours.add_argument(
        "artifact", metavar="ARTIFACT", help="model:NAME@N, run:ID, a file, or sha256:…"
    )
    ours.add_argument("--out", required=True, metavar="DIR", help="a folder to be made")
    ours.add_argument(
        "--beside", metavar="OCI-LAYOUT", help="also as a referrer of this layout's image"
    )
    ours.add_argument("--tag", default="", help="which image of that layout")


def run(args: argparse.Namespace, out: Out) -> int:
    """Verify, or write."""
    return _verify(args, out) if args.attest == "verify" else _write(args, out)


def _verify(args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import attesting

    subject = attesting.subject_of(args.artifact, args.tag)
    held = attesting.verify([Path(file) for file in args.files], subject, _trusted(args))
    out.emit(
        {"artifact": f"sha256:{subject.sha256}", "attestations": [_json(one) for one in held]},
        lambda: "\n".join(
            [
                out.table([_row(one) for one in held], ["holds", "predicate", "signed by", "time"]),
                f"all {len(held)} are about sha256:{subject.sha256}",
            ]
        ),
    )
    return 0


def _trusted(args: argparse.Namespace) -> Trusted:
    from sealwright.core.reading import small_file
    from sealwright.evidence.keys import load_public
    from sealwright.supply import attestcert
    from sealwright.supply.attestation import Trusted

    def pems(paths: list[str]) -> list[bytes]:
        return [small_file(Path(path), _PEM_BYTES) for path in paths]

    return Trusted(
        keys=tuple(load_public(pem) for pem in pems(args.key)),
        roots=tuple(one for pem in pems(args.root) for one in attestcert.roots_of(pem)),
        identities=tuple(args.identity),
        issuers=tuple(args.issuer),
        logs=tuple(load_public(pem) for pem in pems(args.log_key)),
        builders=tuple(args.builder),
    )


def _json(held: Held) -> dict[str, Any]:
    one = held.attested
    return {
        "where": held.where,
        "form": one.form,
        "predicate_type": one.predicate_type,
        "builder": one.builder,
        "signers": list(one.signers),
        "issuer": one.issuer,
        "time": _stamp(one.time),
    }


def _row(held: Held) -> list[str]:
    one = held.attested
    signers = ", ".join(name if "/" in name or "@" in name else name[:16] for name in one.signers)
    return [held.where, one.predicate_type or "the file itself", signers, _stamp(one.time)]


def _stamp(seconds: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}" if seconds else ""


def _write(args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import attesting, wiring

    workspace = wiring.open_workspace()
    beside = Path(args.beside) if args.beside else None
    written = attesting.write(workspace, args.artifact, Path(args.out), beside, args.tag)
    lines = [f"{args.out}/{name}  {kind}" for name, kind in written.bundles.items()]
    lines += [f"{args.out}/{name}  the key to verify them with" for name in written.keys]
    if written.referrer:
        lines.append(f"{args.out}/layout  a referrer, sha256:{written.referrer}")
    out.emit(
        {
            "folder": args.out,
            "bundles": dict(written.bundles),
            "keys": list(written.keys),
            "referrer": f"sha256:{written.referrer}" if written.referrer else "",
        },
        "\n".join(lines),
    )
    return 0
