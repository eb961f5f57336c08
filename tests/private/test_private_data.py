"""Masked, tokenized, generalised and thinned versions, as typed; and what was found in data."""

from __future__ import annotations

import csv
import random
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "app"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "access"))
from access_house import Office
from app_house import Project

from sealwright.core import predicates

PEOPLE = [
    ("ann@mail.org", "4111 1111 1111 1111", "1971-03-04", 34, "10115", 1),
    ("bob@mail.org", "5555 5555 5555 4444", "1984-12-05", 37, "10117", 0),
    ("ann@mail.org", "4012 8888 8888 1881", "1990-07-30", 61, "80331", 1),
    (None, "3782 822463 10005", "1984-12-06", 65, "80333", 0),
]
HEAD = ["email", "card", "born", "age", "postcode", "label"]


@pytest.fixture
def project(tmp_path, monkeypatch, capsys) -> Project:
    root = tmp_path / "shop"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("SEAL_PASSPHRASE", raising=False)
    monkeypatch.setenv("SEAL_PRINCIPAL", "ada")
    project = Project(root, tmp_path / "state", capsys)
    (root / "data").mkdir()
    with (root / "data" / "people.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEAD, *PEOPLE])
    project.ok("init")
    project.ok(
        "data", "add", "data/people.csv", "--name", "people", "--label", "label",
        "--sensitivity", "sensitive", "--reason", "first",
    )  # fmt: skip
    return project


def table(project: Project, path: str) -> dict[str, list]:
    return pq.read_table(project.root / path).to_pydict()


def derivations(project: Project) -> list[dict]:
    return [each for each in project.statements() if each["type"] == "derivation"]


def test_masking_gives_a_version_with_lineage_and_the_sources_sensitivity(project):
    words = ("--drop", "born", "--hash", "email", "--last4", "card", "--partial", "postcode")
    made = project.ok("data", "mask", "people", *words, "--reason", "for the model")
    assert (made["ref"], made["parents"]) == ("data:people-masked@1", ["data:people@1"])
    assert (made["sensitivity"], made["label"]) == ("sensitive", "label")
    held = table(project, made["path"])
    assert list(held) == ["email", "card", "age", "postcode", "label"]
    assert held["email"][0] == held["email"][2] != held["email"][1]
    assert held["email"][3] == ""
    assert held["card"] == ["****1111", "****4444", "****1881", "****0005"]
    assert "ann" not in str(held)
    assert len(derivations(project)) == 1


def test_a_derived_record_is_traced_to_its_source_row(project):
    project.ok("data", "mask", "people", "--null", "email", "--name", "thin")
    project.ok("data", "generalise", "thin", "--bin", "age=10", "--name", "coarse")
    record = project.ok("lineage", "coarse", "--row", "2")["record"]
    assert [(each["ref"], each["file_row"]) for each in record["origins"]] == [
        ("data:thin@1", 2),
        ("data:people@1", 2),
    ]
    shown = project.ok("lineage", "data:people@1")
    assert [each["ref"] for each in shown["into"]] == ["data:thin@1"]


def test_revoking_the_source_reaches_what_was_derived(project):
    project.ok("data", "mask", "people", "--drop", "card")
    project.ok("data", "revoke", "people", "--reason", "consent withdrawn")
    shown = project.ok("data", "show", "people-masked")
    assert shown["status"] != "active"


def test_tokens_join_within_a_purpose_and_not_across(project):
    columns = ("--column", "email", "--column", "card")
    one = project.ok("data", "tokenize", "people", *columns, "--purpose", "fraud", "--name", "a")
    two = project.ok("data", "tokenize", "people", *columns, "--purpose", "fraud", "--name", "b")
    other = project.ok("data", "tokenize", "people", *columns, "--purpose", "ads", "--name", "c")
    a, b, c = (table(project, each["path"]) for each in (one, two, other))
    assert a["email"] == b["email"]
    assert a["email"][0] == a["email"][2] is not None
    assert {t for t in a["email"] if t} & {t for t in c["email"] if t} == set()
    assert a["email"][3] == ""
    assert set(a["card"]) & set(c["card"]) == set()


def test_detokenizing_wants_the_purpose_and_is_in_the_log_before_it_shows(project):
    made = project.ok("data", "tokenize", "people", "--column", "email", "--purpose", "fraud")
    ref = made["ref"]
    code, body, _ = project.seal("data", "detokenize", ref, "--purpose", "ads")
    assert (code, body["error"]["rule"]) == (1, "token.purpose")
    shown = project.ok("data", "detokenize", ref, "--purpose", "fraud", "--reason", "a dispute")
    rows = list(csv.DictReader(shown["csv"].splitlines()))
    assert [row["email"] for row in rows] == ["ann@mail.org", "bob@mail.org", "ann@mail.org", ""]
    assert sum(each["type"] == "read" for each in project.statements()) == 1


def test_irreversible_tokens_stay_what_they_are(project):
    words = ("--column", "email", "--purpose", "fraud", "--irreversible")
    ref = project.ok("data", "tokenize", "people", *words)["ref"]
    code, body, _ = project.seal("data", "detokenize", ref, "--purpose", "fraud")
    assert (code, body["error"]["kind"]) == (2, "BadInput")


def test_format_preserving_tokens_look_like_cards_and_short_fields_are_refused(project):
    words = ("--purpose", "fraud", "--format-preserving")
    made = project.ok("data", "tokenize", "people", "--column", "card", *words)
    cards = table(project, made["path"])["card"]
    assert [len(each) for each in cards] == [19, 19, 19, 17]
    assert cards[0][4] == " "
    assert cards[0] != PEOPLE[0][1]
    shown = project.ok("data", "detokenize", made["ref"], "--purpose", "fraud")
    assert PEOPLE[0][1] in shown["csv"]
    code, body, _ = project.seal("data", "tokenize", "people", "--column", "postcode", *words)
    assert (code, "800-38G" in body["error"]["why"]) == (2, True)
    assert not (project.root / "data" / ".seal-derive-").exists()


def test_generalising_prints_how_alike_records_are_before_and_after(project):
    words = ("--bin", "age=30", "--date", "born=year", "--prefix", "postcode=2")
    made = project.ok("data", "generalise", "people", *words, "--quasi", "age,postcode")
    held = table(project, made["path"])
    assert held["age"] == ["[30, 60)", "[30, 60)", "[60, 90)", "[60, 90)"]
    assert held["born"] == ["1971", "1984", "1990", "1984"]
    assert held["postcode"] == ["10***", "10***", "80***", "80***"]
    assert (made["anonymity"]["before"]["k"], made["anonymity"]["after"]["k"]) == (1, 2)


def test_a_lower_sensitivity_is_a_persons_to_confirm(project):
    mask = ("data", "mask", "people", "--drop", "email", "--drop", "card", "--drop", "born")
    kept = project.ok(*mask, "--name", "kept", "--sensitivity", "internal")
    assert kept["sensitivity"] == "sensitive"
    lowered = ("--name", "low", "--sensitivity", "internal", "--confirm")
    assert project.seal(*mask, *lowered)[0] == 2
    made = project.ok(*mask, *lowered, "--reason", "nobody can be told apart")
    assert made["sensitivity"] == "internal"


@pytest.mark.parametrize(
    "words",
    [
        ("mask", "people", "--drop", "nothing"),
        ("mask", "people", "--drop", "email", "--null", "email"),
        ("mask", "people", "--drop", "label"),
        ("mask", "people"),
        ("mask", "people", "--drop", "email", "--name", "people"),
        ("mask", "people", "--drop", "email", "--out", "../out.parquet"),
        ("generalise", "people", "--bin", "email=10"),
        ("generalise", "people", "--bin", "age=0"),
        ("generalise", "people", "--bin", "age"),
        ("generalise", "people", "--date", "age=year"),
        ("detokenize", "people", "--purpose", "fraud"),
        ("minimize", "people"),
    ],
)
def test_what_cannot_be_derived_is_refused_in_words_and_leaves_nothing(project, words):
    before = project.tree()
    code, body, _ = project.seal("data", *words)
    assert (code, body["error"]["kind"]) == (2, "BadInput")
    assert project.tree() == before
    assert derivations(project) == []


def test_minimizing_shows_the_cost_of_each_column_and_drops_what_costs_nothing(project):
    draw = random.Random(5)
    lines = ["signal,noise,constant,label"]
    for _ in range(400):
        signal = draw.random()
        lines.append(f"{signal:.3f},{draw.random():.3f},7,{int(signal > 0.5)}")
    project.write("data/task.csv", "\n".join(lines) + "\n")
    project.ok("data", "add", "data/task.csv", "--name", "task", "--label", "label")
    shown = project.ok("data", "minimize", "task")
    costs = {each["column"]: float(each["cost"]) for each in shown["columns"]}
    assert costs["signal"] > 0.3
    assert float(shown["accuracy"]) > 0.9
    assert costs["constant"] <= 0.0
    made = project.ok(
        "data", "minimize", "task", "--max-cost", "0.01", "--reason", "less is enough"
    )
    assert list(table(project, made["path"])) == ["signal", "label"]
    assert float(made["utility"]["accuracy_lost"]) <= 0.01


def test_a_column_is_classified_and_enforced_only_once_somebody_confirms(project):
    rows = "".join(f"x{n}@mail.org,hello,{n}\n" for n in range(30))
    project.write("data/leads.csv", "mail,note,n\n" + rows)
    project.ok("data", "add", "data/leads.csv", "--name", "leads")
    found = project.ok("data", "classify", "leads")
    kinds = {each["column"]: [k["kind"] for k in each["kinds"]] for each in found["columns"]}
    assert kinds == {"mail": ["email"], "note": [], "n": []}
    assert (found["suggested"], found["sensitivity"], found["entry"]) == ("internal", "", -1)
    made = project.ok("data", "mask", "leads", "--drop", "note")
    assert made["sensitivity"] == ""
    assert project.seal("data", "classify", "leads", "--confirm", "internal")[0] == 2
    project.ok("data", "classify", "leads", "--confirm", "internal", "--reason", "mail addresses")
    made = project.ok("data", "mask", "leads", "--drop", "note", "--name", "later")
    assert made["sensitivity"] == "internal"


def test_classifying_sees_cards_and_dates_and_confirms_nothing_lower(project):
    found = project.ok("data", "classify", "people")
    kinds = {each["column"]: {k["kind"] for k in each["kinds"]} for each in found["columns"]}
    assert "card" in kinds["card"]
    assert "email" in kinds["email"]
    assert "birth-date" in kinds["born"]
    code, body, _ = project.seal("data", "classify", "people", "--confirm", "public")
    assert (code, body["error"]["kind"]) == (2, "BadInput")


def test_statements_hold_no_cell(project):
    project.ok("data", "tokenize", "people", "--column", "email", "--purpose", "fraud")
    project.ok("data", "classify", "people", "--confirm", "sensitive", "--reason", "cards")
    log = (project.root / ".seal" / "ledger.db").read_bytes()
    for secret in (b"ann@mail.org", b"4111 1111", b"10115"):
        assert secret not in log


def test_in_a_team_tokens_turn_back_only_with_grants_on_both_versions(
    tmp_path, monkeypatch, capsys
):
    office = Office(tmp_path, monkeypatch, capsys)
    office.open("team", ("olga", "dora", "eli"))
    office.add()
    made = office.ok(
        "dora", "data", "tokenize", "train", "--column", "name", "--purpose", "fraud",
        "--name", "tok", "--reason", "for eli",
    )  # fmt: skip
    ask = ("data", "detokenize", made["ref"], "--purpose", "fraud", "--reason", "a dispute")
    assert office.refused("eli", *ask)["rule"] == "access.no-grant"
    office.granted("view", "--until", "+2h", resource="data:tok")
    assert office.refused("eli", *ask)["kind"] == "GateDenied"
    office.granted("view", "--until", "+2h", resource="data:train")
    shown = office.ok("eli", *ask)
    assert "p3" in shown["csv"]
    reads = list(office.history().of_type(predicates.READ))
    assert {s.name for s in reads[-1].statement.subjects} == {"data:tok@1", "data:train@1"}
    assert office.refused("eli", "data", "mask", "train", "--drop", "name")["kind"] == "GateDenied"
