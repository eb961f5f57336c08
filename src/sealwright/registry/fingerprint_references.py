"""``python -m sealwright.registry.fingerprint_references`` in the sealed room: trains references.

A reference is the model's own recipe (its class and parameters, never its fitted numbers) with
another seed, on the same rows or on a random half of them. In its working folder: ``plan.json``,
``rows``, ``labels``, ``candidates`` (raw little-endian numbers) and ``model``. It leaves
``answers`` (r, m) int16 and ``references.json``; of the model's own variants ``derived`` (v, m)
int16 and ``derived.json``, their names. Source: docs/spec/fingerprint-v1.md.
"""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.kit.loader import restricted
from sealwright.kit.modelfile.policy import Level, Signed, policy_of
from sealwright.registry.compare_answers import codes_of
from sealwright.registry.fingerprint import Reference
from sealwright.registry.fingerprint_derived import variants
from sealwright.registry.fingerprint_make import GROUPS, NULL

PLAN, ROWS, LABELS, CANDIDATES, MODEL = "plan.json", "rows", "labels", "candidates", "model"
ANSWERS, REFERENCES = "answers", "references.json"
DERIVED, VARIANTS = "derived", "derived.json"


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One reference to train."""

    relation: str
    group: str
    seed: int


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to train, and the sizes of the raw files."""

    level: Level
    signed: tuple[Signed, ...]
    rows: int
    width: int
    candidates: int
    classes: tuple[str, ...]
    wanted: tuple[Wanted, ...]


def wanted(count: int, seed: int) -> tuple[Wanted, ...]:
    """``count`` references: half of them the null, the rest in three groups of siblings."""
    null = -(-count // 2)
    out = list[Wanted]()
    for at in range(count):
        group = NULL if at < null else GROUPS[at % len(GROUPS)]
        place = at if at < null else (at - null) // len(GROUPS)
        out.append(Wanted(("same", "half")[place % 2], group, seed + at + 1))
    return tuple(out)


def main(folder: Path = Path()) -> int:
    """Train each, ask it every candidate, keep the answers."""
    warnings.simplefilter("ignore")
    plan = msgspec.json.decode((folder / PLAN).read_bytes(), type=Plan)
    recipe = restricted.load((folder / MODEL).read_bytes(), policy_of(plan.level, plan.signed))
    rows = _read(folder / ROWS, "<f8").reshape(plan.rows, plan.width)
    labels = _read(folder / LABELS, "<i2").astype(np.int64)
    candidates = _read(folder / CANDIDATES, "<f8").reshape(plan.candidates, plan.width)
    names, codes = derived(recipe, candidates, plan.classes)
    (folder / VARIANTS).write_bytes(msgspec.json.encode(names))
    (folder / DERIVED).write_bytes(codes.astype("<i2").tobytes())
    made = list[Reference]()
    with open(folder / ANSWERS, "wb") as sink:
        for done, one in enumerate(plan.wanted):
            sys.stderr.write(f"progress {done} {len(plan.wanted)} training references\n")
            sys.stderr.flush()
            reference, said = trained(recipe, rows, labels, candidates, one)
            sink.write(said)
            made.append(reference)
    (folder / REFERENCES).write_bytes(msgspec.json.encode(made))
    return 0


def derived(
    model: Any, candidates: npt.NDArray[np.float64], classes: Sequence[str]
) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """The names of a fitted model's variants, and their codes (v, m)."""
    names, said = list[str](), list[npt.NDArray[np.int64]]()
    for name, variant in variants(model):
        answer = np.asarray(variant.predict(candidates)).reshape(-1)
        names.append(name)
        said.append(codes_of(answer, len(candidates), classes, {}))
    return tuple(names), np.array(said, np.int64).reshape(len(names), len(candidates))


def trained(
    recipe: Any,
    rows: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int64],
    candidates: npt.NDArray[np.float64],
    one: Wanted,
) -> tuple[Reference, bytes]:
    """A reference, and its answers (m,) as int16. Raises: what the recipe's own code raises."""
    at = np.arange(len(rows))
    if one.relation == "half":
        at = _half(labels, np.random.default_rng(one.seed))
    model = reseeded(recipe, one.seed).fit(rows[at], labels[at])
    said = np.asarray(model.predict(candidates)).astype("<i2").tobytes()
    kind = type(recipe).__name__
    digest = hashlib.sha256(said).hexdigest()
    return Reference(kind, one.relation, one.group, one.seed, len(at), digest), said


def reseeded(recipe: Any, seed: int) -> Any:
    """The recipe unfitted, every ``random_state`` in it set anew."""
    model = import_module("sklearn.base").clone(recipe)
    seeds = {
        name: seed
        for name in model.get_params(deep=True)
        if name == "random_state" or name.endswith("__random_state")
    }
    return model.set_params(**seeds)


def _half(labels: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """A random half that still has every class."""
    order = rng.permutation(len(labels))
    _, first = np.unique(labels[order], return_index=True)
    must = order[first]
    rest = order[~np.isin(order, must)]
    return np.concatenate([must, rest[: max(0, len(labels) // 2 - len(must))]])


def _read(path: Path, dtype: str) -> npt.NDArray[Any]:
    return np.frombuffer(path.read_bytes(), np.dtype(dtype))


if __name__ == "__main__":
    sys.exit(main())
