"""An Arrow array described for the compiled kernel: where its buffers lie and how to read them.

What the kernel does not read itself (maps, intervals, date64, list views) is encoded by the
plain path and handed over as ready bytes. Buffer sizes are checked here, offsets in the kernel.
"""

from __future__ import annotations

import ctypes
from typing import Any

import pyarrow as pa
from pyarrow import types

from sealwright.core.errors import BadInput
from sealwright.intake import encode
from sealwright.intake.schema import FieldType, RecordSchema


class Column(ctypes.Structure):
    """Mirrors ``column`` in ``_kernel.c``."""


Column._fields_ = [
    ("kind", ctypes.c_int32),
    ("width", ctypes.c_int32),
    ("offset", ctypes.c_int64),
    ("limit", ctypes.c_int64),
    ("per_second", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("validity", ctypes.c_void_p),
    ("data", ctypes.c_void_p),
    ("offsets", ctypes.c_void_p),
    ("children", ctypes.POINTER(Column)),
]

NULL, BOOL, INT, UINT, FLOAT, DECIMAL, BYTES32, BYTES64 = range(8)
FIXED, SECONDS, LIST32, LIST64, LIST_FIXED, STRUCT, DICTIONARY, RAW = range(8, 16)

_NUMBERS = {"uint64": UINT, "float16": FLOAT, "float32": FLOAT, "float64": FLOAT}
_TEMPORAL = frozenset({"timestamp", "timestamp-utc", "time", "duration"})


class Described:
    """Columns for the kernel, and everything that must outlive the call."""

    def __init__(self, batch: pa.RecordBatch, schema: RecordSchema) -> None:
        self._alive: list[Any] = []
        self.count = len(schema.fields)
        self.columns = (Column * max(self.count, 1))()
        for at, each in enumerate(schema.fields):
            with encode.in_column(each.name):
                self._fill(self.columns[at], batch.column(at), each.type)

    def _many(self, arrays: list[pa.Array], kinds: list[FieldType]) -> ctypes.Array[Column]:
        block = (Column * max(len(arrays), 1))()
        self._alive.append(block)
        for at, (values, kind) in enumerate(zip(arrays, kinds, strict=True)):
            self._fill(block[at], values, kind)
        return block

    def _fill(self, column: Column, values: pa.Array, kind: FieldType) -> None:
        values = _readable(values)
        if _is_left_to_plain(values.type):
            column.kind = RAW
            self._offsets(column, encode.column(values, kind), 8)
            return
        column.validity = self._validity(values)
        column.offset = values.offset
        if types.is_dictionary(values.type):
            self._dictionary(column, values, kind)
        elif kind.kind == "list":
            self._list(column, values, kind)
        elif kind.kind == "struct":
            column.kind, column.offset = STRUCT, values.offset
            children = [values.field(at) for at in range(values.type.num_fields)]
            column.n_children = len(children)
            column.children = self._many(children, [each.type for each in kind.children])
        elif kind.kind in ("string", "binary"):
            self._bytes(column, values)
        elif kind.kind != "null":
            self._fixed(column, values, kind)

    def _fixed(self, column: Column, values: pa.Array, kind: FieldType) -> None:
        if kind.kind == "bool":
            column.kind = BOOL
            bits = values.offset + len(values)
            column.data = self._address(values.buffers()[1], (bits + 7) // 8)
            return
        column.width = values.type.bit_width // 8
        column.data = self._address(
            values.buffers()[1], (values.offset + len(values)) * column.width
        )
        if kind.kind in _TEMPORAL:
            column.kind = SECONDS
            column.per_second = encode.PER_SECOND[values.type.unit]
        elif kind.kind == "decimal":
            column.kind = DECIMAL
        elif kind.kind == "int":
            column.kind = UINT if types.is_unsigned_integer(values.type) else INT
        else:
            column.kind = _NUMBERS.get(kind.kind, INT)

    def _bytes(self, column: Column, values: pa.Array) -> None:
        if types.is_fixed_size_binary(values.type):
            column.kind, column.width = FIXED, values.type.byte_width
            column.limit = (values.offset + len(values)) * column.width
            column.data = self._address(values.buffers()[1], column.limit)
            return
        large = types.is_large_string(values.type) or types.is_large_binary(values.type)
        column.kind = BYTES64 if large else BYTES32
        self._offsets(column, values, 8 if large else 4)

    def _offsets(self, column: Column, values: pa.Array, width: int) -> None:
        _, offsets, data = values.buffers()
        column.offset = values.offset
        column.offsets = self._address(offsets, (values.offset + len(values) + 1) * width)
        column.limit = data.size if data is not None else 0
        column.data = self._address(data, column.limit)
        self._alive.append(values)

    def _list(self, column: Column, values: pa.Array, kind: FieldType) -> None:
        if types.is_fixed_size_list(values.type):
            column.kind, column.width = LIST_FIXED, values.type.list_size
        else:
            large = types.is_large_list(values.type)
            column.kind, width = (LIST64, 8) if large else (LIST32, 4)
            need = (values.offset + len(values) + 1) * width
            column.offsets = self._address(values.buffers()[1], need)
        elements = values.values
        column.limit = len(elements)
        column.children = self._many([elements], [kind.children[0].type])

    def _dictionary(self, column: Column, values: pa.Array, kind: FieldType) -> None:
        indices = values.indices
        column.kind, column.offset = DICTIONARY, indices.offset
        column.width = indices.type.bit_width // 8
        need = (indices.offset + len(indices)) * column.width
        column.data = self._address(indices.buffers()[1], need)
        column.limit = len(values.dictionary)
        column.children = self._many([values.dictionary], [kind])

    def _validity(self, values: pa.Array) -> int | None:
        if values.null_count == 0 or types.is_null(values.type):
            return None
        return self._address(values.buffers()[0], (values.offset + len(values) + 7) // 8)

    def _address(self, buffer: pa.Buffer | None, need: int) -> int | None:
        if buffer is None or buffer.size < need:
            if need == 0 or (buffer is None and need <= 8):
                return None if buffer is None else int(buffer.address)
            raise BadInput("an Arrow buffer is shorter than its array", why="the data is corrupt")
        self._alive.append(buffer)
        return int(buffer.address)


def _is_left_to_plain(arrow: pa.DataType) -> bool:
    return bool(
        types.is_map(arrow)
        or types.is_interval(arrow)
        or types.is_date64(arrow)
        or types.is_list_view(arrow)
        or types.is_large_list_view(arrow)
    )


def _readable(values: pa.Array) -> pa.Array:
    """The same values in a layout that the kernel reads."""
    if isinstance(values, pa.ExtensionArray):
        return _readable(values.storage)
    arrow = values.type
    if types.is_run_end_encoded(arrow):
        return _readable(encode.decoded_runs(values))
    if types.is_string_view(arrow):
        return values.cast(pa.large_string())
    if types.is_binary_view(arrow):
        return values.cast(pa.large_binary())
    return values
