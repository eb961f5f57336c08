"""How much harm a dataset could do in the wrong hands, as its owner says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, cast, get_args

Sensitivity = Literal["", "public", "internal", "sensitive"]
"""Least first; empty is unlabelled, which is handled as public."""

LEVELS: tuple[str, ...] = get_args(Sensitivity)
NAMED = LEVELS[1:]


def highest(levels: Iterable[str]) -> Sensitivity:
    """The most sensitive of them; empty for none. One that is not known counts as sensitive."""
    return cast("Sensitivity", LEVELS[max(map(_place, levels), default=0)])


def grade(level: object) -> int:
    """0 unlabelled or public, 1 internal, 2 sensitive and whatever is not known."""
    return max(0, _place(level) - 1)


def _place(level: object) -> int:
    return LEVELS.index(level) if isinstance(level, str) and level in LEVELS else len(LEVELS) - 1
