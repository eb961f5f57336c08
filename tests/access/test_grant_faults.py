"""Grants that must not open anything, each refused by name and kept in the log."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest
from access_house import PEOPLE, Office

from sealwright.core import predicates
from sealwright.core.records import Artifact, Statement
from sealwright.policy import grants


@pytest.fixture
def data(office: Office) -> Office:
    office.add()
    return office


def refusal(office: Office, who: str = "eli", *more: str) -> str:
    code, body, err = office.read(who, *more)
    assert code == 1, (body, err)
    rule: str = body["error"]["rule"]
    (*_, last) = office.history().of_type(predicates.ACCESS, predicates.READ)
    assert last.statement.predicate_type == predicates.ACCESS
    assert last.statement.predicate["failed"] == rule.split(", ")
    return rule


def opens(office: Office, who: str = "eli", *more: str) -> bool:
    return office.read(who, *more)[0] == 0


def record(office: Office, statement: Statement) -> None:
    """What somebody with the workspace key could write past every command."""
    workspace = office.workspace()
    workspace.recorder.record(statement)
    workspace.settle()


@pytest.mark.parametrize("who", ["olga", "dora", "eli", "rita", "max", "aude"])
def test_nobody_sees_rows_without_a_grant(data: Office, who: str) -> None:
    assert refusal(data, who) == "access.no-grant"


@pytest.mark.parametrize("action", ["view", "train", "export", "promote", "deploy", "modify"])
def test_a_grant_of_one_action_is_no_grant_of_another(data: Office, action: str) -> None:
    from sealwright.app import accessing
    from sealwright.core.errors import GateDenied
    from sealwright.intake.versions import Datasets

    other = "train" if action == "view" else "view"
    data.granted(other)
    data.ok("eli", "access", "whoami")
    workspace = data.workspace()
    subject = Datasets(workspace.history(), workspace.store).resolve("train").artifact
    with pytest.raises(GateDenied) as denied:
        accessing.require(workspace, action, [subject], purpose="fraud")
    assert denied.value.rule == "access.no-grant"


def test_an_expired_grant(data: Office) -> None:
    data.granted("view", "--until", "+2h")
    assert opens(data)
    data.later(hours=1, minutes=59)
    assert opens(data)
    data.later(minutes=1)
    assert refusal(data) == "access.grant-expired"


def test_a_grant_counts_from_when_it_was_given_not_asked_for(data: Office) -> None:
    request = data.ask("eli", "view", "data:train", "--until", "+2h")
    data.later(hours=3)
    data.approve("dora", request)
    assert opens(data)


def test_a_grant_that_is_not_valid_yet(data: Office) -> None:
    data.granted("view", "--not-before", "+1h", "--until", "+3h")
    assert refusal(data) == "access.grant-not-yet"
    data.later(hours=1)
    assert opens(data)


def test_a_wrong_purpose(data: Office) -> None:
    data.granted("view")
    assert refusal(data, "eli", "--purpose", "marketing") == "access.grant-wrong-purpose"
    assert opens(data, "eli", "--purpose", "fraud")


def test_between_two_purposes_none_is_guessed(data: Office) -> None:
    data.granted("view")
    data.granted("view", purpose="audit")
    code, body, _ = data.read()
    assert code == 0 and body["purpose"] == ""
    (*_, read) = data.history().of_type(predicates.READ)
    assert read.statement.predicate["facts"]["purpose_given"] is False


def test_a_wrong_resource(data: Office) -> None:
    data.granted("view", resource="data:other")
    assert refusal(data) == "access.grant-wrong-resource"


def test_a_grant_of_one_version_does_not_open_the_next(data: Office) -> None:
    data.granted("view", resource="data:train@1")
    (data.root / "data/train.csv").write_text("name,region,age,card\nx,EU,30,1\n")
    data.add()
    assert refusal(data) == "access.grant-wrong-resource"
    assert data.seal("eli", "data", "read", "train@1")[0] == 0


def test_a_byte_budget_that_is_spent(data: Office) -> None:
    size = (data.root / "data/train.csv").stat().st_size
    data.granted("view", "--bytes", str(2 * size))
    assert opens(data) and opens(data)
    assert refusal(data) == "access.grant-spent"


def test_a_read_that_hides_its_size_has_taken_everything(data: Office) -> None:
    request = data.granted("view", "--bytes", "1GiB")
    assert opens(data)
    (*_, read) = data.history().of_type(predicates.READ)
    hidden = {**read.statement.predicate, "size_bytes": -5}
    record(data, Statement(read.statement.subjects, predicates.READ, hidden))
    assert refusal(data) == "access.grant-spent"
    assert request


def test_a_revoked_grant_is_dead_at_the_next_read(data: Office) -> None:
    request = data.granted("view")
    assert opens(data)
    data.ok("dora", "access", "revoke", request[:16], "--reason", "the project ended")
    assert refusal(data) == "access.grant-revoked"


def test_a_grant_ends_with_the_membership(data: Office) -> None:
    data.granted("view")
    data.ok("olga", "access", "role", "eli", "--reason", "left")
    assert "access.stranger" in refusal(data)


def test_somebody_else_cannot_use_a_grant(data: Office) -> None:
    data.granted("view")
    assert refusal(data, "rita") == "access.no-grant"


def test_the_one_who_asks_cannot_approve_in_team(data: Office) -> None:
    request = data.ask("eli", "view", "data:train")
    assert "grant" not in data.approve("eli", request)
    assert refusal(data) == "access.no-grant"


def test_an_owner_cannot_grant_to_themselves_in_team(data: Office) -> None:
    request = data.ask("olga", "view", "data:train")
    assert "grant" not in data.approve("olga", request)
    assert refusal(data, "olga") == "access.no-grant"


@pytest.mark.parametrize("who", ["rita", "max", "aude"])
def test_an_approval_by_a_role_that_may_not_grant_data(data: Office, who: str) -> None:
    request = data.ask("eli", "view", "data:train")
    assert "grant" not in data.approve(who, request)
    assert refusal(data) == "access.no-grant"


def test_an_approval_by_somebody_who_is_no_member(data: Office) -> None:
    data.ok("nils", "access", "enroll", "nils", "--reason", "key only")
    request = data.ask("eli", "view", "data:train")
    assert "grant" not in data.approve("nils", request)
    assert refusal(data) == "access.no-grant"


def test_two_approvals_by_one_person_under_two_names(data: Office) -> None:
    """Handing models out takes two: dora2 is dora, on the same account."""
    data.join("dora2", "owner")
    request = data.ask("eli", "export", "project")
    data.monkeypatch.setitem(PEOPLE, "dora2", ("owner", PEOPLE["olga"][1]))
    assert "grant" not in data.approve("olga", request)
    told = data.approve("dora2", request)
    assert "grant" not in told
    assert len(told["approvers"]) == 1


def test_handing_out_takes_two_different_people(data: Office) -> None:
    data.join("omar", "owner")
    request = data.ask("eli", "export", "project")
    assert "grant" not in data.approve("olga", request)
    assert data.approve("omar", request)["grant"]["approvers"] == ["olga", "omar"]


def test_a_request_that_was_denied_cannot_be_approved_any_more(data: Office) -> None:
    request = data.ask("eli", "view", "data:train")
    data.ok("dora", "access", "deny", request[:16], "--reason", "use the masked copy")
    assert "grant" not in data.approve("olga", request)
    assert refusal(data) == "access.no-grant"


def test_a_replayed_approval(data: Office) -> None:
    """An approval of one request, put under another, approves neither more nor again."""
    first = data.granted("view", "--until", "+1h")
    (approval,) = [
        e
        for e in data.history().of_type(predicates.APPROVAL)
        if e.statement.predicate["request"] == first
    ]
    second = data.ask("eli", "view", "data:train", "--until", "+30d")
    subject = Artifact(f"request:{second}", second)
    record(data, Statement((subject,), predicates.APPROVAL, approval.statement.predicate))
    _claim(data, second)
    assert opens(data)
    data.later(hours=1)
    assert refusal(data) == "access.grant-approved"


def test_a_grant_that_nobody_approved(data: Office) -> None:
    """Written with the workspace key, past every command."""
    request = data.ask("eli", "view", "data:train")
    _claim(data, request)
    assert refusal(data) == "access.grant-approved"


def test_a_grant_wider_than_what_was_approved(data: Office) -> None:
    request = data.ask("eli", "view", "data:other")
    _claim(data, request, resource="project")
    data.approve("dora", request)
    assert refusal(data) in ("access.no-grant", "access.grant-wrong-resource")
    refused = data.ok("aude", "access", "list")["not_accepted"]
    assert any("does not repeat the terms" in line for line in refused)


def test_a_grant_under_no_request(data: Office) -> None:
    subject = grants.subject_of("ab" * 32)
    terms = grants.Terms("eli", "view", "project", duration_s=3600).jsonable()
    said: dict[str, Any] = {"grant": "ab" * 32, "terms": terms, "time": "2026-01-01T00:00:00Z"}
    record(data, Statement((subject,), predicates.GRANT, said))
    assert refusal(data) == "access.no-grant"


def test_a_grant_edited_in_the_database(data: Office) -> None:
    data.granted("view", "--until", "+1h")
    with sqlite3.connect(data.root / ".seal" / "ledger.db") as database:
        tables = [
            row[0]
            for row in database.execute("select name from sqlite_master where type = 'table'")
        ]
        assert _swap_a_byte(database, tables)
    code, body, _ = data.read()
    assert code == 1
    assert body["error"]["rule"].startswith("log.")


def _swap_a_byte(database: sqlite3.Connection, tables: list[str]) -> bool:
    """Change one byte of the newest entry's body, whatever guards the rows."""
    for (trigger,) in database.execute(
        "select name from sqlite_master where type = 'trigger'"
    ).fetchall():
        database.execute(f"drop trigger {trigger}")
    for table in tables:
        columns = [row[1] for row in database.execute(f"pragma table_info({table})")]
        if "body" in columns:
            rowid, body = database.execute(
                f"select rowid, body from {table} order by rowid desc limit 1"
            ).fetchone()
            edited = body.replace(b'"payload":"e', b'"payload":"f', 1)
            assert edited != body
            database.execute(f"update {table} set body = ? where rowid = ?", (edited, rowid))
            return True
    return False


def _claim(office: Office, request: str, **wider: str) -> None:
    """A GRANT statement that no approval stands behind."""
    found = office.workspace()
    from sealwright.app import accessing

    ledger = accessing.ledger(found)
    asked = ledger.book.requests[request]
    honest = grants.statement_of(asked, asked.requester, office.now)
    predicate = dict(honest.predicate)
    terms = msgspec.structs.replace(grants.terms_of(asked), **wider)
    predicate["terms"] = terms.jsonable()
    record(office, Statement(honest.subjects, predicates.GRANT, predicate))


# -- the clock --------------------------------------------------------------------------------


def test_a_clock_set_back_past_all_doubt(data: Office) -> None:
    data.granted("view", "--until", "+1h")
    data.later(hours=-1)
    assert "access.clock-back" in refusal(data)


def test_a_clock_set_back_a_little_does_not_bring_a_grant_back(data: Office) -> None:
    data.granted("view", "--until", "+10m")
    data.later(minutes=11)
    assert refusal(data) == "access.grant-expired"
    data.later(minutes=-3)
    assert refusal(data) == "access.grant-expired"


def test_the_audit_names_an_entry_made_before_the_one_before_it(data: Office) -> None:
    data.later(hours=-1)
    data.ok("dora", "data", "list")
    data.refused("eli", "data", "read", "train")
    code, body, _ = data.seal("aude", "access", "audit")
    assert code == 1
    assert len(body["backwards"]) >= 1


# -- asking for what makes no sense -----------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("own", "data:train"),
        ("inspect", "data:train"),
        ("view", "run:r1"),
        ("view", "data:nothing@9"),
        ("view", "data:train", "--until", "+91d"),
        ("view", "data:train", "--until", "2020-01-01T00:00:00Z"),
        ("view", "data:train", "--until", "soon"),
        ("view", "data:train", "--bytes", "-1"),
        ("view",),
    ],
)
def test_a_request_for_what_cannot_be_granted(data: Office, words: tuple[str, ...]) -> None:
    code, _, _ = data.seal("eli", "access", "request", *words, "--reason", "r")
    assert code == 2
    assert data.ok("eli", "access", "list")["requests"] == []


def test_a_grant_for_somebody_without_a_role(data: Office) -> None:
    words = ("access", "grant", "nils", "view", "data:train", "--reason", "r")
    code, body, _ = data.seal("olga", *words)
    assert code == 2 and "no member" in body["error"]["what"]


def test_an_engineer_cannot_grant_to_a_friend(data: Office) -> None:
    words = ("access", "grant", "rita", "view", "data:train", "--reason", "r")
    assert data.refused("eli", *words)["rule"] == "access.no-rule"


def test_a_steward_grants_to_somebody_else_at_once(data: Office) -> None:
    words = ("access", "grant", "eli", "view", "data:train", "--purpose", "fraud", "--reason", "r")
    assert data.ok("dora", *words)["grant"]["approvers"] == ["dora"]
    assert opens(data)


def test_a_steward_cannot_grant_the_whole_project(data: Office) -> None:
    words = ("access", "grant", "eli", "view", "project", "--reason", "r")
    data.refused("dora", *words)
    assert data.ok("olga", *words)["granted"]


def test_the_policies_folder_of_another_project_brings_no_rights(data: Office) -> None:
    """Rules that permit everything are not in force because they lie there."""
    folder = Path(data.root / "policies/access")
    (folder / "open.cedar").write_text(
        '@id("open") @reason("all") permit (principal, action, resource);\n'
    )
    code, body, _ = data.read()
    assert code == 1
    assert "access.not-active" in body["error"]["rule"]
    shutil.rmtree(folder)
    code, body, _ = data.read()
    assert code == 1
    assert "access.rules-missing" in body["error"]["rule"]
