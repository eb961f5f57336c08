"""Two versions side by side: how many records, in which rows, and which columns changed."""

from __future__ import annotations

import msgspec

from sealwright.core.ports import Progress
from sealwright.intake import change
from sealwright.intake.change import Difference
from sealwright.intake.manifest import TABLES, FileRecord, Manifest
from sealwright.intake.recall import Memory, leaves_of
from sealwright.intake.streams import Silent, Tally


class Compared(msgspec.Struct, frozen=True):
    """What differs. ``columns`` are sentences about the schema; ``files_*`` are paths."""

    difference: Difference
    columns: tuple[str, ...]
    files_added: tuple[str, ...]
    files_removed: tuple[str, ...]
    files_changed: tuple[str, ...]


def diff(old: Memory, new: Memory, progress: Progress | None = None) -> Compared:
    """Compare two versions of one dataset. Values never leave this function, only row numbers.

    Raises: VerifyError, Refused (a version can no longer be read).
    """
    left_old, left_new = change.unmatched(_contents(old.manifest), _contents(new.manifest))
    old_files = [old.manifest.files[index] for index in left_old]
    new_files = [new.manifest.files[index] for index in left_new]
    size = sum(file.size for file in (*old_files, *new_files))
    tally = Tally(progress or Silent(), size, "bytes")
    key = new.manifest.key if new.manifest.kind in TABLES else "path"
    found = change.compare(
        _side(old, old_files, key, tally),
        _side(new, new_files, key, tally),
    )
    before = {file.path: file for file in old.manifest.files}
    after = {file.path: file for file in new.manifest.files}
    return Compared(
        found,
        tuple(_columns(old.manifest, new.manifest)),
        tuple(path for path in after if path not in before),
        tuple(path for path in before if path not in after),
        tuple(p for p in after if p in before and after[p].sha256 != before[p].sha256),
    )


def _contents(manifest: Manifest) -> list[tuple[int, str]]:
    return [(file.rows, file.root) for file in manifest.files]


def _side(memory: Memory, files: list[FileRecord], key: str, tally: Tally) -> change.Side:
    hashes = [leaves_of(memory, file, key, tally) for file in files]
    return change.side_of([(file.path, file.rows) for file in files], hashes)


def _columns(old: Manifest, new: Manifest) -> list[str]:
    before = {field.name: field.type for field in old.schema.fields}
    after = {field.name: field.type for field in new.schema.fields}
    words = [f"column {name!r} is new" for name in after if name not in before]
    words += [f"column {name!r} is gone" for name in before if name not in after]
    words += [
        f"column {name!r} was {before[name].kind}, is {after[name].kind}"
        for name in after
        if name in before and before[name] != after[name]
    ]
    if not words and list(before) != list(after):
        words.append("the columns are in another order")
    return words
