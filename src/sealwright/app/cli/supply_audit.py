"""Known vulnerabilities of an environment, or of what a past run used.

seal supply audit                 the packages of the Python this project would run with
seal supply audit run:ID          those that a past run was sealed with
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sealwright.app.cli.out import Out

if TYPE_CHECKING:
    from sealwright.app.advising import Audited
    from sealwright.supply.audit import Hit


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("run", metavar="RUN", nargs="?", help="run:ID; what is here if left out")
    parser.add_argument("--python", default="python", help="which interpreter's packages")
    parser.add_argument("--stage", default="", help="waivers of this stage count, too")
    parser.add_argument("--sarif", metavar="FILE", help="write what is open as SARIF 2.1.0 too")


def run(args: argparse.Namespace, out: Out) -> int:
    """Audit, print by rank; 1 when something is vulnerable or unknown."""
    from sealwright.app import advising, auditing, wiring

    workspace = wiring.open_workspace()
    packages, subject = auditing.packages(workspace, args.run or "", args.python)
    done = advising.audit(workspace, packages, subject, args.stage)
    for note in workspace.settle():
        out.note(f"note: {note}")
    if args.sarif:
        from sealwright.supply import sarif

        out.write(args.sarif, sarif.encode(auditing.results(done, workspace.root)))
    out.emit(_json(done), lambda: _text(done, out))
    return int(bool(done.audit.vulnerable or done.audit.unsure or done.held.rule))


def _json(done: Audited) -> dict[str, Any]:
    import msgspec

    held = done.held
    return {
        "subject": {"name": done.subject.name, "digest": done.subject.digest},
        "packages": done.audit.packages,
        "vulnerable": list(done.audit.vulnerable),
        "unknown": [{"package": name, "why": why} for name, why in done.audit.unknown],
        "hits": [msgspec.to_builtins(hit) for hit in done.audit.hits],
        "advisories": {
            "sha256": held.sha256,
            "age_days": held.age_days,
            "rule": held.rule,
            "why": held.why,
        },
        "waivers_not_counted": [
            {"request": d, "about": name, "why": why} for d, name, why in done.waivers.refused
        ],
        "index": done.receipt.index if done.receipt else None,
    }


def _text(done: Audited, out: Out) -> str:
    from sealwright.app import advising

    audit, held = done.audit, done.held
    lines = []
    if audit.hits:
        rows = [_row(hit) for hit in audit.hits]
        lines += [out.table(rows, ["package", "advisory", "rank", "imported", "state", "mend"]), ""]
    if held.rule:
        lines += [f"{held.rule}: {held.why}", f"mend: {advising.mend_index()}"]
    vulnerable, unsure = len(audit.vulnerable), len(audit.unsure)
    lines.append(
        f"{audit.packages} packages: {vulnerable} vulnerable, {len(audit.of('waived'))} waived,"
        f" {unsure} unknown; index {held.age_days} days old"
        if held.index
        else f"{audit.packages} packages, all unknown"
    )
    lines += [f"does not count: {name}: {why}" for _, name, why in done.waivers.refused]
    if vulnerable:
        first = audit.of("vulnerable")[0]
        lines.append(
            f"or, where it does no harm: seal supply waive {first.id} --package {first.package}"
            f" --versions '=={first.version}' --until +30d --reason '...'"
        )
    return "\n".join(lines)


def _row(hit: Hit) -> list[str]:
    mend = f"{hit.package}>={hit.fixed}" if hit.fixed else "no fixed release is named"
    alias = next((name for name in hit.aliases if name.startswith("CVE-")), "")
    return [
        f"{hit.package} {hit.version}",
        f"{hit.id} {alias}".strip(),
        f"{hit.rank} {hit.score / 10:.1f}",
        hit.imported,
        hit.state,
        f"waiver {hit.waiver[:8]}" if hit.waiver else mend,
    ]
