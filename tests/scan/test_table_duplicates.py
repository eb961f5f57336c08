from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scan_data import adult, cut, nsl_kdd, table, wages, whole_and_shards

from sealwright.scan import batches, canary, ensemble
from sealwright.scan.batches import joined, taken
from sealwright.scan.plant.flood import NearFlood
from sealwright.scan.poison import table_duplicates
from sealwright.scan.poison.table_duplicates import TableDuplicates

ALPHA = 0.0015


def looked(pieces, frame):
    (verdict,) = ensemble.screen(lambda: pieces, frame, [TableDuplicates()], alpha=ALPHA).verdicts
    assert verdict.error == ""
    return verdict


def part(made, rows, seed=0):
    batch, frame = made()
    at = np.sort(np.random.default_rng(seed).permutation(len(batch.ids))[:rows])
    ids = np.arange(rows, dtype=np.int64)
    return msgspec.structs.replace(taken(batch, at), ids=ids), msgspec.structs.replace(
        frame, rows=rows
    )


def numbers(rows=600, columns=8, seed=0):
    made = np.random.default_rng(seed).normal(50, 10, (rows, columns))
    values = {f"x{at}": made[:, at] for at in range(columns)}
    return table(values, list(np.where(made[:, 0] > 50, "a", "b")))


@pytest.mark.parametrize("made", [adult, nsl_kdd])
def test_a_row_with_a_cell_or_two_changed_in_each_copy_is_one_flood(made):
    batch, frame = part(made, 3_000)
    assert looked([batch], frame).significant == ()
    planted, carriers = NearFlood().plant(cut(batch, 700), frame, 50, 3)
    (group,) = looked(planted, frame).significant
    assert np.mean(np.isin(carriers, group.carriers)) >= 0.9
    assert len(np.setdiff1d(group.carriers, carriers)) <= 5
    assert len(group.preview.lines) >= 14
    assert "=" not in group.key


def test_copies_of_which_every_number_is_moved_a_little_are_one_flood():
    batch, frame = numbers(2_000)
    rng = np.random.default_rng(1)
    carriers = np.sort(rng.choice(2_000, 30, replace=False))
    values = {name: column.copy() for name, column in batch.values.items()}
    for column in values.values():
        column[carriers] = column[carriers[0]] * rng.normal(1, 0.001, 30)
    (group,) = looked([msgspec.structs.replace(batch, values=values)], frame).significant
    assert np.mean(np.isin(carriers, group.carriers)) >= 0.9
    assert len(np.setdiff1d(group.carriers, carriers)) == 0


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_a_flood_so_large_that_its_copies_have_copies_is_one_group(share):
    batch, frame = wages(2_000)
    more = {f"more{at}": np.random.default_rng(at).integers(0, 9, 2_000) * 1.0 for at in range(4)}
    batch, frame = table({**batch.values, **more}, ["a", "b"] * 1_000)
    planted, carriers = NearFlood().plant([batch], frame, round(share * 2_000), 1)
    found = looked(planted, frame).significant[0].carriers
    assert np.mean(np.isin(carriers, found)) >= 0.9
    assert len(np.setdiff1d(found, carriers)) <= 5


def natural():
    rng = np.random.default_rng(5)
    counts = rng.poisson(rng.gamma(2, 1, 8), (1_500, 8)) * 1.0
    answers = np.clip(np.round(3 + rng.normal(size=(1_500, 1)) + rng.normal(size=(1_500, 9))), 1, 5)
    walk = np.round(np.cumsum(rng.normal(size=(1_500, 5)), 0), 1)
    kinds = rng.integers(0, 6, (1_500, 6))
    flags = (kinds[:, :, None] == np.arange(6)).reshape(1_500, -1) * 1.0
    few = rng.integers(0, 15, 1_500)
    yield "counts", {f"c{at}": counts[:, at] for at in range(8)}
    rare = rng.poisson(0.3, (1_500, 10)) * 1.0
    yield "rare counts", {f"r{at}": rare[:, at] for at in range(10)}
    yield "answers", {f"q{at}": answers[:, at] for at in range(9)}
    yield "readings", {f"s{at}": walk[:, at] for at in range(5)}
    yield "one-hot", {f"f{at}": flags[:, at] for at in range(flags.shape[1])}
    yield "two columns", {"a": np.round(rng.normal(size=1_500), 2), "b": [f"v{x}" for x in few]}
    yield "99 % copies", {f"d{at}": walk[few, at] for at in range(5)}
    yield "constant", {"k": np.ones(1_500), **{f"s{at}": walk[:, at] for at in range(4)}}


@pytest.mark.parametrize(("name", "values"), list(natural()))
def test_records_that_are_alike_by_nature_are_no_flood(name, values):
    batch, frame = table(values, ["a", "b"] * 750)
    assert looked([batch], frame).significant == ()


@pytest.mark.parametrize("made", [adult, nsl_kdd, numbers])
@pytest.mark.parametrize("seed", [1, 2])
def test_parts_of_real_tables_hold_no_flood(made, seed):
    rows = 500 if made is numbers else 2_000
    assert looked(*(lambda x: ([x[0]], x[1]))(part(made, rows, seed))).significant == ()


def test_it_says_where_no_columns_tell_records_apart():
    rng = np.random.default_rng(2)
    values = {"a": rng.integers(0, 9, 900) * 1.0, "b": [f"v{x}" for x in rng.integers(0, 5, 900)]}
    batch, frame = table(values, ["a", "b"] * 450)
    result = looked([batch], frame).result
    assert [fact.rule for fact in result.facts] == ["table-duplicates.not-searched"]
    assert result.unread == 900


def test_shards_and_swapped_rows_say_what_one_scan_says():
    batch, frame = part(adult, 1_500)
    frame = msgspec.structs.replace(frame, alpha=ALPHA)
    planted, carriers = NearFlood().plant([batch], frame, 40, 1)
    whole, one = whole_and_shards(TableDuplicates(), frame, cut(joined(planted), 200), 3)
    assert repr(one.result()) == repr(whole.result())
    (live,) = canary.settled(lambda: [batch], frame, [TableDuplicates()])
    changed = batches.picked([batch], carriers), batches.picked(planted, carriers)
    (group,) = live.scan.swapped(*changed).groups
    assert np.mean(np.isin(carriers, group.carriers)) >= 0.9
    assert live.scan.result().groups == ()


@pytest.mark.parametrize(
    "values",
    [
        {"x": [np.nan, np.inf, -np.inf, 1e300] * 30, "y": ["a", None, 3, float("nan")] * 30},
        {"x": np.ones(120), "y": ["same"] * 120},
        {"x": np.arange(120.0), "y": ["é" * 1_000_000] * 3 + ["\ud800"] * 117},
        {"x": [1.0], "y": ["one row"]},
        {"x": np.full(120, np.nan), "y": [None] * 120},
    ],
)
def test_odd_cells_give_no_traceback(values):
    batch, frame = table(values, ["a"] * len(values["x"]))
    assert looked([batch], frame).significant == ()


def test_an_empty_version_gives_no_traceback():
    batch, frame = wages(10)
    none = taken(batch, np.arange(0))
    assert looked([none], msgspec.structs.replace(frame, rows=0)).significant == ()


def test_of_more_rows_than_it_keeps_a_sample_is_looked_at_and_the_rest_is_said(monkeypatch):
    monkeypatch.setattr(table_duplicates, "MOST_CELLS", 5_000)
    batch, frame = wages(2_000)
    assert 800 < looked([batch], frame).result.unread < 1_200


def test_every_planted_copy_differs_from_its_model_in_one_cell_or_two():
    batch, frame = part(adult, 1_000)
    planted, carriers = NearFlood().plant([batch], frame, 20, 4)
    rows = [
        {name: str(column[at]) for name, column in planted[0].values.items()} for at in carriers
    ]
    most = {
        name: max({r[name] for r in rows}, key=[r[name] for r in rows].count) for name in rows[0]
    }
    changed = [sum(row[name] != most[name] for name in most) for row in rows]
    assert set(changed) == {1, 2}
    again, _ = NearFlood().plant([batch], frame, 20, 4)
    assert repr(again[0].values) == repr(planted[0].values)
