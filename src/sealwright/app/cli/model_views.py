"""What ``seal model`` shows: list and show."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from sealwright.app.cli.out import Out
from sealwright.app.wiring import Workspace
from sealwright.core import refs
from sealwright.registry import manifest as manifests
from sealwright.registry.versions import Model, Models, provenance


def resolved(workspace: Workspace, text: str) -> Model:
    """The model version a reference names. Raises: BadInput."""
    return Models(workspace.history()).resolve(refs.parse(text, "model"))


def model_json(model: Model) -> dict[str, Any]:
    """One row of ``seal model list`` (docs/reference/json-registry.md)."""
    return {
        "ref": model.ref,
        "digest": model.digest,
        "run": model.run,
        "aliases": list(model.aliases),
        "status": model.status,
    }


def readable(size_bytes: int) -> str:
    """``1.4 MB``: bytes for people, in powers of 1000."""
    size, unit = float(size_bytes), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def list_(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal model list``."""
    models = Models(workspace.history())
    shown = models.of(args.name.removeprefix("model:")) if args.name else models.all()
    out.emit({"models": [model_json(model) for model in shown]}, lambda: _list_text(shown, out))
    return 0


def show(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal model show``."""
    models = Models(workspace.history())
    model = models.resolve(refs.parse(args.ref, "model"))
    manifest = manifests.load(workspace.store, model.name, model.manifest)
    run = provenance(models, model)
    shape = {
        **model_json(model),
        "name": model.name,
        "version": model.version,
        "stage": model.stage,
        "inputs": [{"ref": each.name, "digest": each.digest} for each in model.inputs],
        "blocked_by": [{"ref": each.name, "digest": each.digest} for each in model.blocked_by],
        "files": [{"path": f.path, "size": f.size, "sha256": f.sha256} for f in manifest.files],
        "size_bytes": model.size_bytes,
        "signature": model.signature,
        "signer": model.signer,
        "decision": model.decision,
        "actor": model.actor,
        "reason": model.reason,
        "time": model.time,
        "entry": model.index,
        "provenance_entry": run.index if run else None,
    }
    out.emit(shape, lambda: _show_text(model, shape, out))
    return 0


def _list_text(models: tuple[Model, ...], out: Out) -> str:
    if not models:
        return "no models yet; seal run registers what a run makes"
    cells = [
        [
            model.ref,
            model.status,
            ", ".join(model.aliases) or "-",
            model.run or "-",
            readable(model.size_bytes),
            model.digest[:16],
        ]
        for model in models
    ]
    return out.table(cells, ["ref", "status", "aliases", "run", "size", "digest"])


def _show_text(model: Model, shape: Mapping[str, Any], out: Out) -> str:
    lines = [
        f"{model.ref}  ({model.status})",
        f"  digest    {model.digest}",
        f"  run       {model.run or '-'}  (stage {model.stage})",
        f"  size      {model.files} files, {readable(model.size_bytes)}",
        f"  signed    by {model.actor} at {model.time}, log entry {model.index}",
        f"  key       {model.signer}",
        f"  decision  {model.decision[:16]}  (seal policy explain {model.decision[:16]})",
    ]
    lines += [f"  aliases   {', '.join(model.aliases)}"] if model.aliases else []
    lines += [f"  reason    {model.reason}"] if model.reason else []
    lines += [f"  made from {each.name}  {each.digest[:16]}" for each in model.inputs]
    lines += [f"  blocked by {each.name}, which is revoked" for each in model.blocked_by]
    rows = [[f["path"], f"{f['size']:,}", f["sha256"][:16]] for f in shape["files"][:20]]
    lines.append(out.table(rows, ["file", "bytes", "sha256"]))
    if len(shape["files"]) > len(rows):
        lines.append(f"… {len(shape['files']) - len(rows):,} more (--json lists all)")
    return "\n".join(lines)
