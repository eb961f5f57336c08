"""What a look at a model file says: a verdict, and each finding with where it was found.

``clean`` needs a format that was understood to its last byte and nothing found. Everything
else blocks: ``dangerous`` where something could run or lies, ``not understood`` where nobody
here can tell. Source: docs/spec/model-file-policy-v1.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from sealwright.kit.modelfile.rules import RULES

Word = Literal["clean", "dangerous", "not understood"]


class Found(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing found. ``where`` is the member inside the file, ``offset`` counts bytes in it."""

    rule: str
    message: str
    where: str = ""
    offset: int = -1
    opcode: str = ""


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``format`` is what the bytes are; ``policy`` the digest of the policy that judged them."""

    verdict: Word
    format: str
    findings: tuple[Found, ...] = ()
    policy: str = ""


class Unsound(Exception):
    """A file that cannot be followed further; carries the finding that says why."""

    def __init__(self, rule: str, message: str, *, offset: int = -1, opcode: str = "") -> None:
        super().__init__(message)
        self.found = Found(rule, message, "", offset, opcode)


def settled(found: Sequence[Found], format_: str, policy: str) -> Verdict:
    """The verdict that ``found`` leads to: the worst of its rules; nothing found is clean."""
    words = {RULES[one.rule].verdict for one in found}
    if "dangerous" in words:
        word: Word = "dangerous"
    elif "not understood" in words or not format_:
        word = "not understood"
    else:
        word = "clean"
    return Verdict(word, format_, tuple(found), policy)
