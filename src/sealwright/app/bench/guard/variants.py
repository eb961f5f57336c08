"""Thieves of families that were opened, with another corpus, other pictures, another schedule.

Frozen by its SHA-256 in docs/concepts/held-out.md before monitors were changed for those families,
and asked once afterwards. Not changed after.

``advisories`` texts of vulnerability advisories (sentences by people, of another kind than SMS);
``photographs`` parts of scikit-learn's two sample photographs; ``sweep`` equally spaced points on
ten segments between records with different answers, all shuffled; ``ring`` four halvings to a
point near the boundary, then small steps around it (as HopSkipJump estimates a gradient).
"""

from __future__ import annotations

import tarfile
from functools import cache

import numpy as np

from sealwright.app.bench.guard.served import Array, victim
from sealwright.app.bench.guard.streams import Listening, form
from sealwright.app.bench.guard.users import Rows
from sealwright.app.bench.poison.data import Absent, folder
from sealwright.redteam.extraction import draws
from sealwright.redteam.extraction.interface import Loot
from sealwright.redteam.extraction.space import Space

FAMILIES: dict[str, tuple[str, ...]] = {
    "advisories": ("sst2",),
    "photographs": ("digits",),
    "sweep": ("digits", "adult"),
    "ring": ("digits", "adult"),
}
"""Family → the data sets it is asked on."""

_FIRST, _SEGMENTS, _POINTS, _HALVINGS, _AROUND, _STEP = 40, 10, 12, 4, 12, 0.06


def queries(name: str, family: str, seed: int, budget: int) -> Rows:
    """The rows, in order, that one thief asks the model of a data set. Raises: Absent."""
    rng = np.random.default_rng([11, seed])
    if family == "advisories":
        texts = _advisories()
        return texts[rng.permutation(len(texts))[:budget]]
    if family == "photographs":
        return _photographs(rng, budget)
    found = form(name, seed)
    loot = Loot(Listening(victim(name), found.rows), budget, found.space.width)
    loot.ask(found.seeds[rng.permutation(len(found.seeds))[:_FIRST]])
    while loot.left > 0:
        (_sweep if family == "sweep" else _ring)(loot, found.space, rng)
    return found.rows(loot.inputs)[:budget]


def _pairs(loot: Loot, rng: draws.Rng, count: int) -> tuple[Array, Array, Array]:
    """Two inputs each with different answers, and the first one's answer."""
    labels = loot.targets.argmax(axis=1)
    one = rng.integers(len(labels), size=count)
    two = np.array(
        [
            rng.choice(np.flatnonzero(labels != labels[at])) if (labels != labels[at]).any() else at
            for at in one
        ]
    )
    return loot.inputs[one], loot.inputs[two], labels[one]


def _sweep(loot: Loot, space: Space, rng: draws.Rng) -> None:
    left, right, _ = _pairs(loot, rng, _SEGMENTS)
    shares = np.tile(np.linspace(0, 1, _POINTS + 2)[1:-1], _SEGMENTS)
    at: Array = np.repeat(np.arange(_SEGMENTS), _POINTS)
    order = rng.random(left.shape)[at]
    points = draws.between(space, left[at], right[at], shares, order)
    loot.ask(points[rng.permutation(len(points))])


def _ring(loot: Loot, space: Space, rng: draws.Rng) -> None:
    left, right, label = _pairs(loot, rng, 1)
    low, high = np.zeros(1), np.ones(1)
    order = rng.random(left.shape)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        answer = loot.ask(draws.between(space, left, right, middle, order))
        if not len(answer):
            return
        same = answer.argmax(axis=1) == label
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    centre = draws.between(space, left, right, (low + high) / 2, order)
    around = np.repeat(centre, _AROUND, axis=0)
    numbers = space.numbers
    spans = (space.high - space.low)[numbers]
    steps = _STEP * spans * rng.choice([-1.0, 1.0], (_AROUND, len(numbers)))
    around[:, numbers] += steps
    for at, names in space.values.items():
        changed = rng.random(_AROUND) < 1 / max(1, len(space.values))
        around[changed, at] = rng.integers(0, len(names), int(changed.sum()))
    loot.ask(space.fit(around))


@cache
def _advisories() -> Rows:
    path = folder() / "pypa_advisories_2024-10-10.tar.gz"
    if not path.exists():
        raise Absent(f"{path.name} is not in shared/data beside the project")
    out = list[str]()
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.name.endswith(".yaml") else None
            if stream is not None and (text := _details(stream.read().decode("utf-8", "replace"))):
                out.append(text)
    return np.array(sorted(set(out)), object)


def _details(document: str) -> str:
    """The first two sentences of a plain ``details:`` paragraph; none where it is quoted."""
    lines = document.splitlines()
    start = next((at for at, line in enumerate(lines) if line.startswith("details: ")), None)
    if start is None:
        return ""
    found = [lines[start].removeprefix("details: ")]
    for line in lines[start + 1 :]:
        if not line.startswith("  "):
            break
        found.append(line.strip())
    text = " ".join(found)
    if text[:1] in "|>'\"" or len(text.split()) < 6:
        return ""
    return ". ".join(text.split(". ")[:2])


def _photographs(rng: np.random.Generator, budget: int) -> Rows:
    try:
        from sklearn.datasets import load_sample_images

        whole = [image.mean(axis=2) for image in load_sample_images().images]
    except ImportError as error:
        raise Absent("scikit-learn's sample photographs need Pillow") from error
    out: Rows = np.empty((budget, 8, 8), np.float32)
    for row in range(budget):
        picture = whole[int(rng.integers(len(whole)))]
        side = 8 * int(rng.integers(1, 13))
        down, right = (int(rng.integers(size - side)) for size in picture.shape)
        cut = picture[down : down + side, right : right + side]
        small = cut.reshape(8, side // 8, 8, side // 8).mean(axis=(1, 3))
        out[row] = (small - small.min()) / max(float(small.max() - small.min()), 1e-9)
    return np.round(out * 255) / 255
