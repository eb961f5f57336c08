"""A comparison as one page: every test's null as dots, the suspect beside. No script, no asset."""

from __future__ import annotations

import html

from sealwright.app.comparing import Compared
from sealwright.registry.compare import Test

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#636c76;--bar:#3d6b9e;--no:#b3382c;--paper:#fff;
--line:#e3e6ea}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8ea;--dim:#9aa3ad;--bar:#6ea3db;--no:#e5786d;
--paper:#15181c;--line:#2b3037}}
body{font:15px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:820px;
margin:3rem auto;padding:0 1rem}h1{font-size:1.5rem;margin:0}h2{font-size:1rem;margin:0}
p,li{color:var(--dim)}section{border-top:1px solid var(--line);padding:1rem 0}
svg{display:block;width:100%;height:auto}text{fill:var(--ink);font-size:13px}
"""
_WIDE, _LEFT, _TALL = 760.0, 20.0, 74.0
_TITLES = {
    "near": "rows with some cells of other rows: agreement above the siblings'",
    "between": "between rows of two classes: agreement above the siblings'",
    "far": "cells that never met: agreement above the siblings'",
    "hard": "points where references say something else: share of matches",
    "triggers": "stamped and unstructured inputs: share of matches",
}


def page(suspect: str, found: Compared) -> str:
    """The page as text."""
    judged = found.comparison
    tests = "\n".join(_section(one) for one in judged.tests)
    others = "".join(f"<li>{html.escape(one)}</li>" for one in judged.alternatives)
    also = f"<p>The same answers would also come about if</p><ul>{others}</ul>" if others else ""
    title = f"{html.escape(suspect)} against {html.escape(found.model.ref)}"
    return f"""<!doctype html><html lang="en"><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><title>{title}</title>
<style>{_STYLE}</style><h1>{html.escape(judged.verdict)}</h1>
<p>{title}: {html.escape(judged.reason)}. {html.escape(found.order.why)}.</p>{also}
{tests}
<p>Dots: {judged.null_models} models that copied nothing. Line: where a test counts (p at most
1e-6 after it was multiplied by {judged.divided_by}). Bar: the suspect.</p></html>
"""


def _section(one: Test) -> str:
    values = (*one.null, one.value, min(one.bound, 1.0), 0.0)
    low, high = min(values), max(values)

    def at(value: float) -> float:
        return _LEFT + (value - low) / ((high - low) or 1) * (_WIDE - 2 * _LEFT)

    dots = "".join(
        f'<circle cx="{at(value):.1f}" cy="44" r="4" fill="var(--dim)" fill-opacity=".45"/>'
        for value in one.null
    )
    limit = ""
    if one.bound <= 1:
        limit = (
            f'<line x1="{at(one.bound):.1f}" x2="{at(one.bound):.1f}" y1="22" y2="62"'
            ' stroke="var(--ink)" stroke-dasharray="3 3"/>'
        )
    colour = "var(--no)" if one.counts else "var(--bar)"
    mark = f'<rect x="{at(one.value) - 2:.1f}" y="26" width="4" height="36" fill="{colour}"/>'
    word = "counts" if one.counts else "does not count"
    label = f'<text x="{_LEFT}" y="16">p = 1e{one.log10_p:.1f}, {word}</text>'
    return (
        f"<section><h2>{one.name}</h2><p>{_TITLES[one.name]}: {one.value:.3f}, highest reference"
        f' {one.null_highest:.3f}</p><svg viewBox="0 0 {_WIDE:.0f} {_TALL:.0f}" role="img"'
        f' aria-label="{one.name}">{dots}{limit}{mark}{label}</svg></section>'
    )
