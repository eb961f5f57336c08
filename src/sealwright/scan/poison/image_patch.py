"""Small patches on images of one label: at one place, or moving from image to image.

Pass 0 keeps each image at 32x32; settling looks at every window of 2x2 and 3x3 pixels
(``patch_windows``) for patterns of one label (``patch_search``). Copies of one image count once.
Pass 1 takes the pictures. Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from typing import Self

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan.interface import Batch, Fact, Frame, Group, Preview, Result, Scan, Spec
from sealwright.scan.poison import patch_search, picture
from sealwright.scan.poison.image_features import SIDE, shrunk
from sealwright.scan.poison.patch_search import Hit, Place, Top
from sealwright.scan.poison.patch_windows import Floats, Ints, Lens, Pixels, lens, units
from sealwright.scan.poison.store import Store

SIZES = (2, 3)
POOLED = 3
"""The window size that is looked for at any place."""
EACH = 6
"""Windows of an image that are."""
SEEDS = 3000
SMALLEST = 16
"""Pixels a side: below, objects stand at fixed places and are small themselves."""
FLAT, FLAT_STEP = 0.2, 3
"""Of an image's pixels, those that differ by no more than that step from their neighbours: with
more of them in the middle image these are drawings, whose strokes stand where patches would.
Photographs (the CIFAR-10 subset) have 0.05, digits 0.33."""
SHARE, LEAST, MOST = 0.03, 150, 600
"""Of the images, those with the longest windows at a place; at least, at most so many."""
COPY = 0.9
"""Correlation of 8x8 thumbs from which two images are one."""
JUDGED = 400
"""Hits looked at closely."""
OVERLAP = 0.5
CLOSE = 24
"""Places of a pattern, the best ones, that its carriers are compared over."""


class ImagePatch:
    """Makes the state of one scan."""

    spec = Spec(
        "image-patch",
        2,
        "image",
        "group",
        families=("image:patch",),
        threats=("AML.T0020", "AML.T0018"),
        passes=2,
        needs=("labels",),
    )

    def begin(self, frame: Frame, reference: Scan | None = None) -> Patches:
        """An empty state; no reference is used."""
        return Patches(frame)


class Found(msgspec.Struct, frozen=True):
    """Hits that are one pattern, the best first."""

    hit: Hit
    p_value: float
    carriers: Ints


class Patches:
    """Small images, then the longest windows at each place and of each image."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.store = Store()
        self.pictures = picture.Averages()
        self.unread = 0
        self.drawn = False
        self.images: Pixels = np.empty((0, 1, 1, 3), np.uint8)
        self.ids: Ints = np.empty(0, np.int64)
        self.labels: npt.NDArray[np.int32] = np.empty(0, np.int32)
        self.lenses: tuple[Lens, ...] = ()
        self.tops: dict[Place, Top] = {}
        self.pool: Floats = np.empty((0, EACH, 1), np.float32)
        self.found: list[Found] = []

    def observe(self, number: int, batch: Batch) -> None:
        """Pass 0 keeps the pixels, pass 1 averages the carriers."""
        if number == 1:
            wanted = [(at, one.carriers) for at, one in enumerate(self.found)]
            self.pictures.observe(batch, wanted)
            return
        able = batch.labels >= 0
        if batch.images is None or min(batch.images.shape[1:3]) < SMALLEST:
            able = np.zeros(len(batch.ids), np.bool_)
        self.unread += int((~able).sum())
        if batch.images is not None and able.any():
            kept = _small(batch.images[able])
            self.store.append(batch.ids[able], batch.labels[able], kept)

    def merge(self, other: Self) -> None:
        """Join what was kept."""
        self.store.merge(other.store)
        self.pictures.merge(other.pictures)
        self.unread += other.unread

    def settle(self, number: int) -> None:
        """After pass 0: the windows, then the patterns among them."""
        if number or len(self.store.ids()) < LEAST:
            return
        ids, labels = self.store.ids(), self.store.labels()
        order = np.argsort(ids)
        self.ids, self.labels = ids[order], labels[order]
        self.images = np.concatenate(list(self.store.sliced()))[order]
        self.drawn = _flat(self.images) > FLAT
        if self.drawn:
            self.unread += len(self.images)
            return
        rng = np.random.default_rng(self.frame.seed)
        self.lenses = tuple(lens(self.images, size, rng) for size in SIZES)
        self._windows()
        hits = [
            hit
            for place, held in self.tops.items()
            if (hit := self._fixed(place, held, self.labels, np.arange(len(held.rows))))
        ]
        filled = np.flatnonzero(np.abs(self.pool).sum(2).ravel())
        hits += self._moving(self.pool, self.labels, rng.permutation(filled)[:SEEDS])
        self.found = self._joined(hits, self.images, self.labels)

    def swapped(self, before: Batch, after: Batch) -> Result:
        """The result had ``before``'s rows been ``after``'s, with the lenses as they are.

        Only patterns that these rows show: what a canary asks about.
        """
        if after.images is None or not self.tops:
            return Result(tried=len(self.tops))
        able = np.isin(after.ids, self.ids)
        rows = np.asarray(np.searchsorted(self.ids, after.ids[able]), np.int64)
        images, labels = self.images.copy(), self.labels.copy()
        images[rows], labels[rows] = _small(after.images[able]), after.labels[able]
        hits, pool = self._again(images[rows], rows, labels)
        seeds: Ints = np.add.outer(rows * EACH, np.arange(EACH)).ravel()
        filled = np.flatnonzero(np.abs(pool).sum(2).ravel())
        hits += self._moving(pool, labels, np.intersect1d(seeds, filled))
        found = self._joined(hits, images, labels)
        return Result(tuple(map(self._group, range(len(found)), found)), tried=len(self.tops))

    def preview(self, at: int) -> Preview:
        """Something to look at for group ``at``."""
        return self.pictures.preview(at)

    def result(self) -> Result:
        """A group for each pattern that holds at the frame's share."""
        groups = tuple(
            msgspec.structs.replace(self._group(at, one), preview=self.preview(at))
            for at, one in enumerate(self.found)
        )
        return Result(groups, facts=self._facts(), tried=len(self.tops), unread=self.unread)

    def _windows(self) -> None:
        count = len(self.images)
        most = min(count, max(LEAST, min(MOST, int(SHARE * count))))
        longest: Floats = np.zeros((count, EACH), np.float32)
        for one in self.lenses:
            pooled = one.size == POOLED
            if pooled:
                self.pool = np.zeros((count, EACH, one.matrix.shape[1]), np.float32)
            for (row, column), windows in one.places(self.images):
                unit, long = units(windows)
                held = patch_search.top(windows, long, unit, most)
                self.tops[one.size, row, column] = held
                if pooled:
                    _keep(longest, self.pool, held, long[held.rows])

    def _again(
        self, images: Pixels, rows: Ints, labels: npt.NDArray[np.int32]
    ) -> tuple[list[Hit], Floats]:
        """Hits at one place whose seeds are ``rows`` with ``images``, and the pool with them."""
        hits: list[Hit] = []
        pool = self.pool.copy()
        longest: Floats = np.zeros(pool.shape[:2], np.float32)
        stays: npt.NDArray[np.bool_] = np.ones(len(pool), np.bool_)
        pool[rows], stays[rows] = 0, False
        for one in self.lenses:
            for (row, column), windows in one.places(images):
                unit, long = units(windows)
                place = one.size, row, column
                old = self.tops[place]
                new, kept = np.flatnonzero(long >= old.floor), stays[old.rows]
                if not len(new):
                    continue
                held = Top(
                    np.concatenate([old.rows[kept], rows[new]]),
                    np.concatenate([old.unit[kept], unit[new]]),
                    old.floor,
                )
                seeds = np.arange(int(kept.sum()), len(held.rows))
                if hit := self._fixed(place, held, labels, seeds):
                    hits.append(hit)
                if one.size == POOLED:
                    _keep(longest, pool, Top(rows[new], unit[new], 0.0), long[new])
        return hits, pool

    def _fixed(
        self, place: Place, held: Top, labels: npt.NDArray[np.int32], seeds: Ints
    ) -> Hit | None:
        return patch_search.fixed(self.tops, place, held, labels, _shares(labels), seeds)

    def _moving(self, pool: Floats, labels: npt.NDArray[np.int32], seeds: Ints) -> list[Hit]:
        return list(patch_search.moving(pool, labels, _shares(labels), seeds, JUDGED))

    def _joined(
        self, hits: list[Hit], images: Pixels, labels: npt.NDArray[np.int32]
    ) -> list[Found]:
        """Of the hits that hold, those over the same images as one group."""
        kept: list[tuple[Hit, float, list[Hit]]] = []
        places = len(self.tops) + SEEDS // patch_search.EACH
        floor = self.frame.alpha
        ordered = sorted(hits, key=lambda hit: -hit.statistic)[:JUDGED]
        for hit in ordered:
            if patch_search.p_value(hit.statistic, places) > floor:
                break
            same = next((x for x in kept if _same(x[0], hit)), None)
            if same is not None:
                same[2].append(hit)
                continue
            copies = len(hit.rows) - _distinct(images[hit.rows])
            if copies:
                share = min(0.99, hit.expected / hit.count)
                stat = patch_search.bound(hit.count - copies, hit.seen - copies, share)
                hit = msgspec.structs.replace(hit, statistic=min(stat, hit.statistic))
            p = patch_search.p_value(hit.statistic, places)
            if hit.seen - copies >= patch_search.FEWEST and p <= floor:
                kept.append((hit, p, [hit]))
        return [Found(hit, p, self._carriers(members, images, labels)) for hit, p, members in kept]

    def _carriers(self, members: list[Hit], images: Pixels, labels: npt.NDArray[np.int32]) -> Ints:
        """Images of the label that at least a quarter of the pattern's windows show, and those
        that are like their mean over all of its places: what the codec left of a faint one."""
        votes: Ints = np.zeros(len(self.ids), np.int64)
        for hit in members:
            votes[hit.rows] += 1
        carriers = votes >= max(1, len(members) / 4)
        along: Floats = np.zeros(len(images), np.float32)
        lenses = {one.size: one for one in self.lenses}
        placed = [hit.place for hit in members if hit.place is not None]
        for size, row, column in placed[:CLOSE]:
            windows = lenses[size].place(images, row, column)
            along += windows @ (windows[carriers].mean(0) - windows[~carriers].mean(0))
        if placed:
            carriers |= patch_search.edge(along, labels == members[0].label)
        return self.ids[carriers]

    def _group(self, at: int, one: Found) -> Group:
        hit, name = one.hit, self.frame.labels[one.hit.label]
        where = "at one place" if hit.place else "at any place"
        key = ".".join(map(str, hit.place)) if hit.place else f"any.{at}"
        return Group(
            family="image:patch",
            pattern=f"{len(one.carriers):,} images of {name} show one small pattern {where}",
            key=f"patch:{hit.label}:{key}",
            carriers=one.carriers,
            label=name,
            count=max(hit.count, len(one.carriers)),
            seen=max(hit.seen, len(one.carriers)),
            expected=hit.expected,
            statistic=hit.statistic,
            p_value=one.p_value,
        )

    def _facts(self) -> tuple[Fact, ...]:
        if not self.unread:
            return ()
        why = f"have no label, or fewer than {SMALLEST} pixels a side"
        if self.drawn:
            why = "are drawings, or too small, or without a label"
        message = f"{self.unread:,} images {why}: they were not searched for patches"
        return (Fact("image-patch.not-searched", "info", message, {"unread": self.unread}),)


def _flat(images: Pixels) -> float:
    """How much of the middle image is flat, of at most 1,000."""
    some = images[:: max(1, len(images) // 1000)].astype(np.int16)
    across = np.abs(np.diff(some, axis=2)).max(3)[:, :-1] <= FLAT_STEP
    down = np.abs(np.diff(some, axis=1)).max(3)[:, :, :-1] <= FLAT_STEP
    return float(np.median((across & down).mean((1, 2))))


def _shares(labels: npt.NDArray[np.int32]) -> Floats:
    """What part of all has each label."""
    return (np.bincount(labels) / len(labels)).astype(np.float32)


def _small(images: Pixels) -> Pixels:
    """At most SIDE pixels a side."""
    if max(images.shape[1:3]) <= SIDE:
        return images
    planes = [np.rint(shrunk(images[..., at], SIDE)) for at in range(3)]
    return np.stack(planes, -1).astype(np.uint8)


def _keep(longest: Floats, pool: Floats, held: Top, long: Floats) -> None:
    """Into each image's EACH longest windows, where these are longer."""
    worst = longest[held.rows].argmin(1)
    better = long > longest[held.rows, worst]
    rows, at = held.rows[better], worst[better]
    longest[rows, at] = long[better]
    pool[rows, at] = held.unit[better]


def _same(one: Hit, two: Hit) -> bool:
    if one.label != two.label:
        return False
    both = len(np.intersect1d(one.rows, two.rows))
    return both >= OVERLAP * min(len(one.rows), len(two.rows))


def _distinct(images: Pixels) -> int:
    """How many of some images are no copies of one before."""
    grey = images.astype(np.float32).mean(3)
    rows, columns = (np.linspace(0, side, 9).astype(int)[:-1] for side in grey.shape[1:])
    thumbs = np.add.reduceat(np.add.reduceat(grey, rows, 1), columns, 2).reshape(len(grey), -1)
    unit, _ = units(thumbs - thumbs.mean(1, keepdims=True))
    alike = np.tril(unit @ unit.T > COPY, -1)
    return int((~alike.any(1)).sum())
