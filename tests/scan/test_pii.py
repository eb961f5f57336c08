from __future__ import annotations

import random

import numpy as np
import pytest
from scan_data import adult, cut, nsl_kdd, sms, sst2, table

from sealwright.app.bench.documents import make
from sealwright.scan import ensemble, registry
from sealwright.scan.pii import SAMPLED, Counting, suggestion

NAMES = ["personal-data", "credentials"]


def detectors():
    return [registry.detector(name) for name in NAMES]


def people(rows: int = 300, seed: int = 1):
    draw = random.Random(seed)
    mails = [make("email", draw) for _ in range(rows)]
    cards = [make("card|9999 9999 9999 9999", draw) for _ in range(rows)]
    notes = ["nothing to see here, move along please"] * rows
    values = {"mail": mails, "card": cards, "note": notes}
    labels = [("a", "b")[n % 2] for n in range(rows)]
    return table({name: np.array(each, object) for name, each in values.items()}, labels)


def facts(batches, frame):
    (verdict,) = ensemble.screen(lambda: batches, frame, detectors()[:1]).verdicts
    assert verdict.error == ""
    return {fact.message.split("'")[1]: fact for fact in verdict.result.facts}


def test_a_columns_kinds_are_facts_with_a_suggestion_and_no_value():
    batch, frame = people()
    found = facts(cut(batch, 70), frame)
    assert set(found) == {"mail", "card"}
    assert found["card"].metrics["suggested"] == "sensitive"
    assert found["mail"].metrics == {"cells": 300, "suggested": "internal", "email": 300}
    assert not any(str(value) in repr(found) for value in batch.values["mail"])


def test_shards_merge_to_what_one_scan_says():
    batch, frame = people()
    whole, left, right = (registry.detector("personal-data").begin(frame) for _ in range(3))
    for at, piece in enumerate(cut(batch, 50)):
        whole.observe(0, piece)
        (left if at % 2 else right).observe(0, piece)
    left.merge(right)
    assert left.result().facts == whole.result().facts


def test_a_sample_of_many_cells_says_about_what_all_say():
    counting = Counting("x")
    total = int(2.4 * SAMPLED)
    counting.add(f"u{n}@mail.org" if n % 4 == 0 else f"word {n}" for n in range(total))
    found = counting.found()
    assert SAMPLED <= found.looked <= 2 * SAMPLED + 1
    (kind,) = found.kinds
    assert abs(kind.cells / found.looked - 0.25) < 0.02


def test_weak_checksums_need_nearly_the_whole_column():
    draw = random.Random(2)
    valid = [make("nl-bsn|999999999", draw) for _ in range(200)]
    for column, kinds in (("client", {"national-id"}), ("bsn", {"national-id"})):
        counting = Counting(column)
        counting.add(valid)
        assert {kind.kind for kind in counting.found().kinds} >= kinds
    counting = Counting("client")
    counting.add(str(draw.randint(100_000_000, 999_999_999)) for _ in range(500))
    assert counting.found().kinds == ()


@pytest.mark.parametrize("spelled", ["ca-sin|999999999", "au-tfn|999999999", "th-id|" + "9" * 13])
def test_a_column_of_numbers_with_one_weak_check_digit_is_told_by_its_own_twenty(spelled):
    draw = random.Random(6)
    counting = Counting("reference")
    counting.add(make(spelled, draw) for _ in range(25))
    assert "national-id" in {kind.kind for kind in counting.found().kinds}


@pytest.mark.parametrize("size", [9, 11, 13, 16])
def test_columns_of_random_digits_hold_nobodys_numbers_however_short_they_are(size):
    draw = random.Random(size)
    for cells in (5, 12, 60):
        for _ in range(10):
            counting = Counting("reference")
            counting.add(str(draw.randint(10 ** (size - 1), 10**size - 1)) for _ in range(cells))
            assert counting.found().kinds == (), cells


def test_card_numbers_among_other_words_are_told_though_few():
    draw = random.Random(7)
    counting = Counting("note")
    counting.add([f"nothing {n}" for n in range(200)])
    counting.add(make("card|9999999999999999", draw) for _ in range(5))
    assert {kind.kind for kind in counting.found().kinds} == {"card"}


def test_credentials_are_a_group_that_blocks_with_their_records():
    batch, frame = people()
    draw = random.Random(3)
    for row in (7, 90, 211):
        batch.values["note"][row] = f"token {make('github', draw)} in the notes"
    batch.values["note"][5] = "password = hunter2hunter"
    (verdict,) = ensemble.screen(lambda: cut(batch, 64), frame, detectors()[1:]).verdicts
    (group,) = verdict.significant
    assert verdict.blocks
    assert group.carriers.tolist() == [7, 90, 211]
    assert "ghp_" not in repr(group)


@pytest.mark.parametrize("made", [adult, nsl_kdd, sst2, sms])
def test_clean_data_has_no_credentials(made):
    batch, frame = made()
    found = ensemble.screen(lambda: [batch], frame, detectors())
    assert [verdict.error for verdict in found.verdicts] == ["", ""]
    assert not found.blocks


def test_the_most_sensitive_kind_decides_the_suggestion():
    assert suggestion([]) == ""
    assert suggestion(["email"]) == "internal"
    assert suggestion(["email", "iban"]) == "sensitive"
