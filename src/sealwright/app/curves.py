"""Curves of agreement as SVG: for the bench's page, the docs, and ``--html`` of a test."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from sealwright.app.bench.page import STYLE

if TYPE_CHECKING:
    from sealwright.app.extracting import Tested

_WIDTH, _HEIGHT = 860, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 210, 16, 40
_COLOURS = (
    *("#3d6b9e", "#b3382c", "#3f8f5a", "#8a5bb0", "#c98a1b", "#4f9aa8", "#a0527a"),
    *("#6b6f2a", "#777777", "#222222", "#d96fae", "#2f7f7f"),
)


At = Callable[[float, float], tuple[float, float]]


class Line(NamedTuple):
    """A curve through ``(x, share)``; ``dashed`` for the guard on, ``end`` marks where it stops."""

    name: str
    points: tuple[tuple[float, float], ...]
    dashed: bool = False
    end: bool = False


def chart(lines: Sequence[Line], across: str, marks: Sequence[tuple[str, float]] = ()) -> str:
    """Agreement (0 to 1) upwards, ``across`` in logarithms; ``marks`` are level lines."""
    every = [max(x, 1.0) for line in lines for x, _ in line.points] or [1.0, 10.0]
    low, high = math.log10(min(every)), math.log10(max(max(every), 1.001 * min(every)))
    wide, tall = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def at(x: float, share: float) -> tuple[float, float]:
        return _LEFT + wide * (math.log10(max(x, 1)) - low) / (high - low), _TOP + tall * (
            1 - share
        )

    parts = [_grid(low, high, at, across)]
    for name, share in marks:
        _, y = at(1, share)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_LEFT + wide}" y1="{y:.1f}" y2="{y:.1f}" class="target" '
            f'stroke="#777" stroke-dasharray="3 3"/>'
            f'<text x="{_LEFT + 6}" y="{y - 4:.1f}">{html.escape(name)}</text>'
        )
    names = list(dict.fromkeys(line.name for line in lines))
    for line in lines:
        colour = _COLOURS[names.index(line.name) % len(_COLOURS)]
        spots = [at(x, share) for x, share in line.points]
        dash = ' stroke-dasharray="6 4"' if line.dashed else ""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
        )
        if line.end and spots:
            x, y = spots[-1]
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
    for place, name in enumerate(names):
        y = _TOP + 14 + 20 * place
        x = _LEFT + wide + 14
        colour = _COLOURS[place % len(_COLOURS)]
        parts.append(
            f'<rect x="{x}" y="{y - 9}" width="14" height="4" fill="{colour}"/>'
            f'<text x="{x + 20}" y="{y - 2}">{html.escape(name)}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'fill="#777" font-family="system-ui,sans-serif" font-size="13">{"".join(parts)}</svg>'
    )


def _grid(low: float, high: float, place: At, across: str) -> str:
    parts = []
    for tenth in range(0, 11, 2):
        _, y = place(1, tenth / 10)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
            f'stroke="#8885"/><text x="8" y="{y + 4:.1f}" fill="#888">{tenth / 10:.1f}</text>'
        )
    for power in range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1):
        x, _ = place(10**power, 0)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" '
            f'stroke="#8885"/><text x="{x - 12:.1f}" y="{_HEIGHT - _BOTTOM + 18}" fill="#888">'
            f"{10**power:,}</text>"
        )
    parts.append(f'<text x="{_LEFT}" y="{_HEIGHT - 6}" fill="#888">{html.escape(across)}</text>')
    return "".join(parts)


def page(tested: Tested) -> str:
    """One test as a page: curves against queries and cells, and what they come to."""
    test = tested.test
    marks = [
        ("target", float(test.target)),
        ("without a question", float(test.no_questions)),
    ]
    plots = []
    for unit, words in (("queries", "queries answered"), ("cells", "cells touched")):
        lines = [
            Line(
                curve.thief,
                tuple((float(getattr(p.reading, unit)), p.agreed / curve.of) for p in curve.points),
                end=True,
            )
            for curve in tested.curves
        ]
        plots.append(
            f"<section><h2>Agreement by {words}</h2>{chart(lines, words, marks)}</section>"
        )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<title>Extraction test of {html.escape(tested.model)}</title><style>{STYLE}</style>"
        f"<h1>Extraction test of {html.escape(tested.model)}</h1>"
        f"<p>{test.held_out:,} records of {html.escape(tested.data)} judge the copies; answers as "
        f"{test.budget.fidelity}. Best: {html.escape(test.best)} with {test.agreement}, at most "
        f"{test.bound} (95 %). A better thief than these is bounded by nothing.</p>"
        f"{''.join(plots)}</html>\n"
    )
