"""The part of a policy set that speaks of access: rules, schema and views in ``policies/access``.

Their files are named ``access/…`` in the set, so that one activation covers everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from sealwright.core.errors import BadInput
from sealwright.policy import accessfacts, cedar, views
from sealwright.policy.views import Views

FOLDER = "access"
SCHEMA = f"{FOLDER}/access-v1.cedarschema"
VIEWS = f"{FOLDER}/data.toml"


class AccessRules(msgspec.Struct, frozen=True):
    """What decides who may do what; ``views`` hold purposes, row filters and masks."""

    engine: cedar.Engine
    views: Views


def is_access(name: str) -> bool:
    """Whether a file of a policy set is about access."""
    return name.startswith(f"{FOLDER}/")


def of_texts(texts: Mapping[str, str]) -> AccessRules | None:
    """The rules among a set's files; None where it has none, which denies.

    Raises: BadInput (file, rule and fault).
    """
    named = {name: text for name, text in texts.items() if is_access(name)}
    if not named:
        return None
    if odd := [n for n in named if n not in (SCHEMA, VIEWS) and not n.endswith(".cedar")]:
        raise BadInput(f"{odd[0]} is no file of a policy set")
    if SCHEMA not in named:
        raise BadInput(f"{SCHEMA} is missing", hint="seal policy write")
    rules = tuple(sorted((n, t) for n, t in named.items() if n.endswith(".cedar")))
    engine = cedar.load(rules, named[SCHEMA], accessfacts.words())
    return AccessRules(engine, views.parse(named.get(VIEWS, ""), VIEWS))


def shipped_names(profile: str) -> tuple[str, ...]:
    """The files that come with a profile."""
    return (f"{FOLDER}/always.cedar", f"{FOLDER}/{profile}.cedar", SCHEMA)


def read(directory: Path) -> Iterator[tuple[str, Path]]:
    """Name and path of every access file below ``policies/``."""
    folder = directory / FOLDER
    for path in sorted(folder.glob("*.cedar")):
        yield f"{FOLDER}/{path.name}", path
    for name in (SCHEMA, VIEWS):
        if (directory / name).exists():
            yield name, directory / name


def refuse_other_schema(texts: Mapping[str, str]) -> None:
    """The schema must be the one whose facts this version draws. Raises: BadInput."""
    if SCHEMA in texts and texts[SCHEMA] != accessfacts.schema():
        raise BadInput(
            f"policies/{SCHEMA} is not the schema of {accessfacts.VERSION}",
            why="rules are checked against the facts this version of Sealwright draws",
            hint=f"seal policy write --only {SCHEMA}",
        )
