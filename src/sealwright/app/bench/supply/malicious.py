"""Malicious model files from a seed: every payload bare and in every container, and the tricks
that containers and other formats play by themselves. ``(category, name, bytes)``; none is loaded.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator

from sealwright.app.bench.supply.payloads import SYSTEM, Payload, framed, payloads, stacked

WRAPS_PER_PAYLOAD = 3


def files(seed: int, quick: bool = False) -> Iterator[Payload]:
    """At least 1,500 files (some 300 where ``quick``), the same for the same seed."""
    chosen = random.Random(seed)  # noqa: S311  the same set for the same seed
    for index, (category, name, data) in enumerate(payloads()):
        if quick and category == 1 and index % 9:
            continue
        yield category, f"{name}.pkl", data
        for wrap in chosen.sample(sorted(WRAPS), 1 if quick else WRAPS_PER_PAYLOAD):
            yield category, f"{name}-{wrap}{SUFFIXES[wrap]}", WRAPS[wrap](data)
    yield from ((12, f"zip-{name}", data) for name, data in zip_tricks())
    yield from ((13, f"torch-{name}", data) for name, data in torch_tricks())
    for wrap, make in WRAPS.items():
        yield 14, f"nested-{wrap}", make(SYSTEM)
        for outer, again in sorted(WRAPS.items()):
            if not quick and outer in ("zip", "gzip", "tar", "npz"):
                yield 14, f"nested-{outer}-{wrap}", again(make(SYSTEM))
    yield from ((17, name, data) for name, data in other_formats())


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A plain zip file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data, method)
    return out.getvalue()


def torch_zip(data: bytes) -> bytes:
    """What torch.save writes, around another ``data.pkl``."""
    members = {"data.pkl": data, "byteorder": b"little", "version": b"3\n"}
    return zipped({f"archive/{name}": body for name, body in members.items()})


def torch_legacy(data: bytes) -> bytes:
    """The older form: five pickles."""
    magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    rest = (pickle.dumps(1001, 2), pickle.dumps({"little_endian": True}, 2), data)
    return b"".join((magic, *rest, pickle.dumps([], 2)))


def npy(data: bytes) -> bytes:
    """An array of objects, which is a pickle after its header."""
    header = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode() + data


def joblib_array(data: bytes) -> bytes:
    """A joblib file whose array of objects is another pickle."""
    dtype = stacked("numpy", "dtype") + b"\x8c\x02O8\x89\x88\x87R"
    fields = b"\x8c\x08subclass" + stacked("numpy", "ndarray") + b"\x8c\x05shapeK\x01\x85"
    fields += b"\x8c\x05order\x8c\x01C\x8c\x05dtype" + dtype + b"\x8c\x0aallow_mmap\x89"
    wrapper = stacked("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81}(" + fields + b"ub"
    return framed(wrapper) + data + b"."


def tarred(data: bytes) -> bytes:
    """A tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("model/weights.bin")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


WRAPS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zlib": zlib.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "zip": lambda data: zipped({"readme.txt": b"hello", "model.bin": data}),
    "deflated": lambda data: zipped({"model.bin": data}, zipfile.ZIP_DEFLATED),
    "torch": torch_zip,
    "legacy": torch_legacy,
    "npy": npy,
    "npz": lambda data: zipped({"a.npy": npy(data)}),
    "joblib": joblib_array,
    "tar": tarred,
    "tar-gz": lambda data: gzip.compress(tarred(data), mtime=0),
}
"""Container → how it is put around a pickle."""

SUFFIXES = {
    **{"gzip": ".pkl.gz", "zlib": ".joblib", "bz2": ".pkl.bz2", "xz": ".pkl.xz", "lzma": ".pkl"},
    **{"zip": ".zip", "deflated": ".zip", "torch": ".pt", "legacy": ".pt", "npy": ".npy"},
    **{"npz": ".npz", "joblib": ".joblib", "tar": ".tar", "tar-gz": ".tar.gz"},
}
"""Container → what such a file is called: other scanners go by the name."""


def zip_tricks() -> Iterator[tuple[str, bytes]]:
    """Zip files that one reader takes for another."""
    plain, evil = {"a/data.pkl": pickle.dumps(1), "a/version": b"3\n"}, {"a/data.pkl": SYSTEM}
    good = zipped(plain)
    yield "duplicate", zipped({**plain, "A/DATA.PKL": SYSTEM})
    for name in ("../up.pkl", "/abs.pkl", "a\\b.pkl", "c:/x.pkl", "a//b.pkl", "a/./b", "a\0b"):
        yield (
            f"name-{name!r}",
            zipped({"ok.txt": b"x", "QQQQQQ": b"y"}).replace(
                b"QQQQQQ", (name.encode() + b"______")[:6]
            ),
        )
    yield "prefix", SYSTEM + good
    yield "suffix", good + SYSTEM
    yield "two", good + zipped(evil)
    yield "comment", good[:-2] + struct.pack("<H", len(SYSTEM)) + SYSTEM
    yield "crc", good.replace(pickle.dumps(1), pickle.dumps(2), 1)
    central = good.index(b"PK\x01\x02")
    for bit in (0x1, 0x20, 0x40, 0x2000, 0x8):
        flagged = bytearray(good)
        flagged[central + 8 : central + 10] = struct.pack("<H", bit)
        yield f"flag-{bit:x}-central", bytes(flagged)
        flagged[6:8] = struct.pack("<H", bit)
        yield f"flag-{bit:x}-both", bytes(flagged)
    for at, size, what in ((8, 2, "method"), (18, 4, "packed"), (22, 4, "size"), (14, 4, "crc")):
        lying = bytearray(good)
        lying[at : at + size] = (int.from_bytes(lying[at : at + size], "little") ^ 1).to_bytes(
            size, "little"
        )
        yield f"local-{what}", bytes(lying)
    renamed = good.replace(b"a/data.pkl", b"a/evil.pkl", 1)
    yield "local-name", renamed
    yield "central-name", good[:central] + good[central:].replace(b"a/data.pkl", b"a/evil.pkl", 1)
    yield "cut", good[:-30]
    yield "no-directory", good[:central]
    yield "bomb", zipped({"a.npy": bytes(80 << 20)}, zipfile.ZIP_DEFLATED)
    deep = SYSTEM
    for _ in range(8):
        deep = zipped({"x": deep})
    yield "deep", deep
    yield "seven", b"7z\xbc\xaf\x27\x1c\0\4" + SYSTEM
    yield "rar", b"Rar!\x1a\x07\0" + SYSTEM
    yield "zstd", b"\x28\xb5\x2f\xfd" + SYSTEM
    yield "bzip-method", zipped({"a.pkl": SYSTEM}, zipfile.ZIP_BZIP2)
    yield "lzma-method", zipped({"a.pkl": SYSTEM}, zipfile.ZIP_LZMA)
    count = good.rindex(b"PK\x05\x06") + 10
    yield "count", good[:count] + b"\1\0" + good[count + 2 :]


def torch_tricks() -> Iterator[tuple[str, bytes]]:
    """Files that say they are torch's, and are not what they say."""
    honest = pickle.dumps({}, 2)
    magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    yield "magic-only", magic + SYSTEM
    yield "magic-system", magic + SYSTEM * 4
    yield "magic-tail", torch_legacy(honest) + SYSTEM
    yield "magic-other", magic.replace(b"\x19", b"\x18") + SYSTEM
    for name in ("code/__torch__.py", "constants.pkl", "code/a.debug_pkl"):
        yield name, zipped({"a/data.pkl": honest, f"a/{name}": SYSTEM})
    yield "two-folders", zipped({"a/data.pkl": honest, "b/data.pkl": SYSTEM})
    yield "extra-pickle", zipped({"a/data.pkl": honest, "a/other.pkl": SYSTEM})
    yield "unasked-storage", zipped({"a/data.pkl": honest, "a/data/0": SYSTEM})
    pid = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0%cX\x03\0\0\0cpuK\x63tQ."
    yield "missing-storage", zipped({"a/data.pkl": b"\x80\x02" + pid % b"7"})
    yield "short-storage", zipped({"a/data.pkl": b"\x80\x02" + pid % b"0", "a/data/0": bytes(4)})
    yield (
        "storage-of-system",
        zipped(
            {"a/data.pkl": b"\x80\x02" + pid.replace(b"torch\nFloatStorage", b"os\nsystem") % b"0"}
        ),
    )
    yield "persistent-text", zipped({"a/data.pkl": b"\x80\x02X\x04\0\0\0evilQ."})
    for names in (("pickle", "storages", "tensors", "sys_info"), ("pickle", "storages", "tensors")):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for name in names:
                info = tarfile.TarInfo(name)
                info.size = len(SYSTEM)
                archive.addfile(info, io.BytesIO(SYSTEM))
        yield f"tar-{len(names)}", out.getvalue()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    yield "tar-link", out.getvalue()
    yield "tar-and-pickle", (SYSTEM + bytes(512))[:257] + b"ustar" + bytes(512)


def other_formats() -> Iterator[tuple[str, bytes]]:
    """Formats that are no pickles, and what can be hidden in them."""
    from sealwright.app.bench.supply.othermalice import files as others

    yield from others()
