"""Which distributions the code can reach: by its import statements, and by what those require.

Nothing is imported: sources are parsed, metadata is read. ``no`` is said only of a
distribution that neither the code nor anything it imports names. Pure.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec
from packaging.requirements import InvalidRequirement, Requirement

from sealwright.supply.osv import normal

Reached = Literal["yes", "no", "unknown"]
_DYNAMIC = frozenset({"__import__", "import_module", "exec", "eval", "run_path", "run_module"})


class Distribution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One installed distribution: the top-level modules it brings, what it requires."""

    name: str
    modules: tuple[str, ...]
    requires: tuple[str, ...]


class Imports(msgspec.Struct, frozen=True):
    """Top-level modules that sources import. ``open_ended``: some of it is decided as it runs."""

    modules: frozenset[str]
    open_ended: bool


def imports(sources: Iterable[bytes]) -> Imports:
    """What Python sources import by name. One that cannot be parsed leaves it open-ended."""
    modules: set[str] = set()
    open_ended = False
    for source in sources:
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            open_ended = True
            continue
        for node in ast.walk(tree):
            modules.update(_named(node))
            open_ended = open_ended or _is_dynamic(node)
    return Imports(frozenset(modules), open_ended)


def reach(found: Imports, installed: Sequence[Distribution]) -> Mapping[str, Reached]:
    """For every distribution: imported by name, perhaps by what is, or out of reach."""
    by_name = {normal(one.name): one for one in installed}
    direct = {name for name, one in by_name.items() if found.modules.intersection(one.modules)}
    beyond = set(direct)
    waiting = list(direct)
    while waiting:
        for name in _required(by_name[waiting.pop()]):
            if name in by_name and name not in beyond:
                beyond.add(name)
                waiting.append(name)
    out: dict[str, Reached] = {}
    for name in by_name:
        if name in direct:
            out[name] = "yes"
        else:
            out[name] = "unknown" if name in beyond or found.open_ended else "no"
    return out


def _named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module.partition(".")[0]


def _is_dynamic(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = node.func
    name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
    return name in _DYNAMIC and not (name == "eval" and isinstance(called, ast.Attribute))


def _required(one: Distribution) -> Iterator[str]:
    for text in one.requires:
        try:
            yield normal(Requirement(text).name)
        except InvalidRequirement:
            continue
