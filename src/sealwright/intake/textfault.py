"""What is wrong with a text file, in words that name the place."""

from __future__ import annotations

import codecs
import difflib
from collections.abc import Callable, Sequence
from typing import BinaryIO

from sealwright.core.digest import CHUNK_BYTES
from sealwright.core.errors import BadInput


def not_utf8(open_file: Callable[[], BinaryIO], name: str) -> BadInput:
    """Names the first byte that is not UTF-8, and its line (from 1)."""
    offset, line, byte = _first_bad_byte(open_file())
    return BadInput(
        f"{name}: byte {offset} (line {line}) is not UTF-8",
        why=f"found 0x{byte:02x}; text is read as UTF-8 and nothing else",
        hint=f"iconv -f {_guess(open_file())} -t UTF-8 {name} > {name}.utf8",
    )


def check_columns(names: Sequence[str], where: str) -> None:
    """Raises: BadInput (a name twice). One column may have no name: pandas writes such an index."""
    for number, name in enumerate(names, 1):
        if name in names[: number - 1]:
            raise BadInput(
                f"{where}: two columns are called {name!r}",
                why=f"columns {names.index(name) + 1} and {number}; names must differ",
                hint="rename one of them in the header",
            )


def other_columns(where: str, found: Sequence[str], wanted: Sequence[str]) -> BadInput:
    """The error for a file whose columns are not those of the files before it."""
    missing = [name for name in wanted if name not in found]
    extra = [name for name in found if name not in wanted]
    words = [f"no {', '.join(map(repr, missing))}"] if missing else []
    words += [f"an extra {', '.join(map(repr, extra))}"] if extra else []
    return BadInput(
        f"{where} has other columns than the rest of the dataset",
        why="; ".join(words) or "the same names in another order",
        hint="give every file the same columns, or add it under another name",
    )


def no_column(role: str, name: str, known: Sequence[str]) -> BadInput:
    """The error for ``--label`` or ``--key`` naming a column that is not there."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    shown = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    return BadInput(
        f"there is no column {name!r} to be the {role}",
        why=f"the columns are {shown}",
        hint=f"did you mean --{role} {close[0]}?" if close else f"name one of them: --{role} …",
    )


def _first_bad_byte(stream: BinaryIO) -> tuple[int, int, int]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    done, line = 0, 1
    while True:
        chunk = stream.read(CHUNK_BYTES)
        held = decoder.getstate()[0]
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            at = done - len(held) + error.start
            return at, line + (held + chunk)[: error.start].count(b"\n"), error.object[error.start]
        line += chunk.count(b"\n")
        done += len(chunk)
        if not chunk:
            return done, line, 0


def _guess(stream: BinaryIO) -> str:
    head = stream.read(4)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "UTF-16"
    return "WINDOWS-1252"
