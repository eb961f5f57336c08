"""Malice in formats that are no pickles: Keras, SavedModel, ONNX, GGUF, templates, safetensors,
skops, notebooks, archives. ``(name, bytes)``.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Iterator
from typing import Any

from sealwright.app.bench.supply.payloads import SYSTEM


def files() -> Iterator[tuple[str, bytes]]:
    """Every one."""
    yield from _keras()
    yield from _graphs()
    yield from _gguf()
    yield from _safetensors()
    yield from _texts()
    yield from _polyglots()


def _zip(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data)
    return out.getvalue()


def _keras() -> Iterator[tuple[str, bytes]]:
    code = "4wEAAAAAAAAAAAAAAAEAAAADAAAA8wYAAABTAA=="
    layers: dict[str, dict[str, Any]] = {
        "lambda": {"class_name": "Lambda", "config": {"function": [code, None, None]}},
        "dunder": {"class_name": "__lambda__", "config": {"value": code}},
        "custom": {"class_name": "Evil", "config": {}, "registered_name": "pkg>Evil"},
        "module": {"class_name": "Dense", "module": "os", "config": {}},
        "function": {"class_name": "function", "config": "system", "module": "os"},
        "torch": {"class_name": "TorchModuleWrapper", "config": {"module": code}},
        "tfsm": {"class_name": "TFSMLayer", "config": {"filepath": "/srv/x"}},
        "registered": {"class_name": "Dense", "registered_name": "evil>Dense", "config": {}},
    }
    for name, layer in layers.items():
        model = {"class_name": "Sequential", "config": {"layers": [layer]}}
        text = json.dumps(model).encode()
        yield f"keras-{name}", _zip({"config.json": text, "metadata.json": b"{}"})
        yield f"keras-json-{name}", text
        deep = {"class_name": "TimeDistributed", "config": {"layer": layer}}
        inner = json.dumps({"class_name": "Functional", "config": {"layers": [deep]}}).encode()
        yield f"keras-deep-{name}", _zip({"config.json": inner, "metadata.json": b"{}"})
    yield "keras-pickle", _zip({"config.json": b"{}", "metadata.json": b"{}", "x.pkl": SYSTEM})


def field(number: int, value: bytes | int) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _graphs() -> Iterator[tuple[str, bytes]]:
    for op in ("PyFunc", "EagerPyFunc", "PyFuncStateless", "ReadFile", "WriteFile", "LoadLibrary"):
        node = field(1, b"node") + field(2, op.encode())
        yield f"saved-{op}", field(1, 1) + field(2, field(2, field(1, node)))
        function = field(1, field(1, b"f")) + field(3, node)
        yield f"saved-function-{op}", field(1, 1) + field(2, field(2, field(2, field(1, function))))
    for path in ("../../etc/passwd", "/etc/passwd", "a/../../x", "C:\\x", "..\\x", ""):
        data = field(1, b"location") + field(2, path.encode())
        tensor = field(8, b"w") + field(13, data) + field(14, 1)
        yield f"onnx-external-{path}", field(1, 8) + field(7, field(2, b"g") + field(5, tensor))
        constant = field(4, b"Constant") + field(5, field(1, b"value") + field(5, tensor))
        yield f"onnx-attribute-{path}", field(1, 8) + field(7, field(1, constant))
    custom = field(4, b"PyOp") + field(7, b"com.microsoft.extensions")
    yield "onnx-operator", field(1, 8) + field(7, field(1, custom))
    branch = field(4, b"If") + field(5, field(1, b"then") + field(6, field(1, custom)))
    yield "onnx-branch-operator", field(1, 8) + field(7, field(1, branch))
    yield "onnx-cut", (field(1, 8) + field(7, field(1, custom)))[:-4]


TEMPLATES = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.popen('true').read() }}",
    "{{ lipsum['__globals__']['os'].system('true') }}",
    "{{ messages|attr('__class__') }}",
    "{{ messages|attr('_'~'_class_'~'_') }}",
    "{{ messages['_'~'_class__'] }}",
    "{% set x = '_'*2 ~ 'class' ~ '_'*2 %}{{ messages[x] }}",
    "{% set x = '\\x5f\\x5fclass' %}{{ messages[x] }}",
    "{{ messages|map(attribute='__class__')|list }}",
    "{% set a = 'x' %}{{ messages|map(attribute=a)|list }}",
    "{{ self._TemplateReference__context }}",
    "{% import 'os' as os %}{{ os }}",
    "{% include '/etc/passwd' %}",
    "{{ joiner.__init__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ raise_exception.__globals__ }}",
    "{{ (messages|first)[('a_b'[1]*2) ~ 'class'] }}",
    "{{ request.application.__globals__ }}",
    "{{ config.items() if config else url_for.__globals__ }}",
    "{{ messages.sort(key=evil) }}",
    "{% call evil() %}{% endcall %}",
    "{{ messages|format('%c') }}",
    "{{ open('/etc/passwd') }}",
    "{{ eval('1') }}",
    "{{ messages[0]",
    "{% for m in messages %}{% filter evil %}{% endfilter %}{% endfor %}",
)
"""Chat templates that try to leave their sandbox."""


def gguf(metadata: dict[str, str], version: int = 3, tensors: int = 0) -> bytes:
    """A GGUF file with text metadata and no tensors."""
    out = b"GGUF" + struct.pack("<LQQ", version, tensors, len(metadata))
    for key, value in metadata.items():
        out += struct.pack("<Q", len(key)) + key.encode() + struct.pack("<L", 8)
        out += struct.pack("<Q", len(value.encode())) + value.encode()
    return out


def _gguf() -> Iterator[tuple[str, bytes]]:
    for index, text in enumerate(TEMPLATES):
        yield f"gguf-{index}", gguf({"tokenizer.chat_template": text})
        yield f"config-{index}", json.dumps({"chat_template": text}).encode()
    yield "gguf-named", gguf({"tokenizer.chat_template.tool_use": TEMPLATES[0]})
    yield "gguf-cut", gguf({"a": "b"})[:-1]
    yield "gguf-tensors", gguf({"a": "b"}, tensors=1 << 40)
    yield "gguf-version", gguf({"a": "b"}, version=9)
    yield "gguf-length", gguf({"a": "b"})[:-9] + b"\xff" * 9


def _safetensors() -> Iterator[tuple[str, bytes]]:
    def made(header: Any, body: bytes, length: int | None = None) -> bytes:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return struct.pack("<Q", len(text) if length is None else length) + text + body

    def one(begin: int, end: int, shape: list[int], kind: str = "F32") -> dict[str, Any]:
        return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}

    yield "st-overlap", made({"a": one(0, 8, [2]), "b": one(4, 12, [2])}, bytes(12))
    yield "st-gap", made({"a": one(0, 4, [1]), "b": one(8, 12, [1])}, bytes(12))
    yield "st-tail", made({"a": one(0, 4, [1])}, bytes(4) + SYSTEM)
    yield "st-short", made({"a": one(0, 8, [2])}, bytes(4))
    yield "st-shape", made({"a": one(0, 4, [3])}, bytes(4))
    yield "st-negative", made({"a": one(0, 4, [-1])}, bytes(4))
    yield "st-overflow", made({"a": one(0, 4, [1 << 62, 1 << 62])}, bytes(4))
    yield "st-dtype", made({"a": one(0, 4, [1], "EVIL")}, bytes(4))
    yield "st-length", made({"a": one(0, 4, [1])}, bytes(4), 1 << 40)
    yield "st-twice", made(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":1}', b"x")
    yield "st-deep", made(b"{" + b'"a":[' * 5000, b"")
    yield "st-meta", made({"__metadata__": {"a": {"b": 1}}}, b"")
    yield "st-fields", made({"a": {**one(0, 4, [1]), "code": "x"}}, bytes(4))


def _texts() -> Iterator[tuple[str, bytes]]:
    yield "auto-map", json.dumps({"auto_map": {"AutoModel": "modeling.Evil"}}).encode()
    yield "remote-code", json.dumps({"a": [{"trust_remote_code": True}]}).encode()
    cells = [{"cell_type": "code", "source": "!true", "outputs": [{"output_type": "stream"}]}]
    yield "notebook", json.dumps({"cells": cells, "nbformat": 4}).encode()
    yield "shell", b"#!/bin/sh\ntrue\n"
    yield "python", b"import os\nos.system('true')\n"
    yield "elf", b"\x7fELF\x02\x01\x01" + bytes(64)
    yield "windows", b"MZ" + bytes(128)
    yield "json-deep", b"[" * 10_000 + b"]" * 10_000
    schema = {"__loader__": "ObjectNode", "__module__": "os", "__class__": "system"}
    for name, change in (
        ("object", {}),
        ("method", {"__loader__": "MethodNode"}),
        ("partial", {"__loader__": "PartialNode", "__module__": "functools"}),
        ("operator", {"__loader__": "OperatorFuncNode", "__module__": "operator"}),
        ("type", {"__loader__": "TypeNode", "__module__": "subprocess", "__class__": "Popen"}),
    ):
        inner = {"__loader__": "DictNode", "__module__": "builtins", "__class__": "dict"}
        whole = {**inner, "content": {"a": {**schema, **change}}}
        yield f"skops-{name}", _zip({"schema.json": json.dumps(whole).encode()})
    yield "lightgbm-pickle", b"tree\nversion=v4\n" + SYSTEM
    yield "catboost-short", b"CBM1" + struct.pack("<L", 1 << 30) + bytes(16)
    yield "ubj-deep", b"{L" + struct.pack(">Q", 7) + b"learner" + b"[" * 10_000


def _polyglots() -> Iterator[tuple[str, bytes]]:
    header = b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}'
    tensors = struct.pack("<Q", len(header)) + header + b"abcd"
    archive = _zip({"a/data.pkl": SYSTEM, "a/version": b"3\n"})
    yield "safetensors-zip", tensors + archive
    yield "json-zip", b'{"a": 1}' + archive
    yield "text-pickle", b"cos\nsystem\n(Vtrue\ntR."
    yield "text-pickle-broken", b"cos\nsystem\n(Vtrue\ntR and then it goes on as prose\n"
    yield "text-comment-pickle", b"I1\n0cos\nsystem\n(Vtrue\ntR."
    late = b"(lp0\n" + b"I1\na" * 2000 + b"cos\nsystem\n(Vtrue\ntRa."
    yield "text-pickle-late", late
    yield "text-pickle-late-broken", late[:-1]
    length = b"(cos\nsystem\n"[:8]
    yield "header-pickle", length + b"{}" + SYSTEM
    yield "hdf5-at-512", b"{}" + b" " * 510 + b"\x89HDF\r\n\x1a\n" + bytes(64)
    yield (
        "npy-tail",
        b"\x93NUMPY\x01\0v\0" + b"{'descr': '<f4', 'shape': (1,), }",
    )
