"""A bench report as one page: figures, targets and yardsticks drawn as bars. No script, no CDN."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sealwright.app.bench import Plate, figure

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#636c76;--bar:#3d6b9e;--yard:#b8bfc7;--no:#b3382c;
--paper:#fff;--line:#e3e6ea}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8ea;--dim:#9aa3ad;--bar:#6ea3db;--yard:#4a525b;
--no:#e5786d;--paper:#15181c;--line:#2b3037}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:860px;
margin:3rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}p{color:var(--dim);margin:.3rem 0 2rem}
section{border-top:1px solid var(--line);padding:1rem 0}
h2{font-size:1rem;margin:0 0 .5rem;display:flex;gap:2rem;justify-content:space-between;
font-weight:600}
h2 span{font-weight:400;color:var(--dim)}h2 span.no{color:var(--no);font-weight:600}
small{color:var(--dim)}.target{stroke:var(--ink);stroke-dasharray:3 3;opacity:.5}
svg{display:block;width:100%;height:auto}text{fill:var(--ink);font-size:13px}
figure{display:inline-block;margin:.3rem 1.2rem .3rem 0;vertical-align:top}
figure img{height:128px;min-width:128px;object-fit:contain;object-position:left;display:block;
image-rendering:pixelated;border:1px solid var(--line)}
figcaption{color:var(--dim);font-size:13px}pre{margin:.2rem 0;white-space:pre-wrap;
overflow-wrap:anywhere;font-size:13px}
"""


def write_page(path: str, report: dict[str, Any], plates: Sequence[Plate] = ()) -> None:
    """Write ``report`` (the JSON of ``seal bench``) as HTML to ``path``, ``plates`` after it."""
    machine = report["machine"]
    sections = "\n".join(_section(row) for row in report["rows"])
    sections += "\n".join(_plate(plate) for plate in plates)
    Path(path).write_text(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>seal bench {report['bench']}"
        f"</title><style>{STYLE}</style><h1>seal bench {html.escape(report['bench'])}</h1>"
        f"<p>Sealwright {report['version']} on {html.escape(str(machine['cpu']))}, "
        f"{machine['cores']} cores, Python {machine['python']}"
        f"{', small sizes (--quick)' if report['quick'] else ''}</p>{sections}</html>\n",
        encoding="utf-8",
    )


def _section(row: dict[str, Any]) -> str:
    word = {True: "met", False: "not met", None: ""}[row["met"]]
    badge = f"target {row['target']} {row['unit']}".rstrip() if row["target"] else ""
    badge += f": {word}" if badge and word else ""
    kind = " class=no" if row["met"] is False else ""
    if row["value"] is None:
        return (
            f"<section><h2>{html.escape(row['what'])}<span{kind}>{html.escape(badge)}</span></h2>"
            f"<small>{html.escape(row.get('note', ''))}</small></section>"
        )
    bars = [Bar("sealwright", row["value"], "var(--bar)")]
    asides = []
    for name, value in row["yardsticks"].items():
        name, comma, unit = name.rpartition(", ")
        if unit in OTHER_UNITS:
            asides.append(f"{name or 'itself'} {figure(value)} {unit}")
        else:
            bars.append(Bar(f"{name}{comma}{unit}", value, "var(--yard)"))
    limit = float(row["target"].split()[1]) if row["target"] else None
    asides += [row["note"]] if row.get("note") else []
    aside = f"<small>{html.escape('; '.join(asides))}</small>" if asides else ""
    return (
        f"<section><h2>{html.escape(row['what'])}<span{kind}>{html.escape(badge)}</span></h2>"
        f"{_chart(bars, row['unit'], limit)}{aside}</section>"
    )


OTHER_UNITS = frozenset({"CPU s", "GB/CPU-s", "median", "median ms"})
"""A yardstick called ``name, unit`` is no bar beside the row's own unit: it is said below."""


def _plate(plate: Plate) -> str:
    """Pictures and lines under a title, captions below them."""
    pictures = "".join(
        f'<figure><img alt="{html.escape(name)}" src="data:image/png;base64,'
        f'{base64.b64encode(png).decode()}"><figcaption>{html.escape(name)}</figcaption></figure>'
        for name, png in plate.pictures
    )
    lines = "".join(
        f"<figcaption>{html.escape(name)}</figcaption><pre>{html.escape(chr(10).join(some))}</pre>"
        for name, some in plate.lines
    )
    return (
        f"<section><h2>{html.escape(plate.title)}</h2>{pictures}{lines}{''.join(plate.charts)}"
        f"<small>{html.escape(plate.caption)}</small></section>"
    )


class Bar(NamedTuple):
    """One bar of a row."""

    name: str
    value: float
    colour: str


_LABEL, _WIDTH, _LINE = 300, 360, 24


def _chart(bars: list[Bar], unit: str, limit: float | None) -> str:
    """Bars on one linear scale, the target as a dashed line across them."""
    top = max([bar.value for bar in bars] + ([limit] if limit else []))
    scale = _WIDTH / top if top > 0 else 0
    lines = []
    for number, bar in enumerate(bars):
        y, long = _LINE * number, min(_WIDTH, max(2.0, bar.value * scale))
        lines.append(
            f'<text x="0" y="{y + 15}">{html.escape(bar.name)}</text>'
            f'<rect x="{_LABEL}" y="{y + 3}" width="{long:.1f}" height="16" rx="2" '
            f'style="fill:{bar.colour}"/>'
            f'<text x="{_LABEL + long + 8:.1f}" y="{y + 15}">'
            f"{figure(bar.value)} {html.escape(unit)}</text>"
        )
    height = _LINE * len(bars)
    if limit:
        at = _LABEL + limit * scale
        lines.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{height}" class="target"/>')
    return f'<svg viewBox="0 0 860 {height}" role="img">{"".join(lines)}</svg>'
