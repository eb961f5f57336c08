"""Where records came from: by source, and by the version that brought them in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from sealwright.app.datasets import memory_of
from sealwright.app.screendetails import Counted
from sealwright.app.screenwork import Version
from sealwright.core.errors import Refused
from sealwright.intake import present
from sealwright.intake.manifest import TABLES
from sealwright.intake.recall import Memory, leaves_of
from sealwright.intake.versions import Datasets

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

_MOST_VERSIONS = 50
_MOST_SHOWN = 8


class Origin(msgspec.Struct, frozen=True):
    """Of some records: how many came from each source, and with each version."""

    sources: Counted
    added: Counted


def trace(
    workspace: Workspace, version: Version, source: str, groups: Sequence[Sequence[int]]
) -> list[Origin]:
    """One origin for each list of records."""
    if not groups:
        return []
    every = sorted({record for records in groups for record in records})
    by_source = dict(zip(every, sources(version, source, every), strict=True))
    by_version = _versions(workspace, version, every)
    return [
        Origin(
            _counted(by_source[record] for record in records),
            _counted(by_version.get(record, "") for record in records),
        )
        for records in groups
    ]


def sources(version: Version, source: str, records: Sequence[int]) -> list[str]:
    """The declared column's cell, else the file; for files the folders below the label."""
    memory = version.memory
    files = memory.manifest.files
    if memory.manifest.kind not in TABLES:
        return [present.origin_of(files[record].path) for record in records]
    column = source or (present.FILE_COLUMN if len(files) > 1 else "")
    if not column:
        return [""] * len(records)
    return present.column_of(memory, version.project, column, records)


def _versions(workspace: Workspace, version: Version, records: Sequence[int]) -> dict[int, str]:
    """The first version that held an equal record, and who added it."""
    dataset = version.dataset
    chain = Datasets(workspace.history(), workspace.store).versions(dataset.name)
    earlier = chain[: dataset.version - 1][-_MOST_VERSIONS:]
    mine = _leaves(version.memory)
    wanted = {record: mine[record] for record in records}
    found: dict[int, str] = {}
    for one in earlier:
        try:
            held = set(_leaves(memory_of(workspace, one)))
        except Refused:  # a version that was shredded brought in what nobody can tell any more
            continue
        name = f"{one.name}@{one.version} ({one.signed.actor})"
        for record, leaf in wanted.items():
            if record not in found and leaf in held:
                found[record] = name
    own = f"{dataset.name}@{dataset.version} ({dataset.signed.actor})"
    return {record: found.get(record, own) for record in records}


def _leaves(memory: Memory) -> list[bytes]:
    found: list[bytes] = []
    for file in memory.manifest.files:
        leaves, _ = leaves_of(memory, file, "")
        found += leaves.to_pylist()
    return found


def _counted(names: Iterable[str]) -> Counted:
    counts = Counter(name for name in names if name)
    return tuple(counts.most_common(_MOST_SHOWN))
