"""The SLSA v1 provenance of a successful run (https://slsa.dev/spec/v1.0/provenance). Pure.

Everything in it was seen from outside the room. Packages enter by digest: the list itself is
kept with the run (docs/spec/run-v1.md), so a statement stays far below a log entry's 65,535 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from sealwright import __version__
from sealwright.core import clock, digest
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput
from sealwright.core.ports import StoredFile
from sealwright.core.predicates import SLSA_PROVENANCE
from sealwright.core.records import Artifact, Finding, Json, Statement
from sealwright.evidence import jcs
from sealwright.train.environment import Environment
from sealwright.train.snapshot import Snapshot

BUILD_TYPE = "urn:sealwright:buildtype:room/v1"
BUILDER = "urn:sealwright:builder:local/v1"
_MOST_FINDINGS = 20
_MOST_MESSAGE = 300
MOST_COMMAND_BYTES = 16 << 10


class Byproduct(msgspec.Struct, frozen=True):
    """A captured stream or a kept record, and where it lies in the store (scope ``run``)."""

    name: str
    digest: Digest
    stored: StoredFile | None = None


class Ran(msgspec.Struct, frozen=True):
    """The facts of one run that neither the code nor the environment knows.

    ``room`` holds what the room measured of itself (booleans, integers, strings), ``limits``
    the limits it ran under; ``byproducts`` are captured streams and kept records by digest;
    ``run_key`` is the id of the run's own key (docs/spec/tokens-v1.md); ``extra`` are more
    internal parameters: the network and the secrets, where there were any.
    """

    run: str
    stage: str
    project: str
    command: Sequence[str]
    isolation: str
    profile: str
    started: datetime
    finished: datetime
    inputs: Sequence[Artifact] = ()
    config: Digest = ""
    room: Mapping[str, Json] = msgspec.field(default_factory=dict)
    limits: Mapping[str, Json] = msgspec.field(default_factory=dict)
    findings: Sequence[Finding] = ()
    byproducts: Sequence[Byproduct] = ()
    run_key: Digest = ""
    extra: Mapping[str, Json] = msgspec.field(default_factory=dict)


class Kept(msgspec.Struct, frozen=True):
    """Where the code and the environment record lie in the store (scope ``run``)."""

    code: StoredFile | None = None
    environment: StoredFile | None = None


def statement(
    outputs: Sequence[Artifact],
    ran: Ran,
    code: Snapshot,
    environment: Environment,
    kept: Kept = Kept(),  # noqa: B008  frozen, so sharing it is harmless
) -> Statement:
    """The statement over what a run made. ``outputs`` are its subjects, in their order."""
    return Statement(tuple(outputs), SLSA_PROVENANCE, predicate(ran, code, environment, kept))


def predicate(
    ran: Ran,
    code: Snapshot,
    environment: Environment,
    kept: Kept = Kept(),  # noqa: B008
) -> dict[str, Json]:
    """The SLSA v1 predicate as JSON without floats."""
    external: dict[str, Json] = {"stage": ran.stage, "project": ran.project}
    external |= _command(ran.command)
    internal: dict[str, Json] = {
        "isolation": ran.isolation,
        "room": dict(ran.room),
        "limits": dict(ran.limits),
        "profile": ran.profile,
        "findings": _findings(ran.findings),
        **ran.extra,
    }
    if ran.run_key:
        internal["run_key"] = ran.run_key
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": external,
            "internalParameters": internal,
            "resolvedDependencies": _dependencies(ran, code, environment, kept),
        },
        "runDetails": {
            "builder": {"id": BUILDER, "version": {"sealwright": __version__}},
            "metadata": {
                "invocationId": ran.run,
                "startedOn": clock.stamp(ran.started),
                "finishedOn": clock.stamp(ran.finished),
            },
            "byproducts": [
                _descriptor(made.name, made.digest, _stored(made.stored)) for made in ran.byproducts
            ],
        },
    }


def command_of(external: Mapping[str, Json]) -> tuple[str, ...]:
    """The command in a statement's externalParameters. Raises: BadInput (it was cut)."""
    command = external["command"]
    if "commandSha256" in external or not isinstance(command, list):
        raise BadInput(
            "the run's command is not recorded in full",
            why=f"it was over {MOST_COMMAND_BYTES} bytes; the log holds its digest",
            hint="put long arguments into a file of the project, and run that",
        )
    return tuple(str(word) for word in command)


def _command(words: Sequence[str]) -> dict[str, Json]:
    """The command; of one over 16 KiB its first words, and the digest of all of them."""
    fitting: list[Json] = []
    size = 0
    for word in words:
        size += len(jcs.canonical(word)) + 1
        if size > MOST_COMMAND_BYTES:
            whole = digest.of_bytes(jcs.canonical(list(words)))
            return {"command": fitting, "commandSha256": whole}
        fitting.append(word)
    return {"command": fitting}


def _findings(findings: Sequence[Finding]) -> Json:
    """The first of them whole, and how many there were."""
    shown: list[Json] = [
        {"rule": one.rule, "severity": one.severity, "message": one.message[:_MOST_MESSAGE]}
        for one in findings[:_MOST_FINDINGS]
    ]
    return {"count": len(findings), "first": shown}


def _dependencies(ran: Ran, code: Snapshot, environment: Environment, kept: Kept) -> list[Json]:
    rows = [_descriptor(used.name, used.digest) for used in ran.inputs]
    rows.append(_descriptor("code", code.digest, _code_notes(code, kept)))
    if ran.config:
        rows.append(_descriptor("config", ran.config))
    rows.append(
        _descriptor("environment", environment.digest, _environment_notes(environment, kept))
    )
    interpreter: dict[str, Json] = {"version": environment.identity.version}
    rows.append(_descriptor("interpreter", environment.interpreter_digest, interpreter))
    count: dict[str, Json] = {"count": len(environment.identity.packages)}
    rows.append(_descriptor("packages", environment.packages_digest, count))
    if environment.lock_digest:
        rows.append(_descriptor("lock", environment.lock_digest))
    if code.diff:
        rows.append(_descriptor("diff", code.diff, {"paths": len(code.changes)}))
    return [*rows]


def _code_notes(code: Snapshot, kept: Kept) -> dict[str, Json]:
    notes: dict[str, Json] = {
        "source": code.source,
        "files": len(code.files),
        "size_bytes": code.size_bytes,
        "withheld": len(code.withheld),
    }
    if code.commit:
        notes |= {"commit": code.commit, "dirty": code.dirty}
    return notes | _stored(kept.code)


def _environment_notes(environment: Environment, kept: Kept) -> dict[str, Json]:
    identity = environment.identity
    notes: dict[str, Json] = {"system": identity.system, "machine": identity.machine}
    notes |= {"libc": identity.libc} | {
        key: text for key, text in environment.facts.items() if text
    }
    return notes | _stored(kept.environment)


def _stored(file: StoredFile | None) -> dict[str, Json]:
    return {"stored": jcs.parse(jcs.canonical(msgspec.to_builtins(file)))} if file else {}


def _descriptor(name: str, seal: Digest, notes: Mapping[str, Json] | None = None) -> Json:
    """An in-toto ResourceDescriptor."""
    row: dict[str, Json] = {"name": name, "digest": {"sha256": seal}}
    return row | {"annotations": dict(notes)} if notes else row
