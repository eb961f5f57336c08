"""Images of one class that share a faint or strong fixed pattern: blends, patches, clean label.

Pass 0 keeps each image's whitened-to-be detail (1.5 kB) and the pooled covariance; settling looks
in each class for rows that share a direction no natural class shares (``shared``). Content and
labels are not modelled, so it does not matter whether the pattern came with a false label.
Pass 1 takes the pictures. Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from math import exp
from typing import Any, Self, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan.interface import Batch, Fact, Frame, Group, Preview, Result, Scan, Spec
from sealwright.scan.poison import labelled, picture, shared
from sealwright.scan.poison.image_features import detail
from sealwright.scan.poison.store import CHUNK, Store
from sealwright.scan.poison.whitening import Moments, Whitener, whitener

FEWEST = 3 * shared.NEIGHBOURS
"""Classes with fewer rows have no bulk to stand out from."""
PANEL = 4000
USUAL, SCALE = 14.0, 4.0
"""P(excess > x in a clean class) <= exp((USUAL - x) / SCALE): docs/reference/detectors.md."""
COVARIED = 50_000
"""Rows that the covariance is taken from."""

WIDER = 2
"""Times that a candidate of one class recruits among all classes before its label is judged."""

Ints: TypeAlias = npt.NDArray[np.int64]
Scores: TypeAlias = npt.NDArray[np.float64]


class Hit(msgspec.Struct, frozen=True):
    """One class's candidate and its p-value before the label test."""

    label: int
    direction: shared.Floats
    excess: float
    p_value: float
    carriers: Ints = np.empty(0, np.int64)
    everywhere: int = 0
    expected: float = 0.0


class ImageSpectral:
    """Makes the state of one scan."""

    spec = Spec(
        "image-spectral",
        1,
        "image",
        "group",
        families=("image:patch", "image:blend", "image:clean-label"),
        threats=("AML.T0020", "AML.T0018"),
        passes=2,
        needs=("labels",),
    )

    def begin(self, frame: Frame, reference: Scan | None = None) -> Spectral:
        """An empty state; no reference is used."""
        return Spectral(frame)


class Spectral:
    """Detail of every image, then the candidates of each class."""

    name = "image-spectral"
    thing = "images"
    family = "image:blend"

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.store = Store()
        self.moments: Moments | None = None
        self.whiten = Whitener(np.zeros(0, np.float32), np.zeros((0, 0), np.float32))
        self.means: dict[int, shared.Floats] = {}
        self.white: npt.NDArray[np.float16] | None = None
        self.hits: list[Hit] = []
        self.pictures = picture.Averages()
        self.tested = 0
        self.unread = 0

    def observe(self, number: int, batch: Batch) -> None:
        """Pass 0 keeps detail, pass 1 averages the carriers."""
        if number == 1:
            self.pictures.observe(batch, [(at, hit.carriers) for at, hit in enumerate(self.hits)])
            return
        rows = self.detail(batch) if len(batch.ids) else None
        if rows is None:
            self.unread += len(batch.ids)
            return
        if self.moments is None:
            self.moments = Moments.empty(rows.shape[1])
        if self.moments.count < COVARIED:
            self.moments.add(rows.astype(np.float32))
        self.store.append(batch.ids, batch.labels, rows)

    def detail(self, batch: Batch) -> npt.NDArray[Any] | None:
        """(n, d) what is searched, or None where the batch has none."""
        return None if batch.images is None else detail(batch.images)

    def preview(self, at: int) -> Preview:
        """Something to look at for group ``at``."""
        return self.pictures.preview(at)

    def merge(self, other: Self) -> None:
        """Join what was kept."""
        self.store.merge(other.store)
        self.unread += other.unread
        self.pictures.merge(other.pictures)
        if self.moments is None:
            self.moments = other.moments
        elif other.moments is not None:
            self.moments.merge(other.moments)

    def settle(self, number: int) -> None:
        """After pass 0: whiten, look in each class, keep what holds."""
        if number == 0 and self.moments is not None:
            self.whiten = whitener(self.moments)
            labels = self.store.labels()
            sizes = np.bincount(labels[labels >= 0], minlength=len(self.frame.labels))
            able = np.flatnonzero(sizes >= FEWEST)
            self.unread += int(len(labels) - sizes[able].sum())
            self.tested = int(sum(-(-int(sizes[code]) // PANEL) for code in able))
            found = [self._looked(int(code), labels) for code in able]
            self.hits = self._confirmed([hit for hits in found for hit in hits], labels)

    def swapped(self, before: Batch, after: Batch) -> Result:
        """The result had ``before``'s rows been ``after``'s: what a canary asks about.

        Only the classes that these rows have now are searched. The covariance is taken anew
        with them: whitened by a clean one, even a few blends are so alike that they are copies.
        """
        was, rows = self.detail(before), self.detail(after)
        if was is None or rows is None or not self.means:
            return Result()
        ids, labels = self.store.ids(), self.store.labels()
        order = np.argsort(ids)
        at = order[np.searchsorted(ids[order], after.ids)]
        labels[at] = after.labels
        twin = copy(self)
        twin.means = dict(self.means)
        if self.moments is not None:
            twin._recovaried(self.moments, was.astype(np.float32), rows.astype(np.float32))
        twin.white = np.concatenate([one.astype(np.float16) for one in twin._whitened()])
        twin.white[at] = twin.whiten(rows)
        sizes = np.bincount(labels[labels >= 0], minlength=len(self.frame.labels))
        codes = [int(one) for one in np.unique(after.labels) if sizes[one] >= FEWEST]
        found = [hit for code in codes for hit in twin._looked(code, labels)]
        hits = twin._confirmed(found, labels)
        return Result(tuple(map(twin._group, range(len(hits)), hits)), tried=self.tested)

    def _recovaried(self, moments: Moments, was: shared.Floats, rows: shared.Floats) -> None:
        """Whiten by the moments with some rows replaced, of those that they were taken from."""
        total = moments.total + rows.sum(0, dtype=np.float64) - was.sum(0, dtype=np.float64)
        scatter = moments.scatter + rows.T @ rows - was.T @ was
        self.whiten = whitener(Moments(moments.count, total, scatter))
        self.white = None

    def result(self) -> Result:
        """A group for each class that holds at the frame's share."""
        groups = tuple(self._group(at, hit) for at, hit in enumerate(self.hits))
        return Result(groups, facts=self._facts(), tried=self.tested, unread=self.unread)

    def _rows(self, at: Ints) -> shared.Floats:
        """(len(at), d) whitened, the rows at places in rising order."""
        if self.white is not None:
            return self.white[at].astype(np.float32)
        return self.whiten(self.store.rows(at))

    def _whitened(self) -> Iterator[shared.Floats]:
        """All rows whitened, in pieces."""
        if self.white is None:
            yield from (self.whiten(rows) for rows in self.store.sliced())
            return
        for start in range(0, len(self.white), CHUNK):
            yield self.white[start : start + CHUNK].astype(np.float32)

    def _looked(self, code: int, labels: npt.NDArray[np.int32]) -> list[Hit]:
        rng = np.random.default_rng([self.frame.seed, code])
        members = rng.permutation(np.flatnonzero(labels == code))
        kept = []
        for part in np.array_split(members, -(-len(members) // PANEL)):
            rows = self._rows(np.sort(part))
            self.means[code] = rows.mean(0)
            for found in shared.candidates(rows, rng):
                p = min(1.0, self.tested * exp(min(0.0, (USUAL - found.excess) / SCALE)))
                if p <= self.frame.alpha:
                    direction = shared.refined(rows, found).direction
                    kept.append(Hit(code, direction, found.excess, p))
        return kept

    def _confirmed(self, hits: list[Hit], labels: npt.NDArray[np.int32]) -> list[Hit]:
        """Those whose pattern is this label's, and not spread over all as a white frame is."""
        if not hits:
            return []
        along = np.stack([hit.direction for hit in hits], 1)
        scores = self._scored(along, labels)
        for _ in range(WIDER):
            along = self._recruited(scores, labels)
            scores = self._scored(along, labels)
        sizes = np.bincount(labels[labels >= 0], minlength=len(self.frame.labels))
        judged = [self._judged(hit, scores[:, at], labels, sizes) for at, hit in enumerate(hits)]
        held = [hit for hit in judged if hit.p_value <= self.frame.alpha / len(hits)]
        return _distinct(sorted(held, key=lambda hit: (hit.p_value, -len(hit.carriers))))

    def _scored(self, along: shared.Floats, labels: npt.NDArray[np.int32]) -> Scores:
        """(rows, hits) in robust standard deviations of each row's class."""
        plain = np.concatenate([rows @ along for rows in self._whitened()])
        return np.stack([labelled.standard(one, labels) for one in plain.T], 1)

    def _recruited(self, scores: Scores, labels: npt.NDArray[np.int32]) -> shared.Floats:
        """(d, hits): each direction anew, from the rows of all classes that carry it."""
        out = []
        for column in scores.T:
            at = np.argsort(-column)[: max(shared.NEIGHBOURS, int((column > shared.TAIL).sum()))]
            at = np.sort(at[:PANEL])
            rows = self._rows(at)
            rows = rows - self._means_of(labels[at], rows.shape[1])
            out.append(rows.mean(0))
        return np.stack([one / max(1e-6, float(np.linalg.norm(one))) for one in out], 1)

    def _means_of(self, labels: npt.NDArray[np.int32], width: int) -> shared.Floats:
        none: shared.Floats = np.zeros(width, np.float32)
        return np.stack([self.means.get(int(code), none) for code in labels])

    def _judged(
        self,
        hit: Hit,
        scores: npt.NDArray[np.float64],
        labels: npt.NDArray[np.int32],
        sizes: npt.NDArray[np.int64],
    ) -> Hit:
        own = labels == hit.label
        strong, carries = scores > shared.TAIL, scores > shared.CARRIES
        expected = float(strong.sum() * sizes[hit.label] / max(1, sizes.sum()))
        p = labelled.p_value(int(strong.sum()), int((strong & own).sum()), expected)
        return msgspec.structs.replace(
            hit,
            p_value=max(hit.p_value, p),
            carriers=np.sort(self.store.ids()[carries & own]),
            everywhere=int((carries & own).sum() + (strong & ~own).sum()),
            expected=expected,
        )

    def _group(self, at: int, hit: Hit) -> Group:
        name = self.frame.labels[hit.label]
        return Group(
            family=self.family,
            pattern=f"{len(hit.carriers):,} {self.thing} of {name} share one fixed pattern",
            key=f"spectral:{hit.label}:{at}",
            carriers=hit.carriers,
            label=name,
            count=hit.everywhere,
            seen=len(hit.carriers),
            expected=hit.expected,
            statistic=hit.excess,
            p_value=hit.p_value,
            preview=self.preview(at),
        )

    def _facts(self) -> tuple[Fact, ...]:
        if not self.unread:
            return ()
        message = (
            f"{self.unread:,} {self.thing} have no label, or one that fewer than {FEWEST} have: "
            "they were not searched for shared patterns"
        )
        return (Fact(f"{self.name}.small-classes", "info", message, {"unread": self.unread}),)


def _distinct(hits: list[Hit]) -> list[Hit]:
    """Of hits whose carriers are mostly the same, the first."""
    kept: list[Hit] = []
    for hit in hits:
        shares = [float(np.isin(hit.carriers, one.carriers).mean()) for one in kept]
        if len(hit.carriers) and max(shares, default=0.0) < 0.5:
            kept.append(hit)
    return kept
