"""Derived versions: masked, tokenized, generalised or thinned, with lineage to each source row.

The derived table is written into the project as Parquet, added as a version made from its
source, and a ``derivation`` statement says what was done to which column. Nobody is shown a
value on the way. Spec: docs/spec/derivation-v1.md.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from sealwright.app import accessing, rows
from sealwright.app.datasets import ports_of
from sealwright.app.wiring import Workspace
from sealwright.core import clock, predicates, refs
from sealwright.core.errors import BadInput, Refused
from sealwright.core.ports import Progress
from sealwright.core.records import Json, Statement
from sealwright.core.sensitivity import Sensitivity
from sealwright.evidence.history import History
from sealwright.intake import derive
from sealwright.intake.add import Added, AddRequest, add
from sealwright.intake.derive import TOKENS, Anonymity, Change, Counting, Means
from sealwright.intake.versions import Dataset
from sealwright.vault.fieldtokens import HOWS, Field, Tokenizer

_PSEUDONYM_LABEL = b"sealwright derived pseudonym v1"


class Wish(msgspec.Struct, frozen=True):
    """What to derive. ``quasi`` are the columns that k-anonymity is counted over; ``confirmed``
    lets ``sensitivity`` be lower than the source's."""

    name: str
    changes: tuple[Change, ...]
    purpose: str = ""
    reason: str = ""
    path: str = ""
    sensitivity: Sensitivity | None = None
    confirmed: bool = False
    quasi: tuple[str, ...] = ()
    utility: tuple[tuple[str, str], ...] = ()


class Derived(msgspec.Struct, frozen=True):
    """The version that was made. ``index`` is its derivation statement's."""

    added: Added
    path: str
    rows: int
    before: Anonymity | None
    after: Anonymity | None
    index: int


class Recorded(msgspec.Struct, frozen=True):
    """A derivation as its statement has it."""

    source: str
    source_digest: str
    changes: tuple[Change, ...]
    purpose: str
    index: int


def make(workspace: Workspace, source: Dataset, wish: Wish, progress: Progress) -> Derived:
    """Derive a version. Raises: BadInput, GateDenied (``access.*``), Refused, VerifyError."""
    refs.check_name(wish.name)
    if wish.name == source.name:
        raise BadInput(
            "a derived dataset has a name of its own",
            why="its purposes, views and keys are its own",
            hint=f"--name {source.name}-masked",
        )
    accessing.require(workspace, "modify", [source.artifact], reason=wish.reason)
    named = accessing.whole_project(workspace, f"data:{wish.name}")
    accessing.require(workspace, "modify", [named], reason=wish.reason)
    _refuse_lowering(wish)
    schema, batches = rows.of(workspace, source)
    columns = list(schema.names)
    roles = [name for name in (source.label, source.key) if name]
    derive.checked(wish.changes, columns, roles)
    _refuse_missing(wish.quasi, columns)
    means = _means(workspace, source, wish)
    counted = (Counting(wish.quasi), Counting(wish.quasi)) if wish.quasi else None
    path = path_of(workspace, wish.name, wish.path)
    count = written(_changed(batches, wish, means, counted, progress, source.rows), path)
    request = AddRequest(
        path=str(path), name=wish.name, actor=workspace.principal.name, reason=wish.reason,
        label=source.label or None, key=source.key or None, sensitivity=wish.sensitivity,
        inputs=(source.artifact,), force_version=True, lowered=wish.confirmed,
    )  # fmt: skip
    added = add(request, ports_of(workspace), progress)
    before, after = (each.result() for each in counted) if counted else (None, None)
    index = _record(workspace, source, added, wish, before, after)
    shown = str(path.relative_to(workspace.root))
    return Derived(added, shown, count, before, after, index)


def of(history: History, dataset: Dataset) -> Recorded | None:
    """How a version was derived, or None. Raises: BadInput (malformed)."""
    for entry in history.of_type(predicates.DERIVATION):
        if dataset.digest not in {subject.digest for subject in entry.statement.subjects}:
            continue
        told: Any = entry.statement.predicate
        try:
            (source,) = told["inputs"]
            changes = msgspec.convert(told["changes"], tuple[Change, ...])
            return Recorded(
                source["name"], source["digest"], changes, str(told["purpose"]), entry.index
            )
        except (KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
            raise BadInput(f"log entry {entry.index} is no derivation", why=str(error)) from error
    return None


def means_of(
    workspace: Workspace, source: str, changes: Sequence[Change], purpose: str
) -> dict[str, Tokenizer]:
    """The tokenizers of the changed columns. ``source`` is the dataset's name."""
    return {
        change.column: Tokenizer(workspace.kms, Field(source, change.column, purpose), how)
        for change in changes
        for how in HOWS
        if how == change.how
    }


def _means(workspace: Workspace, source: Dataset, wish: Wish) -> Means:
    secret = b""
    if any(change.how == "hash" for change in wish.changes):
        workspace.kms.create(source.scope)
        secret = workspace.kms.derive(source.scope, _PSEUDONYM_LABEL + wish.name.encode())
    made = means_of(workspace, source.name, wish.changes, wish.purpose)
    return Means(secret, {name: each.token for name, each in made.items()})


def _changed(
    batches: Iterator[pa.RecordBatch],
    wish: Wish,
    means: Means,
    counted: tuple[Counting, Counting] | None,
    progress: Progress,
    total: int,
) -> Iterator[pa.RecordBatch]:
    done = 0
    for batch in batches:
        changed = derive.apply(batch, wish.changes, means)
        if counted:
            counted[0].add(batch)
            counted[1].add(changed)
        done += batch.num_rows
        progress.advance(done, total, "rows derived")
        yield changed


def written(batches: Iterator[pa.RecordBatch], path: Path) -> int:
    """Write Parquet; how many rows. Beside the target first, so that a fault half way leaves no
    half of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".seal-derive-")
    os.close(handle)
    try:
        count = derive.write(batches, Path(name))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return count


def path_of(workspace: Workspace, name: str, wanted: str) -> Path:
    """Where a made version's file goes: ``wanted``, or by its name. Raises: BadInput."""
    path = workspace.root / (wanted or f"data/{name}.parquet")
    if path.suffix != ".parquet" or not path.resolve().is_relative_to(workspace.root.resolve()):
        raise BadInput(f"{wanted} is no Parquet file in the project", hint="--out data/x.parquet")
    if path.exists() and wanted:
        raise BadInput(f"{wanted} is there already", hint="name another file with --out")
    return path


def _refuse_lowering(wish: Wish) -> None:
    if wish.confirmed and not wish.reason.strip():
        raise BadInput(
            "a confirmation says why",
            hint="repeat it with --reason 'who could still be told apart'",
        )
    if wish.confirmed and wish.sensitivity is None:
        raise BadInput("nothing is to be confirmed", hint="--sensitivity internal --confirm")


def _refuse_missing(quasi: Sequence[str], columns: Sequence[str]) -> None:
    if odd := [name for name in quasi if name not in columns]:
        raise BadInput(f"there is no column {odd[0]!r}", why=f"columns: {', '.join(columns)}")


def _record(
    workspace: Workspace,
    source: Dataset,
    added: Added,
    wish: Wish,
    before: Anonymity | None,
    after: Anonymity | None,
) -> int:
    signed = added.dataset.signed
    predicate: dict[str, Json] = {
        "inputs": [{"name": source.ref, "digest": source.digest}],
        "rows": "same-order",
        "changes": msgspec.to_builtins(wish.changes),
        "purpose": wish.purpose,
        "sensitivity": {
            "source": source.signed.sensitivity,
            "derived": signed.sensitivity,
            "confirmed_lower": wish.confirmed,
        },
        "anonymity": {
            "columns": list(wish.quasi),
            "before": msgspec.to_builtins(before) if before else None,
            "after": msgspec.to_builtins(after) if after else None,
        },
        "utility": dict(wish.utility),
        "actor": workspace.principal.name,
        "reason": wish.reason,
        "time": clock.stamp(workspace.clock()),
    }
    statement = Statement((added.dataset.artifact,), predicates.DERIVATION, predicate)
    return workspace.recorder.record(statement).index


def detokenize(
    workspace: Workspace, dataset: Dataset, source: Dataset, purpose: str, reason: str
) -> tuple[dict[str, Tokenizer], list[str]]:
    """The tokenizers that turn a version's tokens back, once a grant lets its reader see both
    versions for that purpose; the read is in the log before anything opens. Also the columns.

    Raises: BadInput (no tokens, irreversible), Refused (another purpose), GateDenied.
    """
    found = of(workspace.history(), dataset)
    if found is None or not any(change.how in TOKENS for change in found.changes):
        raise BadInput(f"{dataset.ref} holds no tokens", hint="seal lineage " + dataset.ref)
    if purpose != found.purpose:
        raise Refused(
            f"{dataset.ref} was tokenized for another purpose",
            why=f"its tokens are for {found.purpose!r}",
            rule="token.purpose",
            hint=f"with a grant for it: --purpose {found.purpose}",
        )
    accessing.require(
        workspace, "view", [dataset.artifact, source.artifact],
        purpose=purpose, size_bytes=dataset.size_bytes, reason=reason,
    )  # fmt: skip
    able = [c for c in found.changes if c.how in ("siv", "ff1")]
    if not able:
        raise BadInput("these tokens cannot be turned back", why="they are irreversible")
    return means_of(workspace, source.name, able, purpose), [change.column for change in able]
