"""Instructions to a language model, hidden in what is meant to be data.

Rules are phrases and control tokens, in order of how little they have to do in ordinary text.
They see known wordings and no others: a paraphrase passes. Source: MITRE ATLAS AML.T0051.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sealwright.scan.hygiene import Marks, Rule
from sealwright.scan.interface import Frame, Scan, Spec

_WHAT = r"(?:instructions?|prompts?|directions?|rules|guidelines)"
_WHOSE = (
    r"(?:all |any |the |your |these |those |my |of |previous |prior |above |preceding |earlier "
    r"|system |initial |original )"
)
_OVERRIDE = re.compile(
    rf"\b(?:ignore|disregard|forget|override|bypass|do not follow|don't follow|stop following) "
    rf"{_WHOSE}{{1,5}}{_WHAT}\b"
)
_CONTROL = re.compile(
    r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id)\|>"
    r"|\[/?inst\]|<</?sys>>|</?(?:system|assistant)(?:_prompt|-prompt)?>"
    r"|(?:^|\n)#{2,4} ?(?:system|instruction)s?:"
)
_LEAK = re.compile(
    r"\b(?:reveal|print|repeat|output|show|leak|tell me|disclose|exfiltrate|send)\b[^.\n]{0,40}"
    r"\b(?:system prompt|hidden prompt|initial prompt|your (?:instructions|prompt|api key|secret))"
)
_ROLE = re.compile(
    r"\byou are (?:now|no longer)\b[^.\n]{0,40}\b(?:ai|assistant|model|chatgpt|dan|unrestricted"
    r"|jailbroken|developer mode)\b|\benter (?:developer|debug|jailbreak|god) mode\b"
    r"|\bpretend (?:to be|you are) an? (?:unrestricted|unfiltered|uncensored)"
)
_CONCEAL = re.compile(
    r"\b(?:do not|don't|never) (?:tell|inform|mention|reveal|show|alert)[^.\n]{0,20} (?:the )?"
    r"(?:user|human|reader|operator)\b[^.\n]{0,60}\b(?:instruction|prompt|message|this)"
)
_HINTS = (
    "instruction", "prompt", "ignore", "disregard", "<|", "[inst", "<<sys", "<system", "</system",
    "<assistant", "</assistant", "you are no", "developer mode", "jailbreak", "pretend", "##",
    "debug mode", "god mode", "tell the user", "mention", "inform", "alert",
)  # fmt: skip


def _looking_for(pattern: re.Pattern[str]) -> Callable[[str], int]:
    def look(text: str) -> int:
        low = text.lower()
        if not any(hint in low for hint in _HINTS):
            return -1
        match = pattern.search(" ".join(low.split()) if "\n" not in pattern.pattern else low)
        return match.start() if match else -1

    return look


RULES = tuple(
    Rule(key, says, natural, _looking_for(pattern))
    for key, says, natural, pattern in (
        ("override", "orders to ignore earlier instructions", 1e-4, _OVERRIDE),
        ("control-tokens", "a chat template's control tokens", 1e-4, _CONTROL),
        ("leak", "orders to reveal a prompt or a secret", 1e-4, _LEAK),
        ("role", "orders to be another assistant", 1e-4, _ROLE),
        ("conceal", "orders to hide something from the user", 1e-4, _CONCEAL),
    )
)


class Injection:
    """Makes the state of one scan."""

    spec = Spec(
        "hygiene-injection", 1, "any", "group",
        families=("text-injection",), threats=("AML.T0051", "AML.T0020"),
    )  # fmt: skip

    def begin(self, frame: Frame, reference: Scan | None = None) -> Marks:
        """An empty state; no reference is used."""
        return Marks(frame, "text-injection", RULES)
