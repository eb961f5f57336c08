"""The loop. For every stage the same five things, in the same order.

1. access: may this principal do this (solo: the owner may; grants come later)
2. gate: do the facts drawn from the log satisfy the active policy
3. an intent is appended, then the stage runs on inputs that are re-hashed as they are opened
4. what came out is one statement in the log
5. a denial, a crash or a missing statement is itself a statement, and stops the walk
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from sealwright.core import clock
from sealwright.core import predicates as p
from sealwright.core.digest import Digest
from sealwright.core.errors import GateDenied, Refused, SealError, VerifyError
from sealwright.core.ports import Clock, Recorder, Stage, Store
from sealwright.core.records import Artifact, Decision, Json, Outcome, Receipt, Statement
from sealwright.evidence.history import History
from sealwright.policy.facts import Gate as GateName


class StageFailed(SealError):
    """A stage ran and did not succeed; its outputs stay in quarantine.

    ``status`` is one of failed, timeout, killed, interrupted, refused. ``details`` goes
    into the closing statement: where its logs and its quarantined outputs lie.
    """

    def __init__(
        self,
        what: str,
        *,
        status: str,
        exit_code: int,
        why: str = "",
        hint: str = "",
        details: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(what, why=why, hint=hint)
        self.status = status
        self.stage_exit_code = exit_code
        self.details = dict(details or {})


class Gate(Protocol):
    """Decides, records the decision, and raises GateDenied when the answer is no."""

    def __call__(
        self, gate: GateName, subjects: Sequence[Artifact], request: Mapping[str, Json]
    ) -> Decision:
        """The decision that allowed it."""
        ...


class Ports(msgspec.Struct, frozen=True):
    """What the loop needs from outside."""

    recorder: Recorder
    store: Store
    clock: Clock
    gate: Gate
    actor: str


class Job(msgspec.Struct, frozen=True):
    """One stage, pinned: what it is given, and the digest of the whole plan it belongs to.

    ``subjects`` are what the gate decides on: the inputs and the code. ``optouts`` are the
    defaults that do not hold for it, and go into the intent.
    """

    run: str
    stage: Stage
    predicate_type: str
    plan: Digest
    inputs: Mapping[str, Artifact]
    subjects: tuple[Artifact, ...]
    request: Mapping[str, Json] = msgspec.field(default_factory=dict)
    optouts: tuple[str, ...] = ()


class Done(msgspec.Struct, frozen=True):
    """A stage that succeeded, and where its statement landed."""

    outcome: Outcome
    receipt: Receipt
    decision: Decision


def new_run_id(moment: datetime) -> str:
    """``r20261123-083000-1f9c``: sorts by time, unique enough for a person to type."""
    return f"r{moment.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def execute(job: Job, ports: Ports) -> Done:
    """Walk one stage. Raises: GateDenied, StageFailed, VerifyError, what the stage raised."""
    try:
        decision = ports.gate("train", job.subjects, job.request)
    except GateDenied as denied:
        _close(job, ports, "refused", 0, denied.rule)
        raise
    ports.recorder.record(_intent(job, ports))
    try:
        outcome = job.stage.run(job.inputs, ports.store)
    except StageFailed as failed:
        _close(job, ports, failed.status, failed.stage_exit_code, "run.failed", failed.details)
        raise
    except Refused as refused:
        _close(job, ports, "refused", 0, refused.rule)
        raise
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        _close(job, ports, "interrupted" if interrupted else "failed", 0, "run.crashed")
        raise
    statement = Statement(outcome.outputs, job.predicate_type, outcome.details)
    return Done(outcome, ports.recorder.record(statement), decision)


def open_intents(history: History) -> Iterator[tuple[str, str, tuple[Artifact, ...]]]:
    """Runs that were begun and never ended: ``(run, stage, subjects)``."""
    ended = {
        (_text(e.statement.predicate, "run"), _text(e.statement.predicate, "stage"))
        for e in history.of_type(p.CLOSED)
    }
    ended |= {_provenance_of(e.statement.predicate) for e in history.of_type(p.SLSA_PROVENANCE)}
    for entry in history.of_type(p.INTENT):
        run = _text(entry.statement.predicate, "run")
        stage = _text(entry.statement.predicate, "stage")
        if (run, stage) not in ended:
            yield run, stage, entry.statement.subjects


def close_interrupted(history: History, ports: Ports, alive: Callable[[str], bool]) -> list[str]:
    """Say of every run that a crash cut off that it was interrupted; returns their ids."""
    closed = []
    for run, stage, subjects in open_intents(history):
        if alive(run):
            continue
        ports.recorder.record(
            Statement(subjects, p.CLOSED, _closing(run, stage, "interrupted", 0, "", ports))
        )
        closed.append(run)
    return closed


def _intent(job: Job, ports: Ports) -> Statement:
    predicate: dict[str, Json] = {
        "run": job.run,
        "stage": job.stage.name,
        "plan": job.plan,
        "optouts": list(job.optouts),
        "actor": ports.actor,
        "time": clock.stamp(ports.clock()),
    }
    return Statement(_subjects(job), p.INTENT, predicate)


def _close(
    job: Job,
    ports: Ports,
    status: str,
    exit_code: int,
    rule: str,
    details: Mapping[str, Json] | None = None,
) -> None:
    closing = _closing(job.run, job.stage.name, status, exit_code, rule, ports)
    predicate = {**closing, **(details or {})}
    ports.recorder.record(Statement(_subjects(job), p.CLOSED, predicate))


def _closing(
    run: str, stage: str, status: str, exit_code: int, rule: str, ports: Ports
) -> dict[str, Json]:
    return {
        "run": run,
        "stage": stage,
        "status": status,
        "exit_code": exit_code,
        "rule": rule,
        "actor": ports.actor,
        "time": clock.stamp(ports.clock()),
    }


def _subjects(job: Job) -> tuple[Artifact, ...]:
    """The inputs and the plan: an intent is about what it is going to use."""
    return (*job.inputs.values(), Artifact("plan", job.plan))


def _provenance_of(predicate: Mapping[str, Json]) -> tuple[str, str]:
    try:
        run = predicate["runDetails"]["metadata"]["invocationId"]  # type: ignore[index,call-overload]
        stage = predicate["buildDefinition"]["externalParameters"]["stage"]  # type: ignore[index,call-overload]
    except (KeyError, TypeError) as error:
        raise VerifyError(
            "a provenance statement names no run", why=repr(error), rule="run.malformed"
        ) from error
    return str(run), str(stage)


def _text(predicate: Mapping[str, Json], key: str) -> str:
    value = predicate.get(key)
    if not isinstance(value, str):
        raise VerifyError(f"a statement has no {key!r}", rule="run.malformed")
    return value
