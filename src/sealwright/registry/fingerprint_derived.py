"""What a model becomes in other hands without being asked: its smallest weights set to zero.

A pruned copy keeps the model's weights and loses many of its answers; what it answers instead is
its own, and no sibling's. So a fingerprint holds the answers of such variants too.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

SHARES = (30, 50, 70)
"""Percent of each layer's weights that are set to zero; copies cut between them are near one."""


def variants(model: Any) -> Iterator[tuple[str, Any]]:
    """Fitted copies of an estimator, by name; none where it has no layers of weights."""
    if not _layers(model):
        return
    for share in SHARES:
        yield f"pruned {share} %", pruned(model, share / 100)


def pruned(model: Any, share: float) -> Any:
    """The smallest ``share`` of each layer's weights set to zero."""
    cut = copy.deepcopy(model)
    for weights in _layers(cut):
        weights[np.abs(weights) < np.quantile(np.abs(weights), share)] = 0
    return cut


def _layers(model: Any) -> list[npt.NDArray[Any]]:
    """The weights of a network, or of a linear model, at the end of whatever pipeline."""
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    found = getattr(last, "coefs_", None) or [getattr(last, "coef_", None)]
    return [one for one in found if isinstance(one, np.ndarray) and one.ndim == 2]
