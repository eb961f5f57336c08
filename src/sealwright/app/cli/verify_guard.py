"""``seal verify`` of what ``seal serve prove`` wrote."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sealwright.app.pinning import pin
from sealwright.core.errors import BadInput
from sealwright.core.reading import small_file
from sealwright.serve import proof

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.serve.proof import Proven


def run(args: argparse.Namespace, out: Out) -> int:
    """Verify; every failure is an error with its exit code."""
    if args.max_age or args.profile or args.policy:
        raise BadInput("--max-age, --profile and --policy are for bundles of models")
    found = proof.verify(small_file(Path(args.target)), pin(args.trust), args.target)
    shape = _json(found)
    out.emit(shape, lambda: _text(shape))
    return 0


def _json(found: Proven) -> dict[str, Any]:
    """The stable shape (docs/reference/json-serve.md)."""
    record = msgspec.to_builtins(found.record) if found.record else None
    event = None if found.record else dict(found.recorded.statement.predicate)
    return {
        "verified": True,
        "record": record,
        "event": event,
        "entry": found.recorded.index,
        "log_size": found.head.size,
        "root": found.head.root.hex(),
        "witnesses": list(found.witnesses),
        "trust": {"fingerprint": found.trust.fingerprint, "version": found.trust.version},
    }


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _text(shape: dict[str, Any]) -> str:
    seen = ", ".join(shape["witnesses"]) or "no witness"
    tail = [
        f"  in the log  entry {shape['entry']} of {shape['log_size']:,}, seen by {seen}",
        f"  signed      under the trust root {shape['trust']['fingerprint']}",
    ]
    if record := shape["record"]:
        rule = f", {record['rule']}" if record["rule"] else ""
        return "\n".join(
            [
                f"record {record['id']} holds: {record['principal']} asked {record['model']}",
                f"  verdict     {record['verdict']}{rule}",
                f"  released    {record['profile']}, {_rows(record['rows'])},"
                f" {record['mbits'] / 1000:,.1f} bits at most",
                f"  answer      SHA-256 {record['answer'] or '-'}",
                *tail,
            ]
        )
    event = shape["event"]
    return "\n".join(
        [
            f"the event holds: {event['what']} of {event['principal']}, asking {event['model']}",
            f"  rule        {event['rule']}: {event['why']}",
            f"  time        {event['time']}, rung {event['rung']}",
            *tail,
        ]
    )
