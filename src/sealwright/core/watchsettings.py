"""``[watch]`` of ``seal.toml``: what anybody may take, and what happens beyond."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_type_hints

import msgspec

from sealwright.core.amounts import hours, size_bytes, span_s
from sealwright.core.errors import BadInput


class WatchSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[watch]``: what anybody may take, and what happens beyond. 0 is no limit.

    ``hours`` is ``"06-22"`` (UTC, the last hour is outside), empty for any hour.
    """

    automatic: bool = True
    hours: str = ""
    outside_per_day: int = 1
    bytes_per_hour: str = "1TiB"
    bytes_per_day: str = "4TiB"
    reads_per_hour: int = 0
    reads_per_day: int = 0
    exports_per_day: int = 1_000
    export_bytes_per_day: str = "0"
    new_artifacts_per_day: int = 0
    compute_per_day: str = "0s"
    artifact_bytes_per_day: str = "0"
    artifact_exports_per_day: int = 1_000
    statistics: bool = False
    throttle: str = "5s"
    lasts: str = "24h"


def problems(watch: WatchSettings) -> Iterator[str]:
    """What is wrong with ``[watch]``, each with its path."""
    checks = {"hours": hours, "compute_per_day": span_s, "throttle": span_s, "lasts": span_s}
    for field, kind in get_type_hints(WatchSettings).items():
        value = getattr(watch, field)
        if kind is int and value < 0:
            yield f"$.watch.{field}: at least 0"
        elif kind is str:
            try:
                checks.get(field, size_bytes)(value)
            except BadInput as error:
                yield f"$.watch.{field}: {error.what} ({error.why})"
    try:
        if not 0 < span_s(watch.lasts) <= 30 * 86400:
            yield "$.watch.lasts: between 1s and 30d"
    except BadInput:
        return  # told above
