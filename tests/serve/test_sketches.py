"""Who asks the same rare things is linked; who asks what everybody asks is not."""

import numpy as np
import pytest

from sealwright.serve import sketches
from sealwright.serve.coverage import Frame
from sealwright.serve.linking import ENOUGH
from sealwright.serve.sketches import KEPT, PRINCIPALS, SEEN, Sketches

SECRET = bytes(range(32))


def rows(seed, count):
    return np.random.default_rng(seed).normal(size=(count, 16))


FRAME = Frame.fit(rows(0, 1_500), 1)


@pytest.fixture
def town():
    """Sixty honest callers, each with rows of their own."""
    made = Sketches(rows(0, 500), FRAME, SECRET)
    for at in range(60):
        made.add(f"p{at:02}", rows(1_000 + at, 100))
    return made


def pairs(found, kind="queries"):
    return {(link.one, link.other): link.score for link in found if link.kind == kind}


def test_honest_callers_are_not_linked(town):
    assert pairs(town.links()) == {}


def test_two_who_ask_the_same_are_linked_whoever_asked_first_and_in_whatever_order(town):
    same = rows(7, 200)
    town.add("one", same)
    for at in np.random.default_rng(1).permutation(200):
        town.add("other", same[at : at + 1] + 1e-9)
    found = pairs(town.links())
    assert set(found) == {("one", "other")}
    assert found["one", "other"] >= ENOUGH
    assert "rare queries" in town.links()[0].why


def test_two_who_share_half_are_linked_by_samples_of_thousands_of_queries(town):
    pool = rows(7, 4_500)
    town.add("one", pool[:3_000])
    town.add("other", pool[1_500:])
    score = pairs(town.links())["one", "other"]
    assert score == ENOUGH


def test_a_public_sample_that_everybody_asks_links_nobody(town):
    public = rows(8, 300)
    for at in range(60):
        town.add(f"p{at:02}", public)
    assert pairs(town.links()) == {}


def test_a_benchmark_that_some_ask_is_worth_less_than_what_only_two_ask(town):
    some = rows(9, 100)
    for at in range(20):
        town.add(f"q{at:02}", np.concatenate([some[:50], rows(2_000 + at, 50)]))
    town.add("one", some)
    town.add("other", some)
    found = pairs(town.links())
    assert found.pop(("one", "other")) >= ENOUGH
    assert all(score < ENOUGH for score in found.values())


def test_among_few_callers_nothing_is_rare():
    made = Sketches(rows(0, 500), FRAME, SECRET)
    for at in range(SEEN - 3):
        made.add(f"p{at}", rows(at, 50))
    made.add("one", rows(3_000, 50))
    made.add("other", rows(3_000, 50))
    assert made.links() == ()
    made.add("late", rows(4_000, 50))
    assert pairs(made.links())


def test_the_two_parts_of_a_survey_are_a_hint_that_never_links_by_itself(town):
    pool = rows(10, 6_000)
    cells = np.array(FRAME.cells(pool))
    for name, part in (("one", cells % 2 == 0), ("other", cells % 2 == 1)):
        town.add(name, pool[part])
    for at in range(6):
        town.add(f"wide{at}", rows(5_000 + at, 3_000))
    found = pairs(town.links(), "coverage")
    assert set(found) == {("one", "other")}
    assert found["one", "other"] < ENOUGH


def test_memory_is_bounded_and_who_asked_longest_ago_is_forgotten(monkeypatch, town):
    monkeypatch.setattr(sketches, "PRINCIPALS", 61)
    for at in range(3):
        town.add(f"new{at}", rows(at, 2_000))
    town.add("p05", rows(1, 1))
    assert len(town) == 61
    assert "p00" not in town._kept
    assert "p05" in town._kept
    assert all(len(keys) <= KEPT for keys, _ in town._kept.values())
    assert PRINCIPALS * (KEPT * 8 + 128) < 9 << 20


def test_another_secret_orders_other_keys():
    made = [Sketches(rows(0, 500), FRAME, secret) for secret in (SECRET, SECRET[::-1])]
    for one in made:
        one.add("a", rows(1, 100))
    assert not set(made[0]._kept["a"][0].tolist()) & set(made[1]._kept["a"][0].tolist())
