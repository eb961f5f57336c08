"""The values in a record's canonical bytes, for whoever was shown its preimage.

Strict: bytes that no encoder writes are refused, so what is read back is all there is.
Source: docs/spec/record-hash-v1.md, "Values".
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Context, Decimal

from sealwright.core.errors import VerifyError
from sealwright.core.records import Json
from sealwright.intake.schema import FieldType, RecordSchema

_FLOATS = {"float16": ">e", "float32": ">f", "float64": ">d"}
_EXACT = Context(prec=100)
_EPOCH = datetime(1970, 1, 1)
_JSON_SAFE = (1 << 53) - 1


def values_of(fields: bytes, schema: RecordSchema) -> dict[str, Json]:
    """Column name to value. Numbers that JSON would bend are text, bytes are hex,
    and a stored string that is not UTF-8 shows its stray bytes as escapes.

    Raises: VerifyError (rule ``record.preimage-malformed``).
    """
    reader = _Reader(fields)
    try:
        values = {each.name: reader.field(each.type) for each in schema.fields}
    except RecursionError as error:
        raise _malformed("the schema nests too deep to be read") from error
    if reader.at != len(fields):
        raise _malformed("bytes are left over behind the last field")
    return values


class _Reader:
    """A position in encoded fields."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes. Raises: VerifyError."""
        piece = self.data[self.at : self.at + count]
        if len(piece) != count:
            raise _malformed("the bytes end in the middle of a field")
        self.at += count
        return piece

    def number(self, width: int, *, signed: bool = True) -> int:
        """The next big-endian integer."""
        return int.from_bytes(self.take(width), "big", signed=signed)

    def field(self, kind: FieldType) -> Json:
        """The next field: its presence byte, then its value."""
        presence = self.take(1)
        if presence == b"\x00":
            return None
        if presence != b"\x01" or kind.kind == "null":
            raise _malformed("a presence byte is neither 00 nor 01")
        return _READ[kind.kind](self, kind)


def _bool(reader: _Reader, _: FieldType) -> Json:
    value = reader.number(1)
    if value not in (0, 1):
        raise _malformed("a truth value is neither 00 nor 01")
    return bool(value)


def _exact(number: int) -> Json:
    return number if -_JSON_SAFE <= number <= _JSON_SAFE else str(number)


def _float(reader: _Reader, kind: FieldType) -> Json:
    layout = _FLOATS[kind.kind]
    raw = reader.take(struct.calcsize(layout))
    (value,) = struct.unpack(layout, raw)
    canonical = struct.pack(layout, float("nan") if value != value else value + 0.0)
    if raw != canonical:
        raise _malformed("a float is a NaN or a zero in another than the canonical form")
    return repr(value)


def _decimal(reader: _Reader, kind: FieldType) -> Json:
    return format(Decimal(reader.number(32)).scaleb(-kind.scale, _EXACT), "f")


def _string(reader: _Reader, _: FieldType) -> Json:
    return reader.take(reader.number(4, signed=False)).decode(errors="backslashreplace")


def _binary(reader: _Reader, _: FieldType) -> Json:
    return reader.take(reader.number(4, signed=False)).hex()


def _moment(reader: _Reader, kind: FieldType) -> Json:
    seconds, nanos = _seconds(reader)
    zone = "Z" if kind.kind == "timestamp-utc" else ""
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return f"{_decimal_seconds(seconds, nanos)} s since 1970-01-01T00:00:00{zone}"
    fraction = f".{nanos:09}".rstrip("0") if nanos else ""
    return f"{moment.isoformat()}{fraction}{zone}"


def _duration(reader: _Reader, _: FieldType) -> Json:
    return f"{_decimal_seconds(*_seconds(reader))} s"


def _date(reader: _Reader, _: FieldType) -> Json:
    days = reader.number(8)
    try:
        return (_EPOCH + timedelta(days=days)).date().isoformat()
    except OverflowError:
        return f"{days} days since 1970-01-01"


def _interval(reader: _Reader, _: FieldType) -> Json:
    return f"{reader.number(4)} months {reader.number(4)} days {reader.number(8)} ns"


def _list(reader: _Reader, kind: FieldType) -> Json:
    element = kind.children[0].type
    return [reader.field(element) for _ in range(reader.number(4, signed=False))]


def _struct(reader: _Reader, kind: FieldType) -> Json:
    return {each.name: reader.field(each.type) for each in kind.children}


def _map(reader: _Reader, kind: FieldType) -> Json:
    entries: list[Json] = []
    before = b""
    for _ in range(reader.number(4, signed=False)):
        start = reader.at
        entries.append([reader.field(child.type) for child in kind.children])
        if reader.data[start : reader.at] < before:
            raise _malformed("the entries of a map are out of order")
        before = reader.data[start : reader.at]
    return entries


def _seconds(reader: _Reader) -> tuple[int, int]:
    seconds, nanos = reader.number(8), reader.number(4, signed=False)
    if nanos >= 1_000_000_000:
        raise _malformed("a second has 1,000,000,000 nanoseconds")
    return seconds, nanos


def _decimal_seconds(seconds: int, nanos: int) -> str:
    total = Decimal(seconds * 1_000_000_000 + nanos).scaleb(-9, _EXACT)
    return format(total, "f").rstrip("0").rstrip(".")


_READ: dict[str, Callable[[_Reader, FieldType], Json]] = {
    "bool": _bool,
    "int": lambda reader, _: _exact(reader.number(8)),
    "uint64": lambda reader, _: _exact(reader.number(8, signed=False)),
    "float16": _float,
    "float32": _float,
    "float64": _float,
    "decimal": _decimal,
    "string": _string,
    "binary": _binary,
    "timestamp": _moment,
    "timestamp-utc": _moment,
    "date": _date,
    "time": _duration,
    "duration": _duration,
    "interval": _interval,
    "list": _list,
    "struct": _struct,
    "map": _map,
}


def _malformed(why: str) -> VerifyError:
    return VerifyError(
        "these bytes are not the fields of a record",
        why=why,
        hint="ask whoever holds the data for the reveal again",
        rule="record.preimage-malformed",
    )
