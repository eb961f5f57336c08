"""Floods of nearly one text: a word or two changed in each copy. Labels are not looked at.

MinHash signatures over shingles of three words; texts that share a band of four and agree in NEAR
of 64 places are neighbours, a chain of neighbours less those that are far from its majority is
one group, and its size is judged by this version's own smaller groups (``copies``).
Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sealwright.kit.neardup import PERMUTATIONS, text_signatures
from sealwright.scan.batches import taken
from sealwright.scan.interface import Batch, Frame, Preview, Result, Scan, Spec
from sealwright.scan.poison.image_duplicates import NearCopies
from sealwright.scan.poison.near import Mask, Rows, chained, tightened, usual
from sealwright.scan.preview import short

NEAR = 0.3
"""Two words of fifteen changed leave 7 of 19 shingles. Unlike texts share none."""
ADOPTED = 0.15
"""Texts that agree so much with what most of a flood holds are of it too."""
WIDTH = 4
MOST_ADOPTING = 50


class NearTexts:
    """Makes the state of one scan."""

    spec = Spec(
        "text-duplicates",
        1,
        "text",
        "group",
        families=("near-flood",),
        threats=("AML.T0020",),
        passes=2,
    )

    def begin(self, frame: Frame, reference: Scan | None = None) -> Signed:
        """An empty state; no reference is used."""
        return Signed(frame)


class Signed(NearCopies):
    """Pass 0 signs each text, pass 1 takes one text of each flood."""

    name = "text-duplicates"
    thing = "texts"
    family = "near-flood"

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame)
        self.columns = [column.name for column in frame.columns if column.type == "text"]
        self.shown: dict[int, str] = {}

    def observe(self, number: int, batch: Batch) -> None:
        """Sign, then show."""
        if number == 0:
            signed, able = text_signatures(self._texts(batch))
            self.flat += int((~able).sum())
            self.store.append(batch.ids[able], batch.labels[able], signed[able])
            return
        first = [int(ids[0]) for ids, _, _ in self.groups]
        for row in np.flatnonzero(np.isin(batch.ids, first)):
            self.shown[int(batch.ids[row])] = self._texts(taken(batch, np.array([row])))[0]

    def merge(self, other: Self) -> None:
        """Join what was kept and shown."""
        super().merge(other)
        self.shown |= other.shown

    def shard(self) -> Signed:
        """An empty state that knows which texts are to be shown."""
        new = Signed(self.frame)
        new.groups = self.groups
        return new

    def swapped(self, before: Batch, after: Batch) -> Result:
        """The result had ``before``'s texts been ``after``'s."""
        new = Signed(self.frame)
        kept = ~np.isin(self.store.ids(), before.ids)
        rows = np.concatenate([np.empty((0, PERMUTATIONS), np.uint32), *self.store.sliced()])
        new.store.append(self.store.ids()[kept], self.store.labels()[kept], rows[kept])
        new.observe(0, after)
        new.settle(0)
        return new.result()

    def rooted(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """(n, 64) signatures → (n,) the first row of each row's group."""

        def bands() -> Iterator[npt.NDArray[Any]]:
            for start in range(0, PERMUTATIONS, WIDTH):
                part = np.ascontiguousarray(rows[:, start : start + WIDTH])
                _, code = np.unique(part.view(f"V{4 * WIDTH}")[:, 0], return_inverse=True)
                yield code

        def near(one: Rows, two: Rows) -> Mask:
            return np.asarray((rows[one] == rows[two]).mean(1) >= NEAR)

        def around(own: Rows) -> Mask:
            return np.asarray((rows[own] == usual(rows[own])).mean(1) >= NEAR)

        return tightened(chained(np.arange(len(rows)), bands(), near), around)

    def settle(self, number: int) -> None:
        """After pass 0: floods, and the texts that are like them."""
        super().settle(number)
        if number or not self.groups:
            return
        ids, labels = self.store.ids(), self.store.labels()
        order = np.argsort(ids, kind="stable")
        ids, labels = ids[order], labels[order]
        rows = np.concatenate(list(self.store.sliced()))[order]
        for at, (own, _, p) in enumerate(self.groups[:MOST_ADOPTING]):
            most = usual(rows[np.isin(ids, own)])
            like = np.isin(ids, own) | ((rows == most).mean(1) >= ADOPTED)
            self.groups[at] = (ids[like], labels[like], p)

    def preview(self, at: int) -> Preview:
        """One of the texts."""
        return Preview(lines=(short(self.shown.get(int(self.groups[at][0][0]), "?")),))

    def _texts(self, batch: Batch) -> Sequence[str]:
        columns = [batch.values[name] for name in self.columns]
        return [
            " ".join(str(cell) for cell in cells if cell) for cells in zip(*columns, strict=True)
        ]
