"""``[screening]`` of ``seal.toml``: how data is looked at before a run reads it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import msgspec

from sealwright.core.amounts import size_bytes
from sealwright.core.errors import BadInput

ALPHA = 0.01
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class ScreeningSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[screening]``: how data is looked at before a run reads it.

    ``alpha`` is the chance that a version with nothing in it is stopped; ``detectors`` empty is
    all that fit; ``review`` caps the records that are listed for a look; ``canary`` says whether
    the smallest count that would have been seen is measured; ``model`` adds the detectors that
    train one.
    """

    enabled: bool = True
    alpha: float = ALPHA
    detectors: list[str] = msgspec.field(default_factory=list)
    review: int = 200
    canary: bool = True
    seed: int = 0
    max_seconds: int = 900
    memory: str = "4GiB"
    model: bool = False

    @property
    def reduced(self) -> bool:
        """Whether less would be found than by default."""
        return bool(self.detectors) or self.alpha < ALPHA


def problems(screening: ScreeningSettings) -> Iterator[str]:
    """What is wrong with ``[screening]``, each with its path."""
    if not (math.isfinite(screening.alpha) and 0 < screening.alpha <= 0.5):
        yield "$.screening.alpha: above 0 and at most 0.5"
    for number, name in enumerate(screening.detectors):
        if not _NAME.fullmatch(name):
            yield f"$.screening.detectors[{number}]: {name!r} is no detector's name"
    if screening.review < 0:
        yield "$.screening.review: at least 0"
    if not 0 <= screening.seed < 1 << 31:
        yield "$.screening.seed: from 0 to 2147483647"
    if screening.max_seconds < 1:
        yield "$.screening.max_seconds: at least 1"
    try:
        size_bytes(screening.memory)
    except BadInput as error:
        yield f"$.screening.memory: {error.what} ({error.why})"
