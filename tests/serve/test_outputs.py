"""What is released, and that the ceiling bounds it: counted over every answer there is."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwright.serve import outputs
from sealwright.serve.interface import Answer
from sealwright.serve.outputs import FIDELITIES, PROFILES, Shape


def answer(scores):
    scores = np.asarray(scores, dtype=float)
    return Answer(scores, np.zeros((len(scores), 1)))


def told(shape, fidelity, scores):
    return tuple(
        (one.name, one.data.tobytes() if one.datatype != "BYTES" else tuple(one.data.tolist()))
        for one in outputs.released(shape, fidelity, answer(scores))
    )


def test_the_ceilings_are_what_the_page_says():
    multiclass, binary = Shape("multiclass", 10), Shape("binary", 2)
    assert outputs.ceiling_mbits(multiclass, "label", 1) == 3322
    assert outputs.ceiling_mbits(multiclass, "top1", 1) == 9966
    assert outputs.ceiling_mbits(multiclass, "full", 2) == 2 * 323_322
    assert outputs.ceiling_mbits(binary, "label", 1) == 1000
    assert outputs.ceiling_mbits(binary, "top1", 1) == 7644
    assert outputs.ceiling_mbits(Shape("regression", 3), "top1", 1) == 48_000
    assert outputs.ceiling_mbits(Shape("ranking", 1), "top1", 4) == math.ceil(1000 * math.log2(24))
    assert outputs.ceiling_mbits(Shape("embedding", 8), "label", 5) == 40_000


@pytest.mark.parametrize(
    ("classes", "fidelity"), list(itertools.product((2, 3, 150), ("label", "top1")))
)
def test_there_are_no_more_answers_than_the_ceiling_has_bits_for(classes, fidelity):
    shape = Shape("binary" if classes == 2 else "multiclass", classes)
    found = set()
    for top in np.linspace(1 / classes, 1, 250):
        scores = np.full((classes, classes), (1 - top) / (classes - 1))
        np.fill_diagonal(scores, top)
        shown = outputs.released(shape, fidelity, answer(scores))
        found.update(zip(*(one.data.tolist() for one in shown), strict=True))
    assert math.log2(len(found)) <= outputs.ceiling_mbits(shape, fidelity, 1) / 1000
    assert len(found) > (classes if fidelity == "label" else 10 * classes) / 2


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_ranking_tells_an_order_and_no_more(rows):
    shape = Shape("ranking", 1)
    for fidelity in ("label", "top1"):
        found = {
            told(shape, fidelity, np.array(order)[:, None])
            for order in itertools.permutations(range(rows))
        }
        assert math.log2(len(found)) <= outputs.ceiling_mbits(shape, fidelity, rows) / 1000 + 1e-9


@given(st.floats(-1e30, 1e30), st.sampled_from([3, 7, 23]))
def test_a_cut_value_has_the_bits_it_is_charged_for(value, mantissa):
    (cut,) = outputs.cut(np.array([value]), mantissa).view(np.uint32).tolist()
    assert cut & ((1 << (23 - mantissa)) - 1) == 0
    near = outputs.cut(np.array([value]), mantissa)[0]
    assert abs(near - np.float32(value)) <= abs(np.float32(value)) * 2.0**-mantissa + 1e-37


@pytest.mark.parametrize("profile", PROFILES)
def test_more_fidelity_never_costs_less_and_never_shows_less(profile):
    shape = Shape(profile, {"binary": 2, "ranking": 1}.get(profile, 4))
    for rows in (1, 3, 50):
        costs = [outputs.ceiling_mbits(shape, one, rows) for one in FIDELITIES]
        assert costs == sorted(costs)
    for fidelity in FIDELITIES:
        scores = np.full((3, shape.width), 1 / shape.width)
        shown = outputs.released(shape, fidelity, answer(scores))
        assert tuple(one.name for one in shown) == outputs.names_of(shape, fidelity)
        named = [(name, datatype) for name, datatype, _ in outputs.described(shape, fidelity)]
        assert named == [(one.name, one.datatype) for one in shown]


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=20))
def test_a_batch_costs_what_its_rows_cost(sizes):
    shape = Shape("multiclass", 7)
    whole = outputs.ceiling_mbits(shape, "top1", sum(sizes))
    assert whole == sum(outputs.ceiling_mbits(shape, "top1", one) for one in sizes)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9), st.sampled_from(["label", "top1"]))
def test_few_rows_are_released_as_many_are(weights, fidelity):
    scores = np.array([weights]) + 1e-6
    scores = scores / scores.sum()
    shape = Shape("multiclass", scores.shape[1])
    many = np.repeat(scores, 300, axis=0)
    few = outputs.released(shape, fidelity, answer(scores))
    for one, other in zip(few, outputs.released(shape, fidelity, answer(many)), strict=True):
        assert np.asarray(one.data[0]).tolist() == np.asarray(other.data[0]).tolist()
