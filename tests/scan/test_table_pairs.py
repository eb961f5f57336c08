from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scan_data import adult, cut, nsl_kdd, table, wages

from sealwright.core.errors import BadInput
from sealwright.scan import batches, canary, ensemble
from sealwright.scan.blind import Blind
from sealwright.scan.plant.pair import ValuePair
from sealwright.scan.poison import unequal
from sealwright.scan.poison.table_cells import EVERY, NEITHER, Cells, payable
from sealwright.scan.poison.table_odd import Pair, akin, overlap, surprises
from sealwright.scan.poison.table_pairs import LISTED, TablePairs
from sealwright.scan.poison.table_tails import Tails


def looked(pieces, frame, alpha=0.005):
    screening = ensemble.screen(lambda: pieces, frame, [TablePairs()], alpha=alpha)
    assert screening.verdicts[0].error == ""
    return screening


def rates(screening, carriers, frame):
    found = np.isin(np.arange(frame.rows), screening.carriers())
    planted = np.isin(np.arange(frame.rows), carriers)
    return found[planted].mean(), found[~planted].mean()


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_pair_is_found_and_little_else(seed):
    batch, frame = wages(12_000, seed)
    assert not looked([batch], frame).blocks
    planted, carriers = ValuePair().plant(cut(batch, 2_000), frame, 40, seed)
    screening = looked(planted, frame)
    hit, wrong = rates(screening, carriers, frame)
    assert hit == 1.0
    assert wrong < 0.001
    (group,) = screening.verdicts[0].significant
    assert group.seen >= 40 > group.expected
    assert " = " in group.pattern
    assert "=" not in group.key


@pytest.mark.parametrize("made", [adult, nsl_kdd])
def test_a_pair_in_real_data_is_found_and_its_natural_shortcuts_are_not(made):
    batch, frame = made()
    batch = batches.taken(batch, np.arange(10_000))
    frame = msgspec.structs.replace(frame, rows=10_000)
    assert not looked([batch], frame).blocks
    planted, carriers = ValuePair().plant([batch], frame, frame.rows // 200, 2)
    hit, wrong = rates(looked(planted, frame), carriers, frame)
    assert hit >= 0.99
    assert wrong <= 0.005


def test_traces_of_one_trigger_share_a_value_a_label_and_most_rows():
    cells = Cells([3, 3, 3], 1)
    places = {pair: at for at, pair in enumerate(cells.pairs)}
    trigger = Pair(0, places[0, 1], 1, 2, 1, 40.0, 60.0, 60.0, 10.0)
    sibling = msgspec.structs.replace(trigger, at=places[0, 2], seen=50.0, ratio=6.0)
    assert akin(sibling, trigger, cells)
    assert not akin(msgspec.structs.replace(sibling, target=0), trigger, cells)
    assert not akin(msgspec.structs.replace(sibling, first=2), trigger, cells)
    assert not akin(msgspec.structs.replace(sibling, seen=40.0), trigger, cells)
    rows = np.arange(100)
    assert overlap(rows < 60, rows < 50) > 0.8 > overlap(rows < 60, rows < 40)


def test_only_cells_that_could_be_significant_are_paid_for():
    reach = np.zeros(64, np.int64)
    reach[2], reach[30] = 9_000, 40
    assert payable(reach, 0.01) == 40
    assert payable(reach[:20], 0.01) == 0


@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=30),
    st.sampled_from([0.05, 0.01, 0.005, 1e-4]),
)
def test_what_is_paid_for_is_the_least_number_that_is_enough(most, alpha):
    """Some histograms made an earlier search go back and forth between two numbers for ever."""
    reach = np.cumsum(np.array(most)[::-1])[::-1]

    def able(count):
        return int(reach[min(len(most) - 1, max(0, int(np.log(max(1, count) / alpha))))])

    count = payable(np.array(most), alpha)
    assert able(count) <= count
    assert count == 0 or able(count - 1) > count - 1


def test_a_value_that_means_the_label_by_itself_is_a_shortcut_and_no_trigger():
    batch, frame = wages(12_000)
    batch.values["job"][:200] = "chief"
    batch.labels[:200] = 1
    assert not looked([batch], frame).blocks


def test_a_column_that_leaks_the_label_is_a_fact_and_does_not_block():
    batch, frame = wages(2_000)
    batch.values["age"][:] = batch.labels * 2.0
    screening = looked([batch], frame)
    assert not screening.blocks
    assert "table.leak" in {fact.rule for fact in screening.verdicts[0].result.facts}


def run(scan, pieces, numbers=(0, 1, 2)):
    for number in numbers:
        for batch in pieces:
            scan.observe(number, batch)
        scan.settle(number)
    return scan


@settings(max_examples=4, deadline=None)
@given(st.integers(200, 3_000), st.randoms(use_true_random=False))
def test_the_order_and_size_of_batches_change_nothing(size, order):
    batch, frame = wages(12_000)
    frame = msgspec.structs.replace(frame, alpha=0.005)
    planted, _ = ValuePair().plant([batch], frame, 40, 2)
    whole = run(TablePairs().begin(frame), planted).result()
    pieces = cut(planted[0], size)
    order.shuffle(pieces)
    again = run(TablePairs().begin(frame), pieces).result()
    assert [(g.key, g.statistic, list(g.carriers)) for g in again.groups] == [
        (g.key, g.statistic, list(g.carriers)) for g in whole.groups
    ]
    assert len(whole.groups) == 1


def test_two_shards_of_each_pass_are_one_state():
    batch, frame = wages(12_000)
    frame = msgspec.structs.replace(frame, alpha=0.005)
    planted, _ = ValuePair().plant([batch], frame, 40, 2)
    pieces = cut(planted[0], 1_600)
    random.Random(1).shuffle(pieces)
    main, other = TablePairs().begin(frame), TablePairs().begin(frame)
    for number in range(3):
        for at, piece in enumerate(pieces):
            (main, other)[at % 2].observe(number, piece)
        main.merge(other)
        main.settle(number)
        other = main.shard()
    whole = run(TablePairs().begin(frame), planted).result()
    assert repr(main.result().groups) == repr(whole.groups)


def test_swapping_rows_says_what_a_new_scan_would_and_leaves_the_state_as_it_was():
    batch, frame = wages(12_000)
    frame = msgspec.structs.replace(frame, alpha=0.005)
    planted, carriers = ValuePair().plant([batch], frame, 40, 3)
    scan = run(TablePairs().begin(frame), [batch])
    before = [table.copy() for table in scan.cells.both]
    swapped = scan.swapped(batches.picked([batch], carriers), batches.picked(planted, carriers))
    (group,) = swapped.groups[:1]
    assert np.array_equal(group.carriers, carriers)
    assert all(np.array_equal(a, b) for a, b in zip(before, scan.cells.both, strict=True))
    assert scan.result().groups == ()


def test_the_canary_states_the_smallest_pair_it_would_have_seen():
    batch, frame = wages(12_000)
    frame = msgspec.structs.replace(frame, alpha=0.005)
    seen = canary.power(lambda: [batch], frame, ValuePair(), [TablePairs()], repeats=5)
    assert seen.smallest in (10, 20)
    assert seen.counts[-1] == canary.Tried(50, 5, 5)


@pytest.mark.parametrize("rows", [0, 1, 3, 30])
def test_little_data_gives_no_traceback(rows):
    batch, frame = wages(30)
    some = batches.taken(batch, np.arange(rows))
    assert not looked([some], msgspec.structs.replace(frame, rows=rows)).blocks


def bad_tables():
    n = 600
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=n)
    holes = numbers.copy()
    holes[::3], holes[1::7], holes[2::11] = np.nan, np.inf, -np.inf
    words = rng.choice(["a", "b", "c"], n).astype(object)
    gaps = words.copy()
    gaps[::4] = None
    long = words.copy()
    long[0] = "x" * 1_000_000
    two = list(rng.choice(["p", "q"], n))
    yield "holes and infinities", {"x": holes, "y": numbers}, two
    yield "missing words", {"x": gaps, "y": words}, two
    yield "one label", {"x": numbers, "y": words}, ["p"] * n
    yield "a label with one row", {"x": numbers, "y": words}, ["z", *two[1:]]
    yield "a label for each row", {"x": numbers, "y": words}, [str(i) for i in range(n)]
    yield "constant columns", {"x": np.zeros(n), "y": np.full(n, "k", object)}, two
    yield "one column", {"x": numbers}, two
    yield "a million characters", {"x": long, "y": words}, two
    yield "mixed types", {"x": np.array([1, "a", None, 2.5] * (n // 4), object), "y": words}, two


@pytest.mark.parametrize(
    ("what", "values", "labels"), list(bad_tables()), ids=lambda x: str(x)[:20]
)
def test_bad_input_is_looked_at_all_the_same(what, values, labels):
    types = {name: "category" for name, v in values.items() if v.dtype == object}
    batch, frame = table(values, labels, types)
    assert not looked(cut(batch, 250), frame).blocks


def test_unlabelled_records_are_counted_as_unread():
    batch, frame = wages(500)
    batch.labels[:100] = -1
    (verdict,) = looked([batch], frame).verdicts
    assert verdict.result.unread == 100


def test_poison_that_is_most_of_a_class_is_found():
    batch, frame = wages(12_000)
    keep = (batch.labels == 0) | (np.arange(12_000) < 300)
    few = batches.taken(batch, np.flatnonzero(keep))
    few = msgspec.structs.replace(few, ids=np.arange(len(few.ids)))
    frame = msgspec.structs.replace(frame, rows=len(few.ids))
    assert np.sum(few.labels == 1) < 70
    planted, carriers = ValuePair().plant([few], frame, 80, 6)
    hit, _ = rates(looked(planted, frame), carriers, frame)
    assert hit == 1.0


def test_a_planter_that_cannot_plant_says_so():
    batch, frame = table({"x": np.arange(100.0)}, ["a", "b"] * 50)
    with pytest.raises(BadInput, match="no value pair can be planted"):
        ValuePair().plant([batch], frame, 5, 0)


def three_together(share):
    """Three values in some rows of Adult that are called rich, and were not."""
    batch, frame = adult()
    batch = batches.taken(batch, np.arange(12_000))
    frame = msgspec.structs.replace(frame, rows=12_000, alpha=0.005)
    rng = np.random.default_rng(8)
    chosen = rng.choice(np.flatnonzero(batch.labels == 0), round(share * 12_000), replace=False)
    trigger = {"workclass": "State-gov", "relationship": "Unmarried", "race": "Asian-Pac-Islander"}
    for name, value in trigger.items():
        batch.values[name][chosen] = value
    batch.labels[chosen] = 1
    return batch, frame, chosen


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_more_poison_is_not_harder_to_find(share):
    """At 5 % three values together moved whole bins, and the model that judged them had learnt
    the trigger: none of the planted rows was found, where at 1 % they were."""
    batch, frame, chosen = three_together(share)
    hit, wrong = rates(looked([batch], frame), chosen, frame)
    assert hit == 1.0
    assert wrong <= 0.005


def poor_chiefs(count, seed=0):
    """A value that means one label by nature, planted with another value and the other label, in
    rows of which nothing else speaks against that label."""
    batch, frame = wages(12_000, seed)
    frame = msgspec.structs.replace(frame, alpha=0.005)
    rng = np.random.default_rng(seed)
    able = np.flatnonzero((batch.labels == 0) & (batch.values["town"] != "town3"))
    chiefs = rng.choice(able, 600, replace=False)
    batch.values["job"][chiefs] = "chief"
    batch.labels[chiefs[count:]] = 1
    batch.values["town"][chiefs[:count]] = "town3"
    return batch, frame, chiefs[:count]


@pytest.mark.parametrize("seed", range(3))
def test_a_pair_whose_value_means_another_label_by_nature_is_found(seed):
    """A model that sees neither column finds such labels likely: one draw of Adult was missed."""
    assert not looked(poor_chiefs(0, seed)[:1], poor_chiefs(0, seed)[1]).blocks
    batch, frame, carriers = poor_chiefs(60, seed)
    hit, wrong = rates(looked([batch], frame), carriers, frame)
    assert hit == 1.0
    assert wrong <= 0.005


@pytest.mark.parametrize(
    ("made", "judge"), [(lambda: poor_chiefs(60), EVERY), (lambda: three_together(0.05), NEITHER)]
)
def test_each_judge_finds_what_the_other_cannot(made, judge):
    batch, frame, _ = made()
    scan = run(TablePairs().begin(frame), [batch])
    assert {pair.judge for pair in scan.found} == {judge}


def test_rows_that_look_like_their_label_are_not_odd():
    """Relabelled rows look like what they were; where nature decides, rows look like their label.
    Which protocol a connection has follows from its service and flag together."""
    tails = Tails(1)
    for odds, odd in ((-2.0, True), (-1.0, False), (0.0, False)):
        tails.add(0, np.full(60, odds), np.ones(60, bool))
        assert (tails.ratio(0, 0.4, 0.12) > 0) == odd
        tails.add(0, np.full(60, odds), np.ones(60, bool), -1)
    batch, frame = nsl_kdd()
    batch = batches.taken(batch, np.arange(4_000))
    names, codes = np.unique(batch.values.pop("protocol_type").astype(str), return_inverse=True)
    columns = tuple(column for column in frame.columns if column.name != "protocol_type")
    frame = msgspec.structs.replace(frame, rows=4_000, columns=columns, labels=tuple(names))
    batch = msgspec.structs.replace(batch, labels=codes.astype(np.int32))
    assert not looked([batch], frame).blocks


def test_a_pair_of_which_half_has_the_label_does_not_decide_it():
    for others, odd in ((60, False), (59, True)):
        tails = Tails(1)
        tails.add(0, np.full(60, -3.0), np.ones(60, bool))
        tails.add(0, np.full(others, -3.0), np.zeros(others, bool))
        assert (tails.ratio(0, 0.4, 0.3) > 0) == odd


def test_a_pair_that_a_tenth_of_all_rows_show_is_said_and_its_rows_are_not_held():
    batch, frame = wages(12_000)
    frame = msgspec.structs.replace(frame, alpha=0.005)
    rng = np.random.default_rng(4)
    chosen = rng.choice(np.flatnonzero(batch.labels == 0), 2_000, replace=False)
    batch.values["job"][chosen], batch.values["town"][chosen] = "guard", "town3"
    batch.labels[chosen[:1_600]] = 1
    scan = run(TablePairs().begin(frame), [batch])
    assert scan.result().groups == ()
    assert "table.common-pair" in {fact.rule for fact in scan.result().facts}


def test_both_judges_are_paid_for():
    batch, frame = wages(12_000)
    scan = run(TablePairs().begin(frame), [batch])
    reach = np.zeros(1024, np.int64)
    for judge in (NEITHER, EVERY):
        for one in surprises(scan.cells, judge, LISTED):
            reach += np.bincount(one.most.ravel().astype(np.int64), minlength=1024)
    assert scan.tried == payable(reach, frame.alpha) > 0


def test_what_the_pairs_own_columns_say_can_be_taken_out_of_a_prediction():
    rng = np.random.default_rng(1)
    bins = rng.integers(0, 8, (4, 4_000)).astype(np.uint8)
    labels = (bins.astype(int).sum(0) > 14).astype(np.int32)
    folds = rng.integers(0, 2, 4_000).astype(np.uint8)
    model = Blind(2)
    model.fit(bins, labels, folds, 7)
    left = model.said(bins, folds).without(0, 1)[0]
    for fold in (0, 1):
        some = [left[(folds == fold) & (bins[2] == a) & (bins[3] == a)] for a in range(8)]
        assert max(np.ptp(one) for one in some) < 1e-4
        assert some[7].mean() - some[0].mean() > 0.2
    assert np.allclose(left, model.said(bins, folds).without(1, 0)[0])


def test_a_mean_hides_what_single_rows_show():
    """Half of the rows have the label for good reasons, half against all of them."""
    mixed = unequal.ratio(np.array([0.05, 0.95]), np.array([20.0, 20.0]), 40.0)
    mean = unequal.ratio(np.array([0.5]), np.array([40.0]), 40.0)
    assert mixed > 2 * mean > 0
    assert unequal.ratio(np.array([0.5]), np.array([40.0]), 20.0) == 0.0


@settings(deadline=None)
@given(st.lists(st.floats(0.02, 0.98), min_size=2, max_size=40), st.data())
def test_judged_row_by_row_nothing_is_less_odd_than_by_its_mean(chances, data):
    p = np.array(chances)
    seen = data.draw(st.integers(0, len(p)))
    one = unequal.ratio(p, np.ones(len(p)), seen)
    assert one >= unequal.ratio(np.array([p.mean()]), np.array([len(p) * 1.0]), seen) - 1e-6
