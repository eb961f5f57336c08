"""What callers touched by when, remembered so that a pace can be told from them."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from sealwright.serve import pace
from sealwright.serve.coverage import CELLS
from sealwright.serve.pace import KNOTS, Counts

CALLERS = 4_096
"""Of whom it is remembered; beyond them who asked longest ago is forgotten."""

FEWEST = 50
"""Answers below which a caller says nothing about a pace."""


class _Caller:
    """One caller: a bitmap of the cells touched so far, and how many there were after each answer;
    3 kB at most."""

    __slots__ = ("cells", "counts")

    def __init__(self) -> None:
        self.cells = 0
        self.counts = array("H")


class Paces:
    """Of one model's callers outside. An answer of one row releases ``row_mbits`` at most."""

    def __init__(self, row_mbits: int) -> None:
        self._row_mbits = row_mbits
        self._callers: OrderedDict[str, _Caller] = OrderedDict()

    def add(self, principal: str, touched: Sequence[Sequence[int]]) -> None:
        """The cells of each answered row, in order; beyond the last knot nothing is kept."""
        one = self._callers.pop(principal, None) or _Caller()
        self._callers[principal] = one
        for cells in touched[: KNOTS[-1] - len(one.counts)]:
            for cell in cells:
                one.cells |= 1 << cell
            one.counts.append(one.cells.bit_count())
        if len(self._callers) > CALLERS:
            self._callers.popitem(last=False)

    def piece(self, principal: str) -> bytes:
        """One caller's, as :meth:`recall` takes it; empty where there is nothing."""
        one = self._callers.get(principal)
        if one is None:
            return b""
        return msgspec.msgpack.encode((one.cells.to_bytes(CELLS // 8, "little"), list(one.counts)))

    def recall(self, principal: str, body: bytes) -> None:
        """What an earlier server remembered of a caller."""
        cells, counts = msgspec.msgpack.decode(body, type=tuple[bytes, list[int]])
        one = self._callers[principal] = _Caller()
        one.cells, one.counts = int.from_bytes(cells, "little"), array("H", counts)

    def forget(self, principal: str) -> None:
        """A caller who has not come for long."""
        self._callers.pop(principal, None)

    def heard(self, honest: Callable[[str], bool] = lambda principal: True) -> list[Counts]:
        """Counts of whom ``honest`` lets in and who asked enough."""
        return [
            np.array(one.counts, np.int64)
            for who, one in self._callers.items()
            if len(one.counts) >= FEWEST and honest(who)
        ]

    def told(self, honest: Callable[[str], bool] = lambda principal: True) -> list[tuple[int, int]]:
        """(bits, cells) of a pace that leaves callers like these alone. Raises: BadInput."""
        most = pace.fitted(self.heard(honest))
        return [(-(-knot * self._row_mbits // 1000), int(most[knot - 1])) for knot in KNOTS]
