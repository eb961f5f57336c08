"""What a command says: data on stdout, talk on stderr, colour only where a person looks.

Whatever is printed goes through :func:`shown`: a file name or a script's message can move no
cursor, set no title and turn no text around. What a script itself prints during a run is
passed through as it is, and does not come this way.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sealwright.core.errors import BadSettings, GateDenied, Refused, SealError

_REDRAW_S = 0.1
_WORTH_WRAPPING = 24
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "bold": "1", "dim": "2"}


_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f"
_TURNING = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_UNSHOWN = re.compile(f"[{_CONTROLS}{_TURNING}\u2028\u2029\ufeff\ud800-\udfff]")
_MARK = os.urandom(8).hex()
_PAINTED = re.compile(f"\x1b{_MARK}<(.*?)>(.*?)\x1b{_MARK}<>", re.DOTALL)


def shown(text: str) -> str:
    """``text`` with every character that is not for reading as an escape, as Python writes it.

    Lines and tabs stay. A stray byte of a name that is not UTF-8 is ``\\udc80`` and up.
    """
    return _UNSHOWN.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _lines(text: str) -> str:
    """``text`` as a terminal gets it: only :meth:`Out.paint` colours anything."""
    parts = _PAINTED.split(text)
    for at in range(0, len(parts), 3):
        parts[at] = shown(parts[at])
    for at in range(1, len(parts), 3):
        parts[at], parts[at + 1] = f"\x1b[{parts[at]}m", f"{shown(parts[at + 1])}\x1b[0m"
    return "".join(parts)


def _json(value: Mapping[str, Any], indent: int | None = None) -> str:
    """The same for JSON, where every escape has four digits and means what it says."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _UNSHOWN.sub(lambda found: f"\\u{ord(found.group()):04x}", text) + "\n"


class Silent:
    """Progress that says nothing."""

    def advance(self, done: int, total: int, what: str) -> None:
        """Do nothing."""


class Bar:
    """A progress line on stderr, redrawn in place at most ten times a second."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._last = 0.0
        self._shown = False

    def advance(self, done: int, total: int, what: str) -> None:
        """Draw ``done`` of ``total``."""
        now = time.monotonic()
        if now - self._last < _REDRAW_S and done != total:
            return
        self._last, self._shown = now, True
        if total:
            filled = min(24, 24 * done // total)
            bar = "#" * filled + "." * (24 - filled)
            line = f"{self._label} [{bar}] {100 * done // total:3d}% {what}"
        else:
            line = f"{self._label} {done:,} {what}"
        sys.stderr.write("\r\x1b[K" + _one_line(line)[:110])
        sys.stderr.flush()

    def close(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


class Out:
    """Where a command's words go; ``as_json`` makes stdout one JSON object."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json

    def emit(self, obj: Mapping[str, Any], text: str | Callable[[], str]) -> None:
        """Print the result: ``obj`` under ``--json``, else ``text``."""
        if self.as_json:
            sys.stdout.write(_json(obj, indent=2))
        else:
            words = _lines(text if isinstance(text, str) else text())
            sys.stdout.write(words if words.endswith("\n") else words + "\n")
        sys.stdout.flush()

    def say(self, text: str) -> None:
        """A line of result for people only (nothing under ``--json``)."""
        if not self.as_json:
            sys.stdout.write(_lines(text) + "\n")
            sys.stdout.flush()

    def note(self, text: str) -> None:
        """Talk: stderr."""
        sys.stderr.write(_lines(text) + "\n")
        sys.stderr.flush()

    def write(self, path: str, text: str) -> None:
        """A report that an option asked for, in a file of its own."""
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        self.note(f"wrote {path}")

    def paint(self, text: str, colour: str) -> str:
        """``text`` coloured where stdout is a terminal that wants it."""
        if self.as_json or not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
            return text
        return f"\x1b{_MARK}<{_COLOURS[colour]}>{text}\x1b{_MARK}<>"

    def table(self, rows: Sequence[Sequence[str]], head: Sequence[str]) -> str:
        """Left-aligned columns under a head; numbers (all digits) to the right.

        On a terminal that is too narrow, the last column goes on below itself.
        """
        if not rows:
            return ""
        rows = [[_one_line(cell) for cell in row] for row in rows]
        columns = list(zip(head, *rows, strict=True))
        widths = [max(map(len, column)) for column in columns]
        numeric = [all(_is_number(cell) for cell in column[1:]) for column in columns]
        indent = sum(widths[:-1]) + 2 * len(widths[:-1])
        left = _terminal_columns() - indent

        def line(cells: Sequence[str]) -> str:
            parts = [
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(cells, widths, numeric, strict=True)
            ]
            if _WORTH_WRAPPING <= left < len(cells[-1]):
                parts[-1] = f"\n{' ' * indent}".join(textwrap.wrap(cells[-1], left))
            return "  ".join(parts).rstrip()

        return "\n".join([self.paint(line(head), "dim"), *(line(row) for row in rows)])

    @contextmanager
    def progress(self, label: str) -> Iterator[Silent | Bar]:
        """Progress while the block runs; silent unless stderr is a terminal."""
        if not sys.stderr.isatty():
            yield Silent()
            return
        bar = Bar(label)
        try:
            yield bar
        finally:
            bar.close()

    def error(self, error: SealError) -> None:
        """Say what was refused or went wrong, and what would mend it."""
        if self.as_json:
            sys.stdout.write(_json({"error": error_json(error)}))
        if isinstance(error, BadSettings):
            lines = [error.what, *error.problems, f"mend: {error.hint}"]
        else:
            lines = error.lines()
        # a line of a name or a fault must not look like one of ours
        lines = [shown(line).replace("\n", "\n    ") for line in lines]
        word = "refused" if isinstance(error, Refused) else "error"
        sys.stderr.write(f"seal: {word}: {lines[0]}\n")
        for line in lines[1:]:
            sys.stderr.write(f"  {line}\n")

    def fault(self, error: OSError) -> None:
        """A fault of the operating system, in words."""
        hint = ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "free some space (seal gc --yes), then run the same command again"
        path = f": {error.filename}" if error.filename else ""
        self.error(SealError(f"{error.strerror or error}{path}", hint=hint))


def _one_line(text: str) -> str:
    """A cell or a progress line; a name with a line break in it shows it."""
    return shown(text).replace("\n", "\\n").replace("\t", "\\t")


def error_json(error: SealError) -> dict[str, Any]:
    """The stable shape of an error under ``--json``."""
    shape: dict[str, Any] = {
        "kind": type(error).__name__,
        "what": error.what,
        "why": error.why,
        "hint": error.hint,
        "exit_code": error.exit_code,
    }
    if isinstance(error, Refused):
        shape["rule"] = error.rule
        shape["evidence"] = list(error.evidence)
    if isinstance(error, GateDenied):
        shape["decision"] = error.decision
    if isinstance(error, BadSettings):
        shape["problems"] = list(error.problems)
    return shape


def _terminal_columns() -> int:
    """How wide the terminal is; without end where stdout is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").isdigit()
