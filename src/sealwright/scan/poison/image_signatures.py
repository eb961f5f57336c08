"""Images that stand out of their class in what the blind networks learnt: a list to look at.

What those networks learn they believe, so ``image-confusion`` does not doubt it: a trigger coarse
enough for them. The networks are the same ones, trained once. Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from sealwright.core.ports import Progress
from sealwright.scan.interface import Batch, Fact, Frame, Rank, Result, Scan, Spec
from sealwright.scan.poison import blind_net, signatures
from sealwright.scan.poison.image_confusion import FEWEST_ROWS, MOST_LABELS, SMALLEST
from sealwright.scan.poison.store import Store

Scores: TypeAlias = npt.NDArray[np.float64]


class ImageSignatures:
    """Makes the state of one scan."""

    spec = Spec(
        "image-signatures",
        1,
        "image",
        "row",
        threats=("AML.T0020", "AML.T0018"),
        needs=("labels", "model"),
    )

    def begin(self, frame: Frame, reference: Scan | None = None) -> Signatures:
        """An empty state; no reference is used."""
        return Signatures(frame)


class Signatures:
    """Small pictures of every image, then how far each stands out."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.store = Store()
        self.shape: tuple[int, ...] = ()
        self.ids: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self.scores: Scores = np.empty(0)
        self.progress: Progress | None = None
        self.unread = 0

    def watch(self, progress: Progress) -> None:
        """Say how far the training is."""
        self.progress = progress

    def observe(self, number: int, batch: Batch) -> None:
        """Keep small pictures of the labelled images."""
        known = batch.labels >= 0
        if batch.images is None or min(batch.images.shape[1:3]) < SMALLEST:
            known = np.zeros(len(batch.ids), np.bool_)
        self.unread += int((~known).sum())
        if batch.images is not None and known.any():
            small = blind_net.shrunken(batch.images[known])
            self.shape = small.shape[1:]
            self.store.append(batch.ids[known], batch.labels[known], small.reshape(len(small), -1))

    def merge(self, other: Self) -> None:
        """Join what was kept."""
        self.store.merge(other.store)
        self.shape = self.shape or other.shape
        self.unread += other.unread

    def settle(self, number: int) -> None:
        """Train, or take what is trained, and score. Raises: MissingExtra (torch)."""
        labels = self.store.labels().astype(np.int64)
        if len(labels) < FEWEST_ROWS or not 2 <= len(np.unique(labels)) <= MOST_LABELS:
            self.unread = self.frame.rows
            return
        order = np.argsort(self.store.ids(), kind="stable")
        self.ids, labels = self.store.ids()[order], labels[order]
        pictures = np.concatenate(list(self.store.sliced()))[order].reshape(-1, *self.shape)
        parts = blind_net.parts_of(self.ids, blind_net.FOLDS, self.frame.seed)
        nets = blind_net.shared(pictures, labels, parts, self.frame.seed, self._told)
        self.scores = signatures.scored(nets.features(pictures), labels)

    def result(self) -> Result:
        """The images furthest out of their class, at most ``frame.review``."""
        if not len(self.scores):
            said = "too few labelled images, labels or pixels: no model was trained"
            fact = Fact("image-signatures.not-searched", "low", said, {"unread": self.unread})
            return Result(facts=(fact,), unread=self.unread)
        first = np.argsort(-self.scores, kind="stable")[: self.frame.review]
        why = "stands out of its class in what a model learnt"
        ranks = (Rank(int(self.ids[at]), round(float(self.scores[at]), 4), why) for at in first)
        return Result(ranks=tuple(ranks), tried=len(self.ids), unread=self.unread)

    def _told(self, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress.advance(done, total, "screening, training blind models")
