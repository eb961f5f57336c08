"""The head of a message that came before: one like it is not read again.

Who asks, or answers, over a kept connection sends the same head time after time. What the parser
made of it holds for each that is the same, byte for byte, but for the digits of its length.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_MOST_DIGITS = 8
_LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: (\d{1,%d})\r\n" % _MOST_DIGITS)


class Head(NamedTuple):
    """A head without the digits of its length: what comes before them, and what after."""

    before: bytes
    after: bytes


def head_of(data: bytes, size: int) -> Head | None:
    """The head of a message that was read: ``data`` is all of it, ``size`` bytes are its body.

    None where its length is not said in plain digits, or where more than head and body are there.
    """
    end = data.find(b"\r\n\r\n") + 4
    said = _LENGTH.search(data, 0, end - 2)
    if said is None or int(said[1]) != size or len(data) - end != size:
        return None
    return Head(data[: said.start(1)], data[said.end(1) : end])


def body_at(head: Head, data: bytes) -> int:
    """Where the body begins, if ``data`` is a whole message with that head; else -1."""
    at = len(head.before)
    end = data.find(b"\r", at, at + _MOST_DIGITS + 1)
    if end < 0 or not data.startswith(head.before) or not data.startswith(head.after, end):
        return -1
    digits, body = data[at:end], end + len(head.after)
    return body if digits.isdigit() and int(digits) == len(data) - body else -1
