"""Who may set and remove the secrets of runs: an owner, or somebody who is alone."""

from __future__ import annotations

import io

import pytest
from access_house import Office

from sealwright.core import predicates

SET = ("secret", "set", "API_TOKEN", "--reason", "for the store")
REMOVE = ("secret", "remove", "API_TOKEN", "--reason", "rotated")


@pytest.fixture(autouse=True)
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("v3ry-s3cret-value\n"))


@pytest.mark.parametrize("words", [SET, REMOVE])
def test_a_member_who_is_no_owner_changes_no_secret(office: Office, words: tuple[str, ...]) -> None:
    before = office.ok("olga", "secret", "list")
    denied = office.refused("eli", *words)
    assert denied["rule"] == "access.no-rule"
    assert "secret:API_TOKEN" in denied["what"]
    assert office.ok("olga", "secret", "list") == before
    assert office.history().of_type(predicates.SECRET) == ()
    (*_, last) = office.history().of_type(predicates.ACCESS)
    assert last.statement.predicate["allowed"] is False


def test_an_owner_changes_secrets_and_the_log_says_who_was_asked(office: Office) -> None:
    office.ok("olga", *SET)
    office.ok("olga", *REMOVE)
    *_, put, gone = (e.statement.predicate for e in office.history().of_type(predicates.ACCESS))
    for said in (put, gone):
        assert (said["action"], said["allowed"], said["actor"]) == ("administer", True, "olga")
    assert len(office.history().of_type(predicates.SECRET)) == 2


def test_an_owner_who_is_alone_is_asked_nothing(tmp_path, monkeypatch, capsys) -> None:
    office = Office(tmp_path, monkeypatch, capsys)
    office.open("solo", people=())
    office.ok("olga", *SET)
    assert office.history().of_type(predicates.ACCESS) == ()
