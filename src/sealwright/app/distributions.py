"""What is installed for a run, read off the disk and held against what the run was sealed with.

Nothing is imported. A distribution that is no longer what the run used is told by its digest,
and then nothing more is said of it than the evidence holds.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import Distribution as Metadata
from importlib.metadata import DistributionFinder, MetadataPathFinder
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import msgspec

from sealwright.core.digest import Digest
from sealwright.supply import licence
from sealwright.supply.licence import Licence
from sealwright.supply.osv import normal
from sealwright.train.environment import Environment

_NATIVE = (".so", ".pyd", ".dylib", ".dll")


class Described(msgspec.Struct, frozen=True):
    """One distribution: its licence, origin, requirements, modules and native libraries."""

    name: str
    version: str
    licence: Licence
    origin: str
    requires: tuple[str, ...]
    modules: tuple[str, ...]
    natives: tuple[tuple[str, Digest], ...]
    record: frozenset[str]


def describe(environment: Environment) -> dict[str, Described]:
    """Everything in the environment's package folders, by normal name; the first one wins."""
    found: dict[str, Described] = {}
    for distribution in _distributions(sites(environment)):
        name = normal(str(distribution.metadata["Name"] or ""))
        if name and name not in found:
            found[name] = _described(name, distribution)
    return found


def sites(environment: Environment) -> list[str]:
    """The package folders of the interpreter behind an environment."""
    python = environment.interpreter
    return [site for site in (*python.sites, python.user_site) if site] if python else []


def owners(
    files: Iterable[str], described: Mapping[str, Described], folders: Sequence[str]
) -> tuple[frozenset[str], tuple[str, ...]]:
    """Which distributions imported files belong to, and those in the folders that none owns.

    Files elsewhere (the project, the standard library) are nobody's and not listed.
    """
    by_module: dict[str, list[str]] = {}
    for name, one in described.items():
        for module in one.modules:
            by_module.setdefault(module, []).append(name)
    used: set[str] = set()
    stray: list[str] = []
    for file in files:
        folder = next((f for f in folders if file.startswith(f.rstrip("/") + "/")), "")
        if not folder:
            continue
        inner = file[len(folder.rstrip("/")) + 1 :]
        candidates = by_module.get(inner.split("/")[0].split(".")[0], [])
        exact = [name for name in candidates if inner in described[name].record]
        if exact or len(candidates) == 1:
            used.update(exact or candidates)
        elif not inner.split("/")[0].endswith((".libs", ".pth")):
            stray.append(inner)
    return frozenset(used), tuple(sorted(stray))


def _distributions(folders: Sequence[str]) -> Iterator[Metadata]:
    yield from MetadataPathFinder.find_distributions(DistributionFinder.Context(path=list(folders)))


def _described(name: str, found: Metadata) -> Described:
    meta = found.metadata
    natives, record, modules = [], set(), set((found.read_text("top_level.txt") or "").split())
    for file in found.files or ():
        path = str(file)
        record.add(path)
        first = file.parts[0]
        if first == ".." or first.endswith((".dist-info", ".data", ".egg-info", ".libs")):
            inside = first.endswith(".libs")
        else:
            inside = True
            modules.add(first.partition(".")[0] if len(file.parts) == 1 else first)
        if inside and (path.endswith(_NATIVE) or ".so." in file.name) and file.hash:
            natives.append((path, _hex(file.hash.mode, file.hash.value)))
    return Described(
        name,
        str(meta["Version"] or ""),
        licence.of(
            str(meta["License-Expression"] or ""),
            [str(line) for line in meta.get_all("Classifier") or ()],
            str(meta["License"] or ""),
        ),
        _origin(found),
        tuple(found.requires or ()),
        tuple(sorted(modules)),
        tuple(sorted(natives)),
        frozenset(record),
    )


def _hex(mode: str, value: str) -> Digest:
    """RECORD's own digest of a file, in hex; empty where it is of another kind."""
    if mode != "sha256":
        return ""
    try:
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()
    except (binascii.Error, ValueError):
        return ""


def _origin(found: Metadata) -> str:
    """Where it was installed from; an address without the user and password in it."""
    text = found.read_text("direct_url.json")
    if text:
        try:
            parts = urlsplit(str(json.loads(text).get("url", "")))
        except (ValueError, AttributeError):
            return "unknown"
        if parts.scheme == "file":
            return f"file:{Path(parts.path).name}"
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, "", "")) or "unknown"
    installer = (found.read_text("INSTALLER") or "").strip()
    return f"package index, by {installer}" if installer else "unknown"
