"""Record hashing v1: a row in, the RFC 6962 leaf hash of its canonical bytes out.

::

    leaf = SHA-256( 0x00 || label (31) || schema hash (32) || nonce (16) || fields )

The nonce is derived from a key that stays inside, the schema and the row: equal rows of a
dataset have equal leaves, and nobody outside can test a guess. Showing one record's preimage
lets anybody recompute its leaf without the key. Source: docs/spec/record-hash-v1.md.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator

import msgspec
import pyarrow as pa

from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, VerifyError
from sealwright.intake import encode, kernel
from sealwright.intake.schema import RecordSchema, schema_of

LEAF_PREFIX = b"\x00" + b"sealwright record-hash v1".ljust(31, b"\x00")
NONCE_LABEL = b"sealwright record-nonce v1\x00"
NONCE_BYTES = 16
HEAD_BYTES = len(LEAF_PREFIX) + 32
LEAF_BYTES = 32
_STEP_BYTES = 32 << 20


class Preimage(msgspec.Struct, frozen=True):
    """Everything one leaf is the hash of. Secret until its owner decides to show the record."""

    data: bytes

    def __post_init__(self) -> None:
        if len(self.data) < HEAD_BYTES + NONCE_BYTES or not self.data.startswith(LEAF_PREFIX):
            raise VerifyError(
                "these bytes are not a record's preimage",
                why="a preimage starts with the record-hash v1 label, schema hash and nonce",
                rule="record.preimage-malformed",
            )

    @property
    def schema(self) -> Digest:
        """The digest of the record's schema."""
        return self.data[len(LEAF_PREFIX) : HEAD_BYTES].hex()

    @property
    def nonce(self) -> bytes:
        """The record's keyed nonce, 16 bytes."""
        return self.data[HEAD_BYTES : HEAD_BYTES + NONCE_BYTES]

    @property
    def fields(self) -> bytes:
        """The encoded fields."""
        return self.data[HEAD_BYTES + NONCE_BYTES :]

    @property
    def leaf(self) -> bytes:
        """The leaf hash, 32 bytes."""
        return hashlib.sha256(self.data).digest()


def leaves(batch: pa.RecordBatch, schema: RecordSchema, key: bytes) -> bytes:
    """The leaf hashes of a batch's rows, concatenated: ``batch.num_rows * 32`` bytes.

    ``key`` is the dataset's record key (32 bytes, from ``Kms.derive``).
    Raises: BadInput (another schema, or a value that has no encoding), naming the column.
    """
    check_schema(batch, schema)
    fast = kernel.load()
    if fast is None:
        return plain_leaves(batch, schema, key)
    return fast_leaves(batch, schema, key, fast)


def fast_leaves(
    batch: pa.RecordBatch, schema: RecordSchema, key: bytes, fast: kernel.Kernel
) -> bytes:
    """:func:`leaves` by the compiled kernel. Many threads may call it at once."""
    secret, prefix = nonce_key(schema, key), LEAF_PREFIX + schema.hash
    return b"".join(
        fast.leaves(piece, schema, secret, prefix, first) for first, piece in steps(batch)
    )


def plain_leaves(batch: pa.RecordBatch, schema: RecordSchema, key: bytes) -> bytes:
    """:func:`leaves` by pyarrow and hashlib alone."""
    _well_formed(batch)
    inner, outer = _hmac_states(nonce_key(schema, key))
    start = hashlib.sha256(LEAF_PREFIX + schema.hash)
    out = []
    for _, piece in steps(batch):
        for fields in encode.rows(piece, schema):
            within, nonce, leaf = inner.copy(), outer.copy(), start.copy()
            within.update(fields)
            nonce.update(within.digest())
            leaf.update(nonce.digest()[:NONCE_BYTES])
            leaf.update(fields)
            out.append(leaf.digest())
    return b"".join(out)


def reveal(batch: pa.RecordBatch, row: int, schema: RecordSchema, key: bytes) -> Preimage:
    """The preimage of one row's leaf. Raises: BadInput."""
    check_schema(batch, schema)
    if not 0 <= row < batch.num_rows:
        raise BadInput(f"no row {row}", why=f"rows run from 0 to {batch.num_rows - 1}")
    _well_formed(batch)
    (fields,) = encode.rows(batch.slice(row, 1), schema)
    nonce = hmac.digest(nonce_key(schema, key), fields, "sha256")[:NONCE_BYTES]
    return Preimage(LEAF_PREFIX + schema.hash + nonce + bytes(fields))


def nonce_key(schema: RecordSchema, key: bytes) -> bytes:
    """The HMAC key of one schema's nonces, 32 bytes."""
    if len(key) != 32:
        raise BadInput("a record key is 32 bytes", why=f"this one is {len(key)}")
    return hmac.digest(key, NONCE_LABEL + schema.hash, "sha256")


def _hmac_states(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """HMAC-SHA256 (RFC 2104) after its two pads: half the time of ``hmac.digest`` a row."""
    block = key.ljust(64, b"\x00")
    inner = hashlib.sha256(bytes(each ^ 0x36 for each in block))
    return inner, hashlib.sha256(bytes(each ^ 0x5C for each in block))


def check_schema(batch: pa.RecordBatch, schema: RecordSchema) -> None:
    """Raises: BadInput unless the batch's columns are the schema's."""
    found = schema_of(batch.schema)
    if found == schema:
        return
    for index, (want, have) in enumerate(zip(schema.fields, found.fields, strict=False)):
        if want != have:
            why = f"column {index} is {have.name!r} ({have.type.kind}), not {want.name!r} "
            why += f"({want.type.kind})"
            break
    else:
        why = f"{len(found.fields)} columns, not {len(schema.fields)}"
    raise BadInput("these rows are not of the schema they should have", why=why)


def _well_formed(batch: pa.RecordBatch) -> None:
    """Offsets and buffer sizes, checked before pyarrow's own kernels follow them."""
    try:
        batch.validate()
    except pa.ArrowInvalid as error:
        raise BadInput("these rows point outside their buffers", why=str(error)) from error


def steps(batch: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The batch in slices of about 32 MiB, each with its first row's number; memory stays flat."""
    count = max(1, min(1 << 16, batch.num_rows * _STEP_BYTES // max(batch.nbytes, 1)))
    for start in range(0, batch.num_rows, count):
        yield start, batch.slice(start, count)
