import pytest

from sealwright.core.errors import BadInput
from sealwright.core.refs import Ref
from sealwright.core.settings import parse
from sealwright.pipeline import plan, spec
from sealwright.pipeline.spec import StageSpec


def stage(name, reads=(), makes=(), after=()):
    return StageSpec(
        name,
        ("python", f"{name}.py"),
        tuple(Ref("data", item) for item in reads),
        outputs={item: f"{item}.csv" for item in makes},
        after=tuple(after),
    )


def names(stages):
    return [one.name for one in plan.order(stages)]


def test_a_stage_runs_after_the_one_that_makes_what_it_reads():
    assert names([stage("fit", reads=["clean"]), stage("prepare", makes=["clean"])]) == [
        "prepare",
        "fit",
    ]


def test_a_stage_runs_after_the_one_it_names():
    assert names([stage("b", after=["a"]), stage("a")]) == ["a", "b"]


def test_a_circle_is_refused_and_drawn():
    with pytest.raises(BadInput) as caught:
        plan.order([stage("a", after=["b"]), stage("b", after=["a"])])
    assert "a" in caught.value.why and "b" in caught.value.why


def test_two_stages_may_not_make_one_dataset():
    with pytest.raises(BadInput, match="two stages make data:x"):
        plan.order([stage("a", makes=["x"]), stage("b", makes=["x"])])


def test_the_config_digest_changes_with_the_command_and_with_the_limits():
    one = plan.config_digest(stage("a"), {"memory_bytes": 1})
    assert one == plan.config_digest(stage("a"), {"memory_bytes": 1})
    assert one != plan.config_digest(stage("a"), {"memory_bytes": 2})
    assert one != plan.config_digest(stage("b"), {"memory_bytes": 1})


SETTINGS = parse(
    b"""
[data.train]
path = "data/train.csv"
[stage.fit]
cmd = ["python", "train.py"]
inputs = ["train"]
model = "model.joblib"
name = "fraud"
"""
)


def test_a_typed_command_borrows_the_stage_that_starts_the_same_script():
    found = spec.ad_hoc(["python", "train.py", "--epochs", "3"], SETTINGS, [], "", "")
    assert (found.name, found.model, found.model_name) == ("fit", "model.joblib", "fraud")
    assert found.argv == ("python", "train.py", "--epochs", "3")


def test_a_typed_command_that_no_stage_knows_stands_alone():
    found = spec.ad_hoc(["python", "other.py"], SETTINGS, [Ref("data", "train")], "", "")
    assert (found.name, found.guess_model) == (spec.ADHOC, True)


def test_a_stage_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(BadInput) as caught:
        spec.of_settings(SETTINGS, ["train"])
    assert caught.value.why == "it has fit"


def test_settings_without_stages_say_what_to_type():
    with pytest.raises(BadInput) as caught:
        spec.of_settings(parse(b""))
    assert "seal run -- python train.py" in caught.value.hint
