"""Chat templates: Jinja that formats text and can do nothing else, by an allow-list of its words.

A template leaves its sandbox through underscores: an attribute, a subscript or a filter that
spells one. So no name, text or subscript may have any way to. Source: Jinja's template syntax.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sealwright.kit.modelfile.report import Unsound

_BLOCK = re.compile(r"\{\{(.*?)\}\}|\{%[-+]?(.*?)[-+]?%\}|\{#.*?#\}", re.DOTALL)
_TOKEN = re.compile(
    r"\s+|(?P<text>'[^'\\]*(?:\\[nrt'\"\\][^'\\]*)*'|\"[^\"\\]*(?:\\[nrt'\"\\][^\"\\]*)*\")"
    r"|(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<mark>//|\*\*|[=!<>]=|[-+*/%~|.,:()\[\]{}<>=])",
    re.ASCII,
)
_TAGS = frozenset(
    "for endfor if elif else endif set endset macro endmacro generation endgeneration"
    " break continue".split()
)
_FILTERS = frozenset(
    "trim length join tojson upper lower list items first last replace string default map"
    " selectattr rejectattr select reject indent title capitalize int safe unique dictsort"
    " reverse count".split()
)
_FUNCTIONS = frozenset("raise_exception strftime_now range namespace dict".split())
_METHODS = frozenset(
    "strip lstrip rstrip split startswith endswith upper lower title items keys values get"
    " replace count append".split()
)
_BY_NAME = frozenset({"map", "selectattr", "rejectattr", "select", "reject", "unique", "dictsort"})
_MOST_TOKENS = 50_000

Token = tuple[str, str]


def vet(text: str) -> None:
    """Raises: Unsound (template.code)."""
    macros: set[str] = set()
    for at, tokens in _expressions(text):
        if tokens[:1] == [("name", "macro")] and len(tokens) > 1:
            macros.add(tokens[1][1])
        _judge(tokens, macros, at)


def is_template(text: str) -> bool:
    """Does it hold a tag?"""
    return "{%" in text and "%}" in text


def _expressions(text: str) -> Iterator[tuple[int, Sequence[Token]]]:
    at = count = 0
    for block in _BLOCK.finditer(text):
        if "{{" in text[at : block.start()] or "{%" in text[at : block.start()]:
            raise Unsound("template.code", "a tag without an end", offset=at)
        at = block.end()
        inner = block[1] if block[1] is not None else block[2]
        if inner is None:
            continue
        tokens = list(_tokens(inner.strip("-+ "), block.start()))
        count += len(tokens)
        if count > _MOST_TOKENS:
            raise Unsound("template.code", f"more than {_MOST_TOKENS:,} words", offset=at)
        if block[2] is not None and (not tokens or tokens[0][1] not in _TAGS):
            word = tokens[0][1] if tokens else ""
            raise Unsound("template.code", f"the tag {word[:40]!r}", offset=block.start())
        yield block.start(), tokens
    if "{{" in text[at:] or "{%" in text[at:]:
        raise Unsound("template.code", "a tag without an end", offset=at)


def _tokens(inner: str, start: int) -> Iterator[Token]:
    at = 0
    while at < len(inner):
        found = _TOKEN.match(inner, at)
        if not found or found.end() == at:
            raise Unsound("template.code", f"{inner[at : at + 20]!r} is not read", offset=start)
        at = found.end()
        if found.lastgroup:
            yield found.lastgroup, found[0]


def _judge(tokens: Sequence[Token], macros: set[str], at: int) -> None:
    try:
        for index in range(len(tokens)):
            _word(tokens, index, macros)
    except ValueError as error:
        raise Unsound("template.code", str(error), offset=at) from error


def _word(tokens: Sequence[Token], index: int, macros: set[str]) -> None:
    """Raises: ValueError, in words."""
    kind, word = tokens[index]
    before = tokens[index - 1][1] if index else ""
    if kind == "text":
        if "__" in word or word[1:-1].startswith("_"):
            raise ValueError(f"the text {word[:40]!r}")
    elif kind == "name":
        _name(tokens, index, macros)
    elif word == "(" and before in (")", "]"):
        raise ValueError("calls what a call or a subscript gave")
    elif word == "[" and index and before not in _WORDS:
        if tokens[index - 1][0] in ("name", "text") or before in (")", "]"):
            _subscript(tokens, index)


def _name(tokens: Sequence[Token], index: int, macros: set[str]) -> None:
    word = tokens[index][1]
    before = tokens[index - 1][1] if index else ""
    after = tokens[index + 1][1] if index + 1 < len(tokens) else ""
    if word.startswith("_"):
        raise ValueError(f"the name {word[:40]!r}")
    if before == "|":
        if word not in _FILTERS:
            raise ValueError(f"the filter {word[:40]!r}")
        if word in _BY_NAME and after == "(":
            _plain_arguments(tokens[index + 2 :])
    elif after == "(" and before != "macro":
        known = _METHODS if before == "." else _FUNCTIONS | macros | _WORDS
        if word not in known:
            raise ValueError(f"calls {word[:40]!r}")


_WORDS = frozenset("if elif else in not and or is set for true false none".split())


def _plain_arguments(tokens: Sequence[Token]) -> None:
    for index, (kind, word) in enumerate(tokens):
        if word == ")":
            return
        after = tokens[index + 1][1] if index + 1 < len(tokens) else ""
        named = kind == "name" and (after == "=" or word in ("true", "false", "none"))
        if not (kind in ("text", "number") or named or word in ("=", ",")):
            raise ValueError(f"looks up what {word[:40]!r} says")


def _subscript(tokens: Sequence[Token], start: int) -> None:
    """A literal, a slice, or arithmetic on a loop's counter."""
    depth, inner = 0, list[Token]()
    for token in tokens[start:]:
        depth += {"[": 1, "]": -1}.get(token[1], 0)
        if not depth:
            break
        inner.append(token)
    inner = inner[1:]
    if len(inner) == 1 and inner[0][0] in ("text", "number"):
        return
    words = [word for _, word in inner]
    counted = all(
        kind == "number" or word in ("-", "+", ":", ".", "loop", "index", "index0", "length", "|")
        for kind, word in inner
    )
    if not counted:
        raise ValueError(f"looks up what {''.join(words)[:40]!r} says")
