"""A world of tiny models: each is a random map of its own, near one truth. No training at all."""

import numpy as np

from sealwright.registry import fingerprint_make as making
from sealwright.registry.fingerprint import Reference
from sealwright.registry.fingerprint_make import GROUPS, NULL, Answers, Sizes
from sealwright.registry.fingerprint_references import wanted

WIDTH, CLASSES, ROWS = 12, 4, 400
SIZES = Sizes(400, 60, 40, 200)
NAMES = tuple("abcd")
TRUTH = np.random.default_rng(1).normal(size=(WIDTH, CLASSES))


def model(seed: int, away: float = 0.35, base: np.ndarray = TRUTH):
    """Answers codes; ``away`` from ``base`` in a direction of the seed's own."""
    weights = base + away * np.random.default_rng(seed).normal(size=base.shape)
    own = np.random.default_rng(seed + 1).normal(size=(WIDTH, 24))
    bent = away * np.random.default_rng(seed + 2).normal(size=(24, CLASSES))

    def answer(inputs):
        return (inputs @ weights + 2 * np.tanh(inputs @ own) @ bent).argmax(axis=1)

    return answer


VICTIM = model(1000)


def rows() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(ROWS, WIDTH))


def copy(share: float = 0.9, seed: int = 5):
    """Says what the victim says to most inputs, else what somebody else would."""
    other = model(seed)

    def answer(inputs):
        kept = np.sin(inputs.sum(axis=1) * 1e3) < 2 * share - 1
        return np.where(kept, VICTIM(inputs), other(inputs))

    return answer


def pool(sizes: Sizes = SIZES):
    return making.pool(rows(), VICTIM(rows()), np.random.default_rng(3), sizes)


def references(count: int = 48):
    return [(one, model(2000 + 10 * at)) for at, one in enumerate(wanted(count, 0))]


def answers(candidates, trained=None) -> Answers:
    trained = trained or references()
    codes = np.stack([answer(candidates.inputs) for _, answer in trained])
    made = tuple(
        Reference("toy", one.relation, one.group, one.seed, ROWS, f"{at:064x}")
        for at, (one, _) in enumerate(trained)
    )
    margin = np.full(len(candidates.inputs), 0.5)
    return Answers(VICTIM(candidates.inputs), margin, made, codes)


def fingerprint(salt: bytes = bytes(32), sizes: Sizes = SIZES):
    candidates = pool(sizes)
    return making.make("ab" * 32, salt, NAMES, candidates, answers(candidates), sizes=sizes)


def labels(suspect):
    """The same suspect, answering names."""
    return lambda inputs: np.array(NAMES)[suspect(inputs)]


__all__ = ["GROUPS", "NULL"]
