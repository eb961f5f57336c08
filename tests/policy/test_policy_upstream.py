"""Another server: named as a registered model it is that model's gate; unnamed, solo alone."""

import pytest
from policy_house import House, artifact

UNNAMED = "upstream:llama"


@pytest.mark.parametrize(("profile", "blocks"), [("solo", False), ("team", True)])
def test_a_server_of_which_nobody_says_which_model_it_has_serves_in_solo_alone(profile, blocks):
    judged = House(profile).decide("serve", [artifact(UNNAMED)])
    assert judged.drawn.facts.values["serve_upstream"] == 2
    assert judged.decision.allowed is not blocks
    told = [*judged.decision.failed, *(line.split(":")[0] for line in judged.decision.warnings)]
    assert "upstream.unnamed" in told
    assert "evidence.missing" not in told
    assert "run.not-successful" not in told
    if profile == "solo":
        assert not {"data.plaintext-on-disk", "room.unisolated-run"} & set(told), "no run to blame"


def test_an_unnamed_server_passes_no_other_gate():
    for gate in ("register", "promote", "export"):
        decision = House("solo").decide(gate, [artifact(UNNAMED)]).decision
        assert not decision.allowed
        assert "run.not-successful" in decision.failed


def test_a_named_server_is_judged_as_the_model_it_is_said_to_have():
    house = House("solo")
    data = house.data()
    model = house.register(house.train(data))
    judged = house.decide("serve", [model], params={"upstream": True})
    assert judged.decision.allowed
    assert judged.drawn.facts.values["serve_upstream"] == 1
    assert any(line.startswith("upstream.said") for line in judged.decision.warnings)
    own = house.decide("serve", [model])
    assert own.drawn.facts.values["serve_upstream"] == 0
    assert not any(line.startswith("upstream.") for line in own.decision.warnings)
    house.revoke(data)
    refused = house.decide("serve", [model], params={"upstream": True}).decision
    assert {"data.revoked", "lineage.revoked"} <= set(refused.failed)


def test_a_subject_cannot_be_called_ours_by_the_request():
    judged = House("team").decide("serve", [artifact(UNNAMED)], params={"upstream": False})
    assert judged.drawn.facts.values["serve_upstream"] == 2
    assert not judged.decision.allowed
