"""Splits over a workspace: the sides are read, compared, and what leaks is in a statement.

:func:`check` is what ``seal run`` and ``seal data splits`` call; the gates read its statement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from sealwright.app import rows
from sealwright.app.datasets import memory_of
from sealwright.app.wiring import Workspace
from sealwright.core import clock, predicates
from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput, Refused
from sealwright.core.ports import JailBounds, JailInput
from sealwright.core.records import Statement
from sealwright.core.settings import SplitSettings
from sealwright.intake.contract_check import moments
from sealwright.intake.record import LEAF_BYTES, leaves
from sealwright.intake.schema import schema_of
from sealwright.intake.versions import Dataset, Datasets, open_files
from sealwright.kit import neardup
from sealwright.kit.neardup import Pictures
from sealwright.policy import datafacts
from sealwright.scan import picturehash, splits
from sealwright.scan.splits import ROLES, Leak, Report, SideData

_TEXT_MEAN = 20
"""Characters a text column has on average, at least: shorter ones hold words, not texts."""

_PICTURES_AT_ONCE = 8_000
_HASHES_ONLY = b"\0" * 32


class Sides(msgspec.Struct, frozen=True):
    """A split to be checked: its name, its terms, and the versions of its sides by role."""

    name: str
    terms: SplitSettings
    datasets: dict[str, Dataset]


class Checked(msgspec.Struct, frozen=True):
    """A split that was compared. ``index`` is its statement's log entry."""

    name: str
    refs: dict[str, str]
    leaks: tuple[Leak, ...]
    total: int
    unread: int
    report: Digest
    index: int

    @property
    def apart(self) -> bool:
        """Nothing leaks."""
        return self.total == 0

    def lines(self) -> list[str]:
        """One line a leak: what, how many, first record ids; never a value."""
        return [f"{' / '.join(self.refs.values())}: {leak.words()}" for leak in self.leaks]


def declared(workspace: Workspace, catalogue: Datasets, name: str) -> Sides:
    """``[splits.NAME]`` of seal.toml over the newest versions. Raises: BadInput."""
    terms = workspace.settings.splits.get(name)
    if terms is None:
        raise BadInput(
            f"there is no [splits.{name}] in seal.toml",
            why=f"known: {', '.join(workspace.settings.splits) or 'none'}",
            hint="seal data splits TRAIN VALIDATION TEST compares any versions",
        )
    named = {role: getattr(terms, role) for role in ROLES if getattr(terms, role)}
    return Sides(name, terms, {role: catalogue.resolve(ref) for role, ref in named.items()})


def check(workspace: Workspace, sides: Sides, *, again: bool = False) -> Checked:
    """Compare the sides and record what leaks; what was compared on these terms is not read
    again. Raises: BadInput (sides that do not fit), VerifyError, Refused."""
    known = None if again else _known(workspace, sides)
    if known is not None:
        return known
    report = compare(workspace, sides)
    return _record(workspace, sides, report)


def before_run(workspace: Workspace, datasets: Sequence[Dataset]) -> list[Checked]:
    """Check every split of seal.toml that a run's inputs are a side of, with those inputs."""
    catalogue = Datasets(workspace.history(), workspace.store)
    used = {one.name: one for one in datasets}
    out = []
    for name in workspace.settings.splits:
        sides = declared(workspace, catalogue, name)
        chosen = {role: used.get(one.name, one) for role, one in sides.datasets.items()}
        if any(one.name in used for one in chosen.values()):
            out.append(check(workspace, msgspec.structs.replace(sides, datasets=chosen)))
    return out


def compare(workspace: Workspace, sides: Sides) -> Report:
    """The report; recorded nowhere."""
    if len(sides.datasets) < 2:
        raise BadInput("a split has at least two sides", hint="train and test, or validation")
    digests = [one.digest for one in sides.datasets.values()]
    if len(set(digests)) < len(digests):
        raise BadInput("two sides of the split are the same version")
    if all(rows.is_table(one) for one in sides.datasets.values()):
        columns = _columns(workspace, sides)
        read = [_table(workspace, role, one, columns) for role, one in sides.datasets.items()]
    elif any(rows.is_table(one) for one in sides.datasets.values()):
        raise BadInput("a table and files cannot be the sides of one split")
    else:
        if sides.terms.key or sides.terms.time:
            raise BadInput("key and time are columns, and these sides are files")
        near = sides.terms.near > 0
        read = [_files(workspace, role, one, near) for role, one in sides.datasets.items()]
    return splits.compare(read, sides.terms.near)


class _Columns(msgspec.Struct, frozen=True):
    """What is compared: the shared columns, each as one type; key and time column, texts."""

    shared: dict[str, pa.DataType]
    key: str
    key_type: pa.DataType | None
    time: str
    near: bool


def _columns(workspace: Workspace, sides: Sides) -> _Columns:
    schemas = {one.ref: rows.of(workspace, one)[0] for one in sides.datasets.values()}
    terms = sides.terms
    for ref, schema in schemas.items():
        for what, column in (("key", terms.key), ("time", terms.time)):
            if column and column not in schema.names:
                raise BadInput(
                    f"{ref} has no column {column!r}",
                    why=f"it is the split's {what}",
                    hint="seal data show " + ref,
                )
    first, *others = schemas.values()
    names = [n for n in first.names if all(n in other.names for other in others)]
    compared = [n for n in names if n not in (terms.key, terms.time)]
    if not compared:
        raise BadInput("the sides share no column to compare", hint="seal data show REF")
    shared = {n: _one_type([s.field(n).type for s in schemas.values()]) for n in compared}
    key_type = _one_type([s.field(terms.key).type for s in schemas.values()]) if terms.key else None
    return _Columns(shared, terms.key, key_type, terms.time, terms.near > 0)


def _one_type(kinds: Sequence[pa.DataType]) -> pa.DataType:
    """What equal cells are compared as: a CSV's ``1`` and another's ``1.0`` are equal."""
    plain = [kind.value_type if types.is_dictionary(kind) else kind for kind in kinds]
    if all(kind == plain[0] for kind in plain):
        return plain[0]
    numeric = all(types.is_integer(k) or types.is_floating(k) or types.is_null(k) for k in plain)
    return pa.float64() if numeric else pa.string()


def _table(workspace: Workspace, role: Any, dataset: Dataset, columns: _Columns) -> SideData:
    _, batches = rows.of(workspace, dataset)
    exact: list[Any] = []
    entities: list[Any] = []
    keyed: list[Any] = []
    times: list[Any] = []
    timed: list[Any] = []
    texts: list[Any] = []
    text_ids: list[Any] = []
    start = 0
    for batch in batches:
        exact.append(_hashes(batch, columns.shared))
        if columns.key and columns.key_type is not None:
            entities.append(_hashes(batch, {columns.key: columns.key_type}))
            keyed.append(_present(batch.column(columns.key)))
        if columns.time:
            found = _moments(batch.column(columns.time), columns.time)
            timed.append(pc.is_valid(found).to_numpy(zero_copy_only=False))
            times.append(found.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False))
        if columns.near:
            signatures, able = neardup.text_signatures(_texts(batch, columns.shared))
            texts.append(signatures[able])
            text_ids.append(start + np.flatnonzero(able))
        start += batch.num_rows
    return SideData(
        role=role,
        records=start,
        exact=_joined(exact, np.uint64),
        entities=_joined(entities, np.uint64) if columns.key else None,
        keyed=_joined(keyed, np.bool_) if columns.key else None,
        times=_joined(times, np.int64) if columns.time else None,
        timed=_joined(timed, np.bool_) if columns.time else None,
        texts=np.concatenate(texts) if texts else None,
        text_ids=_joined(text_ids, np.int64) if texts else None,
    )


def _hashes(batch: pa.RecordBatch, wanted: dict[str, pa.DataType]) -> npt.NDArray[np.uint64]:
    """(n,) the first 8 bytes of each record's leaf over those columns, in their one type."""
    arrays = [_as(batch.column(name), kind, name) for name, kind in wanted.items()]
    alone = pa.RecordBatch.from_arrays(arrays, names=list(wanted))
    hashes = np.frombuffer(leaves(alone, schema_of(alone.schema), _HASHES_ONLY), np.uint64)
    return hashes[:: LEAF_BYTES // 8].copy()


def _as(column: pa.Array, kind: pa.DataType, name: str) -> pa.Array:
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.type == kind:
        return column
    try:
        return column.cast(kind, safe=False)
    except pa.ArrowException as error:
        raise BadInput(
            f"column {name!r} is {column.type} on one side and {kind} on another",
            why="they cannot be compared",
            hint="write one side again with the other's type",
        ) from error


def _present(column: pa.Array) -> npt.NDArray[np.bool_]:
    there = pc.is_valid(column)
    if types.is_string(column.type) or types.is_large_string(column.type):
        there = pc.and_(there, pc.fill_null(pc.not_equal(column, ""), fill_value=False))
    found: npt.NDArray[np.bool_] = there.to_numpy(zero_copy_only=False)
    return found


def _moments(column: pa.Array, name: str) -> pa.Array:
    """Microseconds: of ISO texts, dates and timestamps; a number is taken as it is."""
    if types.is_integer(column.type) or types.is_floating(column.type):
        return (
            pc.if_else(pc.is_finite(column), column, None)
            .cast(pa.float64())
            .cast(pa.int64(), safe=False)
        )
    if types.is_null(column.type):
        return column.cast(pa.int64())
    try:
        return moments(column).cast(pa.int64())
    except pa.ArrowException as error:
        raise BadInput(
            f"column {name!r} holds no times: it is {column.type}",
            hint="ISO 8601 texts, dates, timestamps or numbers are wanted",
        ) from error


def _texts(batch: pa.RecordBatch, shared: dict[str, pa.DataType]) -> list[str | None]:
    """A record's long texts, joined."""
    long = [
        batch.column(name)
        for name, kind in shared.items()
        if (types.is_string(kind) or types.is_large_string(kind)) and _is_long(batch.column(name))
    ]
    if not long:
        return [None] * batch.num_rows
    joined = pc.binary_join_element_wise(
        *(pc.fill_null(each.cast(pa.string()), "") for each in long), "\n"
    )
    found: list[str | None] = joined.to_pylist()
    return found


def _is_long(column: pa.Array) -> bool:
    if not (types.is_string(column.type) or types.is_large_string(column.type)):
        return False
    mean = pc.mean(pc.utf8_length(column)).as_py()
    return mean is not None and mean >= _TEXT_MEAN


def _joined(parts: list[Any], kind: Any) -> npt.NDArray[Any]:
    return np.concatenate(parts).astype(kind) if parts else np.zeros(0, kind)


def _files(workspace: Workspace, role: Any, dataset: Dataset, near: bool) -> SideData:
    manifest = memory_of(workspace, dataset).manifest
    exact = np.array([int(file.sha256[:16], 16) for file in manifest.files], np.uint64)
    if dataset.kind != "images" or not near:
        return SideData(role=role, records=len(exact), exact=exact)
    found = np.concatenate(list(_signatures(workspace, dataset)))
    able = np.flatnonzero(found["read"] == 1)
    return SideData(
        role=role,
        records=len(exact),
        exact=exact,
        pictures=Pictures(found["hash"][able].astype(np.uint64), found["thumb"][able]),
        picture_ids=able.astype(np.int64),
        unread=len(found) - len(able),
    )


def _signatures(workspace: Workspace, dataset: Dataset) -> Iterator[npt.NDArray[Any]]:
    """Each image's signature, made in the room: nothing here decodes a picture."""
    waiting: list[JailInput] = []
    for file in open_files(dataset, workspace.store, workspace.root):
        path = f"{picturehash.INPUTS}/{len(waiting)}"
        waiting.append(JailInput(path, file.size, file.readable, file.sha256))
        if len(waiting) == _PICTURES_AT_ONCE:
            yield _jailed(workspace, waiting)
            waiting = []
    if waiting:
        yield _jailed(workspace, waiting)


def _jailed(workspace: Workspace, inputs: list[JailInput]) -> npt.NDArray[Any]:
    done = workspace.jail.run("sealwright.scan.picturehash", [], inputs, JailBounds())
    data = done.outputs.get(picturehash.OUTPUT, b"")
    if len(data) != len(inputs) * picturehash.RECORD.itemsize:
        raise Refused(
            "the pictures could not be compared",
            why=f"{len(data):,} bytes came back for {len(inputs):,} files",
            rule="split.pictures",
        )
    return np.frombuffer(data, picturehash.RECORD)


def _terms(sides: Sides) -> dict[str, str]:
    terms = sides.terms
    return {"key": terms.key, "time_column": terms.time, "near": f"{terms.near:g}"}


def _sides(sides: Sides) -> list[dict[str, str]]:
    return [
        {"role": role, "ref": one.ref, "digest": one.digest} for role, one in sides.datasets.items()
    ]


def _known(workspace: Workspace, sides: Sides) -> Checked | None:
    """The newest check of exactly these versions on exactly these terms."""
    newest = next(iter(sides.datasets.values()))
    for entry in reversed(workspace.history().about(newest.digest)):
        said: Any = entry.statement.predicate
        if entry.statement.predicate_type != predicates.SPLITS or said.get("name") != sides.name:
            continue
        same = all(said.get(key) == value for key, value in _terms(sides).items())
        if not same or said.get("sides") != _sides(sides) or datafacts.split_of(entry) is None:
            return None
        try:
            leaks = msgspec.convert(said["leaks"], tuple[Leak, ...])
            unread, report = int(said["unread"]), str(said["report"])
        except (KeyError, ValueError, msgspec.ValidationError):
            return None
        refs = {role: one.ref for role, one in sides.datasets.items()}
        return Checked(sides.name, refs, leaks, said["total"], unread, report, entry.index)
    return None


def _record(workspace: Workspace, sides: Sides, report: Report) -> Checked:
    share = sides.terms.allow
    counted = [leak for leak in report.leaks if leak.count > share * report.records[leak.target]]
    total = sum(leak.count for leak in counted) + report.unread
    predicate: dict[str, Any] = {
        "name": sides.name,
        "sides": _sides(sides),
        **_terms(sides),
        "allow": f"{sides.terms.allow:g}",
        "leaks": msgspec.to_builtins(report.leaks),
        "total": total,
        "unread": report.unread,
        "report": report.digest,
        "actor": workspace.principal.name,
        "time": clock.stamp(workspace.clock()),
    }
    subjects = tuple(one.artifact for one in sides.datasets.values())
    receipt = workspace.recorder.record(Statement(subjects, predicates.SPLITS, predicate))
    refs = {role: one.ref for role, one in sides.datasets.items()}
    return Checked(
        sides.name, refs, report.leaks, total, report.unread, report.digest, receipt.index
    )


def ad_hoc(datasets: Sequence[Dataset], terms: SplitSettings) -> Sides:
    """Versions named on the command line: train and test, or train, validation and test.

    They make the split that is called after their names.
    """
    if not 2 <= len(datasets) <= 3:
        raise BadInput("two or three sides are compared", hint="seal data splits train val test")
    roles = ("train", "test") if len(datasets) == 2 else ROLES
    names = "+".join(one.name for one in datasets)
    name = names if len(names) <= 64 else of_bytes(names.encode())[:16]
    return Sides(name, terms, dict(zip(roles, datasets, strict=True)))
