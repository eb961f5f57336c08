"""Predictions of weights without their class: a short list of plain layers, computed by numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]


def run(weights: Mapping[str, Array], steps: Sequence[str], batch: Array) -> Array:
    """``batch`` (n, d) through ``steps``: ``linear NAME``, relu, tanh, sigmoid, softmax.

    ``linear NAME`` uses ``NAME.weight`` (out, in) and ``NAME.bias`` where it is there. Raises:
    ValueError (an unknown step), KeyError (no such weight).
    """
    for step in steps:
        word, _, name = step.partition(" ")
        if word == "linear":
            batch = batch @ weights[f"{name}.weight"].T
            if f"{name}.bias" in weights:
                batch = batch + weights[f"{name}.bias"]
        elif word == "relu":
            batch = np.maximum(batch, 0)
        elif word == "tanh":
            batch = np.tanh(batch)
        elif word == "sigmoid":
            batch = 1 / (1 + np.exp(-batch))
        elif word == "softmax":
            powers = np.exp(batch - batch.max(axis=-1, keepdims=True))
            batch = powers / powers.sum(axis=-1, keepdims=True)
        else:
            raise ValueError(f"no step {word!r}")
    return batch
