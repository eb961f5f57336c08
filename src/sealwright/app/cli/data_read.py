"""``seal data read``: rows for who may see them, filtered and masked, and the read in the log."""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from sealwright.app import accessing
from sealwright.app.cli.out import Out
from sealwright.app.datasets import memory_of
from sealwright.app.metering import Meter, MeteredStore
from sealwright.app.wiring import Workspace
from sealwright.core.errors import BadInput, SealError
from sealwright.intake import readout
from sealwright.intake.readout import Form, Shown
from sealwright.intake.versions import Dataset, Datasets
from sealwright.policy.access import Judgement
from sealwright.policy.views import View

_MASK_LABEL = b"sealwright column mask v1"


class Allowed(msgspec.Struct, frozen=True):
    """A read that was allowed, and what counts its bytes."""

    dataset: Dataset
    judgement: Judgement
    meter: Meter


def read(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Check, record, then hand out."""
    form = form_of(args.out)
    dataset = Datasets(workspace.history(), workspace.store).resolve(args.ref)
    judgement = accessing.judged(
        workspace,
        "view",
        [dataset.artifact],
        purpose=args.purpose,
        size_bytes=dataset.size_bytes,
        reason=args.reason,
    )
    for note in workspace.settle():
        out.note(note)
    meter = Meter(dataset.size_bytes)
    try:
        return _hand_out(workspace, args, form, Allowed(dataset, judgement, meter), out)
    except SealError:
        if not dataset.external:
            accessing.settle(workspace, judgement, meter.taken, "the read was cut short")
        raise


def _hand_out(
    workspace: Workspace, args: argparse.Namespace, form: Form, allowed: Allowed, out: Out
) -> int:
    dataset, judgement = allowed.dataset, allowed.judgement
    view = accessing.view_for(workspace, judgement, dataset.name)
    shown = _shown(workspace, dataset, view)
    memory = memory_of(workspace, dataset)
    memory = msgspec.structs.replace(memory, store=MeteredStore(memory.store, allowed.meter))
    rows = readout.batches(memory, workspace.root, shown)
    held_back = {"rows": len(view.rows), "columns": dict(view.columns)}
    shape: dict[str, Any] = {
        "ref": dataset.ref,
        "digest": dataset.digest,
        "purpose": judgement.purpose,
        "size_bytes": dataset.size_bytes,
        "decision": judgement.decision.id,
        "filters": held_back["rows"],
        "masks": held_back["columns"],
    }
    return hand_out(rows, args.out, form, dataset.rows, shape, out, _masks_text(view))


def hand_out(
    rows: Iterator[Any],
    path: str | None,
    form: Form,
    of: int,
    shape: dict[str, Any],
    out: Out,
    told: str = "",
) -> int:
    """Write rows to a file or to stdout, and say what was written."""
    shape = {**shape, "out": path or ""}
    if path:
        written = _to_file(rows, Path(path), form, of)
        text = f"{written.rows:,} of {written.of:,} rows of {shape['ref']} are in {path}{told}"
        out.emit({**shape, "rows": written.rows, "columns": list(written.columns)}, text)
        return 0
    sink = io.BytesIO() if out.as_json else sys.stdout.buffer
    written = readout.write(rows, sink, form, of)
    if isinstance(sink, io.BytesIO):
        text = sink.getvalue().decode("utf-8", "replace")
        columns = list(written.columns)
        out.emit({**shape, "rows": written.rows, "columns": columns, "csv": text}, "")
    else:
        sys.stdout.flush()
        out.note(f"{written.rows:,} of {written.of:,} rows of {shape['ref']}{told}")
    return 0


def form_of(out: str | None) -> Form:
    """CSV or Parquet, by the name. Raises: BadInput."""
    if not out or out.endswith(".csv"):
        return "csv"
    if out.endswith(".parquet"):
        return "parquet"
    raise BadInput(f"{out} is neither .csv nor .parquet", hint="--out rows.parquet")


def _shown(workspace: Workspace, dataset: Dataset, view: View) -> Shown:
    hashes = "hash" in view.columns.values()
    return Shown(
        [(each.column, each.operator, each.value) for each in view.rows],
        view.columns,
        workspace.kms.derive(dataset.scope, _MASK_LABEL) if hashes else b"",
    )


def _to_file(rows: Any, path: Path, form: Form, of: int) -> readout.Written:
    """Beside the target first, so that a refusal half way leaves no half of a file."""
    handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=".seal-read-")
    try:
        with os.fdopen(handle, "wb") as sink:
            written = readout.write(rows, sink, form, of)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return written


def _masks_text(view: View) -> str:
    told = [f"{column} ({mask})" for column, mask in sorted(view.columns.items())]
    filters = f"; {len(view.rows)} row filter{'s' * (len(view.rows) != 1)}" if view.rows else ""
    return filters + (f"; masked: {', '.join(told)}" if told else "")
