"""Fingerprints of registered models: made with keys far away, kept encrypted, committed to.

References are trained in the jail; the model answers from a worker of its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sealwright.app import accessing, allowing, rows
from sealwright.app.wiring import Workspace
from sealwright.core import refs
from sealwright.core.clock import stamp
from sealwright.core.digest import of_bytes
from sealwright.core.errors import BadInput, Refused
from sealwright.core.ports import JailBounds, JailInput, Progress
from sealwright.core.records import Artifact
from sealwright.intake.versions import Dataset, Datasets
from sealwright.kit.loader.opening import Held, OpenModel, open_model, require_clean
from sealwright.kit.modelfile.policy import Policy, policy_of
from sealwright.kit.modelfile.scan import scan
from sealwright.kit.modelfile.source import Bytes
from sealwright.registry import fingerprint as fingerprints
from sealwright.registry import fingerprint_make as making
from sealwright.registry import fingerprint_references as references
from sealwright.registry import manifest as manifests
from sealwright.registry.compare_answers import classes_of, codes_of, text_of
from sealwright.registry.fingerprint import Commitment, Fingerprint, Reference
from sealwright.registry.fingerprint_derived import SHARES
from sealwright.registry.fingerprint_make import Answers, Pool, Sizes
from sealwright.registry.fingerprint_order import released_at
from sealwright.registry.versions import Model, Models

MOST_ROWS = 20_000
"""Of the training data, so many are used, drawn at random."""

MOST_REFERENCES = 400
_MODEL_SUFFIXES = (".joblib", ".pkl", ".pickle", ".skops", ".sav")
_ASKED_AT_ONCE = 4096

Jailed: TypeAlias = tuple[
    tuple[Reference, ...], npt.NDArray[np.int64], tuple[str, ...], npt.NDArray[np.int64]
]
"""References and their codes (r, m); the model's variants, and theirs (v, m)."""


class Wish(msgspec.Struct, frozen=True):
    """What was asked for."""

    model: str
    data: str = ""
    label: str = ""
    file: str = ""
    references: int = 60
    kinship: int = 4000
    wall_s: int = 7200
    reason: str = ""


class Fingerprinted(msgspec.Struct, frozen=True):
    """What was committed to, and where."""

    commitment: Commitment
    index: int
    released: int


class Table(msgspec.Struct, frozen=True):
    """What references are trained on: (n, d) numbers and a label's text for each row."""

    rows: npt.NDArray[np.float64]
    labels: tuple[str, ...]


def fingerprint(workspace: Workspace, wish: Wish, progress: Progress) -> Fingerprinted:
    """Make, keep and commit. Raises: BadInput, Refused (``fingerprint.*``, ``loader.*``,
    ``jail.*``), GateDenied (``access.*``)."""
    if not making.FEWEST_REFERENCES <= wish.references <= MOST_REFERENCES:
        raise BadInput(
            f"{wish.references} references",
            why=f"{making.FEWEST_REFERENCES} to {MOST_REFERENCES} make sense",
            hint="--references 60",
        )
    model = Models(workspace.history()).resolve(refs.parse(wish.model, "model"))
    dataset = _dataset(workspace, model, wish.data)
    accessing.require(workspace, "train", [dataset.artifact], reason=wish.reason)
    table = _table(workspace, dataset, wish.label)
    salt = os.urandom(fingerprints.SALT_BYTES)
    held = Held(_file(workspace, model, wish.file))
    try:
        made = _made(workspace, model, held, table, wish, salt, progress)
    finally:
        held.close()
    said = Commitment(
        model=model.name,
        version=model.version,
        commitment=fingerprints.commit(made),
        questions={one.name: one.count for one in made.sets},
        classes=len(made.classes),
        references=len(made.siblings) + len(made.null),
        null_references=len(made.null),
        recipe=made.null[0].kind,
        data=({"name": dataset.ref, "digest": dataset.digest},),
        details=fingerprints.put(workspace.store, model.name, made),
        actor=workspace.principal.name,
        reason=wish.reason,
        time=stamp(workspace.clock()),
    )
    subject = Artifact(model.ref, model.digest)
    receipt = workspace.recorder.record(fingerprints.statement_of(said, subject))
    released = released_at(workspace.history(), model.name, model.version)
    return Fingerprinted(said, receipt.index, released)


def _made(
    workspace: Workspace,
    model: Model,
    held: Held,
    table: Table,
    wish: Wish,
    salt: bytes,
    progress: Progress,
) -> Fingerprint:
    policy = _policy(workspace)
    seed = int.from_bytes(of_bytes(salt + b"points").encode()[:12], "big")
    sizes = Sizes(kinship=wish.kinship)
    with open_model(held, policy) as worker:
        progress.advance(0, wish.references, "asking the model")
        own = _predicted(worker, table.rows)
        classes = tuple(sorted(set(classes_of(own)) | set(table.labels)))
        codes = codes_of(own, len(own), classes, {})
        labels = codes_of(np.array(table.labels), len(table.labels), classes, {})
        _require_task(model, codes, labels, classes)
        rng = np.random.default_rng(seed)
        pool = making.pool(table.rows, codes, rng, sizes)
        said = codes_of(_predicted(worker, pool.inputs), len(pool.inputs), classes, {})
        margin = _margin(worker, pool.inputs)
    if (said < 0).any():
        raise Refused(f"{model.ref} answers what is no class of its data", rule="fingerprint.task")
    jailed = _references(workspace, held, policy, table, labels, classes, pool, wish, seed)
    given = Answers(said, margin, *jailed)
    return making.make(model.digest, salt, classes, pool, given, sizes=sizes)


def _references(
    workspace: Workspace,
    held: Held,
    policy: Policy,
    table: Table,
    labels: npt.NDArray[np.int64],
    classes: tuple[str, ...],
    pool: Pool,
    wish: Wish,
    seed: int,
) -> Jailed:
    """Trained in the jail. Raises: Refused (``jail.*``), BadInput (it left what does not fit)."""
    train = table.rows
    require_clean(scan(held, policy))
    wanted = references.wanted(wish.references, seed % (1 << 30))
    plan = references.Plan(
        policy.level,
        policy.signed,
        len(train),
        train.shape[1],
        len(pool.inputs),
        classes,
        wanted,
    )
    files = {
        references.PLAN: msgspec.json.encode(plan),
        references.ROWS: np.ascontiguousarray(train, "<f8").tobytes(),
        references.LABELS: labels.astype("<i2").tobytes(),
        references.CANDIDATES: np.ascontiguousarray(pool.inputs, "<f8").tobytes(),
    }
    given = [
        JailInput(name, len(data), Bytes(data), of_bytes(data)) for name, data in files.items()
    ]
    given.append(JailInput(references.MODEL, held.size, held, held.sha256))
    size = 2 * (len(wanted) + len(SHARES)) * len(pool.inputs)
    bounds = JailBounds(8 << 30, wish.wall_s, size + (16 << 20))
    jailed = workspace.jail.run(references.__name__, (), given, bounds)
    made, codes = _believed(jailed.outputs, wanted, len(pool.inputs))
    return made, codes, *_variants(jailed.outputs, len(pool.inputs), len(classes))


def _believed(
    outputs: Mapping[str, bytes], wanted: tuple[references.Wanted, ...], count: int
) -> tuple[tuple[Reference, ...], npt.NDArray[np.int64]]:
    said, listed = outputs.get(references.ANSWERS, b""), outputs.get(references.REFERENCES, b"")
    try:
        made = msgspec.json.decode(listed, type=tuple[Reference, ...])
        codes = np.frombuffer(said, "<i2").reshape(len(wanted), count)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadInput("the references' answers do not fit", why=str(error)) from error
    asked = [(one.relation, one.group, one.seed) for one in wanted]
    digests = [of_bytes(row.tobytes()) for row in codes]
    if [(r.relation, r.group, r.seed) for r in made] != asked or [
        r.digest for r in made
    ] != digests:
        raise BadInput("the references are not those that were asked for")
    return made, codes.astype(np.int64)


def _variants(
    outputs: Mapping[str, bytes], count: int, classes: int
) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """The model's own variants and what they answer. Raises: BadInput (it does not fit)."""
    try:
        names = msgspec.json.decode(outputs.get(references.VARIANTS, b""), type=tuple[str, ...])
        codes = np.frombuffer(outputs.get(references.DERIVED, b""), "<i2")
        codes = codes.reshape(len(names), count)
        if len(names) > len(SHARES) or ((codes < 0) | (codes >= classes)).any():
            raise ValueError("they answer what is no class")
    except (msgspec.DecodeError, ValueError) as error:
        raise BadInput("the answers of the model's variants do not fit", why=str(error)) from error
    return names, codes.astype(np.int64)


def _predicted(worker: OpenModel, inputs: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    if worker.kind != "estimator":
        raise BadInput(
            "the model is weights without the recipe that made them",
            why="references are trained by the model's own recipe",
            hint="register an estimator of scikit-learn",
        )
    parts = [
        worker.predict(inputs[at : at + _ASKED_AT_ONCE])
        for at in range(0, len(inputs), _ASKED_AT_ONCE)
    ]
    return np.concatenate([np.asarray(part).reshape(-1) for part in parts])


def _margin(worker: OpenModel, inputs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How far the first class is ahead of the second; 0 where the model gives no shares."""
    try:
        shares = np.concatenate(
            [
                worker.ask("predict_proba", inputs[at : at + _ASKED_AT_ONCE])
                for at in range(0, len(inputs), _ASKED_AT_ONCE)
            ]
        )
    except Refused:
        return np.zeros(len(inputs))
    ranked = np.sort(shares.astype(np.float64), axis=1)
    return np.nan_to_num(ranked[:, -1] - ranked[:, -2])


def _require_task(
    model: Model,
    codes: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64],
    classes: tuple[str, ...],
) -> None:
    common = float(np.bincount(labels).max() / len(labels))
    right = float((codes == labels).mean())
    if len(classes) < 2 or len(classes) > 1000 or right <= common:
        raise Refused(
            f"{model.ref} does not give the labels of that data",
            why=f"right on {right:.1%} of its rows; the commonest label alone is {common:.1%}",
            hint=f"seal model fingerprint {model.ref} --data data:NAME@N --label COLUMN",
            rule="fingerprint.task",
        )


def _dataset(workspace: Workspace, model: Model, given: str) -> Dataset:
    catalogue = Datasets(workspace.history(), workspace.store)
    named = [one.name for one in model.inputs if one.name.startswith("data:")]
    if given:
        return catalogue.resolve(given)
    if len(named) != 1:
        raise BadInput(
            f"{model.ref} was made from {len(named)} datasets",
            why=", ".join(named) or "none is in its statement",
            hint="--data data:NAME@N",
        )
    return catalogue.resolve(named[0])


def _table(workspace: Workspace, dataset: Dataset, label: str) -> Table:
    """The rows as numbers. Raises: BadInput (a column that is none, no label, too few)."""
    label = label or dataset.label
    schema, batches = rows.of(workspace, dataset)
    if not label or label not in schema.names:
        raise BadInput(f"{dataset.ref} has no label column", hint="--label COLUMN")
    for field in schema:
        if field.name != label and not _is_number(field.type):
            raise BadInput(
                f"the column {field.name!r} of {dataset.ref} is no number",
                why="questions are numbers, as the model takes them",
                hint="seal model fingerprint MODEL --data data:NAME@N  (the encoded data)",
            )
    whole = pa.Table.from_batches(batches, schema)
    columns = [whole[name].cast(pa.float64()) for name in schema.names if name != label]
    numbers = np.stack([np.asarray(one.to_numpy(), np.float64) for one in columns], axis=1)
    texts = np.array([text_of(one) for one in whole[label].to_pylist()], object)
    kept = np.flatnonzero(np.isfinite(numbers).all(axis=1) & (texts != "None"))
    order = np.random.default_rng(0).permutation(kept)[:MOST_ROWS]
    if len(order) < 100:
        raise BadInput(f"{dataset.ref} has {len(order)} usable rows", why="at least 100 are wanted")
    return Table(numbers[order], tuple(texts[order]))


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def _file(workspace: Workspace, model: Model, named: str) -> Any:
    manifest = manifests.load(workspace.store, model.name, model.manifest)
    able = [one for one in manifest.files if one.path == named] if named else list(manifest.files)
    if len(able) > 1:
        able = [one for one in able if one.path.endswith(_MODEL_SUFFIXES)]
    if len(able) != 1:
        names = ", ".join(one.path for one in manifest.files[:5])
        raise BadInput(f"which file of {model.ref}?", why=names, hint="--file PATH")
    return workspace.store.open(manifests.scope_of(model.name), able[0].stored())


def _policy(workspace: Workspace) -> Policy:
    level = workspace.settings.supply.level
    return policy_of(level, allowing.signed(workspace) if level == "project" else ())
