"""A small network over soft targets, in numpy: what a thief trains, and takes gradients of."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sealwright.redteam.extraction.interface import Array

_RATE, _DECAY_1, _DECAY_2 = 2e-3, 0.9, 0.999
_BATCH = 64


class Net:
    """Layers of rectified units and a softmax; Adam (Kingma and Ba 2015) on the cross-entropy.

    ``hidden`` empty is a softmax regression. Inputs (n, e) float32.
    """

    def __init__(self, width: int, classes: int, hidden: tuple[int, ...], seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        sizes = (width, *hidden, classes)
        self._weights: list[Array] = [
            self._rng.normal(0, np.sqrt(2 / one), (one, two)).astype(np.float32)
            for one, two in pairwise(sizes)
        ]
        self._biases: list[Array] = [np.zeros(one, np.float32) for one in sizes[1:]]

    def fit(self, inputs: Array, targets: Array, steps: int, weight_decay: float = 1e-4) -> None:
        """``steps`` minibatches of at most 64."""
        goal = targets.astype(np.float32)
        state = [np.zeros_like(one) for one in (*self._weights, *self._biases)] * 2
        half = len(state) // 2
        first, second = [one.copy() for one in state[:half]], [one.copy() for one in state[half:]]
        order, place = self._rng.permutation(len(inputs)), 0
        for step in range(1, steps + 1):
            if place + _BATCH > len(order):
                order, place = self._rng.permutation(len(inputs)), 0
            rows = order[place : place + _BATCH]
            place += _BATCH
            slopes = self._slopes(inputs[rows], goal[rows], weight_decay)
            rate = _RATE * np.sqrt(1 - _DECAY_2**step) / (1 - _DECAY_1**step)
            rate *= 0.5 * (1 + np.cos(np.pi * step / steps)) + 0.02
            for at, value in enumerate((*self._weights, *self._biases)):
                first[at] = _DECAY_1 * first[at] + (1 - _DECAY_1) * slopes[at]
                second[at] = _DECAY_2 * second[at] + (1 - _DECAY_2) * slopes[at] ** 2
                value -= (rate * first[at] / (np.sqrt(second[at]) + 1e-8)).astype(np.float32)

    def probabilities(self, inputs: Array) -> Array:
        """(n, K)."""
        return _softmax(self._layers(inputs)[-1])

    def features(self, inputs: Array) -> Array:
        """The last hidden layer (n, h); the inputs themselves where there is none."""
        return self._layers(inputs)[-2]

    def slope(self, inputs: Array, labels: Array) -> Array:
        """The gradient of each row's logit of its label by the row's cells (n, e)."""
        layers = self._layers(inputs)
        back = np.eye(layers[-1].shape[1], dtype=np.float32)[labels]
        for at in range(len(self._weights) - 1, -1, -1):
            back = back @ self._weights[at].T
            if at:
                back = back * (layers[at] > 0)
        return back

    def _layers(self, inputs: Array) -> list[Array]:
        out, last = [inputs], len(self._weights) - 1
        for at, (weight, bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            made = out[-1] @ weight + bias
            out.append(made if at == last else np.maximum(made, 0))
        return out

    def _slopes(self, inputs: Array, targets: Array, decay: float) -> list[Array]:
        layers = self._layers(inputs)
        back = (_softmax(layers[-1]) - targets) / len(inputs)
        weights, biases = [], []
        for at in range(len(self._weights) - 1, -1, -1):
            weights.append(layers[at].T @ back + decay * self._weights[at])
            biases.append(back.sum(axis=0))
            if at:
                back = (back @ self._weights[at].T) * (layers[at] > 0)
        return [*reversed(weights), *reversed(biases)]


def _softmax(scores: Array) -> Array:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
