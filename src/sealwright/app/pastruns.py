"""Runs that ended well, read back from their provenance and from what was kept of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from sealwright.app.wiring import Workspace
from sealwright.core import digest as digests
from sealwright.core import predicates
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, VerifyError
from sealwright.core.ports import StoredFile
from sealwright.core.records import Recorded
from sealwright.core.refs import Ref
from sealwright.evidence import jcs
from sealwright.evidence.history import History
from sealwright.pipeline.outputs import OUTPUTS
from sealwright.train import keep, provenance
from sealwright.train.spec import Limits, Usage

_HISTORY = 50


class Past(msgspec.Struct, frozen=True):
    """A run as its provenance tells it: digests by name, and where the kept parts lie."""

    run: str
    entry: Recorded
    stage: str
    command: tuple[str, ...]
    isolation: str
    limits: Limits
    used: dict[str, Digest]
    stored: dict[str, StoredFile]


def past_runs(workspace: Workspace, ref: Ref) -> list[Past]:
    """The stages of a run that succeeded. Raises: BadInput (no such run), VerifyError."""
    found = [
        past_of(entry)
        for entry in workspace.history().of_type(predicates.SLSA_PROVENANCE)
        if _dig(entry, "runDetails", "metadata", "invocationId") == ref.name
    ]
    if not found:
        raise BadInput(
            f"no run {ref.name} succeeded here",
            why="only a run that ended well has outputs to compare with",
            hint="seal log show lists the runs",
        )
    return found


def usages(history: History, stage: str) -> tuple[Usage, ...]:
    """What the last runs of ``stage`` used, as far as their provenance can be read."""
    found = []
    for entry in history.of_type(predicates.SLSA_PROVENANCE)[-_HISTORY:]:
        try:
            if _dig(entry, "buildDefinition", "externalParameters", "stage") == stage:
                room = _dig(entry, "buildDefinition", "internalParameters", "room")
                found.append(msgspec.convert(room["usage"], Usage))
        except (KeyError, TypeError, msgspec.ValidationError):
            continue  # an older form: there is nothing to compare with
    return tuple(found)


def outputs_of(workspace: Workspace, past: Past) -> dict[str, Digest]:
    """Every output of a run, by path. Raises: VerifyError, Refused (shredded)."""
    file = past.stored["outputs"]
    document = jcs.parse(workspace.store.open(keep.SCOPE, file).pread(0, file.size))
    read = msgspec.convert(document, _Outputs)
    return {one.path: one.sha256 for one in read.files}


def earlier_outputs(workspace: Workspace, history: History) -> set[str]:
    """Project files that still are what a run in the log left: they would make each run differ."""
    written: dict[str, set[Digest]] = {}
    for entry in history.of_type(predicates.SLSA_PROVENANCE):
        for path, digest in _outputs_named(workspace, entry):
            written.setdefault(path, set()).add(digest)
    return {path for path, made in written.items() if _digest(workspace.root / path) in made}


def _outputs_named(workspace: Workspace, entry: Recorded) -> Iterable[tuple[str, Digest]]:
    subjects = {one.name: one.digest for one in entry.statement.subjects}
    if OUTPUTS in subjects:  # too many to name one by one
        return outputs_of(workspace, past_of(entry)).items()
    return [item for item in subjects.items() if not item[0].startswith("model:")]


def _digest(path: Path) -> Digest:
    try:
        return digests.of_file(path) if path.is_file() else ""
    except OSError:
        return ""


class _Output(msgspec.Struct, frozen=True):
    path: str
    size: int
    sha256: Digest


class _Outputs(msgspec.Struct, frozen=True):
    format: str
    files: list[_Output]


def past_of(entry: Recorded) -> Past:
    """Read one provenance statement. Raises: VerifyError (``run.malformed``)."""
    try:
        used, stored = {}, {}
        for row in (
            *_dig(entry, "buildDefinition", "resolvedDependencies"),
            *_dig(entry, "runDetails", "byproducts"),
        ):
            used[row["name"]] = row["digest"]["sha256"]
            if place := row.get("annotations", {}).get("stored"):
                stored[row["name"]] = msgspec.convert(place, StoredFile)
        external = _dig(entry, "buildDefinition", "externalParameters")
        internal = _dig(entry, "buildDefinition", "internalParameters")
        return Past(
            run=_dig(entry, "runDetails", "metadata", "invocationId"),
            entry=entry,
            stage=external["stage"],
            command=provenance.command_of(external),
            isolation=internal["isolation"],
            limits=msgspec.convert(internal["limits"], Limits),
            used=used,
            stored=stored,
        )
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise VerifyError(
            "a provenance statement is malformed",
            where=f"entry {entry.index}",
            why=str(error),
            rule="run.malformed",
        ) from error


def _dig(entry: Recorded, *path: str) -> Any:
    value: Any = entry.statement.predicate
    for name in path:
        value = value[name]
    return value
