"""Where advisories come from: folders, zips and https addresses, all of OSV records."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sealwright.core.errors import BadInput, MissingExtra, Unavailable
from sealwright.core.reading import open_plain
from sealwright.supply import ecosystem, index, osv
from sealwright.supply.index import Index
from sealwright.supply.osv import Advisory

_RECORD_BYTES = 4 << 20
_SOURCE_BYTES = 512 << 20
_UNPACKED_BYTES = 4 << 30
_RECORDS = 500_000
_TIMEOUT_S = 60.0


def read(
    sources: Sequence[str],
    attribution: str = "",
    exploited: Path | None = None,
    ecosystems: Sequence[str] = (),
) -> Index:
    """An index of everything in ``sources`` that speaks of PyPI, or of ``ecosystems``.

    A record that cannot be read is listed in ``skipped``. One that two sources hold alike counts
    once. Raises: BadInput, Unavailable, MissingExtra (YAML without its reader).
    """
    asked = ecosystem.checked(tuple(ecosystems))
    advisories: list[Advisory] = []
    skipped: list[str] = []
    for source in sources:
        known = {one.id: one for one in advisories}
        for name, data in _records(source):
            try:
                advisory = osv.parse(_decoded(name, data), name, asked)
            except BadInput:
                skipped.append(name)
                continue
            if advisory.affected and known.get(advisory.id) != advisory:
                advisories.append(advisory)
    shown = " and ".join(
        source if source.startswith("https://") else Path(source).name for source in sources
    )
    return index.build(advisories, shown, attribution, skipped, _exploited(exploited))


def _records(source: str) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every JSON or YAML file."""
    if source.startswith("https://"):
        yield from _zipped(io.BytesIO(_fetched(source)), source)
        return
    if "://" in source:
        raise BadInput(f"{source} is no https address", hint="--from DIR, ZIP or https://…")
    path = Path(source)
    if path.is_dir():
        yield from _folder(path)
    elif zipfile.is_zipfile(path):
        with open_plain(path) as stream:
            yield from _zipped(stream, path.name)
    else:
        raise BadInput(
            f"{source} is neither a folder nor a zip of advisories",
            hint="seal supply advisories update --from DIR|ZIP|URL",
        )


def _folder(root: Path) -> Iterator[tuple[str, bytes]]:
    count = 0
    for here, folders, files in os.walk(root, followlinks=False):
        folders.sort()
        for name in sorted(files):
            path = Path(here) / name
            if not _is_record(name) or path.is_symlink():
                continue
            count += 1
            if count > _RECORDS:
                raise BadInput(f"{root} holds more than {_RECORDS:,} records")
            with open_plain(path) as stream:
                yield str(path.relative_to(root)), stream.read(_RECORD_BYTES + 1)


def _zipped(stream: Any, shown: str) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = [one for one in archive.infolist() if _is_record(one.filename)]
            if len(entries) > _RECORDS or sum(e.file_size for e in entries) > _UNPACKED_BYTES:
                raise BadInput(f"{shown} unpacks to more than advisories would")
            for entry in sorted(entries, key=lambda one: one.filename):
                with archive.open(entry) as member:
                    yield entry.filename, member.read(_RECORD_BYTES + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise BadInput(f"{shown} is no zip that can be read", why=str(error)) from error


def _is_record(name: str) -> bool:
    return name.endswith((".json", ".yaml", ".yml")) and not name.rpartition("/")[2].startswith(".")


def _decoded(name: str, data: bytes) -> object:
    if len(data) > _RECORD_BYTES:
        raise BadInput(f"{name} is too large for an advisory")
    try:
        if name.endswith(".json"):
            return json.loads(data)
        return _yaml(data)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name} cannot be parsed", why=str(error)[:200]) from error


def _yaml(data: bytes) -> object:
    """Plain data only: the safe loader makes no object but texts, numbers, lists, mappings."""
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra("reading advisories in YAML", "advisories") from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(data, Loader=loader)  # noqa: S506 - a safe loader, the fast one
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _fetched(address: str) -> bytes:
    """The bytes behind an address that the user typed; nothing else is ever asked for."""
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - https
            data: bytes = answer.read(_SOURCE_BYTES + 1)
    except (urllib.error.URLError, OSError) as error:
        raise Unavailable(
            f"{address} cannot be fetched",
            why=str(error),
            hint="fetch it elsewhere, then: seal supply advisories update --from FILE.zip",
        ) from error
    if len(data) > _SOURCE_BYTES:
        raise BadInput(f"{address} is larger than advisories would be")
    return data


def _exploited(path: Path | None) -> tuple[str, ...]:
    """The ids of a catalogue of known exploitation (CISA's JSON form)."""
    if path is None:
        return ()
    try:
        with open_plain(path) as stream:
            document = json.loads(stream.read(64 << 20))
        return tuple(str(one["cveID"]) for one in document["vulnerabilities"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is no catalogue of exploited vulnerabilities") from error
