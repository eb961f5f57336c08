"""Whether a suspect's answers are those of a copy: questions asked, nulls beside, a careful word.

A suspect is a function from inputs (n, d) to answers. It may answer with labels alone, refuse,
answer nonsense, or die: what it did not say counts for nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.errors import SealError
from sealwright.registry.compare_answers import UNREAD, codes_of
from sealwright.registry.compare_statistics import Spread, matches_of, spread_of
from sealwright.registry.fingerprint import (
    BENIGN,
    FORMAT,
    KINSHIP,
    TESTS,
    Fingerprint,
    Questions,
)

Ask: TypeAlias = Callable[[npt.NDArray[np.float64]], npt.NDArray[Any]]
Codes: TypeAlias = npt.NDArray[np.int64]
Verdict = Literal["consistent with copying", "not shown", "cannot tell"]

ALPHA = 1e-6
"""Each of two tests must stay below it, after it was divided by how many were made."""

WANTED = 2
BATCH = 64
NOT_ASKED = -2
MOST_UNREAD = 0.2
_FEWEST = 40
_MOST_FAULTS = 8
_LOG10 = math.log(10)

ALTERNATIVES = (
    "it was trained by the same recipe on the same data, starting from the same numbers",
    "both start from the same public backbone",
    "it was distilled from another model that is itself a copy",
    "the model was copied from the suspect, not the other way round",
)
"""What else would give such answers. Shown with every "consistent with copying"."""


class Test(msgspec.Struct, frozen=True):
    """One test. ``value`` is the suspect's share of matches, or how much more it agrees with the
    model (or a variant of it) than chance would, where siblings vote alike; ``null`` every
    reference's;
    ``bound`` the value at which it would count. ``log10_p`` is after Bonferroni, at most 0."""

    name: str
    asked: int
    answered: int
    value: float
    null: tuple[float, ...]
    bound: float
    null_rate_bound: float | None
    log10_p: float
    counts: bool

    @property
    def null_mean(self) -> float:
        """The references' mean."""
        return sum(self.null) / len(self.null)

    @property
    def null_highest(self) -> float:
        """The highest reference."""
        return max(self.null)


class Comparison(msgspec.Struct, frozen=True):
    """What came of it. ``reason`` is never empty."""

    verdict: Verdict
    reason: str
    tests: tuple[Test, ...]
    divided_by: int
    asked: int
    answered: int
    agreement: float
    model_agreement: float
    null_models: int
    faults: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()


class Said(msgspec.Struct, frozen=True):
    """A suspect's codes for every question, set by set, and what went wrong while asking."""

    codes: Mapping[str, Codes]
    faults: tuple[str, ...]

    @property
    def answered(self) -> int:
        """How many answers could be read."""
        return sum(int((codes >= 0).sum()) for codes in self.codes.values())

    @property
    def asked(self) -> int:
        """How many questions were asked."""
        return sum(int((codes != NOT_ASKED).sum()) for codes in self.codes.values())


def order(fingerprint: Fingerprint) -> Codes:
    """The order in which questions are asked: sets are mixed, so that none stands out."""
    total = sum(one.count for one in fingerprint.sets)
    seed = hashlib.sha256(FORMAT.encode() + fingerprint.salt + b"order").digest()
    rng = np.random.default_rng(int.from_bytes(seed[:16], "big"))
    return rng.permutation(total).astype(np.int64)


def asked(fingerprint: Fingerprint) -> npt.NDArray[np.float64]:
    """(n, d) every question, in the order asked."""
    return np.concatenate([one.rows() for one in fingerprint.sets])[order(fingerprint)]


def ask(fingerprint: Fingerprint, suspect: Ask, names: Mapping[str, str], most: int = 0) -> Said:
    """Put every question to ``suspect``, a batch at a time; give up where it keeps failing.

    ``most`` above 0: the first so many, which are a random part of each set.
    """
    inputs = asked(fingerprint)
    found: Codes = np.full(len(inputs), NOT_ASKED, np.int64)
    inputs = inputs[:most] if most else inputs
    found[: len(inputs)] = UNREAD
    faults = list[str]()
    for start in range(0, len(inputs), BATCH):
        batch = inputs[start : start + BATCH]
        try:
            answer = suspect(batch)
            found[start : start + len(batch)] = codes_of(
                answer, len(batch), fingerprint.classes, names
            )
        except (SealError, ValueError, TypeError, OSError) as error:
            faults.append(f"{type(error).__name__}: {error}"[:200])
            if len(faults) >= _MOST_FAULTS:
                break
    return sorted_out(fingerprint, found, tuple(faults))


def sorted_out(fingerprint: Fingerprint, found: Codes, faults: tuple[str, ...] = ()) -> Said:
    """Codes in the order asked, as answers to each set."""
    whole = np.empty_like(found)
    whole[order(fingerprint)] = found
    cuts = np.cumsum([one.count for one in fingerprint.sets])[:-1]
    parts = np.split(whole, cuts)
    names = [one.name for one in fingerprint.sets]
    return Said(dict(zip(names, parts, strict=True)), faults)


def compare(fingerprint: Fingerprint, said: Said, commitments: int = 1) -> Comparison:
    """Judge the answers. ``commitments``: fingerprints of this model in the log; each more was
    one more try, and divides the level."""
    sets = {one.name: one for one in fingerprint.sets}
    names = [name for name in TESTS if name in sets]
    divided_by = len(names) * max(1, commitments)
    limit = math.log(ALPHA / divided_by)
    relations = [one.relation for one in fingerprint.null]
    tests = list[Test]()
    for name in names:
        made = _test(sets[name], said.codes[name], relations, limit, divided_by)
        tests += [made] if made else []
    benign = sets[BENIGN]
    agreement, model_agreement, floor, constant = _ordinary(benign, said.codes[BENIGN])
    verdict, reason = _verdict(tests, said, agreement >= floor, constant)
    return Comparison(
        verdict,
        reason,
        tuple(tests),
        divided_by,
        said.asked,
        said.answered,
        agreement,
        model_agreement,
        len(fingerprint.null),
        said.faults,
        ALTERNATIVES if verdict == "consistent with copying" else (),
    )


def strata_of(siblings: Codes) -> Codes:
    """(n,): questions to which siblings (s, n) answer alike: which class most say, and how many."""
    classes = int(siblings.max(initial=0)) + 1
    votes = np.stack([(siblings == code).sum(axis=0) for code in range(classes)])
    found: Codes = votes.argmax(axis=0) * (len(siblings) + 1) + votes.max(axis=0)
    return found


def excess(suspect: Codes, model: Codes, strata: Codes) -> float:
    """How much more often (n,) ``suspect`` says what ``model`` says than two that know nothing of
    each other would, among questions of one stratum: a leaning to one class is no kinship."""
    classes = int(max(suspect.max(), model.max())) + 1
    _, place = np.unique(strata, return_inverse=True)
    size = np.bincount(place).astype(np.float64)
    chance = np.zeros(len(size))
    for code in range(classes):
        mine = np.bincount(place[suspect == code], minlength=len(size))
        chance += mine * np.bincount(place[model == code], minlength=len(size)) / size
    return float(((suspect == model).sum() - chance.sum()) / len(suspect))


def _test(
    one: Questions, said: Codes, relations: Sequence[str], limit: float, divided_by: int
) -> Test | None:
    read = said >= 0
    if int(read.sum()) < min(_FEWEST, one.count):
        return None
    model, null, answer = one.model()[read], one.answers("null")[:, read], said[read]
    if one.name in KINSHIP:
        strata = strata_of(one.answers("siblings")[:, read])
        kin = [_kin(each, answer, null, strata, relations) for each in _lines(one, read)]
        log_p, value, values, spread = min(kin, key=lambda found: found[0])
        log_p += math.log(len(kin))
        bound, rate = spread.limit(limit - math.log(len(kin))), None
    else:
        counts = [int((codes == model).sum()) for codes in null]
        matches = matches_of(len(answer), _by(counts, relations))
        values, value = [count / len(answer) for count in counts], float((answer == model).mean())
        log_p = matches.log_p(int((answer == model).sum()))
        bound, rate = (
            _match_bound(matches.between, len(answer), matches.log_p, limit),
            matches.bound,
        )
    corrected = min(0.0, log_p + math.log(divided_by))
    return Test(
        one.name,
        one.count,
        int(read.sum()),
        value,
        tuple(values),
        bound,
        rate,
        corrected / _LOG10,
        corrected <= math.log(ALPHA),
    )


def _lines(one: Questions, read: npt.NDArray[np.bool_]) -> list[Codes]:
    """The model's answers, and those of each of its variants."""
    return [one.model()[read], *one.answers("derived")[:, read]]


def _kin(
    model: Codes, answer: Codes, null: Codes, strata: Codes, relations: Sequence[str]
) -> tuple[float, float, list[float], Spread]:
    """ln p of a suspect's kinship with one line of answers; its value, the null's, their spread."""
    values = [excess(codes, model, strata) for codes in null]
    spread = spread_of(_by(values, relations), 1 / (4 * math.sqrt(len(answer))))
    value = excess(answer, model, strata)
    return spread.log_p(value), value, values, spread


def _by(values: Sequence[Any], relations: Sequence[str]) -> list[list[Any]]:
    return [
        [value for value, mine in zip(values, relations, strict=True) if mine == relation]
        for relation in sorted(set(relations))
    ]


def _match_bound(between: Spread, count: int, log_p: Callable[[int], float], limit: float) -> float:
    """The least share of matches that would count; above 1 where none would."""
    low, high = 0, count + 1
    while low < high:
        middle = (low + high) // 2
        if middle <= count and log_p(middle) > limit:
            low = middle + 1
        else:
            high = middle
    return low / count


def _ordinary(benign: Questions, said: Codes) -> tuple[float, float, float, bool]:
    """Agreement with the references' majority on ordinary rows: the suspect's, the model's, the
    least that is believed; and whether the suspect always says one thing."""
    siblings, model = benign.answers("siblings"), benign.model()
    classes = int(max(siblings.max(), model.max())) + 1
    votes = np.stack([(siblings == code).sum(axis=0) for code in range(classes)])
    majority = votes.argmax(axis=0)
    read = said >= 0
    own = float((model == majority).mean())
    if not read.any():
        return 0.0, own, 1.0, False
    common = float(np.bincount(majority).max() / len(majority))
    agreement = float((said[read] == majority[read]).mean())
    constant = len(np.unique(said[read])) < 2 <= len(np.unique(model))
    return agreement, own, common + 0.5 * (own - common), constant


def _verdict(tests: Sequence[Test], said: Said, works: bool, constant: bool) -> tuple[Verdict, str]:
    """The word, and why it is that one."""
    missing = 1 - said.answered / said.asked
    if missing > MOST_UNREAD:
        why = f"; the last fault: {said.faults[-1]}" if said.faults else ""
        return (
            "cannot tell",
            f"{missing:.0%} of the questions got no answer that names a class{why}",
        )
    if constant:
        return "cannot tell", "the suspect says one thing to everything"
    if not works:
        return (
            "cannot tell",
            "on ordinary rows the suspect is hardly better than saying the commonest class: it"
            " answers at random, or does another task",
        )
    if len(tests) < WANTED:
        return "cannot tell", f"{len(tests)} tests could be made, and {WANTED} are wanted"
    passed = [one.name for one in tests if one.counts]
    if len(passed) >= WANTED:
        return "consistent with copying", f"{' and '.join(passed)} stay below {ALPHA:g}"
    if passed:
        return "not shown", f"only {passed[0]} stays below {ALPHA:g}, and {WANTED} tests must"
    return "not shown", f"no test stays below {ALPHA:g}"
