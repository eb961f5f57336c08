"""SARIF 2.1.0 for every check of the supply chain: one writer. Pure.

Source: OASIS SARIF v2.1.0. Code-scanning services read it and show each result at its place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Literal
from urllib.parse import quote

import msgspec

from sealwright import __version__
from sealwright.core.records import Json

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

Level = Literal["error", "warning", "note"]


class Rule(msgspec.Struct, frozen=True, order=True):
    """What results are of: an id, one sentence, and what mends it."""

    id: str
    what: str
    mend: str


class Result(msgspec.Struct, frozen=True):
    """One finding at one path. ``line`` and ``offset`` (bytes) are left out where they are none.

    ``fingerprint`` is equal for equal findings, so that a service can follow one over time.
    """

    rule: Rule
    level: Level
    message: str
    path: str
    line: int = 0
    offset: int = -1
    fingerprint: str = ""


def report(results: Iterable[Result]) -> Mapping[str, Json]:
    """The document, with the rules that its results name."""
    known = list(results)
    rules: list[Json] = [
        {"id": rule.id, "shortDescription": {"text": rule.what}, "help": {"text": rule.mend}}
        for rule in sorted({one.rule for one in known})
    ]
    driver: Json = {"name": "sealwright", "version": __version__, "rules": rules}
    found: list[Json] = [_result(one) for one in known]
    run: Json = {"tool": {"driver": driver}, "results": found}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def encode(results: Iterable[Result]) -> str:
    """The document as a file holds it."""
    return json.dumps(report(results), indent=1) + "\n"


def _result(one: Result) -> dict[str, Json]:
    uri = quote(os.fsencode(PurePath(one.path).as_posix()))
    place: dict[str, Json] = {"artifactLocation": {"uri": uri}}
    if one.line > 0:
        place["region"] = {"startLine": one.line}
    elif one.offset >= 0:
        place["region"] = {"byteOffset": one.offset, "byteLength": 1}
    out: dict[str, Json] = {
        "ruleId": one.rule.id,
        "level": one.level,
        "message": {"text": one.message},
        "locations": [{"physicalLocation": place}],
    }
    if one.fingerprint:
        out["partialFingerprints"] = {"sealwright/v1": one.fingerprint}
    return out
