"""What the command-line tests share: a project, and ``seal`` typed in it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sealwright.app.cli import main

needs_room = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="the room needs bubblewrap: apt-get install bubblewrap"
)

TRAIN = """\
import json, sys
rows = open("data/train.csv").read().split()[1:]
json.dump({"rows": len(rows), "mean": sum(int(r.split(",")[0]) for r in rows) / len(rows)},
          open("model.json", "w"))
print("trained on", len(rows))
"""


class Project:
    """A folder, and ``seal`` typed in it."""

    def __init__(self, root: Path, state: Path, capsys) -> None:
        self.root = root
        self.state = state
        self._capsys = capsys

    def seal(self, *words: str) -> tuple[int, dict, str]:
        """Exit code, the JSON object, stderr."""
        self._capsys.readouterr()
        cut = words.index("--") if "--" in words else len(words)
        code = main([*words[:cut], "--json", *words[cut:]])
        said = self._capsys.readouterr()
        return code, json.loads(said.out) if said.out.strip() else {}, said.err

    def ok(self, *words: str) -> dict:
        code, body, err = self.seal(*words)
        assert code == 0, (words, body, err)
        return body

    def spawn(self, *words: str, **more) -> subprocess.Popen:
        """The same in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "sealwright", *words],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )

    def write(self, path: str, text: str) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def tree(self) -> dict[str, bytes]:
        """Every file of the project outside .seal."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and ".seal" not in path.parts
        }

    def statements(self) -> list[dict]:
        return self.ok("log", "show", "--all")["entries"]
