"""Array files: npy headers and safetensors. Source: numpy.lib.format, safetensors' README."""

from __future__ import annotations

import json
import re
from math import prod
from typing import Any

from sealwright.core.ports import Readable
from sealwright.kit.modelfile.limits import Limits
from sealwright.kit.modelfile.report import Unsound
from sealwright.kit.modelfile.source import exactly, unpacked

NPY = b"\x93NUMPY"
_NPY_HEADER = re.compile(
    r"\{'descr': (?P<descr>'[^'\\]{1,24}'|\[[^\[\]\\]*(?:\[[^\[\]\\]*\][^\[\]\\]*)*\]), "
    r"'fortran_order': (?:True|False), 'shape': \((?P<shape>[0-9, ]*)\), \} *\n"
)
_DTYPE = re.compile(r"[<>|=]?([biufcSUmMV?])(\d{1,9})(\[[A-Za-z0-9]+\])?")
_NPY_BYTES = 1 << 16

_WIDTHS = {
    **{"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8},
    **{"F8_E5M2FNUZ": 8, "F8_E4M3FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16},
    **{"I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64},
    **{"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6},
}


def npy(source: Readable) -> tuple[int, bool]:
    """Where the data begins, and is it a pickle of objects? Raises: Unsound."""
    major, minor = exactly(source, 6, 2, "npy.header")
    if (major, minor) not in ((1, 0), (2, 0), (3, 0)):
        raise Unsound("npy.header", f"version {major}.{minor}", offset=6)
    form, at = ("<H", 10) if major == 1 else ("<L", 12)
    (length,) = unpacked(form, source, 8, "npy.header")
    if length > _NPY_BYTES:
        raise Unsound("npy.header", f"a header of {length:,} bytes", offset=8)
    try:
        text = exactly(source, at, length, "npy.header").decode("utf-8" if major == 3 else "latin1")
    except UnicodeDecodeError as error:
        raise Unsound("npy.header", "it is not text", offset=at) from error
    found = _NPY_HEADER.fullmatch(text)
    if not found:
        raise Unsound("npy.header", "it is not the description that numpy writes", offset=at)
    count = prod(int(one) for one in found["shape"].split(",") if one.strip())
    descr, start = found["descr"], at + length
    if descr.strip("'") in ("|O", "O"):
        return start, True
    size = _item_bytes(descr)
    if start + count * size != source.size:
        raise Unsound("npy.size", f"{count:,} items of {size} bytes, in {source.size - start:,}")
    return start, False


def _item_bytes(descr: str) -> int:
    if not descr.startswith("["):
        return _plain(descr.strip("'"))
    fields = re.findall(r"\('[^']*', '([^']*)'(?:, \(([0-9, ]+)\))?\)", descr)
    bare = re.sub(r"\('[^']*', '[^']*'(?:, \([0-9, ]+\))?\)", "", descr)
    if not fields or bare.strip("[], "):
        raise Unsound("npy.header", "records of another kind than plain fields")
    return sum(
        _plain(kind) * prod(int(one) for one in shape.split(",") if one.strip())
        for kind, shape in fields
    )


def _plain(kind: str) -> int:
    found = _DTYPE.fullmatch(kind)
    if not found:
        raise Unsound("npy.header", f"items of {kind[:20]!r}")
    return int(found[2]) * (4 if found[1] == "U" else 1)


def looks_safetensors(head: bytes, size: int) -> bool:
    """Eight bytes of length, then an object's brace."""
    return len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") + 8 <= size


def safetensors(source: Readable, limits: Limits) -> dict[str, str]:
    """Hold the header against the file; returns its metadata. Raises: Unsound."""
    (length,) = unpacked("<Q", source, 0, "safetensors.header")
    if length > limits.header_bytes:
        raise Unsound("safetensors.header", f"a header of {length:,} bytes")
    raw = exactly(source, 8, length, "safetensors.header")
    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Unsound("safetensors.header", str(error)[:120], offset=8) from error
    if type(header) is not dict:
        raise Unsound("safetensors.header", "it is no object", offset=8)
    meta = header.pop("__metadata__", {})
    if type(meta) is not dict or any(type(one) is not str for one in meta.values()):
        raise Unsound("safetensors.header", "metadata that is not text")
    spans = sorted(_tensor(name, entry) for name, entry in header.items())
    at = 0
    for begin, end in spans:
        if begin != at:
            raise Unsound("safetensors.layout", f"tensors overlap or leave a gap at byte {at:,}")
        at = end
    if 8 + length + at != source.size:
        raise Unsound("safetensors.layout", "its tensors and the file end at different places")
    return meta


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a name is there twice")
    return dict(pairs)


def _tensor(name: str, entry: Any) -> tuple[int, int]:
    if type(entry) is not dict or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise Unsound("safetensors.header", f"{name[:60]!r} is described by other fields")
    width, shape, spot = _WIDTHS.get(str(entry["dtype"])), entry["shape"], entry["data_offsets"]
    counts = [*shape, *spot] if type(shape) is list and type(spot) is list else [-1]
    if width is None or len(spot) != 2 or any(type(n) is not int or n < 0 for n in counts):
        raise Unsound("safetensors.header", f"{name[:60]!r} has no such dtype, shape or place")
    if prod(shape) * width != (spot[1] - spot[0]) * 8:
        raise Unsound("safetensors.layout", f"{name[:60]!r} is not as long as its shape says")
    return spot[0], spot[1]
