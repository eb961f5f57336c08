"""Waivers are requests people approved; too long, expired, ended or alone, they do not count."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "policy"))
from policy_house import House, Person

from sealwright.core import clock
from sealwright.core.errors import BadInput
from sealwright.policy import approvals, waivers
from sealwright.policy.waivers import Standing, Terms


def terms(house: House, days: int = 30, **change: str) -> Terms:
    until = clock.stamp(house.now + timedelta(days=days))
    return Terms(
        **{
            "vulnerability": "PYSEC-1",
            "package": "demo",
            "versions": "==1.0",
            "until": until,
            "justification": "accepted_for_now",
            **change,
        }
    )


def ask(house: House, wanted: Terms, by: Person, reason: str = "no way in") -> str:
    statement = approvals.ask(
        waivers.ACTION, [wanted.artifact], wanted.jsonable(), by.account, reason, house.now
    )
    house.add(statement)
    return approvals.digest_of(statement.predicate)


def approve(house: House, digest: str, by: Person) -> None:
    request = approvals.requests(house.history)[digest]
    house.add(approvals.approve(request, by.signer, by.account, "looked at it", house.now))


def standing(house: House, later: timedelta = timedelta()) -> Standing:
    return waivers.standing(house.history, house.book, house.now + later, house.profile)


def test_in_solo_the_owner_may_waive_alone() -> None:
    house = House("solo")
    digest = ask(house, terms(house), house.ann)
    assert standing(house).active == ()
    approve(house, digest, house.ann)
    assert [w.owner for w in standing(house).active] == ["ann"]


@pytest.mark.parametrize("profile", ["team", "regulated"])
def test_elsewhere_somebody_else_approves(profile: str) -> None:
    house = House(profile)
    digest = ask(house, terms(house), house.ann)
    approve(house, digest, house.ann)
    assert standing(house).active == ()
    approve(house, digest, house.bob)
    assert [w.approvers for w in standing(house).active] == [("bob",)]


def test_it_ends_by_itself() -> None:
    house = House("solo")
    approve(house, ask(house, terms(house, 30), house.ann), house.ann)
    assert standing(house, timedelta(days=29)).active
    over = standing(house, timedelta(days=30))
    assert over.active == ()
    assert "expired" in over.refused[0][2]


def test_it_ends_when_somebody_ends_it() -> None:
    house = House("solo")
    digest = ask(house, terms(house), house.ann)
    approve(house, digest, house.ann)
    request = approvals.requests(house.history)[digest]
    house.add(waivers.end(request, "ann", "fixed", house.now))
    assert standing(house).refused[0][2] == "it was ended"


def test_one_that_was_written_for_longer_than_ninety_days_never_counts() -> None:
    house = House("solo")
    approve(house, ask(house, terms(house, 91), house.ann), house.ann)
    assert "longer" in standing(house).refused[0][2]


def test_one_about_something_else_than_its_subject_never_counts() -> None:
    house = House("solo")
    said, meant = terms(house, package="harmless"), terms(house)
    statement = approvals.ask(
        waivers.ACTION, [said.artifact], meant.jsonable(), house.ann.account, "x", house.now
    )
    house.add(statement)
    approve(house, approvals.digest_of(statement.predicate), house.ann)
    assert standing(house).active == ()


@pytest.mark.parametrize(
    ("days", "justification"), [(91, "accepted_for_now"), (0, "accepted_for_now"), (3, "because")]
)
def test_bad_terms_are_refused_when_they_are_asked_for(days: int, justification: str) -> None:
    house = House("solo")
    with pytest.raises(BadInput):
        waivers.check(terms(house, days, justification=justification), house.now)
