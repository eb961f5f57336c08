"""Cases that a policy set has to pass: ``policies/tests/*.toml``, judged without a log.

A case names a gate or an access action, the facts that differ from a sound request, and what
must come out. Spec: ``docs/guide/policy.md``, "Test your rules".
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput, GateDenied
from sealwright.core.reading import small_file
from sealwright.core.records import Json
from sealwright.policy import accessfacts, cedar, facts, factsheet
from sealwright.policy.cedar import Engine, Verdict
from sealwright.policy.factsheet import Value
from sealwright.policy.policyset import PolicySet

FOLDER = "tests"


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One ``[[case]]``. ``rules`` and ``warns``, where given, are exactly what must fire.

    ``base`` says what the facts are that are not named: of a sound request, or unknown.
    """

    name: str
    expect: Literal["allowed", "denied"]
    gate: str = ""
    access: str = ""
    base: Literal["sound", "unknown"] = "sound"
    facts: dict[str, bool | int | str | list[str]] = msgspec.field(default_factory=dict)
    rules: list[str] | None = None
    warns: list[str] | None = None


class Suite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file."""

    case: list[Case] = msgspec.field(default_factory=list)


class Outcome(msgspec.Struct, frozen=True):
    """A case, what came out, and what is wrong with that; empty where it passed."""

    file: str
    case: Case
    verdict: Verdict
    problem: str

    @property
    def fired(self) -> frozenset[str]:
        """Every rule that decided or warned."""
        return frozenset(rule.id for rule in (*self.verdict.decided, *self.verdict.warned))


class Tested(msgspec.Struct, frozen=True):
    """Every outcome, the digest of the files, and the rules whose loss no case would notice."""

    outcomes: tuple[Outcome, ...]
    digest: Digest
    unnoticed: tuple[str, ...]

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The cases that did not come out as they must."""
        return tuple(one for one in self.outcomes if one.problem)

    def jsonable(self) -> dict[str, Json]:
        """What an activation says of it."""
        return {
            "cases": len(self.outcomes),
            "failed": len(self.failed),
            "digest": self.digest if self.outcomes else "",
        }


def run(directory: Path, policy: PolicySet) -> Tested:
    """Judge every case below ``policies/tests``. Raises: BadInput (a file or case, named)."""
    texts = {path.name: _text(path) for path in sorted((directory / FOLDER).glob("*.toml"))}
    cases = [(name, case) for name, text in texts.items() for case in parse(text, name)]
    outcomes = tuple(_outcome(name, case, _judge(policy, name, case)) for name, case in cases)
    digest = of_bytes("\0".join(f"{n}\0{t}" for n, t in texts.items()).encode())
    return Tested(outcomes, digest, tuple(_unnoticed(policy, outcomes)))


def parse(text: str, where: str) -> list[Case]:
    """The cases of one file. Raises: BadInput naming the file, the case and the fault."""
    try:
        cases = msgspec.convert(tomllib.loads(text), Suite).case
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadInput(f"policies/{FOLDER}/{where} cannot be read", why=str(error)) from error
    names = [case.name for case in cases]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise BadInput(f"policies/{FOLDER}/{where} has two cases {twice!r}")
    for case in cases:
        _check(case, where)
    return cases


STARTER = "starter.toml"


def write_starter(directory: Path) -> Path | None:
    """What ``seal init`` writes: cases that hold in every profile. None where there are some."""
    folder = directory / FOLDER
    if folder.exists():
        return None
    folder.mkdir(parents=True)
    path = folder / STARTER
    path.write_text(_STARTER, "utf-8")
    return path


def refuse_failing(tested: Tested) -> None:
    """Raises: GateDenied, rule ``policy.tests-failed``, naming the first case that fails."""
    if not tested.failed:
        return
    first = tested.failed[0]
    raise GateDenied(
        f"{len(tested.failed)} of {len(tested.outcomes)} cases of the policy set fail",
        why=f"{first.file}, {first.case.name!r}: {first.problem}",
        rule="policy.tests-failed",
        hint="seal policy test; then mend the rule or the case",
    )


def sound(case: Case, rank: int) -> dict[str, Value]:
    """The facts of a request with which nothing is wrong."""
    if case.access:
        rows: Iterable[Any] = accessfacts.ROWS
        odd = {**_SOUND_ACCESS, "purpose": "a purpose"}
    else:
        rows, odd = facts.ROWS, dict(_SOUND)
    found = {row.name: odd.get(row.name, _opposite(row.unknown)) for row in rows}
    return {**found, "profile": rank}


def _opposite(unknown: Value) -> Value:
    """The fact's value that refuses nothing, where unknown is the one that refuses."""
    if isinstance(unknown, bool):
        return not unknown
    if isinstance(unknown, int):
        return 0 if unknown == facts.NEVER else facts.NEVER
    return () if isinstance(unknown, tuple) else unknown


_SOUND: Mapping[str, Value] = {
    "approvals_ignored": 0,
    "key_custody": 3,
    "run_status": "ok",
    "self_approved": False,
    "sensitivity": 0,
    "serve_upstream": 0,
    "witness": 3,
}
_SOUND_ACCESS: Mapping[str, Value] = {
    "established": "key",
    "grant_state": "live",
    "grants": 1,
    "members": 2,
    "roles": ("ml-engineer",),
}


def _check(case: Case, where: str) -> None:
    at = f"policies/{FOLDER}/{where}, case {case.name!r}"
    if bool(case.gate) == bool(case.access):
        raise BadInput(f"{at}: either gate or access")
    if case.gate and case.gate not in facts.GATES:
        raise BadInput(f"{at}: no gate {case.gate!r}", why=f"known: {', '.join(facts.GATES)}")
    if case.access and case.access not in accessfacts.ACTIONS:
        raise BadInput(
            f"{at}: no action {case.access!r}", why=f"known: {', '.join(accessfacts.ACTIONS)}"
        )
    kinds = {row.name: row.kind for row in (accessfacts.ROWS if case.access else facts.ROWS)}
    for name, value in case.facts.items():
        if name not in kinds:
            page = "access-v1.md" if case.access else "facts-v1.md"
            raise BadInput(f"{at}: no fact {name!r}", hint=f"docs/spec/{page} has every fact")
        try:
            factsheet.checked(name, kinds[name], value)
        except BadInput as error:
            raise BadInput(f"{at}: {error.what}", why=error.why) from error


def _judge(policy: PolicySet, where: str, case: Case) -> Verdict:
    engine = _engine(policy, case)
    if engine is None:
        raise BadInput(f"policies/{FOLDER}/{where}: the policy set has no rules of access")
    return _ask(engine, policy, case)


def _engine(policy: PolicySet, case: Case) -> Engine | None:
    if not case.access:
        return policy.engine
    return policy.access.engine if policy.access else None


def _ask(engine: Engine, policy: PolicySet, case: Case) -> Verdict:
    kind = accessfacts if case.access else facts
    base = sound(case, policy.rank) if case.base == "sound" else kind.refusing()
    values = kind.of({**base, **case.facts}).jsonable()
    return engine.judge(case.gate or case.access, "somebody", "0" * 64, values)


def _outcome(file: str, case: Case, verdict: Verdict) -> Outcome:
    return Outcome(file, case, verdict, _problem(case, verdict))


def _problem(case: Case, verdict: Verdict) -> str:
    said = "allowed" if verdict.allowed else "denied"
    failed = sorted(rule.id for rule in verdict.decided if rule.effect == "forbid")
    warned = sorted(rule.id for rule in verdict.warned)
    if verdict.errors:
        return f"it cannot be judged: {'; '.join(verdict.errors)}"
    if said != case.expect:
        return f"{said} by {', '.join(failed) or 'the lack of a rule'}, {case.expect} wanted"
    for what, found, wanted in (("refused", failed, case.rules), ("warned", warned, case.warns)):
        if wanted is not None and found != sorted(wanted):
            want = ", ".join(sorted(wanted)) or "nothing"
            return f"{what} by {', '.join(found) or 'nothing'}, {want} wanted"
    return ""


def _unnoticed(policy: PolicySet, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Rules that could be deleted and every case would still come out the same."""
    for engine, access in (
        (policy.engine, False),
        (policy.access.engine if policy.access else None, True),
    ):
        for rule in engine.rules if engine is not None else ():
            mine = [o for o in outcomes if bool(o.case.access) is access and rule in o.fired]
            if not mine or not _notices(engine, rule, policy, mine):
                yield f"access: {rule}" if access else rule


def _notices(engine: Engine | None, rule: str, policy: PolicySet, mine: Sequence[Outcome]) -> bool:
    if engine is None or len(engine.rules) < 2:
        return bool(mine)
    lesser = cedar.without(engine, rule)
    return any(_problem(o.case, _ask(lesser, policy, o.case)) != o.problem for o in mine)


def _text(path: Path) -> str:
    try:
        return small_file(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8", why=f"at byte {error.start}") from error


_STARTER = """\
# What these rules must do, whatever else changes: seal policy test
# A case starts from a request with which nothing is wrong; `facts` are what differs
# (docs/spec/facts-v1.md, docs/spec/access-v1.md). `rules` are exactly what refuses.

[[case]]
name = "a sound export leaves"
gate = "export"
expect = "allowed"

[[case]]
name = "revoked data trains nothing"
gate = "train"
facts = {inputs_revoked = 1}
expect = "denied"
rules = ["data.revoked"]

[[case]]
name = "a model of unsigned data is not promoted"
gate = "promote"
facts = {inputs_unknown = 1}
expect = "denied"
rules = ["data.unsigned"]

[[case]]
name = "what nobody can say denies"
gate = "export"
base = "unknown"
expect = "denied"

[[case]]
name = "whoever holds a grant reads"
access = "view"
expect = "allowed"

[[case]]
name = "a stranger reads nothing"
access = "view"
facts = {roles = []}
expect = "denied"
rules = ["access.stranger"]

[[case]]
name = "a purpose the data does not allow"
access = "train"
facts = {purpose_fits = false}
expect = "denied"
rules = ["access.purpose"]
"""
