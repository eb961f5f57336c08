"""The models that learn the trigger: a small CNN, boosted trees, tf-idf with logistic regression.

Each is trained from one seed on the set it is given and answers for test rows. They are here to
say whether an attack would have worked, before sanitising and after; no detector sees them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sealwright.app.bench.poison.data import Columns, Labels
from sealwright.app.bench.poison.planted import Planted
from sealwright.app.bench.poison.sets import Set, part
from sealwright.core.errors import BadInput, MissingExtra
from sealwright.scan.interface import Batch

EPOCHS = 8
Predict = Callable[[Any], Labels]
Fit = Callable[[Batch, int], Predict]
"""(training rows, seed) → predicted label codes of test rows."""


class Outcome(NamedTuple):
    """Shares: of right answers on clean test rows, and of the attacker's answers on his."""

    accuracy: float
    success: float


def judged(predict: Predict, planted: Planted) -> Outcome:
    """How good and how obedient a model is."""
    right = predict(planted.test) == planted.test_labels
    obeyed = predict(planted.attacked) == planted.wanted
    return Outcome(float(np.mean(right)), float(np.mean(obeyed)))


def trained(fit: Fit, rows: Set, kept: npt.NDArray[np.bool_] | None, seed: int) -> Predict:
    """A model of the rows that stay."""
    return fit(rows.whole if kept is None else part(rows.whole, kept), seed)


def fit_of(rows: Set) -> Fit:
    """The model that suits a set."""
    kinds = {column.type for column in rows.frame.columns}
    if "image" in kinds:
        return cnn
    return texts if "text" in kinds else trees


def cnn(rows: Batch, seed: int, model: list[Any] | None = None) -> Predict:
    """Two convolutions, eight epochs. ``model``, if given, takes in the network itself."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("training the CNN of seal bench poison", "torch") from error
    if rows.images is None:
        raise BadInput("the CNN of seal bench poison learns images")
    torch.manual_seed(seed)
    classes = int(rows.labels.max()) + 1
    net = _network(torch, classes, rows.images.shape[1])
    x, y = tensor(rows.images), torch.from_numpy(rows.labels.astype(np.int64))
    size = 128
    steps = EPOCHS * max(1, len(x) // size)
    optimiser = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, weight_decay=5e-4)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.1, total_steps=steps)
    shuffle = torch.Generator().manual_seed(seed)
    net.train()
    for _ in range(EPOCHS):
        order = torch.randperm(len(x), generator=shuffle)
        for start in range(0, len(x) - size + 1, size):
            picked = order[start : start + size]
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(x[picked]), y[picked])
            loss.backward()
            optimiser.step()
            plan.step()
    net.eval()
    if model is not None:
        model.append(net)

    def predict(images: npt.NDArray[np.uint8]) -> Labels:
        with torch.no_grad():
            parts = [
                net(tensor(images[at : at + 500])).argmax(1) for at in range(0, len(images), 500)
            ]
        answer: Labels = torch.cat(parts).numpy()
        return answer

    return predict


def tensor(images: npt.NDArray[np.uint8]) -> Any:
    """(n, h, w, 3) uint8 → (n, 3, h, w) float tensor around zero."""
    import torch

    return (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous()


def _network(torch: Any, classes: int, height: int) -> Any:
    nn = torch.nn
    after = (((height - 4) // 2 + 1) - 3) // 2 + 1
    return nn.Sequential(
        nn.Conv2d(3, 32, 4, stride=2, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * after**2, 128),
        nn.ReLU(),
        nn.Linear(128, classes),
    )


def trees(rows: Batch, seed: int) -> Predict:
    """Boosted trees on numbers and coded categories."""
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError as error:
        raise MissingExtra("training the trees of seal bench poison", "scan") from error
    codes = {
        name: {value: code for code, value in enumerate(sorted(set(values)))}
        for name, values in rows.values.items()
        if values.dtype == object
    }
    model = HistGradientBoostingClassifier(random_state=seed, max_iter=80)
    model.fit(matrix(rows.values, codes), rows.labels)
    return lambda columns: np.asarray(model.predict(matrix(columns, codes)))


def matrix(columns: Columns | Any, codes: dict[str, dict[str, int]]) -> npt.NDArray[np.float64]:
    """Columns side by side; a category is its code, an unknown one is missing."""
    sides = [
        np.array([codes[name].get(value, np.nan) for value in values], float)
        if name in codes
        else values
        for name, values in columns.items()
    ]
    return np.column_stack(sides)


def texts(rows: Batch, seed: int) -> Predict:
    """Words and pairs of words, weighted; logistic regression."""
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtra("training the text model of seal bench poison", "scan") from error
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    model = LogisticRegression(C=20, max_iter=500, random_state=seed)
    model.fit(words.fit_transform(list(rows.values["text"])), rows.labels)
    return lambda some: np.asarray(model.predict(words.transform(list(some))))
