"""What a detector is, what it is given and what it says. Arrays in, groups and ranks out.

::

    detector.begin(frame)  →  scan          one state over one dataset version
    scan.observe(0, batch) …  scan.settle(0)      a pass over all records, in any order
    scan.merge(other)                       two shards of one pass are one state
    scan.result()                           groups, ranks and facts

Group detectors control the family-wise error at ``frame.alpha`` for the whole version and are
the only ones whose carriers may be quarantined. Row detectors rank at most ``frame.review``
records for a person to look at. A detector that raises is a finding that blocks.
Source: docs/spec/screening-v1.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, Self, runtime_checkable

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.ports import Progress

Modality = Literal["table", "text", "image", "embedding", "any"]
Kind = Literal["group", "row", "fact"]
Need = Literal["labels", "sources", "reference", "model"]
Type = Literal["number", "category", "text", "time", "vector", "image"]


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A detector's constant facts. ``families`` are the trigger families it is there to see.

    ``tested`` is false where what is found is exact (an issuer's form with its checksum): then
    nothing is weighed against chance, and no part of the family-wise error is needed.
    """

    name: str
    version: int
    modality: Modality
    kind: Kind
    families: tuple[str, ...] = ()
    threats: tuple[str, ...] = ("AML.T0020",)
    passes: int = 1
    needs: tuple[Need, ...] = ()
    tested: bool = True


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One feature column and how detectors are to read it."""

    name: str
    type: Type


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of the version before the first record is read.

    ``labels`` and ``sources`` are names by code; empty where there are none. ``alpha`` is this
    detector's share of the family-wise error for the whole version, ``review`` its row cap.
    """

    rows: int
    columns: tuple[Column, ...]
    labels: tuple[str, ...]
    sources: tuple[str, ...]
    seed: int
    alpha: float
    review: int


class Batch(msgspec.Struct, frozen=True):
    """Some records. ``ids`` (n,) int64 count records in the version's own order, from 0.

    ``labels`` and ``sources`` (n,) int32 are codes, -1 where unknown. ``values`` holds columns
    by name: float64 (NaN missing) for numbers and times, object arrays of str or None for
    categories and text. ``images`` (n, h, w, 3) uint8 and ``vectors`` (n, d) float32 are None
    where the modality has none.
    """

    ids: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int32]
    sources: npt.NDArray[np.int32]
    values: Mapping[str, npt.NDArray[Any]] = msgspec.field(default_factory=dict)
    images: npt.NDArray[np.uint8] | None = None
    vectors: npt.NDArray[np.float32] | None = None


class Preview(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something to look at: PNG bytes, or lines of text (cells, n-grams). Never in the log."""

    png: bytes = b""
    lines: tuple[str, ...] = ()


class Group(msgspec.Struct, frozen=True):
    """Records that share a pattern which should not decide the label, and does.

    ``p_value`` is adjusted: family-wise over everything this detector tried on the version.
    ``count`` records show the pattern, ``seen`` of them with ``label``, where ``expected`` would
    have it if the pattern did not matter. ``carriers`` are those to be quarantined: all of them,
    or only those with ``label``, and of patterns that share most of their rows. ``pattern`` is for
    people and may quote cells; ``key`` names it without quoting.
    """

    family: str
    pattern: str
    key: str
    carriers: npt.NDArray[np.int64]
    label: str
    count: int
    seen: int
    expected: float
    statistic: float
    p_value: float
    preview: Preview = Preview()


class Rank(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record worth a person's look. ``suggest`` is a better label, where there is one."""

    record: int
    score: float
    why: str
    suggest: str = ""


class Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing true of the whole version (a constant column, one class, a drifted source)."""

    rule: str
    severity: Literal["info", "low", "medium", "high", "critical"]
    message: str
    metrics: Mapping[str, int | float | str] = msgspec.field(default_factory=dict)


class Result(msgspec.Struct, frozen=True):
    """What one detector has to say. ``tried`` counts the patterns its error is controlled over;
    ``unread`` the records it could not look at, which is said and never skipped in silence."""

    groups: tuple[Group, ...] = ()
    ranks: tuple[Rank, ...] = ()
    facts: tuple[Fact, ...] = ()
    tried: int = 0
    unread: int = 0


class Scan(Protocol):
    """The mergeable state of one detector over one version."""

    def observe(self, number: int, batch: Batch) -> None:
        """Take in some records during pass ``number``."""
        ...

    def merge(self, other: Self) -> None:
        """Take in what another shard saw in the same pass."""
        ...

    def settle(self, number: int) -> None:
        """Pass ``number`` has seen every record."""
        ...

    def result(self) -> Result:
        """After the last pass."""
        ...


@runtime_checkable
class Slow(Protocol):
    """A scan whose settling takes long enough to be watched."""

    def watch(self, progress: Progress) -> None:
        """Where to say how far it is; before the first pass."""
        ...


class Detector(Protocol):
    """One way to look. Stateless itself: ``begin`` makes the state."""

    @property
    def spec(self) -> Spec:
        """Name, version, what it needs and what it covers."""
        ...

    def begin(self, frame: Frame, reference: Scan | None = None) -> Scan:
        """``reference`` is a settled scan of an earlier, trusted version, where there is one."""
        ...


class Planter(Protocol):
    """Plants one trigger family in a copy, for the canary that states what would be seen."""

    @property
    def family(self) -> str:
        """As in ``Spec.families``."""
        ...

    def plant(
        self, batches: Sequence[Batch], frame: Frame, count: int, seed: int
    ) -> tuple[Sequence[Batch], npt.NDArray[np.int64]]:
        """The records with ``count`` of them poisoned, and which those are."""
        ...
