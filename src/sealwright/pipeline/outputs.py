"""What a stage left: the list of it, and which part of it is the model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sealwright.core import digest
from sealwright.core.digest import Digest
from sealwright.core.records import Artifact
from sealwright.evidence import jcs
from sealwright.pipeline.engine import StageFailed
from sealwright.pipeline.spec import StageSpec
from sealwright.train.guess import guess_model
from sealwright.train.spec import OutputFile

OUTPUTS = "outputs"
MOST_SUBJECTS = 100
"""More outputs than this are named together, by the digest of their list."""


def outputs_record(outputs: Sequence[OutputFile]) -> bytes:
    """The list of outputs, canonical JSON: what ``seal reproduce`` compares with."""
    return jcs.canonical(
        {
            "format": "sealwright.outputs/v1",
            "files": [
                {"path": one.relpath, "size": one.size, "sha256": one.sha256} for one in outputs
            ],
        }
    )


def pick_model(spec: StageSpec, outputs: Sequence[OutputFile]) -> str:
    """The project path of the model: as named, or guessed. Raises: BadInput (not made)."""
    paths = [one.relpath for one in outputs]
    if spec.model:
        wanted = os.path.normpath(spec.model)
        if any(path == wanted or path.startswith(wanted + "/") for path in paths):
            return wanted
        raise StageFailed(
            f"stage {spec.name} did not write its model, {spec.model}",
            status="failed",
            exit_code=0,
            why=f"it wrote {', '.join(paths[:5])}{' ...' if len(paths) > 5 else ''}",
            hint="correct `model` in seal.toml, or --model PATH",
        )
    if not spec.guess_model:
        return ""
    guess = guess_model(paths)
    return guess.path if guess else ""


def model_files(model: str, outputs: Sequence[OutputFile]) -> list[tuple[str, OutputFile]]:
    """The outputs that are the model, by the name they have inside it."""
    alone = [(Path(model).name, one) for one in outputs if one.relpath == model]
    return alone or [
        (one.relpath.removeprefix(model + "/"), one)
        for one in outputs
        if one.relpath.startswith(model + "/")
    ]


def model_digest_of(model: str, outputs: Sequence[OutputFile]) -> Digest:
    """The model digest, as the registry computes it from the same files."""
    return digest.of_tree((name, one.sha256) for name, one in model_files(model, outputs))


def subjects_of(
    spec: StageSpec, outputs: Sequence[OutputFile], model_digest: str
) -> tuple[Artifact, ...]:
    """What the provenance is about: the model, and each output or the list of them."""
    named = [Artifact(f"model:{spec.model_name}", model_digest)] if model_digest else []
    if len(outputs) > MOST_SUBJECTS:
        return (*named, Artifact(OUTPUTS, digest.of_bytes(outputs_record(outputs))))
    return (*named, *(Artifact(one.relpath, one.sha256) for one in outputs))
