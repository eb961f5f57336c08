from __future__ import annotations

import json
import subprocess
import sys

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from scan_data import wages

from sealwright.core.errors import BadInput
from sealwright.scan import report, tables, worker


def written(folder, columns, name="a.arrow", batch_rows=300):
    arrow = pa.table(columns)
    with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_stream(file, arrow.schema) as out:
        out.write_table(arrow, max_chunksize=batch_rows)
    return name


def planned(folder, files, **more):
    plan = {"version": 1, "modality": "table", "files": {"paths": files}, **more}
    (folder / "plan.json").write_text(json.dumps(plan))


def wages_columns(rows=1_000, flood=0):
    batch, frame = wages(rows)
    columns = {name: list(column) for name, column in batch.values.items()}
    columns["label"] = [frame.labels[code] for code in batch.labels]
    for column in columns.values():
        column[10 : 10 + flood] = [column[10]] * flood
    return columns


def test_the_worker_finds_a_flood_in_a_process_of_its_own(tmp_path):
    planned(tmp_path, [written(tmp_path, wages_columns(flood=40))], label="label")
    done = subprocess.run(
        [sys.executable, "-m", "sealwright.scan.worker"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "progress 300 1000 screening, pass 1" in done.stderr
    read = report.decode((tmp_path / "report.json").read_bytes())
    assert read.blocks
    (group,) = [one for one in read.groups if one.detector == "duplicates"]
    assert group.carriers == tuple(range(10, 50))
    assert read.records == 1_000


def test_a_canary_reports_the_smallest_flood_it_would_have_seen(tmp_path):
    planned(
        tmp_path,
        [written(tmp_path, wages_columns())],
        label="label",
        detectors=["duplicates"],
        canaries=["flood"],
        repeats=3,
    )
    assert worker.main(tmp_path) == 0
    (seen,) = report.decode((tmp_path / "report.json").read_bytes()).canaries
    assert seen.family == "flood"
    assert seen.smallest == 10
    assert [(one.count, one.found) for one in seen.counts][-1] == (50, 3)
    assert seen.counts[0].found == 0


def test_two_files_are_one_version_in_order(tmp_path):
    columns = wages_columns(200)
    first = written(tmp_path, {k: v[:90] for k, v in columns.items()}, "a.arrow")
    second = written(tmp_path, {k: v[90:] for k, v in columns.items()}, "b.arrow")
    planned(tmp_path, [first, second], label="label")
    opened = worker.open_files(
        plan := worker.read((tmp_path / "plan.json").read_bytes()), plan.files, tmp_path
    )
    ids = np.concatenate([batch.ids for batch in opened.source()])
    assert ids.tolist() == list(range(200))
    again = np.concatenate([batch.values["age"] for batch in opened.source()])
    assert again.tolist() == columns["age"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 9}, "plan version 9"),
        ({"surprise": 1}, "no screening plan"),
        ({"reference": {"paths": ["absent.arrow"]}}, "absent.arrow is no Arrow stream"),
        ({"label": "nope"}, "no label column nope"),
        ({"detectors": ["nope"]}, "no detector nope"),
    ],
)
def test_a_bad_plan_is_refused_in_words(tmp_path, capsys, change, said):
    planned(tmp_path, [written(tmp_path, wages_columns(50))], **change)
    assert worker.main(tmp_path) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "report.json").exists()


def survey(columns, **more):
    made = pa.table(columns).to_batches()
    return tables.survey(lambda: made, **more), made


def test_types_are_read_from_the_cells():
    found, made = survey(
        {
            "n": ["1", " 2.5", "?", ""] * 20,
            "c": ["red", "blue", None, "red"] * 20,
            "t": ["a sentence of some words here", "and another one", "", "x"] * 20,
            "f": [1.0, 2.0, float("inf"), None] * 20,
            "b": [True, False, None, True] * 20,
            "y": ["1", "0", "1", None] * 20,
        },
        label="y",
    )
    kinds = {column.name: column.type for column in found.frame.columns}
    assert kinds == {"n": "number", "c": "category", "t": "text", "f": "number", "b": "category"}
    assert found.frame.labels == ("0", "1")
    (batch,) = tables.batches(lambda: made, found.frame, label="y")
    assert np.isnan(batch.values["n"][2:4]).all()
    assert batch.labels[:4].tolist() == [1, 0, 1, -1]
    assert batch.values["b"][:3].tolist() == ["true", "false", None]


def test_cells_that_do_not_fit_are_a_fact():
    found, _ = survey({"n": ["1"] * 97 + ["many", "few", "inf"], "y": ["a", "b"] * 50}, label="y")
    rules = {fact.rule: fact for fact in found.facts}
    assert rules["table.mixed-types"].metrics == {"column": "n", "cells": 2}
    assert "table.infinite" in rules


@pytest.mark.parametrize(
    ("columns", "label", "rule"),
    [
        ({"a": [1.0]}, "", "table.unlabelled"),
        ({"a": [1.0, 2.0], "y": ["x", "x"]}, "y", "table.one-class"),
        ({"a": pa.array([], pa.float64())}, "", "table.empty"),
    ],
)
def test_what_cannot_be_screened_well_is_said(columns, label, rule):
    assert rule in {fact.rule for fact in survey(columns, label=label)[0].facts}


def test_a_label_with_more_names_than_rows_can_teach_is_refused(monkeypatch):
    monkeypatch.setattr(tables, "MOST_LABELS", 10)
    with pytest.raises(BadInput, match="more than 10 different labels"):
        survey({"y": [str(i) for i in range(11)]}, label="y")


def good_report() -> dict:
    batch, frame = wages(300)
    from sealwright.scan import ensemble

    screening = ensemble.screen(lambda: [batch], frame)
    return msgspec.json.decode(report.encode(report.make(screening, 300)[0]))


def test_a_report_reads_back_as_it_was():
    data = msgspec.json.encode(good_report())
    assert msgspec.json.decode(report.encode(report.decode(data))) == good_report()


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"more": 1},
        {"records": "many"},
        {
            "groups": [
                {
                    "detector": "d", "family": "f", "key": "k", "label": "", "count": 1, "seen": 1,
                    "expected": 0.0, "statistic": 0.0, "p_value": 0.0, "significant": True,
                    "carriers": [300], "shown": {},
                }
            ]
        },
        {"ranks": [{"detector": "d", "rank": {"record": -1, "score": 1.0, "why": ""}}]},
    ],
)  # fmt: skip
def test_a_report_that_is_not_one_is_refused(change):
    with pytest.raises(BadInput):
        report.decode(msgspec.json.encode({**good_report(), **change}))
    with pytest.raises(BadInput):
        report.decode(b"\xff{")


def test_a_canary_that_runs_out_of_time_claims_nothing_it_did_not_try(tmp_path):
    planned(
        tmp_path,
        [written(tmp_path, wages_columns())],
        label="label",
        detectors=["duplicates"],
        canaries=["flood"],
        canary_seconds=-1,
    )
    assert worker.main(tmp_path) == 0
    (seen,) = report.decode((tmp_path / "report.json").read_bytes()).canaries
    assert (seen.smallest, [(one.found, one.tried) for one in seen.counts]) == (0, [(0, 0)])
