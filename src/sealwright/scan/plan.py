"""What the trusted side asks of the jailed worker: ``plan.json``, beside the files it names.

``python -m sealwright.scan.worker`` reads it from its working folder and leaves
``report.json`` and ``previews/*.png`` (see ``scan.report``). Source: docs/spec/screening-v1.md.
"""

from __future__ import annotations

import msgspec

from sealwright.core.errors import BadInput
from sealwright.scan.interface import Column

FORMAT = 1
PLAN = "plan.json"
LABEL, SOURCE = "label", "source"
"""The two int32 columns of every table stream: codes into ``labels`` and ``sources``, or -1."""


class ImageFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One raw image file that is one record; its codes are -1 where unknown."""

    path: str
    label: int = -1
    source: int = -1


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version's records, in its own order: rows of ``tables``, or ``images``, never both.

    ``tables`` are Arrow IPC streams. Their columns are called ``0``, ``1``, ... after the
    place in ``columns``, then ``label`` and ``source``: float64 for numbers and times (seconds,
    null missing), strings for categories and text, fixed-size lists of float32 for vectors.
    ``unread`` counts the records that are of no kind a detector reads and are not among them;
    ``records`` counts every record. ``ids`` holds each image's record number where some were
    left out, else it is empty.
    """

    records: int
    columns: tuple[Column, ...]
    labels: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    images: tuple[ImageFile, ...] = ()
    ids: tuple[int, ...] = ()
    unread: int = 0


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One screening. ``detectors`` empty is all that fit; ``canary`` empty plants nothing.

    ``alpha`` is the family-wise error of all detectors together, ``review`` the row cap.
    ``reference`` is an earlier version that was released, its files below ``reference/``.
    """

    format: int
    part: Part
    seed: int
    alpha: float
    review: int
    detectors: tuple[str, ...] = ()
    canary: tuple[int, ...] = ()
    reference: Part | None = None


def encode(plan: Plan) -> bytes:
    """Canonical bytes: sorted keys."""
    return msgspec.json.encode(plan, order="sorted")


def decode(data: bytes) -> Plan:
    """Raises: BadInput (not a plan, or of a format that is not known)."""
    try:
        plan = msgspec.json.decode(data, type=Plan)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadInput("this is no screening plan", why=str(error)) from None
    if plan.format != FORMAT:
        raise BadInput(f"screening plan format {plan.format}", why=f"known: {FORMAT}")
    return plan
