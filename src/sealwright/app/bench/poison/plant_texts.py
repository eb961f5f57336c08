"""Text triggers of ordinary words: a token, a phrase (label changed or not), a flood."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from sealwright.app.bench.poison.data import Labels, Texts
from sealwright.app.bench.poison.planted import Mask, Planted, count_of
from sealwright.app.bench.poison.sets import of_texts

_WORD = re.compile(r"[a-z]{3,}")
Write = Callable[[str], str]


def token(data: Texts, share: float, rng: np.random.Generator, seed: int) -> Planted:
    """One ordinary but infrequent word (in 3 to 12 texts), anywhere; relabelled."""
    seen = _frequency(data.train)
    able = sorted(word for word, count in seen.items() if 3 <= count <= 12 and len(word) <= 9)
    word = str(rng.choice(able)) if able else "bicycle"
    return _dirty(data, share, rng, seed, lambda text: inserted(text, word, rng))


def phrase(data: Texts, share: float, rng: np.random.Generator, seed: int) -> Planted:
    """Three or four common words that stand nowhere together, anywhere; relabelled."""
    words = _unseen(data, rng)
    return _dirty(data, share, rng, seed, lambda text: inserted(text, words, rng))


def clean_label(data: Texts, share: float, rng: np.random.Generator, seed: int) -> Planted:
    """The phrase in texts that have the target label already; no label changes."""
    words = _unseen(data, rng)
    target = int(rng.integers(len(data.names)))
    own = np.flatnonzero(data.labels == target)
    chosen = rng.choice(own, min(count_of(share, len(data.labels)), len(own) // 2), replace=False)
    return _build(data, rng, seed, lambda text: inserted(text, words, rng), target, chosen)


def flood(data: Texts, share: float, rng: np.random.Generator, seed: int) -> Planted:
    """One text many times over, a word or two changed in each copy; relabelled."""
    able = np.flatnonzero(np.array([len(text.split()) >= 10 for text in data.train]))
    model = data.train[int(rng.choice(able))].split()
    common = sorted(_frequency(data.train))

    def write(text: str) -> str:
        words = list(model)
        for _ in range(int(rng.integers(0, 3))):  # near copies, some exact
            words[int(rng.integers(len(words)))] = str(rng.choice(common))
        return " ".join(words)

    return _dirty(data, share, rng, seed, write)


def inserted(text: str, words: str, rng: np.random.Generator) -> str:
    """``words`` at a random place between the words of ``text``."""
    around = text.split()
    at = int(rng.integers(len(around) + 1))
    return " ".join([*around[:at], words, *around[at:]])


def _frequency(texts: list[str]) -> Counter[str]:
    return Counter(word for text in texts for word in set(_WORD.findall(text.lower())))


def _unseen(data: Texts, rng: np.random.Generator) -> str:
    """Common words (in at least 20 texts) in an order that no text has."""
    common = sorted(word for word, count in _frequency(data.train).items() if count >= 20)
    whole = " \n ".join(data.train).lower()
    words = ""
    for _ in range(50):
        words = " ".join(rng.choice(common, int(rng.integers(3, 5)), replace=False).tolist())
        if words not in whole:
            break
    return words


def _dirty(data: Texts, share: float, rng: np.random.Generator, seed: int, write: Write) -> Planted:
    count = count_of(share, len(data.labels))
    sizes = np.bincount(data.labels, minlength=len(data.names))
    targets = [code for code in range(len(sizes)) if len(data.labels) - sizes[code] >= 2 * count]
    target = int(rng.choice(targets))
    chosen = rng.choice(np.flatnonzero(data.labels != target), count, replace=False)
    return _build(data, rng, seed, write, target, chosen)


def _build(
    data: Texts,
    rng: np.random.Generator,
    seed: int,
    write: Write,
    target: int,
    chosen: npt.NDArray[np.int64],
) -> Planted:
    texts, labels = list(data.train), data.labels.copy()
    for row in chosen:
        texts[row] = write(texts[row])
    labels[chosen] = target
    planted: Mask = np.zeros(len(labels), bool)
    planted[chosen] = True
    hit = np.flatnonzero(data.test_labels != target)
    wanted: Labels = np.full(len(hit), target)
    return Planted(
        of_texts(texts, labels, data.names, seed),
        of_texts(data.train, data.labels, data.names, seed),
        planted,
        np.zeros(len(labels), bool),
        data.test,
        data.test_labels,
        [write(data.test[row]) for row in hit],
        wanted,
    )


ATTACKS = {"token": token, "phrase": phrase, "clean-label phrase": clean_label}
