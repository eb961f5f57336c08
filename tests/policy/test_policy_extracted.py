"""Before others may ask a model, a thief was set on it and got no further than was declared."""

from datetime import timedelta

import pytest
from policy_house import House

from sealwright.core.predicates import EXTRACTION_TEST
from sealwright.policy.extracted import SUITE, Budget


def ready(profile: str = "team"):
    house = House(profile)
    return house, house.register(house.train(house.data()))


@pytest.mark.parametrize(("profile", "blocks"), [("solo", False), ("team", True)])
def test_what_no_thief_was_set_on_is_not_served_to_others(profile, blocks):
    house, model = ready(profile)
    decision = house.decide("serve", [model]).decision
    assert decision.allowed is not blocks
    told = decision.failed if blocks else [line.split(":")[0] for line in decision.warnings]
    assert "extraction.untested" in told


def test_our_own_may_ask_a_model_without_a_test():
    house, model = ready()
    assert house.decide("serve", [model], params={"external": False}).decision.allowed


def test_a_request_that_does_not_say_who_can_ask_counts_as_external():
    house, model = ready()
    assert not house.decide("serve", [model], params={}).decision.allowed


def test_a_current_test_below_its_target_opens_the_gate():
    house, model = ready()
    house.rob(model)
    assert house.decide("serve", [model]).decision.allowed


@pytest.mark.parametrize("bound", ["0.801", "1.000", "nan", "-1", "", "Infinity"])
def test_a_copy_above_the_target_or_without_a_number_is_refused(bound):
    house, model = ready()
    house.rob(model, bound=bound)
    assert "extraction.above-target" in house.decide("serve", [model]).decision.failed


def test_a_target_beyond_a_whole_is_no_target():
    house, model = ready()
    house.rob(model, target="7")
    assert "extraction.above-target" in house.decide("serve", [model]).decision.failed


def test_the_last_test_holds():
    house, model = ready()
    house.rob(model, bound="0.900")
    house.rob(model)
    assert house.decide("serve", [model]).decision.allowed


@pytest.mark.parametrize("more", [{"suite": SUITE - 1}, {"time": "yesterday"}])
def test_a_test_by_an_older_suite_or_without_a_time_is_none(more):
    house, model = ready()
    house.rob(model, **more)
    assert "extraction.untested" in house.decide("serve", [model]).decision.failed


def test_a_test_is_current_for_180_days():
    house, model = ready()
    house.rob(model)
    later = house.now + timedelta(days=181)
    assert "extraction.untested" in house.decide("serve", [model], now=later).decision.failed


def test_a_statement_that_cannot_be_read_takes_an_older_one_with_it():
    house, model = ready()
    house.rob(model)
    house.say(EXTRACTION_TEST, [model], suite="many")
    assert "extraction.untested" in house.decide("serve", [model]).decision.failed


@pytest.mark.parametrize(
    ("offered", "open_"),
    [
        ({"mbits": 996_600, "fidelity": "top1"}, True),
        ({"mbits": 996_601, "fidelity": "top1"}, False),
        ({"mbits": 1, "fidelity": "label"}, True),
        ({"mbits": 1, "fidelity": "full"}, False),
        ({"mbits": 1, "fidelity": "everything"}, False),
        ({"mbits": "few"}, False),
    ],
)
def test_a_test_at_a_smaller_budget_or_fidelity_than_is_offered_is_none(offered, open_):
    house, model = ready()
    house.rob(model, budget=Budget(100, 996_600, 0, 1, "top1"))
    assert house.decide("serve", [model], params=offered).decision.allowed is open_


PACE = ((250_000, 25), (500_000, 45))


@pytest.mark.parametrize(
    ("offered", "open_"),
    [
        ({"cells": 60, "pace": [[250_000, 25], [500_000, 45]], "walks": True}, True),
        ({"cells": 40, "pace": [[250_000, 25], [500_000, 45]], "walks": True}, True),
        ({"cells": 61, "pace": [[250_000, 25], [500_000, 45]], "walks": True}, False),
        ({"cells": 0, "pace": [[250_000, 25], [500_000, 45]], "walks": True}, False),
        ({"cells": 60, "pace": [[250_000, 26], [500_000, 45]], "walks": True}, False),
        ({"cells": 60, "pace": [], "walks": True}, False),
        ({"cells": 60, "pace": "narrow", "walks": True}, False),
        ({"cells": 60, "pace": [[250_000, 25], [500_000, 45]], "walks": False}, False),
        ({"cells": "few"}, False),
        ({"mbits": 1}, True),
    ],
)
def test_a_test_behind_a_narrower_guard_than_is_offered_is_none(offered, open_):
    house, model = ready()
    house.rob(model, budget=Budget(100, 996_600, 60, 1, "top1", PACE, True))
    assert house.decide("serve", [model], params=offered).decision.allowed is open_


def test_a_test_of_the_budget_alone_holds_behind_any_guard():
    house, model = ready()
    house.rob(model)
    for offered in ({"cells": 9, "pace": [[1, 1]], "walks": True}, {"cells": 0, "pace": []}):
        assert house.decide("serve", [model], params=offered).decision.allowed


def test_training_and_registering_ask_for_no_test():
    house = House("team")
    data = house.data()
    assert house.decide("train", [data]).decision.allowed
    assert house.decide("register", [house.train(data)], run="r1").decision.allowed
