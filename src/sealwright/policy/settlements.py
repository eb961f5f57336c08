"""What a read really took, where that was less than it reserved when it was allowed.

A ``read`` statement reserves its whole size before a byte leaves; ``read-settled`` gives back
the rest. Without one, or where it does not hold, everything reserved was taken.
Source: ``docs/spec/access-v1.md``, "Budgets".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeGuard

from sealwright.core import clock
from sealwright.core.predicates import READ, READ_SETTLED
from sealwright.core.records import Json, Recorded, Statement
from sealwright.evidence.history import History


def settled(history: History) -> dict[int, int]:
    """Bytes taken by log entry of the read: the first settlement of each that holds."""
    out: dict[int, int] = {}
    for entry in history.of_type(READ_SETTLED):
        read = read_of(entry, history)
        if read is not None:
            out.setdefault(read.index, int(entry.statement.predicate["size_bytes"]))  # type: ignore[arg-type]
    return out


def read_of(entry: Recorded, history: History) -> Recorded | None:
    """The read that a settlement is about; None where it does not hold."""
    predicate: Mapping[str, Any] = entry.statement.predicate
    index, size = predicate.get("entry"), predicate.get("size_bytes")
    if not _is_count(index) or not _is_count(size) or not index < entry.index:
        return None
    read = history.entries[index]
    reserved = read.statement.predicate.get("size_bytes")
    holds = (
        read.statement.predicate_type == READ
        and _is_count(reserved)
        and size <= reserved
        and read.statement.predicate.get("actor") == predicate.get("actor")
    )
    return read if holds else None


def statement_of(read: Recorded, size_bytes: int, why: str, now: datetime) -> Statement:
    """The statement that ``read`` took only ``size_bytes``."""
    predicate: dict[str, Json] = {
        "entry": read.index,
        "reserved_bytes": read.statement.predicate["size_bytes"],
        "size_bytes": size_bytes,
        "reason": why,
        "actor": read.statement.predicate["actor"],
        "time": clock.stamp(now),
    }
    return Statement(read.statement.subjects, READ_SETTLED, predicate)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
