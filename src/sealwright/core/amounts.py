"""Sizes, spans and hours as people write them."""

from __future__ import annotations

import re

from sealwright.core.errors import BadInput

_UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SIZE = re.compile(r"(\d+)\s*(B|[KMGT]iB)?")
_SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_HOURS = re.compile(r"(\d\d?)-(\d\d?)")
_SPAN = re.compile(r"(\d+)\s*([smhd])")


def size_bytes(text: str) -> int:
    """``8GiB`` as bytes. Raises: BadInput."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise BadInput(f"{text!r} is not a size", why="write 512MiB, 8GiB or a number of bytes")
    return int(match[1]) * _UNITS[match[2] or ""]


def span_s(text: str) -> int:
    """``24h`` as seconds. Raises: BadInput."""
    match = _SPAN.fullmatch(text.strip())
    if not match:
        raise BadInput(f"{text!r} is not a time span", why="write 90s, 30m, 24h or 7d")
    return int(match[1]) * _SPANS[match[2]]


def hours(text: str) -> tuple[int, int]:
    """``06-22`` as hours of the day; ``(0, 0)`` for the empty text. Raises: BadInput."""
    match = _HOURS.fullmatch(text)
    if text and (not match or max(int(match[1]), int(match[2])) > 24 or match[1] == match[2]):
        raise BadInput(f"{text!r} is no span of hours", why="write 06-22, or 22-04 over midnight")
    return (int(match[1]) % 24, int(match[2]) % 24) if match else (0, 0)
