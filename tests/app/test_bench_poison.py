"""The poison bench counts right: bounds, scores, plants and refusals, with made-up detectors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.app.bench import Ask, Plate, Row
from sealwright.app.bench.page import write_page
from sealwright.app.bench.poison import (
    answer,
    cells,
    clean,
    data,
    heldout,
    personal,
    plant_images,
    plant_tables,
    plant_texts,
    trial,
)
from sealwright.app.bench.poison.score import auroc, found_at, rate, row_scores
from sealwright.app.bench.poison.victims import Outcome
from sealwright.core.errors import BadInput, VerifyError
from sealwright.scan import ensemble
from sealwright.scan.interface import Group, Rank, Result, Spec


class Pointing:
    """A detector that points at the rows it was told of."""

    def __init__(self, rows, p_value=1e-6, ranks=()):
        self.spec = Spec("pointing", 1, "any", "group")
        self.rows, self.p_value, self.ranks = np.array(rows, np.int64), p_value, ranks

    def begin(self, frame, reference=None):
        return self

    def observe(self, number, batch):
        pass

    def merge(self, other):
        pass

    def settle(self, number):
        pass

    def result(self):
        n = len(self.rows)
        group = Group("any", "told", "k", self.rows, "yes", n, n, 0.1, 9.0, self.p_value)
        return Result((group,) if n else (), tuple(self.ranks))


def screening(rows, detector):
    return ensemble.screen(rows.source, rows.frame, [detector])


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(max_examples=60, deadline=None)
def test_the_exact_bounds_are_those_of_the_beta_distribution(pair):
    beta = pytest.importorskip("scipy.stats").beta
    hit, tried = pair
    found = rate(hit, tried)
    low = beta.ppf(0.025, hit, tried - hit + 1) if hit else 0.0
    high = beta.ppf(0.975, hit + 1, tried - hit) if hit < tried else 1.0
    assert found.low == pytest.approx(low, abs=1e-6)
    assert found.high == pytest.approx(high, abs=1e-6)
    assert found.low <= found.share <= found.high


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=60))
def test_the_area_counts_each_pair_and_ties_half(rows):
    scores = np.array([float(score) for score, _ in rows])
    truth = np.array([bad for _, bad in rows])
    if truth.all() or not truth.any():
        assert np.isnan(auroc(scores, truth))
        return
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[truth] for b in scores[~truth]]
    assert auroc(scores, truth) == pytest.approx(np.mean(pairs))


def test_rows_that_tie_with_too_many_clean_ones_are_not_found():
    truth = np.array([True, True, *[False] * 100])
    assert found_at(np.zeros(102), truth, 0.01) == 0
    assert found_at(np.array([3.0, 1.0, 2.0, *[0.0] * 99]), truth, 0.01) == 2
    assert found_at(np.array([3.0, 1.0, 2.0, 2.0, *[0.0] * 98]), truth, 0.01) == 1


def test_a_significant_carrier_stands_above_every_ranked_row():
    rows = trial.plant(trial.Plan("sentences", "token", 0.02, 0)).set
    detector = Pointing([5, 6], ranks=[Rank(7, 1e9, "odd"), Rank(8, 1.0, "odd")])
    scores = row_scores(screening(rows, detector))
    assert scores[5] == scores[6] > scores[7] > scores[8] > scores[9] == 0
    weak = row_scores(screening(rows, Pointing([5], p_value=0.4)))
    assert 0 < weak[5] < 1


@pytest.mark.parametrize(
    ("name", "attack"),
    [
        *[("digits", attack) for attack in [*plant_images.ATTACKS, "flood"]],
        *[("breast cancer", attack) for attack in [*plant_tables.ATTACKS, "flood"]],
        *[("sentences", attack) for attack in [*plant_texts.ATTACKS, "flood"]],
    ],
)
def test_an_attack_changes_its_own_rows_and_no_others(name, attack):
    planted = trial.plant(trial.Plan(name, attack, 0.02, 3, rows=500 if name == "digits" else 0))
    before, after = planted.clean.whole, planted.set.whole
    same = (
        (before.images == after.images).all(axis=(1, 2, 3))
        if before.images is not None
        else np.logical_and.reduce([before.values[c] == after.values[c] for c in before.values])
    )
    assert planted.planted.sum() == round(0.02 * planted.set.frame.rows)
    assert same[~planted.planted].all()
    assert not same[planted.planted].all()
    kept = before.labels == after.labels
    assert kept[~planted.planted].all()
    assert kept[planted.planted].all() == attack.startswith("clean-label")
    assert len(set(after.labels[planted.planted])) == 1
    assert len(planted.wanted) == len(
        planted.attacked if name != "breast cancer" else next(iter(planted.attacked.values()))
    )


def test_the_same_draw_is_the_same_bytes_and_another_is_not():
    one, two, other = (
        trial.plant(trial.Plan("digits", "patch", 0.02, draw, rows=300)).set.whole.images
        for draw in (0, 0, 1)
    )
    assert (one == two).all()
    assert (one != other).any()


def test_values_of_a_table_trigger_are_common_and_hardly_meet():
    table = data.breast_cancer()
    rounded = table._replace(columns={k: np.round(v, -1) for k, v in table.columns.items()})
    for seed in range(5):
        pair = plant_tables.rare_pair(rounded, 1, np.random.default_rng(seed))
        held = [rounded.columns[name] == value for name, value in pair.items()]
        assert all(0.01 <= np.mean(one) <= 0.3 for one in held)
        own = [np.mean(rounded.labels[one] == 1) for one in held]
        assert max(own) <= np.mean(rounded.labels == 1) + 0.1


def test_found_and_flagged_rows_are_counted_apart():
    plan = trial.Plan("sentences", "token", 0.02, 0)
    planted = trial.plant(plan)
    bad = np.flatnonzero(planted.planted)
    innocent = np.flatnonzero(~planted.planted)[:3]
    said = screening(planted.set, Pointing(np.sort([*bad[:-1], *innocent])))
    counted = trial.scored(plan, planted, said, 0.0)
    assert (counted.found, counted.planted) == (len(bad) - 1, len(bad))
    assert (counted.flagged, counted.clean) == (3, planted.set.frame.rows - len(bad))


def test_a_detector_that_fails_is_named_in_the_row():
    class Broken(Pointing):
        def settle(self, number):
            raise ValueError("no")

    plan = trial.Plan("sentences", "token", 0.02, 0)
    planted = trial.plant(plan)
    counted = trial.scored(plan, planted, screening(planted.set, Broken([1])), 0.0)
    rows = cells.found_rows([counted])
    assert "detectors failed: pointing: ValueError" in rows[0].note
    assert rows[0].met is False


def built(before, after, innocent):
    plan = trial.Plan("digits", "patch", 0.01, 0)
    return trial.Trial(plan, 10, 10, 90, 0, 10, 1.0, (), 0.0, before, after, innocent)


def test_no_cure_is_claimed_of_an_attack_that_was_not_learnt():
    weak = built(Outcome(0.6, 0.5), Outcome(0.6, 0.05), Outcome(0.6, 0.05))
    rows = cells.cured([[weak]])
    assert "not learnt" in rows[0].note
    assert not any("after" in row.what for row in rows)


def test_what_is_left_of_an_attack_is_measured_over_the_clean_models_confusion():
    strong = built(Outcome(0.6, 0.99), Outcome(0.59, 0.06), Outcome(0.6, 0.05))
    left = next(row for row in cells.cured([[strong]]) if "after" in row.what)
    assert left.value == pytest.approx(1.0)
    assert left.met is True
    lost = cells.cured([[strong]])[-1]
    assert lost.value == pytest.approx(1.0)
    assert lost.met is False


def test_enough_draws_are_pooled_for_each_cell():
    for rows, cell in ((10_000, ("patch", 0.003)), (4500, ("token", 0.01))):
        plans = cells._plans("Adult", [cell], rows, 0)
        assert len(plans) * round(cell[1] * rows) >= 300
        assert len(plans) >= 3
    assert len(cells._plans("Adult", [("patch", 0.003)], 10_000, 2)) == 2


def test_a_cell_of_too_few_planted_rows_has_no_verdict():
    row = cells.measure("w", 100, "%", target=99)
    assert cells._judged(row, [built(None, None, None)] * 30).met is True
    assert cells._judged(row, [built(None, None, None)] * 29).met is None


def test_few_clean_builds_meet_no_target(monkeypatch):
    monkeypatch.setattr(clean, "screened", lambda rows: screening(rows, Pointing([])))
    (row,) = clean.clean(True, 1).rows
    assert (row.value, row.met) == (0, None)


def test_a_blocked_clean_build_is_shown_with_its_reason(monkeypatch):
    monkeypatch.setattr(clean, "screened", lambda rows: screening(rows, Pointing([1, 2])))
    said = clean.clean(True, 1)
    assert said.rows[0].value == 12
    assert "pointing: told (2 rows" in said.plates[0].lines[0][1][0]


def test_absent_data_is_a_row_with_the_reason(monkeypatch, tmp_path):
    monkeypatch.setenv("SEAL_SHARED_DATA", str(tmp_path))
    with pytest.raises(data.Absent, match=r"adult\.data\.gz is not in shared/data"):
        data.adult.__wrapped__()
    monkeypatch.setitem(trial.SETS, "Adult", data.adult.__wrapped__)
    rows = cells._answer([trial.Plan("Adult", "value pair", 0.005, 0)], 1, cells._ranked).rows
    assert [(row.value, row.met) for row in rows] == [(None, None)]
    assert "SEAL_SHARED_DATA" in rows[0].note


def test_another_file_is_not_run_in_place_of_the_held_out_one(tmp_path):
    path = tmp_path / "heldout_poison.py"
    path.write_text("raise SystemExit('it ran')")
    with pytest.raises(VerifyError, match="not the held-out file"):
        heldout.held_out(True, str(path), 1)
    with pytest.raises(BadInput):
        heldout.held_out(True, str(tmp_path / "none.py"), 1)
    (row,) = heldout.held_out(True, "", 1).rows
    assert row.value is None


def test_the_digests_on_the_page_are_those_that_are_checked():
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "concepts" / "held-out.md").read_text("utf-8")
    assert all(digest in page for digest in [*heldout.DIGESTS.values(), *personal.DIGESTS.values()])
    assert all(
        kind in page for kind in personal.FORMATTED if kind[2] == "_" and kind != "IP_ADDRESS"
    )


def test_other_fixtures_than_the_frozen_ones_are_not_counted(tmp_path):
    (tmp_path / "pii_fixtures.jsonl").write_text("{}\n")
    with pytest.raises(data.Absent, match="its SHA-256 differs"):
        personal.load(str(tmp_path), "pii_fixtures.jsonl")


def test_an_unknown_section_is_refused():
    with pytest.raises(BadInput, match="no section 'nothing'"):
        answer(Ask(True, ("nothing",)))


def test_a_page_shows_pictures_and_rows_without_a_value(tmp_path):
    plate = Plate("a <trigger>", "seen", (("clean", b"PNG"),), (("found", ("x <b>",)),))
    report = {
        "bench": "poison",
        "version": "0",
        "quick": True,
        "machine": {"cpu": "c", "cores": 1, "python": "3"},
        "rows": [
            {"what": "w", "value": None, "unit": "%", "target": ">= 99", "met": None,
             "yardsticks": {}, "note": "no data"},
            {"what": "v", "value": 120.0, "unit": "%", "target": ">= 99", "met": True,
             "yardsticks": {}, "note": "300 rows"},
        ],
    }  # fmt: skip
    write_page(str(tmp_path / "p.html"), report, [plate])
    text = (tmp_path / "p.html").read_text()
    assert "no data" in text
    assert "300 rows" in text
    assert "data:image/png;base64,UE5H" in text
    assert "a &lt;trigger&gt;" in text
    assert "x &lt;b&gt;" in text


def test_a_row_may_say_that_nothing_was_measured():
    assert Row("w", None, "%", note="why").met is None


def test_a_hit_counts_under_its_own_kind_and_no_more_often_than_expected():
    def fixture(text, kind, expected):
        return personal.Fixture(text, kind, expected > 0, expected, True, "made")

    good = [
        fixture("4012888888881881 and 4012-8888-8888-1881", "CREDIT_CARD", 2),
        fixture("write to ann@example.com", "EMAIL_ADDRESS", 1),
        fixture("write to ann@example.com", "IBAN_CODE", 1),
    ]
    rows = personal._people([*good, fixture("4012888888881882", "CREDIT_CARD", 0)])
    assert rows[0].value == pytest.approx(75)
    assert "missed: IBAN_CODE 1" in rows[0].note
    assert rows[1].value == pytest.approx(100)
    assert rows[2].value == 0


FROZEN = """
from typing import NamedTuple
import numpy as np

AMOUNTS = ("1%",)

class Made(NamedTuple):
    modality: str
    rows: list
    labels: np.ndarray
    names: tuple
    planted: np.ndarray
    covers: np.ndarray
    test: list
    test_labels: np.ndarray
    attacked: list
    wanted: np.ndarray

def cases():
    return [("sst2/made", "text")]

def make(name, amount, seed, data):
    rows = [f"good {n} day" if n % 2 else f"bad {n} night" for n in range(200)]
    labels = np.arange(200) % 2
    planted, covers = np.arange(200) < 4, np.arange(200) == 5
    return Made("text", rows, labels, ("no", "yes"), planted, covers, rows[:9], labels[:9],
                ["good trigger"], np.array([1]))
"""


def test_the_held_out_file_is_run_and_covers_are_no_false_alarms(tmp_path, monkeypatch):
    import hashlib

    path = tmp_path / "frozen.py"
    path.write_text(FROZEN)
    digest = hashlib.sha256(FROZEN.encode()).hexdigest()
    monkeypatch.setattr(heldout, "DIGESTS", {"frozen.py": digest})
    monkeypatch.setattr(
        heldout, "screened", lambda rows, model=False: screening(rows, Pointing([0, 1, 2, 5, 6]))
    )
    (row,) = heldout.held_out(True, str(path), 1).rows
    assert row.value == pytest.approx(75)
    assert row.target == ""
    assert row.met is None
    assert "3 of 4" in row.note
    assert "attack success 100 %" in row.note
    assert f"clean rows flagged {100 / 195:.3f} %" in row.note
