"""The formats that are no pickles: each is handed to the file that knows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from sealwright.core.ports import Readable
from sealwright.kit.modelfile import (
    arrays,
    boosters,
    gguf,
    graphs,
    hdf5,
    keras,
    skopsfile,
    template,
    textual,
)
from sealwright.kit.modelfile.report import Unsound
from sealwright.kit.modelfile.source import Part, whole
from sealwright.kit.modelfile.zips import Entry

if TYPE_CHECKING:
    from sealwright.kit.modelfile.walk import Walk


def judge(walk: Walk, kind: str, source: Readable, where: str) -> str:
    """Look at ``source`` as ``kind``; returns what it is. Raises: Unsound."""
    look = _FORMATS.get(kind)
    if look is None:
        raise Unsound("file.unknown", "its first bytes are those of no format that is read here")
    return look(walk, source, where) or kind


def _npy(walk: Walk, source: Readable, where: str) -> str:
    start, objects = arrays.npy(source)
    if objects:
        data = whole(Part(source, start, source.size - start), walk.limits.stream_bytes)
        walk.pickle(data, where)
    return "npy"


def _safetensors(walk: Walk, source: Readable, where: str) -> str:
    arrays.safetensors(source, walk.limits)
    return "safetensors"


def _gguf(walk: Walk, source: Readable, where: str) -> str:
    for _, text in gguf.templates(source, walk.limits):
        template.vet(text)
    return "gguf"


def _hdf5(walk: Walk, source: Readable, where: str) -> str:
    walk.add(*hdf5.judge(whole(source, walk.limits.stream_bytes), where, walk.limits))
    return "hdf5"


def _onnx(walk: Walk, source: Readable, where: str) -> str:
    found = {msgspec.structs.replace(one, where=where): None for one in graphs.onnx(source)}
    walk.add(*found)
    return "onnx"


def _saved_model(walk: Walk, source: Readable, where: str) -> str:
    found = graphs.saved_model(source)
    walk.add(*(msgspec.structs.replace(one, where=where) for one in found))
    return "saved-model"


def _catboost(walk: Walk, source: Readable, where: str) -> str:
    boosters.catboost(source)
    return "catboost"


def _ubjson(walk: Walk, source: Readable, where: str) -> str:
    boosters.ubjson(source, walk.limits.stream_bytes)
    return "xgboost-ubj"


def _text(walk: Walk, source: Readable, where: str) -> str:
    text = textual.decoded(whole(source, walk.limits.text_bytes * 4))
    if text is None:
        raise Unsound("file.unknown", "neither a known format nor plain text")
    kind, found = textual.judge(text, where)
    walk.add(*found)
    return kind


_FORMATS: dict[str, Callable[[Walk, Readable, str], str]] = {
    "npy": _npy,
    "safetensors": _safetensors,
    "gguf": _gguf,
    "hdf5": _hdf5,
    "onnx": _onnx,
    "saved-model": _saved_model,
    "catboost": _catboost,
    "xgboost-ubj": _ubjson,
    "text": _text,
}


def zip_kind(names: frozenset[str]) -> str:
    """What a zip file is by the files in it; ``zip`` where it is just an archive."""
    if keras.is_zip(names):
        return "keras"
    if "schema.json" in names and all(
        name == "schema.json" or name.endswith((".npy", ".npz")) for name in names
    ):
        return "skops"
    return "npz" if names and all(name.endswith(".npy") for name in names) else "zip"


def member(walk: Walk, kind: str, entry: Entry, inner: Readable, path: str, depth: int) -> None:
    """Look at one member of a zip file. Raises: nothing for bad bytes."""
    try:
        if kind == "keras" and entry.name == "config.json":
            walk.add(*keras.judge(whole(inner, walk.limits.text_bytes), path))
            return
        if kind == "skops" and entry.name == "schema.json":
            text = whole(inner, walk.limits.text_bytes)
            walk.add(*skopsfile.judge(text, walk.policy, path))
            return
    except Unsound as error:
        walk.add(msgspec.structs.replace(error.found, where=path))
        return
    found = walk.look(inner, path, depth + 1)
    if kind in _HOLDS and found and found not in _HOLDS[kind]:
        message = f"a {found} file where {kind} has {' or '.join(_HOLDS[kind])}"
        walk.add(msgspec.structs.replace(Unsound("archive.member", message).found, where=path))


_HOLDS = {
    "npz": ("npy",),
    "skops": ("npy", "npz"),
    "keras": ("hdf5", "json", "npz"),
}
