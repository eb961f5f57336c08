"""The encrypted store beside a plain file: write, read, and random reads of 64 KiB.

A write is file to encrypted segments: read, wrap a key, encrypt, fsync. Putting adds what a
plain copy and Tink do not do either: the file's SHA-256 and the keyed names of its slices.
Figures are GB (10^9) per CPU second, medians; the files are new and random in each run.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
import shutil
import statistics
import tempfile
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.store_local import SLICE_BYTES, LocalStore
from sealwright.app.bench import Row, cpu_s, measure
from sealwright.core.ports import StoredFile

SEED = 2
SCOPE = "data:bench"
_MIB = 1 << 20
_PIECE = 64 << 10


def rows(quick: bool) -> list[Row]:
    """``quick`` writes 128 MiB and reads 4,000 ranges; else 512 MiB and 20,000."""
    size, reads, repeat = (128 * _MIB, 4_000, 3) if quick else (512 * _MIB, 20_000, 5)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        kms, _ = FileKms.initialize(home / "state", None)
        return _Bench(home, kms, size, reads, repeat).rows()


class _Bench:
    def __init__(self, home: Path, kms: FileKms, size: int, reads: int, repeat: int) -> None:
        self.home = home
        self.store = LocalStore(home / "store", kms)
        self.size = size
        self.reads = reads
        self.repeat = repeat
        self.plain = home / "plain"
        self.buffer = memoryview(bytearray(SLICE_BYTES))
        self.content = random.Random(SEED).randbytes(_MIB)  # noqa: S311 - noise, not a secret
        with self.plain.open("wb") as sink:
            for number in range(size // _MIB):
                sink.write(number.to_bytes(8, "big") + self.content[8:])

    def rows(self) -> list[Row]:
        file = self.put()
        return [*self.writing(), self.reading(file), self.ranging(file), self.again(file)]

    def put(self) -> StoredFile:
        with self.plain.open("rb", buffering=0) as source:
            return self.store.put(SCOPE, source)

    def writing(self) -> list[Row]:
        def fresh() -> None:
            shutil.rmtree(self.home / "store")

        yardsticks = {
            "plain copy and fsync": self.rate(self.copy, self.drop_copy),
        }
        tink = _tink(self.content)
        if tink is not None:
            yardsticks["Tink AES256-GCM-HKDF-1MB, in memory"] = tink[0]
        written = self.rate(self.write, fresh)
        put = self.rate(self.put, fresh)
        hashing = {"sha256 of the file, alone": self.rate(self.hash), **yardsticks}
        return [
            measure("write", written, "GB/CPU-s", target=1.0, yardsticks=yardsticks),
            measure("put: hash, name and write", put, "GB/CPU-s", yardsticks=hashing),
        ]

    def write(self) -> None:
        buffer = self.buffer
        with self.plain.open("rb", buffering=0) as source:
            for number in range(-(-self.size // SLICE_BYTES)):
                count = source.readinto(buffer)
                self.store.write_segment(SCOPE, f"{number:064x}", buffer[:count])

    def reading(self, file: StoredFile) -> Row:
        yardsticks = {"plain read": self.rate(self.read_plain)}
        tink = _tink(self.content)
        if tink is not None:
            yardsticks["Tink AES256-GCM-HKDF-1MB, in memory"] = tink[1]
        value = self.rate(lambda: self.read(file))
        return measure("read and decrypt", value, "GB/CPU-s", target=2.0, yardsticks=yardsticks)

    def ranging(self, file: StoredFile) -> Row:
        source = random.Random(SEED)  # noqa: S311 - offsets, not a secret
        offsets = [source.randrange(self.size - _PIECE) for _ in range(self.reads)]
        readable = self.store.open(SCOPE, file)
        fd = os.open(self.plain, os.O_RDONLY)

        def ours() -> None:
            for offset in offsets:
                readable.pread(offset, _PIECE)

        def plain() -> None:
            for offset in offsets:
                os.pread(fd, _PIECE, offset)

        try:
            value = self.reads / cpu_s(ours, self.repeat)
            yardstick = self.reads / cpu_s(plain, self.repeat)
        finally:
            os.close(fd)
        what = "random reads of 64 KiB, at any offset"
        return measure(
            what, value, "reads/CPU-s", target=20_000, yardsticks={"plain pread": yardstick}
        )

    def again(self, file: StoredFile) -> Row:
        """Equal content: hashed, found, and what is held is authenticated."""
        held = len(self.store.segments(SCOPE))
        value = self.rate(self.put)
        if len(self.store.segments(SCOPE)) != held or held != len(file.segments):
            raise AssertionError("equal content was stored twice")
        return measure("put what is there already", value, "GB/CPU-s")

    def rate(self, work: Callable[[], object], before: Callable[[], None] | None = None) -> float:
        seconds = []
        for _ in range(self.repeat):
            if before is not None:
                before()
            seconds.append(cpu_s(work, 1))
        return self.size / statistics.median(seconds) / 1e9

    def read(self, file: StoredFile) -> None:
        readable = self.store.open(SCOPE, file)
        out = memoryview(bytearray(_MIB))
        for offset in range(0, self.size, _MIB):
            readable.pread_into(offset, out)

    def read_plain(self) -> None:
        buffer = bytearray(_MIB)
        with self.plain.open("rb", buffering=0) as source:
            while source.readinto(buffer):
                continue

    def copy(self) -> None:
        buffer = memoryview(bytearray(_MIB))
        with self.plain.open("rb", buffering=0) as source, self._copied.open("wb", 0) as sink:
            while count := source.readinto(buffer):
                sink.write(buffer[:count])
            os.fsync(sink.fileno())

    def drop_copy(self) -> None:
        self._copied.unlink(missing_ok=True)

    @property
    def _copied(self) -> Path:
        return self.home / "copy"

    def hash(self) -> None:
        with self.plain.open("rb", buffering=0) as source:
            hashlib.file_digest(source, "sha256")


def _tink(content: bytes) -> tuple[float, float] | None:
    """(encrypt, decrypt) in GB per CPU second, or None where Tink is not installed."""
    if find_spec("tink") is None:
        return None
    tink: Any = import_module("tink")
    streaming: Any = import_module("tink.streaming_aead")
    streaming.register()
    template = streaming.streaming_aead_key_templates.AES256_GCM_HKDF_1MB
    primitive = tink.new_keyset_handle(template).primitive(streaming.StreamingAead)
    whole = content * 64

    class Sink(io.BytesIO):
        def close(self) -> None:
            self.kept = self.getvalue()
            super().close()

    sink = Sink()

    def encrypt() -> None:
        with primitive.new_encrypting_stream(sink, b"") as stream:
            stream.write(whole)

    def decrypt() -> None:
        with primitive.new_decrypting_stream(io.BytesIO(sink.kept), b"") as stream:
            stream.read()

    size = len(whole) / 1e9
    return size / cpu_s(encrypt, 1), size / cpu_s(decrypt, 1)
