"""``[serve]`` of ``seal.toml``: what a served model may tell whom, and what a client may take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from sealwright.core.amounts import size_bytes, span_s
from sealwright.core.errors import BadInput

ProfileName = Literal["", "multiclass", "binary", "regression", "ranking", "embedding"]


class ModelServeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[serve.models.NAME]``: how one model is asked and answered.

    ``profile`` and ``labels`` empty: as the model says. ``steps`` are the layers of weights
    without a class; ``file`` the weights' path inside the model where there are several;
    ``output`` the scores' name on a server behind.
    """

    profile: ProfileName = ""
    labels: list[str] = msgspec.field(default_factory=list)
    steps: list[str] = msgspec.field(default_factory=list)
    file: str = ""
    input: str = "input"
    output: str = ""
    text: bool = False
    width: int = 0
    budget_bits: int = 0
    lifetime_bits: int = 0


Links = Literal["off", "suggest", "enforce"]
Action = Literal["redact", "cut", "report"]


class TextServeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[serve.text]``: what one request of OpenAI's protocol may ask for, and what it may learn.

    ``tokens``, ``choices``: of one request at most. A token is at most ``token_bits`` bits.
    """

    tokens: int = 1_024
    choices: int = 4
    prompts: int = 16
    inputs: int = 256
    dimensions: int = 4_096
    token_bits: int = 17
    budget_bits: int = 50_000_000
    lifetime_bits: int = 10_000_000_000


class EgressServeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[serve.egress]``: what happens to what is found in text on its way out.

    ``canaries`` names a secret with one canary a line; ``memorised_runs`` a file that
    ``seal serve memorised`` made. ``confidence`` in percent, of personal data and credentials.
    """

    personal: Action = "redact"
    financial: Action = "redact"
    health: Action = "redact"
    credential: Action = "redact"
    network: Action = "report"
    canary: Action = "cut"
    memorised: Action = "redact"
    confidence: int = 60
    canaries: str = ""
    memorised_runs: str = ""


class ServeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[serve]``. Budgets are bits of released information; ``cells`` of 1,024, 0 is no cap.

    ``pace``: (bits, cells), rising: so many cells once so many bits were spent.

    ``ledger`` is ``file`` (this machine), or ``redis://… + postgresql://…`` for replicas.
    ``links``: what becomes of callers whose questions link them. ``kept_rows``: of what each of the
    heaviest callers asks, so many answered rows are kept for ``kept_time``; 0 is none.
    ``past_time``: for so long the guard remembers a caller who does not come.
    """

    budget_bits: int = 20_000
    lifetime_bits: int = 10_000_000
    internal_bits: int = 1_000_000_000
    cells: int = 0
    pace: list[tuple[int, int]] = msgspec.field(default_factory=list)
    rate_per_s: int = 50
    burst: int = 100
    internal_rate_per_s: int = 10_000
    rows: int = 1_000
    body: str = "8MiB"
    head: str = "16KiB"
    head_time: str = "10s"
    body_time: str = "30s"
    answer_time: str = "30s"
    idle_time: str = "30s"
    requests: int = 64
    connections: int = 1_024
    batch: str = "1s"
    lease: str = "24h"
    ledger: str = "file"
    memory: str = "8GiB"
    monitors: bool = True
    links: Links = "suggest"
    kept_rows: int = 0
    kept_time: str = "7d"
    past_time: str = "30d"
    text: TextServeSettings = TextServeSettings()
    egress: EgressServeSettings = EgressServeSettings()
    models: dict[str, ModelServeSettings] = msgspec.field(default_factory=dict)


def problems(serve: ServeSettings) -> Iterator[str]:
    """What is wrong with ``[serve]``, each with its path."""
    for field in _COUNTS:
        if getattr(serve, field) < 1:
            yield f"$.serve.{field}: at least 1"
    yield from _counts_of(serve)
    yield from _pace(serve.pace)
    for field, read in _AMOUNTS.items():
        yield from _amount(f"$.serve.{field}", getattr(serve, field), read)
    if serve.ledger != "file" and not serve.ledger.startswith(("redis", "unix:")):
        yield f"$.serve.ledger: {serve.ledger!r} is not file or redis://… + postgresql://…"
    for field in TextServeSettings.__struct_fields__:
        if getattr(serve.text, field) < 1:
            yield f"$.serve.text.{field}: at least 1"
    if not 1 <= serve.egress.confidence <= 99:
        yield "$.serve.egress.confidence: from 1 to 99 percent"
    for name, model in serve.models.items():
        yield from _model(f"$.serve.models.{name}", model)


def _counts_of(serve: ServeSettings) -> Iterator[str]:
    if not 0 <= serve.cells <= 1_024:
        yield "$.serve.cells: from 0 to 1,024"
    if serve.kept_rows and serve.kept_rows < serve.rows:
        yield "$.serve.kept_rows: 0, or at least $.serve.rows: requests are kept whole"


_MOST_KNOTS, _MOST_PACED_BITS = 16, 1 << 30
_COUNTS = (
    *("budget_bits", "lifetime_bits", "internal_bits", "rate_per_s", "burst"),
    *("internal_rate_per_s", "rows", "requests", "connections"),
)
_AMOUNTS: Mapping[str, Callable[[str], int]] = {
    **dict.fromkeys(("body", "head", "memory"), size_bytes),
    **dict.fromkeys(("head_time", "body_time", "answer_time", "idle_time"), span_s),
    **dict.fromkeys(("batch", "lease", "kept_time", "past_time"), span_s),
}


def _pace(pace: Sequence[tuple[int, int]]) -> Iterator[str]:
    spent = touched = 0
    for at, (bits, cells) in enumerate(pace):
        if not (spent < bits <= _MOST_PACED_BITS and max(1, touched) <= cells <= 1_024):
            yield f"$.serve.pace[{at}]: bits rise, and cells do not fall, up to 1,024"
        spent, touched = bits, cells
    if len(pace) > _MOST_KNOTS:
        yield f"$.serve.pace: at most {_MOST_KNOTS} pairs"


def _model(path: str, model: ModelServeSettings) -> Iterator[str]:
    if model.text and model.width:
        yield f"{path}.width: a text has none"
    for field in ("width", "budget_bits", "lifetime_bits"):
        if getattr(model, field) < 0:
            yield f"{path}.{field}: at least 0"
    if len(set(model.labels)) != len(model.labels):
        yield f"{path}.labels: one is there twice"


def _amount(path: str, text: str, read: Callable[[str], int]) -> Iterator[str]:
    try:
        found = read(text)
    except BadInput as error:
        yield f"{path}: {error.what} ({error.why})"
        return
    if found < 1:
        yield f"{path}: at least 1"
