"""A stage's declared plan over a real run: told of in the evidence, or enforced."""

import pytest
from app_house import needs_room

from sealwright.app import wiring
from sealwright.core.predicates import CLOSED, SLSA_PROVENANCE

SLOW = "import time, pathlib\ntime.sleep(1.3)\npathlib.Path('model.json').write_text('{}')\n"
pytestmark = needs_room


def planned(project, compute, script=SLOW):
    project.write("train.py", script)
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


BUSY = """
import os, pathlib
if os.fork() == 0:
    while True:
        pass
while True:
    pass
"""


@pytest.mark.parametrize("isolation", ["standard", "strict", "none"])
def test_cpu_time_over_an_enforced_plan_stops_the_run(project, isolation):
    planned(project, '{cpu = "2s", wall = "5m", enforce = true}', BUSY)
    code, body, err = project.seal("run", "--stage", "slow", "--isolation", isolation)
    assert code == 2, (body, err)
    assert "CPU time" in body["error"]["what"] and "compute.cpu" in body["error"]["hint"]
    history = wiring.open_workspace().history()
    assert history.of_type(SLSA_PROVENANCE) == ()
    (closed,) = (entry.statement.predicate for entry in history.of_type(CLOSED))
    assert closed["ended"] == "cpu-time"
    assert "room.cpu-limit" in closed["findings"]


def test_cpu_time_over_a_plan_that_is_not_enforced_is_only_told_of(project):
    enough = "import time, pathlib\nwhile time.process_time() < 1.2:\n    pass\n"
    enough += "pathlib.Path('model.json').write_text('{}')\n"
    planned(project, '{cpu = "1s"}', enough)
    project.ok("run", "--stage", "slow")
    (entry,) = wiring.open_workspace().history().of_type(SLSA_PROVENANCE)
    internal = entry.statement.predicate["buildDefinition"]["internalParameters"]
    assert "cpu_s" not in internal["limits"]
    assert "room.compute-over-plan" in repr(internal["findings"])
