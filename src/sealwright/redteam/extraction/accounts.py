"""The same thief over several accounts: each stays small, and goes on where another is stopped."""

from __future__ import annotations

import numpy as np

from sealwright.redteam.extraction.interface import Array, Oracle, Reading, Released, Stolen, Thief


class Split:
    """A thief whose rows go round over ``count`` accounts that are not yet stopped."""

    def __init__(self, alone: Thief, count: int) -> None:
        self._alone, self._count = alone, count

    def queries(self, budget: int, oracle: Oracle) -> Stolen:
        """As the thief alone, until every account is stopped."""
        spread = _Spread(oracle, self._count)
        stolen = self._alone.queries(budget, spread)
        return Stolen(stolen.inputs, stolen.targets, max(1, len(spread.used)))


class _Spread:
    """An oracle that is asked through the next account that still lives."""

    def __init__(self, oracle: Oracle, count: int) -> None:
        self._oracle = oracle
        self._alive = list(range(count))
        self._next = 0
        self.used: set[int] = set()

    @property
    def classes(self) -> int:
        """K."""
        return self._oracle.classes

    def readings(self) -> tuple[Reading, ...]:
        """Those of everybody together."""
        return self._oracle.readings()

    def ask(self, inputs: Array, account: int = 0) -> Released:
        """Rows in turn; those that a stopped account did not answer go to the next."""
        waiting, parts = np.arange(len(inputs)), list[Released]()
        while len(waiting) and self._alive:
            refused = list[Array]()
            for place, rows in enumerate(self._shares(waiting)):
                if not len(rows):
                    continue
                name = self._turn[place]
                part = self._oracle.ask(inputs[rows], name)
                self.used.add(name)
                parts.append(_placed(part, rows[part.at]))
                if len(part.at) < len(rows):
                    self._alive.remove(name)
                    refused.append(np.delete(rows, part.at))
            waiting = np.concatenate(refused) if refused else np.zeros(0, np.int64)
        return _joined(parts)

    def _shares(self, rows: Array) -> list[Array]:
        """Rows for each living account, from the one whose turn it is."""
        many = len(self._alive)
        start = self._next % many
        self._turn = [*self._alive[start:], *self._alive[:start]]
        self._next = start + len(rows)
        return [rows[place::many] for place in range(many)]


def _placed(part: Released, rows: Array) -> Released:
    return Released(rows, part.labels, part.top, part.scores)


def _joined(parts: list[Released]) -> Released:
    if not parts:
        return Released(np.zeros(0, np.int64), np.zeros(0, np.int64))
    top = [one.top for one in parts if one.top is not None]
    scores = [one.scores for one in parts if one.scores is not None]
    return Released(
        np.concatenate([one.at for one in parts]),
        np.concatenate([one.labels for one in parts]),
        np.concatenate(top) if len(top) == len(parts) else None,
        np.concatenate(scores) if len(scores) == len(parts) else None,
    )
