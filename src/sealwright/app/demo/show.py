"""The demo itself: a clean run, sealed and verified; then the attacks, one by one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sealwright.app.demo import attacks
from sealwright.app.demo.attacks import Attempt
from sealwright.app.demo.house import House, moved_in, needed

Say = Callable[[str, str], None]
"""Called with what was typed and what came of it."""


def seal_a_run(house: House, rows: int, say: Say) -> None:
    """The clean pipeline, as a user would type it."""
    made = needed(house.seal("init"), "seal init")
    (house.top / "fingerprint").write_text(made["trust"])
    say("seal init", f"workspace {made['workspace']}, keys outside the project")
    words = ("data", "add", "data/digits.csv", "--name", "digits", "--label", "digit")
    needed(house.seal(*words, "--reason", "first delivery"), "seal data add")
    say("seal data add data/digits.csv", f"data:digits@1, {rows:,} records signed and encrypted")
    ran = needed(house.seal("run"), "seal run")
    score = json.loads((house.project / "metrics.json").read_text())
    model = ran["runs"][-1]["model"]["ref"]
    say("seal run", f"prepare and train in the room: {model}, accuracy {score['accuracy']:.3f}")
    needed(house.seal("verify", model), "seal verify")
    say(f"seal verify {model}", "model, run, code, data and log hold together")
    bundle = str(house.top / "bundle.tar")
    needed(house.seal("model", "export", model, bundle), "seal model export")
    needed(house.seal("verify", bundle, "--trust", made["trust"]), "seal verify (bundle)")
    say("seal model export, seal verify bundle.tar", "verified from the bundle alone, offline")
    run: str = ran["runs"][-1]["run"]
    again = needed(house.seal("reproduce", f"run:{run}"), "seal reproduce")
    say(f"seal reproduce run:{run}", f"{again['outcome']}: every output bit for bit")


def play(house: House) -> Iterator[Attempt]:
    """Every attack in turn, each undone before the next."""
    yield attacks.label_in_the_store(house)
    yield attacks.data_between_stages(house)
    yield attacks.planted_trigger(house)
    yield attacks.thief(house)
    yield attacks.model_after_signing(house)
    yield attacks.edited_row(house)
    yield attacks.history_rewritten(house, witness=False)
    with witnessed(house):
        yield attacks.history_rewritten(house, witness=True)


@contextmanager
def witnessed(house: House) -> Iterator[None]:
    """A witness in a process of its own, with its own home and key, that saw the log once."""
    home = ("--home", str(house.top / "witness"))
    made = needed(house.seal("log", "witness", "init", "demo-witness", *home), "witness init")
    socket = f"unix:{house.top / 'witness.sock'}"
    command = [sys.executable, "-m", "sealwright", "log", "witness", "serve", "demo-witness"]
    server = subprocess.Popen(
        [*command, *home, "--listen", socket, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        _wait(server)
        house.configure(witness=socket)
        trusted = house.seal("log", "witness", "trust", made["vkey"], "--at", socket)
        needed(trusted, "witness trust")
        needed(house.seal("log", "witness", "ask"), "witness ask")
        needed(house.seal("log", "verify"), "seal log verify")
        yield
    finally:
        server.terminate()
        server.wait(timeout=10)


def _wait(server: subprocess.Popen[str]) -> None:
    """Until it says where it listens."""
    lines: Any = server.stdout
    for line in lines:
        if "vkey" in line or line.startswith("}"):
            return
    raise RuntimeError("the witness did not start")


__all__ = ["House", "moved_in", "play", "seal_a_run"]
