"""The held-out attacks, opened once: the file's digest is checked, then it is run.

Its digest was committed before any detector was tuned (docs/concepts/held-out.md).
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.util
from collections import defaultdict
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from sealwright.app.bench import Answer, Row
from sealwright.app.bench.poison import victims
from sealwright.app.bench.poison.cells import LEARNT
from sealwright.app.bench.poison.data import folder
from sealwright.app.bench.poison.planted import Planted
from sealwright.app.bench.poison.plates import plate_of
from sealwright.app.bench.poison.score import rate
from sealwright.app.bench.poison.sets import Set, of_images, of_table, of_texts
from sealwright.app.bench.poison.trial import Plan, Trial, scored, screened, spread
from sealwright.core.errors import BadInput, VerifyError

DIGESTS = {
    "heldout_poison.py": "1722c50a7353fa95373be598b7e5dd883654f9f807fc9e782386814b43d129d0",
    "heldout_patterns.py": "03669504e9dff10880116f0ab0b3186a544f96f9db9a2cbe4eb5d5ade0485ad0",
    "heldout_pictures.py": "9dc3af91ed558ac6e47f519fa88253ec1fb8e071473d3338f5925084d3ecb1f5",
}
"""Frozen generator → its SHA-256, as docs/concepts/held-out.md has it."""
SEEDS = 3
_SHARES = {"0.3%": 0.003, "1%": 0.01, "5%": 0.05, "k=10": 10.0, "k=20": 20.0, "k=50": 50.0}


class Case(NamedTuple):
    """One held-out build."""

    path: str
    name: str
    amount: str
    seed: int
    model: bool = False


class Pinned(importlib.abc.InspectLoader):
    """Runs exactly the bytes that were checked."""

    def __init__(self, text: str) -> None:
        self.text = text

    def get_source(self, fullname: str) -> str:
        """The checked text."""
        return self.text


@cache
def opened(path: str) -> ModuleType:
    """The frozen generator. Raises: BadInput (cannot be read), VerifyError (another digest)."""
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}", why=str(error)) from error
    if (digest := hashlib.sha256(raw).hexdigest()) not in DIGESTS.values():
        raise VerifyError(
            "this is not the held-out file that was frozen",
            where=path,
            why=f"SHA-256 {digest}, expected one of {', '.join(DIGESTS.values())}",
            hint="take the file whose digest docs/concepts/held-out.md has",
        )
    loader = Pinned(raw.decode("utf-8"))
    spec = importlib.util.spec_from_loader("heldout_poison", loader)
    if spec is None:
        raise BadInput(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def held_out(quick: bool, path: str, jobs: int, model: bool = False, draws: int = 0) -> Answer:
    """Every case at every amount, three seeds pooled; reported as it comes, without targets.

    With ``model`` those of images are screened once more with the detectors that train one, at
    5 % and the first seed alone: a network is trained each time.
    """
    if not path:
        note = "not opened (--held-out FILE; see docs/concepts/held-out.md)"
        return Answer([Row("held-out attacks: planted rows found", None, "%", note=note)], [])
    module = opened(path)
    amounts = ("1%",) if quick else module.AMOUNTS
    lacking = _lacking(module)
    cases = [
        Case(path, name, amount, seed, model)
        for name, _ in module.cases()
        if name.partition("/")[0] not in lacking
        for amount in amounts
        for seed in range(1 if quick else min(SEEDS, draws or SEEDS))
    ]
    pools: dict[tuple[str, str, str], list[Trial]] = defaultdict(list)
    for case, plain, more in spread(cases, look, jobs):
        pools[case.name, case.amount, ""].append(plain)
        if more is not None:
            pools[case.name, case.amount, " with a model"].append(more)
    rows = [row for case, trials in sorted(pools.items()) for row in _rows(*case, trials)]
    plates = [t.plate for trials in pools.values() for t in trials if t.plate is not None]
    rows += [
        Row(f"held-out {source}: planted rows found", None, "%", note=f"{file} is absent")
        for source, file in lacking.items()
    ]
    return Answer(rows, plates)


def _lacking(module: ModuleType) -> dict[str, str]:
    """Sources of cases whose file is not in the data folder, with the file's name."""
    needs: dict[str, str] = getattr(module, "NEEDS", {})
    return {source: file for source, file in needs.items() if not (folder() / file).exists()}


def look(case: Case) -> tuple[Case, Trial, Trial | None]:
    """Build one case, screen it (images also with a model), and see whether a model learns it."""
    made = opened(case.path).make(case.name, case.amount, case.seed, folder())
    rows = _set(made, case.seed)
    planted = Planted(
        rows,
        rows,
        made.planted,
        made.covers,
        made.test,
        made.test_labels,
        made.attacked,
        made.wanted,
    )
    source, _, attack = case.name.partition("/")
    plan = Plan(source, attack, _SHARES[case.amount], case.seed)
    screening = screened(rows)
    trial = scored(plan, planted, screening, 0.0)
    if made.modality != "image" or (case.amount == "5%" and case.seed == 0):
        model = victims.fit_of(rows)(rows.whole, case.seed)
        trial = trial._replace(before=victims.judged(model, planted))
    if case.amount == "5%" and case.seed == 0 and made.modality == "image":
        trial = trial._replace(plate=plate_of(plan, planted, screening))
    if not (case.model and made.modality == "image" and case.amount == "5%" and case.seed == 0):
        return case, trial, None
    deeper = scored(plan, planted, screened(rows, model=True), 0.0)
    return case, trial, deeper._replace(before=trial.before)


def _set(made: Any, seed: int) -> Set:
    make: Any = {"image": of_images, "table": of_table, "text": of_texts}[made.modality]
    rows: Set = make(made.rows, np.asarray(made.labels), made.names, seed)
    return rows


def _rows(name: str, amount: str, how: str, trials: list[Trial]) -> list[Row]:
    found = rate(sum(t.found for t in trials), sum(t.planted for t in trials))
    false = rate(sum(t.flagged for t in trials), sum(t.clean for t in trials))
    area = float(np.mean([t.auroc for t in trials]))
    taught = [t.before.success for t in trials if t.before]
    success = f"; attack success {100 * float(np.mean(taught)):.0f} %" if taught else ""
    if taught and float(np.mean(taught)) < LEARNT:
        success += ", not learnt"
    return [
        Row(
            f"held-out {name}, {amount}: planted rows found{how}",
            100 * found.share,
            "%",
            note=f"{found.words()}; AUROC {area:.3f}; clean rows flagged "
            f"{100 * false.share:.3f} %{success}",
        )
    ]
