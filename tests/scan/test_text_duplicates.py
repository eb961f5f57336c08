from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scan_data import cut, sms, sst2, table, whole_and_shards
from test_text_ngrams import reviews

from sealwright.core.errors import BadInput
from sealwright.scan import batches, ensemble
from sealwright.scan.plant.flood import NearFlood
from sealwright.scan.poison.text_duplicates import NearTexts


def looked(pieces, frame, alpha=0.005):
    (verdict,) = ensemble.screen(lambda: pieces, frame, [NearTexts()], alpha=alpha).verdicts
    assert verdict.error == ""
    return verdict


def test_a_text_with_a_word_or_two_changed_each_time_is_one_flood():
    batch, frame = reviews(2_000)
    assert looked([batch], frame).significant == ()
    planted, carriers = NearFlood().plant(cut(batch, 600), frame, 40, 3)
    (group,) = looked(planted, frame).significant
    assert np.mean(np.isin(carriers, group.carriers)) >= 0.9
    assert len(np.setdiff1d(group.carriers, carriers)) <= 1
    assert len(group.preview.lines[0].split()) >= 8


@pytest.mark.parametrize("made", [sst2, sms])
def test_form_letters_are_no_flood(made):
    batch, frame = made()
    verdict = looked([batch], frame)
    assert verdict.significant == ()
    assert "text-duplicates.some" in {fact.rule for fact in verdict.result.facts}


def test_shards_and_swapped_rows_say_what_one_scan_says():
    batch, frame = reviews(800)
    frame = msgspec.structs.replace(frame, alpha=0.005)
    planted, carriers = NearFlood().plant([batch], frame, 40, 1)
    whole, one = whole_and_shards(NearTexts(), frame, cut(planted[0], 150), 2)
    assert repr(one.result()) == repr(whole.result())
    clean = NearTexts().begin(frame)
    clean.observe(0, batch)
    clean.settle(0)
    swapped = clean.swapped(batches.picked([batch], carriers), batches.picked(planted, carriers))
    (group,) = swapped.groups
    assert np.array_equal(group.carriers, whole.result().groups[0].carriers)


@pytest.mark.parametrize("texts", [[""] * 60, [None, "a"] * 30, ["one two three four five"] * 60])
def test_bad_texts_give_no_traceback(texts):
    batch, frame = table({"text": texts}, ["a", "b"] * 30, {"text": "text"})
    facts = {fact.rule for fact in looked([batch], frame).result.facts}
    assert ("text-duplicates.plain" in facts) == (not str(texts[0] or "").startswith("one"))


def test_where_there_is_no_text_nothing_is_planted():
    batch, frame = table({"x": np.arange(100.0)}, ["a", "b"] * 50)
    with pytest.raises(BadInput, match="no near copies"):
        NearFlood().plant([batch], frame, 5, 0)
