"""`seal redteam extraction`: a model in its worker is robbed, and the log says how well it went."""

import json

import pytest
from app_house import needs_room

pytestmark = needs_room
pytest.importorskip("sklearn")

TRAIN = """\
import joblib, numpy as np
from sklearn.linear_model import LogisticRegression
table = np.loadtxt("data/train.csv", delimiter=",", skiprows=1)
joblib.dump(LogisticRegression().fit(table[:, :-1], table[:, -1].astype(int)), "model.joblib")
"""
ROWS = "a,b,label\n" + "".join(
    f"{(7 * i) % 41},{(11 * i) % 43},{int((7 * i) % 41 > (11 * i) % 43)}\n" for i in range(400)
)
FEW = ("--budget", "60", "--thieves", "in-distribution,random")


@pytest.fixture
def sealed(bare):
    """A project with a registered classifier."""
    bare.write("train.py", TRAIN)
    bare.write("data/train.csv", ROWS)
    bare.ok("init")
    words = ("--name", "train", "--label", "label", "--reason", "first")
    bare.ok("data", "add", "data/train.csv", *words)
    bare.ok("run", "--model", "model.joblib", "--", "python", "train.py")
    return bare


def test_a_model_is_robbed_and_the_log_says_how_well(sealed, tmp_path):
    page = tmp_path / "curves.html"
    told = sealed.ok("redteam", "extraction", "fraud@1", *FEW, "--target", "1", "--html", str(page))
    assert {one["thief"] for one in told["thieves"]} == {"in-distribution", "random"}
    assert all(0 < one["queries"] <= 60 for one in told["thieves"])
    assert told["budget"]["fidelity"] == "top1"
    assert "<svg" in page.read_text("utf-8")
    said = sealed.statements()[-1]
    assert said["type"] == "extraction-test"
    assert said["subjects"][0]["name"] == "model:fraud@1"
    assert (told["budget"]["pace"], told["budget"]["walks"]) == ([], False)
    # above the target: recorded too, and the exit code says so
    code, body, _ = sealed.seal("redteam", "extraction", "fraud@1", *FEW, "--target", "0.3")
    assert (code, body["over"]) == (1, True)
    gate = sealed.seal("policy", "check", "model:fraud@1", "--gate", "serve")[1]
    assert "extraction.above-target" in json.dumps(gate)
    refused = [
        (("--thieves", "burglar"), "no thief"),
        (("--budget", "-1"), "a budget of"),
        (("--target", "2"), "a target of"),
        (("--target", "much"), "a share such as"),
        (("--shape", "3x3"), "no picture of"),
    ]
    before = len(sealed.statements())
    for words, what in refused:
        code, body, _ = sealed.seal("redteam", "extraction", "fraud@1", *words)
        assert (code, what in body["error"]["what"]) == (2, True), body
    sealed.write("data/wide.csv", "a,b,c,label\n" + "1,2,3,0\n4,5,6,1\n" * 40)
    sealed.ok("data", "add", "data/wide.csv", "--name", "wide", "--label", "label", "--reason", "x")
    code, body, _ = sealed.seal("redteam", "extraction", "fraud@1", *FEW, "--data", "wide@1")
    assert (code, body["error"]["rule"]) == (1, "loader.answer")
    sealed.write("data/few.csv", "a,b,label\n1,2,0\n3,1,1\n")
    sealed.ok("data", "add", "data/few.csv", "--name", "few", "--label", "label", "--reason", "x")
    code, body, _ = sealed.seal("redteam", "extraction", "fraud@1", *FEW, "--data", "few@1")
    assert (code, "has 2 records" in body["error"]["what"]) == (2, True)
    assert "extraction-test" not in [one["type"] for one in sealed.statements()[before:]]


def test_thieves_meet_the_guard_as_it_is_configured_and_the_evidence_says_so(sealed):
    toml = sealed.root / "seal.toml"
    toml.write_text(
        toml.read_text("utf-8") + "\n[serve]\ncells = 12\npace = [[100, 4], [900, 12]]\n"
    )
    told = sealed.ok("redteam", "extraction", "fraud@1", *FEW, "--target", "1")
    budget = told["budget"]
    assert (budget["cells"], budget["walks"]) == (12, True)
    assert budget["pace"] == [[100_000, 4], [900_000, 12]]
    assert all(one["cells"] <= 12 for one in told["thieves"])
    plain = sealed.ok("redteam", "extraction", "fraud@1", *FEW, "--target", "1", "--plain")
    assert (plain["budget"]["cells"], plain["budget"]["pace"]) == (0, [])
    assert plain["budget"]["walks"] is False
    most = {one["thief"]: one["cells"] for one in plain["thieves"]}
    assert most["random"] > 12
