"""A contract from a pandera schema, as ``to_yaml`` or ``to_json`` wrote it. No code is run.

What has no counterpart here is refused by name, never dropped in silence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import msgspec

from sealwright.core.errors import BadInput, MissingExtra
from sealwright.intake.contract import Bound, ColumnRule, ColumnType, Contract

_TYPES: Mapping[str, ColumnType] = {
    "int": "int",
    "uint": "int",
    "float": "float",
    "bool": "bool",
    "boolean": "bool",
    "str": "string",
    "string": "string",
    "object": "any",
    "category": "string",
    "datetime": "time",
    "date": "time",
}


_NOT_CHECKS = frozenset(
    {
        "title",
        "description",
        "dtype",
        "nullable",
        "unique",
        "coerce",
        "required",
        "regex",
        "checks",
        "metadata",
        "default",
        "report_duplicates",
        "drop_invalid_rows",
    }
)
_FRAME = frozenset(
    {
        "schema_type",
        "version",
        "api",
        "columns",
        "checks",
        "index",
        "coerce",
        "strict",
        "name",
        "ordered",
        "unique",
        "report_duplicates",
        "unique_column_names",
        "add_missing_columns",
        "title",
        "description",
    }
)


def read(data: bytes, where: str, name: str) -> Contract:
    """The contract called ``name``. Raises: BadInput (what cannot be said here), MissingExtra."""
    tree = _tree(data, where)
    if not isinstance(tree, dict) or tree.get("schema_type") != "dataframe":
        raise BadInput(
            f"{where} is no pandera schema",
            why='"schema_type": "dataframe" is wanted, as schema.to_json() and to_yaml() write',
            hint="schema.to_json('schema.json')",
        )
    problems = list(_unsaid(tree))
    columns: dict[str, ColumnRule] = {}
    for column, said in (tree.get("columns") or {}).items():
        made, unsaid = _column(str(column), said if isinstance(said, dict) else {})
        columns[str(column)] = made
        problems += unsaid
    unique = tree.get("unique") or []
    if isinstance(unique, str):
        unique = [unique]
    if len(unique) == 1 and unique[0] in columns:
        columns[unique[0]] = msgspec.structs.replace(columns[unique[0]], unique=True)
    elif unique:
        problems.append("unique over several columns together")
    if problems:
        raise BadInput(
            f"{where} says what a contract cannot",
            why="; ".join(problems),
            hint="take it out of the schema, and write it as a rule in the contract",
        )
    extra = "refuse" if tree.get("strict") is True else "allow"
    return Contract(name=name, columns=columns, extra_columns=extra)  # type: ignore[arg-type]


def _tree(data: bytes, where: str) -> Any:
    try:
        if data.lstrip()[:1] == b"{":
            return json.loads(data)
        return _yaml(data, where)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where} cannot be read", why=str(error)[:300]) from error


def _yaml(data: bytes, where: str) -> Any:
    try:
        yaml = import_module("yaml")
    except ImportError as error:
        raise MissingExtra("reading a pandera schema in YAML", "advisories") from error
    try:
        return yaml.safe_load(data)
    except yaml.YAMLError as error:
        raise BadInput(f"{where} is not YAML", why=str(error)[:300]) from error


def _unsaid(tree: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{key}" for key, value in tree.items() if key not in _FRAME and value is not None)
    if tree.get("checks"):
        yield "checks over the whole frame"
    if tree.get("strict") == "filter":
        yield "strict = 'filter'"
    if any(isinstance(each, dict) and each.get("checks") for each in tree.get("index") or ()):
        yield "checks on the index"


def _column(name: str, said: Mapping[str, Any]) -> tuple[ColumnRule, list[str]]:
    kind, problems = _type(name, said.get("dtype"))
    if said.get("regex"):
        problems.append(f"column {name!r}: names by regex")
    more: dict[str, Any] = {}
    inline = {key: value for key, value in said.items() if key not in _NOT_CHECKS}
    for check, options in (*inline.items(), *_checks(said.get("checks"))):
        if (made := _check(check, options, kind)) is None:
            problems.append(f"column {name!r}: check {check}")
        else:
            more.update(made)
    rule = ColumnRule(
        type=kind,
        required=said.get("required", True) is not False,
        nulls=1 if said.get("nullable") else 0,
        unique=bool(said.get("unique")),
        **more,
    )
    return rule, problems


def _type(name: str, dtype: object) -> tuple[ColumnType, list[str]]:
    if dtype is None:
        return "any", []
    word = str(dtype).lower().removeprefix("numpy.").split("[")[0].rstrip("0123456789")
    kind = _TYPES.get(word)
    return (kind, []) if kind else ("any", [f"column {name!r}: dtype {dtype}"])


def _checks(given: object) -> Iterator[tuple[str, Any]]:
    """``{check: value}`` of older pandera; ``[{options: {check_name: …}, …}]`` of newer."""
    if isinstance(given, dict):
        for check, options in given.items():
            inner = options
            if isinstance(options, dict) and "options" in options:
                inner = {k: v for k, v in options.items() if k != "options"}
                inner = inner.get("value", inner)
            yield str(check), inner
    for each in given if isinstance(given, list) else ():
        options = dict(each) if isinstance(each, dict) else {}
        about = options.pop("options", {})
        check = str(about.get("check_name", "?")) if isinstance(about, dict) else "?"
        yield check, options.get("value", options)


def _check(check: str, value: Any, kind: ColumnType) -> dict[str, Any] | None:
    """The members of a column rule that say the same, or None."""
    whole = kind == "int" and isinstance(value, int)
    if check in ("greater_than_or_equal_to", "ge") and _bound(value):
        return {"min": value}
    if check in ("less_than_or_equal_to", "le") and _bound(value):
        return {"max": value}
    if check in ("greater_than", "gt") and whole:
        return {"min": value + 1}
    if check in ("less_than", "lt") and whole:
        return {"max": value - 1}
    if isinstance(value, dict):
        return _check_of(check, value, kind)
    if check == "isin" and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return {"categories": tuple(value)}
    return None


def _check_of(check: str, value: dict[str, Any], kind: ColumnType) -> dict[str, Any] | None:
    low, high = value.get("min_value"), value.get("max_value")
    if check in ("in_range", "between"):
        closed = value.get("include_min", True) is True and value.get("include_max", True) is True
        return {"min": low, "max": high} if closed and _bound(low) and _bound(high) else None
    if check == "isin" and isinstance(value.get("allowed_values"), list):
        return _check(check, value["allowed_values"], kind)
    if check == "str_length" and not low and isinstance(high, int):
        return {"max_length": high}
    return None


def _bound(value: object) -> bool:
    fits: Bound | object = value
    return isinstance(fits, int | float) and not isinstance(fits, bool)
