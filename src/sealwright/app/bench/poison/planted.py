"""What an attack gives back: the poisoned rows among the others, and the trigger to test with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from sealwright.app.bench.poison.data import Labels
from sealwright.app.bench.poison.sets import Set

Mask: TypeAlias = npt.NDArray[np.bool_]


class Planted(NamedTuple):
    """``set`` after planting; ``clean`` is it before, through the same final encode.

    ``planted`` marks the poisoned rows, ``covers`` rows that carry the trigger with their own
    label. ``attacked`` are test rows with the trigger, ``wanted`` the attacker's label for each.
    """

    set: Set
    clean: Set
    planted: Mask
    covers: Mask
    test: Any
    test_labels: Labels
    attacked: Any
    wanted: Labels


Attack = Callable[[Any, float, np.random.Generator, int], Planted]
"""(data set, share of rows to poison, randomness, seed) → what was planted."""


def count_of(share: float, rows: int) -> int:
    """``share`` of the rows; a whole number of rows where it is 1 or more."""
    return round(share * rows) if share < 1 else int(share)
