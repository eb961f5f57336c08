"""The cases behind docs/spec/record-hash-v1.vectors.json, and how Arrow values are spelt there.

``python tests/intake/record_cases.py`` writes the file again, with the plain path's bytes; the
tests then hold the fast path and the independent implementation to it.
"""

import importlib.util
import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pyarrow as pa
from pyarrow import types

from sealwright.intake.record import plain_leaves, reveal
from sealwright.intake.schema import schema_of, type_of
from sealwright.intake.tree import FileEntry, RecordTree, version_root

VECTORS = Path(__file__).parents[2] / "docs" / "spec" / "record-hash-v1.vectors.json"
KEY = bytes(range(32))
ABOUT = {
    "spec": "record-hash-v1.md",
    "values": {
        "null, bool, string": "as in JSON",
        "int, uint64, date": "decimal text",
        "float16, float32, float64": "the IEEE 754 bits as they came, in hex",
        "decimal": "the unscaled integer, decimal text",
        "binary": "hex",
        "timestamp, timestamp-utc, time, duration": "[count, unit], unit one of s, ms, us, ns",
        "interval": "[months, days, nanoseconds]",
        "list": "an array",
        "struct": "an array, in the order of its children",
        "map": "an array of [key, value], in the order stored",
    },
}


def stranger():
    """The independent implementation, which is no part of any package."""
    path = Path(__file__).parents[1] / "independent" / "record_hash_v1.py"
    spec = importlib.util.spec_from_file_location("record_hash_v1", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def raw(values):  # noqa: C901 - one branch a kind, as on the page
    """An Arrow array as the vectors spell it, one JSON value a row."""
    arrow = values.type
    if isinstance(values, pa.ExtensionArray):
        return raw(values.storage)
    if types.is_dictionary(arrow):
        spelt = raw(values.dictionary)
        return [None if at is None else spelt[at] for at in values.indices.to_pylist()]
    if types.is_run_end_encoded(arrow):
        spelt, out, start = raw(values.values), [], 0
        for end, each in zip(values.run_ends.to_pylist(), spelt, strict=True):
            out += [each] * (end - start)
            start = end
        return out[values.offset : values.offset + len(values)]
    if types.is_nested(arrow):
        return _raw_nested(values)
    kind = type_of(arrow, "raw").kind
    if kind in ("null", "bool", "string"):
        return values.to_pylist()
    if kind in ("int", "uint64"):
        return [_text(each) for each in values.to_pylist()]
    if kind.startswith("float"):
        width = int(kind[5:])
        bits = values.view(getattr(pa, f"uint{width}")()).to_pylist()
        return [None if each is None else f"{each:0{width // 4}x}" for each in bits]
    if kind == "decimal":
        return [
            None if each is None else _unscaled(each, arrow.scale) for each in values.to_pylist()
        ]
    if kind == "binary":
        return [None if each is None else each.hex() for each in values.to_pylist()]
    if kind == "interval":
        return [
            None if each is None else [str(part) for part in each] for each in values.to_pylist()
        ]
    counts = values.view(pa.int32() if arrow.bit_width == 32 else pa.int64()).to_pylist()
    if types.is_date64(arrow):
        return [None if each is None else str(each // 86_400_000) for each in counts]
    if kind == "date":
        return [_text(each) for each in counts]
    return [None if each is None else [str(each), arrow.unit] for each in counts]


def _raw_nested(values):
    """By scalar, so that no offset arithmetic is shared with what is under test."""
    arrow, out = values.type, []
    for each in values:
        if not each.is_valid:
            out.append(None)
        elif types.is_struct(arrow):
            children = [arrow.field(at) for at in range(arrow.num_fields)]
            parts = [raw(pa.array([each[child.name]], child.type)) for child in children]
            out.append([part[0] for part in parts])
        elif types.is_map(arrow):
            pairs = each.values
            out.append(
                [list(pair) for pair in zip(raw(pairs.field(0)), raw(pairs.field(1)), strict=True)]
            )
        else:
            out.append(raw(each.values))
    return out


def _text(number):
    return None if number is None else str(number)


def _unscaled(value, scale):
    sign, digits, exponent = value.as_tuple()
    number = int("".join(map(str, digits))) * 10 ** (exponent + scale)
    return str(-number if sign else number)


def rows_of(batch):
    return [list(row) for row in zip(*map(raw, batch.columns), strict=True)]


def schema_json(schema):
    return msgspec.json.decode(msgspec.json.encode(schema))


def cases():
    """Yield (name, record batch)."""
    for name, arrow, values in _columns():
        yield name, pa.record_batch({"x": pa.array(values, arrow)})
    for width in (16, 32, 64):
        yield f"float{width} special", pa.record_batch({"x": _float_bits(width)})
    yield "dictionary", pa.record_batch({"x": pa.array(["b", None, "a", "b"]).dictionary_encode()})
    nulls = pa.DictionaryArray.from_arrays(pa.array([1, 0, None], pa.int8()), pa.array(["a", None]))
    yield "dictionary with a null among its values", pa.record_batch({"x": nulls})
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array([5, None]))
    yield "run-end encoded", pa.record_batch({"x": runs})
    yield "no columns but one, no rows", pa.record_batch({"x": pa.array([], pa.int8())})
    yield "separator trap", pa.record_batch({"x": ["a|b", "a"], "y": ["c", "b|c"]})
    yield (
        "the example on the page",
        pa.record_batch(
            {
                "id": pa.array([7], pa.int32()),
                "name": pa.array(["Zo\u00eb"]),
                "score": pa.array([None], pa.float64()),
            }
        ),
    )
    yield "300 rows", pa.record_batch({"x": pa.array([at % 7 for at in range(300)], pa.int16())})


def _columns():
    low, high = -(1 << 63), (1 << 63) - 1
    yield "null", pa.null(), [None, None]
    yield "bool", pa.bool_(), [True, False, None]
    yield "int8", pa.int8(), [-128, 127, 0, None]
    yield "uint8", pa.uint8(), [0, 255, None]
    yield "int16", pa.int16(), [-(1 << 15), 1, None]
    yield "uint16", pa.uint16(), [(1 << 16) - 1, None]
    yield "int32", pa.int32(), [-(1 << 31), 1, None]
    yield "uint32", pa.uint32(), [(1 << 32) - 1, None]
    yield "int64", pa.int64(), [low, high, None]
    yield "uint64", pa.uint64(), [(1 << 64) - 1, 0, None]
    for name in ("decimal32", "decimal64", "decimal128", "decimal256"):
        arrow = getattr(pa, name)(9, 2)
        yield name, arrow, [Decimal("1234567.89"), Decimal("-0.01"), Decimal(0), None]
    yield "decimal, negative scale", pa.decimal128(5, -2), [Decimal("12300"), None]
    yield "decimal, scale 0", pa.decimal128(5, 0), [Decimal("-7"), None]
    strings = ["", "a", "\u00e9", "e\u0301", "\U0001f512", "x" * 200, None]
    for name in ("string", "large_string", "string_view"):
        yield name, getattr(pa, name)(), strings
    blobs = [b"", b"\x00", b"\xff\xfe", bytes(100), None]
    for name in ("binary", "large_binary", "binary_view"):
        yield name, getattr(pa, name)(), blobs
    yield "fixed-size binary", pa.binary(3), [b"abc", None, b"\x00\x00\x00"]
    for unit in ("s", "ms", "us", "ns"):
        yield f"timestamp {unit}", pa.timestamp(unit), [0, -1, 1, low, high, None]
        yield f"timestamp {unit} with zone", pa.timestamp(unit, "Europe/Paris"), [0, -1, high, None]
        yield f"duration {unit}", pa.duration(unit), [0, -1, low, high, None]
    yield "date32", pa.date32(), [0, -1, (1 << 31) - 1, None]
    yield "date64", pa.date64(), [0, -86_400_000, 86_400_000 * 20_000, None]
    yield "time32 s", pa.time32("s"), [0, 86_399, None]
    yield "time32 ms", pa.time32("ms"), [0, 86_399_999, None]
    yield "time64 us", pa.time64("us"), [1, 86_399_999_999, None]
    yield "time64 ns", pa.time64("ns"), [1, 86_399_999_999_999, None]
    months = pa.MonthDayNano([1, -2, 3]), pa.MonthDayNano([0, 0, low]), None
    yield "interval", pa.month_day_nano_interval(), list(months)
    lists = [[1, None, 3], [], None, [0]]
    for name in ("list_", "large_list", "list_view", "large_list_view"):
        yield name.rstrip("_"), getattr(pa, name)(pa.int32()), lists
    yield "fixed-size list", pa.list_(pa.float32(), 2), [[1.0, -0.0], None, [None, 2.5]]
    yield "list of lists", pa.list_(pa.list_(pa.string())), [[["a"], []], [], [None, ["b", None]]]
    pair = pa.struct([("a", pa.int8()), ("b", pa.string())])
    yield "struct", pair, [{"a": 1, "b": "x"}, None, {"a": None, "b": None}]
    yield "struct without children", pa.struct([]), [{}, None]
    yield "list of structs", pa.list_(pair), [[{"a": 1, "b": "x"}, None], [], None]
    counts = pa.map_(pa.string(), pa.int64())
    yield "map", counts, [[("b", 1), ("a", 2), ("ab", None)], [], None, [("a", 2), ("a", 1)]]


def _float_bits(width):
    """Zero of both signs, one, infinities, the quiet, a signalling and a negative NaN, null."""
    exponent = {16: 5, 32: 8, 64: 11}[width]
    infinity = ((1 << exponent) - 1) << (width - 1 - exponent)
    sign = 1 << (width - 1)
    bits = [
        0,
        sign,
        infinity,
        infinity | sign,
        infinity + 1,
        sign | (infinity + 1),
        1,
        sign - 1,
        None,
    ]
    unsigned = pa.array(bits, getattr(pa, f"uint{width}")())
    return unsigned.view(getattr(pa, f"float{width}")())


def vector(name, batch):
    schema = schema_of(batch.schema)
    shown = [reveal(batch, row, schema, KEY) for row in range(batch.num_rows)]
    tree = RecordTree()
    tree.push(plain_leaves(batch, schema, KEY))
    out = {
        "name": name,
        "arrow": [str(each) for each in batch.schema.types],
        "schema": schema_json(schema),
        "schema_hash": schema.digest,
        "rows": rows_of(batch),
        "root": tree.root,
        "version_root": version_root([FileEntry("d/\u00fc.parquet", batch.num_rows, tree.root)]),
    }
    if batch.num_rows < 100:
        out["fields"] = [each.fields.hex() for each in shown]
        out["nonces"] = [each.nonce.hex() for each in shown]
        out["leaves"] = [each.leaf.hex() for each in shown]
    return out


def write():
    vectors = [vector(name, batch) for name, batch in cases()]
    lines = ",\n".join(json.dumps(each) for each in vectors)
    head = json.dumps({**ABOUT, "record_key": KEY.hex(), "path": "d/\u00fc.parquet"})
    VECTORS.write_text(head[:-1] + ', "vectors": [\n' + lines + "\n]}\n")


if __name__ == "__main__":
    write()
