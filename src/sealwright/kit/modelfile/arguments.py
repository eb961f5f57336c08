"""What an allowed function may be handed, where the wrong argument would make it something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

ENCODE = ("_codecs", "encode")
RECONSTRUCT = ("copyreg", "_reconstructor")
BYTES = ("builtins", "bytes")
BYTEARRAY = ("builtins", "bytearray")
WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
"""What joblib writes before the bytes of an array."""
FROM_TYPE = ("torch._utils", "_rebuild_from_type_v2")

RANDOM = tuple(
    ("numpy.random._pickle", name)
    for name in ("__bit_generator_ctor", "__generator_ctor", "__randomstate_ctor")
)

OBJECT_CLASS = ("builtins", "object")

Kind = tuple[str, Any]
"""``("text", str)``, ``("bytes", None)``, ``("name", (pair, uses))``, ``("other", None)``."""


def _encode(given: Sequence[Kind]) -> bool:
    """Only what keeps bytes in an old pickle: another codec would import a module."""
    return len(given) == 2 and given[1] == ("text", "latin1")


def _reconstruct(given: Sequence[Kind]) -> bool:
    """``object.__new__`` of a class that may be made, and no other base."""
    if len(given) != 3 or given[0][0] != "name" or given[1][0] != "name":
        return False
    return "n" in given[0][1][1] and given[1][1][0] == OBJECT_CLASS


def _bytes(given: Sequence[Kind]) -> bool:
    """Nothing: no bytes, as old protocols write them."""
    return not given


def _bytearray(given: Sequence[Kind]) -> bool:
    """Bytes and no number: a number is a length, and the memory of it."""
    return not given or given[0][0] in ("bytes", "text", "object")


def _from_type(given: Sequence[Kind]) -> bool:
    """It calls its first argument."""
    return bool(given) and given[0][0] == "name" and "c" in given[0][1][1]


def _random(given: Sequence[Kind]) -> bool:
    """They call what they are given: only numpy's own generators."""
    named = [value[0][0] for kind, value in given if kind == "name"]
    return all(module.startswith("numpy.random.") for module in named)


RULES: dict[tuple[str, str], Callable[[Sequence[Kind]], bool]] = {
    ENCODE: _encode,
    RECONSTRUCT: _reconstruct,
    BYTES: _bytes,
    BYTEARRAY: _bytearray,
    FROM_TYPE: _from_type,
    **dict.fromkeys(RANDOM, _random),
}
"""Canonical pair → may it be called with these?"""
