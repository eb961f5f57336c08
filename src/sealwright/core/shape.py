"""A tree of plain values held against a typed record: every fault at once, each with its path.

Strict: nothing is converted, and an unknown key is answered with the one probably meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec


def faults(value: Any, hint: Any, path: str) -> Iterator[str]:
    """Check ``value`` against ``hint``, yielding every fault under ``path``."""
    if is_struct(hint):
        yield from _walk_struct(value, hint, path)
    elif get_origin(hint) in (dict, list):
        yield from _walk_container(value, hint, path)
    elif get_origin(hint) is tuple:
        yield from _walk_tuple(value, get_args(hint), path)
    elif get_origin(hint) is Literal:
        allowed = get_args(hint)
        if value not in allowed:
            yield f"{path}: {value!r} is not one of {', '.join(allowed)}{near(value, allowed)}"
    elif type(value) is not hint:
        yield f"{path}: {hint.__name__} is wanted, not {_kind(value)}"


def _walk_container(value: Any, hint: Any, path: str) -> Iterator[str]:
    shape = get_origin(hint)
    if type(value) is not shape:
        yield f"{path}: {'a table' if shape is dict else 'a list'} is wanted, not {_kind(value)}"
    elif shape is dict:
        for key, item in value.items():
            yield from faults(item, get_args(hint)[1], f"{path}.{key}")
    else:
        for number, item in enumerate(value):
            yield from faults(item, get_args(hint)[0], f"{path}[{number}]")


def _walk_tuple(value: Any, hints: tuple[Any, ...], path: str) -> Iterator[str]:
    if type(value) is not list or len(value) != len(hints):
        yield f"{path}: a list of {len(hints)} is wanted"
        return
    for number, (item, hint) in enumerate(zip(value, hints, strict=True)):
        yield from faults(item, hint, f"{path}[{number}]")


def _walk_struct(value: Any, hint: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: a table is wanted, not {_kind(value)}"
        return
    fields = {field.name: field for field in msgspec.structs.fields(hint)}
    for key, item in value.items():
        if key not in fields:
            yield f"{path}.{key}: unknown key{near(key, tuple(fields))}"
        else:
            yield from faults(item, get_type_hints(hint)[key], f"{path}.{key}")
    for name, field in fields.items():
        if field.required and name not in value:
            yield f"{path}.{name}: is missing"


def near(word: object, known: tuple[str, ...]) -> str:
    """What to add to an error about ``word``: the known one that looks like it, if any."""
    close = difflib.get_close_matches(str(word), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _kind(value: object) -> str:
    names: Mapping[type, str] = {
        bool: "a boolean",
        int: "an integer",
        float: "a float",
        str: "a string",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value), type(value).__name__)


def is_struct(hint: Any) -> bool:
    """Whether a type hint is a record."""
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)
