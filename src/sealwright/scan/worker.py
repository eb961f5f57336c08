"""``python -m sealwright.scan.worker`` in the sealed room: reads a plan, writes a report.

In its working folder: ``plan.json`` and the files it names. It holds no key, no network and no
home; what it leaves (``report.json``, ``previews/*.png``) the trusted side parses strictly.
Source: docs/spec/screening-v1.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Literal

import msgspec
import pyarrow as pa

from sealwright.core.errors import BadInput, SealError
from sealwright.scan import canary, ensemble, images, picturefiles, registry, report, rounds, tables
from sealwright.scan.interface import Detector, Frame, Type

PLAN = "plan.json"
REPORT = "report.json"
VERSION = 1
CANARY_SECONDS = 300
"""Canaries stop there, so that what was found is never lost to the time they take."""


class Files(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version's files, in its own order. ``labels`` and ``sources`` only beside images."""

    paths: tuple[str, ...]
    labels: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to look at and how. ``detectors`` empty means all; ``canaries`` empty means none.

    ``label`` and ``source`` are column names of a table. ``types`` overrides what is guessed.
    ``model`` adds the detectors that train one, where ``detectors`` names none.
    """

    version: int
    modality: Literal["table", "image"]
    files: Files
    label: str = ""
    source: str = ""
    types: dict[str, Type] = msgspec.field(default_factory=dict)
    reference: Files | None = None
    seed: int = 0
    alpha: float = ensemble.ALPHA
    detectors: tuple[str, ...] = ()
    canaries: tuple[str, ...] = ()
    repeats: int = canary.REPEATS
    canary_seconds: int = CANARY_SECONDS
    model: bool = False


class Opened(msgspec.Struct, frozen=True):
    """A version ready to be read, pass after pass."""

    source: ensemble.Source
    frame: Frame
    facts: tuple[report.FactReport, ...] = ()
    unread: int = 0


def main(folder: Path = Path()) -> int:
    """Exit 0 with a report, 2 with a message on stderr."""
    try:
        plan = read((folder / PLAN).read_bytes())
        made, pictures = look(plan, folder)
    except SealError as error:
        sys.stderr.write("\n".join(error.lines()) + "\n")
        return 2
    for name, png in pictures.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(png)
    (folder / REPORT).write_bytes(report.encode(made))
    return 0


def read(data: bytes) -> Plan:
    """Raises: BadInput (not a plan, unknown fields, another version)."""
    try:
        plan = msgspec.json.decode(data, type=Plan)
    except msgspec.DecodeError as error:
        raise BadInput("this is no screening plan", why=str(error)) from None
    if plan.version != VERSION:
        raise BadInput(f"screening plan version {plan.version}", why=f"known: {VERSION}")
    return plan


def look(plan: Plan, folder: Path) -> tuple[report.Report, dict[str, bytes]]:
    """Screen the plan's files. Raises: BadInput (a file that cannot be read as what it is)."""
    opened = open_files(plan, plan.files, folder)
    known = open_files(plan, plan.reference, folder) if plan.reference else None
    chosen = _detectors(plan, opened.frame)
    screening = rounds.screen(
        opened.source,
        opened.frame,
        chosen,
        alpha=plan.alpha,
        reference=(known.source, known.frame) if known else None,
        progress=_Told(),
    )
    seen = tuple(_canaries(plan, opened, chosen))
    made, pictures = report.make(screening, opened.frame.rows, opened.facts, seen, opened.unread)
    return made, dict(pictures)


def open_files(plan: Plan, files: Files, folder: Path) -> Opened:
    """The files as batches, by the plan's modality."""
    if plan.modality == "image":
        return _pictures(plan, files, folder)
    opened = partial(_arrow, [folder / path for path in files.paths])
    found = tables.survey(
        opened, label=plan.label, source=plan.source, types=plan.types, seed=plan.seed
    )
    source = partial(tables.batches, opened, found.frame, label=plan.label, source=plan.source)
    return Opened(source, found.frame, tuple(report.FactReport("table", x) for x in found.facts))


def _pictures(plan: Plan, files: Files, folder: Path) -> Opened:
    for told in (files.labels, files.sources):
        if told and len(told) != len(files.paths):
            raise BadInput("this is no screening plan", why="labels are not one for each file")
    paths = [folder / path for path in files.paths]
    found = picturefiles.survey(paths, files.labels, files.sources, seed=plan.seed)
    facts = tuple(report.FactReport("images", fact) for fact in found.facts)
    source = partial(images.batches, found.surveyed)
    return Opened(source, found.frame, facts, len(found.surveyed.unread))


def _arrow(paths: Iterable[Path]) -> Iterator[pa.RecordBatch]:
    for path in paths:
        try:
            with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
                yield from stream
        except (pa.ArrowInvalid, OSError) as error:
            raise BadInput(f"{path.name} is no Arrow stream", why=str(error)) from None


def _detectors(plan: Plan, frame: Frame) -> list[Detector]:
    if plan.detectors:
        return [registry.detector(name) for name in plan.detectors]
    return registry.for_modalities(ensemble.modalities(frame), model=plan.model)


def _canaries(plan: Plan, opened: Opened, chosen: list[Detector]) -> Iterator[canary.Seen]:
    frame = canary.at_share(opened.frame, chosen, plan.alpha)
    end = monotonic() + plan.canary_seconds
    settled: dict[str, ensemble.Live] = {}

    def spent() -> bool:
        return monotonic() > end

    for family in plan.canaries:
        planter = registry.planter(family)
        able = [one for one in chosen if family in one.spec.families]
        if not able:
            continue
        try:
            if not spent():  # once for all families: what a model learnt is learnt once
                fresh = [one for one in able if one.spec.name not in settled]
                for live in canary.settled(opened.source, frame, fresh):
                    settled[live.spec.name] = live
            known = [live for name, live in settled.items() if name in {x.spec.name for x in able}]
            yield canary.power(
                opened.source,
                frame,
                planter,
                able,
                repeats=plan.repeats,
                settled=known,
                spent=spent,
            )
        except SealError:  # this version has nothing that the family could be planted in
            continue


class _Told:
    """Progress as lines on stderr, for the trusted side to pass on."""

    def advance(self, done: int, total: int, what: str) -> None:
        """One line each time."""
        sys.stderr.write(f"progress {done} {total} {what}\n")


if __name__ == "__main__":
    sys.exit(main())
