"""One record of a dataset: where it lies, and the versions that hold the very same one."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pyarrow as pa

from sealwright.app import deriving
from sealwright.app.datasets import memory_of
from sealwright.app.wiring import Workspace
from sealwright.core.errors import Refused, VerifyError
from sealwright.core.ports import Progress
from sealwright.intake import prove
from sealwright.intake.leaves import HASHES
from sealwright.intake.recall import leaves_of
from sealwright.intake.versions import Dataset, Datasets

MAX_SEARCHED_ROWS = 5_000_000
"""How many rows are hashed again to find a record in versions whose files differ."""


class Place(msgspec.Struct, frozen=True):
    """A version, and the file and row in it where the record is."""

    ref: str
    path: str
    file_row: int


class Trace(msgspec.Struct, frozen=True):
    """Where a record is. ``unchecked`` are versions nobody searched: too large, or shredded;
    ``origins`` the source rows of a derived record, nearest first."""

    row: int
    leaf: str
    here: Place
    places: tuple[Place, ...]
    unchecked: tuple[str, ...]
    origins: tuple[Place, ...] = ()


def trace(workspace: Workspace, dataset: Dataset, row: int, progress: Progress) -> Trace:
    """Find record ``row`` (from 0) and every version of the dataset with an equal record.

    Equal records have equal leaves within one dataset. Raises: BadInput (no such row),
    VerifyError, Refused (shredded).
    """
    memory = memory_of(workspace, dataset)
    proven = prove.prove_row(dataset, memory, row, workspace.root, progress=progress)
    proof = proven.proof
    here = Place(dataset.ref, proof.path, proof.row)
    places, unchecked, searched = [here], list[str](), 0
    for other in Datasets(workspace.history(), workspace.store).versions(dataset.name):
        if other.ref == dataset.ref:
            continue
        searched += other.rows
        if searched > MAX_SEARCHED_ROWS:
            unchecked.append(other.ref)
            continue
        progress.advance(0, 0, f"records searched in {other.ref}")
        try:
            found = _find(workspace, other, bytes.fromhex(proof.leaf), proof.root, proof.row)
        except Refused:
            unchecked.append(other.ref)
            continue
        if found is not None:
            places.append(found)
    ordered = sorted(places, key=lambda place: int(place.ref.rpartition("@")[2]))
    origins = tuple(_origins(workspace, dataset, row))
    return Trace(row, proof.leaf, here, tuple(ordered), tuple(unchecked), origins)


def _origins(workspace: Workspace, dataset: Dataset, row: int) -> Iterator[Place]:
    """Where the record of a derived version came from: derivations keep the order of rows."""
    history = workspace.history()
    datasets = Datasets(history, workspace.store)
    found = deriving.of(history, dataset)
    while found is not None:
        source = datasets.resolve(found.source)
        if source.digest != found.source_digest:
            raise VerifyError(
                f"{dataset.ref} says it was derived from another {found.source}",
                where=f"entry {found.index}",
                rule="data.derivation",
            )
        before = 0
        for file in datasets.manifest(source).files:
            if row < before + file.rows:
                yield Place(source.ref, file.path, row - before)
                break
            before += file.rows
        found = deriving.of(history, source)


def _find(
    workspace: Workspace, dataset: Dataset, leaf: bytes, file_root: str, file_row: int
) -> Place | None:
    memory = memory_of(workspace, dataset)
    for file in memory.manifest.files:
        if file.root == file_root:
            return Place(dataset.ref, file.path, file_row)
    wanted = pa.scalar(leaf, HASHES)
    for file in memory.manifest.files:
        leaves, _ = leaves_of(memory, file, "")
        at = leaves.index(wanted).as_py()
        if at >= 0:
            return Place(dataset.ref, file.path, at)
    return None
