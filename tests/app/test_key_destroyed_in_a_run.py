"""A key that somebody destroys while a run runs: the log says how the run ended."""

import subprocess
import sys

import pytest
from app_house import needs_room

from sealwright.app import wiring
from sealwright.core.predicates import CLOSED, INTENT, SLSA_PROVENANCE
from sealwright.pipeline import training

RUN = ("run", "--model", "model.json", "--name", "fraud", "--", "python", "train.py")
pytestmark = needs_room


def destroyed(project, monkeypatch, step: str, key: str) -> None:
    """Another process destroys ``key`` just before ``step`` of the run, once."""
    honest = getattr(training, step)
    words = [sys.executable, "-m", "sealwright", "keys", "shred", key, "--reason", "contract over"]

    def meanwhile(*args, **more):
        monkeypatch.setattr(training, step, honest)
        done = subprocess.run(words, cwd=project.root, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return honest(*args, **more)

    monkeypatch.setattr(training, step, meanwhile)


def of_log(kind: str) -> list[dict]:
    return [entry.statement.predicate for entry in wiring.open_workspace().history().of_type(kind)]


def test_a_data_key_gone_before_the_inputs_are_opened_ends_the_run(project, monkeypatch):
    destroyed(project, monkeypatch, "opened_inputs", "data:train")
    code, body, _ = project.seal(*RUN)
    assert (code, body["error"]["rule"]) == (1, "keys.destroyed")
    assert (len(of_log(INTENT)), len(of_log(CLOSED)), of_log(SLSA_PROVENANCE)) == (1, 1, [])
    assert not (project.root / "model.json").exists()
    project.ok("log", "verify")


def test_a_data_key_gone_once_the_room_has_its_inputs_leaves_a_run_that_cannot_be_repeated(
    project, monkeypatch
):
    destroyed(project, monkeypatch, "compute_spikes", "data:train")
    run = project.ok(*RUN)["runs"][0]["run"]
    assert len(of_log(SLSA_PROVENANCE)) == 1
    project.ok("log", "verify")
    code, body, _ = project.seal("reproduce", f"run:{run}")
    assert code != 0, body


@pytest.mark.parametrize("step", ["opened_inputs", "compute_spikes"])
def test_the_key_of_runs_gone_in_the_middle_leaves_a_log_that_verifies(project, monkeypatch, step):
    project.ok(*RUN)
    project.write("train.py", (project.root / "train.py").read_text() + "\n")
    destroyed(project, monkeypatch, step, "run")
    code, body, err = project.seal(*RUN)
    project.ok("log", "verify")
    ended = len(of_log(CLOSED)) + len(of_log(SLSA_PROVENANCE))
    assert (len(of_log(INTENT)), ended) == (2, 2), (code, body, err)
