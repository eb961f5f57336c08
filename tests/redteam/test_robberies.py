"""The bench's robberies: where the guard ends one, and what a thief's inputs become."""

import numpy as np
import pytest

from sealwright.app.bench import Plate
from sealwright.app.bench.guard import robberies, thieves
from sealwright.app.bench.poison.data import Absent
from sealwright.app.curves import Line, chart
from sealwright.redteam.extraction import space as spaces


def test_rows_of_a_table_go_out_as_they_came_in():
    rows = np.array([[39.0, "Private", None], [50.0, None, "x"]], object)
    values = {1: ("", "Private"), 2: ("", "x")}
    space = spaces.of_columns(np.array([[39.0, 1, 0], [50.0, 0, 1]]), values)
    back = robberies.rows_of(space, np.array([[39.0, 1, 0], [50.0, 0, 1]]))
    assert back.tolist() == rows.tolist()


def test_a_mean_of_principals_has_its_interval():
    assert "one principal" in thieves._words([0.5])
    assert thieves._words([0.4, 0.6]).startswith("50.0 % (40.0 to 60.0")


def test_a_chart_holds_every_curve_and_hostile_names_do_nothing():
    drawn = chart(
        [Line("a<b>", ((30, 0.2), (1000, 0.9))), Line("a<b>", ((300, 0.5),), end=True)], "x"
    )
    assert "<b>" not in drawn
    assert drawn.count("<circle") == 1
    assert drawn.count('fill="none"') == 2


def test_a_data_set_that_is_absent_is_a_row_that_says_so(monkeypatch):
    def absent(*asked):
        raise Absent("sst2/train.tsv is not in shared/data")

    monkeypatch.setattr(robberies, "honest", absent)
    _, answer = thieves._robbed(thieves.Plan("sst2", thieves.QUICK, thieves._quiet))
    assert answer.rows[0].value is None
    assert "shared/data" in answer.rows[0].note


def test_the_small_bench_measures_every_row_it_names():
    pytest.importorskip("sklearn")
    plan = thieves.Plan("digits", thieves.QUICK, thieves._quiet)
    _, answer = thieves._robbed(plan)
    assert all(row.value is not None for row in answer.rows)
    said = " ".join(row.what for row in answer.rows)
    assert all(name in said for name in thieves.QUICK.thieves)
    assert isinstance(answer.plates[0], Plate)
    assert answer.plates[0].charts[0].startswith("<svg")
