"""Label errors are ranked with a better label beside them; votes survive what they promise."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.core.errors import BadInput
from sealwright.scan import survival
from sealwright.scan.interface import Batch, Column, Frame
from sealwright.scan.labels import LabelErrors
from sealwright.scan.survival import certify, parts_of, radii

pytest.importorskip("sklearn")


def made(n: int = 600, seed: int = 0) -> tuple[dict, np.ndarray]:
    """Numbers and a category that decide a label."""
    chance = np.random.default_rng(seed)
    values = {
        "x": chance.normal(size=n),
        "y": chance.normal(size=n),
        "kind": np.array(["p", "q"], object)[chance.integers(0, 2, n)],
    }
    labels = ((values["x"] + (values["kind"] == "p") * 2 - 1) > 0).astype(np.int32)
    return values, labels


COLUMNS = (Column("x", "number"), Column("y", "number"), Column("kind", "category"))


def batch(values: dict, labels: np.ndarray, ids=None) -> Batch:
    n = len(labels)
    ids = np.arange(n) if ids is None else ids
    return Batch(ids, np.asarray(labels, np.int32), np.full(n, -1, np.int32), values)


def scan(values, labels, names=("no", "yes"), columns=COLUMNS, review=30, size=None):
    frame = Frame(len(labels), columns, names, (), 5, 0.01, review)
    state = LabelErrors().begin(frame)
    size = size or len(labels)
    for at in range(0, len(labels), size):
        part = {name: v[at : at + size] for name, v in values.items()}
        state.observe(
            0, batch(part, labels[at : at + size], np.arange(len(labels))[at : at + size])
        )
    state.settle(0)
    return state.result()


def test_flipped_labels_lead_the_list_and_the_right_label_is_suggested():
    values, labels = made()
    flipped = np.random.default_rng(1).choice(len(labels), 24, replace=False)
    wrong = labels.copy()
    wrong[flipped] = 1 - wrong[flipped]
    result = scan(values, wrong)
    found = [rank.record for rank in result.ranks]
    assert len(set(found) & set(flipped.tolist())) >= 18
    for rank in result.ranks[:10]:
        assert rank.suggest == ("no", "yes")[labels[rank.record]]
    assert len(result.ranks) <= 30


def test_batches_change_nothing():
    values, labels = made(300)
    assert scan(values, labels, size=37) == scan(values, labels)


def test_flips_in_text_are_found():
    chance = random.Random(2)
    good, bad = (
        "lovely bright warm superb film".split(),
        "dull grim slow weak film".split(),
    )
    labels = np.array([i % 2 for i in range(400)], np.int32)
    texts = [" ".join(chance.choice(good if one else bad) for _ in range(8)) for one in labels]
    flipped = chance.sample(range(400), 15)
    wrong = labels.copy()
    wrong[flipped] = 1 - wrong[flipped]
    result = scan(
        {"text": np.array(texts, object)}, wrong, columns=(Column("text", "text"),), review=15
    )
    assert len({rank.record for rank in result.ranks} & set(flipped)) >= 13


def test_flips_among_embeddings_are_found():
    chance = np.random.default_rng(3)
    labels = chance.integers(0, 2, 300).astype(np.int32)
    vectors = chance.normal(size=(300, 8)).astype(np.float32) + labels[:, None] * 2
    wrong = labels.copy()
    wrong[:10] = 1 - wrong[:10]
    frame = Frame(300, (), ("a", "b"), (), 1, 0.01, 10)
    state = LabelErrors().begin(frame)
    ids = np.arange(300)
    state.observe(0, Batch(ids, wrong, np.full(300, -1, np.int32), {}, None, vectors))
    assert len({rank.record for rank in state.result().ranks} & set(range(10))) >= 8


@pytest.mark.parametrize(
    ("labels", "names", "rule"),
    [
        (np.zeros(100, np.int32), ("a",), "labels.one-class"),
        (np.array([0] * 99 + [1], np.int32), ("a", "b"), "labels.one-class"),
        (np.full(100, -1, np.int32), (), "labels.one-class"),
        (np.arange(1200, dtype=np.int32) % 120, tuple(map(str, range(120))), "labels.many-classes"),
        (np.array([0, 1] * 49 + [2, -1], np.int32), ("a", "b", "c"), "labels.rare-class"),
    ],
)
def test_labels_that_cannot_be_judged_are_told(labels, names, rule):
    values = {"x": np.arange(float(len(labels)))}
    result = scan(values, labels, names, (Column("x", "number"),))
    assert rule in {fact.rule for fact in result.facts}
    assert result.unread >= int((labels < 0).sum())


def test_constant_and_missing_columns_and_odd_numbers_are_judged():
    values, labels = made(200)
    values["x"][:5] = [np.nan, np.inf, -np.inf, 1e300, -1e300]
    values["y"][:] = np.nan
    values["kind"] = np.array([None] * 200, object)
    assert scan(values, labels).tried == 200


def test_without_scikit_learn_it_is_said_that_nobody_looked(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    result = scan(*made(100))
    assert [fact.rule for fact in result.facts] == ["labels.not-looked"]
    assert result.unread == 100 and result.ranks == ()


# -- survival ---------------------------------------------------------------------------------


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(0, 12), min_size=2, max_size=4))
def test_no_adversary_within_the_radius_changes_the_winner(votes):
    votes = np.array([votes])
    (radius,), (winner,) = radii(votes)
    for other in range(votes.shape[1]):
        if other == winner:
            continue
        moved = votes.copy()
        taken = min(int(radius), int(moved[0, winner]))
        moved[0, winner] -= taken
        moved[0, other] += taken
        assert moved.argmax(axis=1)[0] == winner or votes.sum() == 0
    rivals = [
        votes[0, winner] - votes[0, o] - (o < winner) for o in range(votes.shape[1]) if o != winner
    ]
    assert radius == max(0, min(rivals)) // 2


def test_a_record_has_one_part_whatever_else_there_is():
    values, labels = made(400)
    whole = parts_of(batch(values, labels), COLUMNS, 7)
    half = survival.cut(batch(values, labels), np.arange(0, 400, 2))
    assert (parts_of(half, COLUMNS, 7) == whole[::2]).all()
    assert len(np.unique(whole)) == 7


def test_poison_within_the_radius_changes_no_certified_prediction():
    values, labels = made(800)
    test_values, test_labels = made(200, seed=9)
    train, test = batch(values, labels), batch(test_values, test_labels)
    found = certify(train, test, COLUMNS, 2, parts=9)
    assert found.accuracy > 0.8
    assert list(found.unchanged) == sorted(found.unchanged, reverse=True)
    assert found.unchanged[0] == 1.0 and found.unchanged[2] > 0.5
    # two records added anywhere: what was certified at 2 is as it was
    before = survival.votes_of(train, test, COLUMNS, 2, 9)
    radius, winner = radii(before)
    poison = {
        "x": np.array([3.0, -3.0]),
        "y": np.array([0.0, 0.0]),
        "kind": np.array(["p", "q"], object),
    }
    more = {name: np.concatenate([values[name], poison[name]]) for name in values}
    added = batch(more, np.concatenate([labels, [0, 1]]))
    after = survival.votes_of(added, test, COLUMNS, 2, 9)
    safe = radius >= 2
    assert safe.any() and (radii(after)[1][safe] == winner[safe]).all()


def test_too_few_records_one_class_and_no_columns_are_refused():
    values, labels = made(100)
    one = batch(values, labels)
    with pytest.raises(BadInput, match="too few"):
        certify(one, one, COLUMNS, 2, parts=50)
    with pytest.raises(BadInput, match="one class"):
        certify(batch(values, np.zeros(100)), one, COLUMNS, 2, parts=2)
    with pytest.raises(BadInput, match="no numbers"):
        certify(one, one, (), 2, parts=2)


def test_the_command_prints_what_is_unchanged_under_how_many_rows(bare):
    values, labels = made(500)
    lines = [
        f"{values['x'][i]:.4f},{values['kind'][i]},{'yes' if labels[i] else 'no'}"
        for i in range(500)
    ]
    bare.write("data/train.csv", "x,kind,label\n" + "\n".join(lines) + "\n")
    bare.ok("init")
    bare.ok("data", "add", "data/train.csv", "--name", "train", "--label", "label")
    found = bare.ok("data", "survival", "train", "--parts", "9")
    assert found["tested"] == 100 and found["unchanged"][0] == 1.0
    code, body, _ = bare.seal("data", "survival", "train", "--parts", "90")
    assert code == 2 and "too few" in body["error"]["what"]
