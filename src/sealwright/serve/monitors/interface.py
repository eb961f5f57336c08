"""What a monitor sees of a query, and what it says: one number a row, larger is stranger.

The numbers of different monitors are made comparable by :mod:`~sealwright.serve.monitors.surprise`.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]


class Sight(msgspec.Struct, frozen=True):
    """n answered rows. ``inputs`` (n, h, w[, c]) pictures, (n, c) cells of a table, numbers or
    objects, or (n,) texts; ``features`` (n, d); ``scores`` (n, K) before the output policy."""

    inputs: npt.NDArray[Any]
    features: npt.NDArray[Any]
    scores: npt.NDArray[Any]

    def __len__(self) -> int:
        """n."""
        return len(self.features)

    def take(self, at: Any) -> Sight:
        """The rows ``at``, a slice or places."""
        return Sight(self.inputs[at], self.features[at], self.scores[at])


class Monitor(Protocol):
    """One way to look."""

    def look(self, sight: Sight) -> Floats:
        """(n,): larger is stranger; NaN where it cannot tell."""
        ...
