"""The guard before another server, each a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path


class Started:
    """A process that said where it listens."""

    def __init__(self, words: list[str], cwd: Path, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        said = ""
        while not said or (said.startswith("{") and not said.endswith("\n}\n")):
            line = self.process.stdout.readline()
            if not line:
                raise AssertionError(self.process.stderr.read() if self.process.stderr else "")
            said += line
        self.said = said.strip()

    def stop(self) -> str:
        """End it; what it said on stderr."""
        self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate(timeout=20)
        return err


def toy(cwd: Path) -> Started:
    """The toy server as a process of its own."""
    return Started([sys.executable, "-m", "sealwright.app.bench.guard.behind"], cwd)


class Guarded:
    """``seal serve --upstream`` in a project of its own."""

    def __init__(self, root: Path, upstream: str, *more: str, settings: str = "") -> None:
        self.root = root / "house"
        self.env = {"XDG_STATE_HOME": str(root / "state"), "SEAL_PRINCIPAL": "ada"}
        self.root.mkdir(parents=True, exist_ok=True)
        if not (self.root / "seal.toml").exists():
            self.seal("init")
            if settings:
                toml = self.root / "seal.toml"
                toml.write_text(toml.read_text() + settings)
        self._words = ["serve", "--json", "--port", "0", "--upstream", upstream, *more]

    def seal(self, *words: str, given: str | None = None) -> dict:
        """One command; its JSON."""
        done = subprocess.run(
            [sys.executable, "-m", "sealwright", *words, "--json"],
            cwd=self.root,
            env={**os.environ, **self.env},
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def start(self) -> dict:
        """Serve; what it says when it is ready."""
        self.started = Started(
            [sys.executable, "-m", "sealwright", *self._words], self.root, self.env
        )
        self.ready = json.loads(self.started.said)
        return self.ready

    def stop(self) -> str:
        """End it; what it said."""
        return self.started.stop()

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.ready["url"]

    def key(self, name: str, *more: str) -> str:
        """A serving key."""
        return self.seal("serve", "keys", "create", name, "--reason", "test", *more)["secret"]
