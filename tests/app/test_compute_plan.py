"""A stage's declared plan over a real run: told of in the evidence, or enforced."""

from app_house import needs_room

from sealwright.app import wiring
from sealwright.core.predicates import SLSA_PROVENANCE

SLOW = "import time, pathlib\ntime.sleep(1.3)\npathlib.Path('model.json').write_text('{}')\n"
pytestmark = needs_room


def planned(project, compute):
    project.write("train.py", SLOW)
    path = project.root / "seal.toml"
    head = path.read_text().partition("[stage.")[0]
    path.write_text(
        f'{head}\n[stage.slow]\ncmd = ["python", "train.py"]\nmodel = "model.json"\n'
        f'name = "fraud"\ncompute = {compute}\n'
    )


def test_a_run_over_its_plan_is_told_of_with_plan_and_usage(project):
    planned(project, '{wall = "1s", memory = "4GiB"}')
    project.ok("run", "--stage", "slow")
    (entry,) = wiring.open_workspace().history().of_type(SLSA_PROVENANCE)
    internal = entry.statement.predicate["buildDefinition"]["internalParameters"]
    assert internal["compute_plan"]["wall_ms"] == 1000
    assert internal["room"]["usage"]["wall_ms"] > 1000
    assert "room.compute-over-plan" in repr(internal["findings"])


def test_an_enforced_plan_stops_the_run(project):
    planned(project, '{wall = "1s", enforce = true}')
    code, body, _ = project.seal("run", "--stage", "slow")
    assert code != 0, body
    assert wiring.open_workspace().history().of_type(SLSA_PROVENANCE) == ()
