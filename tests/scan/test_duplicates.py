from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scan_data import cut, nsl_kdd, sms, sst2, table, wages

from sealwright.scan import ensemble
from sealwright.scan.interface import Batch
from sealwright.scan.plant.flood import Flood
from sealwright.scan.poison.copies import p_value
from sealwright.scan.poison.duplicates import Duplicates


def looked(batches, frame):
    (verdict,) = ensemble.screen(lambda: batches, frame, [Duplicates()]).verdicts
    assert verdict.error == ""
    return verdict


@pytest.mark.parametrize("seed", range(3))
def test_a_flood_is_one_group_with_all_its_copies(seed):
    batch, frame = wages(2_000, seed)
    planted, carriers = Flood().plant(cut(batch, 300), frame, 20, seed)
    (group,) = looked(planted, frame).significant
    assert np.array_equal(group.carriers, carriers)
    assert group.seen == group.count == 20
    assert any(line.startswith("age = ") for line in group.preview.lines)
    assert "=" not in group.key


@pytest.mark.parametrize("made", [nsl_kdd, sst2, sms])
def test_natural_copies_are_no_flood(made):
    batch, frame = made()
    verdict = looked([batch], frame)
    assert verdict.significant == ()
    assert verdict.result.facts[0].rule == "duplicates.some"


def test_several_floods_do_not_vouch_for_each_other():
    batch, frame = wages(3_000)
    planted, carriers = [batch], []
    for seed in range(5):
        planted, more = Flood().plant(planted, frame, 25, seed)
        carriers.append(more)
    found = ensemble.screen(lambda: planted, frame, [Duplicates()]).carriers()
    assert np.mean(np.isin(found, np.concatenate(carriers))) == 1.0
    assert len(found) > 100


def test_ninety_nine_percent_copies_of_one_record_are_a_group_and_a_fact():
    rows = 2_000
    same = np.arange(rows) >= 20
    batch, frame = table({"a": np.where(same, 1.0, np.arange(rows))}, ["x", "y"] * (rows // 2))
    verdict = looked([batch], frame)
    assert verdict.significant[0].count == 1_981  # row 1 is the same by itself
    assert verdict.result.facts[0].rule == "duplicates.many"
    assert verdict.result.facts[0].severity == "high"


def test_a_table_of_few_possible_records_is_all_copies_and_no_flood():
    rng = np.random.default_rng(3)
    batch, frame = table({"a": rng.integers(0, 40, 4_000).astype(float)}, ["x", "y"] * 2_000)
    verdict = looked([batch], frame)
    assert verdict.significant == ()
    assert verdict.result.facts[0].rule == "duplicates.many"


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 400), st.randoms(use_true_random=False))
def test_shards_in_any_order_say_what_one_pass_says(size, random):
    batch, frame = wages(400)
    (planted, *_), _ = Flood().plant([batch], frame, 30, 1)
    whole = looked([planted], frame)
    pieces = cut(planted, size)
    random.shuffle(pieces)
    scans = [Duplicates().begin(frame) for _ in pieces]
    for number in range(2):
        for scan, piece in zip(scans, pieces, strict=True):
            scan.observe(number, piece)
        merged = scans[0]
        for scan in scans[1:]:
            merged.merge(scan)
        merged.settle(number)
        if number == 0:
            scans = [Duplicates().begin(frame) for _ in pieces]
            for scan in scans:
                scan.counts, scan.full = merged.counts, merged.full
    assert repr(merged.result()) == repr(whole.result)


def test_images_and_vectors_are_compared_byte_by_byte():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (300, 4, 4, 3)).astype(np.uint8)
    images[50:80] = images[50]
    vectors = rng.normal(size=(300, 4)).astype(np.float32)
    vectors[50:80] = vectors[50]
    _, frame = table({}, ["a"] * 300)
    ids, none = np.arange(300), np.zeros(300, np.int32)
    for batch in (Batch(ids, none, none, {}, images), Batch(ids, none, none, {}, None, vectors)):
        (group,) = looked([batch], frame).significant
        assert group.carriers.tolist() == list(range(50, 80))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(2, 60), max_size=60), st.integers(2, 100_000))
def test_more_copies_are_never_less_surprising_among_the_same_others(sizes, size):
    rest = np.array([one for one in sizes if one < 3], np.int64)
    p, q = p_value(size, rest, 9_999), p_value(size + 10, rest, 9_999)
    assert 0 <= q <= p <= 1
