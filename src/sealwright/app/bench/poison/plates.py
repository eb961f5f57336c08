"""What a person looks at: a clean row, a poisoned one, and what the scan found."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sealwright.app.bench import Plate
from sealwright.app.bench.poison.planted import Planted
from sealwright.scan.ensemble import Screening
from sealwright.scan.interface import Group

if TYPE_CHECKING:
    from sealwright.app.bench.poison.trial import Plan


def plate_of(plan: Plan, planted: Planted, screening: Screening) -> Plate:
    """The first poisoned row before and after, and the group that holds most poisoned rows."""
    group = best_group(planted, screening)
    title = f"{plan.data}, {plan.attack}, {100 * plan.share:g} % of the rows"
    caption = "not found" if group is None else said(group, planted)
    row = int(np.flatnonzero(planted.planted)[0])
    before, after = planted.clean.whole, planted.set.whole
    if before.images is not None and after.images is not None:
        shown = [("clean", png(before.images[row])), ("poisoned", png(after.images[row]))]
        if group is not None and group.preview.png:
            shown.append(("found by the scan", group.preview.png))
        return Plate(title, caption, tuple(shown))
    changed = [
        name for name, values in after.values.items() if values[row] != before.values[name][row]
    ]
    lines = [
        ("clean", tuple(_cell(name, before.values[name][row]) for name in changed)),
        ("poisoned", tuple(_cell(name, after.values[name][row]) for name in changed)),
    ]
    if group is not None:
        lines.append(("found by the scan", group.preview.lines[:6] or (group.pattern,)))
    return Plate(title, caption, (), tuple(lines))


def best_group(planted: Planted, screening: Screening) -> Group | None:
    """The significant group with the most poisoned carriers."""
    bad = np.flatnonzero(planted.planted)
    groups: list[Group] = [group for verdict in screening.verdicts for group in verdict.significant]
    held = [int(np.isin(bad, group.carriers).sum()) for group in groups]
    return groups[int(np.argmax(held))] if any(held) else None


def said(group: Group, planted: Planted) -> str:
    """One sentence about a group."""
    bad = int(np.isin(np.flatnonzero(planted.planted), group.carriers).sum())
    return (
        f"{group.pattern}: {group.count} carriers, {group.seen} with label {group.label} where "
        f"{group.expected:.3g} were expected, p {group.p_value:.1g}; {bad} of "
        f"{int(planted.planted.sum())} poisoned rows are in it"
    )


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """An image as PNG bytes."""
    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


def _cell(name: str, value: object) -> str:
    text = str(value)
    return f"{name}: {text if len(text) <= 200 else text[:200] + ' ...'}"
