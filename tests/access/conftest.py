"""One workspace that several people use, each from an account of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from access_house import Office


@pytest.fixture
def office(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Office:
    """A team's workspace: olga owns it, dora stewards data, eli engineers, rita reviews."""
    office = Office(tmp_path, monkeypatch, capsys)
    office.open("team")
    return office
