"""Coverage: cells of feature space, and bitmaps that merge by union."""

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealwright.core.errors import BadInput
from sealwright.serve import coverage
from sealwright.serve.coverage import CELLS, EMPTY, Frame, count, marked, union

CELLSETS = st.frozensets(st.integers(0, CELLS - 1), max_size=40)


def rows(count=400, width=20, seed=0):
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


@given(CELLSETS, CELLSETS, CELLSETS)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_bitmaps_merge_like_sets(a, b, c):
    one, two, three = (marked(EMPTY, cells) for cells in (a, b, c))
    assert union(one, two) == union(two, one) == marked(one, b)
    assert union(union(one, two), three) == union(one, union(two, three))
    assert union(one, one) == one == union(one, EMPTY)
    assert count(union(one, two)) == len(a | b)


def test_touching_a_cell_twice_counts_once():
    assert count(marked(marked(EMPTY, [7, 7, 1023]), [7])) == 2


def test_ordinary_rows_spread_over_many_cells_and_equal_rows_share_one():
    frame = Frame.fit(rows(), seed=1)
    cells = frame.cells(rows(1000, seed=2))
    assert len(set(cells)) > 250
    assert all(0 <= cell < CELLS for cell in cells)
    assert len(set(frame.cells(np.repeat(rows(1), 50, axis=0)))) == 1


def test_a_row_that_is_asked_again_with_little_noise_mostly_stays_in_its_cell():
    frame = Frame.fit(rows(), seed=1)
    one = rows(1000, seed=3)
    again = one + 1e-4 * rows(1000, seed=4)
    same = np.mean(np.array(frame.cells(one)) == np.array(frame.cells(again)))
    assert same > 0.98


def test_scale_and_place_of_single_features_do_not_matter():
    one = rows(1000)
    other = one * np.logspace(-3, 3, 20) + 100
    left, right = (Frame.fit(part, 5).cells(part) for part in (one, other))
    assert len(set(right)) > 0.5 * len(set(left))


def test_a_frame_survives_being_written_down():
    frame = Frame.fit(rows(), seed=1)
    back = msgspec.json.decode(msgspec.json.encode(frame), type=Frame)
    assert back.cells(rows(50, seed=9)) == frame.cells(rows(50, seed=9))


def test_another_deployment_has_other_sites():
    assert Frame.fit(rows(), 1).cells(rows(50)) != Frame.fit(rows(), 2).cells(rows(50))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300, 1.7e308])
def test_a_row_that_is_no_number_has_a_cell_too(bad):
    frame = Frame.fit(rows(), 1)
    assert len(frame.cells(np.full((3, 20), bad))) == 3
    some = rows(1, seed=3).astype(np.float64)
    some[0, 4] = bad
    assert len(frame.cells(some)) == 1


def test_a_row_alone_has_the_cell_that_it_has_among_others():
    frame = Frame.fit(rows(800), seed=1)
    some = np.concatenate([rows(200, seed=2), 100 * rows(100, seed=3)])
    assert [frame.cells(row[None])[0] for row in some] == list(frame.cells(some))


def test_cells_are_small_where_traffic_is_dense_and_few_where_nobody_asks():
    frame = Frame.fit(rows(2000), seed=1)
    inside = len(set(frame.cells(rows(500, seed=2))))
    outside = len(set(frame.cells(50 + 10 * rows(500, seed=3))))
    assert inside > 200
    assert outside < inside / 2


def test_a_reference_row_touches_its_own_cell():
    reference = rows(300)
    frame = Frame.fit(reference, seed=1)
    assert sorted(frame.cells(reference)) == list(range(300))


def test_features_that_never_vary_are_no_error():
    frame = Frame.fit(np.ones((60, 4)), 1)
    assert len(set(frame.cells(np.ones((5, 4))))) == 1


def test_too_few_rows_and_another_width_are_refused():
    with pytest.raises(BadInput, match="too few"):
        Frame.fit(rows(coverage.FEWEST - 1), 1)
    with pytest.raises(BadInput, match="cannot be placed"):
        Frame.fit(rows(), 1).cells(rows(2, 19))
