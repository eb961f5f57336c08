"""How unlikely so many hits are of rows whose chances differ: what a mean over them hides.

Where half of some rows have a label for good reasons and the others against all of them, the mean
is even; taken row by row, those others are impossible. Chernoff's bound for a sum of unequal
chances; with their mean for each it is Hoeffding's (1956), which is never larger.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

HALVINGS = 40
MOST = 30.0


def ratio(p: npt.NDArray[np.float64], n: npt.NDArray[np.float64], seen: float) -> float:
    """Nats: ``n`` (m,) rows have a chance of ``p`` (m,) each, and ``seen`` of all the label."""
    if seen <= float(n @ p):
        return 0.0
    low, high = 0.0, MOST
    for _ in range(HALVINGS):
        tilt = (low + high) / 2
        raised = p * np.exp(tilt)
        if float(n @ (raised / (1 - p + raised))) < seen:
            low = tilt
        else:
            high = tilt
    return max(0.0, low * seen - float(n @ np.log1p(p * np.expm1(low))))
