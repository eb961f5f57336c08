"""What a screening says, in words. It says what would have been seen, and never "clean"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from sealwright.app.screendetails import Counted, Details, GroupDetail
from sealwright.intake.versions import Dataset
from sealwright.policy.screened import GroupLine, Held, Screening

_MOST_HELD = 3


class Looked(msgspec.Struct, frozen=True):
    """A version, what the log says of it, and whether it was looked at just now."""

    dataset: Dataset
    said: Screening
    entry: int
    fresh: bool


def line(looked: Looked) -> str:
    """One line: what was found, or what would have been."""
    said, ref = looked.said, looked.dataset.ref
    when = "screened" if looked.fresh else "screened before"
    if said.verdict == "found":
        records = sum(group.count for group in said.groups)
        return (
            f"{when} {ref}: FOUND {count(len(said.groups), 'group')} over {records:,} records"
            f" that should not decide the label; seal data check {ref}"
        )
    if said.verdict == "failed":
        return f"{when} {ref}: FAILED ({said.why}); seal data check {ref} --again"
    if said.verdict == "unscreened":
        return f"{ref} was NOT screened ({said.why})"
    return f"{when} {ref}: nothing found; {would_see(said)}"


def would_see(said: Screening) -> str:
    """The smallest counts that would have been seen, by trigger family."""
    known = [f"{one.family} from {one.smallest} records" for one in said.canaries if one.smallest]
    missed = [one.family for one in said.canaries if not one.smallest]
    words = f"it would have seen {', '.join(known)}" if known else "no canary was measured"
    return words + (f"; {', '.join(missed)} not at any count tried" if missed else "")


def group(one: GroupLine, detail: GroupDetail | None, *, quote: bool = True) -> str:
    """One group in a line: how many, of which label, how many were to be expected, from where.

    Not to ``quote`` leaves out what may be a record's value, all but the names of sources.
    """
    shown = detail if quote else None
    what = shown.pattern if shown and shown.pattern else one.key
    label = f" labelled {shown.label!r}" if shown and shown.label else " of one label"
    words = (
        f"{count(one.count, 'record')} with {what}: {one.seen:,}{label},"
        f" {one.expected.split('.')[0]} expected, p {short(one.p_value)} ({one.detector})"
    )
    where = came_from(one.count, detail)
    return f"{words}; {where}" if where else words


def came_from(records: int, detail: GroupDetail | None) -> str:
    """``12 of 14 came from FEED``; empty where nothing is known."""
    if detail is None:
        return ""
    carriers = len(detail.carriers) or records
    parts = [f"{n:,} of {carriers:,} came from {name}" for name, n in first(detail.sources)]
    parts += [f"{n:,} of {carriers:,} were added with {name}" for name, n in first(detail.added)]
    return ", ".join(parts)


def first(counted: Counted) -> Counted:
    """The first two of a list of counts."""
    return counted[:2]


def why_held(looked: Looked, held: Sequence[Held], details: Details | None) -> Iterator[str]:
    """What holds a version back, group by group."""
    still = [one for one in held if one.open]
    for one in still[:_MOST_HELD]:
        detail = details.group(one.line.id) if details else None
        head = f"{looked.dataset.ref}, {one.line.id[:12]}, {one.state}:"
        yield f"{head} {group(one.line, detail, quote=False)}"
    if len(still) > _MOST_HELD:
        yield f"and {len(still) - _MOST_HELD} more groups of {looked.dataset.ref}"
    if looked.said.verdict in ("failed", "unscreened"):
        yield f"{looked.dataset.ref}: {looked.said.verdict} ({looked.said.why})"
    if looked.said.unread:
        yield f"{looked.dataset.ref}: {count(looked.said.unread, 'record')} could not be read"


def short(p_value: str) -> str:
    """A p-value as people write it."""
    number = float(p_value)
    return f"{number:.2g}" if number else "0"


def count(number: int, noun: str) -> str:
    """``1 record``, ``2,000 records``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def plain(text: str) -> str:
    """``text`` without what steers a terminal or turns writing round."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
