"""Floods in embeddings: clusters far tighter than the vectors around them, and too large.

Vectors are centred, scaled and hashed by the signs of random projections (Charikar 2004); those
that share a band and lie at a cosine of at least NEAR are neighbours, and chains of neighbours
are one group, judged like near copies of images. Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sealwright.scan.interface import Batch, Frame, Preview, Scan, Spec
from sealwright.scan.poison.image_duplicates import NearCopies
from sealwright.scan.poison.near import Mask, Rows, bands_of, chained, differing, tightened

BITS = 256
"""Signs: at a cosine of 0.9 two vectors differ in 37 of them on average, at 0 in 128."""


BANDS, NEAR = 16, 20
"""Bands of 16 signs; NEAR of 256 signs may differ, which is a cosine of 0.97."""


def rooted(signs: npt.NDArray[np.uint8]) -> Rows:
    """(n, 32) packed signs → (n,) the first row of each row's group: a chain of near vectors,
    less those further than NEAR from the majority of their chain's signs."""

    def near(one: Rows, two: Rows) -> Mask:
        return differing(signs[one], signs[two]) <= NEAR

    def around(own: Rows) -> Mask:
        usual = np.packbits(np.unpackbits(signs[own], axis=1).mean(0) > 0.5)
        return differing(signs[own], usual) <= NEAR

    return tightened(chained(np.arange(len(signs)), bands_of(signs, BANDS), near), around)


class EmbeddingFlood:
    """Makes the state of one scan."""

    spec = Spec(
        "embedding-flood",
        1,
        "embedding",
        "group",
        families=("embedding:flood",),
        threats=("AML.T0020",),
        passes=2,
    )

    def begin(self, frame: Frame, reference: Scan | None = None) -> Close:
        """An empty state; no reference is used."""
        return Close(frame)


class Close(NearCopies):
    """Pass 0 finds the centre and scale of the vectors, pass 1 hashes them."""

    name = "embedding-flood"
    thing = "vectors"
    family = "embedding:flood"
    hashes = 1

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame)
        self.count = 0
        self.total: npt.NDArray[np.float64] | float = 0.0
        self.squares: npt.NDArray[np.float64] | float = 0.0

    def observe(self, number: int, batch: Batch) -> None:
        """Sums, then signs."""
        if batch.vectors is None:
            self.unread += len(batch.ids) if number == 0 else 0
            return
        rows = np.nan_to_num(batch.vectors, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float64)
        if number == 0:
            self.count += len(rows)
            self.total = self.total + rows.sum(0)
            self.squares = self.squares + (rows * rows).sum(0)
        elif len(rows):
            bits, shows = self._signs(rows)
            self.flat += int((~shows).sum())
            self.store.append(batch.ids[shows], batch.labels[shows], bits[shows])

    def merge(self, other: Self) -> None:
        """Join sums and signs."""
        super().merge(other)
        self.count += other.count
        self.total = self.total + other.total
        self.squares = self.squares + other.squares

    def settle(self, number: int) -> None:
        """After the last pass: chains of near vectors."""
        if number == 1:
            super().settle(0)

    def rooted(self, rows: npt.NDArray[Any]) -> Rows:
        """(n, 32) signs → (n,) the first row of each row's group."""
        return rooted(rows)

    def preview(self, at: int) -> Preview:
        """There is nothing to look at in a vector but who has it."""
        return Preview(lines=(f"first carriers: {', '.join(map(str, self.groups[at][0][:20]))}",))

    def _signs(
        self, rows: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
        mean = np.asarray(self.total) / self.count
        spread = np.sqrt(np.maximum(np.asarray(self.squares) / self.count - mean**2, 0.0))
        plain = (rows - mean) / np.where(spread > 0, spread, 1.0)
        planes = np.random.default_rng(rows.shape[1]).normal(size=(rows.shape[1], BITS))
        return np.packbits(plain @ planes > 0, axis=1), np.abs(plain).max(1) > 0
