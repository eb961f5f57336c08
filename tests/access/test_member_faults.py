"""Members, roles, reviews and what two people must agree on."""

from __future__ import annotations

from typing import Any

import pytest
from access_house import Office

from sealwright.app import accessing
from sealwright.core import predicates
from sealwright.core.errors import BadInput, GateDenied, VerifyError
from sealwright.core.records import Artifact, Statement
from sealwright.policy import accessfacts, accessreplay, containment, policyset

KEY = Artifact("key:data:train", "cd" * 32)


def record(office: Office, statement: Statement) -> None:
    workspace = office.workspace()
    workspace.recorder.record(statement)
    workspace.settle()


def acting(office: Office, who: str) -> Any:
    """``who``'s workspace, for calls below the command line."""
    office.ok(who, "access", "whoami")
    return office.workspace()


def test_a_stranger_may_not_even_look(office: Office) -> None:
    office.add()
    denied = office.refused("nils", "data", "show", "train")
    assert "access.stranger" in denied["rule"]
    assert "seal access role nils" in denied["hint"]


def test_a_member_under_another_key(office: Office) -> None:
    office.add()
    office.monkeypatch.setenv("XDG_STATE_HOME", str(office.tmp / "state"))
    workspace = acting(office, "dora")
    subject = accessing.whole_project(workspace, "data:train")
    from sealwright.core.records import Principal

    stolen = Principal("dora", "ef" * 32, uid=2002)
    office.monkeypatch.setattr(type(workspace), "principal", property(lambda _: stolen))
    with pytest.raises(GateDenied) as denied:
        accessing.require(workspace, "modify", [subject])
    assert "access.unknown-key" in denied.value.rule


@pytest.mark.parametrize("who", ["dora", "eli", "rita", "max", "aude"])
def test_only_an_owner_gives_roles(office: Office, who: str) -> None:
    words = ("access", "role", who, "owner", "--reason", "promotion")
    assert office.refused(who, *words)["rule"] == "access.no-rule"


def test_a_role_that_the_workspace_key_alone_wrote(office: Office) -> None:
    office.add()
    subject = containment.principal("eli")
    said = {"member": "eli", "kind": "person", "roles": ["owner"], "request": "ab" * 32}
    more = {"actor": "olga", "reason": "r", "time": "2026-11-23T00:00:00Z"}
    record(office, Statement((subject,), predicates.MEMBER, {**said, **more}))
    assert office.ok("eli", "access", "whoami")["roles"] == ["ml-engineer"]
    assert office.ok("eli", "access", "list")["not_accepted"]


def test_a_role_other_than_the_one_that_was_signed(office: Office) -> None:
    (*_, last) = office.history().of_type(predicates.MEMBER)
    wider = {**last.statement.predicate, "roles": ["owner"]}
    record(office, Statement(last.statement.subjects, predicates.MEMBER, wider))
    assert office.ok("aude", "access", "whoami")["roles"] == ["auditor"]


def test_the_last_owner_stays(office: Office) -> None:
    code, body, _ = office.seal("olga", "access", "role", "olga", "--reason", "bye")
    assert code == 2 and "keeps an owner" in body["error"]["what"]


def test_a_role_that_does_not_exist(office: Office) -> None:
    assert office.seal("olga", "access", "role", "eli", "king", "--reason", "r")[0] == 2


# -- two people -------------------------------------------------------------------------------


def test_destroying_a_key_takes_two_who_do_not_ask(office: Office) -> None:
    workspace = acting(office, "olga")
    with pytest.raises(GateDenied) as denied:
        accessing.require(workspace, "destroy", [KEY], reason="leaked", params={"key": "a"})
    assert denied.value.rule == "access.two-approvals"
    (asked,) = office.ok("olga", "access", "list")["requests"]
    assert asked["request"][:16] in denied.value.hint
    for who in ("olga", "dora"):
        office.approve(who, asked["request"])
        workspace = acting(office, "olga")
        with pytest.raises(GateDenied):
            accessing.require(workspace, "destroy", [KEY], reason="leaked", params={"key": "a"})
    office.approve("aude", asked["request"])
    workspace = acting(office, "olga")
    assert accessing.require(workspace, "destroy", [KEY], params={"key": "a"}).allowed
    with pytest.raises(GateDenied):
        accessing.require(workspace, "destroy", [KEY], reason="leaked", params={"key": "b"})


def test_a_quarantined_member_may_do_nothing(office: Office) -> None:
    from datetime import timedelta

    from sealwright.policy.principals import Account

    office.add()
    office.granted("view")
    record(
        office,
        containment.statement_of(
            "quarantine-principal",
            containment.principal("eli"),
            Account("eli", ""),
            actor="olga",
            reason="odd hours",
            span=timedelta(hours=1),
            now=office.now,
        ),
    )
    assert "access.quarantined" in office.refused("eli", "data", "read", "train")["rule"]


# -- reviews ----------------------------------------------------------------------------------


def test_an_overdue_review_blocks_promotion_until_somebody_certifies(office: Office) -> None:
    office.later(days=90)
    workspace = acting(office, "rita")
    model = Artifact("model:fraud@1", "ab" * 32)
    with pytest.raises(GateDenied) as denied:
        accessing.require(workspace, "promote", [model])
    assert denied.value.rule == "access.reviews-overdue"
    told = office.ok("aude", "access", "review")
    assert told["overdue"] == 6
    for item in told["items"]:
        who = "olga" if item["id"] == "principal:aude" else "aude"
        office.ok(who, "access", "review", "--certify", item["id"], "--reason", "still here")
    assert office.ok("aude", "access", "review")["overdue"] == 0
    assert accessing.require(acting(office, "rita"), "promote", [model]).allowed


def test_nobody_certifies_their_own_role_or_without_the_role_to(office: Office) -> None:
    certify = ("access", "review", "--certify", "principal:olga", "--reason", "me")
    assert office.refused("olga", *certify)["rule"] == "access.review"
    assert office.refused("eli", *certify)["rule"] == "access.review"


def test_a_certification_that_nobody_signed(office: Office) -> None:
    office.later(days=90)
    said = {"item": "principal:eli", "outcome": "certified", "request": "ab" * 32}
    more = {"actor": "aude", "reason": "r", "time": "2026-11-23T00:00:00Z"}
    subject = containment.principal("eli")
    record(office, Statement((subject,), predicates.REVIEW, {**said, **more}))
    assert office.ok("aude", "access", "review")["overdue"] == 6


def test_a_review_says_what_was_never_used_and_takes_it_away(office: Office) -> None:
    office.add()
    request = office.granted("view")
    told = office.ok("aude", "access", "review")
    grant = f"grant:{request[:16]}"
    assert grant in told["never_used"] and "principal:max" in told["never_used"]
    assert "principal:dora" not in told["never_used"]
    assert office.read()[0] == 0
    assert grant not in office.ok("aude", "access", "review")["never_used"]
    office.ok("olga", "access", "review", "--revoke", grant, "--reason", "over")
    office.ok("olga", "access", "review", "--revoke", "principal:max", "--reason", "left")
    assert office.refused("eli", "data", "read", "train")["rule"] == "access.grant-revoked"
    assert office.ok("max", "access", "whoami")["roles"] == []


# -- the record -------------------------------------------------------------------------------


def test_a_refusal_rewritten_as_a_read_does_not_follow_from_the_log(office: Office) -> None:
    office.add()
    office.refused("eli", "data", "read", "train")
    (*_, denied) = office.history().of_type(predicates.ACCESS)
    forged = {**denied.statement.predicate, "allowed": True, "failed": []}
    record(office, Statement(denied.statement.subjects, predicates.READ, forged))
    history = office.history()
    (*_, read) = history.of_type(predicates.READ)
    with pytest.raises(VerifyError) as error:
        accessreplay.replay(read, history, office.workspace().trust)
    assert error.value.rule == "access.decision"
    assert office.seal("aude", "access", "audit")[0] == 1


def test_a_decision_made_without_looking_at_a_revocation_is_stale(office: Office) -> None:
    office.add()
    request = office.granted("view")
    assert office.read()[0] == 0
    (*_, read) = office.history().of_type(predicates.READ)
    office.ok("dora", "access", "revoke", request[:16], "--reason", "over")
    record(office, read.statement)
    history = office.history()
    with pytest.raises(VerifyError) as error:
        accessreplay.replay(history.entries[-1], history, office.workspace().trust)
    assert error.value.rule == "access.stale"


# -- rules that do not load -------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule",
    [
        'forbid (principal, action in Action::"access", resource) when { context.mfa_age > 5 };',
        'forbid (principal, action, resource) when { context.purpose in ["fraud"] };',
        'forbid (principal, action == Action::"vieww", resource);',
        "forbid (principal, action, resource",
    ],
)
def test_a_rule_that_reads_what_is_not_there_does_not_load(office: Office, rule: str) -> None:
    office.add()
    text = f'@id("house.rule") @reason("r")\n{rule}\n'
    (office.root / "policies/access/house.cedar").write_text(text)
    code, body, _ = office.seal("dora", "data", "show", "train")
    assert code == 2
    assert "house.cedar" in body["error"]["what"]


def test_a_set_without_a_permit_allows_nothing(office: Office) -> None:
    shipped = policyset.shipped("team")
    texts = {n: t for n, t in shipped.files if not n.startswith("access/") or "schema" in n}
    rules = policyset.of_texts(texts, shipped.schema, "team").access
    assert rules is not None
    values = accessfacts.of({**accessfacts.refusing(), "roles": ("owner",), "grants": 1})
    for action in accessfacts.ACTIONS:
        assert not rules.engine.judge(action, "olga", "x", values.jsonable()).allowed


@pytest.mark.parametrize("profile", ["solo", "team", "regulated"])
@pytest.mark.parametrize("action", accessfacts.ACTIONS)
def test_no_shipped_rule_allows_when_nothing_is_known(profile: str, action: str) -> None:
    rules = policyset.shipped(profile).access
    assert rules is not None
    values = accessfacts.of(accessfacts.refusing()).jsonable()
    assert not rules.engine.judge(action, "who", "what", values).allowed


def test_a_fact_that_is_missing_is_refused() -> None:
    values = accessfacts.refusing()
    del values["roles"]
    with pytest.raises(BadInput) as error:
        accessfacts.of(values)
    assert "roles" in error.value.why


def test_the_shipped_schema_is_the_one_the_facts_make() -> None:
    assert policyset.shipped_files("solo")["access/access-v1.cedarschema"] == accessfacts.schema()
