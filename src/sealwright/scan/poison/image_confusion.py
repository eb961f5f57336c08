"""Images whose label follows a trace that the model cannot see: warps, faint own patterns,
all-to-all triggers.

Pass 0 keeps the pixels; settling trains the blind networks (``blind_net``), takes the content
out of each image (``image_residue``) and asks whether what is left decides a label that the
networks do not believe (``residue_search``). Pass 1 takes the pictures.
Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.ports import Progress
from sealwright.scan.interface import Batch, Fact, Frame, Group, Result, Scan, Spec
from sealwright.scan.poison import blind_net, picture
from sealwright.scan.poison.image_residue import residue
from sealwright.scan.poison.residue_search import ANY, FOLDS, Judged, Trace, evened, searched
from sealwright.scan.poison.store import Store
from sealwright.scan.poison.whitening import Moments, Whitener, whitener

SMALLEST = 16
"""Pixels a side."""
FEWEST_ROWS = 300
FEWEST = 40
"""Images of a label that is searched."""
MOST_LABELS = 200

Ids: TypeAlias = npt.NDArray[np.int64]


class ImageConfusion:
    """Makes the state of one scan."""

    spec = Spec(
        "image-confusion",
        2,
        "image",
        "group",
        families=("image:warp", "image:sample-specific", "image:all-to-all"),
        threats=("AML.T0020", "AML.T0018"),
        passes=2,
        needs=("labels", "model"),
    )

    def begin(self, frame: Frame, reference: Scan | None = None) -> Confusion:
        """An empty state; no reference is used."""
        return Confusion(frame)


class Fitted(msgspec.Struct, frozen=True):
    """What settling learnt, for a canary to ask again. ``codes`` are the frame's by place."""

    nets: blind_net.BlindNets
    whiten: Whitener
    scale: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
    ids: Ids
    parts: Ids
    judged: Judged


class Confusion:
    """Pixels of every image, then the traces that hold."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.store = Store()
        self.shape: tuple[int, ...] = ()
        self.fitted: Fitted | None = None
        self.traces: list[tuple[Trace, Ids]] = []
        self.pictures = picture.Averages()
        self.progress: Progress | None = None
        self.unread = 0

    def watch(self, progress: Progress) -> None:
        """Say how far the training is."""
        self.progress = progress

    def observe(self, number: int, batch: Batch) -> None:
        """Pass 0 keeps pixels, pass 1 averages the carriers."""
        if number == 1:
            wanted = [(at, carriers) for at, (_, carriers) in enumerate(self.traces)]
            self.pictures.observe(batch, wanted)
            return
        if batch.images is None or not len(batch.ids):
            self.unread += len(batch.ids)
            return
        known = batch.labels >= 0
        self.unread += int((~known).sum())
        self.shape = batch.images.shape[1:]
        pixels = batch.images[known].reshape(int(known.sum()), -1)
        self.store.append(batch.ids[known], batch.labels[known], pixels)

    def merge(self, other: Self) -> None:
        """Join what was kept."""
        self.store.merge(other.store)
        self.shape = self.shape or other.shape
        self.unread += other.unread
        self.pictures.merge(other.pictures)

    def settle(self, number: int) -> None:
        """After pass 0: train, judge, search. Raises: MissingExtra (torch)."""
        if number == 0 and self._able():
            self.fitted = self._fit()
            self.traces = self._held(self.fitted.judged, self._codes(self.fitted.judged))
        elif number == 0:
            self.unread = self.frame.rows

    def result(self) -> Result:
        """A group for each trace that holds at the frame's share."""
        groups = tuple(self._group(at, *one) for at, one in enumerate(self.traces))
        tried = len(self._codes(self.fitted.judged)) if self.fitted else 0
        return Result(groups, facts=tuple(self._facts()), tried=tried, unread=self.unread)

    def swapped(self, before: Batch, after: Batch) -> Result:
        """The result had ``before``'s rows been ``after``'s; the networks are not trained again."""
        fitted = self.fitted
        if fitted is None or after.images is None:
            return Result()
        order = np.argsort(fitted.ids)
        at = order[np.searchsorted(fitted.ids[order], after.ids)]
        white, labels = fitted.judged.white.copy(), fitted.judged.labels.copy()
        odds = fitted.judged.odds.copy()
        middle, spread = fitted.scale
        white[at] = fitted.whiten((residue(after.images) - middle) / spread)
        labels[at] = after.labels
        small = blind_net.shrunken(after.images)
        odds[at] = evened(fitted.nets.judged(small, fitted.parts[at]))
        twin = Confusion(self.frame)
        twin.fitted = msgspec.structs.replace(
            fitted, judged=Judged(white, labels, odds, fitted.judged.folds)
        )
        touched = {int(code) for code in np.unique(after.labels)}
        codes = [c for c in self._codes(twin.fitted.judged) if c == ANY or c in touched]
        twin.traces = self._held(twin.fitted.judged, codes)
        return Result(tuple(twin._group(n, *one) for n, one in enumerate(twin.traces)))

    def _able(self) -> bool:
        labels = self.store.labels()
        kinds = len(np.unique(labels))
        return (
            len(labels) >= FEWEST_ROWS
            and 2 <= kinds <= MOST_LABELS
            and min(self.shape[:2]) >= SMALLEST
        )

    def _fit(self) -> Fitted:
        ids, labels = self.store.ids(), self.store.labels().astype(np.int64)
        order = np.argsort(ids, kind="stable")
        ids, labels = ids[order], labels[order]
        small, features = [], []
        for rows in self.store.sliced():
            images = rows.reshape(len(rows), *self.shape)
            small.append(blind_net.shrunken(images))
            features.append(residue(images))
        pictures, plain = np.concatenate(small)[order], np.concatenate(features)[order]
        middle, spread = plain.mean(0), plain.std(0) + np.float32(1e-6)
        plain -= middle
        plain /= spread
        moments = Moments.empty(plain.shape[1])
        moments.add(plain)
        whiten = whitener(moments)
        parts = blind_net.parts_of(ids, blind_net.FOLDS, self.frame.seed)
        nets = blind_net.shared(pictures, labels, parts, self.frame.seed, self._told)
        odds = evened(nets.judged(pictures, parts))
        folds = blind_net.parts_of(ids, FOLDS, self.frame.seed + 1)
        judged = Judged(whiten(plain), labels, odds, folds)
        return Fitted(nets, whiten, (middle, spread), ids, parts, judged)

    def _codes(self, judged: Judged) -> list[int]:
        sizes = np.bincount(judged.labels)
        return [ANY, *(int(code) for code in np.flatnonzero(sizes >= FEWEST))]

    def _held(self, judged: Judged, codes: list[int]) -> list[tuple[Trace, Ids]]:
        """Half of the error is for ANY, half is shared by the labels.

        ANY is asked last, of the images that no label's trace explains.
        """
        labels = max(1, len(self._codes(judged)) - 1)
        ids = self.fitted.ids if self.fitted else np.empty(0, np.int64)
        left: npt.NDArray[np.bool_] = np.ones(len(ids), np.bool_)
        out = []
        for code in sorted(codes, reverse=True):
            some = np.flatnonzero(left) if code == ANY else np.arange(len(ids))
            found = searched(judged if len(some) == len(ids) else judged.part(some), code)
            p = min(1.0, found.p_value * (2 if code == ANY else 2 * labels))
            if p <= self.frame.alpha and len(found.at):
                left[some[found.at]] = False
                out.append((msgspec.structs.replace(found, p_value=p), ids[some[found.at]]))
        return sorted(out, key=lambda one: one[0].p_value)

    def _told(self, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress.advance(done, total, "screening, training blind models")

    def _group(self, at: int, trace: Trace, carriers: Ids) -> Group:
        everywhere = trace.label == ANY
        name = "" if everywhere else self.frame.labels[trace.label]
        kind = "labels that their content contradicts" if everywhere else f"label {name}"
        return Group(
            family="image:all-to-all" if everywhere else "image:altered",
            pattern=f"{len(carriers):,} images share a trace of change, and {kind}",
            key=f"confusion:{'any' if everywhere else trace.label}",
            carriers=carriers,
            label=name,
            count=trace.count,
            seen=len(carriers),
            expected=trace.expected,
            statistic=trace.shift,
            p_value=trace.p_value,
            preview=self.pictures.preview(at),
        )

    def _facts(self) -> Iterator[Fact]:
        if self.fitted is None:
            yield Fact(
                "image-confusion.not-searched",
                "low",
                f"fewer than {FEWEST_ROWS} labelled images, one label or more than {MOST_LABELS}, "
                f"or less than {SMALLEST} pixels a side: no model was trained",
                {"unread": self.unread},
            )
            return
        judged = self.fitted.judged
        right = float(np.mean(judged.odds.argmax(1) == judged.labels))
        yield Fact(
            "image-confusion.model",
            "info",
            f"the blind model gives {100 * right:.0f} % of the images the label they have",
            {"percent": round(100 * right)},
        )
