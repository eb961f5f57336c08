"""Keras models: their configuration is a list of classes to make, and only built-in ones may be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

from sealwright.kit.modelfile.report import Found, Unsound

_MODULES = ("keras", "tensorflow.keras", "tf_keras", "builtins")
_DEPTH = 200


@cache
def builtin_names() -> frozenset[str]:
    """Layers, initializers, regularizers, optimizers, losses and metrics that run no other code."""
    folder = resources.files("sealwright.kit.modelfile") / "tables"
    return frozenset(json.loads((folder / "keras-names.json").read_text("utf-8")))


def is_zip(names: frozenset[str]) -> bool:
    """The three files of a ``.keras`` archive."""
    return "config.json" in names and "metadata.json" in names


def judge(text: bytes | str, where: str) -> Iterator[Found]:
    """What a configuration would make that is not built in. Raises: Unsound (keras.config)."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unsound("keras.config", str(error)[:120]) from error
    if type(config) is not dict or "class_name" not in config:
        raise Unsound("keras.config", "it names no class")
    yield from _walk(config, where, 0)


def _walk(value: Any, where: str, depth: int) -> Iterator[Found]:
    if depth > _DEPTH:
        raise Unsound("keras.config", f"it nests more than {_DEPTH} deep")
    if isinstance(value, list):
        for one in value:
            yield from _walk(one, where, depth + 1)
    elif isinstance(value, dict):
        if "class_name" in value:
            yield from _class(value, where)
        for one in value.values():
            yield from _walk(one, where, depth + 1)


def _class(value: dict[str, Any], where: str) -> Iterator[Found]:
    name, module = value["class_name"], value.get("module")
    registered = value.get("registered_name")
    if name in ("Lambda", "__lambda__"):
        yield Found("keras.lambda", "holds a Lambda", where)
    elif type(name) is not str or name not in builtin_names():
        yield Found("keras.custom", f"makes {str(name)[:60]!r}", where)
    elif module is not None and (type(module) is not str or not _ours(module)):
        yield Found("keras.custom", f"makes {name} of {str(module)[:60]!r}", where)
    elif registered is not None and registered != name:
        yield Found("keras.custom", f"makes {name}, registered as {str(registered)[:60]!r}", where)


def _ours(module: str) -> bool:
    return any(module == one or module.startswith(one + ".") for one in _MODULES)
