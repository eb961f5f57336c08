"""Floods: one record added so often that nature does not explain it. Copies must match exactly.

Pass 0 counts hashed rows in a table of fixed size; pass 1 keeps the rows of full buckets and
verifies them by a second hash. Labels are left out of the hash, so a flood of one record under
two labels is one group. Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from sealwright.scan import hashing
from sealwright.scan.interface import Batch, Fact, Frame, Group, Preview, Result, Scan, Spec
from sealwright.scan.poison.copies import SMALLEST, p_value
from sealwright.scan.preview import lines_of

BUCKETS = 1 << 22
SAMPLED = 1 << 22
"""Up to so many rows every group of copies is known; beyond, a hashed sample of the small ones."""
MOST_GROUPS = 200
MOSTLY_COPIES = 0.5


Rows = tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int32]]
"""Hashes, ids and labels of some records."""


class Duplicates:
    """Makes the state of one scan."""

    spec = Spec(
        "duplicates", 1, "any", "group", families=("flood",), threats=("AML.T0020",), passes=2
    )

    def begin(self, frame: Frame, reference: Scan | None = None) -> Copies:
        """An empty state; no reference is used."""
        return Copies(frame)


class Copies:
    """Counts by bucket, then the rows of buckets that hold copies."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.counts: npt.NDArray[np.uint32] = np.zeros(BUCKETS, np.uint32)
        self.kept: list[
            tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int32]]
        ] = []
        self.shown: dict[int, tuple[int, tuple[str, ...]]] = {}
        self.share = min(1.0, SAMPLED / max(1, frame.rows))
        self.full = np.uint32(SMALLEST)

    def observe(self, number: int, batch: Batch) -> None:
        """Pass 0 counts; pass 1 keeps what may be a copy."""
        hashes = hashing.of_rows(batch, self.frame.columns)
        bucket = (hashes % np.uint64(BUCKETS)).astype(np.int64)
        if number == 0:
            np.add.at(self.counts, bucket, np.uint32(1))
            return
        count = self.counts[bucket]
        sampled = hashes >> np.uint64(40) < np.uint64(self.share * (1 << 24))
        wanted = (count >= self.full) | ((count > 1) & sampled)
        self.kept.append((hashes[wanted], batch.ids[wanted], batch.labels[wanted]))
        self._show(batch, hashes, count)

    def merge(self, other: Self) -> None:
        """Add the counts, join the rows; the first record of a group is the one shown."""
        self.counts += other.counts
        self.kept += other.kept
        for key, shown in other.shown.items():
            self.shown[key] = min(shown, self.shown.get(key, shown))

    def settle(self, number: int) -> None:
        """After pass 0 it is known how full a bucket is by chance."""
        if number == 0:
            usual = self.frame.rows / BUCKETS
            self.full = np.uint32(SMALLEST + usual + 8 * usual**0.5)

    def result(self) -> Result:
        """Groups larger than nature's tail, and how much of the version is copies."""
        none: Rows = (np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int32))
        hashes, ids, labels = (np.concatenate(part) for part in zip(none, *self.kept, strict=True))
        order = np.lexsort((ids, hashes))
        hashes, ids, labels = hashes[order], ids[order], labels[order]
        _, start, size = np.unique(hashes, return_index=True, return_counts=True)
        several = size > 1
        start, size = start[several], size[several]
        groups = []
        for at in np.argsort(-size, kind="stable")[:MOST_GROUPS]:
            p = p_value(int(size[at]), size, self.frame.rows, 1 / self.share)
            if p <= self.frame.alpha:
                members = slice(int(start[at]), int(start[at] + size[at]))
                key = int(hashes[members.start])
                groups.append(self._group(key, ids[members], labels[members], size, p))
        return Result(tuple(groups), facts=self._facts(size), tried=len(size))

    def _show(
        self, batch: Batch, hashes: npt.NDArray[np.uint64], count: npt.NDArray[np.uint32]
    ) -> None:
        rows = np.flatnonzero(count >= self.full)
        _, first = np.unique(hashes[rows], return_index=True)
        for row in rows[first]:
            key, record = int(hashes[row]), int(batch.ids[row])
            if key in self.shown:
                self.shown[key] = min(self.shown[key], (record, self.shown[key][1]))
            elif len(self.shown) < MOST_GROUPS * 5:
                self.shown[key] = (record, lines_of(batch, int(row), self.frame))

    def _group(
        self,
        key: int,
        ids: npt.NDArray[np.int64],
        labels: npt.NDArray[np.int32],
        sizes: npt.NDArray[np.int64],
        p: float,
    ) -> Group:
        known = labels[labels >= 0]
        code = int(np.bincount(known).argmax()) if len(known) else -1
        usual = float(np.median(sizes[sizes < len(ids)])) if np.any(sizes < len(ids)) else 1.0
        return Group(
            family="flood",
            pattern=f"one record {len(ids):,} times",
            key=f"copies:{key:016x}",
            carriers=np.sort(ids),
            label=self.frame.labels[code] if code >= 0 else "",
            count=len(ids),
            seen=int(np.sum(known == code)) if code >= 0 else len(ids),
            expected=usual,
            statistic=float(len(ids)),
            p_value=p,
            preview=self._preview(key),
        )

    def _preview(self, key: int) -> Preview:
        return Preview(lines=self.shown[key][1] if key in self.shown else ())

    def _facts(self, sizes: npt.NDArray[np.int64]) -> tuple[Fact, ...]:
        copies = int(np.sum(sizes - 1))
        if not copies or self.share < 1.0:
            return ()
        much = copies > MOSTLY_COPIES * self.frame.rows
        fact = Fact(
            "duplicates.many" if much else "duplicates.some",
            "high" if much else "info",
            f"{copies:,} of {self.frame.rows:,} records are copies of an earlier one",
            {"copies": copies, "groups": len(sizes), "largest": int(sizes.max())},
        )
        return (fact,)
