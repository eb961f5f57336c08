"""Floods of near-identical images: one picture, brightened, with noise, encoded anew.

A 256-bit hash of each image (the signs of its detail at 16x16), in sixteen 16-bit bands; images
that share a band and are within NEAR bits are neighbours, and a chain of neighbours less those
that are far from its majority is one group.
Sizes are judged by this version's own smaller groups (``copies``). Labels are not looked at.
Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from copy import copy
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sealwright.scan.interface import Batch, Fact, Frame, Group, Preview, Result, Scan, Spec
from sealwright.scan.poison import picture
from sealwright.scan.poison.copies import SMALLEST, p_value
from sealwright.scan.poison.image_features import blurred, resized
from sealwright.scan.poison.store import Store

SIDE = 16
BANDS = 16
NEAR = 20
"""Of 256 bits. Unlike photographs of one class differ in about 128; one picture brightened or
encoded anew in fewer than 15; moved by a pixel of 32 in about 30, which is not seen."""
COARSE = 2.0
"""Pixels of 16x16: smooth gradients, which many photographs share, fall away."""
FLAT = 1.0
"""Mean detail (of 255) below which an image shows nothing to compare."""
MOST_PAIRS = 64
"""Neighbours compared in one full band: linear time also where everything is a copy."""


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
        elif min(batch.images.shape[1:3]) < SIDE:
            self.unread += len(batch.ids)
        elif len(batch.ids):
            bits, shows = hashed(batch.images)
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
        return tightened(rows, chained(rows))

    def swapped(self, before: Batch, after: Batch) -> Result:
        """The result had ``before``'s rows been ``after``'s; nothing else is hashed again."""
        twin = copy(self)
        twin.store, twin.groups, twin.pictures = Store(), [], picture.Averages()
        stays = ~np.isin(self.store.ids(), after.ids)
        bits = np.concatenate([np.empty((0, BANDS * 2), np.uint8), *self.store.sliced()])
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


def hashed(
    images: npt.NDArray[np.uint8],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """(n, h, w, 3) → (n, 32) packed bits, and (n,) whether there was anything to hash."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    grey = resized(blurred(images.astype(np.float32) @ weights, 1.0), (SIDE, SIDE))
    detail = (grey - blurred(grey, COARSE)).reshape(len(images), -1)
    return np.packbits(detail > 0, axis=1), np.abs(detail).mean(1) > FLAT


def chained(bits: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """(n, 32) hashes → (n,) the first row of each row's chain of near ones."""
    root = np.arange(len(bits))
    for band in np.split(bits, BANDS, axis=1):
        key = np.ascontiguousarray(band).view(f"u{band.shape[1]}")[:, 0]
        order = np.argsort(key, kind="stable")
        for step in range(1, MOST_PAIRS + 1):
            one, two = order[:-step], order[step:]
            same = key[one] == key[two]
            if not same.any():
                break
            one, two = one[same], two[same]
            apart = np.bitwise_count(bits[one] ^ bits[two]).sum(1)
            joined_roots(root, one[apart <= NEAR], two[apart <= NEAR])
    return tops(root)


def tops(root: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(n,) the first row of each row's chain."""
    return np.array([_top(root, at) for at in range(len(root))], np.int64)


def tightened(bits: npt.NDArray[np.uint8], root: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Chains less the rows further than NEAR from the majority of their chain's bits."""
    out = root.copy()
    _, inverse, sizes = np.unique(root, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.cumsum(sizes) - sizes
    for at in np.flatnonzero(sizes > 2):
        own = order[starts[at] : starts[at] + sizes[at]]
        middle = np.packbits(np.unpackbits(bits[own], axis=1).mean(0) > 0.5)
        far = own[np.bitwise_count(bits[own] ^ middle).sum(1) > NEAR]
        near = np.setdiff1d(own, far)
        out[far] = far
        out[near] = near[0] if len(near) else 0
    return out


def joined_roots(
    root: npt.NDArray[np.int64], one: npt.NDArray[np.int64], two: npt.NDArray[np.int64]
) -> None:
    """Make each pair of rows one chain."""
    for left, right in zip(one.tolist(), two.tolist(), strict=True):
        a, b = _top(root, left), _top(root, right)
        root[max(a, b)] = min(a, b)


def _top(root: npt.NDArray[np.int64], at: int) -> int:
    while root[at] != at:
        root[at] = root[root[at]]
        at = int(root[at])
    return at
