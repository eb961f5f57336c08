"""What a screening found, as one page: groups with their pictures. No script, no outside asset.

Everything on it comes from data nobody trusts: text is escaped, pictures are PNG in the page
itself, and a content policy lets nothing else load or run.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

from sealwright.app import screenwords
from sealwright.app.screendetails import Details, GroupDetail
from sealwright.app.screenwords import Looked
from sealwright.policy.screened import Held, SeenLine

Checked = tuple[Looked, tuple[Held, ...], Details | None]

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#636c76;--bar:#3d6b9e;--yard:#d5dae0;--no:#b3382c;
--ok:#2c7a4b;--paper:#fff;--soft:#f6f7f9;--line:#e3e6ea}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8ea;--dim:#9aa3ad;--bar:#6ea3db;--yard:#3a424b;
--no:#e5786d;--ok:#6fc08d;--paper:#15181c;--soft:#1c2025;--line:#2b3037}}
*{box-sizing:border-box}
body{font:15px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:880px;
margin:3rem auto;padding:0 1.25rem}
h1{font-size:1.5rem;margin:0;display:flex;gap:.75rem;align-items:baseline;flex-wrap:wrap}
h2{font-size:1rem;margin:0;font-weight:600;overflow-wrap:anywhere}
p{color:var(--dim);margin:.3rem 0 0}
.lead{margin-bottom:2rem}
.tag{font-size:.75rem;font-weight:600;padding:.1rem .55rem;border-radius:1rem;color:#fff;
background:var(--dim);white-space:nowrap}
.tag.found,.tag.failed,.tag.quarantined{background:var(--no)}
.tag.nothing-found,.tag.released{background:var(--ok)}
article{border:1px solid var(--line);border-radius:8px;padding:1.1rem 1.25rem;margin:0 0 1rem}
header{display:flex;justify-content:space-between;gap:1rem;align-items:baseline}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(7rem,1fr));gap:.75rem 1.25rem;
margin:.9rem 0}
.facts div{font-size:1.15rem;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.facts span{display:block;font-size:.78rem;color:var(--dim)}
.bar{height:8px;border-radius:4px;background:var(--yard);position:relative;margin:.2rem 0 .35rem}
.bar i{position:absolute;inset:0 auto 0 0;background:var(--bar);border-radius:4px}
.bar b{position:absolute;top:-3px;bottom:-3px;width:2px;background:var(--ink)}
.from{display:flex;gap:.5rem;align-items:center;font-size:.88rem;margin:.2rem 0}
.from em{font-style:normal;min-width:11rem;max-width:16rem;overflow:hidden;text-overflow:ellipsis;
white-space:nowrap}
.from .bar{flex:1;margin:0}.from u{text-decoration:none;color:var(--dim);min-width:4.5rem;
text-align:right;font-variant-numeric:tabular-nums}
pre{background:var(--soft);border-radius:6px;padding:.6rem .8rem;margin:.8rem 0 0;font-size:.82rem;
overflow-x:auto}
img{display:block;max-width:100%;image-rendering:pixelated;border-radius:6px;margin-top:.8rem;
border:1px solid var(--line)}
small{color:var(--dim)}
table{border-collapse:collapse;width:100%;font-size:.88rem}
td,th{text-align:left;padding:.35rem .6rem .35rem 0;border-bottom:1px solid var(--line);
vertical-align:top}
th{color:var(--dim);font-weight:400}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;padding-right:1.5rem}
section{margin:2rem 0 3rem}h3{font-size:.95rem;margin:1.8rem 0 .5rem}
"""


def write(path: str, checked: Sequence[Checked]) -> None:
    """Write the page."""
    titles = ", ".join(looked.dataset.ref for looked, _, _ in checked) or "no datasets"
    body = "\n".join(_version(*each) for each in checked) or "<p>There are no datasets yet.</p>"
    Path(path).write_text(
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f'<meta http-equiv=Content-Security-Policy content="{_POLICY}">'
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<title>seal data check {_text(titles)}</title><style>{_STYLE}</style>"
        f"<main>{body}</main></html>\n",
        encoding="utf-8",
    )


def _version(looked: Looked, held: tuple[Held, ...], details: Details | None) -> str:
    said, dataset = looked.said, looked.dataset
    verdict = said.verdict.replace("-", " ")
    groups = "\n".join(
        _group(one, details.group(one.line.id) if details else None, details) for one in held
    )
    why = f"<p>{_text(said.why)}</p>" if said.why else ""
    looked_by = screenwords.count(len(said.detectors), "detector")
    none = "" if held else f"<p>{_text(_nothing(looked))}</p>"
    return (
        f"<section><h1>{_text(dataset.ref)} <span class='tag {said.verdict}'>{verdict}</span></h1>"
        f"<p class=lead>{said.records:,} records, {looked_by}, together wrong"
        f" about data with nothing in it at most {float(said.alpha):.1%} of the time. Log entry"
        f" {looked.entry}, {_text(said.time)}.</p>{why}{none}{groups}"
        f"{_seen(said.canaries)}{_rest(details)}{_detectors(looked)}</section>"
    )


def _nothing(looked: Looked) -> str:
    if looked.said.verdict != "nothing-found":
        return "Nobody knows what is in it."
    return "No group of records shares a pattern that decides the label and should not."


def _group(held: Held, detail: GroupDetail | None, details: Details | None) -> str:
    line = held.line
    title = detail.pattern if detail and detail.pattern else line.key
    label = detail.label if detail and detail.label else "-"
    expected = float(line.expected)
    top = max(line.count, 1)
    lines = "\n".join(detail.lines) if detail else ""
    picture = _picture(detail, details)
    return (
        f"<article><header><h2>{_text(title)}</h2>"
        f"<span class='tag {held.state}'>{held.state}</span></header><div class=facts>"
        f"<div>{line.count:,}<span>records carry it</span></div>"
        f"<div>{_text(label)}<span>their label</span></div>"
        f"<div>{line.seen:,}<span>have that label</span></div>"
        f"<div>{expected:,.1f}<span>were to be expected</span></div>"
        f"<div>{screenwords.short(line.p_value)}<span>p, over all tried</span></div></div>"
        f"<div class=bar><i style='width:{100 * line.seen / top:.1f}%'></i>"
        f"<b style='left:{min(100.0, 100 * expected / top):.1f}%'></b></div>"
        "<small>bar: carriers with the label; mark: how many were to be expected</small>"
        f"{_from(detail)}{picture}{f'<pre>{_text(lines)}</pre>' if lines else ''}"
        f"<p><small>{line.id[:12]} · {_text(line.detector)} · {_text(line.family)}</small></p>"
        f"{_reason(held)}</article>"
    )


def _reason(held: Held) -> str:
    if held.state == "quarantined" or not held.reason:
        return ""
    return f"<p><small>{held.state}: {_text(held.reason)} (entry {held.index})</small></p>"


def _from(detail: GroupDetail | None) -> str:
    if detail is None:
        return ""
    parts = []
    for head, counted in (("came from", detail.sources), ("added with", detail.added)):
        parts += [_share(head, name, n, len(detail.carriers)) for name, n in counted]
    return f"<div style='margin-top:.8rem'>{''.join(parts)}</div>" if parts else ""


def _share(head: str, name: str, number: int, of: int) -> str:
    wide = 100 * number / max(1, of)
    return (
        f"<div class=from><em title='{_text(name)}'>{head} {_text(name)}</em>"
        f"<div class=bar><i style='width:{wide:.1f}%'></i></div><u>{number:,} of {of:,}</u></div>"
    )


def _picture(detail: GroupDetail | None, details: Details | None) -> str:
    data = details.pictures.get(detail.picture) if detail and details else None
    if not data:
        return ""
    return f"<img alt='carriers' src='data:image/png;base64,{base64.b64encode(data).decode()}'>"


def _seen(canaries: Sequence[SeenLine]) -> str:
    if not canaries:
        return ""
    rows = "".join(
        f"<tr><td>{_text(one.family)}</td><td class=n>{one.smallest or '-'}</td><td>"
        + ", ".join(f"{p.found} of {p.tried} at {p.count}" for p in one.planted)
        + "</td></tr>"
        for one in canaries
    )
    return (
        "<h3>What would have been seen</h3><table><tr><th>trigger family</th>"
        f"<th class=n>from so many records</th><th>planted in a copy, and found</th></tr>"
        f"{rows}</table>"
    )


def _rest(details: Details | None) -> str:
    if details is None:
        return ""
    rows = [
        f"<tr><td>{_text(f.severity)}</td><td>{_text(f.message)}</td><td>{_text(f.rule)}</td></tr>"
        for f in details.facts
    ]
    rows += [
        f"<tr><td>failed</td><td>{_text(w)}</td><td>{_text(n)}</td></tr>" for n, w in details.errors
    ]
    rows += [f"<tr><td>note</td><td>{_text(note)}</td><td></td></tr>" for note in details.notes]
    facts = f"<h3>Of the whole version</h3><table>{''.join(rows)}</table>" if rows else ""
    ranks = "".join(
        f"<tr><td class=n>{r.record:,}</td><td>{_text(r.why)}</td><td>{_text(r.suggest)}</td></tr>"
        for r in details.ranks
    )
    if not ranks:
        return facts
    return (
        f"{facts}<h3>Worth a look</h3><table><tr><th>record</th><th>why</th><th>better label</th>"
        f"</tr>{ranks}</table>"
    )


def _detectors(looked: Looked) -> str:
    rows = "".join(
        f"<tr><td>{_text(d.name)}</td><td>{d.state.replace('-', ' ')}</td>"
        f"<td class=n>{d.tried:,}</td><td class=n>{d.groups:,}</td></tr>"
        for d in looked.said.detectors
    )
    if not rows:
        return ""
    return (
        "<h3>Who looked</h3><table><tr><th>detector</th><th></th><th class=n>patterns tried</th>"
        f"<th class=n>groups</th></tr>{rows}</table>"
    )


def _text(text: str) -> str:
    return html.escape(screenwords.plain(text), quote=True)
