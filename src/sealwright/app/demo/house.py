"""Where the demo plays: a project, a home and keys of its own, in a folder that is taken away."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from sealwright.core.errors import MissingExtra

SETTINGS = """\
profile = "solo"

[data.digits]
path = "data/digits.csv"
label = "digit"

[stage.prepare]
cmd = ["python", "prepare.py"]
inputs = ["digits"]
outputs = {{ clean = "data/clean.csv" }}

[stage.train]
cmd = ["python", "train.py"]
inputs = ["clean"]
model = "model.joblib"
name = "digits"

[screening]
canary = false
{log}"""

CANARY = "a-private-key-that-must-not-leave"


class Said(msgspec.Struct, frozen=True):
    """What a command answered: its exit code, its one JSON object, and its talk."""

    code: int
    body: dict[str, Any]
    talk: str

    @property
    def error(self) -> dict[str, Any]:
        """The refusal or error; empty where there was none."""
        found: dict[str, Any] = self.body.get("error", {})
        return found


class House:
    """A project with two stages, and a home with a secret in it."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.project = top / "digits"
        self.home = top / "home"

    @property
    def seal_dir(self) -> Path:
        """The project's workspace."""
        return self.project / ".seal"

    def build(self) -> int:
        """Lay out the project; returns how many digits there are. Raises: MissingExtra."""
        (self.project / "data").mkdir(parents=True)
        (self.home / ".ssh").mkdir(parents=True)
        (self.home / ".ssh" / "id_ed25519").write_text(CANARY)
        scripts = files("sealwright.app.demo") / "project"
        for name in ("prepare.py", "train.py", "thief.py"):
            (self.project / name).write_text((scripts / name).read_text("utf-8"), "utf-8")
        self.configure()
        return self._write_digits()

    def configure(self, witness: str = "") -> None:
        """Write seal.toml, with a witness where one is named."""
        log = f'\n[log]\nwitness = "{witness}"\n' if witness else ""
        (self.project / "seal.toml").write_text(SETTINGS.format(log=log), "utf-8")

    def seal(self, *words: str) -> Said:
        """One command, as a user would type it, from inside the project."""
        from sealwright.app.cli import main

        cut = words.index("--") if "--" in words else len(words)
        out, talk = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(talk):
            code = main([*words[:cut], "--json", *words[cut:]])
        text = out.getvalue().strip()
        body = json.loads(text) if text else {}
        return Said(code, body, talk.getvalue())

    def copy(self, name: str) -> Path:
        """Keep the workspace and its keys as they are now, to go back to."""
        kept = self.top / name
        shutil.copytree(self.seal_dir, kept / "seal")
        shutil.copytree(self.top / "state", kept / "state")
        return kept

    def go_back(self, kept: Path) -> None:
        """Undo an attack."""
        for there, here in ((kept / "seal", self.seal_dir), (kept / "state", self.top / "state")):
            shutil.rmtree(here)
            shutil.copytree(there, here)

    def _write_digits(self) -> int:
        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise MissingExtra("seal demo", "demo") from error
        digits = load_digits()
        with open(self.project / "data" / "digits.csv", "w", newline="") as sink:
            rows = csv.writer(sink)
            rows.writerow([*(f"p{i}" for i in range(digits.data.shape[1])), "digit"])
            for pixels, digit in zip(digits.data, digits.target, strict=True):
                rows.writerow([*map(int, pixels), int(digit)])
        return len(digits.target)


@contextmanager
def moved_in(house: House) -> Iterator[None]:
    """Work in the house: its folder, its home, its keys; everything as it was afterwards."""
    before, names = Path.cwd(), ("HOME", "XDG_STATE_HOME", "PATH", "SEAL_PASSPHRASE")
    kept = {name: os.environ.get(name) for name in names}
    os.environ["HOME"] = str(house.home)
    os.environ["XDG_STATE_HOME"] = str(house.top / "state")
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{kept['PATH'] or ''}"
    os.environ.pop("SEAL_PASSPHRASE", None)
    os.chdir(house.project)
    try:
        yield
    finally:
        os.chdir(before)
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def needed(said: Said, what: str) -> dict[str, Any]:
    """The answer of a command that must succeed. Raises: RuntimeError with its own words."""
    if said.code != 0:
        raise RuntimeError(f"{what} failed ({said.code}): {said.error or said.talk}")
    return said.body
