"""A team is who is in it now: grants and roles that name it, and who may not approve what."""

from __future__ import annotations

from access_house import Office
from hypothesis import given
from hypothesis import strategies as st

from sealwright.core.predicates import MEMBER, READ, REQUEST, TEAM
from sealwright.core.records import Artifact, Statement
from sealwright.policy import teams
from sealwright.policy.approvals import digest_of
from sealwright.policy.teams import Team, Teams

WHY = ("--reason", "the January model")
RULE = "access.no-grant"


def _team(office: Office, *names: str, team: str = "fraud") -> None:
    office.ok("olga", "access", "team", "add", team, *names, *WHY)


def _grant(office: Office, action: str = "view", by: str = "dora") -> str:
    words = ("access", "grant", "team:fraud", action, "data:train", "--purpose", "fraud")
    digest: str = office.ok(by, *words, *WHY)["grant"]["grant"]
    return digest


def test_a_grant_to_a_team_serves_who_is_in_it_now(office: Office) -> None:
    office.add()
    _team(office, "eli")
    grant = _grant(office)
    assert office.read()[0] == 0
    assert office.refused("rita", "data", "read", "train")["rule"] == RULE
    _team(office, "rita")
    assert office.read("rita")[0] == 0
    office.ok("olga", "access", "team", "remove", "fraud", "eli", *WHY)
    assert office.refused("eli", "data", "read", "train")["rule"] == RULE
    assert office.read("rita")[0] == 0
    office.ok("olga", "access", "team", "remove", "fraud", *WHY)
    assert office.refused("rita", "data", "read", "train")["rule"] == RULE
    audited = office.ok("aude", "access", "audit")
    assert {row["replayed"] for row in audited["decisions"]} == {True}
    reads = [e.statement.predicate for e in office.history().of_type(READ)]
    assert [r["grants"] for r in reads] == [[grant]] * 3
    assert [r["facts"]["teams"] for r in reads] == [["team:fraud"]] * 3  # type: ignore[index, call-overload]


def test_a_role_of_a_team_is_a_role_of_its_members_until_they_leave(office: Office) -> None:
    office.add()
    _team(office, "eli")
    office.ok("olga", "access", "role", "team:fraud", "data-steward", *WHY)
    who = office.ok("eli", "access", "whoami")
    assert (who["roles"], who["teams"]) == (["data-steward", "ml-engineer"], ["team:fraud"])
    (office.root / "data" / "train.csv").write_text("name,region\na,EU\n")
    assert office.add("eli")["version"] == 2
    office.ok("olga", "access", "team", "remove", "fraud", "eli", *WHY)
    assert office.ok("eli", "access", "whoami")["roles"] == ["ml-engineer"]
    words = ("data", "add", "data/train.csv", "--name", "other", "--reason", "again")
    assert office.refused("eli", *words)["rule"] == "access.no-grant"


def test_roles_of_a_team_that_was_dissolved_do_not_come_back_with_its_name(office: Office) -> None:
    _team(office, "eli")
    office.ok("olga", "access", "role", "team:fraud", "data-steward", *WHY)
    office.ok("olga", "access", "team", "remove", "fraud", *WHY)
    _team(office, "rita")
    assert office.ok("rita", "access", "whoami")["roles"] == ["reviewer"]


def test_whoever_is_let_go_leaves_every_team_and_is_not_back_in_one_later(office: Office) -> None:
    office.add()
    _team(office, "eli", "rita")
    _grant(office)
    office.ok("olga", "access", "role", "eli", "--reason", "left")
    assert office.ok("olga", "access", "team", "list")["teams"][0]["members"] == ["rita"]
    assert "access.stranger" in office.refused("eli", "data", "read", "train")["rule"]
    office.ok("olga", "access", "role", "eli", "ml-engineer", "--reason", "back")
    assert office.refused("eli", "data", "read", "train")["rule"] == RULE


def test_only_an_owner_changes_a_team(office: Office) -> None:
    for who in ("dora", "eli", "aude"):
        words = ("access", "team", "add", "fraud", who, *WHY)
        assert office.refused(who, *words)["rule"] == "access.no-rule"
    assert office.history().of_type(TEAM) == ()


def test_a_team_holds_members_and_no_team_nobody_else_and_is_no_owner(office: Office) -> None:
    _team(office, "eli")
    for words in (
        ("team", "add", "fraud", "team:fraud"),
        ("team", "add", "all", "team:fraud"),
        ("team", "add", "fraud", "stranger"),
        ("team", "remove", "fraud", "rita"),
        ("team", "remove", "nosuch"),
        ("role", "team:fraud", "owner"),
        ("role", "team:nosuch", "reviewer"),
        ("grant", "team:nosuch", "view", "data:train"),
    ):
        assert office.seal("olga", "access", *words, *WHY)[0] == 2, words


def test_approvals_count_people_and_nobody_in_the_team_that_gets_it(office: Office) -> None:
    office.add()
    _team(office, "eli", "dora")
    words = ("access", "request", "view", "data:train", "--team", "fraud", "--purpose", "fraud")
    request = office.ok("eli", *words, *WHY)["request"]
    said = office.approve("dora", request)
    assert "grant" not in said, "a data steward in the team gets the grant, so does not give it"
    assert office.approve("olga", request)["grant"]["approvers"] == ["olga"]
    assert office.read("dora")[0] == 0


def test_whoever_approved_a_grant_and_joins_the_team_later_does_not_count_for_themselves(
    office: Office,
) -> None:
    office.add()
    _team(office, "eli")
    _grant(office, by="dora")
    _team(office, "dora")
    assert office.refused("dora", "data", "read", "train")["rule"] == "access.grant-approved"
    assert office.read("eli")[0] == 0


def test_a_team_shows_in_list_whoami_and_reviews(office: Office) -> None:
    _team(office, "eli", "rita")
    office.ok("olga", "access", "role", "team:fraud", "data-steward", *WHY)
    (shown,) = office.ok("aude", "access", "list")["teams"]
    assert shown["members"] == ["eli", "rita"]
    assert shown["roles"] == ["data-steward"]
    items = {row["id"]: row for row in office.ok("aude", "access", "review")["items"]}
    assert items["team:fraud"]["what"] == "data-steward: eli, rita"
    office.later(days=91)
    assert "team:fraud" in [
        row["id"] for row in office.ok("aude", "access", "review")["items"] if row["overdue"]
    ]
    said = office.ok("aude", "access", "review", "--certify", "team:fraud", "--reason", "needed")
    assert not {row["id"]: row for row in said["items"]}["team:fraud"]["overdue"]
    office.ok("olga", "access", "review", "--revoke", "team:fraud", "--reason", "not needed")
    assert office.ok("aude", "access", "list")["teams"] == []


def test_a_team_statement_nobody_signed_or_that_says_more_does_not_hold(office: Office) -> None:
    """Whoever holds the workspace's key can write one; an owner's signature they cannot."""
    _team(office, "eli")
    workspace = office.workspace()
    told = office.history().of_type(TEAM)[-1].statement
    asked = office.history().of_type(REQUEST)[-1].statement
    forged = {
        "more members": {**told.predicate, "members": ["eli", "rita"]},
        "another team": {**told.predicate, "team": "other"},
        "nobody asked": {**told.predicate, "request": "0" * 64},
        "a role's request": {**told.predicate, "request": _a_role_request(office)},
    }
    for predicate in forged.values():
        workspace.recorder.record(Statement(told.subjects, TEAM, predicate))
    unsigned = {**asked.predicate, "params": {"team": "fraud", "members": ["rita"]}}
    workspace.recorder.record(Statement(asked.subjects, REQUEST, unsigned))
    predicate = {**told.predicate, "members": ["rita"], "request": digest_of(unsigned)}
    workspace.recorder.record(Statement(told.subjects, TEAM, predicate))
    listed = office.ok("aude", "access", "list")
    assert [t["members"] for t in listed["teams"]] == [["eli"]]
    assert len(listed["not_accepted"]) == len(forged) + 1
    assert office.seal("aude", "access", "audit")[0] == 1


def test_a_read_that_saw_an_older_team_does_not_replay(office: Office) -> None:
    office.add()
    _team(office, "eli")
    _grant(office)
    office.read()
    read = office.history().of_type(READ)[-1].statement
    office.ok("olga", "access", "team", "remove", "fraud", *WHY)
    office.workspace().recorder.record(read)
    rows = office.seal("aude", "access", "audit")[1]["decisions"]
    assert [row["replayed"] for row in rows if row["action"] == "view"] == [True, False]


def _a_role_request(office: Office) -> str:
    entry = office.history().of_type(MEMBER)[-1]
    return str(entry.statement.predicate["request"])


NAMES = st.lists(st.sampled_from(["ann", "bob", "cy"]), max_size=3).map(tuple)


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), NAMES), max_size=8))
def test_who_was_in_a_team_at_an_entry_is_what_the_last_statement_before_it_said(
    changes: list[tuple[str, tuple[str, ...]]],
) -> None:
    found = Teams()
    for index, (name, members) in enumerate(changes):
        found.take(Team(name, teams.checked_members(members), index, ""))
    for index in range(len(changes) + 1):
        now = dict(changes[:index])
        for person in ("ann", "bob", "cy"):
            inside = tuple(sorted(f"team:{n}" for n, m in now.items() if person in m))
            assert found.of_at(person, index) == inside
    assert {t.name: set(t.members) for t in found.present} == {
        name: set(members) for name, members in dict(changes).items() if members
    }
    assert Artifact("team:a", teams.subject_of("a").digest) == teams.subject_of("a")
