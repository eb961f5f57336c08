"""Purposes, row filters and column masks: ``policies/access/data.toml``, part of the policy set.

Source: ``docs/spec/access-v1.md``, "Purposes" and "Views".
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from sealwright.core.errors import BadInput
from sealwright.core.records import Artifact
from sealwright.evidence.lineage import Graph
from sealwright.policy.roles import checked_roles

Mask = Literal["drop", "null", "hash", "last4"]
Operator = Literal["==", "!=", "<", "<=", ">", ">="]
_ROW = re.compile(r"(?P<column>[^<>=!]+?)\s*(?P<operator>==|!=|<=|>=|<|>)\s*(?P<value>.+)")


class Condition(msgspec.Struct, frozen=True):
    """``column operator value``; a row where the column is null does not meet it."""

    column: str
    operator: Operator
    value: str | int | bool


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[[view]]``: what holders of ``roles`` (``*``: everybody) see of a dataset."""

    data: str
    roles: list[str]
    rows: list[str] = msgspec.field(default_factory=list)
    columns: dict[str, Mask] = msgspec.field(default_factory=dict)


class Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[data.NAME]``: what a dataset may be used for."""

    purposes: list[str]


class Views(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. ``data`` maps a dataset's name to its purposes."""

    data: dict[str, Declared] = msgspec.field(default_factory=dict)
    view: list[Rule] = msgspec.field(default_factory=list)

    def declares(self, artifact: Artifact) -> frozenset[str] | None:
        """The purposes written for a dataset, None where any will do."""
        kind, _, rest = artifact.name.partition(":")
        declared = self.data.get(rest.partition("@")[0]) if kind == "data" else None
        return frozenset(declared.purposes) if declared else None


class View(msgspec.Struct, frozen=True):
    """What one reader sees: rows that meet every condition, and columns under a mask."""

    rows: tuple[Condition, ...] = ()
    columns: Mapping[str, Mask] = msgspec.field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether nothing is held back."""
        return not self.rows and not self.columns


def parse(text: str, where: str) -> Views:
    """Raises: BadInput naming the file and the fault."""
    try:
        views = msgspec.convert(tomllib.loads(text), Views)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadInput(f"{where} cannot be read", why=str(error)) from error
    for rule in views.view:
        checked_roles([role for role in rule.roles if role != "*"], empty="*" in rule.roles)
        for row in rule.rows:
            condition(row)
    return views


def condition(text: str) -> Condition:
    """``age >= 18``, ``region == "EU"``, ``adult == true``. Raises: BadInput."""
    match = _ROW.fullmatch(text.strip())
    if not match:
        raise BadInput(f"{text!r} is no row filter", hint='write: region == "EU"')
    try:
        value = tomllib.loads(f"value = {match['value']}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{text!r} compares with no value", why=str(error)) from error
    if not isinstance(value, str | int | bool):
        raise BadInput(f"{text!r} compares with {type(value).__name__}", why="text, integer, bool")
    return msgspec.convert(
        {"column": match["column"].strip(), "operator": match["operator"], "value": value},
        Condition,
    )


def view_of(views: Views, dataset: str, roles: Sequence[str]) -> View:
    """What holders of ``roles`` see of ``dataset`` (a name): every rule that names one binds.

    Where two rules mask a column differently, the one that shows less wins.
    """
    rows: list[Condition] = []
    columns: dict[str, Mask] = {}
    for rule in views.view:
        if rule.data != dataset or not {"*", *roles} & set(rule.roles):
            continue
        rows += [condition(text) for text in rule.rows]
        for column, mask in rule.columns.items():
            columns[column] = min(columns.get(column, mask), mask, key=_LESS.index)
    return View(tuple(rows), columns)


def purposes_of(artifacts: Iterable[Artifact], views: Views, graph: Graph) -> frozenset[str] | None:
    """What the artifacts may be used for together: the intersection over all they come from.

    None where nothing they come from is limited; empty where nothing is left.
    """
    left: frozenset[str] | None = None
    for artifact in artifacts:
        for source in (artifact, *graph.ancestors(artifact.digest)):
            declared = views.declares(source)
            if declared is not None:
                left = declared if left is None else left & declared
    return left


_LESS: tuple[Mask, ...] = ("drop", "null", "hash", "last4")
