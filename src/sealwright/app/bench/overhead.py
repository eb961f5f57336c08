"""What sealing costs a training run: the same script with and without ``seal run``."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from sealwright.app.bench import Row, cpu_s, measure

SECONDS = 60
QUICK_SECONDS = 4
REPEAT = 3
SCRIPT = """\
import hashlib, time
table = open("data/train.csv", "rb").read()
weights = b""
for _ in range(int(open("rounds.txt").read())):
    for _ in range(2000):
        weights = hashlib.sha512(weights + table[:4096]).digest()
open("model.bin", "wb").write(weights)
"""
CALIBRATION_ROUNDS = 100


def rows(quick: bool) -> list[Row]:
    """CPU seconds of a training of about a minute, sealed and bare, and the share between."""
    seconds = QUICK_SECONDS if quick else SECONDS
    repeat = 1 if quick else REPEAT
    with tempfile.TemporaryDirectory(prefix="sealwright-bench-") as folder:
        project = Path(folder) / "project"
        environment = {**os.environ, "XDG_STATE_HOME": str(Path(folder) / "state")}
        _lay_out(project)
        bare = [sys.executable, "train.py"]
        sealed = [sys.executable, "-m", "sealwright", "run", "--json", "--model", "model.bin"]
        once = cpu_s(lambda: _call(bare, project, environment), 1)
        per_round = once / CALIBRATION_ROUNDS
        (project / "rounds.txt").write_text(str(max(1, int(seconds / per_round))))
        _seal(project, environment, "init")
        _seal(project, environment, "data", "add", "data/train.csv", "--name", "train")
        without = cpu_s(lambda: _call(bare, project, environment), repeat)
        (project / "model.bin").unlink()
        within = statistics.median(
            _sealed_s([*sealed, "--", *bare], project, environment) for _ in range(repeat)
        )
    return [
        measure(
            f"evidence overhead on a {seconds}-second training, CPU",
            100 * (within - without) / without,
            "%",
            target=None if quick else 3,
            better="lower",
            yardsticks={"bare, CPU s": without, "sealed, CPU s": within},
        )
    ]


def _lay_out(project: Path) -> None:
    (project / "data").mkdir(parents=True)
    (project / "train.py").write_text(SCRIPT)
    (project / "rounds.txt").write_text(str(CALIBRATION_ROUNDS))
    lines = (f"{number},{number % 97},{number % 2}\n" for number in range(100_000))
    (project / "data" / "train.csv").write_text("id,feature,label\n" + "".join(lines))


def _seal(project: Path, environment: dict[str, str], *words: str) -> None:
    _call([sys.executable, "-m", "sealwright", *words], project, environment)


def _sealed_s(command: list[str], project: Path, environment: dict[str, str]) -> float:
    """CPU seconds of ``seal run`` and of the room.

    Whether the kernel charges the room to us depends on who reaped its processes; Sealwright's
    own part is far below the script's, so the larger figure tells.
    """
    said: list[str] = []
    around = cpu_s(lambda: said.append(_call(command, project, environment)), 1)
    usage = json.loads(said[0])["runs"][0]["usage"]
    inside = float(usage["cpu_ms"]) / 1000
    return around if around >= inside else around + inside


def _call(command: list[str], project: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=project, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout
