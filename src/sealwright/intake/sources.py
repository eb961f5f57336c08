"""What was named: one table, shards of one, a folder of labelled images, or any file tree."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import PurePosixPath

import msgspec
import pyarrow as pa

from sealwright.core.errors import BadInput
from sealwright.intake import csvtext
from sealwright.intake.location import Location
from sealwright.intake.manifest import Kind
from sealwright.intake.tables import Format

_HEAD_BYTES = 1 << 16
_IMAGES = frozenset(
    {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
)
_BY_SUFFIX: dict[str, Kind] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
TABLE_SUFFIXES = frozenset(_BY_SUFFIX)
KINDS: tuple[Kind, ...] = ("csv", "jsonl", "parquet", "images", "files")


class Source(msgspec.Struct, frozen=True):
    """What to read. ``skipped`` are files that belong to no record (hidden, ``_SUCCESS``)."""

    place: Location
    how: Format
    files: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """The kind of source."""
        return self.how.kind

    @property
    def suffixes(self) -> frozenset[str]:
        """The extensions of its files."""
        return frozenset(PurePosixPath(name).suffix.lower() for name in self.files)


def inspect(place: Location, wanted: str = "") -> Source:
    """Find out what lies there, by content first and extension second.

    ``wanted`` overrules the kind. Raises: BadInput (nothing there, or not of that kind).
    """
    if wanted and wanted not in KINDS:
        raise BadInput(f"{wanted!r} is not a kind of data", why=f"known: {', '.join(KINDS)}")
    every = place.files()
    if not every:
        raise BadInput(
            f"{place.base} has no files in it",
            why="a dataset needs at least one file",
            hint="name the folder that holds the data",
        )
    visible = tuple(name for name in every if not _hidden(name)) if place.folder else every
    if not visible and wanted != "files":
        raise BadInput(
            f"{place.base} has only hidden files in it",
            why="names that start with '.' or '_' are not read as records",
            hint="--kind files adds them as they are",
        )
    asked = [kind for kind in KINDS if kind == wanted]
    kind = asked[0] if asked else _kind_of(place, visible)
    files = visible if kind != "files" else every
    taken = set(files)
    skipped = tuple(name for name in every if name not in taken)
    return Source(place, Format(kind, _options(place, kind, files)), files, skipped)


def tree_schema(kind: Kind) -> pa.Schema:
    """The columns of a file that is a record: path, size, SHA-256, and an image's label."""
    fields = [("path", pa.string()), ("size", pa.int64()), ("sha256", pa.binary())]
    return pa.schema([*fields, ("label", pa.string())] if kind == "images" else fields)


def tree_batch(kind: Kind, files: Sequence[tuple[str, int, str]]) -> pa.RecordBatch:
    """One row for each (path, size, SHA-256 in hex)."""
    schema = tree_schema(kind)
    columns = [
        [path for path, _, _ in files],
        [size for _, size, _ in files],
        [bytes.fromhex(sha256) for _, _, sha256 in files],
        [label_of(path) for path, _, _ in files],
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=False)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def label_of(path: str) -> str:
    """An image's label: the name of the folder it lies in."""
    return PurePosixPath(path).parent.name


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) for part in PurePosixPath(name).parts)


def _kind_of(place: Location, names: tuple[str, ...]) -> Kind:
    suffixes = {PurePosixPath(name).suffix.lower() for name in names}
    if suffixes <= _IMAGES:
        return "images" if all("/" in name for name in names) else "files"
    first = _sniff(place, names[0])
    same = all(_sniff(place, name) == first for name in names[1:] if first != "files")
    return first if same else "files"


def _sniff(place: Location, name: str) -> Kind:
    suffix = PurePosixPath(name).suffix.lower()
    by_suffix = _BY_SUFFIX.get(suffix)
    if by_suffix == "parquet":
        return "parquet"
    unsure = by_suffix is None and suffix in (".json", ".txt", "")
    head = _head(place, name, _HEAD_BYTES if unsure else 4)
    if head[:4] == b"PAR1":
        return "parquet"
    if unsure and _is_json_line(head):
        return "jsonl"
    return by_suffix or "files"


def _is_json_line(head: bytes) -> bool:
    line = head.split(b"\n", 1)[0].strip()
    if not line.startswith(b"{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _options(place: Location, kind: Kind, files: tuple[str, ...]) -> dict[str, str]:
    if kind != "csv":
        return {}
    return {"delimiter": csvtext.delimiter_of(_head(place, files[0], _HEAD_BYTES), files[0])}


def _head(place: Location, name: str, count: int) -> bytes:
    fd = place.open(name)
    try:
        return os.read(fd, count)
    finally:
        os.close(fd)
