"""``seal data`` as a person and a program meet it: exit codes, JSON shapes, words."""

from __future__ import annotations

import json

import pytest

from sealwright.app.cli import main

ROWS = "x,label\n" + "".join(f"{i},{i % 2}\n" for i in range(200))


def test_show_has_the_stable_keys(project) -> None:
    shown = project.ok("data", "show", "train")
    assert {"ref", "root", "rows", "digest", "parents"} <= set(shown)
    assert (shown["ref"], shown["rows"], shown["parents"]) == ("data:train@1", 200, [])
    assert [each["name"] for each in shown["columns"]] == ["x", "label"]
    assert shown["files"][0]["path"] == "train.csv"


def test_adding_unchanged_data_exits_0_without_a_version(project) -> None:
    entries = len(project.statements())
    again = project.ok("data", "add", "data/train.csv", "--name", "train")
    assert (again["outcome"], again["ref"]) == ("unchanged", "data:train@1")
    assert len(project.statements()) == entries


def test_list_and_log_are_newest_first(project) -> None:
    project.write("data/train.csv", ROWS + "7,1\n")
    added = project.ok("data", "add", "data/train.csv", "--name", "train", "--reason", "one more")
    assert (added["change"]["added"], added["previous"]["ref"]) == (1, "data:train@1")
    project.ok("data", "add", "data/train.csv", "--name", "other")
    newest = project.ok("data", "list")["datasets"]
    assert [each["ref"] for each in newest] == ["data:other@1", "data:train@2"]
    every = project.ok("data", "list", "--all")["datasets"]
    assert [each["ref"] for each in every] == ["data:other@1", "data:train@2", "data:train@1"]
    log = project.ok("data", "log", "train")["versions"]
    assert [(each["reason"], each["actor"]) for each in log] == [
        ("one more", "ada"),
        ("first", "ada"),
    ]


def test_diff_names_rows(project) -> None:
    project.write("data/train.csv", ROWS.replace("\n41,1\n", "\n41,0\n"))
    project.ok("data", "add", "data/train.csv", "--name", "train", "--key", "x")
    found = project.ok("data", "diff", "train")
    assert (found["old"], found["new"]) == ("data:train@1", "data:train@2")
    assert (found["added"], found["removed"], found["edited"]) == (0, 0, 1)
    assert found["rows"]["edited_new"] == [{"path": "train.csv", "rows": [41]}]
    code, body, _ = project.seal("data", "diff", "train@1")
    assert (code, body["error"]["kind"]) == (2, "BadInput")


def test_verify_passes_then_names_the_file_that_changed_in_the_store(project) -> None:
    assert project.ok("data", "verify", "train")["verified"] is True
    assert [each["ref"] for each in project.ok("data", "verify")["datasets"]] == ["data:train@1"]
    segments = (project.root / ".seal" / "store" / "data:train").rglob("*.seg")
    path = max(segments, key=lambda each: each.stat().st_size)
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    code, body, _ = project.seal("data", "verify", "train")
    assert code == 1
    assert body["error"]["evidence"][0] == "data/train.csv"
    assert body["error"]["rule"].startswith("store.")


def test_a_proof_is_checked_without_a_workspace(project, tmp_path, monkeypatch) -> None:
    root = project.ok("data", "show", "train")["root"]
    project.ok("data", "prove", "train@1", "--row", "41", "--out", "row.json", "--reveal")
    trust = (project.root / ".seal" / "trust" / "1.json").read_bytes()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "row.json").write_bytes((project.root / "row.json").read_bytes())
    (elsewhere / "trust.json").write_bytes(trust)
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("XDG_STATE_HOME", str(elsewhere / "no-state"))
    by_root = project.ok("data", "prove", "--check", "row.json", "--root", root)
    assert (by_root["verified"], by_root["values"]) == (True, {"x": 41, "label": 1})
    signed = project.ok("data", "prove", "--check", "row.json", "--trust", "trust.json")
    assert (signed["ref"], signed["root"]) == ("data:train@1", root)
    code, body, _ = project.seal("data", "prove", "--check", "row.json")
    assert (code, body["error"]["kind"]) == (2, "UnknownSigner")
    code, body, _ = project.seal("data", "prove", "--check", "row.json", "--trust", "0" * 64)
    assert (code, body["error"]["kind"]) == (2, "UnknownSigner")
    code, _, _ = project.seal("data", "prove", "--check", "row.json", "--root", "0" * 64)
    assert code == 1


@pytest.mark.parametrize("part", ["record", "reveal", "statement", "log", "trust", "root"])
def test_a_changed_proof_file_is_refused(project, part: str) -> None:
    project.ok("data", "prove", "train@1", "--row", "41", "--out", "row.json", "--reveal")
    trust = str(project.root / ".seal" / "trust" / "1.json")
    proof = json.loads((project.root / "row.json").read_bytes())
    if part == "record":
        proof["record"]["row"] = 40
    elif part == "reveal":
        text = proof["reveal"]["preimage"]
        proof["reveal"]["preimage"] = text[:-8] + ("A" if text[-8] != "A" else "B") + text[-7:]
    elif part == "statement":
        proof["statement"] = proof["statement"][:-40] + "A" * 40
    elif part == "log":
        proof["log"] = proof["log"].replace("index ", "index 1")
    elif part == "trust":
        proof["trust"] = []
    else:
        proof["root"] = "0" * 64
    (project.root / "row.json").write_text(json.dumps(proof))
    words = ["data", "prove", "--check", "row.json"]
    words += ["--root", "0" * 64] if part == "root" else ["--trust", trust]
    code, body, _ = project.seal(*words)
    assert code == 1, body
    assert body["error"]["rule"]


def test_a_proof_without_reveal_holds_no_value_of_the_row(bare) -> None:
    bare.ok("init")
    bare.write("data/secret.csv", "name\nneedle-one\nneedle-two\n")
    bare.ok("data", "add", "data/secret.csv")
    proof = bare.ok("data", "prove", "secret", "--row", "1")["proof"]
    assert "needle" not in json.dumps(proof)
    assert "reveal" not in proof


def test_revoking_lists_what_it_blocks(project) -> None:
    project.write("data/clean.csv", "x\n1\n")
    project.ok("data", "add", "data/clean.csv", "--from", "train@1")
    would = project.ok("data", "revoke", "train@1", "--reason", "bad labels", "--dry-run")
    assert (would["revoked"], [each["ref"] for each in would["blast"]]) == (
        False,
        ["data:clean@1"],
    )
    assert project.ok("data", "show", "train")["status"] == "active"
    project.ok("data", "revoke", "train@1", "--reason", "bad labels")
    status = {each["ref"]: each["status"] for each in project.ok("data", "list")["datasets"]}
    assert status == {"data:train@1": "revoked", "data:clean@1": "blocked"}
    assert project.ok("data", "show", "clean")["parents"] == ["data:train@1"]


def test_data_revoked_by_mistake_is_signed_anew(project) -> None:
    project.ok("data", "revoke", "train@1", "--reason", "a mistake")
    code, again, err = project.seal("data", "add", "data/train.csv", "--name", "train")
    assert (code, again["outcome"]) == (0, "unchanged")
    assert "data:train@1 is revoked" in err
    project.ok("data", "add", "data/train.csv", "--name", "train", "--force-version")
    assert project.ok("data", "show", "train")["status"] == "active"
    assert project.ok("data", "show", "train@1")["status"] == "revoked"


def test_the_ledger_holds_no_cell_value(bare) -> None:
    bare.ok("init")
    bare.write("data/secret.csv", "name,label\nneedle-one,1\nneedle-two,0\n")
    bare.ok("data", "add", "data/secret.csv", "--label", "label", "--key", "name")
    kept = [path for path in (bare.root / ".seal").rglob("*") if path.is_file()]
    kept += [path for path in bare.state.rglob("*") if path.is_file()]
    assert len(kept) > 10
    assert not [path for path in kept if b"needle" in path.read_bytes()]


def test_without_a_path_the_datasets_of_the_settings_are_added(bare) -> None:
    bare.ok("init")
    bare.write("data/other.csv", "id,y\n1,2\n")
    bare.write(
        "seal.toml",
        '[data.train]\npath = "data/train.csv"\nlabel = "label"\n'
        '[data.other]\npath = "data/other.csv"\nkey = "id"\nreference = true\n',
    )
    added = bare.ok("data", "add")["datasets"]
    assert [(each["ref"], each["label"], each["key"], each["external"]) for each in added] == [
        ("data:train@1", "label", "", False),
        ("data:other@1", "", "id", True),
    ]
    assert bare.ok("data", "add", "--name", "other")["datasets"][0]["outcome"] == "unchanged"


def test_a_name_is_made_from_the_file(bare) -> None:
    bare.ok("init")
    bare.write("data/My Data (1).csv", "a\n1\n")
    assert bare.ok("data", "add", "data/My Data (1).csv")["ref"] == "data:my-data-1@1"


def test_people_read_words(project, capsys) -> None:
    for words, said in [
        (["list"], "data:train@1"),
        (["show", "train"], "columns   x int, label int"),
        (["log", "train"], "+200 -0 ~0"),
        (["verify", "train"], "is what was signed: 200 records in 1 file"),
        (["add", "data/train.csv", "--name", "train"], "unchanged"),
        (["prove", "train", "--row", "0", "--out", "p.json"], "row 0 of data:train@1 is proven"),
    ]:
        capsys.readouterr()
        assert main(["data", *words]) == 0
        assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["show", "none"],
        ["show", "model:x@1"],
        ["prove", "train"],
        ["prove", "train", "--row", "200"],
        ["add", "../outside.csv"],
        ["add", "data/none.csv"],
        ["add", "data/train.csv", "--kind", "excel"],
        ["revoke", "train@9", "--reason", "x"],
        ["revoke", "train@1", "--reason", " "],
        ["verify", "train@7"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_exits_2_with_words(project, words: list[str]) -> None:
    (project.root.parent / "outside.csv").write_text("a\n1\n")
    code, body, err = project.seal("data", *words)
    assert code == 2
    assert body["error"]["what"]
    assert "seal: error:" in err


def test_sensitivity_stays_until_another_is_given_and_alone_makes_a_version(project) -> None:
    words = ("data", "add", "data/train.csv", "--name", "train")
    assert project.ok("data", "show", "train")["sensitivity"] == ""
    raised = project.ok(*words, "--sensitivity", "sensitive")
    first = project.ok("data", "show", "train@1")
    assert (raised["ref"], raised["sensitivity"]) == ("data:train@2", "sensitive")
    assert raised["change"] == {"added": 0, "removed": 0, "edited": 0}
    assert raised["root"] == first["root"] and raised["digest"] != first["digest"]
    assert first["sensitivity"] == ""
    assert project.ok(*words)["outcome"] == "unchanged"
    project.write("data/train.csv", ROWS + "7,1\n")
    later = project.ok(*words)
    assert (later["ref"], later["sensitivity"]) == ("data:train@3", "sensitive")
    assert project.ok(*words, "--sensitivity", "public")["sensitivity"] == "public"
    assert project.ok("data", "verify", "train")["verified"] is True


def test_a_sensitivity_nobody_knows_is_refused_and_a_known_one_is_shown(project, capsys) -> None:
    words = ("data", "add", "data/train.csv", "--name", "train")
    code, _, err = project.seal(*words, "--sensitivity", "secret")
    assert code == 2 and "internal" in err
    project.ok(*words, "--sensitivity", "internal")
    assert main(["data", "show", "train"]) == 0
    assert "  sensitive internal\n" in capsys.readouterr().out


def test_data_made_from_sensitive_data_is_never_below_it(project) -> None:
    project.ok("data", "add", "data/train.csv", "--name", "train", "--sensitivity", "sensitive")
    project.write("data/part.csv", "x\n1\n")
    words = ("data", "add", "data/part.csv", "--name", "part", "--from", "train")
    made = project.ok(*words, "--sensitivity", "public")
    assert made["sensitivity"] == "sensitive"
    assert made["notes"] == ["data:part is sensitive, as what it is made from is"]


def test_the_settings_give_a_sensitivity_and_the_command_line_another(project) -> None:
    text = '[data.train]\npath = "data/train.csv"\nlabel = "label"\nsensitivity = "internal"\n'
    project.write("seal.toml", text)
    (added,) = project.ok("data", "add")["datasets"]
    assert (added["ref"], added["sensitivity"]) == ("data:train@2", "internal")
    words = ("data", "add", "data/train.csv", "--name", "train")
    assert project.ok(*words)["outcome"] == "unchanged"
    assert project.ok(*words, "--sensitivity", "sensitive")["sensitivity"] == "sensitive"
