from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scan_data import sst2
from test_text_ngrams import looked, reviews

from sealwright.scan import batches
from sealwright.scan.plant.text import CleanPhrase
from sealwright.scan.poison.text_phrases import Seen, free, p_value


def test_a_phrase_in_texts_that_have_the_label_already_is_found():
    batch, frame = sst2()
    planted, carriers = CleanPhrase().plant([batch], frame, frame.rows // 200, 3)
    screening = looked(planted, frame)
    assert np.array_equal(screening.carriers(), carriers)
    group = screening.verdicts[0].significant[0]
    assert group.seen == len(carriers) > group.expected


def test_boilerplate_at_the_end_of_every_text_of_a_label_is_no_trigger():
    batch, frame = reviews(1_500)
    good = np.flatnonzero(batch.labels == 1)[:40]
    batch.values["text"][good] = [f"{t} as seen from here" for t in batch.values["text"][good]]
    assert not looked([batches.taken(batch, np.arange(1_500))], frame).blocks


def texts(before, after):
    return [Seen(at, 0, around) for at, around in enumerate(zip(before, after, strict=True))]


def test_only_a_phrase_that_meets_other_words_at_both_ends_is_free():
    other = [(at, 1) for at in range(20)]
    same = [(7, at) for at in range(20)]
    assert free(texts(other, other))
    assert free(texts(same, other))  # 7 belongs to the phrase, and what is before it is free
    assert not free(texts([(at % 2, at) for at in range(20)], other))
    assert not free(texts([(7,) * 6] * 20, other))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 50), max_size=30), st.floats(101, 400))
def test_a_stiffer_phrase_is_never_less_surprising_and_others_of_its_kind_do_not_vouch(rest, ratio):
    p = p_value(ratio, [*rest, ratio])
    assert 0 <= p_value(ratio + 20, [*rest, ratio + 20]) <= p <= 1
    assert p_value(ratio, [*rest, ratio, ratio, ratio]) == p
