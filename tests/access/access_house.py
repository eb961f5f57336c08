"""``seal`` typed by several people in one workspace, with a clock that can be set.

People of one machine share a uid here, so each is given a uid of their own where the code asks
for it; keys, statements, the log and the room are real.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sealwright.app import wiring
from sealwright.app.cli import main
from sealwright.core import clock
from sealwright.evidence.history import History

PEOPLE = {
    "olga": ("owner", 2001),
    "dora": ("data-steward", 2002),
    "eli": ("ml-engineer", 2003),
    "rita": ("reviewer", 2004),
    "max": ("release-manager", 2005),
    "aude": ("auditor", 2006),
}
TRAIN = """\
import json
rows = open("data/train.csv").read().split()[1:]
json.dump({"rows": len(rows)}, open("model.json", "w"))
"""
ROWS = "name,region,age,card\n" + "".join(
    f"p{i},{'EU' if i % 2 else 'US'},{20 + i},4000{i:04d}\n" for i in range(8)
)


class Office:
    """A project, the people who work on it, and one clock."""

    def __init__(
        self, tmp: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.tmp, self.monkeypatch, self.capsys = tmp, monkeypatch, capsys
        self.root = tmp / "fraud"
        self.root.mkdir()
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.uid = 0
        monkeypatch.chdir(self.root)
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp / "state"))
        monkeypatch.delenv("SEAL_PASSPHRASE", raising=False)
        monkeypatch.setattr(clock, "now", lambda: self.now)
        honest = wiring.Workspace.principal.func  # type: ignore[attr-defined]

        def principal(workspace: wiring.Workspace) -> Any:
            import msgspec

            return msgspec.structs.replace(honest(workspace), uid=self.uid)

        monkeypatch.setattr(wiring.Workspace, "principal", property(principal))
        (self.root / "data").mkdir()
        (self.root / "data" / "train.csv").write_text(ROWS)
        (self.root / "train.py").write_text(TRAIN)

    def open(self, profile: str, people: tuple[str, ...] = tuple(PEOPLE)) -> None:
        """A workspace, and its members with the roles of :data:`PEOPLE`."""
        self.ok("olga", "init", "--profile", profile)
        for name in people:
            if name != "olga":
                self.join(name, PEOPLE[name][0])

    def join(self, name: str, role: str) -> None:
        """Enrol a key and give a role."""
        self.ok(name, "access", "enroll", name, "--reason", "joined")
        self.ok("olga", "access", "role", name, role, "--reason", "joined")

    def seal(self, who: str, *words: str) -> tuple[int, dict[str, Any], str]:
        """Exit code, the JSON object, stderr."""
        self.uid = PEOPLE[who][1] if who in PEOPLE else 2999
        self.monkeypatch.setenv("SEAL_PRINCIPAL", who)
        self.capsys.readouterr()
        cut = words.index("--") if "--" in words else len(words)
        code = main([*words[:cut], "--json", *words[cut:]])
        said = self.capsys.readouterr()
        self.now += timedelta(seconds=1)
        return code, json.loads(said.out) if said.out.strip() else {}, said.err

    def ok(self, who: str, *words: str) -> dict[str, Any]:
        code, body, err = self.seal(who, *words)
        assert code == 0, (who, words, body, err)
        return body

    def refused(self, who: str, *words: str) -> dict[str, Any]:
        """What a refusal says: its error object."""
        code, body, err = self.seal(who, *words)
        assert code == 1, (who, words, body, err)
        error: dict[str, Any] = body["error"]
        return error

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)

    def add(self, who: str = "dora") -> dict[str, Any]:
        return self.ok(
            who, "data", "add", "data/train.csv", "--name", "train", "--reason", "delivery"
        )

    def ask(self, who: str, action: str, resource: str, *more: str, purpose: str = "fraud") -> str:
        """A request for a grant; its digest."""
        words = ("access", "request", action, resource, "--purpose", purpose, "--reason", "need it")
        digest: str = self.ok(who, *words, *more)["request"]
        return digest

    def approve(self, who: str, request: str) -> dict[str, Any]:
        return self.ok(who, "access", "approve", request[:16], "--reason", "looked at it")

    def granted(
        self,
        action: str,
        *more: str,
        resource: str = "data:train",
        who: str = "eli",
        purpose: str = "fraud",
        by: str = "olga",
    ) -> str:
        request = self.ask(who, action, resource, *more, purpose=purpose)
        assert self.approve(by, request)["grant"]["principal"] == who
        return request

    def read(self, who: str = "eli", *more: str) -> tuple[int, dict[str, Any], str]:
        return self.seal(who, "data", "read", "train", *more)

    def workspace(self) -> wiring.Workspace:
        return wiring.open_workspace(self.root)

    def history(self) -> History:
        return self.workspace().history()
