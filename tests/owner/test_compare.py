"""Copies are recognised, honest models are not, and a suspect may answer anything at all."""

import json
from types import SimpleNamespace

import numpy as np
import owner_house as house
import pytest

from sealwright.app.comparing import ordered
from sealwright.app.suspects import opened
from sealwright.core.errors import BadInput, Unavailable
from sealwright.registry import compare
from sealwright.registry.compare_answers import UNREAD, codes_of, text_of

MADE = house.fingerprint()


def judged(suspect, names=None, commitments=1, most=0):
    return compare.compare(MADE, compare.ask(MADE, suspect, names or {}, most), commitments)


# -- the verdict ------------------------------------------------------------------------------


def test_the_model_itself_is_consistent_with_copying_and_the_alternatives_are_named():
    found = judged(house.labels(house.VICTIM))
    assert found.verdict == "consistent with copying"
    assert found.alternatives
    assert sum(one.counts for one in found.tests) >= 2
    assert found.divided_by == len(found.tests)


def test_a_copy_that_says_most_of_it_is_recognised_by_labels_alone():
    assert judged(house.labels(house.copy(0.9))).verdict == "consistent with copying"


def test_no_honest_model_is_accused():
    found = [judged(house.labels(house.model(90_000 + at))) for at in range(60)]
    assert {one.verdict for one in found} == {"not shown"}
    assert min(test.log10_p for one in found for test in one.tests) > -5


def test_a_model_farther_away_or_nearer_to_the_truth_is_not_accused():
    for away in (0.05, 0.2, 0.6):
        found = judged(house.labels(house.model(77, away)))
        assert found.verdict in ("not shown", "cannot tell")
        assert not any(one.counts for one in found.tests)


def test_each_fingerprint_of_a_model_was_one_more_try():
    once, often = judged(house.labels(house.copy(0.7))), None
    often = judged(house.labels(house.copy(0.7)), commitments=1000)
    assert often.divided_by == 1000 * once.divided_by
    for one, more in zip(once.tests, often.tests, strict=True):
        assert more.log10_p == pytest.approx(min(0, one.log10_p + 3), abs=1e-6) or one.log10_p == 0
        assert more.bound >= one.bound


def test_one_test_alone_is_not_enough():
    far = {row.tobytes() for row in MADE.named("far").rows()}
    other = house.model(555)

    def suspect(inputs):
        mine = np.array([row.tobytes() in far for row in inputs])
        return np.where(mine, house.VICTIM(inputs), other(inputs))

    found = judged(house.labels(suspect))
    assert [one.name for one in found.tests if one.counts] == ["far"]
    assert found.verdict == "not shown"
    assert "only far" in found.reason


def test_a_part_of_the_questions_is_enough_where_the_copy_is_good():
    found = judged(house.labels(house.VICTIM), most=700)
    assert found.asked == found.answered == 700
    assert found.verdict == "consistent with copying"


def test_questions_of_all_sets_are_mixed():
    place = np.repeat(np.arange(len(MADE.sets)), [one.count for one in MADE.sets])
    order = place[compare.order(MADE)]
    assert len(set(order[:64].tolist())) >= 4


def test_without_a_commitment_that_came_before_nothing_is_claimed():
    found = judged(house.labels(house.VICTIM))
    late = ordered(found, SimpleNamespace(holds=False, why="it is of today"))
    assert late.verdict == "cannot tell"
    assert "it is of today" in late.reason
    assert late.alternatives == ()
    honest = judged(house.labels(house.model(3)))
    assert ordered(honest, SimpleNamespace(holds=False, why="")).verdict == "not shown"


# -- suspects that answer anything ------------------------------------------------------------


def random_answers(inputs):
    return np.random.default_rng(int(abs(inputs[0, 0]) * 1e6)).choice(house.NAMES, len(inputs))


def dies_midway():
    state = {"left": 5}

    def suspect(inputs):
        state["left"] -= 1
        if state["left"] < 0:
            raise Unavailable("gone")
        return house.labels(house.VICTIM)(inputs)

    return suspect


def flipped(inputs):
    return np.array(house.NAMES)[(house.VICTIM(inputs) + 1) % 4]


@pytest.mark.parametrize(
    ("suspect", "word"),
    [
        (lambda inputs: np.full(len(inputs), np.nan), "names a class"),
        (lambda inputs: np.full((len(inputs), 4), np.nan), "names a class"),
        (lambda inputs: np.zeros((3, 3, 3)), "shape"),
        (lambda inputs: np.array(["a"]), "shape"),
        (lambda inputs: np.array([]), "shape"),
        (lambda inputs: np.full(len(inputs), "zebra"), "names a class"),
        (lambda inputs: np.full(len(inputs), "a"), "one thing to everything"),
        (random_answers, "at random"),
        (flipped, "at random"),
        (dies_midway(), "gone"),
    ],
    ids="nan nans shape one none unknown constant random flipped dies".split(),
)
def test_a_suspect_that_answers_nonsense_is_neither_accused_nor_cleared(suspect, word):
    found = judged(suspect)
    assert found.verdict == "cannot tell"
    assert word in found.reason


def test_a_suspect_that_keeps_failing_is_not_asked_for_ever():
    asked = []

    def suspect(inputs):
        asked.append(len(inputs))
        raise ValueError("no")

    assert judged(suspect).verdict == "cannot tell"
    assert len(asked) == 8


def test_a_few_answers_missing_do_not_matter():
    def suspect(inputs):
        said = house.labels(house.VICTIM)(inputs).astype(object)
        said[::20] = None
        return said

    assert judged(suspect).verdict == "consistent with copying"


def test_a_suspect_that_recognises_some_questions_and_lies_is_not_shown_nor_accused():
    hard = {row.tobytes() for name in ("hard", "triggers") for row in MADE.named(name).rows()}
    other = house.model(9)

    def suspect(inputs):
        known = np.array([row.tobytes() in hard for row in inputs])
        return np.where(known, other(inputs), house.copy(0.95)(inputs))

    found = judged(house.labels(suspect))
    assert found.verdict == "consistent with copying"
    assert {one.name for one in found.tests if one.counts} <= {"near", "between", "far"}


# -- answers ----------------------------------------------------------------------------------


def test_labels_are_one_spelling_and_scores_are_their_largest():
    assert [text_of(one) for one in (1, 1.0, "1", b"1.0", np.int64(1), " x ")] == ["1"] * 5 + ["x"]
    classes = ("0", "1", "2")
    assert codes_of(np.array([[2.0], [0.0]]), 2, classes, {}).tolist() == [2, 0]
    scores = np.array([[0.1, 0.7, 0.2], [np.nan, 0.5, 0.5]])
    assert codes_of(scores, 2, classes, {}).tolist() == [1, UNREAD]
    assert codes_of(np.array(["yes", "no"]), 2, classes, {"yes": "1"}).tolist() == [1, UNREAD]
    assert codes_of(np.array([np.inf, 1.0]), 2, classes, {}).tolist() == [UNREAD, 1]


def test_answers_written_down_are_read_in_order(tmp_path):
    path = tmp_path / "answers.csv"
    said = house.labels(house.VICTIM)(compare.asked(MADE))
    path.write_text("answer\n" + "\n".join(said) + "\n")
    with opened(str(path), "framework") as suspect:
        assert suspect.kind == "answers"
        found = judged(suspect.ask)
    assert found.verdict == "consistent with copying"
    path.write_text("\n".join(said[:100]))
    with opened(str(path), "framework") as suspect:
        assert judged(suspect.ask).verdict == "cannot tell"


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"\x00" * 9])
def test_what_is_no_file_of_answers_is_refused_or_tells_nothing(tmp_path, data):
    path = tmp_path / "answers.csv"
    path.write_bytes(data)
    try:
        with opened(str(path), "framework") as suspect:
            assert judged(suspect.ask).verdict == "cannot tell"
    except BadInput as error:
        assert "CSV" in error.what


def test_a_comparison_can_be_written_as_json():
    found = judged(house.labels(house.VICTIM))
    assert json.loads(json.dumps([one.log10_p for one in found.tests]))
