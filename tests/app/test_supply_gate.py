"""`seal run` and its supply chain: what stands in the way is named, and a waiver is exact."""

import json
import pickle

import pytest
from app_house import needs_room

pytestmark = [needs_room, pytest.mark.supplied]

ADVISORY = {
    "id": "PYSEC-2026-9",
    "aliases": ["CVE-2026-9"],
    "modified": "2026-11-20T00:00:00Z",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "msgspec"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
        }
    ],
}
HARMLESS = {**ADVISORY, "id": "PYSEC-2026-8", "affected": [
    {**ADVISORY["affected"][0], "package": {"ecosystem": "PyPI", "name": "nowhere"}}]}  # fmt: skip
TOKEN = "glpat-" + "x7Kq9mZ2bV4nR8tW1yLs"
TRAIN = "import json, msgspec\njson.dump({'w': 1}, open('model.json', 'w'))\n"
RUN = ("run", "--model", "model.json", "--", "python", "train.py")


class Malice:
    def __reduce__(self):
        return (print, ("ran",))


@pytest.fixture
def team(bare):
    """A team workspace with one dataset and an index that speaks of nothing installed."""
    bare.write("train.py", TRAIN)
    bare.ok("init", "--profile", "team")
    words = ("--name", "train", "--label", "label", "--reason", "first")
    bare.ok("data", "add", "data/train.csv", *words)
    advise(bare, HARMLESS)
    return bare


def advise(project, *advisories) -> None:
    folder = project.root.parent / "osv"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for one in advisories:
        (folder / f"{one['id']}.json").write_text(json.dumps(one))
    project.ok("supply", "advisories", "update", "--from", str(folder))


def refusal(project) -> dict:
    code, body, _ = project.seal(*RUN)
    assert code == 1, body
    return body["error"]


def test_a_sound_run_passes_in_team_and_says_nothing(team) -> None:
    body = team.ok(*RUN)
    assert not [w for w in body["runs"][0]["warnings"] if "supply" in w]


def test_a_vulnerable_package_that_is_imported_refuses_the_run(team) -> None:
    advise(team, ADVISORY)
    error = refusal(team)
    assert error["rule"] == "supply.vulnerable"
    assert "msgspec" in error["why"] and "imported: yes" in error["why"]
    assert "seal supply waive PYSEC-2026-9 --package msgspec" in error["hint"]


def test_in_solo_the_same_package_warns(project) -> None:
    project.write("train.py", TRAIN)
    advise(project, ADVISORY)
    body = project.ok(*RUN)
    assert any(w.startswith("supply.vulnerable") for w in body["runs"][0]["warnings"])


def test_an_index_that_is_missing_refuses_in_team_and_warns_in_solo(bare) -> None:
    bare.write("train.py", TRAIN)
    bare.ok("init", "--profile", "team")
    bare.ok("data", "add", "data/train.csv", "--name", "train", "--reason", "first")
    error = refusal(bare)
    assert error["rule"] == "supply.unknown"
    assert "seal supply advisories update" in error["hint"]


def test_a_token_in_the_code_refuses_in_every_profile_and_is_never_printed(project) -> None:
    project.write("train.py", f"KEY = '{TOKEN}'\n{TRAIN}")
    code, body, err = project.seal(*RUN)
    assert (code, body["error"]["rule"]) == (1, "supply.secret")
    assert "train.py:1" in body["error"]["why"]
    assert TOKEN not in json.dumps(body) + err
    fingerprint = body["error"]["hint"].split("secret:")[1].split()[0]
    words = (f"secret:{fingerprint}", "--until", "+30d", "--reason", "a vendor's example")
    project.ok("supply", "waive", *words)
    project.ok(*RUN)


def test_a_pickle_with_code_in_it_refuses_the_run_and_is_not_opened(project) -> None:
    folder = project.root / "pretrained"
    folder.mkdir()
    (folder / "weights.pkl").write_bytes(pickle.dumps(Malice()))
    words = ("--name", "weights", "--kind", "files", "--reason", "from a hub")
    project.ok("data", "add", "pretrained", *words)
    code, body, err = project.seal("run", "--input", "train", "--input", "weights", *RUN[1:])
    assert code == 1, (body, err)
    assert body["error"]["rule"] == "supply.model-file"
    assert "pretrained/weights.pkl is dangerous" in body["error"]["why"]


def test_a_waiver_lets_exactly_that_one_through(project) -> None:
    project.write("train.py", TRAIN)
    advise(project, ADVISORY, {**ADVISORY, "id": "PYSEC-2026-7", "aliases": []})
    version = __import__("msgspec").__version__
    words = ("--package", "msgspec", "--versions", f"=={version}", "--until", "+30d")
    project.ok("supply", "waive", "PYSEC-2026-9", *words, "--reason", "not reachable")
    warned = project.ok(*RUN)["runs"][0]["warnings"]
    assert any("PYSEC-2026-7" in w for w in warned)
    assert not any("PYSEC-2026-9" in w for w in warned)


def test_the_log_says_what_was_checked_and_no_value(project) -> None:
    project.write("train.py", TRAIN)
    project.ok(*RUN)
    said = [e for e in project.statements() if e["predicate_type"].endswith("supply-check/v1")]
    assert said
    scans = [e for e in project.statements() if e["predicate_type"].endswith("model-scan/v1")]
    assert scans
