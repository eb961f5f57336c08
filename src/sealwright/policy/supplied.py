"""What was checked of a run's supply chain before it began, and of the model it left.

Reading never raises: a statement nobody can read is none. Spec: docs/spec/supply-v1.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.predicates import MODEL_SCAN, SUPPLY
from sealwright.core.records import Artifact, Json, Statement
from sealwright.evidence.history import History
from sealwright.policy.factsheet import Value
from sealwright.policy.runs import Step

Verdict = Literal["clean", "dangerous", "not understood"]


class Advised(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which index an audit looked into; ``rule`` says why it counts for nothing, if it does."""

    sha256: Digest
    age_days: int
    rule: str


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One stage's check: counts, never a value. ``model_files`` are those it would read."""

    run: str
    stage: str
    code: Digest
    environment: Digest
    packages: int
    vulnerable: int
    vulnerabilities_unknown: int
    waived: int
    advisories: Advised
    files: int
    secrets: int
    secrets_waived: int
    cut: int
    model_files: int
    model_files_refused: int
    rules: tuple[str, ...]
    profile: str
    actor: str
    time: str


class ModelScan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Verdicts on the files of a model: the worst, and how many of each."""

    verdict: Verdict
    clean: int
    dangerous: int
    not_understood: int
    policy: Digest
    rules: tuple[str, ...]
    actor: str
    time: str


def statement_of(check: Check) -> Statement:
    """The statement of one check, about the code and the environment of its stage."""
    said: dict[str, Json] = msgspec.to_builtins(check)
    subjects = (Artifact("code", check.code), Artifact("environment", check.environment))
    return Statement(subjects, SUPPLY, said)


def scan_statement(model: Artifact, scan: ModelScan) -> Statement:
    """The statement of one scan of a model's files."""
    said: dict[str, Json] = msgspec.to_builtins(scan)
    return Statement((model,), MODEL_SCAN, said)


class Supplied:
    """Every check and scan of a history, the newest of each stage and model."""

    def __init__(self, history: History) -> None:
        self._checks: dict[tuple[str, str], Check] = {}
        self._scans: dict[Digest, ModelScan] = {}
        for entry in history.of_type(SUPPLY):
            try:
                check = msgspec.convert(dict(entry.statement.predicate), Check)
            except msgspec.ValidationError:
                continue  # unreadable: the stage counts as not checked
            if [s.digest for s in entry.statement.subjects] == [check.code, check.environment]:
                self._checks[(check.run, check.stage)] = check
        for entry in history.of_type(MODEL_SCAN):
            try:
                scan = msgspec.convert(dict(entry.statement.predicate), ModelScan)
            except msgspec.ValidationError:
                continue
            for subject in entry.statement.subjects:
                self._scans[subject.digest] = scan

    def of(self, step: Step) -> Check | None:
        """The check of a stage; of the run's only one where the stage has no name."""
        if step.stage:
            return self._checks.get((step.run, step.stage))
        ours = [check for (run, _), check in self._checks.items() if run == step.run]
        return ours[-1] if ours else None

    def facts(self, steps: Iterable[Step], models: Iterable[Digest]) -> Mapping[str, Value]:
        """Sums over the stages, and over the models that are asked about."""
        wanted = list(steps)
        checks = [check for step in wanted if (check := self.of(step)) is not None]
        asked = set(models)
        scans = [self._scans[digest] for digest in asked if digest in self._scans]
        return {
            "supply_unchecked": len(wanted) - len(checks),
            "vulnerable": sum(check.vulnerable for check in checks),
            "vulnerabilities_unknown": sum(check.vulnerabilities_unknown for check in checks),
            "secrets_in_code": sum(check.secrets for check in checks),
            "model_files_refused": sum(check.model_files_refused for check in checks),
            "models_unscanned": len(asked) - len(scans),
            "models_unsafe": sum(scan.verdict != "clean" for scan in scans),
        }
