"""Poison behind poison: a version is screened again without what was found, a clean one is not."""

from __future__ import annotations

import numpy as np

from sealwright.scan import rounds
from sealwright.scan.interface import Batch, Column, Frame, Group, Result, Spec


class Largest:
    """Sees the most frequent value above a hundred, and nothing beside it."""

    def __init__(self) -> None:
        self.begun = 0

    @property
    def spec(self) -> Spec:
        return Spec("largest", 1, "table", "group")

    def begin(self, frame: Frame, reference: object = None) -> Seen:
        self.begun += 1
        return Seen()


class Seen:
    def __init__(self) -> None:
        self.rows: list[tuple[int, float]] = []

    def observe(self, number: int, batch: Batch) -> None:
        self.rows += zip(batch.ids.tolist(), batch.values["a"].tolist(), strict=True)

    def merge(self, other: Seen) -> None:
        self.rows += other.rows

    def settle(self, number: int) -> None:
        pass

    def result(self) -> Result:
        values = [value for _, value in self.rows if value > 100]
        if not values:
            return Result()
        top = max(set(values), key=values.count)
        ids = np.array([at for at, value in self.rows if value == top], np.int64)
        return Result((Group("f", "p", f"{top}", ids, "x", len(ids), len(ids), 0.1, 9.0, 1e-9),))


def screened(values: list[float]) -> tuple[list[int], int]:
    frame = Frame(len(values), (Column("a", "number"),), ("x",), (), 0, 0.01, 10)
    batch = Batch(
        np.arange(len(values), dtype=np.int64),
        np.zeros(len(values), np.int32),
        np.full(len(values), -1, np.int32),
        {"a": np.array(values)},
    )
    detector = Largest()
    found = rounds.screen(lambda: [batch], frame, [detector])
    return found.carriers().tolist(), detector.begun


def test_what_hides_behind_a_larger_group_is_found_in_the_next_round() -> None:
    values = [0.0] * 90 + [200.0] * 6 + [300.0] * 4
    assert screened(values)[0] == list(range(90, 100))


def test_a_clean_version_is_screened_once() -> None:
    assert screened([0.0] * 50) == ([], 1)


def test_rounds_end_when_nothing_more_is_found_and_never_go_on_for_ever() -> None:
    many = [0.0] * 60 + [float(200 + n // 2) for n in range(20)]
    found, begun = screened(many)
    assert begun == rounds.MOST
    assert len(found) == 2 * rounds.MOST


def test_what_takes_over_half_of_a_version_ends_it() -> None:
    assert screened([0.0] * 4 + [200.0] * 5 + [300.0])[1] == 1
