"""Purposes travel with derived data; rows and columns are held back by role; solo meets none."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from access_house import Office

from sealwright.core import predicates
from sealwright.core.errors import BadInput
from sealwright.core.records import Artifact
from sealwright.evidence.lineage import Graph
from sealwright.policy import views

RULES = """
[data.train]
purposes = ["fraud", "audit"]

[[view]]
data = "train"
roles = ["ml-engineer"]
rows = ['region == "EU"', "age >= 22"]
columns = {name = "hash", card = "last4"}

[[view]]
data = "train"
roles = ["*"]
columns = {age = "null"}
"""


@pytest.fixture
def solo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Office:
    office = Office(tmp_path, monkeypatch, capsys)
    office.ok("olga", "init", "--profile", "solo")
    return office


def activated(office: Office, text: str) -> Office:
    """In solo one person puts rules in force; others join afterwards."""
    (office.root / "policies/access/data.toml").write_text(text)
    office.ok("olga", "policy", "activate", "--reason", "views")
    office.add("olga")
    office.join("eli", "ml-engineer")
    return office


def rows_of(body: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body["csv"])))


def test_one_person_in_solo_is_asked_nothing_and_only_reads_are_recorded(solo: Office) -> None:
    solo.add("olga")
    size = solo.history().size
    for words in (("data", "show", "train"), ("data", "verify"), ("data", "log", "train")):
        solo.ok("olga", *words)
    assert solo.history().size == size
    assert len(rows_of(solo.ok("olga", "data", "read", "train"))) == 8
    (read,) = solo.history().of_type(predicates.READ)
    assert read.statement.predicate["alone"] and read.statement.predicate["actor"] == "olga"
    assert solo.ok("olga", "access", "audit")["failed"] == 0


def test_solo_denies_by_default_once_somebody_else_is_a_member(solo: Office) -> None:
    solo.add("olga")
    solo.join("eli", "ml-engineer")
    assert solo.refused("eli", "data", "read", "train")["rule"] == "access.no-grant"
    assert len(rows_of(solo.ok("olga", "data", "read", "train"))) == 8
    solo.granted("view")
    assert len(rows_of(solo.ok("eli", "data", "read", "train"))) == 8


def test_rows_are_filtered_and_columns_masked_by_role(solo: Office) -> None:
    office = activated(solo, RULES)
    office.granted("view")
    rows = rows_of(office.ok("eli", "data", "read", "train"))
    assert {row["region"] for row in rows} == {"EU"} and len(rows) == 3
    assert all(row["age"] == "" and row["card"].startswith("****") for row in rows)
    assert len({row["name"] for row in rows}) == 3
    assert all(len(row["name"]) == 32 for row in rows)
    owner = rows_of(office.ok("olga", "data", "read", "train", "--purpose", "audit"))
    assert len(owner) == 8 and owner[0]["name"] == "p0" and owner[0]["age"] == ""


def test_a_pseudonym_is_the_same_in_every_read(solo: Office) -> None:
    office = activated(solo, RULES)
    office.granted("view")
    first, again = (rows_of(office.ok("eli", "data", "read", "train")) for _ in range(2))
    assert first == again


def test_parquet_holds_the_same_rows(solo: Office) -> None:
    office = activated(solo, RULES)
    office.granted("view")
    told = office.ok("eli", "data", "read", "train", "--out", "seen.parquet")
    table = pq.read_table(office.root / "seen.parquet")
    assert table.num_rows == told["rows"] == 3
    assert table.column("region").to_pylist() == ["EU"] * 3


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ('columns = {nom = "hash"}', "access.view-column"),
        ("rows = ['nom == \"x\"']", "access.view-column"),
        (
            'columns = {name = "drop", region = "drop", age = "drop", card = "drop"}',
            "access.nothing-shown",
        ),
    ],
)
def test_a_view_that_cannot_be_applied_shows_nothing(solo: Office, rule: str, fault: str) -> None:
    office = activated(solo, f'[[view]]\ndata = "train"\nroles = ["*"]\n{rule}\n')
    error = office.refused("olga", "data", "read", "train", "--out", "seen.csv")
    assert error["rule"] == fault
    assert not (office.root / "seen.csv").exists()
    assert list(office.root.glob(".seal-read-*")) == []


def test_a_filter_of_another_type_shows_nothing(solo: Office) -> None:
    office = activated(solo, '[[view]]\ndata = "train"\nroles = ["*"]\nrows = ["region > 5"]\n')
    assert office.seal("olga", "data", "read", "train", "--out", "seen.csv")[0] == 2
    assert not (office.root / "seen.csv").exists()


@pytest.mark.parametrize(
    "text",
    [
        'rows = ["region"]',
        'rows = ["region == EU"]',
        'rows = ["age > 1.5"]',
        'columns = {name = "blur"}',
        'roles = ["king"]',
        'colums = {name = "hash"}',
    ],
)
def test_a_view_that_makes_no_sense_does_not_load(text: str) -> None:
    roles = "" if "roles" in text else 'roles = ["*"]\n'
    with pytest.raises(BadInput):
        views.parse(f'[[view]]\ndata = "train"\n{roles}{text}\n', "data.toml")


def test_an_edited_view_is_not_in_force(solo: Office) -> None:
    office = activated(solo, RULES)
    office.granted("view")
    (office.root / "policies/access/data.toml").write_text("")
    assert "access.not-active" in office.refused("eli", "data", "read", "train")["rule"]


def test_a_purpose_the_data_does_not_allow(solo: Office) -> None:
    office = activated(solo, RULES)
    office.granted("view", purpose="marketing")
    denied = office.refused("eli", "data", "read", "train", "--purpose", "marketing")
    assert denied["rule"] == "access.purpose"
    assert "seal access purposes data:train@1" in denied["hint"]
    assert office.ok("eli", "access", "purposes", "train")["purposes"] == ["audit", "fraud"]


def test_what_is_made_of_two_inherits_what_both_allow() -> None:
    declared = views.parse(
        '[data.a]\npurposes = ["fraud", "audit"]\n[data.b]\npurposes = ["audit", "ads"]\n'
        '[data.c]\npurposes = ["ads"]\n',
        "data.toml",
    )
    a, b, c = (Artifact(f"data:{name}@1", name * 64) for name in "abc")
    both, none = Artifact("model:m@1", "d" * 64), Artifact("data:free@1", "e" * 64)
    graph = _graph({both.digest: (a, b)})
    assert views.purposes_of([both], declared, graph) == {"audit"}
    assert views.purposes_of([both, c], declared, graph) == frozenset()
    assert views.purposes_of([none], declared, graph) is None


def test_a_derived_dataset_is_refused_for_what_its_source_forbids(solo: Office) -> None:
    office = activated(solo, RULES)
    office.ok(
        "olga",
        "data",
        "add",
        "data/train.csv",
        "--name",
        "copy",
        "--from",
        "data:train",
        "--reason",
        "a copy",
        "--force-version",
    )
    office.granted("view", resource="data:copy", purpose="marketing")
    denied = office.refused("eli", "data", "read", "copy", "--purpose", "marketing")
    assert denied["rule"] == "access.purpose"
    office.granted("view", resource="data:copy", purpose="audit")
    assert office.ok("eli", "data", "read", "copy", "--purpose", "audit")["rows"] == 8


def _graph(edges: dict[str, tuple[Artifact, ...]]) -> Graph:
    """Lineage of what is made from what, from statements as the log would hold them."""
    from sealwright.core.records import Recorded, Statement
    from sealwright.evidence.history import Head, History

    entries = tuple(
        Recorded(
            index,
            "0" * 64,
            "",
            Statement(
                (Artifact("made", made),),
                predicates.DATASET_VERSION,
                {"inputs": [{"name": a.name, "digest": a.digest} for a in used]},
            ),
        )
        for index, (made, used) in enumerate(edges.items())
    )
    return Graph.of(History(b"", Head(len(entries), "0" * 64), entries))
