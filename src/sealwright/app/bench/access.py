"""Who may, and who is stopped: decisions per second, detection, and how soon a stop holds.

Detection runs the frozen simulator on seeds that the rules were not set on. Decisions are over
fifty policies; regopy and casbin judge fifty like ones, where they are installed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sealwright.app.bench import Row, cpu_s, measure
from sealwright.app.bench.tokens import token_rows
from sealwright.core.errors import Unavailable
from sealwright.policy import facts, policyset
from sealwright.watch import measure as watch
from sealwright.watch import simulate

POLICIES = 50
UNCACHED_PER_S, CACHED_PER_S = 3_000, 10_000
STOP_S, KILL_S = 1.0, 2.0
FRESH_SEED = 1_001
FRESH_SEEDS = 40
GOALS = {"burst": 99.0, "drip": 99.0, "export": 99.0, "off-hours": 95.0}
FALSE_PER_1000 = 1.0

_SLOW = "import pathlib, time\npathlib.Path('m.json').write_text('{}')\ntime.sleep(600)\n"
_CASBIN = """
[request_definition]
r = sub, act, facts
[policy_definition]
p = act, rule, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = r.act == p.act && eval(p.rule)
"""


def rows(quick: bool) -> list[Row]:
    """Decisions, detection, tokens, and two latencies from the word typed to the effect."""
    return [
        *_decisions(300 if quick else 3_000),
        *_detection(2 if quick else FRESH_SEEDS),
        *_stops(),
        *token_rows(quick),
    ]


def _decisions(count: int) -> list[Row]:
    shipped = policyset.shipped("team")
    more = "".join(
        f'@id("bench.{n}") @reason("a limit")\n'
        'forbid (principal, action in Action::"gate", resource)'
        f" when {{ context.inputs > {n + 9} }};\n"
        for n in range(POLICIES - len(shipped.engine.rules))
    )
    texts = {**dict(shipped.files), "bench.cedar": more}
    engine = policyset.of_texts(texts, shipped.schema, "team").engine
    values = facts.of(facts.refusing()).jsonable()

    def fresh() -> None:
        engine.judged.clear()
        engine.answered.clear()
        for number in range(count):
            values["inputs"] = number  # which the rules read: what they do not is no new question
            engine.judge("export", "ann", "x", values)

    def again() -> None:
        for _ in range(10 * count):
            engine.judge("export", "ann", "x", values)

    name = f"decisions, {len(engine.rules)} policies"
    return [
        measure(
            f"{name}, each new",
            count / cpu_s(fresh),
            "1/CPU-s",
            target=UNCACHED_PER_S,
            yardsticks={**_regopy(count // 30), **_casbin(count // 30)},
        ),
        measure(f"{name}, asked before", 10 * count / cpu_s(again), "1/CPU-s", target=CACHED_PER_S),
    ]


def _regopy(count: int) -> dict[str, float]:
    if find_spec("regopy") is None:
        return {}
    rego: Any = import_module("regopy").Interpreter()
    rules = "".join(f'deny contains "r{n}" if input.f{n} > 5\n' for n in range(POLICIES))
    rego.add_module("gate", f"package gate\nimport rego.v1\n{rules}")

    def judge() -> None:
        for number in range(count):
            rego.set_input({f"f{n}": number % 3 for n in range(POLICIES)})
            rego.query("x = data.gate.deny")

    return {"regopy": count / cpu_s(judge)}


def _casbin(count: int) -> dict[str, float]:
    if find_spec("casbin") is None:
        return {}
    casbin: Any = import_module("casbin")
    model = casbin.Model()
    model.load_model_from_text(_CASBIN)
    enforcer = casbin.Enforcer(model)
    for number in range(POLICIES - 1):
        enforcer.add_policy("export", f"r.facts.f{number} > 5", "deny")
    enforcer.add_policy("export", "r.facts.f0 >= 0", "allow")

    def judge() -> None:
        for number in range(count):
            asked = type("Facts", (), {f"f{n}": number % 3 for n in range(POLICIES)})
            enforcer.enforce("ann", "export", asked)

    return {"casbin": count / cpu_s(judge)}


def _detection(seeds: int) -> list[Row]:
    outcome = watch.outcome(range(FRESH_SEED, FRESH_SEED + seeds))
    found = []
    for kind in simulate.KINDS:
        caught, tried = outcome.caught(kind)
        low, high = watch.interval(caught, tried)
        found.append(
            measure(
                f"detection, {kind}, {tried} attacks",
                100 * caught / tried,
                "%",
                target=GOALS[kind],
                yardsticks={"95 % from": 100 * low, "to": 100 * high},
            )
        )
    false, days = len(outcome.false), outcome.principal_days
    low, high = watch.interval(false, days)
    alarms = measure(
        f"false alarms, {days:,} principal-days",
        1000 * false / days,
        "per 1,000 days",
        target=FALSE_PER_1000,
        better="lower",
        yardsticks={"95 % from": 1000 * low, "to": 1000 * high},
    )
    return [*found, alarms]


def _stops() -> list[Row]:
    """Wall seconds, median of three, from a command's start to what it was for."""
    with tempfile.TemporaryDirectory(prefix="sealwright-bench-") as name:
        seal = _Seal(Path(name))
        quarantines, kills = [], []
        for turn in range(3):
            start = time.perf_counter()
            seal("contain", "quarantine", f"ann{turn}", "--reason", "bench")
            quarantines.append(time.perf_counter() - start)
            if seal.refused("run", "--", "true", principal=f"ann{turn}") is False:
                raise Unavailable("a quarantined principal was not refused")
            kills.append(seal.killed())
    return [
        measure(
            "quarantine typed, until it holds",
            statistics.median(quarantines),
            "s",
            target=STOP_S,
            better="lower",
        ),
        measure(
            "kill typed, until the run has ended",
            statistics.median(kills),
            "s",
            target=KILL_S,
            better="lower",
        ),
    ]


class _Seal:
    """``seal`` in a project of its own."""

    def __init__(self, top: Path) -> None:
        self.root = top / "project"
        self.root.mkdir()
        self._env = {**os.environ, "XDG_STATE_HOME": str(top / "state"), "SEAL_PASSPHRASE": ""}
        (self.root / "slow.py").write_text(_SLOW)
        self("init")

    def __call__(self, *words: str) -> None:
        subprocess.run(self._line(words), **self._where())

    def refused(self, *words: str, principal: str) -> bool:
        """Whether somebody's command is refused by a gate."""
        where = {**self._where(), "env": {**self._env, "SEAL_PRINCIPAL": principal}, "check": False}
        return bool(subprocess.run(self._line(words), **where).returncode == 1)

    def killed(self) -> float:
        """Seconds to end a run that would last ten minutes."""
        command = ("run", "--isolation", "none", "--", sys.executable, "slow.py")
        child = subprocess.Popen(
            self._line(command),
            cwd=self.root,
            env=self._env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            run = self._live(child)
            start = time.perf_counter()
            self("contain", "kill", run, "--reason", "bench")
            child.wait(30)
            return time.perf_counter() - start
        finally:
            child.kill()
            child.wait()

    def _live(self, child: subprocess.Popen[bytes]) -> str:
        while child.poll() is None:
            for work in (self._env_state()).glob("*/rooms/*"):
                for lock in (self.root / ".seal" / "tmp").glob("run-*.lock"):
                    if work.exists() and lock.read_text().strip() == str(child.pid):
                        return lock.stem.removeprefix("run-")
            time.sleep(0.02)
        raise Unavailable("the run that was to be killed ended by itself")

    def _env_state(self) -> Path:
        return Path(self._env["XDG_STATE_HOME"]) / "sealwright"

    def _line(self, words: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "sealwright", *words]

    def _where(self) -> dict[str, Any]:
        return {"cwd": self.root, "env": self._env, "check": True, "capture_output": True}
