"""ONNX models and TensorFlow SavedModels: which operations, and which files beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources

from sealwright.core.ports import Readable
from sealwright.kit.modelfile import wire
from sealwright.kit.modelfile.report import Found, Unsound
from sealwright.kit.modelfile.source import Part

_ONNX, _SAVED = "onnx.broken", "saved-model.broken"
_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training"})
_DEEP = 16


def kind_of(source: Readable) -> str:
    """``onnx``, ``saved-model`` or nothing, by the numbers of its outermost fields."""
    seen = set[int]()
    try:
        for number, value, part in wire.fields(source, _ONNX):
            if not seen and (number != 1 or part is not None or not 0 < value < 64):
                return ""
            seen.add(number)
            if number > 25:
                return ""
    except Unsound:
        pass
    if 7 in seen and seen <= {1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26}:
        return "onnx"
    return "saved-model" if seen == {1, 2} else ""


def onnx(source: Readable) -> Iterator[Found]:
    """What an ONNX model refers to that is not in it. Raises: Unsound."""
    for number, _, part in wire.fields(source, _ONNX):
        if number == 7 and part:
            yield from _graph(part, 0)
        elif number == 25 and part:  # a local function
            for inner, _, piece in wire.fields(part, _ONNX):
                if inner == 7 and piece:
                    yield from _node(piece, 0)
        elif number == 20 and part:
            for inner, _, piece in wire.fields(part, _ONNX):
                if inner in (1, 2) and piece:
                    yield from _graph(piece, 0)


def _graph(part: Part, depth: int) -> Iterator[Found]:
    if depth > _DEEP:
        raise Unsound(_ONNX, f"graphs nest more than {_DEEP} deep")
    for number, _, piece in wire.fields(part, _ONNX):
        if piece is None:
            continue
        if number == 1:
            yield from _node(piece, depth)
        elif number == 5:
            yield from _tensor(piece)
        elif number == 15:
            for inner, _, values in wire.fields(piece, _ONNX):
                if inner in (1, 2) and values:
                    yield from _tensor(values)


def _node(part: Part, depth: int) -> Iterator[Found]:
    domain, op = "", ""
    for number, _, piece in wire.fields(part, _ONNX):
        if number == 7:
            domain = wire.text(piece, _ONNX)
        elif number == 4:
            op = wire.text(piece, _ONNX)
        elif number == 5 and piece:
            yield from _attribute(piece, depth)
    if domain not in _DOMAINS:
        yield Found("onnx.operator", f"uses {domain[:60]}.{op[:60]}")


def _attribute(part: Part, depth: int) -> Iterator[Found]:
    for number, _, piece in wire.fields(part, _ONNX):
        if piece and number in (6, 11):
            yield from _graph(piece, depth + 1)
        elif piece and number in (5, 10):
            yield from _tensor(piece)


def _tensor(part: Part) -> Iterator[Found]:
    for number, _, piece in wire.fields(part, _ONNX):
        if number == 13 and piece:
            pair = {n: wire.text(p, _ONNX) for n, _, p in wire.fields(piece, _ONNX)}
            if pair.get(1) == "location" and not confined(pair.get(2, "")):
                yield Found("onnx.external", f"keeps a tensor in {pair.get(2, '')[:80]!r}")


def confined(path: str) -> bool:
    """Does a relative path stay in its folder?"""
    parts = path.split("/")
    drive = len(parts[0]) > 1 and parts[0][1] == ":"
    return (
        path.isprintable() and "\\" not in path and not drive and not (set(parts) & {"", ".", ".."})
    )


@cache
def plain_operations() -> frozenset[str]:
    """TensorFlow's operations that compute and touch nothing else."""
    folder = resources.files("sealwright.kit.modelfile") / "tables"
    return frozenset(json.loads((folder / "tensorflow-ops.json").read_text("utf-8")))


def saved_model(source: Readable) -> Iterator[Found]:
    """Every operation on no list. Raises: Unsound."""
    seen = set[str]()
    for op in _operations(source):
        if op not in seen and op not in plain_operations():
            seen.add(op)
            yield Found("saved-model.op", f"runs {op[:80]}")


def _operations(source: Readable) -> Iterator[str]:
    for number, _, meta in wire.fields(source, _SAVED):
        if number != 2 or meta is None:
            continue
        for inner, _, graph in wire.fields(meta, _SAVED):
            if inner == 2 and graph:
                yield from _graph_operations(graph)


def _graph_operations(graph: Part) -> Iterator[str]:
    own = set[str]()
    calls = list[str]()
    for number, _, piece in wire.fields(graph, _SAVED):
        if number == 1 and piece:
            calls.append(_operation(piece))
        elif number == 2 and piece:
            for inner, _, function in wire.fields(piece, _SAVED):
                if inner == 1 and function:
                    for field, _, part in wire.fields(function, _SAVED):
                        if field == 3 and part:
                            calls.append(_operation(part))
                        elif field == 1 and part:
                            own.add(_name(part))
    # a function of its own may be called by its name, unless the name is an operation's
    yield from (op for op in calls if op not in own or not op.startswith("__inference_"))


def _operation(node: Part) -> str:
    return next((wire.text(p, _SAVED) for n, _, p in wire.fields(node, _SAVED) if n == 2), "")


def _name(part: Part) -> str:
    return next((wire.text(p, _SAVED) for n, _, p in wire.fields(part, _SAVED) if n == 1), "")
