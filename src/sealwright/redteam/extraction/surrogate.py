"""The copy: of three kinds of model, the one that agrees best with answers it has not seen."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from sealwright.core.errors import MissingExtra
from sealwright.redteam.extraction.coding import Coding
from sealwright.redteam.extraction.interface import Array
from sealwright.redteam.extraction.nets import Net

_HELD_OUT = 5
_FEWEST = 40
_STEPS, _MOST_STEPS = 250, 1200


class Model(Protocol):
    """Anything that says probabilities (n, K) of coded inputs (n, e)."""

    def probabilities(self, inputs: Array) -> Array:
        """(n, K)."""
        ...


class Surrogate:
    """A trained copy: it reads inputs as they are asked."""

    def __init__(self, coding: Coding, model: Model, kind: str) -> None:
        self._coding, self._model, self.kind = coding, model, kind

    def labels(self, inputs: Array) -> Array:
        """What it would answer (n,)."""
        return self._model.probabilities(self._coding.encode(inputs)).argmax(axis=1)


def train(coding: Coding, inputs: Array, targets: Array, seed: int) -> Surrogate:
    """Fit all kinds on four fifths, keep the one that agrees best on the fifth, fit it on all.

    Inputs (n, d), targets (n, K). Raises: MissingExtra (scikit-learn).
    """
    coded = coding.encode(inputs)
    if not len(coded):
        return Surrogate(coding, _Constant(targets), "none")
    kind = "forest"
    if len(coded) >= _FEWEST:
        order = np.random.default_rng(seed).permutation(len(coded))
        held, kept = order[: len(coded) // _HELD_OUT], order[len(coded) // _HELD_OUT :]
        said = targets[held].argmax(axis=1)
        scores = {
            one: float(
                np.mean(
                    _fitted(one, coded[kept], targets[kept], seed)
                    .probabilities(coded[held])
                    .argmax(axis=1)
                    == said
                )
            )
            for one in KINDS
        }
        kind = max(scores, key=lambda one: (scores[one], -KINDS.index(one)))
    return Surrogate(coding, _fitted(kind, coded, targets, seed), kind)


KINDS = ("net", "linear", "forest")


def net(coded: Array, targets: Array, seed: int, hidden: tuple[int, ...] = (64,)) -> Net:
    """One network over coded inputs, with as many steps as their number calls for."""
    made = Net(coded.shape[1], targets.shape[1], hidden, seed)
    made.fit(coded, targets, min(_MOST_STEPS, _STEPS + len(coded) // 2))
    return made


def _fitted(kind: str, coded: Array, targets: Array, seed: int) -> Model:
    if kind == "forest":
        return _Forest(coded, targets, seed)
    return net(coded, targets, seed, (64,) if kind == "net" else ())


class _Forest:
    """Extremely randomised trees (Geurts 2006) over the targets."""

    def __init__(self, coded: Array, targets: Array, seed: int) -> None:
        try:
            from sklearn.ensemble import ExtraTreesRegressor
        except ImportError as error:
            raise MissingExtra("seal redteam extraction", "scan") from error
        self._trees: Any = ExtraTreesRegressor(40, max_features=0.33, random_state=seed, n_jobs=1)
        self._trees.fit(coded, targets)
        self._classes = targets.shape[1]

    def probabilities(self, inputs: Array) -> Array:
        return np.asarray(self._trees.predict(inputs)).reshape(len(inputs), self._classes)


class _Constant:
    """The copy of somebody who heard nothing."""

    def __init__(self, targets: Array) -> None:
        self._classes = targets.shape[1]

    def probabilities(self, inputs: Array) -> Array:
        return np.full((len(inputs), self._classes), 1 / self._classes)
