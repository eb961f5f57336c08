"""Floods of near-identical images: one picture, brightened, moved, with noise, encoded anew.

Nine 256-bit hashes of each image (``picture_hashes``), of what is left of it when it is moved by
up to a pixel of 32 each way. Images of which a hash shares a band with the other's middle one,
and is within its NEAR bits, are neighbours; a chain of neighbours less those that are far from
the one with most neighbours is one group.
Sizes are judged by this version's own smaller groups (``copies``). Labels are not looked at.
Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from copy import copy
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sealwright.scan.interface import Batch, Fact, Frame, Group, Preview, Result, Scan, Spec
from sealwright.scan.poison import picture, picture_hashes
from sealwright.scan.poison.copies import SMALLEST, p_value
from sealwright.scan.poison.store import Store


class ImageDuplicates:
    """Makes the state of one scan."""

    spec = Spec(
        "image-duplicates",
        1,
        "image",
        "group",
        families=("image:flood",),
        threats=("AML.T0020",),
        passes=2,
    )

    def begin(self, frame: Frame, reference: Scan | None = None) -> NearCopies:
        """An empty state; no reference is used."""
        return NearCopies(frame)


class NearCopies:
    """A hash of every image, then groups of near ones."""

    name = "image-duplicates"
    thing = "images"
    family = "image:flood"
    hashes = 0
    """The pass that does."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.store = Store()
        self.pictures = picture.Averages()
        self.groups: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], float]] = []
        self.sizes: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self.flat = 0
        self.unread = 0

    def observe(self, number: int, batch: Batch) -> None:
        """Pass 0 hashes, pass 1 takes the pictures."""
        if batch.images is None:
            self.unread += len(batch.ids) if number == 0 else 0
        elif number == 1:
            wanted = [(at, ids) for at, (ids, _, _) in enumerate(self.groups)]
            self.pictures.observe(batch, wanted)
        elif min(batch.images.shape[1:3]) < picture_hashes.SIDE:
            self.unread += len(batch.ids)
        elif len(batch.ids):
            bits, shows = picture_hashes.hashed(batch.images)
            self.flat += int((~shows).sum())
            self.store.append(batch.ids[shows], batch.labels[shows], bits[shows])

    def merge(self, other: Self) -> None:
        """Join what was kept."""
        self.store.merge(other.store)
        self.pictures.merge(other.pictures)
        self.flat += other.flat
        self.unread += other.unread

    def settle(self, number: int) -> None:
        """After pass 0: chains of near images, and those that nature does not explain."""
        if number or not len(self.store.ids()):
            return
        bits = np.concatenate(list(self.store.sliced()))
        ids, labels = self.store.ids(), self.store.labels()
        order = np.argsort(ids, kind="stable")
        root = self.rooted(bits[order])
        ids, labels = ids[order], labels[order]
        _, inverse, sizes = np.unique(root, return_inverse=True, return_counts=True)
        self.sizes = sizes[sizes > 1]
        for code in np.argsort(-sizes)[: 2 * len(self.frame.labels) + 100]:
            size = int(sizes[code])
            p = p_value(size, self.sizes, self.frame.rows) if size >= SMALLEST else 1.0
            if p <= self.frame.alpha:
                own = inverse == code
                self.groups.append((ids[own], labels[own], p))

    def rooted(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """(n, d) hashes → (n,) the first row of each row's group."""
        return picture_hashes.rooted(rows)

    def swapped(self, before: Batch, after: Batch) -> Result:
        """The result had ``before``'s rows been ``after``'s; nothing else is hashed again."""
        twin = copy(self)
        twin.store, twin.groups, twin.pictures = Store(), [], picture.Averages()
        stays = ~np.isin(self.store.ids(), after.ids)
        if stays.any():
            bits = np.concatenate(list(self.store.sliced()))
            twin.store.append(self.store.ids()[stays], self.store.labels()[stays], bits[stays])
        twin.observe(self.hashes, after)
        twin.settle(self.hashes)
        return twin.result()

    def preview(self, at: int) -> Preview:
        """Something to look at for group ``at``."""
        return self.pictures.preview(at)

    def result(self) -> Result:
        """A group for each flood, and how many near copies there are."""
        made = tuple(self._group(at, *one) for at, one in enumerate(self.groups))
        return Result(made, facts=self._facts(), tried=len(self.sizes), unread=self.unread)

    def _group(
        self, at: int, ids: npt.NDArray[np.int64], labels: npt.NDArray[np.int32], p: float
    ) -> Group:
        known = labels[labels >= 0]
        code = int(np.bincount(known).argmax()) if len(known) else -1
        smaller = self.sizes[self.sizes < len(ids)]
        return Group(
            family=self.family,
            pattern=f"{len(ids):,} {self.thing} are nearly one",
            key=f"near:{int(ids[0])}",
            carriers=ids,
            label=self.frame.labels[code] if code >= 0 else "",
            count=len(ids),
            seen=int((known == code).sum()) if code >= 0 else len(ids),
            expected=float(np.median(smaller)) if len(smaller) else 1.0,
            statistic=float(len(ids)),
            p_value=p,
            preview=self.preview(at),
        )

    def _facts(self) -> tuple[Fact, ...]:
        facts = []
        if copies := int((self.sizes - 1).sum()):
            largest = int(self.sizes.max())
            message = f"{copies:,} {self.thing} nearly copy another; most often {largest:,} times"
            metrics = {"copies": copies, "groups": len(self.sizes), "largest": largest}
            facts.append(Fact(f"{self.name}.some", "info", message, metrics))
        if self.flat:
            message = f"{self.flat:,} {self.thing} are plain: there is nothing to compare"
            facts.append(Fact(f"{self.name}.plain", "info", message, {"plain": self.flat}))
        return tuple(facts)
