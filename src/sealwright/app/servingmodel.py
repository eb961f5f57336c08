"""A registered model, opened to be served: which file, under which policy, asked how."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from sealwright.app import supplying
from sealwright.core.amounts import size_bytes, span_s
from sealwright.core.errors import BadInput, Refused, VerifyError
from sealwright.core.servesettings import ModelServeSettings, ServeSettings
from sealwright.evidence.keys import load_public
from sealwright.kit.loader.opening import Bounds, OpenModel, open_model
from sealwright.kit.modelfile import sniff
from sealwright.kit.modelfile.report import Unsound
from sealwright.registry import manifest as manifests
from sealwright.registry import signature
from sealwright.registry.manifest import StoredModelFile, scope_of
from sealwright.registry.versions import Model
from sealwright.serve.oip import TEXT, InputSpec
from sealwright.serve.oip_mount import Served
from sealwright.serve.outputs import Profile, Shape

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

Opens = Callable[[], OpenModel]
_HEAD = 1 << 16
_PLAIN = frozenset({"text", "unknown", "json", "notebook"})
_CPU_S = 10 * 366 * 86_400


def opener(workspace: Workspace, model: Model) -> Opens:
    """What opens the weights in a worker: decrypted into sealed memory, scanned, loaded.

    Raises: VerifyError (a signature or a file does not hold), BadInput (which file?). What it
    returns raises: Refused (``loader.*``), VerifyError.
    """
    chosen = _file(workspace, model)
    serve = workspace.settings.serve
    own = of_model(serve, model.name)
    policy = supplying.file_policy(workspace)
    bounds = Bounds(
        memory_bytes=size_bytes(serve.memory), cpu_s=_CPU_S, answer_s=span_s(serve.answer_time)
    )

    def opened() -> OpenModel:
        readable = workspace.store.open(scope_of(model.name), chosen.stored())
        return open_model(
            readable, policy, sha256=chosen.sha256, steps=tuple(own.steps), bounds=bounds
        )

    return opened


def of_model(serve: ServeSettings, name: str) -> ModelServeSettings:
    """``[serve.models.NAME]``, or its defaults."""
    return serve.models.get(name, ModelServeSettings())


def _file(workspace: Workspace, model: Model) -> StoredModelFile:
    """The file that holds the weights, its digest held against the model's signature."""
    manifest = manifests.load(workspace.store, model.name, model.manifest)
    key = workspace.trust.public("model", model.index).get(model.signer)
    if key is None:
        raise VerifyError(
            f"{model.ref} is signed by no model key that was good for it",
            where=f"entry {model.index}",
            rule="model.signer",
        )
    scope = scope_of(model.name)
    bundle = manifests.read_all(workspace.store.open(scope, manifest.signature))
    signed = signature.verify(bundle, load_public(key.pem))
    if signed.digest != model.digest:
        raise VerifyError(
            f"the stored signature of {model.ref} is not the recorded one",
            where=f"entry {model.index}",
            rule="model.signature",
        )
    signature.check_files(signed, [file.plain() for file in manifest.files])
    wanted = of_model(workspace.settings.serve, model.name).file
    found = [file for file in manifest.files if not wanted or file.path == wanted]
    if len(found) != 1 and not wanted:
        found = [file for file in found if _holds_model(workspace, scope, file)]
    if len(found) != 1:
        names = ", ".join(file.path for file in manifest.files[:10])
        raise BadInput(
            f"which file of {model.ref} holds its weights?",
            why=f"it has {names}",
            hint=f'file = "PATH" under [serve.models.{model.name}] in seal.toml',
        )
    return found[0]


def _holds_model(workspace: Workspace, scope: str, file: StoredModelFile) -> bool:
    readable = workspace.store.open(scope, file.stored())
    try:
        return sniff.kind_of(readable.pread(0, _HEAD), readable) not in _PLAIN
    except Unsound as error:
        return error.found.rule.startswith("code.")


def served(workspace: Workspace, model: Model, opened: OpenModel) -> Served:
    """What the model is asked and answers with; it is asked once, with zeros, to see.

    Raises: BadInput (something it does not say of itself), Refused (it answers nothing).
    """
    serve = workspace.settings.serve
    own = of_model(serve, model.name)
    spec = _input(model, own, opened, serve.rows)
    width, told = _answered(model, spec, opened)
    labels = tuple(
        own.labels or msgspec.json.decode(opened.facts.get("classes", "[]"), type=list[str])
    )
    profile = own.profile or _profile(opened.facts.get("task", ""), width, told)
    if profile in ("multiclass", "binary"):
        if not told:
            raise BadInput(
                f"{model.ref} does not answer with probabilities",
                why="each row has to add up to 1",
                hint=f'add "softmax" to its steps, or a profile: [serve.models.{model.name}]',
            )
        if labels and len(labels) != width:
            raise BadInput(f"{len(labels)} labels, but {model.ref} has {width} classes")
    else:
        labels = ()
    platform = f"sealwright_{opened.facts.get('class', '')}"
    return Served(model.name, str(model.version), spec, Shape(profile, width, labels), platform)


def _input(model: Model, own: ModelServeSettings, opened: OpenModel, rows: int) -> InputSpec:
    if own.text:
        return InputSpec(own.input, TEXT, 1, rows)
    width = own.width or int(opened.facts.get("width") or 0)
    if not width:
        raise BadInput(
            f"{model.ref} does not say how many numbers a row has",
            hint=f"width = N (or text = true) under [serve.models.{model.name}] in seal.toml",
        )
    return InputSpec(own.input, "FP32" if opened.kind == "weights" else "FP64", width, rows)


def _answered(model: Model, spec: InputSpec, opened: OpenModel) -> tuple[int, bool]:
    """How wide an answer is, and whether it reads as probabilities."""
    if spec.datatype == TEXT:
        batch = np.array(["a", "b"])
    else:
        batch = np.zeros((2, spec.width), np.float32 if spec.datatype == "FP32" else np.float64)
    try:
        scores = opened.ask("serve", batch)
    except Refused as error:
        raise Refused(
            f"{model.ref} does not answer",
            why=error.why,
            hint=f"say how it is asked: [serve.models.{model.name}] in seal.toml",
            rule="guard.answer",
        ) from error
    width = opened.scores
    first = scores[:, :width]
    sums = bool((first >= -1e-9).all() and (abs(first.sum(axis=1) - 1) < 1e-3).all())
    return width, sums and width > 1


def _profile(task: str, width: int, probabilities: bool) -> Profile:
    if task == "classifier" or (task == "weights" and probabilities):
        return "binary" if width == 2 else "multiclass"
    return "embedding" if task == "embedding" or width > 16 else "regression"
