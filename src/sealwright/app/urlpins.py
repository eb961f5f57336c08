"""The URLs that a dataset was fetched from, pinned over its versions. The log holds counts and
the digest of the pins; the URLs themselves are kept encrypted."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import msgspec

from sealwright.core import clock, digest
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, Refused, VerifyError
from sealwright.core.ports import StoredFile
from sealwright.core.predicates import URL_PINS
from sealwright.core.reading import small_file
from sealwright.core.records import Recorded, Statement
from sealwright.evidence.history import History
from sealwright.intake import urls
from sealwright.intake.urls import Pinned, Pins
from sealwright.intake.versions import Dataset, scope_of

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace


def check(workspace: Workspace, name: str, path: str, listed: str, *, repin: bool) -> Pinned | None:
    """Before anything is added: hold the list against what was seen. None where there is none.

    Raises: Refused (``urls.changed``, ``urls.not-as-listed``; ``urls.no-list``: earlier versions
    had one), BadInput, VerifyError.
    """
    before = _newest(workspace.history(), name)
    if not listed:
        if before is not None:
            raise Refused(
                f"data:{name} was fetched from URLs, and this version names none",
                why=f"{before.statement.predicate.get('pinned')} are pinned (entry {before.index})",
                hint="repeat the command with --urls LIST.csv",
                rule="urls.no-list",
            )
        return None
    folder = Path(path)
    if repin and before is None:
        raise BadInput("nothing was pinned yet", hint="leave --repin out")

    def hash_of(relpath: str) -> Digest:
        file = folder / relpath
        if not file.resolve().is_relative_to(folder.resolve()) or not file.is_file():
            raise BadInput(f"{listed} names {relpath}, which is no file of {path}")
        return digest.of_file(file)

    return urls.take(
        urls.read_list(small_file(Path(listed)), listed),
        hash_of,
        _read(workspace, name, before) if before else urls.none(),
        now=clock.stamp(workspace.clock()),
        repin=repin,
    )


def record(workspace: Workspace, dataset: Dataset, pinned: Pinned, reason: str) -> None:
    """Keep the pins, and say so of the version that was just added."""
    data = urls.encode(pinned.pins)
    stored = workspace.store.put(dataset.scope, cast("BinaryIO", io.BytesIO(data)))
    predicate: dict[str, Any] = {
        "dataset": dataset.name,
        "version": dataset.version,
        "listed": pinned.listed,
        "new": pinned.new,
        "changed": pinned.changed,
        "pinned": len(pinned.pins.urls),
        "pins": msgspec.to_builtins(stored),
        "actor": workspace.principal.name,
        "reason": reason,
        "time": clock.stamp(workspace.clock()),
    }
    workspace.recorder.record(Statement((dataset.artifact,), URL_PINS, predicate))


def _newest(history: History, name: str) -> Recorded | None:
    found = [e for e in history.of_type(URL_PINS) if e.statement.predicate.get("dataset") == name]
    return found[-1] if found else None


def _read(workspace: Workspace, name: str, entry: Recorded) -> Pins:
    try:
        stored = msgspec.convert(entry.statement.predicate.get("pins"), StoredFile)
        return urls.decode(workspace.store.open(scope_of(name), stored).pread(0, stored.size))
    except (msgspec.ValidationError, BadInput) as error:
        raise VerifyError(
            f"the pins of data:{name} cannot be read",
            where=f"entry {entry.index}",
            why=str(error),
            rule="urls.malformed",
        ) from error
