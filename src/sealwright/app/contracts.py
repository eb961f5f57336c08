"""Data contracts over a workspace: drawn, activated, and held against versions.

:func:`check` is what ``seal run`` and ``seal data add`` call; its statement is what the gates
read. Nothing is asked twice: a version that was held to the contract in force is not read again.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from sealwright.app import accessing, rows
from sealwright.app.wiring import Workspace
from sealwright.core import clock, predicates, refs
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, Refused, VerifyError
from sealwright.core.ports import StoredFile
from sealwright.core.reading import small_file
from sealwright.core.records import Artifact, Recorded, Statement
from sealwright.intake import contract as contracts_
from sealwright.intake import contract_check, contract_infer
from sealwright.intake.contract import MEDIA_TYPE, Contract
from sealwright.intake.contract_check import Breach, Report
from sealwright.intake.contract_infer import Inferred
from sealwright.intake.versions import Dataset, Datasets, Where
from sealwright.policy import datafacts

FOLDER = "contracts"
MOST_LISTED = 100
"""Breaches listed in a statement; all of them are counted and covered by its report digest."""


class Active(msgspec.Struct, frozen=True):
    """The contract last activated for a dataset. ``version`` counts activations from 1."""

    name: str
    version: int
    digest: Digest
    index: int
    where: Where


class Checked(msgspec.Struct, frozen=True):
    """A version held to a contract. ``index`` is the statement's log entry, -1 for none."""

    ref: str
    contract: Digest
    report: Digest
    breaches: tuple[Breach, ...]
    broken: int
    structural: int
    index: int

    @property
    def conforms(self) -> bool:
        """Nothing was broken."""
        return not (self.broken or self.structural)

    def lines(self) -> list[str]:
        """One line for each breach: rule, column, counts, first record ids; never a value."""
        told = [f"{self.ref}: {breach.words()}" for breach in self.breaches]
        more = self.broken + self.structural - len(told)
        return told + ([f"{self.ref}: and {more:,} more breaches"] if more else [])


def page_of(workspace: Workspace, name: str) -> Path:
    """Where a dataset's contract is edited."""
    return workspace.root / FOLDER / f"{name}.toml"


def infer(workspace: Workspace, dataset: Dataset, reason: str = "") -> Inferred:
    """A contract that ``dataset`` conforms to, with slack. It shows ranges and categories, so
    it is for who may bring the data in. Raises: BadInput, GateDenied."""
    accessing.require(workspace, "modify", [dataset.artifact], reason=reason)
    schema, batches = rows.of(workspace, dataset)
    return contract_infer.infer(dataset.name, dataset.ref, schema, batches)


def draft(workspace: Workspace, name: str, file: str = "") -> Contract:
    """The contract as it is being edited. Raises: BadInput, BadSettings."""
    path = Path(file) if file else page_of(workspace, name)
    shown = str(path) if file else f"{FOLDER}/{path.name}"
    try:
        raw = small_file(path)
    except FileNotFoundError as error:
        raise BadInput(f"{shown} is missing", hint=f"seal data contract infer {name}") from error
    contract = contracts_.parse(raw, shown)
    if contract.name != name:
        raise BadInput(f"{shown} is the contract of {contract.name!r}, not of {name!r}")
    return contract


def in_force(workspace: Workspace, name: str) -> Active | None:
    """The contract last activated for a dataset. Raises: VerifyError (malformed)."""
    entries = datafacts.contracts(workspace.history(), name)
    if not entries:
        return None
    entry = entries[-1]
    try:
        where = msgspec.convert(entry.statement.predicate["contract"], Where)
        (subject,) = entry.statement.subjects
    except (KeyError, ValueError, msgspec.ValidationError) as error:
        raise VerifyError(
            f"log entry {entry.index} is no contract",
            where=f"entry {entry.index}",
            why=str(error),
            rule="contract.malformed",
        ) from error
    return Active(name, len(entries), subject.digest, entry.index, where)


def load(workspace: Workspace, found: Active) -> Contract:
    """Its text from the store. Raises: VerifyError (changed), Refused (shredded)."""
    stored = StoredFile(found.digest, found.where.size, found.where.segments)
    data = workspace.store.open(_scope(found.name), stored).pread(0, found.where.size)
    return contracts_.decode(data, found.digest)


def activate(workspace: Workspace, name: str, contract: Contract, reason: str) -> Active:
    """Put a contract in force for every later version. Raises: BadInput (no reason, no such
    dataset), GateDenied (``access.*``)."""
    if not reason.strip():
        raise BadInput(
            "an activation says why", hint=f"seal data contract activate {name} --reason '...'"
        )
    newest = Datasets(workspace.history(), workspace.store).latest(name)
    if newest is None:
        raise BadInput(f"there is no dataset called {name!r}", hint="seal data list")
    accessing.require(workspace, "modify", [newest.artifact], reason=reason)
    data = contract.canonical()
    with workspace.lock():
        before = in_force(workspace, name)
        workspace.kms.create(_scope(name))
        stored = workspace.store.put(_scope(name), cast("BinaryIO", io.BytesIO(data)))
        subject = Artifact(f"contract:{name}", contract.digest, MEDIA_TYPE)
        predicate: dict[str, Any] = {
            "name": name,
            "version": (before.version if before else 0) + 1,
            "previous": before.digest if before else "",
            "columns": len(contract.columns),
            "rules": len(contract.rules),
            "inferred_from": contract.inferred_from,
            "contract": {"size": len(data), "segments": list(stored.segments)},
            "actor": workspace.principal.name,
            "reason": reason,
            "time": clock.stamp(workspace.clock()),
        }
        workspace.recorder.record(Statement((subject,), predicates.CONTRACT, predicate))
        found = in_force(workspace, name)
    assert found is not None  # noqa: S101  it was recorded just now
    return found


def check(workspace: Workspace, dataset: Dataset, *, again: bool = False) -> Checked | None:
    """Hold a version to the contract in force, and record what was found. None: there is none.

    Raises: VerifyError, Refused (the version or the contract cannot be read).
    """
    found = in_force(workspace, dataset.name)
    if found is None:
        return None
    entry = datafacts.checked(workspace.history(), dataset.digest, found.digest)
    known = _read(entry) if entry is not None and not again else None
    if known is not None:
        return known
    report = held(workspace, dataset, load(workspace, found))
    return _record(workspace, dataset, report)


def held(workspace: Workspace, dataset: Dataset, contract: Contract) -> Report:
    """The report of a version against any contract; recorded nowhere."""
    schema, batches = rows.of(workspace, dataset)
    return contract_check.check(contract, schema, batches)


def of_report(dataset: Dataset, report: Report, index: int = -1) -> Checked:
    """A report as it is told."""
    structural = sum(breach.structural for breach in report.breaches)
    first = sorted(report.breaches, key=lambda breach: not breach.structural)[:MOST_LISTED]
    broken = len(report.breaches) - structural
    return Checked(
        dataset.ref, report.contract, report.digest, tuple(first), broken, structural, index
    )


def before_run(workspace: Workspace, datasets: Sequence[Dataset]) -> list[Checked]:
    """Hold the versions a run uses, and what they were made from, to their contracts.

    Versions that are older than the first contract of their dataset are left as they are.
    """
    history = workspace.history()
    catalogue = Datasets(history, workspace.store)
    by_digest = {one.digest: one for one in catalogue.all()}
    out: list[Checked] = []
    for one in _with_parents(datasets, by_digest):
        entries = datafacts.contracts(history, one.name)
        if entries and (one.index > entries[0].index or one in datasets):
            checked = check(workspace, one)
            out += [checked] if checked else []
    return out


def _with_parents(datasets: Sequence[Dataset], by_digest: dict[Digest, Dataset]) -> list[Dataset]:
    found: dict[Digest, Dataset] = {}
    ahead = list(datasets)
    while ahead:
        one = ahead.pop()
        if one.digest not in found:
            found[one.digest] = one
            ahead += [by_digest[p.digest] for p in one.parents if p.digest in by_digest]
    return sorted(found.values(), key=lambda one: one.index)


def _scope(name: str) -> str:
    """A scope of its own: an add that fails clears what it left in the dataset's."""
    return f"contract:{refs.check_name(name)}"


def _record(workspace: Workspace, dataset: Dataset, report: Report) -> Checked:
    checked = of_report(dataset, report)
    predicate: dict[str, Any] = {
        "contract": report.contract,
        "records": report.records,
        "report": report.digest,
        "structural": checked.structural,
        "broken": checked.broken,
        "breaches": msgspec.to_builtins(checked.breaches),
        "actor": workspace.principal.name,
        "time": clock.stamp(workspace.clock()),
    }
    receipt = workspace.recorder.record(
        Statement((dataset.artifact,), predicates.CONTRACT_CHECK, predicate)
    )
    return msgspec.structs.replace(checked, index=receipt.index)


def _read(entry: Recorded) -> Checked | None:
    """A check as its statement says, or None where it cannot be read: then it is made again."""
    said: Any = entry.statement.predicate
    try:
        return Checked(
            entry.statement.subjects[0].name,
            said["contract"],
            said["report"],
            msgspec.convert(said["breaches"], tuple[Breach, ...]),
            int(said["broken"]),
            int(said["structural"]),
            entry.index,
        )
    except (KeyError, TypeError, ValueError, msgspec.ValidationError, Refused):
        return None
