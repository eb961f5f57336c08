"""record-hash v1 written from docs/spec/record-hash-v1.md and from nothing else.

Nothing of the product is imported and speed is no aim: every rule of the page is here once, in the
page's order. Values are spelt as in record-hash-v1.vectors.json.
"""

import base64
import hashlib
import hmac
import re
import struct

U32_MAX = 2**32 - 1
CODES = {
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
# Of each float kind: bits in all, bits of the fraction, the one NaN.
FLOATS = {"float16": (16, 10, "7e00"), "float32": (32, 23, "7fc00000")}
FLOATS["float64"] = (64, 52, "7ff8000000000000")
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class Refused(ValueError):
    """The page says this is refused."""


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def u32(number):
    if not 0 <= number <= U32_MAX:
        raise Refused(f"{number} is no u32")
    return struct.pack(">I", number)


def label(text):
    return text.encode("ascii").ljust(31, b"\0")


# Schema


def fields_bytes(columns):
    names = [column["name"] for column in columns]
    if len(set(names)) != len(names):
        raise Refused("two columns of one name")
    out = u32(len(columns))
    for column in columns:
        name = column["name"].encode("utf-8")
        out += u32(len(name)) + name + type_bytes(column["type"])
    return out


def type_bytes(kind):
    name, children = kind["kind"], kind.get("children", [])
    out = bytes([CODES[name]])
    if name == "struct":
        return out + fields_bytes(children)
    if len(children) != {"list": 1, "map": 2}.get(name, 0):
        raise Refused(f"a {name} of {len(children)} children")
    if name == "decimal":
        return out + struct.pack(">i", kind.get("scale", 0))
    return out + b"".join(type_bytes(child["type"]) for child in children)


def schema_hash(schema):
    return sha(b"sealwright record-schema v1\0", fields_bytes(schema["fields"]))


# Values


def encode(kind, value):
    """A field: absent, or present and its value."""
    if value is None:
        return b"\x00"
    return b"\x01" + encode_present(kind, value)


def encode_present(kind, value):
    name = kind["kind"]
    if name in FLOATS:
        return encode_float(name, value)
    if name in FLAT:
        return FLAT[name](value)
    if name == "list":
        (element,) = kind["children"]
        return u32(len(value)) + b"".join(encode(element["type"], one) for one in value)
    if name == "struct":
        pairs = zip(kind.get("children", []), value, strict=True)
        return b"".join(encode(child["type"], one) for child, one in pairs)
    if name == "map":
        key_of, value_of = (child["type"] for child in kind["children"])
        return u32(len(value)) + b"".join(
            sorted(encode(key_of, key) + encode(value_of, one) for key, one in value)
        )
    raise Refused(f"no value has kind {name}")  # a null column holds only nulls


def encode_moment(value):
    count, unit = value
    seconds, rest = divmod(int(count), PER_SECOND[unit])  # Python rounds down
    return struct.pack(">qI", seconds, rest * (10**9 // PER_SECOND[unit]))


def encode_float(name, hex_bits):
    bits_in_all, fraction, nan = FLOATS[name]
    bits = int(hex_bits, 16)
    magnitude = bits & ((1 << (bits_in_all - 1)) - 1)
    infinity = ((1 << (bits_in_all - 1 - fraction)) - 1) << fraction
    if magnitude > infinity:
        return bytes.fromhex(nan)
    if magnitude == 0:
        bits = 0
    return bits.to_bytes(bits_in_all // 8, "big")


def sized(data):
    return u32(len(data)) + data


FLAT = {
    "bool": lambda value: b"\x01" if value else b"\x00",
    "int": lambda value: struct.pack(">q", int(value)),
    "uint64": lambda value: struct.pack(">Q", int(value)),
    "decimal": lambda value: int(value).to_bytes(32, "big", signed=True),
    "string": lambda value: sized(value.encode("utf-8")),
    "binary": lambda value: sized(bytes.fromhex(value)),
    "timestamp": encode_moment,
    "timestamp-utc": encode_moment,
    "date": lambda value: struct.pack(">q", int(value)),
    "time": encode_moment,
    "duration": encode_moment,
    "interval": lambda value: struct.pack(">iiq", *map(int, value)),
}


def row_fields(schema, row):
    pairs = zip(schema["fields"], row, strict=True)
    return b"".join(encode(column["type"], value) for column, value in pairs)


# Leaf


def nonce(record_key, of_schema, fields):
    if len(record_key) != 32:
        raise Refused("a record key is 32 bytes")
    nonce_key = mac(record_key, b"sealwright record-nonce v1\0", of_schema)
    return mac(nonce_key, fields)[:16]


def preimage(schema, row, record_key):
    of_schema, fields = schema_hash(schema), row_fields(schema, row)
    head = b"\0" + label("sealwright record-hash v1") + of_schema
    return head + nonce(record_key, of_schema, fields) + fields


def leaf(schema, row, record_key):
    return sha(preimage(schema, row, record_key))


# Trees


def node(left, right):
    return sha(b"\x01", left, right)


def split(count):
    """The largest power of two below count: where RFC 6962 parts a tree."""
    return 1 << ((count - 1).bit_length() - 1)


def tree_root(leaves):
    if not leaves:
        return sha()
    if len(leaves) == 1:
        return leaves[0]
    at = split(len(leaves))
    return node(tree_root(leaves[:at]), tree_root(leaves[at:]))


def inclusion_path(leaves, number):
    """RFC 6962, section 2.1.1: from the leaf's end to the root's."""
    if len(leaves) == 1:
        return []
    at = split(len(leaves))
    if number < at:
        return [*inclusion_path(leaves[:at], number), tree_root(leaves[at:])]
    return [*inclusion_path(leaves[at:], number - at), tree_root(leaves[:at])]


def root_from_path(start, number, count, path):
    """The root that a path leads to, or None when the path does not fit the place in the tree."""
    if not 0 <= number < count:
        return None
    if count == 1:
        return start if not path else None
    if not path:
        return None
    at = split(count)
    if number < at:
        below = root_from_path(start, number, at, path[:-1])
        return below and node(below, path[-1])
    below = root_from_path(start, number - at, count - at, path[:-1])
    return below and node(path[-1], below)


def file_leaf(path, rows, root):
    head = b"\0" + label("sealwright record-file v1")
    return sha(head, struct.pack(">Q", rows), root, path.encode("utf-8"))


def version_root(files):
    """Of (path, rows, file root) triples."""
    if len({path for path, _, _ in files}) != len(files):
        raise Refused("two files of one path")
    ordered = sorted(files, key=lambda one: one[0].encode("utf-8"))
    return tree_root([file_leaf(*one) for one in ordered])


# Proofs

PROOF = {"format", "leaf", "row", "rows", "row_path", "path", "root", "file", "files", "file_path"}


def unpack_hash(text):
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise Refused("a hash is 64 lower-case hex digits")
    return bytes.fromhex(text)


def unpack_path(text):
    data = base64.b64decode(text, validate=True)
    if len(data) % 32:
        raise Refused("a path is not whole hashes")
    return [data[at : at + 32] for at in range(0, len(data), 32)]


def proof_holds(proof, signed_root):
    """Whether a record proof leads from its leaf to the version root (hex) that was signed."""
    try:
        if set(proof) != PROOF or proof["format"] != "sealwright record-proof v1":
            return False
        start, root = unpack_hash(proof["leaf"]), unpack_hash(proof["root"])
        row_path, file_path = unpack_path(proof["row_path"]), unpack_path(proof["file_path"])
        if root_from_path(start, proof["row"], proof["rows"], row_path) != root:
            return False
        start = file_leaf(proof["path"], proof["rows"], root)
        top = root_from_path(start, proof["file"], proof["files"], file_path)
        return top == unpack_hash(signed_root)
    except (ValueError, struct.error):
        return False


def reveal_holds(reveal, of_leaf):
    """Whether a reveal is of the leaf (hex), and of the schema it names."""
    try:
        shown = base64.b64decode(reveal["preimage"], validate=True)
        head = b"\0" + label("sealwright record-hash v1") + schema_hash(reveal["schema"])
    except (ValueError, struct.error):
        return False
    return shown.startswith(head) and sha(shown) == unpack_hash(of_leaf)
