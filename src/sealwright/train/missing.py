"""Which existing files a failed script asked for and did not find, read off its stderr.

Best effort: the messages of Python, NumPy, pandas, PyArrow, HDF5 and the shell's tools are
known; a script that swallows its errors tells nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"No such file or directory:? '([^'\n]+)'",
        r'No such file or directory:? "([^"\n]+)"',
        r"No such file or directory: ([^\s'\"\n][^\n]*?)\s*$",
        r"No such file or directory \(os error 2\): ([^\s\n]+)",
        r"FileNotFoundError: (?:\[Errno 2\] )?([^\s\[\n]+)\s*$",
        r"[Ff]ailed to open (?:local )?file '([^'\n]+)'",
        r"name = '([^'\n]+)', errno = 2",
        r"can't open file '([^'\n]+)'",
        r"(?:cannot open|cannot access|cannot stat) '([^'\n]+)'",
        r"^[\w./-]+: ([^:\n]+): No such file or directory$",
        r"(?:OSError|FileNotFoundError|RuntimeError): ([^\s:\n]+) (?:not found|does not exist)",
        r"File ([^\s\n]+) does not exist",
    )
)
_AT_MOST = 20


def missing_opens(
    stderr: str, argv: Sequence[str], project: Path, visible: Iterable[str]
) -> tuple[str, ...]:
    """Paths that exist outside and were not in the room: relative to ``project``, or absolute.

    ``visible`` are the relative paths that were in the room.
    """
    seen = set(visible)
    found: dict[str, None] = {}
    for name in [*_named(stderr), *_arguments(argv)]:
        path = Path(os.path.normpath(project / name))
        if not os.path.lexists(path):
            continue
        shown = str(path.relative_to(project)) if path.is_relative_to(project) else str(path)
        if shown not in seen and shown != ".":
            found[shown] = None
    return tuple(found)[:_AT_MOST]


def _named(stderr: str) -> Iterator[str]:
    for line in stderr.splitlines():
        for pattern in _PATTERNS:
            if match := pattern.search(line):
                yield match[1]
                break


def _arguments(argv: Sequence[str]) -> Iterator[str]:
    for word in argv[1:]:
        name = word.partition("=")[2] if word.startswith("-") else word
        if name and "/" in name:
            yield name
