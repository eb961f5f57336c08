"""``seal doctor --probes``: the table, the rung that is kept, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sealwright.app.cli import main
from sealwright.app.setup import create_workspace
from sealwright.train import measured, primitives
from sealwright.train.probes import suite
from sealwright.train.probes.suite import Tried

pytestmark = pytest.mark.skipif(
    any(one.required and not one.present for one in primitives.survey()), reason="no room here"
)


def results(verdict: str) -> list[Tried]:
    """Made up, because the real ones take half a minute; tests/train/test_probes.py has those."""
    both: Any = {"standard": "held", "strict": verdict}
    channel: Any = {"standard": "bounded", "strict": "bounded"}
    return [
        Tried("tcp", "network", "connect", "standard", "it worked", both, {}),
        Tried("timing", "channels", "tell by time", "standard", "it worked", channel, {}),
    ]


@pytest.mark.parametrize(("verdict", "code"), [("held", 0), ("leaked", 1)])
def test_the_measured_rung_is_kept_and_a_leak_is_told_by_the_exit_code(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verdict: str,
    code: int,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    create_workspace(project, "solo", None)
    monkeypatch.setattr(suite, "run", lambda *_: results(verdict))
    assert main(["doctor", "--probes", "--json"]) == code
    report = json.loads(capsys.readouterr().out)
    rung = report["rungs"]["strict"]
    assert (rung["measured"] == rung["promised"]) is (verdict == "held")
    kept = measured.load(Path(report["kept"]).parent)
    assert kept is not None
    assert kept.digest == report["digest"]
    assert main(["doctor", "--probes"]) == code
    shown = capsys.readouterr().out
    assert "network" in shown
    assert "strict: rung" in shown
    assert ("leaked: tcp: connect" in shown) is (verdict == "leaked")
