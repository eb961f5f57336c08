"""The whole story: docs/guide/story.md tells it in words."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from access_house import Office

from sealwright.core.predicates import ACCESS, READ

needs_room = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="the room needs bubblewrap: apt-get install bubblewrap"
)


@needs_room
def test_from_delivery_to_promotion_to_an_expired_grant_and_an_audit(office: Office) -> None:
    # a steward adds data
    assert office.add("dora")["ref"] == "data:train@1"

    # an engineer without a grant is refused with the reason and the command that mends it
    train = ("run", "--purpose", "fraud-model", "--model", "model.json", "--name", "fraud")
    command = ("--", "python", "train.py")
    denied = office.refused("eli", *train, *command)
    assert denied["rule"] == "access.no-grant"
    assert "seal access request train data:train@1 --purpose fraud-model" in denied["hint"]

    # asks, for one purpose and two hours
    asked = office.ok(
        "eli",
        "access",
        "request",
        "train",
        "data:train",
        "--purpose",
        "fraud-model",
        "--until",
        "+2h",
        "--reason",
        "the January model",
    )
    assert not asked["granted"]
    request = asked["request"]
    pending = office.refused("eli", *train, *command)
    assert f"seal access approve {request[:16]}" in pending["hint"]

    # cannot approve it, and is approved by another person
    own = office.approve("eli", request)
    assert own["self_approved"] and "grant" not in own
    office.refused("eli", *train, *command)
    grant = office.approve("dora", request)["grant"]
    assert (grant["purpose"], grant["approvers"]) == ("fraud-model", ["dora"])

    # for this purpose and no other
    other = ("run", "--purpose", "marketing", "--model", "model.json")
    assert office.refused("eli", *other, *command)["rule"] == "access.grant-wrong-purpose"

    # trains
    (run,) = office.ok("eli", *train, "--reason", "first model", *command)["runs"]
    assert run["model"]["ref"] == "model:fraud@1"

    # may not move an alias; and whoever trained does not count as an approver
    promote = ("model", "promote", "fraud@1", "prod", "--reason", "recall is better")
    assert office.refused("eli", *promote)["rule"] == "access.no-grant"
    wanting = office.refused("rita", *promote)
    assert wanting["rule"].startswith("approval.second-person")
    (open_,) = [
        r for r in office.ok("rita", "access", "list")["requests"] if r["action"] == "promote"
    ]
    office.approve("eli", open_["request"])
    assert "approval.second-person" in office.refused("rita", *promote)["rule"]

    # a reviewer promotes it, once another person approved
    office.approve("olga", open_["request"])
    assert office.ok("rita", *promote)["ref"] == "model:fraud@1"

    # the grant expires, and the next read is refused
    office.later(hours=2)
    expired = office.refused("eli", *train, *command)
    assert expired["rule"] == "access.grant-expired"

    # an auditor judges every decision again, from the log alone
    audit = office.ok("aude", "access", "audit")
    assert audit["failed"] == 0
    assert audit["backwards"] == [] and audit["not_accepted"] == []
    told = [(d["actor"], d["action"], d["allowed"]) for d in audit["decisions"]]
    assert ("eli", "train", True) in told
    assert ("rita", "promote", True) in told
    assert told.count(("eli", "train", False)) == 5
    assert _judged_without_keys(office) == audit["decisions"]
    _reads_say_who_what_why_and_how_much(office, grant)


def _judged_without_keys(office: Office) -> Any:
    """The auditor's own machine: a copy of the log, the fingerprint, and nothing else."""
    office.ok("aude", "log", "publish")
    fingerprint = office.workspace().trust.fingerprint
    away = office.tmp / "auditor"
    for part in ("tiles", "trust"):
        shutil.copytree(office.root / ".seal" / part, away / part)
    office.monkeypatch.chdir(away)
    office.monkeypatch.setenv("XDG_STATE_HOME", str(away / "state"))
    told = office.ok("aude", "access", "audit", "--copy", str(away), "--trust", fingerprint)
    assert not (away / "state").exists()
    office.monkeypatch.chdir(office.root)
    office.monkeypatch.setenv("XDG_STATE_HOME", str(office.tmp / "state"))
    return told["decisions"]


def _reads_say_who_what_why_and_how_much(office: Office, grant: dict[str, Any]) -> None:
    history = office.history()
    (read,) = [e for e in history.of_type(READ) if e.statement.predicate["action"] == "train"]
    said = read.statement.predicate
    assert said["actor"] == "eli"
    assert [s.name for s in read.statement.subjects] == ["data:train@1"]
    assert said["purpose"] == "fraud-model"
    assert said["size_bytes"] == (office.root / "data/train.csv").stat().st_size
    assert said["grants"] == [grant["grant"]]
    assert all(
        not e.statement.predicate["allowed"]
        for e in history.of_type(ACCESS)
        if e.statement.predicate["action"] == "train"
    )
