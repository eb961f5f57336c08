"""Which columns a model would not miss: measured on a version, chosen by a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sealwright.app import rows
from sealwright.app.wiring import Workspace
from sealwright.core.errors import BadInput
from sealwright.intake.versions import Dataset
from sealwright.kit import utility
from sealwright.kit.utility import Utility

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out


def measured(workspace: Workspace, dataset: Dataset) -> Utility:
    """The worth of every column for the label. Raises: BadInput (no label, one label, few rows)."""
    columns, labels = _table(workspace, dataset)
    return utility.measure(columns, labels)


def chosen(
    found: Utility, drop: Sequence[str], keep: Sequence[str], most: float | None
) -> list[str]:
    """What to drop: as asked, and the least missed while they cost at most ``most`` together."""
    names = [each.column for each in found.order]
    if odd := [name for name in (*drop, *keep) if name not in names]:
        raise BadInput(f"there is no such column: {odd[0]!r}", why=f"columns: {', '.join(names)}")
    dropped = list(dict.fromkeys(drop))
    if most is not None:
        for each in found.order[:-1]:
            if each.total > most:
                break
            if each.column not in (*keep, *dropped):
                dropped.append(each.column)
    return dropped


def cost_of(
    workspace: Workspace, dataset: Dataset, found: Utility, dropped: Sequence[str]
) -> float:
    """The accuracy lost without exactly these columns, in the same model and folds."""
    columns, labels = _table(workspace, dataset)
    left = {name: values for name, values in columns.items() if name not in dropped}
    if not left:
        raise BadInput("no column would be left but the label")
    return found.accuracy - utility.measure(left, labels).accuracy


def shape_of(found: Utility) -> dict[str, Any]:
    """For ``--json``: decimals as text."""
    return {
        "rows": found.rows,
        "accuracy": f"{found.accuracy:.4f}",
        "baseline": f"{found.baseline:.4f}",
        "columns": [
            {"column": each.column, "cost": f"{each.cost:.4f}", "total": f"{each.total:.4f}"}
            for each in found.order
        ],
    }


def text_of(found: Utility, out: Out, ref: str) -> str:
    """For people: the least missed first."""
    cells = [[each.column, f"{each.cost:+.4f}", f"{each.total:+.4f}"] for each in found.order]
    return "\n".join(
        [
            f"{ref}: accuracy {found.accuracy:.4f} with every column, {found.baseline:.4f} with"
            f" none ({found.rows:,} records, cross-validated)",
            out.table(cells, ["column", "costs", "with those above"]),
            f"nothing was derived: seal data minimize {ref} --max-cost 0.005 --reason '...'",
        ]
    )


def _table(workspace: Workspace, dataset: Dataset) -> tuple[dict[str, list[object]], list[object]]:
    if not dataset.label:
        raise BadInput(
            f"{dataset.ref} has no label to measure by",
            hint=f"seal data add PATH --name {dataset.name} --label COLUMN",
        )
    schema, batches = rows.of(workspace, dataset)
    step = max(1, dataset.rows // utility.MOST_ROWS)
    held: dict[str, list[object]] = {name: [] for name in schema.names}
    seen = 0
    for batch in batches:
        first = -seen % step
        taken = batch.slice(first)
        for name in schema.names:
            held[name] += taken.column(name).to_pylist()[::step]
        seen += batch.num_rows
    labels = held.pop(dataset.label)
    if dataset.key in held:
        held.pop(dataset.key)
    if len(labels) < 8 or len({str(each) for each in labels}) < 2 or not held:
        raise BadInput(
            f"{dataset.ref} cannot be measured",
            why="it takes 8 records, two labels and a column beside them",
        )
    return held, labels
