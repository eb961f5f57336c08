"""The plain path: canonical record bytes with nothing but pyarrow.

Every encoder turns an Arrow array into one ``large_binary`` value per row; what stands under
a null is thrown away by :func:`column`. Source: docs/spec/record-hash-v1.md, "Values".
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from sealwright.core.errors import BadInput
from sealwright.intake.schema import FieldType, RecordSchema

_LARGE = pa.large_binary()


def _constant(data: bytes) -> pa.Scalar:
    # built from buffers: pa.scalar imports pandas wherever it is installed
    ends = pa.py_buffer(struct.pack("=qq", 0, len(data)))
    return pa.Array.from_buffers(_LARGE, 1, [None, ends, pa.py_buffer(data)])[0]


_ABSENT = _constant(b"\x00")
_PRESENT = _constant(b"\x01")
_NOTHING = _constant(b"")
_MAX_LENGTH = (1 << 32) - 1
_DAY_MS = 86_400_000
PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def rows(batch: pa.RecordBatch, schema: RecordSchema) -> Iterator[memoryview]:
    """Each row's fields, encoded. Raises: BadInput, naming the column."""
    columns = []
    for each, values in zip(schema.fields, batch.columns, strict=True):
        with in_column(each.name):
            columns.append(column(values, each.type))
    if not columns:
        yield from (memoryview(b"") for _ in range(batch.num_rows))
        return
    yield from _slices(_join(columns))


@contextmanager
def in_column(name: str) -> Iterator[None]:
    """Names the column in whatever is refused."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"column {name!r}: {error.what}", why=error.why, hint=error.hint) from error


def column(values: pa.Array, kind: FieldType) -> pa.Array:
    """One ``large_binary`` a row: the presence byte, then the value unless it is null."""
    values = _plain(values)
    if kind.kind == "null":
        return pa.repeat(_ABSENT, len(values))
    encoded = _join([_PRESENT, _ENCODERS[kind.kind](values, kind)])
    return pc.if_else(values.is_valid(), encoded, _ABSENT)


def _plain(values: pa.Array) -> pa.Array:
    """Without extension, dictionary or run-end encoding."""
    while True:
        if isinstance(values, pa.ExtensionArray):
            values = values.storage
        elif types.is_dictionary(values.type):
            values = values.dictionary_decode()
        elif types.is_run_end_encoded(values.type):
            values = decoded_runs(values)
        else:
            return values


def decoded_runs(values: pa.Array) -> pa.Array:
    """A run-end encoded array, one value a row."""
    return pc.run_end_decode(values)


def _bool(values: pa.Array, _: FieldType) -> pa.Array:
    return _fixed(values.cast(pa.uint8()), "B")


def _int(values: pa.Array, _: FieldType) -> pa.Array:
    return _fixed(values.cast(pa.int64()), "q")


def _uint64(values: pa.Array, _: FieldType) -> pa.Array:
    return _fixed(values, "Q")


def _float16(values: pa.Array, _: FieldType) -> pa.Array:
    return _float(values.view(pa.uint16()), "H", 0x7FFF, 0x7C00, 0x7E00)


def _float32(values: pa.Array, _: FieldType) -> pa.Array:
    return _float(values.view(pa.uint32()), "I", 0x7FFF_FFFF, 0x7F80_0000, 0x7FC0_0000)


def _float64(values: pa.Array, _: FieldType) -> pa.Array:
    low = (1 << 63) - 1
    return _float(values.view(pa.uint64()), "Q", low, 0x7FF0 << 48, 0x7FF8 << 48)


def _float(bits: pa.Array, code: str, low: int, infinity: int, nan: int) -> pa.Array:
    """IEEE 754 bits with one NaN and one zero."""
    magnitude = pc.bit_wise_and(bits, pa.scalar(low, bits.type))
    is_nan = pc.greater(magnitude, pa.scalar(infinity, bits.type))
    is_zero = pc.equal(magnitude, pa.scalar(0, bits.type))
    bits = pc.if_else(is_nan, pa.scalar(nan, bits.type), bits)
    return _fixed(pc.if_else(is_zero, pa.scalar(0, bits.type), bits), code)


def _decimal(values: pa.Array, _: FieldType) -> pa.Array:
    width = values.type.byte_width
    raw = memoryview(values.buffers()[1])[values.offset * width :]
    encoded = bytearray()
    for start in range(0, len(values) * width, width):
        number = int.from_bytes(raw[start : start + width], sys.byteorder, signed=True)
        encoded += number.to_bytes(32, "big", signed=True)
    return _evenly(bytes(encoded), 32, len(values))


def _string(values: pa.Array, kind: FieldType) -> pa.Array:
    return _binary(values.cast(pa.large_string()).view(_LARGE), kind)


def _binary(values: pa.Array, _: FieldType) -> pa.Array:
    values = values.cast(_LARGE)
    return _join([_lengths(pc.binary_length(values)), values])


def _timestamp(values: pa.Array, _: FieldType) -> pa.Array:
    return _seconds_and_nanos(values.view(pa.int64()), values.type.unit)


def _time(values: pa.Array, _: FieldType) -> pa.Array:
    if types.is_time32(values.type):
        return _seconds_and_nanos(values.view(pa.int32()).cast(pa.int64()), values.type.unit)
    return _timestamp(values, _)


def _seconds_and_nanos(count: pa.Array, unit: str) -> pa.Array:
    """Floor division, so that no int64 in any unit overflows."""
    per_second = PER_SECOND[unit]
    seconds = pc.divide(count, per_second)
    rest = pc.subtract(count, pc.multiply(seconds, per_second))
    below = pc.less(rest, 0)
    seconds = pc.if_else(below, pc.subtract(seconds, 1), seconds)
    rest = pc.if_else(below, pc.add(rest, per_second), rest)
    nanos = pc.multiply(rest, 1_000_000_000 // per_second)
    return _join([_fixed(seconds, "q"), _fixed(nanos.cast(pa.uint32()), "I")])


def _date(values: pa.Array, _: FieldType) -> pa.Array:
    if types.is_date32(values.type):
        return _fixed(values.view(pa.int32()).cast(pa.int64()), "q")
    count = values.view(pa.int64())
    days = pc.divide(count, _DAY_MS)
    if pc.any(pc.not_equal(pc.multiply(days, _DAY_MS), count)).as_py():
        raise BadInput(
            "a date holds a time of day",
            why="a date64 must be a whole number of days",
            hint="cast the column to timestamp, then add the data again",
        )
    return _fixed(days, "q")


def _interval(values: pa.Array, _: FieldType) -> pa.Array:
    raw = memoryview(values.buffers()[1])[values.offset * 16 :]
    native = struct.iter_unpack("=iiq", raw[: len(values) * 16])
    return _evenly(b"".join(struct.pack(">iiq", *each) for each in native), 16, len(values))


def _list(values: pa.Array, kind: FieldType) -> pa.Array:
    element = kind.children[0].type
    lengths = pc.fill_null(pc.list_value_length(values).cast(pa.int64()), 0)
    elements = column(values.flatten(), element)
    ends = [0, *pc.cumulative_sum(lengths).to_pylist()]
    return _join([_lengths(lengths), _regroup(elements, ends)])


def _struct(values: pa.Array, kind: FieldType) -> pa.Array:
    children = zip(kind.children, values.flatten(), strict=True)
    parts = [column(child, each.type) for each, child in children]
    return _join(parts) if parts else pa.repeat(_NOTHING, len(values))


def _map(values: pa.Array, kind: FieldType) -> pa.Array:
    entry = pa.struct([("key", values.type.key_type), ("value", values.type.item_type)])
    pairs = values.cast(pa.list_(entry))
    lengths = pc.fill_null(pc.list_value_length(pairs).cast(pa.int64()), 0)
    encoded = list(_slices(_struct(pairs.flatten(), kind)))
    done, start = [], 0
    for length in lengths.to_pylist():
        done.append(b"".join(sorted(bytes(each) for each in encoded[start : start + length])))
        start += length
    return _join([_lengths(lengths), pa.array(done, _LARGE)])


_ENCODERS: dict[str, Callable[[pa.Array, FieldType], pa.Array]] = {
    "bool": _bool,
    "int": _int,
    "uint64": _uint64,
    "float16": _float16,
    "float32": _float32,
    "float64": _float64,
    "decimal": _decimal,
    "string": _string,
    "binary": _binary,
    "timestamp": _timestamp,
    "timestamp-utc": _timestamp,
    "date": _date,
    "time": _time,
    "duration": _timestamp,
    "interval": _interval,
    "list": _list,
    "struct": _struct,
    "map": _map,
}


def _join(parts: list[Any]) -> pa.Array:
    return pc.binary_join_element_wise(*parts, _NOTHING)


def _fixed(values: pa.Array, code: str) -> pa.Array:
    """A primitive array's values, big-endian; ``code`` is its :mod:`array` type code."""
    width = array(code).itemsize
    start = values.offset * width
    data = array(code)
    if len(values):
        data.frombytes(memoryview(values.buffers()[1])[start : start + len(values) * width])
    if sys.byteorder == "little":
        data.byteswap()
    return _evenly(data.tobytes(), width, len(values))


def _evenly(data: bytes, width: int, count: int) -> pa.Array:
    """``count`` values of ``width`` bytes each."""
    return _binary_array(range(0, (count + 1) * width, width), pa.py_buffer(data))


def _binary_array(offsets: Any, data: pa.Buffer) -> pa.Array:
    ends = array("q", offsets)
    return pa.Array.from_buffers(_LARGE, len(ends) - 1, [None, pa.py_buffer(ends), data])


def _lengths(lengths: pa.Array) -> pa.Array:
    if (pc.max(lengths).as_py() or 0) > _MAX_LENGTH:
        raise BadInput(
            "a value of 4 GiB or more",
            why="lengths are 32-bit in record-hash v1",
            hint="keep large objects as files and their digests in the table",
        )
    return _fixed(lengths.cast(pa.uint32()), "I")


def _offsets(values: pa.Array) -> array[int]:
    """The ``len + 1`` offsets of a ``large_binary`` array, slice applied."""
    ends = array("q")
    raw = memoryview(values.buffers()[1])
    ends.frombytes(raw[values.offset * 8 : (values.offset + len(values) + 1) * 8])
    return ends


def _data(values: pa.Array) -> pa.Buffer:
    return values.buffers()[2] or pa.py_buffer(b"")


def _regroup(elements: pa.Array, ends: list[int]) -> pa.Array:
    """Neighbouring elements as one value: group ``i`` is ``elements[ends[i]:ends[i + 1]]``."""
    offsets = _offsets(elements) if len(elements) else array("q", [0])
    return _binary_array((offsets[end] for end in ends), _data(elements))


def _slices(values: pa.Array) -> Iterator[memoryview]:
    if not len(values):
        return
    offsets, data = _offsets(values), memoryview(_data(values))
    for index in range(len(values)):
        yield data[offsets[index] : offsets[index + 1]]
