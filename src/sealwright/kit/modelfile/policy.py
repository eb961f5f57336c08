"""Which names a pickle may use, and how. One object serves the scan and the loader.

Exact (module, name) pairs; a name with a dot in it is never allowed. A use is a letter: ``i``
may be named, ``c`` called, ``n`` made without ``__init__`` and given its state, ``b`` given its
state after a call, ``f`` filled as a list, set or mapping. What is not listed is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Literal

import msgspec

from sealwright.core.digest import Digest, of_bytes

Level = Literal["weights", "framework", "project"]
Pair = tuple[str, str]

_ORDER: tuple[Level, ...] = ("weights", "framework", "project")
_TABLES = ("stdlib", "torch", "values", "numpy", "sklearn", "joblib", "boosters")
_USES = frozenset("icnbf")


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One shipped data file: the pairs of one library at one version.

    ``aliases`` are older spellings of a module (or of all modules below it).
    """

    library: str
    level: Level
    version: str
    aliases: Mapping[str, str]
    pairs: Mapping[str, Mapping[str, str]]


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A class that a team signed: its name and the SHA-256 of the source that defines it."""

    module: str
    name: str
    source: Digest


class Policy(msgspec.Struct, frozen=True):
    """``uses`` by pair, old spellings already among them; ``real`` is what a spelling means."""

    level: Level
    uses: Mapping[Pair, str]
    real: Mapping[Pair, Pair]
    libraries: frozenset[str]
    digest: Digest
    signed: tuple[Signed, ...] = ()

    def uses_of(self, module: str, name: str) -> str:
        """The letters allowed for a pair; none where it is not listed."""
        return "" if "." in name else self.uses.get((module, name), "")

    def canonical(self, module: str, name: str) -> Pair:
        """The pair as the libraries of today spell it."""
        return self.real.get((module, name), (module, name))

    def knows(self, module: str) -> bool:
        """Is the module of a library whose names were gone through? Then leaving out is a no."""
        top = module.partition(".")[0]
        return top in self.libraries or top in sys.stdlib_module_names or top in _OLD_NAMES


_OLD_NAMES = frozenset({"__builtin__", "copy_reg", "posix", "nt", "commands"})


@cache
def tables() -> tuple[Table, ...]:
    """The shipped tables, in order."""
    folder = resources.files("sealwright.kit.modelfile") / "tables"
    return tuple(
        msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=Table) for name in _TABLES
    )


def policy_of(level: Level = "framework", signed: Iterable[Signed] = ()) -> Policy:
    """The policy of a level. ``signed`` classes count at level ``project`` and nowhere else."""
    classes = tuple(sorted(signed, key=lambda one: (one.module, one.name)))
    return _policy(level, classes if level == "project" else ())


@cache
def _policy(level: Level, signed: tuple[Signed, ...]) -> Policy:
    uses: dict[Pair, str] = {}
    real: dict[Pair, Pair] = {}
    taken = [one for one in tables() if _ORDER.index(one.level) <= _ORDER.index(level)]
    for table in taken:
        for module, names in table.pairs.items():
            for name, letters in names.items():
                _add(uses, real, (module, name), letters, table.aliases)
    for one in signed:
        _add(uses, real, (one.module, one.name), "icnbf", {})
    text = msgspec.json.encode(
        [level, sorted((*pair, letters) for pair, letters in uses.items()), signed]
    )
    tops = {module.partition(".")[0] for one in tables() for module in one.pairs}
    return Policy(level, uses, real, frozenset(tops), of_bytes(text), signed)


def _add(
    uses: dict[Pair, str],
    real: dict[Pair, Pair],
    pair: Pair,
    letters: str,
    aliases: Mapping[str, str],
) -> None:
    if not letters or set(letters) - _USES:
        raise ValueError(f"{pair}: {letters!r} is no use")
    uses[pair] = "".join(sorted(set(uses.get(pair, "")) | set(letters)))
    module, name = pair
    if pair == _RANGE:
        uses[_XRANGE], real[_XRANGE] = uses[pair], pair
    for old, new in (*aliases.items(), *_ALWAYS.items()):
        if module == new or module.startswith(new + "."):
            spelt = (old + module[len(new) :], name)
            uses[spelt], real[spelt] = uses[pair], pair


_RANGE, _XRANGE = ("builtins", "range"), ("__builtin__", "xrange")
_ALWAYS = {"__builtin__": "builtins", "copy_reg": "copyreg"}
