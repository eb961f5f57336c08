"""record-hash v1, written from docs/spec/record-hash-v1.md alone; imports nothing of Sealwright.

Values arrive as the page's test vectors spell them (see ``values`` there), so nothing that
Arrow or the package under test does to a value can leak in.
"""

import hashlib
import hmac
import struct

CODES = (
    "null bool int uint64 float16 float32 float64 decimal string binary timestamp timestamp-utc "
    "date time duration interval list struct map"
).split()
NAN = {"float16": "7e00", "float32": "7fc00000", "float64": "7ff8000000000000"}
EXPONENT_BITS = {"float16": 5, "float32": 8, "float64": 11}
SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def sha(data):
    return hashlib.sha256(data).digest()


def label(text):
    return text.encode("ascii") + bytes(31 - len(text))


def type_bytes(kind):
    name = kind["kind"]
    out = bytes([CODES.index(name)])
    children = kind.get("children", [])
    if name == "decimal":
        out += struct.pack(">i", kind.get("scale", 0))
    elif name == "struct":
        out += columns_bytes(children)
    elif name in ("list", "map"):
        for child in children:
            out += type_bytes(child["type"])
    return out


def columns_bytes(fields):
    out = struct.pack(">I", len(fields))
    for field in fields:
        name = field["name"].encode("utf-8")
        out += struct.pack(">I", len(name)) + name + type_bytes(field["type"])
    return out


def schema_hash(schema):
    return sha(b"sealwright record-schema v1\x00" + columns_bytes(schema["fields"]))


def sized(data):
    return struct.pack(">I", len(data)) + data


def float_bytes(name, text):
    data = bytes.fromhex(text)
    bits = "".join(f"{byte:08b}" for byte in data)
    exponent = bits[1 : 1 + EXPONENT_BITS[name]]
    fraction = bits[1 + EXPONENT_BITS[name] :]
    if "0" not in exponent and "1" in fraction:
        return bytes.fromhex(NAN[name])
    if "1" not in bits[1:]:
        return bytes(len(data))
    return data


def value_bytes(kind, value):  # noqa: C901 - one branch a row of the page's table
    name = kind["kind"]
    children = kind.get("children", [])
    if name == "bool":
        return b"\x01" if value else b"\x00"
    if name in ("int", "date"):
        return struct.pack(">q", int(value))
    if name == "uint64":
        return struct.pack(">Q", int(value))
    if name in NAN:
        return float_bytes(name, value)
    if name == "decimal":
        return int(value).to_bytes(32, "big", signed=True)
    if name == "string":
        return sized(value.encode("utf-8"))
    if name == "binary":
        return sized(bytes.fromhex(value))
    if name in ("timestamp", "timestamp-utc", "time", "duration"):
        count, unit = value
        nanoseconds = int(count) * (10**9 // SECOND[unit])
        return struct.pack(">qI", nanoseconds // 10**9, nanoseconds % 10**9)
    if name == "interval":
        return struct.pack(">iiq", *map(int, value))
    if name == "list":
        return struct.pack(">I", len(value)) + b"".join(
            field_bytes(children[0]["type"], each) for each in value
        )
    if name == "struct":
        return b"".join(
            field_bytes(child["type"], each) for child, each in zip(children, value, strict=True)
        )
    if name == "map":
        key, item = children[0]["type"], children[1]["type"]
        entries = [field_bytes(key, one) + field_bytes(item, two) for one, two in value]
        return struct.pack(">I", len(entries)) + b"".join(sorted(entries))
    raise ValueError(name)


def field_bytes(kind, value):
    if value is None or kind["kind"] == "null":
        return b"\x00"
    return b"\x01" + value_bytes(kind, value)


def row_fields(schema, row):
    pairs = zip(schema["fields"], row, strict=True)
    return b"".join(field_bytes(field["type"], value) for field, value in pairs)


def preimage(schema, row, record_key):
    name = schema_hash(schema)
    label_of_nonce = b"sealwright record-nonce v1\x00"
    nonce_key = hmac.new(record_key, label_of_nonce + name, hashlib.sha256).digest()
    fields = row_fields(schema, row)
    nonce = hmac.new(nonce_key, fields, hashlib.sha256).digest()[:16]
    return b"\x00" + label("sealwright record-hash v1") + name + nonce + fields


def leaf(schema, row, record_key):
    return sha(preimage(schema, row, record_key))


def tree_root(leaves):
    """The recursive definition of RFC 6962, section 2.1."""
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha(b"\x01" + tree_root(leaves[:split]) + tree_root(leaves[split:]))


def version_root(files):
    """``files`` are (path, rows, 32-byte root)."""
    head = b"\x00" + label("sealwright record-file v1")
    ordered = sorted(files, key=lambda each: each[0].encode("utf-8"))
    return tree_root(
        [sha(head + struct.pack(">Q", rows) + root + path.encode()) for path, rows, root in ordered]
    )
