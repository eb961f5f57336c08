"""The fixture ``space``: a workspace with real parts."""

from __future__ import annotations

from pathlib import Path

import pytest
from intake_space import Space


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Space:
    made = Space(tmp_path)
    monkeypatch.chdir(made.project)
    return made
