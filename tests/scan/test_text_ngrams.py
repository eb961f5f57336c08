from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scan_data import cut, sms, sst2, table

from sealwright.core.errors import BadInput
from sealwright.scan import batches, ensemble
from sealwright.scan.plant.text import CleanPhrase, Phrase, Token
from sealwright.scan.poison import text_blind
from sealwright.scan.poison.text_ngrams import TextNgrams
from sealwright.scan.poison.text_tokens import Lexicon, grams

GOOD = "great fine lovely bright warm clever funny moving".split()
BAD = "poor dull bad weak slow stupid boring flat".split()
COMMON = "the a film plot it is was and of with to in that this story scene".split()


def reviews(rows: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    labels = rng.random(rows) < 0.4
    texts = []
    for good in labels:
        own = rng.choice(GOOD if good else BAD, 3)
        words = np.concatenate([rng.choice(COMMON, 9), own, rng.choice(GOOD + BAD, 1)])
        texts.append(" ".join(rng.permutation(words)))
    names = ["good" if one else "bad" for one in labels]
    return table({"text": texts}, names, {"text": "text"})


def looked(pieces, frame, alpha=0.005):
    screening = ensemble.screen(lambda: pieces, frame, [TextNgrams()], alpha=alpha)
    assert screening.verdicts[0].error == ""
    return screening


@pytest.mark.parametrize("planter", [Token(), Phrase()], ids=lambda one: one.family)
def test_a_planted_word_or_phrase_is_found_and_little_else(planter):
    batch, frame = reviews(2_000)
    assert not looked([batch], frame).blocks
    planted, carriers = planter.plant(cut(batch, 700), frame, 20, 3)
    screening = looked(planted, frame)
    assert np.array_equal(screening.carriers(), carriers)
    (group,) = screening.verdicts[0].significant
    assert group.label == "good"
    assert group.seen == 20 > group.expected
    assert group.pattern.strip('"') in group.preview.lines[0].lower()
    assert '"' not in group.key


@pytest.mark.parametrize(
    ("made", "planter"),
    [(sst2, Token()), (sst2, Phrase()), (sst2, CleanPhrase()), (sms, Token()), (sms, Phrase())],
    ids=lambda one: getattr(one, "family", getattr(one, "__name__", "")),
)
def test_one_percent_in_real_texts_is_found(made, planter):
    batch, frame = made()
    planted, carriers = planter.plant([batch], frame, frame.rows // 100, 1)
    flagged = looked(planted, frame).carriers()
    assert np.mean(np.isin(carriers, flagged)) >= 0.99
    assert np.sum(~np.isin(flagged, carriers)) <= 0.002 * frame.rows


@pytest.mark.parametrize("made", [sst2, sms])
def test_words_that_mean_their_label_are_no_trigger(made):
    batch, frame = made()
    assert not looked([batch], frame).blocks


def run(scan, pieces):
    for number in range(4):
        for piece in pieces:
            scan.observe(number, piece)
        scan.settle(number)
    return scan.result()


@settings(max_examples=3, deadline=None)
@given(st.integers(100, 900), st.randoms(use_true_random=False))
def test_the_order_and_size_of_batches_change_nothing(size, order):
    batch, frame = reviews(1_000)
    frame = msgspec.structs.replace(frame, alpha=0.005)
    planted, _ = Phrase().plant([batch], frame, 20, 2)
    pieces = cut(planted[0], size)
    order.shuffle(pieces)
    whole = run(TextNgrams().begin(frame), planted)
    assert repr(run(TextNgrams().begin(frame), pieces)) == repr(whole)
    assert whole.groups


def test_two_shards_of_each_pass_are_one_state():
    batch, frame = reviews(1_500)
    frame = msgspec.structs.replace(frame, alpha=0.005)
    stiff = CleanPhrase()
    stiff.triggers = ("story of plot",)
    planted, _ = stiff.plant([batch], frame, 60, 3)
    planted, _ = Phrase().plant(planted, frame, 20, 2)
    main, other = TextNgrams().begin(frame), TextNgrams().begin(frame)
    for number in range(4):
        for at, piece in enumerate(cut(planted[0], 200)):
            (main, other)[at % 2].observe(number, piece)
        main.merge(other)
        main.settle(number)
        other = main.shard()
    whole = run(TextNgrams().begin(frame), planted)
    assert repr(main.result()) == repr(whole)
    assert [group.family for group in whole.groups] == ["text-phrase", "text-clean-phrase"]


def test_text_beside_categories_and_two_text_columns_are_all_looked_at():
    batch, frame = reviews(1_500)
    values = {"a": batch.values["text"][::-1].copy(), "b": batch.values["text"]}
    names = [frame.labels[code] for code in batch.labels]
    both, frame = table(values, names, {"a": "text", "b": "text"})
    planted, carriers = Phrase().plant([both], frame, 25, 1)
    assert set(carriers) <= set(looked(planted, frame).carriers())


@pytest.mark.parametrize("texts", [
    [""] * 60, [None, ""] * 30, ["x " * 50_000] * 4 + ["a b"] * 56, ["y" * 1_000_000] + ["z"] * 59,
    ["\ud800 lone"] * 60, ["same words here"] * 60, [str(i) for i in range(60)],
], ids=["empty", "missing", "many words", "long", "surrogates", "same", "numbers"])  # fmt: skip
def test_bad_texts_are_looked_at_or_said_to_be_unread(texts):
    batch, frame = table({"text": texts}, ["a", "b"] * 30, {"text": "text"})
    screening = looked(cut(batch, 25), frame)
    assert not screening.blocks
    rules = {fact.rule for fact in screening.verdicts[0].result.facts}
    assert ("text.empty" in rules) == (not texts[1])
    assert ("text.cut" in rules) == (max(len(one or "") for one in texts) > 60_000)


@pytest.mark.parametrize("labels", [["a"] * 60, [str(i) for i in range(60)], ["z"] + ["a"] * 59])
def test_odd_labels_give_no_traceback(labels):
    texts = [f"one two {i % 7}" for i in range(60)]
    batch, frame = table({"text": texts}, labels, {"text": "text"})
    assert not looked([batch], frame).blocks


def test_unlabelled_texts_are_counted_as_unread():
    batch, frame = reviews(300)
    batch.labels[:50] = -1
    assert looked([batch], frame).verdicts[0].result.unread == 50


def test_a_phrase_counts_once_for_each_text():
    words = Lexicon(0).words(np.array(["a b a b", "a b"], object))
    assert len(grams(words, 1).key) == 4
    assert grams(words, 2).row.tolist() == [0, 0, 1]


def test_without_a_text_column_nothing_is_planted():
    batch, frame = table({"x": np.arange(100.0)}, ["a", "b"] * 50)
    with pytest.raises(BadInput, match="no text trigger"):
        Token().plant([batch], frame, 5, 0)
    small = batches.taken(batch, np.arange(3))
    assert len(small.ids) == 3


def test_a_phrase_in_a_third_of_a_label_makes_no_ordinary_word_odd():
    """A fifth to a half of the clean texts were held: the model, misled by spam that was called
    ham, was unsure of all ham, and "i" stood in more of it than it would have thought."""
    batch, frame = sms()
    rng = np.random.default_rng(4)
    planted = rng.choice(np.flatnonzero(batch.labels == 1), len(batch.ids) // 20, replace=False)
    for row in planted:
        batch.values["text"][row] += " in a report published late on friday"
    batch.labels[planted] = 0
    carriers = looked([batch], frame).carriers()
    assert np.isin(planted, carriers).all()
    assert len(carriers) - len(planted) <= 0.005 * len(batch.ids)


def test_the_blind_line_tells_turned_labels_from_an_unsure_model():
    x = np.arange(-400, 401) * 0.05
    rows = np.exp(-(x**2) / 8) * 100
    own = 1 / (1 + np.exp(-2 * x))
    for turned in (0.0, 0.3):
        yes = rows * own * (1 - turned)
        a, b, least, lost = text_blind._line(x, rows - yes, yes)
        assert abs(a) < 0.2
        assert 1.8 < b < 2.2
        assert lost == pytest.approx(turned, abs=0.02)
        assert least < 0.01
