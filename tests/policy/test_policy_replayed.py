"""What callers already hold of a model is a warning, and never ends a service by itself."""

from datetime import timedelta

import pytest
from policy_house import House

from sealwright.core import clock
from sealwright.core.predicates import REPLAY

COPY = {
    "group": "key:acme", "callers": 1, "asked": 1200, "used": 1200,
    "agreement": "0.700", "gain": "0.010", "bound": "0.750",
}  # fmt: skip


def ready(profile="team", **more):
    """A tested model, and a replay of it."""
    house = House(profile)
    model = house.register(house.train(house.data()))
    house.rob(model)
    said = {
        "data": "ab" * 32, "held_out": 500, "public": 200, "seed": 1,
        "since": clock.stamp(house.now),
        "until": clock.stamp(house.now), "groups": [COPY], "together": {**COPY, "group": ""},
        "no_questions": "0.690", "unrecorded": 0, "target": "0.8", "actor": "ana",
        "time": clock.stamp(house.now), **more,
    }  # fmt: skip
    house.say(REPLAY, [model], **said)
    return house, model


def warned(house, model, **more):
    decision = house.decide("serve", [model], **more).decision
    assert decision.allowed
    return "extraction.held" in [line.split(":")[0] for line in decision.warnings]


def test_copies_below_the_target_are_no_warning():
    assert not warned(*ready())


@pytest.mark.parametrize("profile", ["solo", "team", "regulated"])
def test_one_copy_above_the_target_warns_and_blocks_nobody(profile):
    house, model = ready(profile, groups=[COPY, {**COPY, "bound": "0.801"}])
    told = house.decide("serve", [model]).decision
    assert "extraction.held" not in told.failed
    assert "extraction.held" in [line.split(":")[0] for line in told.warnings]


@pytest.mark.parametrize("bound", ["1.1", "-0.1", "nan", "much", ""])
def test_all_of_them_together_count_too_and_so_does_what_is_no_share(bound):
    assert warned(*ready(together={**COPY, "group": "", "bound": bound}))


def test_a_replay_that_nobody_can_read_warns():
    assert warned(*ready(groups="none"))


def test_a_replay_is_current_for_thirty_days():
    house, model = ready(groups=[{**COPY, "bound": "0.9"}])
    assert warned(house, model)
    assert not warned(house, model, now=house.now + timedelta(days=31))


def test_our_own_may_be_asked_without_a_warning():
    house, model = ready(groups=[{**COPY, "bound": "0.9"}])
    assert not warned(house, model, params={"external": False})
