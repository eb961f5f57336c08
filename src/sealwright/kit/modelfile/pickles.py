"""One pickle, held against the policy by readers that must agree.

The strict reader first; then CPython's own machine in the limited child; for joblib's inline
arrays its Python machine too, which says where they end. A difference in names, in what is done
with them, in their order or in where the pickle ends is a finding.
"""

from __future__ import annotations

import bisect

import msgspec

from sealwright.kit.modelfile import linear
from sealwright.kit.modelfile.boxed import Box
from sealwright.kit.modelfile.limits import LIMITS, Limits
from sealwright.kit.modelfile.machine import INLINE
from sealwright.kit.modelfile.policy import Policy
from sealwright.kit.modelfile.report import Found, Unsound
from sealwright.kit.modelfile.trace import FETCHED, LETTERS, Span, Storage, Trace


class Judged(msgspec.Struct, frozen=True):
    """Where the pickle ends, what was found, the storages it asks for, its inline arrays."""

    end: int
    found: tuple[Found, ...] = ()
    storages: tuple[Storage, ...] = ()
    spans: tuple[Span, ...] = ()


def judge(
    data: bytes,
    policy: Policy,
    box: Box,
    start: int = 0,
    *,
    storages: bool = False,
    inline: bool = False,
    limits: Limits = LIMITS,
) -> Judged:
    """The pickle at ``start``. ``inline`` allows joblib's arrays. Raises: Unsound."""
    try:
        strict, found = linear.read(data, policy, start, storages=storages, limits=limits)
    except Unsound as error:
        if inline and error.found.message == INLINE:
            return _with_arrays(data, policy, box, start, limits)
        raise
    if found:  # it is refused already; the other views could only say more of the same
        return Judged(strict.end, found, strict.storages)
    other = box.follow(data[start:] if start else data, storages=storages)
    _agree(strict, other, start)
    _allowed(other, policy)
    return Judged(strict.end, (), other.storages)


def harmless(data: bytes, policy: Policy, box: Box, *, names: bool = True) -> None:
    """Bytes that some reader might take for a plain pickle, which they are not.

    ``names``: the policy's names may appear. Raises: Unsound (file.polyglot).
    """
    seen = box.touched(data)
    if seen is None:
        raise Unsound("file.polyglot", "read as a pickle, it stops the reader")
    if seen.events and not names:
        raise Unsound("file.polyglot", "read as a pickle, it is a program")
    # past an array the memo is another one, so a name can be gibberish: real ones count
    for module, name in seen.pairs:
        if policy.knows(module) and not policy.uses_of(module, name):
            raise Unsound("file.polyglot", f"read as a plain pickle, it names {module}.{name}")


def _agree(strict: Trace, other: Trace, start: int) -> None:
    if (strict.pairs, strict.events) != (other.pairs, other.events):
        raise Unsound("pickle.views", "the strict reader and the unpickler did different things")
    if strict.end - start != other.end:
        raise Unsound(
            "pickle.views", f"one reader ends at {strict.end - start}, another at {other.end}"
        )
    named = [(one.kind, one.key) for one in strict.storages]
    if named != [(one.kind, one.key) for one in other.storages]:
        raise Unsound("pickle.views", "two readers saw other storages")


def _allowed(trace: Trace, policy: Policy) -> None:
    """The policy once more, over what the other view saw."""
    uses = [policy.uses_of(*pair) for pair in trace.pairs]
    for event in set(trace.events):
        letters = LETTERS.get(event & 7)
        if not uses and event & 7 != FETCHED:
            raise Unsound("pickle.views", "an event of no name")
        if event & 7 != FETCHED and not uses[event >> 3]:
            raise Unsound("pickle.name", f"names {'.'.join(trace.pairs[event >> 3])}")
        if letters and not set(letters) & set(uses[event >> 3]):
            raise Unsound("pickle.call", f"uses {'.'.join(trace.pairs[event >> 3])}")


def _with_arrays(data: bytes, policy: Policy, box: Box, start: int, limits: Limits) -> Judged:
    """A joblib file: the Python machine finds the arrays; without them, it is a plain pickle."""
    whole = data[start:] if start else data
    seen = box.inline(whole)
    rest, cuts = _cut(whole, seen.spans)
    try:
        strict, found = linear.read(rest, policy, inline=True, limits=limits)
    except Unsound as error:
        raise _moved(error, seen.spans, start) from error
    spots = [span.start for span in strict.spans]
    if found:
        return Judged(start + seen.end, tuple(_back(one, seen.spans, start) for one in found))
    if spots != cuts or strict.end != seen.end - sum(span.length for span in seen.spans):
        raise Unsound("pickle.views", "two readers saw arrays at other places")
    other = box.follow(rest)
    _agree(strict, other, 0)
    _allowed(other, policy)
    if (seen.pairs, seen.events) != (strict.pairs, strict.events):
        raise Unsound("pickle.views", "the unpicklers in C and in Python did different things")
    harmless(whole, policy, box)
    spans = tuple(Span(start + s.start, s.length, s.pickled) for s in seen.spans)
    return Judged(start + seen.end, (), (), spans)


def _cut(data: bytes, spans: tuple[Span, ...]) -> tuple[bytes, list[int]]:
    """``data`` without the spans, and where in the rest each was. Raises: Unsound."""
    parts, cuts, at, length = list[bytes](), list[int](), 0, 0
    for span in spans:
        if span.start < at or span.length < 0 or span.start + span.length > len(data):
            raise Unsound("pickle.inline-array", "arrays overlap or run past the end")
        parts.append(data[at : span.start])
        length += span.start - at
        cuts.append(length)
        at = span.start + span.length
    parts.append(data[at:])
    return b"".join(parts), cuts


def _back(found: Found, spans: tuple[Span, ...], start: int) -> Found:
    """An offset in the file, from one in what is left without the arrays."""
    if found.offset < 0:
        return found
    _, cuts = _starts(spans)
    index = bisect.bisect_right(cuts, found.offset)
    shift = sum(span.length for span in spans[:index])
    return msgspec.structs.replace(found, offset=found.offset + shift + start)


def _starts(spans: tuple[Span, ...]) -> tuple[int, list[int]]:
    gone, cuts = 0, list[int]()
    for span in spans:
        cuts.append(span.start - gone)
        gone += span.length
    return gone, cuts


def _moved(error: Unsound, spans: tuple[Span, ...], start: int) -> Unsound:
    found = _back(error.found, spans, start)
    return Unsound(found.rule, found.message, offset=found.offset, opcode=found.opcode)
