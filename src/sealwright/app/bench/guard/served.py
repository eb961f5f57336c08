"""The models that the guard's bench serves: one small network for each data set of ``users``.

They answer the rows that honest users and thieves ask: (n, K) probabilities, and (n, d) of their
own last hidden layer.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from sealwright.app.bench.guard.users import NUMBERS, Rows, Space, space
from sealwright.core.errors import MissingExtra

Array: TypeAlias = npt.NDArray[Any]


class Encoder(Protocol):
    """Rows to numbers (n, e), float32."""

    def __call__(self, rows: Rows) -> Array:
        """Encode."""
        ...


class Victim(NamedTuple):
    """A served model. ``weights``, ``biases``: its layers."""

    space: Space
    encode: Encoder
    weights: list[Array]
    biases: list[Array]

    def answer(self, rows: Rows) -> tuple[Array, Array]:
        """Scores (n, K) and features (n, d)."""
        return self.forward(self.encode(rows))

    def forward(self, coded: Array) -> tuple[Array, Array]:
        """The same of encoded rows."""
        layer = coded
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            layer = np.maximum(layer @ weight + bias, 0)
        logits = layer @ self.weights[-1] + self.biases[-1]
        if logits.shape[1] == 1:
            logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True), layer


@cache
def victim(name: str) -> Victim:
    """The model of one data set, trained on its ``train`` part. Raises: MissingExtra, Absent."""
    try:
        from sklearn.neural_network import MLPClassifier
    except ImportError as error:
        raise MissingExtra("seal bench guard", "scan") from error
    whole = space(name)
    encode = {"image": _pixels, "table": _columns, "text": _words}[whole.kind](whole.train.rows)
    rounds = {"image": 200, "table": 15, "text": 8}[whole.kind]
    decay = 1.0 if whole.kind == "text" else 1e-2
    net = MLPClassifier((64, 32), max_iter=rounds, alpha=decay, random_state=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fixed number of rounds is meant
        net.fit(encode(whole.train.rows), whole.train.labels)
    weights = [one.astype(np.float32) for one in net.coefs_]
    return Victim(whole, encode, weights, [one.astype(np.float32) for one in net.intercepts_])


def _pixels(_: Rows) -> Encoder:
    return lambda rows: rows.reshape(len(rows), -1).astype(np.float32)


def _columns(train: Rows) -> Encoder:
    """Numbers centred and scaled, missing as 0; categories one-hot, unknown ones as nothing."""
    categories = [at for at in range(train.shape[1]) if at not in NUMBERS]
    known = {
        at: {cell: code for code, cell in enumerate(sorted({c for c in train[:, at] if c}))}
        for at in categories
    }
    numbers = _numbers(train)
    centre, spread = np.nanmean(numbers, axis=0), np.nanstd(numbers, axis=0) + 1e-9

    def encode(rows: Rows) -> Array:
        parts = [np.nan_to_num(np.clip((_numbers(rows) - centre) / spread, -5, 5))]
        for at, codes in known.items():
            side = np.zeros((len(rows), len(codes)))
            places = np.array([codes.get(cell, -1) for cell in rows[:, at]])
            side[places >= 0, places[places >= 0]] = 1
            parts.append(side)
        return np.concatenate(parts, axis=1).astype(np.float32)

    return encode


def _numbers(rows: Rows) -> Array:
    cells = [[np.nan if cell is None else float(cell) for cell in rows[:, at]] for at in NUMBERS]
    numbers = np.array(cells, float).T
    numbers[:, 3:5] = np.log1p(np.maximum(numbers[:, 3:5], 0))
    return numbers


def _words(train: Rows) -> Encoder:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(min_df=2, sublinear_tf=True)
    small = TruncatedSVD(600, random_state=1, n_iter=3)
    scaled = small.fit_transform(vectors.fit_transform(list(train))).std(axis=0) + 1e-9

    def encode(rows: Rows) -> Array:
        return np.asarray(small.transform(vectors.transform(list(rows))) / scaled, np.float32)

    return encode
