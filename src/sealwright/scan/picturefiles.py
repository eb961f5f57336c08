"""A version's image files as a frame and batches: what ``tables`` is for tables.

A file's label is its first folder, its source the folders below (``intake.present``); an empty
name is none. Records count from 0 in the order of the files, readable or not.
Source: docs/spec/screening-v1.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from sealwright.scan import images
from sealwright.scan.images import File, Surveyed
from sealwright.scan.interface import Column, Fact, Frame

COLUMN = Column("image", "image")


class Found(msgspec.Struct, frozen=True):
    """What one look over all files says; ``surveyed`` is what makes batches."""

    frame: Frame
    surveyed: Surveyed
    facts: tuple[Fact, ...]


def survey(
    paths: Sequence[Path], labels: Sequence[str], sources: Sequence[str], *, seed: int = 0
) -> Found:
    """Decode each file once. ``labels`` and ``sources`` are as many as ``paths``, or none.

    Raises: MissingExtra (no decoder).
    """
    named, came = _names(labels), _names(sources)
    label_of = {name: code for code, name in enumerate(named)}
    source_of = {name: code for code, name in enumerate(came)}
    files = [
        File(
            path,
            at,
            label_of.get(labels[at], -1) if labels else -1,
            source_of.get(sources[at], -1) if sources else -1,
        )
        for at, path in enumerate(paths)
    ]
    surveyed = images.survey(files)
    cap = min(200, max(1, len(paths) // 1000))
    frame = Frame(len(paths), (COLUMN,), named, came, seed, 0.01, cap)
    bare = sum(file.label < 0 for file in surveyed.files)
    return Found(frame, surveyed, (*surveyed.facts, *_facts(frame, len(surveyed.files), bare)))


def _names(told: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({one for one in told if one}))


def _facts(frame: Frame, readable: int, bare: int) -> Iterator[Fact]:
    if not readable:
        yield Fact("images.empty", "high", "no image of this version could be read", {})
    if not frame.labels:
        yield Fact(
            "images.unlabelled",
            "low",
            "no image lies in a folder, so none has a label; a pattern that decides it is not seen",
        )
    elif bare:
        message = f"{bare:,} images lie in no folder and have no label"
        yield Fact("images.some-unlabelled", "low", message, {"unlabelled": bare})
    if len(frame.labels) == 1:
        yield Fact("images.one-class", "low", "all images have one label", {})
