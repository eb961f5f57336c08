"""What is installed for an interpreter, read off the disk: names, versions, RECORD digests.

Nothing is imported. A package's digest covers the rows of its RECORD that are the same wherever
the same wheel is installed, so two machines with equal packages agree. It says what was
installed, not whether the files are still that.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

from sealwright.core import digest
from sealwright.core.digest import Digest

_LOCAL_ROW = re.compile(rb"\.dist-info/(INSTALLER|REQUESTED|direct_url\.json|RECORD),")
_NORMAL = re.compile(r"[-_.]+")
_EGG = re.compile(r"-py\d(\.\d+)*$")


class Package(msgspec.Struct, frozen=True, forbid_unknown_fields=True, order=True):
    """One distribution. ``by`` says what ``sha256`` covers: its RECORD, only its METADATA (or
    the name of its conda build), or the source files it is imported from (``tree``)."""

    name: str
    version: str
    sha256: Digest
    by: Literal["record", "metadata", "tree"] = "record"


class Installed(msgspec.Struct, frozen=True):
    """What a list of site directories holds.

    ``paths`` are directories outside them that ``.pth`` files or links put in reach;
    ``editable`` maps a package to the source directories or files it is imported from;
    ``starts`` names the ``.pth`` files that run code of their own whenever Python starts.
    """

    packages: tuple[Package, ...]
    paths: tuple[Path, ...] = ()
    editable: tuple[tuple[str, tuple[Path, ...]], ...] = ()
    starts: tuple[str, ...] = ()
    blas: tuple[str, ...] = ()


def read(sites: Iterable[Path], prefix: Path | None = None) -> Installed:
    """List the distributions in ``sites``; the first of a name wins, as for an import.

    ``prefix`` is looked into for conda's own packages, which are not all Python.
    """
    found: dict[str, Package] = {}
    editable: dict[str, tuple[Path, ...]] = {}
    paths: list[Path] = []
    starts: list[str] = []
    blas: set[str] = set()
    for site in sites:
        for entry in _entries(site):
            if entry.name.endswith((".dist-info", ".egg-info")):
                here = Path(entry.path)
                package = _package(here)
                if package.name not in found:
                    found[package.name] = package
                    if sources := _editable_sources(here):
                        editable[package.name] = sources
            elif entry.name.endswith(".pth"):
                more, runs = _pth(Path(entry.path))
                paths += more
                starts += [entry.name] if runs else []
            elif entry.name.endswith(".libs"):
                blas.update(_blas(Path(entry.path)))
            elif entry.is_symlink():
                paths.append(Path(entry.path).resolve())
    for package in _conda(prefix) if prefix else ():
        found[package.name] = package
    owned = {source for sources in editable.values() for source in sources}
    return Installed(
        tuple(found[name] for name in sorted(found)),
        tuple(path for path in dict.fromkeys(paths) if path not in owned),
        tuple(sorted(editable.items())),
        tuple(sorted(set(starts))),
        tuple(sorted(blas)),
    )


def _entries(site: Path) -> list[os.DirEntry[str]]:
    with os.scandir(site) as listing:
        return sorted(listing, key=lambda entry: entry.name)


def _package(info: Path) -> Package:
    kind = info.suffix
    stem = info.name[: -len(kind)]
    if kind == ".egg-info":
        stem = _EGG.sub("", stem)
    name, _, version = stem.rpartition("-")
    if not name:
        name, version = stem, ""
    record = info / "RECORD"
    if kind == ".dist-info" and record.is_file():
        return Package(_normal(name), version, _record_digest(record.read_bytes()))
    for described in (info / "METADATA", info / "PKG-INFO", info):
        if described.is_file():
            return Package(_normal(name), version, digest.of_file(described), "metadata")
    return Package(_normal(name), version, digest.of_bytes(stem.encode()), "metadata")


def _record_digest(record: bytes) -> Digest:
    """SHA-256 over the sorted rows that do not depend on where or how it was installed."""
    rows = [
        row
        for row in record.splitlines()
        if row[:3] != b"../"
        and row[:1] != b"/"
        and row[-2:] != b",,"
        and b".pyc," not in row
        and not (b".dist-info/" in row and _LOCAL_ROW.search(row))
    ]
    rows.sort()
    return digest.of_bytes(b"\n".join(rows))


def _editable_sources(info: Path) -> tuple[Path, ...]:
    """Where an editable install (PEP 610) is imported from; empty for any other."""
    try:
        url = json.loads((info / "direct_url.json").read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return ()
    if not isinstance(url, dict) or not (url.get("dir_info") or {}).get("editable"):
        return ()
    found: list[Path] = []
    record = info / "RECORD"
    rows = record.read_text("utf-8").splitlines() if record.is_file() else []
    for row in rows:
        name = row.split(",", 1)[0]
        if "/" not in name and name.endswith(".pth"):
            found += _pth(info.parent / name)[0]
        elif "/" not in name and name.endswith("_finder.py"):
            found += _finder(info.parent / name)
    return tuple(found) or (Path(unquote(urlsplit(str(url.get("url", ""))).path)),)


def _pth(path: Path) -> tuple[list[Path], bool]:
    """The directories a ``.pth`` file adds, and whether it also runs code (site's rules)."""
    try:
        text = path.read_text("utf-8-sig", errors="surrogateescape")
    except FileNotFoundError:
        return [], False
    lines = [line.rstrip() for line in text.splitlines()]
    runs = any(line.startswith(("import ", "import\t")) for line in lines)
    wanted = [line for line in lines if line and not line.startswith(("#", "import ", "import\t"))]
    here = [Path(os.path.normpath(path.parent / line)) for line in wanted]
    return [folder for folder in here if folder.exists()], runs


def _finder(module: Path) -> list[Path]:
    """The paths in a setuptools editable finder's MAPPING, read and not run."""
    try:
        body = ast.parse(module.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return []
    found = []
    for node in body:
        if isinstance(node, ast.AnnAssign | ast.Assign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(name, ast.Name) and name.id == "MAPPING" for name in targets):
                try:
                    mapping = ast.literal_eval(node.value)
                except ValueError:
                    continue
                found += [Path(str(place)) for place in mapping.values()]
    return [real for place in found for real in _module_files(place)]


def _module_files(place: Path) -> list[Path]:
    return [place] if place.exists() else sorted(place.parent.glob(f"{place.name}.*"))


def _blas(libraries: Path) -> Iterator[str]:
    for entry in _entries(libraries):
        if any(word in entry.name for word in ("openblas", "mkl", "blis", "atlas")):
            yield entry.name


def _conda(prefix: Path) -> Iterator[Package]:
    for row in sorted(prefix.glob("conda-meta/*.json")):
        name, version, build = [*row.stem.rsplit("-", 2), "", ""][:3]
        key = f"conda:{_normal(name)}"
        seal = digest.of_bytes(row.stem.encode())
        yield Package(key, f"{version}-{build}", seal, "metadata")


def _normal(name: str) -> str:
    return _NORMAL.sub("-", name).lower()
