"""How deep a policy may nest. Cedar's parser recurses in native code and would end the process;
policies also come out of other people's logs, so this is looked at before it sees them."""

from __future__ import annotations

import re

from sealwright.core.errors import BadInput

MOST_DEEP = 100
MOST_OPERATORS = 1_000

_MARKS = re.compile(
    r'"(?:[^"\\]|\\.)*"|//[^\n]*|[()\[\]{};]|[.&|!*+<>=-]|\b(?:if|in|has|like|is)\b', re.DOTALL
)


def check(name: str, text: str) -> None:
    """Raises: BadInput (brackets or operators of one policy go deeper than a person writes)."""
    depth = operators = 0
    for found in _MARKS.finditer(text):
        mark = found.group()
        if mark[0] in '"/':
            continue
        if mark in "([{":
            depth += 1
        elif mark in ")]}":
            depth -= 1
        elif mark == ";":
            operators = 0
        else:
            operators += 1
        if depth > MOST_DEEP or operators > MOST_OPERATORS:
            line = text.count("\n", 0, found.start()) + 1
            raise BadInput(
                f"{name}: the policy on line {line} nests too deep",
                why=f"at most {MOST_DEEP} brackets in each other and {MOST_OPERATORS:,} operators",
                hint="split it into several policies",
            )
