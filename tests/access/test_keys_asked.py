"""Who may rotate, disable and enable keys: an owner, or somebody who is alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from access_house import Office

from sealwright.core import predicates

CHANGES = [
    ("rotate", "data:train"),
    ("rotate", "keyring"),
    ("rotate", "root"),
    ("rotate", "log"),
    ("disable", "data:train"),
    ("enable", "data:train"),
]


@pytest.mark.parametrize(("word", "key"), CHANGES)
def test_a_member_who_is_no_owner_changes_no_key(office: Office, word: str, key: str) -> None:
    office.add()
    before = office.ok("olga", "keys", "list"), office.ok("olga", "keys")["signers"]
    trust = office.workspace().trust.digest
    denied = office.refused("eli", "keys", word, key, "--reason", "curious")
    assert denied["rule"] == "access.no-rule"
    assert f"key:{key}" in denied["what"]
    assert denied["hint"] == "seal access whoami"
    assert (office.ok("olga", "keys", "list"), office.ok("olga", "keys")["signers"]) == before
    assert office.workspace().trust.digest == trust
    (*_, last) = office.history().of_type(predicates.ACCESS)
    assert last.statement.predicate["allowed"] is False


@pytest.mark.parametrize(("word", "key"), CHANGES)
def test_an_owner_changes_keys_and_the_log_says_who_was_asked(
    office: Office, word: str, key: str
) -> None:
    office.add()
    office.ok("olga", "keys", word, key, "--reason", "yearly")
    (*_, last) = office.history().of_type(predicates.ACCESS)
    said = last.statement.predicate
    assert (said["action"], said["allowed"], said["actor"]) == ("administer", True, "olga")
    assert last.statement.subjects[0].name == f"key:{key}"


def test_an_owner_enables_the_key_that_every_signature_needs(office: Office) -> None:
    office.ok("olga", "keys", "disable", "keyring", "--reason", "stolen laptop")
    assert office.seal("eli", "keys", "enable", "keyring", "--reason", "back")[0] != 0
    (kept,) = [k for k in office.ok("olga", "keys", "list")["keys"] if k["key"] == "keyring"]
    assert kept["state"] == "disabled"
    assert office.ok("olga", "keys", "enable", "keyring", "--reason", "back")["state"] == "enabled"
    office.add()


def test_a_member_who_is_no_owner_may_rehearse_a_theft(office: Office) -> None:
    assert office.ok("eli", "keys", "drill", "log")["held"]


def test_who_is_alone_in_solo_is_asked_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    house = Office(tmp_path, monkeypatch, capsys)
    house.open("solo", people=())
    house.add("olga")
    for word, key in (*CHANGES, ("disable", "keyring"), ("enable", "keyring")):
        house.ok("olga", "keys", word, key, "--reason", "yearly")
    assert not house.history().of_type(predicates.ACCESS)
