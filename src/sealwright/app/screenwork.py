"""One version into the jail, one report out: what the trusted side writes, and how it believes.

The worker reads what nobody trusts, so nothing of its report is taken as it is: unknown fields,
numbers out of range, a group that says more than its p-value, a detector that is missing are
all a screening that failed.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import msgspec

from sealwright.core import digest
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, MissingExtra
from sealwright.core.ports import Jail, JailBounds, Jailed, JailInput
from sealwright.intake import present
from sealwright.intake.manifest import TABLES, FileRecord
from sealwright.intake.recall import Memory
from sealwright.intake.versions import Dataset, open_file
from sealwright.scan import registry, report
from sealwright.scan.report import DetectorReport, Report
from sealwright.scan.worker import PLAN, REPORT, VERSION, Files, Plan

Heard = Callable[[str], None]
"""Gets what the worker says of how far it is."""

MODULE = "sealwright.scan.worker"
_CODE = ("scan", "kit")
_IMAGE = "image:"
_CANARY_SHARE = 3
"""Of the wall time, so much (one in three) may go into canaries."""


class Question(msgspec.Struct, frozen=True):
    """What is asked of the worker about one version, beside the version itself."""

    label: str
    source: str
    alpha: float
    detectors: tuple[str, ...]
    canary: bool
    seed: int
    bounds: JailBounds
    model: bool = False


class Version(msgspec.Struct, frozen=True):
    """A dataset version and what opens it."""

    dataset: Dataset
    memory: Memory
    project: Path


class Answer(msgspec.Struct, frozen=True):
    """A report that holds, as this version's own record numbers. ``unread`` counts every
    record that nothing could read."""

    report: Report
    numbers: Sequence[int]
    unread: int
    plan: Digest
    report_digest: Digest
    pictures: dict[str, bytes]
    jailed: Jailed


class _Laid(msgspec.Struct, frozen=True):
    """The files of one version in the jail, and which of its records they are."""

    modality: str
    files: Files
    inputs: tuple[JailInput, ...]
    label: str
    source: str
    numbers: Sequence[int]


def code_digest() -> Digest:
    """SHA-256 over the sources of every detector and of what they share."""
    here = Path(__file__).parent.parent
    files = sorted(path for room in _CODE for path in (here / room).rglob("*.py"))
    lines = [f"{digest.of_file(path)}  {path.relative_to(here)}\n" for path in files]
    return digest.of_bytes("".join(lines).encode())


def ask(jail: Jail, version: Version, reference: Version | None, question: Question) -> Answer:
    """Run the worker. Raises: Refused (``jail.*``), BadInput (a report that does not hold, data
    of a kind nothing reads), MissingExtra (no decoder), VerifyError (the data's own bytes)."""
    with ExitStack() as stack:
        laid = _lay(version, question, "", stack)
        earlier = _lay(reference, question, "reference/", stack) if reference else None
        if earlier is not None and earlier.modality != laid.modality:
            earlier = None
        plan = _plan(laid, earlier, question)
        data = msgspec.json.encode(plan, order="sorted")
        inputs = [JailInput(PLAN, len(data), _Bytes(data), digest.of_bytes(data)), *laid.inputs]
        inputs += earlier.inputs if earlier else ()
        jailed = jail.run(MODULE, (), inputs, question.bounds)
    said = jailed.outputs.get(REPORT)
    if said is None:
        raise BadInput("the worker left no report")
    found = report.decode(said)
    _check(found, laid, question, plan)
    unread = version.dataset.rows - len(laid.numbers) + found.unread
    named = [group.shown.picture for group in found.groups]
    pictures = {name: jailed.outputs[name] for name in named if name in jailed.outputs}
    return Answer(
        found,
        laid.numbers,
        unread,
        digest.of_bytes(data),
        digest.of_bytes(said),
        pictures,
        jailed,
    )


def _plan(laid: _Laid, earlier: _Laid | None, question: Question) -> Plan:
    pictures = laid.modality == "image"
    known = [x for x in registry.planters() if question.model or x not in registry.PLANTED_MODEL]
    planted = [name for name in known if name.startswith(_IMAGE) == pictures]
    return msgspec.convert(
        {
            "version": VERSION,
            "modality": laid.modality,
            "files": msgspec.to_builtins(laid.files),
            "label": laid.label,
            "source": laid.source,
            "reference": msgspec.to_builtins(earlier.files) if earlier else None,
            "seed": question.seed,
            "alpha": question.alpha,
            "detectors": list(question.detectors),
            "canaries": sorted(planted) if question.canary else [],
            "canary_seconds": question.bounds.wall_s // _CANARY_SHARE,
            "model": question.model,
        },
        Plan,
    )


def _lay(version: Version, question: Question, under: str, stack: ExitStack) -> _Laid:
    manifest = version.memory.manifest
    if manifest.kind in TABLES:
        return _lay_tables(version, question, under, stack)
    pictures = [(at, f) for at, f in enumerate(manifest.files) if present.is_picture(f.path)]
    if pictures:
        return _lay_pictures(version, question, pictures, under)
    texts = [(at, f) for at, f in enumerate(manifest.files) if present.is_text(f.path)]
    if texts and not manifest.external:
        return _lay_texts(version, texts, under, stack)
    raise BadInput(
        f"{version.dataset.ref} holds no table, picture or text",
        why="no detector reads other files",
    )


def _lay_tables(version: Version, question: Question, under: str, stack: ExitStack) -> _Laid:
    manifest = version.memory.manifest

    def written(file: FileRecord) -> Callable[[io.BufferedIOBase], None]:
        return lambda sink: present.write_table(version.memory, version.project, file, sink)  # type: ignore[arg-type]

    inputs = tuple(
        _spooled(f"{under}tables/{at:05d}.arrow", written(file), stack)
        for at, file in enumerate(manifest.files)
    )
    several = present.FILE_COLUMN if len(manifest.files) > 1 else ""
    return _Laid(
        "table",
        Files(tuple(one.path for one in inputs)),
        inputs,
        question.label,
        question.source or several,
        range(manifest.rows),
    )


def _lay_texts(
    version: Version, texts: Sequence[tuple[int, FileRecord]], under: str, stack: ExitStack
) -> _Laid:
    files = [file for _, file in texts]

    def write(sink: io.BufferedIOBase) -> None:
        present.write_texts(version.memory, files, sink)  # type: ignore[arg-type]

    one = _spooled(f"{under}tables/00000.arrow", write, stack)
    labelled = any(present.folder_of(file.path) for file in files)
    label = present.FOLDER_COLUMN if labelled else ""
    return _Laid("table", Files((one.path,)), (one,), label, "", [at for at, _ in texts])


def _lay_pictures(
    version: Version, question: Question, pictures: Sequence[tuple[int, FileRecord]], under: str
) -> _Laid:
    if find_spec("PIL") is None:
        raise MissingExtra("looking at images", "scan")
    if (question.model or set(question.detectors) & set(registry.MODEL)) and not find_spec("torch"):
        raise MissingExtra("screening with a model", "torch")
    inputs, manifest = [], version.memory.manifest
    for at, file in pictures:
        suffix = Path(file.path).suffix.lower()
        opened = open_file(version.dataset, manifest, file, version.memory.store, version.project)
        inputs.append(JailInput(f"{under}images/{at:07d}{suffix}", file.size, opened, file.sha256))
    labels = tuple(present.folder_of(file.path) for _, file in pictures)
    origins = tuple(present.origin_of(file.path) for _, file in pictures)
    files = Files(
        tuple(one.path for one in inputs),
        labels if any(labels) else (),
        origins if any(origins) else (),
    )
    return _Laid("image", files, tuple(inputs), "", "", [at for at, _ in pictures])


def _spooled(path: str, write: Callable[[io.BufferedIOBase], None], stack: ExitStack) -> JailInput:
    """A file of the jail, written into memory that has no name."""
    fd = os.memfd_create("screening", os.MFD_CLOEXEC)
    stack.callback(os.close, fd)
    with open(fd, "wb", closefd=False) as sink:
        write(sink)
    size = os.fstat(fd).st_size
    with open(fd, "rb", closefd=False, buffering=0) as whole:
        whole.seek(0)
        sha256 = digest.of_stream(whole)
    return JailInput(path, size, _Memory(fd, size), sha256)


class _Memory:
    """The port ``Readable`` over a descriptor."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self.size = size

    def pread(self, offset: int, count: int) -> bytes:
        return os.pread(self._fd, count, offset)


class _Bytes:
    """The port ``Readable`` over bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def pread(self, offset: int, count: int) -> bytes:
        return self._data[offset : offset + count]


def _check(found: Report, laid: _Laid, question: Question, plan: Plan) -> None:
    """Raises: BadInput, naming what the report contradicts."""
    for fault in _faults(found, laid, question, plan):
        raise BadInput("the worker's report does not hold", why=fault)


def _faults(found: Report, laid: _Laid, question: Question, plan: Plan) -> Iterator[str]:
    if found.records != len(laid.numbers):
        yield f"it speaks of {found.records} records, and was given {len(laid.numbers)}"
    if not 0 <= found.unread <= found.records:
        yield "it could not read more records than there are"
    known = {one.spec.name: one for one in found.detectors}
    if len(known) != len(found.detectors):
        yield "a detector speaks twice"
    wanted = set(question.detectors) or set(registry.ANY) | (
        set(registry.IMAGE) | (set(registry.MODEL) if question.model else set())
        if laid.modality == "image"
        else set()
    )
    if missing := sorted(wanted - known.keys()):
        yield f"{missing[0]} did not look"
    if odd := sorted(known.keys() - registry.detectors().keys()):
        yield f"nobody knows a detector {odd[0]!r}"
    tested = [one for one in found.detectors if one.spec.kind == "group" and one.spec.tested]
    shares = [one.alpha for one in tested]
    if sum(shares) > plan.alpha * (1 + 1e-9):
        yield "its detectors took more of the error than there is"
    yield from _group_faults(found, known)
    if not set(plan.canaries) >= {one.family for one in found.canaries}:
        yield "it planted what nobody asked for"


def _group_faults(found: Report, known: Mapping[str, DetectorReport]) -> Iterator[str]:
    for group in found.groups:
        by = known.get(group.detector)
        if by is None:
            yield f"a group of {group.detector!r}, which did not look"
        elif group.significant != (by.spec.kind == "group" and group.p_value <= by.alpha):
            yield f"group {group.key} is not as significant as it says"
        elif group.significant and not group.carriers:
            yield f"group {group.key} has no carriers"
        elif list(group.carriers) != sorted(set(group.carriers)):
            yield f"group {group.key} lists its carriers twice, or in no order"
