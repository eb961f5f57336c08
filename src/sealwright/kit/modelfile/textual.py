"""Files that are text: JSON, notebooks, templates, boosters, and code no model loader runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from sealwright.kit.modelfile import keras, template
from sealwright.kit.modelfile.report import Found, Unsound

_CODE = re.compile(
    r"^#!|^\s*(?:import\s+\w|from\s+[\w.]+\s+import\s|def\s+\w+\s*\(|class\s+\w+.*:|lambda\b)"
    r"|<script\b|^#include\b|^\s*function\s+\w+\s*\(|\b(?:eval|exec|__import__)\s*\(",
    re.MULTILINE | re.IGNORECASE,
)
_DEPTH = 500


def decoded(data: bytes) -> str | None:
    """UTF-8 text without control characters, or None."""
    if b"\0" in data:
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if re.search(r"[\x00-\x08\x0e-\x1f\x7f]", text) else text


def judge(text: str, where: str) -> tuple[str, tuple[Found, ...]]:
    """The format of a text and what was found. Raises: Unsound."""
    bare = text.lstrip("\ufeff \t\r\n")
    if bare[:1] in ("{", "["):
        return _json(bare, where)
    if text.startswith("tree\nversion=v"):
        return "lightgbm", tuple(_lightgbm(text, where))
    if _CODE.search(text):
        return "code", (Found("code.text", "source code", where),)
    if template.is_template(text):
        template.vet(text)
        return "jinja", ()
    return "text", ()


def _json(text: str, where: str) -> tuple[str, tuple[Found, ...]]:
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise Unsound("json.broken", "it nests too deep") from error
    except ValueError as error:
        lines = text.splitlines()
        try:
            value = [json.loads(line) for line in lines if line.strip()]
        except (ValueError, RecursionError):
            if _CODE.search(text):
                return "code", (Found("code.text", "source code", where),)
            raise Unsound("json.broken", str(error)[:120]) from error
        return "jsonl", tuple(_keys(value, where))
    if isinstance(value, dict) and "cells" in value and "nbformat" in value:
        return "notebook", tuple(_notebook(value, where))
    if isinstance(value, dict) and "class_name" in value and "config" in value:
        return "keras-json", tuple(keras.judge(text, where))
    name = "xgboost-json" if isinstance(value, dict) and "learner" in value else "json"
    return name, tuple(_keys(value, where))


def _notebook(value: dict[str, Any], where: str) -> Iterator[Found]:
    cells = value["cells"] if isinstance(value["cells"], list) else []
    code = [cell for cell in cells if isinstance(cell, dict) and cell.get("cell_type") == "code"]
    outputs = sum(len(cell.get("outputs") or ()) for cell in code)
    yield Found("code.notebook", f"{len(code)} cells of code, {outputs} outputs", where)


def _keys(value: Any, where: str) -> Iterator[Found]:
    """Keys by which a loader is told to import code or to run a template."""
    ahead, count = [(value, 0)], 0
    while ahead:
        one, depth = ahead.pop()
        count += 1
        if depth > _DEPTH:
            raise Unsound("json.broken", f"it nests more than {_DEPTH} deep")
        if isinstance(one, list):
            ahead += [(inner, depth + 1) for inner in one if isinstance(inner, list | dict)]
        elif isinstance(one, dict):
            if one.get("auto_map") or one.get("trust_remote_code") is True:
                yield Found("code.auto-map", "its loader is told to import code", where)
            for text in _templates(one.get("chat_template")):
                template.vet(text)
            ahead += [
                (inner, depth + 1) for inner in one.values() if isinstance(inner, list | dict)
            ]


def _templates(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            if isinstance(one, dict) and isinstance(one.get("template"), str):
                yield one["template"]


def _lightgbm(text: str, where: str) -> Iterator[Found]:
    for line in text.splitlines():
        plain = "=" in line or line.startswith(
            ("Tree=", "tree", "end of", "feature_", "param", "[")
        )
        if line and not plain and line != "pandas_categorical:null":
            yield Found("booster.broken", f"the line {line[:40]!r}", where)
            return
