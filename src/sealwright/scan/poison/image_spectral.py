"""Images of one class that share a faint or strong fixed pattern: blends, patches, clean label.

Pass 0 keeps each image's whitened-to-be detail (1.5 kB) and the pooled covariance; settling looks
in each class for rows that share a direction no natural class shares (``shared``). Content and
labels are not modelled, so it does not matter whether the pattern came with a false label.
Pass 1 takes the pictures. Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from math import exp
from typing import Self

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan.interface import Batch, Fact, Frame, Group, Result, Scan, Spec
from sealwright.scan.poison import labelled, picture, shared
from sealwright.scan.poison.image_features import detail
from sealwright.scan.poison.store import Store
from sealwright.scan.poison.whitening import Moments, Whitener, whitener

FEWEST = 3 * shared.NEIGHBOURS
"""Classes with fewer rows have no bulk to stand out from."""
PANEL = 4000
USUAL, SCALE = 12.0, 4.0
"""P(excess > x in a clean class) <= exp((USUAL - x) / SCALE): docs/reference/detectors.md."""
COVARIED = 50_000
"""Rows that the covariance is taken from."""

Ints = npt.NDArray[np.int64]


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
    """Detail of every image, then one candidate a class."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.store = Store()
        self.moments: Moments | None = None
        self.whiten: Whitener | None = None
        self.hits: list[Hit] = []
        self.pictures = picture.Averages()
        self.tested = 0
        self.unread = 0

    def observe(self, number: int, batch: Batch) -> None:
        """Pass 0 keeps detail, pass 1 averages the carriers."""
        if batch.images is None or not len(batch.ids):
            self.unread += len(batch.ids) if number == 0 else 0
            return
        if number == 1:
            self.pictures.observe(batch, [(hit.label, hit.carriers) for hit in self.hits])
            return
        rows = detail(batch.images)
        if self.moments is None:
            self.moments = Moments.empty(rows.shape[1])
        if self.moments.count < COVARIED:
            self.moments.add(rows.astype(np.float32))
        self.store.append(batch.ids, batch.labels, rows)

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
            self.hits = self._confirmed([hit for hit in found if hit], labels)

    def result(self) -> Result:
        """A group for each class that holds at the frame's share."""
        groups = tuple(self._group(hit) for hit in self.hits)
        return Result(groups, facts=self._facts(), tried=self.tested, unread=self.unread)

    def _looked(self, code: int, labels: npt.NDArray[np.int32]) -> Hit | None:
        assert self.whiten is not None
        rng = np.random.default_rng([self.frame.seed, code])
        members = rng.permutation(np.flatnonzero(labels == code))
        kept: Hit | None = None
        for part in np.array_split(members, -(-len(members) // PANEL)):
            rows = self.whiten(self.store.rows(np.sort(part)))
            found = shared.best(rows, rng)
            p = min(1.0, self.tested * exp(min(0.0, (USUAL - found.excess) / SCALE)))
            if p <= self.frame.alpha and (kept is None or found.excess > kept.excess):
                kept = Hit(code, shared.refined(rows, found).direction, found.excess, p)
        return kept

    def _confirmed(self, hits: list[Hit], labels: npt.NDArray[np.int32]) -> list[Hit]:
        """Those whose pattern is this label's, and not spread over all as a white frame is."""
        if not hits:
            return []
        assert self.whiten is not None
        along = np.stack([hit.direction for hit in hits], 1)
        scores = np.concatenate([self.whiten(rows) @ along for rows in self.store.sliced()])
        ids = self.store.ids()
        kept = []
        for at, hit in enumerate(hits):
            carries = labelled.standard(scores[:, at], labels) > shared.CARRIES
            strong = labelled.standard(scores[:, at], labels) > shared.TAIL
            own = labels == hit.label
            expected = float(strong.sum() * own.sum() / max(1, (labels >= 0).sum()))
            p = labelled.p_value(int(strong.sum()), int((strong & own).sum()), expected)
            p = max(hit.p_value, min(1.0, p * len(hits)))
            if p <= self.frame.alpha:
                kept.append(
                    Hit(
                        hit.label,
                        hit.direction,
                        hit.excess,
                        p,
                        np.sort(ids[carries & own]),
                        int((carries & own).sum() + (strong & ~own).sum()),
                        expected,
                    )
                )
        return kept

    def _group(self, hit: Hit) -> Group:
        name = self.frame.labels[hit.label]
        return Group(
            family="image:blend",
            pattern=f"{len(hit.carriers):,} images of {name} share one fixed pattern",
            key=f"spectral:{hit.label}",
            carriers=hit.carriers,
            label=name,
            count=hit.everywhere,
            seen=len(hit.carriers),
            expected=hit.expected,
            statistic=hit.excess,
            p_value=hit.p_value,
            preview=self.pictures.preview(hit.label),
        )

    def _facts(self) -> tuple[Fact, ...]:
        if not self.unread:
            return ()
        message = (
            f"{self.unread:,} images have no label, or one that fewer than {FEWEST} images have: "
            "they were not searched for shared patterns"
        )
        return (Fact("image-spectral.small-classes", "info", message, {"unread": self.unread}),)

