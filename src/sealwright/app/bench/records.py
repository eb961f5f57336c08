"""Record hashing: Parquet to version root, and the proof of one record.

Source of the targets: the project's speed table. The table is generated from a seed, six
columns of common types; every yardstick reads the same file in the same run.
"""

from __future__ import annotations

import hashlib
import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from sealwright.app.bench import Row, cpu_s, measure, wall_s
from sealwright.evidence import jcs
from sealwright.intake import kernel
from sealwright.intake.record import leaves, plain_leaves
from sealwright.intake.recordproof import RecordProof, prove, verify_record
from sealwright.intake.schema import RecordSchema, schema_of
from sealwright.intake.tree import FileEntry, RecordTree, plain_reduce, version_root

SEED = 20261123
KEY = bytes(range(32))
NAME = "train.parquet"
_ROWS = 5_000_000
_QUICK_ROWS = 200_000
_PLAIN_ROWS = 200_000
_NAIVE_ROWS = 50_000
_BATCH_ROWS = 1 << 16
_VERIFIES = 200


def rows(quick: bool) -> list[Row]:
    """``quick`` hashes 200,000 rows in place of 5,000,000."""
    count = _QUICK_ROWS if quick else _ROWS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        write_table(path, count)
        return [_hashing(path, count), *_proving(path, count)]


def write_table(path: Path, count: int) -> None:
    """``count`` rows of (int64, float64, string, timestamp, dictionary string, bool), zstd."""
    source = random.Random(SEED)  # noqa: S311 - a table of noise, not a secret
    with pq.ParquetWriter(path, _block(source, 0, 0).schema, compression="zstd") as writer:
        for start in range(0, count, 500_000):
            writer.write_table(_block(source, start, min(500_000, count - start)))


def _block(source: random.Random, start: int, count: int) -> pa.Table:
    cities = ["Aarhus", "Bergen", "Cork", "Delft", "Essen", "Faro", "Graz", "Hilo"]
    noise = source.randbytes(count * 16).hex()
    floats = [source.random() for _ in range(count)]
    columns = {
        "id": pa.array(range(start, start + count), pa.int64()),
        "amount": pa.array(floats, pa.float64()),
        "account": pa.array([noise[at * 32 : at * 32 + 32] for at in range(count)], pa.string()),
        "seen": pa.array(
            [1_700_000_000_000_000 + int(each * 1e13) for each in floats], pa.timestamp("us")
        ),
        "city": pa.DictionaryArray.from_arrays(
            pa.array([at & 7 for at in source.randbytes(count)], pa.int32()), cities
        ),
        "fraud": pa.array([each < 0.01 for each in floats], pa.bool_()),
    }
    return pa.table(columns)


def _batches(path: Path, count: int) -> Iterator[pa.RecordBatch]:
    """The first ``count`` rows of the file."""
    left = count
    for batch in pq.ParquetFile(path).iter_batches(_BATCH_ROWS, use_threads=False):
        yield batch.slice(0, left)
        left -= batch.num_rows
        if left <= 0:
            return


def _schema(path: Path) -> RecordSchema:
    return schema_of(pq.read_schema(path))


def _root(path: Path, count: int) -> str:
    schema, tree = _schema(path), RecordTree()
    for batch in _batches(path, count):
        tree.push(leaves(batch, schema, KEY))
    return version_root([FileEntry(NAME, tree.rows, tree.root)])


def _plain_root(path: Path, count: int) -> bytes:
    """Leaves and tree blocks by pyarrow and hashlib alone."""
    schema = _schema(path)
    done = b"".join(plain_leaves(batch, schema, KEY) for batch in _batches(path, count))
    return plain_reduce(done[: len(done) // 8192 * 8192])


def _naive(path: Path, count: int) -> str:
    """What most teams would write: a JSON line a row, hashed; no tree."""
    total = hashlib.sha256()
    for batch in _batches(path, count):
        for row in batch.to_pylist():
            line = json.dumps(row, sort_keys=True, default=str).encode()
            total.update(hashlib.sha256(line).digest())
    return total.hexdigest()


def _hashing(path: Path, count: int) -> Row:
    plain, naive = min(count, _PLAIN_ROWS), min(count, _NAIVE_ROWS)
    fast = kernel.load()
    yardsticks = {
        "naive JSON + sha256 loop, no tree": _millions(naive, cpu_s(lambda: _naive(path, naive))),
        "pyarrow + hashlib": _millions(plain, cpu_s(lambda: _plain_root(path, plain))),
        "reading the Parquet file alone": _millions(
            count, cpu_s(lambda: sum(each.num_rows for each in _batches(path, count)))
        ),
    }
    engine = fast.engine if fast else "plain path: the kernel was not built"
    return measure(
        f"{count:,} rows x 6 columns, Parquet to version root ({engine})",
        _millions(count, cpu_s(lambda: _root(path, count))),
        "M rows/CPU-s",
        target=0.9,
        yardsticks=yardsticks,
    )


def _millions(count: int, seconds: float) -> float:
    return count / seconds / 1e6


def _proving(path: Path, count: int) -> list[Row]:
    schema, tree = _schema(path), RecordTree()
    for batch in _batches(path, count):
        tree.push(leaves(batch, schema, KEY))
    files = (FileEntry(NAME, tree.rows, tree.root),)
    version, file = version_root(files), pq.ParquetFile(path)

    def leaves_at(start: int, end: int) -> bytes:
        return _leaves_at(file, schema, start, end)

    def once() -> RecordProof:
        return prove(files, NAME, count * 2 // 3, tree.stems, leaves_at)

    def check() -> None:
        for _ in range(_VERIFIES):
            verify_record(proof, version)

    proof = once()
    size = len(jcs.canonical(msgspec.to_builtins(proof)))
    return [
        measure("proof of one record", size, "bytes", target=1536, better="lower"),
        measure("prove one record, reading its row group", wall_s(once) * 1e3, "ms"),
        measure(
            "verify one record",
            wall_s(check) / _VERIFIES * 1e3,
            "ms",
            target=1.0,
            better="lower",
        ),
    ]


def _leaves_at(file: pq.ParquetFile, schema: RecordSchema, start: int, end: int) -> bytes:
    """Rows ``[start, end)`` hashed again, from the row groups that hold them."""
    out, base = [], 0
    for group in range(file.metadata.num_row_groups):
        length = file.metadata.row_group(group).num_rows
        first, last = max(start - base, 0), min(end - base, length)
        if first < last:
            table = file.read_row_group(group).slice(first, last - first)
            out += [leaves(batch, schema, KEY) for batch in table.to_batches()]
        base += length
    return b"".join(out)
