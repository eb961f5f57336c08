"""One record as a few short lines for a person. Quotes cells: never for the log."""

from __future__ import annotations

from sealwright.scan.interface import Batch, Frame

MOST_LINES = 20
MOST_CHARACTERS = 200


def lines_of(batch: Batch, row: int, frame: Frame) -> tuple[str, ...]:
    """``column = cell`` for the first columns of one record of ``batch``."""
    shown = [column.name for column in frame.columns[:MOST_LINES] if column.name in batch.values]
    return tuple(f"{name} = {short(batch.values[name][row])}" for name in shown)


def short(cell: object) -> str:
    """A cell as text that fits a line; control characters are escaped."""
    text = f"{cell:.12g}" if isinstance(cell, float) else str(cell)
    plain = "".join(
        one if one.isprintable() else ascii(one)[1:-1] for one in text[:MOST_CHARACTERS]
    )
    return plain + ("…" if len(text) > MOST_CHARACTERS else "")
