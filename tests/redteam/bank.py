"""A small model to rob: ten kinds of point, three kinds of input, and an oracle before it."""

import numpy as np

from sealwright.redteam.extraction import space
from sealwright.redteam.extraction.heist import Exam
from sealwright.redteam.extraction.interface import Known, Released
from sealwright.redteam.extraction.oracle import MeteredOracle, Served

WORDS = [f"word{at}" for at in range(30)]


def centres(classes: int, width: int):
    return np.random.default_rng(3).normal(0, 3, (classes, width))


def inputs_of(form: str, count: int, seed: int):
    """(space, inputs (n, d), labels): what the model is about."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    if form == "text":
        texts = [
            " ".join(rng.choice(WORDS[10 * label : 10 * label + 12], int(rng.integers(3, 9))))
            for label in labels % 2
        ]
        made = space.of_texts(texts)
        made = space.of_texts([" ".join(WORDS)]) if seed else made
        return made, made.counts(texts), labels % 2
    rows = centres(3, 16)[labels] + rng.normal(0, 1, (count, 16))
    if form == "image":
        rows = np.clip(rows / 10 + 0.5, 0, 1)
        return space.of_numbers(rows, (4, 4)), rows, labels
    if form == "mixed":
        rows[:, 0] = (labels + (rng.random(count) < 0.2)) % 3
        made = space.of_columns(rows, {0: ("red", "green", "blue")})
        return made, rows, labels
    return space.of_numbers(rows), rows, labels


class Bank:
    """Scores by nearness to the centres of what it was trained on."""

    def __init__(self, form: str, classes: int = 0) -> None:
        self.space, rows, labels = inputs_of(form, 300, 1)
        self.classes = classes or int(labels.max()) + 1
        self.middles = np.stack([rows[labels == at].mean(axis=0) for at in np.unique(labels)])
        self.sharp = 4 / max(1e-9, float(np.var(rows, axis=0).sum()))
        self.asked = 0

    def answer(self, inputs):
        self.asked += len(inputs)
        gap = ((inputs[:, None, :] - self.middles[None]) ** 2).sum(axis=2)
        powers = np.exp(-self.sharp * (gap - gap.min(axis=1, keepdims=True)))
        scores = powers / powers.sum(axis=1, keepdims=True)
        return scores, gap

    def cells(self, features):
        return [int(one) for one in (features * self.sharp * 3).astype(int).sum(axis=1)]

    def oracle(self, limits=None, fidelity="top1", **more):
        return MeteredOracle(self.served(fidelity), limits, **more)

    def served(self, fidelity="top1"):
        def release(scores):
            at = np.arange(len(scores))
            labels = scores.argmax(axis=1) if len(scores) else np.zeros(0, np.int64)
            top = scores.max(axis=1) if len(scores) else np.zeros(0)
            return Released(
                at,
                labels,
                None if fidelity == "label" else np.round(top, 2),
                scores if fidelity == "full" else None,
            )

        return Served(self.classes, self.answer, release, 8_000, self.cells)

    def known(self, form, seed=1, count=60):
        _, rows, labels = inputs_of(form, count, 2)
        return Known(self.space, self.classes, self.space.fit(rows), labels, seed=seed)

    def exam(self, form):
        _, rows, _ = inputs_of(form, 200, 5)
        return Exam(rows, self.answer(rows)[0].argmax(axis=1))
