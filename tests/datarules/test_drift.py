"""Drift and novelty: silence on equal sources, a name on what moved, shards that add up."""

import math
import random

import numpy as np
import pytest

from sealwright.app.bench import shared
from sealwright.app.bench.drift import shifts
from sealwright.scan import statistic
from sealwright.scan.drift import Drift
from sealwright.scan.interface import Batch, Column, Frame
from sealwright.scan.novelty import Novelty


def batch(values: dict, start: int = 0, sources=None) -> Batch:
    n = len(next(iter(values.values())))
    return Batch(
        np.arange(start, start + n),
        np.full(n, -1, np.int32),
        np.full(n, -1, np.int32) if sources is None else np.asarray(sources, np.int32),
        values,
    )


def frame(values: dict, sources=(), seed: int = 1) -> Frame:
    kinds = {"f": "number", "O": "category"}
    columns = tuple(Column(name, kinds[v.dtype.kind]) for name, v in values.items())
    return Frame(len(next(iter(values.values()))), columns, (), tuple(sources), seed, 0.01, 20)


def scan(detector, values, reference=None, sources=(), codes=None, size=None):
    made = detector.begin(frame(values, sources), reference)
    n = len(next(iter(values.values())))
    size = size or max(n, 1)
    for number in range(detector.spec.passes):
        for at in range(0, n, size):
            part = {name: v[at : at + size] for name, v in values.items()}
            cut = None if codes is None else codes[at : at + size]
            made.observe(number, batch(part, at, cut))
        made.settle(number)
    return made


def sample(seed: int, n: int = 2000, move: float = 0.0, skew: float = 0.0, gone: float = 0.0):
    chance = np.random.default_rng(seed)
    amount = chance.lognormal(0, 1, n)
    amount[chance.random(n) < 0.02 + gone] = np.nan
    kinds = np.array(["a", "b", "c", "d"], object)
    return {
        "age": np.round(chance.normal(40 + move * 10, 10, n)),
        "amount": amount,
        "kind": kinds[chance.choice(4, n, p=[0.4 - skew, 0.3, 0.2, 0.1 + skew])],
    }


def drifted(reference, now, **more) -> dict:
    before = scan(Drift(), reference)
    return {
        (s.column, s.kind): s.effect
        for s in scan(Drift(), now, before, **more).shifts()
        if s.drifted
    }


def test_two_samples_of_one_source_raise_no_alarm_in_sixty_tries():
    for seed in range(60):
        assert drifted(sample(seed), sample(1000 + seed)) == {}


def test_what_moved_is_named_and_nothing_else():
    found = [set(drifted(sample(s), sample(500 + s, move=0.4))) for s in range(20)]
    assert sum(one == {("age", "values")} for one in found) >= 18
    found = [set(drifted(sample(s), sample(500 + s, skew=0.2))) for s in range(20)]
    assert sum(one == {("kind", "values")} for one in found) >= 18
    found = [set(drifted(sample(s), sample(500 + s, gone=0.1))) for s in range(20)]
    assert sum(one == {("amount", "missing")} for one in found) >= 18


def test_a_difference_too_small_to_matter_is_no_drift_however_many_records():
    assert drifted(sample(1, 200_000), sample(2, 200_000, move=0.1)) == {}


def test_a_source_that_moved_is_named_with_its_column():
    reference, now = sample(1, 4000), sample(2, 4000)
    codes = np.arange(4000) % 2
    now["age"] = now["age"] + 15 * (codes == 1)
    before = scan(Drift(), reference, sources=("east", "west"), codes=codes)
    after = scan(Drift(), now, before, sources=("east", "west"), codes=codes)
    found = {(s.column, s.source) for s in after.shifts() if s.drifted}
    assert ("age", "west") in found and ("age", "east") not in found


def test_batches_and_shards_change_nothing():
    reference, now = sample(3), sample(4, move=0.3)
    whole = scan(Drift(), now, scan(Drift(), reference)).shifts()
    assert scan(Drift(), now, scan(Drift(), reference, size=7), size=13).shifts() == whole
    before = scan(Drift(), reference)
    parts = []
    for cut in (slice(0, 900), slice(900, None)):
        part = Drift().begin(frame(now), before)
        for number in (0, 1):
            part.observe(number, batch({k: v[cut] for k, v in now.items()}, cut.start))
            part.settle(number)
        parts.append(part)
    parts[0].merge(parts[1])
    assert parts[0].shifts() == whole


def test_columns_that_come_go_or_change_type_are_told():
    before = scan(Drift(), {"a": np.arange(200.0), "b": np.arange(200.0)})
    now = {"a": np.array(["x"] * 200, object), "c": np.arange(200.0)}
    rules = {f.rule for f in scan(Drift(), now, before).result().facts}
    assert rules == {"drift.type", "drift.column-gone", "drift.column-new"}


@pytest.mark.parametrize(
    "values",
    [
        np.full(300, 7.0),
        np.full(300, np.nan),
        np.array([np.inf, -np.inf, np.nan, 1.0] * 75),
        np.zeros(0),
        np.array([None] * 300, object),
        np.array([f"v{i}" for i in range(300)], object),
        np.array(["y" * 100_000, ""] * 5, object),
    ],
)
def test_odd_columns_neither_fail_nor_alarm_against_themselves(values):
    for detector in (Drift(), Novelty()):
        before = scan(detector, {"x": values})
        assert scan(detector, {"x": values}, before).result().facts == ()


def test_a_constant_that_became_another_has_drifted():
    found = drifted({"x": np.full(300, 7.0)}, {"x": np.full(300, 8.0)})
    assert set(found) == {("x", "values")}


def test_novel_values_beyond_what_is_expected_are_told_and_ranked():
    reference, now = sample(1), sample(2)
    now["age"][[5, 6, 7, 8, 9, 10, 11, 12, 13, 14]] = 400.0
    now["kind"][[20, 21, 22, 23, 24, 25]] = "never"
    before = scan(Novelty(), reference)
    result = scan(Novelty(), now, before).result()
    told = {(f.rule, f.metrics["column"]): f.metrics["count"] for f in result.facts}
    assert told["novelty.range", "age"] >= 10 and told["novelty.category", "kind"] == 6
    assert {rank.record for rank in result.ranks} >= {5, 14, 20, 25}
    assert "400" not in str([f.message for f in result.facts])


def test_what_is_to_be_expected_of_new_records_is_not_novel():
    alarms = sum(
        bool(scan(Novelty(), sample(900 + s), scan(Novelty(), sample(s))).result().facts)
        for s in range(60)
    )
    assert alarms <= 2


def test_the_tails_are_those_of_the_textbook():
    scipy = pytest.importorskip("scipy.stats")
    for x, k in ((0.5, 1), (3.2, 2), (40, 7), (300, 120), (5, 30)):
        assert statistic.chi_square_tail(x, k) == pytest.approx(scipy.chi2.sf(x, k), rel=1e-9)
    for k, mean in ((1, 0.3), (5, 2.5), (40, 11.0)):
        assert statistic.poisson_tail(k, mean) == pytest.approx(
            scipy.poisson.sf(k - 1, mean), rel=1e-6, abs=1e-12
        )
    p = np.array([0.001, 0.3, 0.02, 0.9, 0.011])
    wanted = scipy.false_discovery_control(p)
    assert statistic.false_discovery(p) == pytest.approx(wanted)
    one, other = np.array([30, 50, 20]), np.array([60, 30, 40])
    table = scipy.chi2_contingency(np.array([one, other]), correction=False)
    assert statistic.two_samples(one, other) == pytest.approx(table.pvalue)


def test_the_stability_index_of_one_source_is_near_zero_and_distances_are_bounded():
    chance = np.random.default_rng(0)
    one, other = (np.bincount(chance.integers(0, 20, 3000), minlength=20) for _ in range(2))
    assert statistic.population_stability(one, other) < 0.01
    assert statistic.jensen_shannon(one, other) < 0.05
    assert statistic.jensen_shannon(np.array([5, 0]), np.array([0, 5])) > 0.8
    assert statistic.kolmogorov(one, one) == (0.0, 1.0)
    assert math.isclose(statistic.kolmogorov(np.array([9, 0]), np.array([0, 9]))[0], 1)


def test_nsl_kdd_has_drifted_from_its_training_to_its_test_set():
    parts = shared.nsl_kdd()
    if parts is None:
        pytest.skip("nsl_kdd is not in the shared data folder (SEAL_SHARED_DATA)")
    found = {s.column for s in shifts(*parts) if s.drifted}
    assert 5 <= len(found) <= 41


def test_the_command_names_what_moved_and_the_log_holds_no_value(bare):
    from sealwright.app import wiring

    chance = random.Random(4)

    def write(low: int) -> None:
        lines = [f"{i},{chance.randint(low, low + 40)},{'xy'[i % 2]}" for i in range(600)]
        bare.write("data/train.csv", "id,age,kind\n" + "\n".join(lines) + "\n")

    write(20)
    bare.ok("init")
    bare.ok("data", "add", "data/train.csv", "--name", "train")
    code, body, _ = bare.seal("data", "drift", "train")
    assert code == 2 and "first version" in body["error"]["what"]
    write(45)
    bare.ok("data", "add", "data/train.csv", "--name", "train")
    found = bare.ok("data", "drift", "train")
    assert found["drifted"] and found["against"] == "data:train@1"
    assert {a["metrics"]["column"] for a in found["alarms"]} == {"age"}
    same = bare.ok("data", "drift", "train@2", "--against", "train@1")
    assert same["report"] == found["report"]
    (statement, *_) = wiring.open_workspace().history().of_type("urn:sealwright:predicate:drift/v1")
    assert statement.statement.predicate["alarms"] == len(found["alarms"])


def test_a_stage_runs_again_only_when_its_newest_data_has_drifted(bare):
    def write(low: int, seed: int) -> None:
        chance = random.Random(seed)
        lines = [f"{i},{chance.randint(low, low + 40)}" for i in range(600)]
        bare.write("data/train.csv", "id,age\n" + "\n".join(lines) + "\n")
        bare.ok("data", "add", "data/train.csv", "--name", "train")

    def run() -> dict:
        return bare.ok("run", "--when-drifted", "--", "python", "train.py")

    bare.ok("init")
    write(20, 1)
    first = run()
    assert [one["why"] for one in first["due"]] == ["never-ran"] and len(first["runs"]) == 1
    assert [one["why"] for one in run()["due"]] == ["unchanged"]
    write(20, 2)
    still = run()
    assert still["runs"] == [] and still["due"][0]["why"] == "not-drifted"
    write(45, 3)
    again = run()
    (said,) = again["due"][0]["inputs"]
    assert (said["ref"], said["against"], said["columns"]) == ("data:train@3", "data:train@1", 1)
    assert again["runs"][0]["inputs"][0]["ref"] == "data:train@3"
    assert any("data.drifted" in line for line in again["runs"][0]["warnings"])
    assert run()["runs"] == []
