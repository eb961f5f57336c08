"""SARIF of every check: a rule for each result, places that are URIs, and no value."""

from __future__ import annotations

import json

from sealwright.app import secretscanning
from sealwright.supply import sarif
from sealwright.supply.sarif import Result, Rule

RULE = Rule("supply.x", "Something is wrong", "mend it")


def test_every_result_has_its_rule_and_a_rule_is_listed_once() -> None:
    made = json.loads(
        sarif.encode([Result(RULE, "error", "a", "p"), Result(RULE, "note", "b", "q")])
    )
    (run,) = made["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["supply.x"]
    assert [one["level"] for one in run["results"]] == ["error", "note"]
    assert (made["version"], run["tool"]["driver"]["name"]) == ("2.1.0", "sealwright")


def test_a_report_of_nothing_is_a_report() -> None:
    assert json.loads(sarif.encode([]))["runs"][0]["results"] == []


def test_a_place_is_a_uri_whatever_the_file_is_called() -> None:
    names = ["a b.py", "x#y", "\udcff.pkl", "ä"]
    made = json.loads(sarif.encode([Result(RULE, "error", "", name) for name in names]))
    places = [
        one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for one in made["runs"][0]["results"]
    ]
    assert places == ["a%20b.py", "x%23y", "%FF.pkl", "%C3%A4"]


def test_a_line_and_an_offset_are_regions_and_none_is_left_out() -> None:
    made = json.loads(
        sarif.encode(
            [
                Result(RULE, "error", "", "a", line=7),
                Result(RULE, "error", "", "a", offset=0),
                Result(RULE, "error", "", "a"),
            ]
        )
    )
    regions = [
        one["locations"][0]["physicalLocation"].get("region") for one in made["runs"][0]["results"]
    ]
    assert regions == [{"startLine": 7}, {"byteOffset": 0, "byteLength": 1}, None]


def test_a_credential_is_shown_by_its_place_and_followed_only_where_its_name_lasts() -> None:
    token = "glpat-" + "x7Kq9mZ2bV4nR8tW1yLs"
    known = secretscanning.without_workspace()
    looked = secretscanning.look(known, [("a.py", f"\nT = '{token}'\n".encode())])
    for lasting in (True, False):
        text = sarif.encode(secretscanning.results(looked.open, lasting))
        assert token not in text
        (one,) = json.loads(text)["runs"][0]["results"]
        assert one["locations"][0]["physicalLocation"]["region"] == {"startLine": 2}
        assert ("partialFingerprints" in one) is lasting
