"""``seal data contract``, and what a version that does not conform can and cannot do."""

from app_house import needs_room

RULES = ("contract.range", "contract.category", "contract.nulls")


def rows(*more: str, count: int = 120) -> str:
    kinds = ("new", "open", "done")
    lines = [f"{i},{20 + i % 50},{kinds[i % 3]},{i % 2}" for i in range(count)]
    return "\n".join(["id,age,kind,label", *lines, *more]) + "\n"


def begin(project) -> None:
    project.write("data/train.csv", rows())
    project.ok("init")
    project.ok("data", "add", "data/train.csv", "--name", "train", "--reason", "first")


def contract(project) -> dict:
    begin(project)
    project.ok("data", "contract", "infer", "train")
    return project.ok("data", "contract", "activate", "train", "--reason", "agreed")


def add(project, text: str) -> tuple[dict, str]:
    project.write("data/train.csv", text)
    code, body, err = project.seal("data", "add", "data/train.csv", "--name", "train")
    assert code == 0, err
    return body, err


def test_a_contract_is_drawn_edited_activated_and_shown(bare):
    begin(bare)
    made = bare.ok("data", "contract", "infer", "train")
    page = bare.root / "contracts" / "train.toml"
    assert made["file"] == "contracts/train.toml" and "# seen: 20 to 69" in page.read_text()
    code, body, _ = bare.seal("data", "contract", "infer", "train")
    assert code == 2 and "--force" in body["error"]["hint"]
    page.write_text(page.read_text().replace("max = 74", "max = 200"))
    active = bare.ok("data", "contract", "activate", "train", "--reason", "agreed")
    assert active["version"] == 1 and active["check"]["conforms"]
    shown = bare.ok("data", "contract", "show", "train")
    assert shown["digest"] == active["digest"] and "max = 200" in shown["contract"]
    assert shown["draft"] == ""
    page.write_text(page.read_text().replace("max = 200", "max = 30"))
    assert bare.ok("data", "contract", "show", "train")["draft"] != ""
    code, body, _ = bare.seal("data", "contract", "check", "train", "--draft")
    assert code == 1 and body["breaches"][0]["rule"] == "contract.range" and body["entry"] == -1
    assert bare.ok("data", "contract", "check", "train")["conforms"]


def test_an_activation_says_why_and_about_which_dataset(bare):
    begin(bare)
    bare.ok("data", "contract", "infer", "train")
    code, body, _ = bare.seal("data", "contract", "activate", "train")
    assert code == 2 and "says why" in body["error"]["what"]
    page = bare.root / "contracts" / "train.toml"
    page.write_text(page.read_text().replace('name = "train"', 'name = "other"'))
    code, body, _ = bare.seal("data", "contract", "activate", "train", "--reason", "x")
    assert code == 2 and "'other'" in body["error"]["what"]
    code, body, _ = bare.seal("data", "contract", "show", "train")
    assert code == 2 and "no contract" in body["error"]["what"]


def test_a_version_that_does_not_conform_is_kept_and_marked(bare):
    contract(bare)
    body, err = add(bare, rows("120,999,new,1", "121,30,odd,0"))
    assert body["version"] == 2
    assert "contract.range: column 'age': 1 of 122 records, first 120" in err
    assert "contract.category: column 'kind': 1 of 122 records, first 121" in err
    statement = bare.statements()[-1]
    assert statement["predicate_type"].endswith("contract-check/v1")


def test_no_statement_of_a_contract_holds_a_value(bare):
    from sealwright.app import wiring

    contract(bare)
    add(bare, rows("120,314159265358979,new,1", "121,30,odd-one-out,0"))
    history = wiring.open_workspace().history()
    said = str([e.statement for e in history.entries if "contract" in e.statement.predicate_type])
    assert "contract.category" in said
    assert not any(value in said for value in ("314159265358979", "odd-one-out", "open", "done"))


def test_equal_checks_have_equal_reports(bare):
    contract(bare)
    add(bare, rows("120,999,new,1"))
    reports = {bare.seal("data", "contract", "check", "train")[1]["report"] for _ in range(2)}
    assert len(reports) == 1


@needs_room
def test_solo_warns_of_values_and_refuses_another_form(bare):
    contract(bare)
    add(bare, rows("120,999,new,1"))
    code, body, err = bare.seal("run", "--model", "model.json", "--", "python", "train.py")
    assert code == 0, err
    warned = " ".join(body["runs"][0]["warnings"])
    assert "contract.broken" in warned and "column 'age': 1 of 121 records, first 120" in warned
    add(bare, rows().replace("age", "years"))
    code, body, err = bare.seal("run", "--model", "model.json", "--", "python", "train.py")
    assert code == 1 and body["error"]["rule"] == "contract.form"
    assert "contract.column-missing: column 'age'" in body["error"]["why"]


@needs_room
def test_team_refuses_before_training_and_names_column_counts_and_records(office):
    path = office.root / "data" / "train.csv"
    path.write_text(rows())
    office.add()
    office.ok("dora", "data", "contract", "infer", "train")
    office.ok("dora", "data", "contract", "activate", "train", "--reason", "agreed")
    office.granted("train")
    train = ("run", "--purpose", "fraud", "--model", "model.json", "--", "python", "train.py")
    path.write_text(rows("120,999,new,1", ",,,"))
    office.add()
    denied = office.refused("eli", *train)
    assert denied["rule"] == "contract.broken"
    why = denied["why"]
    assert "column 'age': 1 of 122 records, first 120" in why
    assert "contract.nulls" in why and "999" not in why
    assert not (office.root / "model.json").exists()
    explained = office.ok("aude", "policy", "explain", denied["decision"][:16])
    assert explained["facts"]["contract_broken"] >= 2
    path.write_text(rows("120,33,new,1"))
    office.add()
    office.ok("eli", *train)


def test_a_contract_from_pandera_is_a_page_like_any_other(bare):
    import pandera.pandas as pan

    begin(bare)
    schema = pan.DataFrameSchema({"age": pan.Column(int, pan.Check.ge(25))})
    bare.write("schema.json", schema.to_json())
    made = bare.ok("data", "contract", "infer", "train", "--from-pandera", "schema.json")
    assert made["columns"] == 1
    bare.ok("data", "contract", "activate", "train", "--reason", "as agreed elsewhere")
    code, body, _ = bare.seal("data", "contract", "check", "train")
    assert code == 1 and [b["rule"] for b in body["breaches"]] == ["contract.range"]
