"""From a model's answers and its references' to a fingerprint: which questions are kept.

Three sets ask how much more a suspect agrees with the model than with the model's siblings:
``near`` (rows a little changed), ``between`` (on the way from class to class), ``far`` (cells
that belong together nowhere). They are kept where siblings of another group disagree, so the
model has no say in the choice. Two sets are answers that only this model gives: ``hard`` and
``triggers``. ``benign`` are ordinary rows, to hide among and to see whether a suspect works.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.digest import Digest
from sealwright.core.errors import Refused
from sealwright.registry import fingerprint_points as points
from sealwright.registry.fingerprint import (
    BENIGN,
    FORMAT,
    Fingerprint,
    Questions,
    Reference,
    questions,
)

Codes: TypeAlias = npt.NDArray[np.int64]
Rows: TypeAlias = npt.NDArray[np.float64]

GROUPS = ("a", "b", "c")
NULL = "null"
FEWEST_REFERENCES = 20
FEWEST_QUESTIONS = 60
FEWEST_MATCHES = 20
_CANDIDATES = {"near": 8, "between": 4, "far": 4, "pattern": 1, BENIGN: 1}
_BENIGN_SWAPPED = 0.05
_JUDGES = {"near": "b", "between": "c", "far": "a"}
_SIBLINGS = {"near": "a", "between": "b", "far": "c"}


class Sizes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many questions of each kind at most."""

    kinship: int = 2000
    hard: int = 150
    triggers: int = 80
    benign: int = 600

    def candidates(self, name: str) -> int:
        """How many inputs the questions are chosen from."""
        return _CANDIDATES[name] * (self.benign if name == BENIGN else self.kinship)


class Part(msgspec.Struct, frozen=True):
    """The place of one pool in the list of all candidates."""

    name: str
    start: int
    stop: int


class Pool(msgspec.Struct, frozen=True):
    """Every candidate (m, d), the row each came from, and which is of which kind."""

    inputs: Rows
    origin: Codes
    parts: tuple[Part, ...]

    def at(self, name: str) -> Codes:
        """The places of one kind."""
        part = next(one for one in self.parts if one.name == name)
        return np.arange(part.start, part.stop)


class Answers(msgspec.Struct, frozen=True):
    """Codes for every candidate: the model's (m,), how sure it was (m,), the references' (r, m),
    and those of the model's variants (v, m), by name."""

    model: Codes
    margin: npt.NDArray[np.float64]
    references: tuple[Reference, ...]
    codes: Codes
    variants: tuple[str, ...] = ()
    derived: Codes | None = None

    def of(self, *groups: str) -> Codes:
        """(r, m) the answers of those groups."""
        return self.codes[[at for at, r in enumerate(self.references) if r.group in groups]]

    def those(self, *groups: str) -> tuple[Reference, ...]:
        """The references of those groups."""
        return tuple(one for one in self.references if one.group in groups)


def pool(rows: Rows, codes: Codes, rng: np.random.Generator, sizes: Sizes) -> Pool:
    """Candidates made of ``rows`` (n, d), which the model answers with ``codes`` (n,)."""
    made = {
        "near": points.natural(rows, rng, sizes.candidates("near")),
        "between": points.between(rows, codes, rng, sizes.candidates("between")),
        "far": points.unstructured(rows, rng, sizes.candidates("far")),
        "pattern": points.patterned(rows, rng, sizes.candidates("pattern")),
        BENIGN: points.natural(rows, rng, sizes.candidates(BENIGN), _BENIGN_SWAPPED),
    }
    parts, start = [], 0
    for name, one in made.items():
        parts.append(Part(name, start, start + len(one.origin)))
        start += len(one.origin)
    return Pool(
        np.concatenate([one.inputs for one in made.values()]),
        np.concatenate([one.origin for one in made.values()]),
        tuple(parts),
    )


def make(
    model: Digest,
    salt: bytes,
    classes: Sequence[str],
    candidates: Pool,
    answers: Answers,
    planted: Questions | None = None,
    sizes: Sizes | None = None,
) -> Fingerprint:
    """Choose. ``planted`` is a trigger set the model was trained with, in place of found ones.

    Raises: Refused (``fingerprint.references``, ``fingerprint.deterministic``,
    ``fingerprint.none``).
    """
    limits = sizes or Sizes()
    require_independent(answers)
    sets = [_kin(name, candidates, answers, limits.kinship) for name in _JUDGES]
    sets.append(_chosen("hard", ("near", "between"), candidates, answers, limits.hard))
    found = _chosen("triggers", ("far", "pattern"), candidates, answers, limits.triggers)
    sets.append(planted or found)
    kept = [one for one in sets if one is not None]
    if len(kept) < 2:
        raise Refused(
            "this model has no fingerprint",
            why="it and its references say the same almost everywhere: nothing in its answers"
            " is its own",
            hint="ask more (--questions), or claim nothing",
            rule="fingerprint.none",
        )
    ordinary = candidates.at(BENIGN)
    kept.append(_set(BENIGN, ordinary, GROUPS, candidates, answers))
    null, siblings = answers.those(NULL), answers.those(*GROUPS)
    return Fingerprint(
        FORMAT, salt, model, tuple(classes), siblings, null, tuple(kept), answers.variants
    )


def require_independent(answers: Answers) -> None:
    """Raises: Refused, where references are too few, or are one model under several names."""
    count, digests = len(answers.references), {one.digest for one in answers.references}
    if count < FEWEST_REFERENCES or len(answers.those(NULL)) < FEWEST_REFERENCES // 2:
        raise Refused(
            f"{count} references are too few",
            why=f"at least {FEWEST_REFERENCES} are wanted, half of them for the null",
            hint="--references 48",
            rule="fingerprint.references",
        )
    same = [one.digest for one in answers.references if one.relation == "same"]
    again = bool((answers.codes == answers.model).all(axis=1).any())
    if again or len(set(same)) < 0.9 * len(same):
        raise Refused(
            "trained again on the same data, this recipe gives the same model",
            why=f"{len(same)} trainings with different seeds gave {len(set(same))} models: whoever"
            " has the data has these answers, without copying anything",
            hint="only a recipe that a seed changes leaves a fingerprint",
            rule="fingerprint.deterministic",
        )
    if len(digests) < count:
        raise Refused(
            "references are not independent of each other",
            why=f"{count} references gave {len(digests)} sets of answers",
            rule="fingerprint.references",
        )


def _kin(name: str, candidates: Pool, answers: Answers, most: int) -> Questions | None:
    at = candidates.at(name)
    judges = answers.of(_JUDGES[name])[:, at]
    torn = (judges != judges[0]).any(axis=0)
    kept = at[torn][:most]
    if len(kept) < FEWEST_QUESTIONS:
        return None
    found = _set(name, kept, (_SIBLINGS[name],), candidates, answers)
    if answers.derived is None or not answers.variants:
        return found
    codes = answers.derived[:, kept].astype("<i2")
    return msgspec.structs.replace(found, derived=codes.tobytes())


def _chosen(
    name: str, pools: Sequence[str], candidates: Pool, answers: Answers, most: int
) -> Questions | None:
    siblings, kept = answers.of(*GROUPS), list[Codes]()
    for one in pools:
        at = candidates.at(one)
        picked = points.choose(
            answers.model[at],
            answers.margin[at],
            siblings[:, at],
            candidates.origin[at],
            most // len(pools),
        )
        kept.append(at[picked])
    places = np.concatenate(kept)
    if len(places) < FEWEST_MATCHES:
        return None
    return _set(name, places, (), candidates, answers)


def _set(
    name: str, at: Codes, groups: Sequence[str], candidates: Pool, answers: Answers
) -> Questions:
    return questions(
        name,
        candidates.inputs[at],
        answers.model[at],
        answers.of(*groups)[:, at],
        answers.of(NULL)[:, at],
    )
