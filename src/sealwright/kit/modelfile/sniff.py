"""What a file is, by its bytes. Where two answers are possible, it is refused."""

from __future__ import annotations

import contextlib
import pickletools
import re
import warnings

from sealwright.core.ports import Readable
from sealwright.kit.modelfile import arrays, boosters, gguf, graphs, hdf5, torchfile, unpack
from sealwright.kit.modelfile.report import Unsound

_ZIPS = (b"PK\x03\x04", b"PK\x05\x06")
_PROGRAMS = (
    (b"\x7fELF", 4),
    (b"\xfe\xed\xfa\xce", 4),
    (b"\xfe\xed\xfa\xcf", 4),
    (b"\xce\xfa\xed\xfe", 4),
    (b"\xcf\xfa\xed\xfe", 4),
    (b"\xca\xfe\xba\xbe", 4),
    (b"\0asm", 4),
    (b"MZ", 64),
)
_ARCHIVES = (
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"MSCF",
    b"\x28\xb5\x2f\xfd",
    b"\x04\x22\x4d\x18",
)
_HDF5_AT = (512, 1024, 2048, 4096)
_TAIL = 22 + 0xFFFF


def kind_of(head: bytes, source: Readable) -> str:  # noqa: C901  a table in the order that counts
    """The format that ``head`` begins; ``text`` or ``unknown`` where it begins none."""
    if head.startswith(_ZIPS):
        return "zip"
    if head.startswith(arrays.NPY):
        return "npy"
    if head.startswith(hdf5.MAGIC):
        return "hdf5"
    if head.startswith(gguf.MAGIC):
        return "gguf"
    if head.startswith(b"CBM1"):
        return "catboost"
    if any(head.startswith(magic) and len(head) >= size for magic, size in _PROGRAMS):
        raise Unsound("code.program", "an executable or a library")
    if head.startswith(_ARCHIVES):
        raise Unsound("file.unknown", "an archive of a kind that is not read here")
    if head[257:262] == b"ustar":
        return "tar"
    if torchfile.LEGACY.match(head):
        return "torch-legacy"
    if head[:1] == b"\x80" and len(head) > 1 and 2 <= head[1] <= 5:
        return "pickle"
    if kind := unpack.kind_of(head):
        return kind
    if arrays.looks_safetensors(head, source.size):
        return "safetensors"
    if boosters.looks_ubjson(head):
        return "xgboost-ubj"
    if _is_pickle(head, source):
        return "pickle"
    if head[:1] == b"\x08" and (kind := graphs.kind_of(source)):
        return kind
    return "text" if b"\0" not in head else "unknown"


def could_be_pickle(head: bytes) -> bool:
    """Does the first byte begin an opcode that can begin a pickle?"""
    return head[:1] != b"" and head[0] in _OPENERS


_NAMED = re.compile(r"[^\W\d][\w.]* [^\W\d][\w.]*")
"""A module and a name in it, as ``pickletools`` joins them."""

_OPENERS = frozenset(
    b"\x80(}])cNIJKMLFGVXBC\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x95\x96STUiP.0l]d\x82\x83\x84"
)


def _is_pickle(head: bytes, source: Readable) -> bool:
    """A pickle of protocol 0 or 1, which has no magic: it ends in STOP, or names something."""
    if not could_be_pickle(head) or head[:1] in (b"\x95", b"\x8c", b"\x93"):
        return head[:1] in (b"\x95", b"\x8c") and source.pread(source.size - 1, 1) == b"."
    opcodes = 0
    with warnings.catch_warnings(), contextlib.suppress(ValueError):
        warnings.simplefilter("ignore")
        for op, argument, _ in pickletools.genops(head):
            opcodes += 1
            if op.name in ("GLOBAL", "INST") and not _NAMED.fullmatch(str(argument)):
                return False  # prose: no module is called that, so nothing runs before it fails
            if op.name in ("GLOBAL", "INST", "REDUCE", "STOP", "PERSID") or opcodes > 64:
                return True
    # cut off by the head, or opcodes as far as it goes
    return opcodes > 16 and source.pread(source.size - 1, 1) == b"."


def one_format(kind: str, source: Readable) -> None:
    """Raises: Unsound where another format begins or ends in the same file."""
    tail = source.pread(max(0, source.size - _TAIL), _TAIL)
    at = tail.rfind(b"PK\x05\x06")
    if at >= 0 and len(tail) - at >= 22:
        comment = int.from_bytes(tail[at + 20 : at + 22], "little")
        size = int.from_bytes(tail[at + 12 : at + 16], "little")
        if comment == len(tail) - at - 22 or size <= source.size:
            raise Unsound("file.polyglot", f"it begins as {kind} and ends as a zip file")
    if source.pread(257, 5) == b"ustar":
        raise Unsound("file.polyglot", f"it is {kind} and a tar archive")
    if kind != "hdf5" and any(source.pread(spot, 8) == hdf5.MAGIC for spot in _HDF5_AT):
        raise Unsound("file.polyglot", f"it is {kind} and an HDF5 file")
