"""Some labelled rows as the miner sees them: codes, coarse bins, and what is believed of them."""

from __future__ import annotations

from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sealwright.scan.blind import Blind, Said
from sealwright.scan.poison.table_cells import JUDGES, NEITHER, Cells, logit
from sealwright.scan.poison.table_odd import Pair

STEPS = 4096.0
"""Expectations are rounded to 1/4096, so that their sums are exact in any order."""
Longs: TypeAlias = npt.NDArray[np.int64]


class Rows:
    """``ids``, ``target``, ``folds`` (n,), ``codes`` and ``bins`` (columns, n); ``shown`` holds a
    few rows' cells for people."""

    def __init__(
        self,
        blind: Blind,
        ids: Longs,
        target: Longs,
        codes: Longs,
        bins: npt.NDArray[np.uint8],
        folds: npt.NDArray[np.uint8],
        shown: dict[int, dict[str, str]] | None = None,
    ) -> None:
        self.blind = blind
        self.ids, self.target, self.codes, self.bins, self.folds = ids, target, codes, bins, folds
        self.shown = shown or {}

    @cached_property
    def said(self) -> Said:
        """What the blind model says of these rows."""
        return self.blind.said(self.bins, self.folds)

    @property
    def hit(self) -> npt.NDArray[np.float64]:
        """(targets, n) 1 where a row has the target; of two labels the second is the target."""
        first = 1 if self.blind.classes == 2 else 0
        return (np.arange(first, self.blind.classes)[:, None] == self.target) * 1.0

    def expected(self, a: int, b: int) -> npt.NDArray[np.float64]:
        """(judges * targets, n) how likely each target is, by each judge of a pair, rounded."""
        said = np.concatenate([self._by(judge, a, b) for judge in range(JUDGES)])
        return np.asarray(np.round(said * STEPS) / STEPS, np.float64)

    def odds(self, judge: int, a: int, b: int, target: int) -> npt.NDArray[np.float64]:
        """(n,) log-odds of one target by one judge."""
        p = self._by(judge, a, b).astype(np.float64)
        if self.blind.classes == 2:
            return logit(p[0]) if target == 1 else -logit(p[0])
        return logit(p[target])

    def _by(self, judge: int, a: int, b: int) -> npt.NDArray[np.float32]:
        return self.said.without(a, b) if judge == NEITHER else self.said.every

    def part(self, at: Longs | npt.NDArray[np.bool_]) -> Rows:
        """Some of them."""
        return Rows(
            self.blind, self.ids[at], self.target[at], self.codes[:, at], self.bins[:, at],
            self.folds[at], self.shown,
        )  # fmt: skip

    def within(self, pair: Pair, cells: Cells) -> npt.NDArray[np.bool_]:
        """(n,) has both values."""
        a, b = cells.pairs[pair.at]
        return np.asarray((self.codes[a] == pair.first) & (self.codes[b] == pair.second))

    def shows(self, pair: Pair, cells: Cells) -> npt.NDArray[np.bool_]:
        """(n,) has both values and the label."""
        return np.asarray(self.within(pair, cells) & (self.target == pair.target))


def joined(parts: list[Rows]) -> Rows:
    """As one, in the order of ids."""
    ids = np.concatenate([one.ids for one in parts])
    order = np.argsort(ids, kind="stable")
    return Rows(
        parts[0].blind,
        ids[order],
        np.concatenate([one.target for one in parts])[order],
        np.concatenate([one.codes for one in parts], 1)[:, order],
        np.concatenate([one.bins for one in parts], 1)[:, order],
        np.concatenate([one.folds for one in parts])[order],
        {record: cells for one in parts for record, cells in one.shown.items()},
    )
