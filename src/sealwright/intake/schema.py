"""What a record's columns are, without what a file writer may change behind your back.

Two Arrow schemas that hold equal rows give one :class:`RecordSchema`: nullability flags,
metadata, dictionary encoding, ``large_`` and view variants, integer width, timestamp unit
and time-zone name do not count. Source: docs/spec/record-hash-v1.md, "Schema".
"""

from __future__ import annotations

import hashlib
import struct
from typing import Literal

import msgspec
import pyarrow as pa
from pyarrow import types

from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput

Kind = Literal[
    "null",
    "bool",
    "int",
    "uint64",
    "float16",
    "float32",
    "float64",
    "decimal",
    "string",
    "binary",
    "timestamp",
    "timestamp-utc",
    "date",
    "time",
    "duration",
    "interval",
    "list",
    "struct",
    "map",
]

CODES: dict[Kind, int] = {
    "null": 0x00,
    "bool": 0x01,
    "int": 0x02,
    "uint64": 0x03,
    "float16": 0x04,
    "float32": 0x05,
    "float64": 0x06,
    "decimal": 0x07,
    "string": 0x08,
    "binary": 0x09,
    "timestamp": 0x0A,
    "timestamp-utc": 0x0B,
    "date": 0x0C,
    "time": 0x0D,
    "duration": 0x0E,
    "interval": 0x0F,
    "list": 0x10,
    "struct": 0x11,
    "map": 0x12,
}
_CHILDREN: dict[Kind, int] = {"list": 1, "map": 2}
MAX_SCALE = 1000
SCHEMA_LABEL = b"sealwright record-schema v1\x00"


class FieldType(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A canonical type. ``scale`` is a decimal's; ``children`` those of list, struct and map.

    Any other form has no encoding: two schemas must never share a hash. Raises: ValueError.
    """

    kind: Kind
    scale: int = 0
    children: tuple[Field, ...] = ()

    def __post_init__(self) -> None:
        if self.kind == "struct":
            _check_unique(self.children)
        elif len(self.children) != _CHILDREN.get(self.kind, 0):
            raise ValueError(f"a {self.kind} has {_CHILDREN.get(self.kind, 0)} children")
        if abs(self.scale) > (MAX_SCALE if self.kind == "decimal" else 0):
            raise ValueError(f"a {self.kind} cannot have scale {self.scale}")

    def encode(self) -> bytes:
        """The bytes the schema hash covers."""
        code = bytes([CODES[self.kind]])
        if self.kind == "decimal":
            return code + struct.pack(">i", self.scale)
        if self.kind == "struct":
            return code + _encode_fields(self.children)
        return code + b"".join(child.type.encode() for child in self.children)


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named column. Its field id is its position, from 0."""

    name: str
    type: FieldType


class RecordSchema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The columns of a record, in order. ``msgspec.to_builtins`` and ``convert`` round-trip it.

    Raises: ValueError (two columns of one name).
    """

    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        _check_unique(self.fields)

    @property
    def hash(self) -> bytes:
        """The 32 bytes every leaf of this schema is bound to."""
        return hashlib.sha256(SCHEMA_LABEL + _encode_fields(self.fields)).digest()

    @property
    def digest(self) -> Digest:
        """:attr:`hash` as 64 hex characters."""
        return self.hash.hex()


def schema_of(arrow: pa.Schema) -> RecordSchema:
    """The record schema of an Arrow schema.

    Raises: BadInput, naming the column (duplicate name, or a type that has no encoding).
    """
    _refuse_duplicates(arrow.names)
    return RecordSchema(tuple(Field(each.name, type_of(each.type, each.name)) for each in arrow))


_LEAVES: tuple[tuple[str, Kind], ...] = (
    ("is_null", "null"),
    ("is_boolean", "bool"),
    ("is_uint64", "uint64"),
    ("is_integer", "int"),
    ("is_float16", "float16"),
    ("is_float32", "float32"),
    ("is_float64", "float64"),
    ("is_string", "string"),
    ("is_large_string", "string"),
    ("is_string_view", "string"),
    ("is_binary", "binary"),
    ("is_large_binary", "binary"),
    ("is_binary_view", "binary"),
    ("is_fixed_size_binary", "binary"),
    ("is_date", "date"),
    ("is_time", "time"),
    ("is_duration", "duration"),
    ("is_interval", "interval"),
)


def type_of(arrow: pa.DataType, where: str) -> FieldType:
    """The canonical type of an Arrow type; ``where`` names the column in errors.

    Raises: BadInput.
    """
    arrow = storage_of(arrow)
    if types.is_decimal(arrow) and abs(arrow.scale) <= MAX_SCALE:
        return FieldType("decimal", scale=arrow.scale)
    if types.is_timestamp(arrow):
        return FieldType("timestamp-utc" if arrow.tz is not None else "timestamp")
    for test, kind in _LEAVES:
        if getattr(types, test)(arrow):
            return FieldType(kind)
    if types.is_map(arrow):
        key, value = type_of(arrow.key_type, where), type_of(arrow.item_type, where)
        return FieldType("map", children=(Field("key", key), Field("value", value)))
    if types.is_struct(arrow):
        children = [arrow.field(index) for index in range(arrow.num_fields)]
        _refuse_duplicates([child.name for child in children])
        return FieldType(
            "struct",
            children=tuple(
                Field(child.name, type_of(child.type, f"{where}.{child.name}"))
                for child in children
            ),
        )
    if is_any_list(arrow):
        element = type_of(arrow.value_type, where)
        return FieldType("list", children=(Field("element", element),))
    raise BadInput(
        f"column {where!r} has type {arrow}, which has no record encoding",
        why="record-hash v1 covers every Arrow type but unions",
        hint="store the column as a struct or as text, then add the data again",
    )


def storage_of(arrow: pa.DataType) -> pa.DataType:
    """The type below extension, dictionary and run-end encoding."""
    while True:
        if isinstance(arrow, pa.BaseExtensionType):
            arrow = arrow.storage_type
        elif types.is_dictionary(arrow) or types.is_run_end_encoded(arrow):
            arrow = arrow.value_type
        else:
            return arrow


def is_any_list(arrow: pa.DataType) -> bool:
    """True for the five list layouts; a map is not one."""
    return bool(
        types.is_list(arrow)
        or types.is_large_list(arrow)
        or types.is_fixed_size_list(arrow)
        or types.is_list_view(arrow)
        or types.is_large_list_view(arrow)
    )


def _encode_fields(fields: tuple[Field, ...]) -> bytes:
    parts = [struct.pack(">I", len(fields))]
    for each in fields:
        name = each.name.encode()
        parts += [struct.pack(">I", len(name)), name, each.type.encode()]
    return b"".join(parts)


def _check_unique(fields: tuple[Field, ...]) -> None:
    if len({each.name for each in fields}) != len(fields):
        raise ValueError("two fields have one name")


def _refuse_duplicates(names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise BadInput(
                f"two columns are called {name!r}",
                why="a record's fields are told apart by name",
                hint=f"rename one of the columns called {name!r}, then add the data again",
            )
        seen.add(name)
