"""Under which surroundings a project is built, and what builds leave. Imports next to nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

EPOCH = 1_577_836_800
"""SOURCE_DATE_EPOCH of every build: 2020-01-01, which a zip can hold."""


class Surroundings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a build sees around it. ``held`` builds have a fixed clock, seed and thread order."""

    held: bool = True
    later: bool = False
    reversed: bool = False
    elsewhere: bool = False
    seed: int = 0
    threads: Literal["serial", "late", "free"] = "serial"
    hash_seed: int = 0
    timezone: str = "UTC"
    locale: str = "C.UTF-8"
    umask: int = 0o022
    user: str = "ana"


FIRST = Surroundings(held=False, threads="free")
"""A build as anybody would do it."""

STILL = Surroundings()
"""Everything held; what the varied ones are compared with."""

VARIED: Mapping[str, Surroundings] = {
    "timestamps": Surroundings(later=True),
    "file-order": Surroundings(reversed=True),
    "build-path": Surroundings(elsewhere=True),
    "random": Surroundings(seed=1),
    "threads": Surroundings(threads="late"),
    "hash-seed": Surroundings(hash_seed=1),
    "timezone": Surroundings(timezone="XST-11:30"),
    "locale": Surroundings(locale="C"),
    "permissions": Surroundings(umask=0o027),
    "user": Surroundings(user="ben"),
}
"""A cause → the one thing that is changed to try it."""

HOLDABLE = tuple(cause for cause in VARIED if cause != "random")
"""What a builder may promise to keep as it is; randomness nobody can."""


def second(hold: Collection[str] = ()) -> Surroundings:
    """A build with everything around it changed, but for what is held."""
    changed = {
        field: getattr(around, field)
        for cause, around in VARIED.items()
        if cause in HOLDABLE and cause not in hold
        for field in Surroundings.__struct_fields__
        if getattr(around, field) != getattr(STILL, field)
    }
    return msgspec.structs.replace(FIRST, **changed)


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the jailed module builds, by name."""

    epoch: int
    builds: Mapping[str, Surroundings]
    seconds: int = 300


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tools there, each build's file, and the end of what a failed one said."""

    tools: Mapping[str, str]
    made: Mapping[str, str]
    failed: Mapping[str, str]
