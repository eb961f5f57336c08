"""A bench report as one page: figures, targets and yardsticks drawn as bars. No script, no CDN."""

from __future__ import annotations

import html
import math
from pathlib import Path
from typing import Any

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#636c76;--bar:#3d6b9e;--yard:#b8bfc7;--no:#b3382c;
--paper:#fff;--line:#e3e6ea}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8ea;--dim:#9aa3ad;--bar:#6ea3db;--yard:#4a525b;
--no:#e5786d;--paper:#15181c;--line:#2b3037}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:860px;
margin:3rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}p{color:var(--dim);margin:.3rem 0 2rem}
section{border-top:1px solid var(--line);padding:1rem 0}
h2{font-size:1rem;margin:0 0 .5rem;display:flex;justify-content:space-between;font-weight:600}
h2 span{font-weight:400;color:var(--dim)}h2 span.no{color:var(--no);font-weight:600}
svg{display:block;width:100%;height:auto}text{fill:var(--ink);font-size:13px}
"""


def write_page(path: str, report: dict[str, Any]) -> None:
    """Write ``report`` (the JSON of ``seal bench``) as HTML to ``path``."""
    machine = report["machine"]
    sections = "\n".join(_section(row) for row in report["rows"])
    Path(path).write_text(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>seal bench {report['bench']}"
        f"</title><style>{_STYLE}</style><h1>seal bench {html.escape(report['bench'])}</h1>"
        f"<p>Sealwright {report['version']} on {html.escape(str(machine['cpu']))}, "
        f"{machine['cores']} cores, Python {machine['python']}"
        f"{', small sizes (--quick)' if report['quick'] else ''}</p>{sections}</html>\n",
        encoding="utf-8",
    )


def _section(row: dict[str, Any]) -> str:
    word = {True: "met", False: "not met", None: ""}[row["met"]]
    badge = f"target {row['target']}: {word}" if row["target"] else ""
    kind = " class=no" if row["met"] is False else ""
    bars = [("sealwright", row["value"], "var(--bar)")]
    bars += [(name, value, "var(--yard)") for name, value in row["yardsticks"].items()]
    return (
        f"<section><h2>{html.escape(row['what'])}<span{kind}>{html.escape(badge)}</span></h2>"
        f"{_bars(bars, row['unit'])}</section>"
    )


def _bars(bars: list[tuple[str, float, str]], unit: str) -> str:
    """Bars on a linear scale; logarithmic where the largest is a hundred times the smallest."""
    values = [value for _, value, _ in bars if value > 0]
    top, least = max(values, default=1.0), min(values, default=1.0)
    log = top / least > 100
    lines = []
    for number, (name, value, colour) in enumerate(bars):
        share = value / top
        if log and value > 0:
            share = (math.log10(value / least) + 0.5) / (math.log10(top / least) + 0.5)
        y = 24 * number
        lines.append(
            f'<text x="0" y="{y + 15}">{html.escape(name)}</text>'
            f'<rect x="210" y="{y + 3}" width="{max(2.0, 440 * share):.1f}" height="16" rx="2" '
            f'style="fill:{colour}"/>'
            f'<text x="{218 + max(2.0, 440 * share):.1f}" y="{y + 15}">'
            f"{value:,.4g} {html.escape(unit)}</text>"
        )
    scale = "<title>logarithmic scale</title>" if log else ""
    return f'<svg viewBox="0 0 840 {24 * len(bars)}" role="img">{scale}{"".join(lines)}</svg>'
