"""``seal data check``: look for what does not belong, and show it."""

from __future__ import annotations

import argparse
from typing import Any

from sealwright.app import accessing, screendetails, screening, screenwords
from sealwright.app.cli.out import Out
from sealwright.app.screendetails import Details
from sealwright.app.screenwords import Looked
from sealwright.app.wiring import Workspace
from sealwright.core.errors import GateDenied, Refused
from sealwright.intake.versions import Dataset, Datasets
from sealwright.policy.screened import Held

_LINES = 6
_RANKS = 10
_HEAD = ("group", "state", "records", "label", "seen", "expected", "p", "pattern")


def run(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Screen, record, show. Exit 1 where something is open or failed."""
    datasets = Datasets(workspace.history(), workspace.store)
    if args.ref:
        wanted = [datasets.resolve(ref) for ref in args.ref]
    else:
        wanted = list({each.name: each for each in datasets.all()}.values())
    checked = [_check(workspace, dataset, args, out) for dataset in wanted]
    for note in workspace.settle():
        out.note(note)
    if args.html:
        from sealwright.app import screenpage

        screenpage.write(args.html, [(o.looked, o.held, o.details) for o in checked])
        out.note(f"the page is {args.html}")
    shapes = [_json(one) for one in checked]
    shape = shapes[0] if len(args.ref) == 1 else {"datasets": shapes}
    out.emit(shape, lambda: "\n\n".join(_text(one, out) for one in checked) or "no datasets yet")
    return 1 if any(one.stops for one in checked) else 0


class _Checked:
    """One version with everything that is shown of it."""

    def __init__(self, looked: Looked, held: tuple[Held, ...], details: Details | None) -> None:
        self.looked = looked
        self.held = held
        self.details = details

    @property
    def stops(self) -> bool:
        """Whether team would let nothing learn from it."""
        said = self.looked.said
        unsure = said.verdict in ("failed", "unscreened") or said.unread > 0
        return unsure or any(one.open for one in self.held)


def _check(workspace: Workspace, dataset: Dataset, args: argparse.Namespace, out: Out) -> _Checked:
    """Counts are for every member; what quotes records is for who may read them."""
    accessing.require(workspace, "inspect", [dataset.artifact], size_bytes=dataset.size_bytes)
    with out.progress(f"screening {dataset.ref}") as progress:
        looked = screening.look(workspace, dataset, progress, again=args.again, model=args.model)
    held = screening.groups_of(workspace, dataset)
    return _Checked(looked, held, _details(workspace, looked, args, out))


def _details(
    workspace: Workspace, looked: Looked, args: argparse.Namespace, out: Out
) -> Details | None:
    """What was found, in full, to who may read the whole version; else without its values."""
    try:
        details = screening.details_of(workspace, looked)
    except Refused as refused:
        out.note(f"note: {refused.what}")
        return None
    if details is None or not (details.groups or details.ranks):
        return details
    dataset = looked.dataset
    try:
        judgement = accessing.judged(
            workspace,
            "view",
            [dataset.artifact],
            purpose=args.purpose,
            size_bytes=dataset.size_bytes,
            reason=args.reason,
        )
    except GateDenied as denied:
        out.note(f"note: patterns and values are not shown: {denied.why}")
        out.note(f"  mend: {denied.hint}")
        return screendetails.unquoted(details)
    view = accessing.view_for(workspace, judgement, dataset.name)
    if view.rows or view.columns:
        out.note("note: patterns and values are not shown: your roles see a part of the data")
        return screendetails.unquoted(details)
    return details


def group_json(held: Held, details: Details | None) -> dict[str, Any]:
    """The stable shape of a group (docs/reference/json-data.md)."""
    detail = details.group(held.line.id) if details else None
    line = held.line
    return {
        "id": line.id,
        "state": held.state,
        "detector": line.detector,
        "family": line.family,
        "key": line.key,
        "pattern": detail.pattern if detail else "",
        "label": detail.label if detail else "",
        "lines": list(detail.lines) if detail else [],
        "count": line.count,
        "seen": line.seen,
        "expected": line.expected,
        "p_value": line.p_value,
        "carriers": list(detail.carriers) if detail else [],
        "sources": [{"name": n, "count": c} for n, c in detail.sources] if detail else [],
        "added": [{"name": n, "count": c} for n, c in detail.added] if detail else [],
    }


def _json(one: _Checked) -> dict[str, Any]:
    said, details = one.looked.said, one.details
    return {
        "ref": one.looked.dataset.ref,
        "verdict": said.verdict,
        "why": said.why,
        "fresh": one.looked.fresh,
        "entry": one.looked.entry,
        "records": said.records,
        "unread": said.unread,
        "alpha": said.alpha,
        "reduced": said.reduced,
        "detectors": [
            {"name": d.name, "state": d.state, "tried": d.tried, "groups": d.groups}
            for d in said.detectors
        ],
        "groups": [group_json(held, details) for held in one.held],
        "would_have_seen": [{"family": c.family, "smallest": c.smallest} for c in said.canaries],
        "review": [
            {"record": r.record, "detector": r.detector, "why": r.why, "suggest": r.suggest}
            for r in (details.ranks if details else ())
        ],
        "facts": [
            {"rule": f.rule, "severity": f.severity, "message": f.message}
            for f in (details.facts if details else ())
        ],
        "errors": dict(details.errors) if details else {},
        "notes": list(details.notes) if details else [],
    }


def _text(one: _Checked, out: Out) -> str:
    said, ref = one.looked.said, one.looked.dataset.ref
    colour = {"found": "red", "failed": "red", "unscreened": "yellow"}.get(said.verdict, "green")
    seconds = f", {said.cpu_ms / 1000:.1f} CPU-s" if said.cpu_ms else ""
    looked = screenwords.count(len(said.detectors), "detector")
    lines = [
        f"{out.paint(said.verdict.replace('-', ' '), colour)}  {ref}"
        f"  {said.records:,} records, {looked}, alpha {said.alpha}{seconds}"
    ]
    if said.why:
        lines.append(f"  why       {said.why}")
    lines += [f"            {note}" for note in (one.details.notes if one.details else ())]
    lines += [f"  failed    {by}: {why}" for by, why in (one.details.errors if one.details else ())]
    if one.held:
        lines.append(out.table(_rows(one), _HEAD))
        lines += _below(one)
    if said.unread:
        lines.append(f"  unread    {said.unread:,} records no detector could read")
    lines += [
        f"  {fact.severity:<8}  {fact.message} ({fact.rule})"
        for fact in (one.details.facts if one.details else ())
    ]
    ranks = one.details.ranks if one.details else ()
    if ranks:
        shown = ", ".join(str(rank.record) for rank in ranks[:_RANKS])
        more = f" and {len(ranks) - _RANKS} more" if len(ranks) > _RANKS else ""
        lines.append(f"  review    records {shown}{more}: worth a look, held back by nothing")
    if said.verdict in ("nothing-found", "found"):
        lines.append(f"  seen      {screenwords.would_see(said)}")
    if any(held.state == "quarantined" for held in one.held):
        lines.append(f"next: seal data quarantine show {ref}")
        lines.append(f"      seal data quarantine reject {ref} --reason '...'"
                     "   a version without these records")  # fmt: skip
    return "\n".join(lines)


def _rows(one: _Checked) -> list[list[str]]:
    rows = []
    for held in one.held:
        detail = one.details.group(held.line.id) if one.details else None
        line = held.line
        rows.append(
            [
                line.id[:12],
                held.state,
                f"{line.count:,}",
                detail.label if detail else "",
                f"{line.seen:,}",
                f"{float(line.expected):.1f}",
                screenwords.short(line.p_value),
                detail.pattern if detail and detail.pattern else line.key,
            ]
        )
    return rows


def _below(one: _Checked) -> list[str]:
    lines = []
    for held in one.held:
        detail = one.details.group(held.line.id) if one.details else None
        where = screenwords.came_from(held.line.count, detail)
        if where:
            lines.append(f"  {held.line.id[:12]}  {where}")
        lines += [f"                {text}" for text in (detail.lines[:_LINES] if detail else ())]
    return lines
