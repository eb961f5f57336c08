"""A whole answer in OpenAI's protocol: read, filtered, counted, made anew."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from sealwright.serve import openai_shape, openai_wire
from sealwright.serve.egress import Egress, Kind
from sealwright.serve.openai_ask import Asked
from sealwright.serve.openai_count import Count
from sealwright.serve.openai_shape import Face
from sealwright.serve.openai_wire import Alternative, Listed, Said, nonsense


class Whole(msgspec.Struct):
    """What is to leave, the tokens it is charged for, and what was found in it by rule id."""

    body: bytes
    tokens: int
    found: Counter[str]


def answered(face: Face, data: bytes, egress: Egress, tokens: int) -> Whole:
    """The server's answer ``data`` as it may leave; ``tokens``: of each choice at most.

    Raises: OutOfService (nonsense, or more than was asked for).
    """
    asked = face.asked
    reader = _Reader(asked, egress)
    choices: list[dict[str, Any]]
    if asked.kind == "chat":
        read = openai_wire.chat(data)
        choices = [reader.chat(each) for each in read.choices]
        told = read.usage
    else:
        written = openai_wire.completion(data)
        choices = [reader.completion(each) for each in written.choices]
        told = written.usage
    if [each["index"] for each in choices] != list(range(asked.choices)):
        raise nonsense(f"{len(choices)} choices, {asked.choices} wanted")
    count = reader.count
    count.pieces = 0  # whole texts, not tokens
    count.said = told.completion_tokens if told else -1
    most = tokens * asked.choices
    if count.least > most:
        raise nonsense(f"at least {count.least} tokens, {most} were asked for")
    charged = count.charged(most)
    shown = openai_shape.usage(told.prompt_tokens if told else 0, charged)
    return Whole(face.of(choices, shown), charged, reader.found)


class _Reader:
    """The choices of one answer."""

    def __init__(self, asked: Asked, egress: Egress) -> None:
        self.found: Counter[str] = Counter()
        self.count = Count()
        self._asked = asked
        self._egress = egress
        self._cut = False

    def chat(self, choice: openai_wire.Choice) -> dict[str, Any]:
        said, before = choice.message, self.found.total()
        self._cut = False
        message: dict[str, Any] = {"role": "assistant", "content": self._text(said.content)}
        message["refusal"] = self._text(said.refusal)
        if said.reasoning_content:
            message["reasoning_content"] = self._text(said.reasoning_content)
        if said.tool_calls:
            message["tool_calls"] = self._calls(said)
        out: dict[str, Any] = {"index": choice.index, "message": message, "logprobs": None}
        told = choice.logprobs.content if choice.logprobs else None
        if self._asked.logprobs >= 0 and told is not None:
            kept = [_token(each, self._asked.logprobs) for each in told]
            if self._harmless([each.token for each in told], before):
                out["logprobs"] = {"content": kept, "refusal": None}
        out["finish_reason"] = self._reason(choice.finish_reason)
        return out

    def completion(self, choice: openai_wire.Written) -> dict[str, Any]:
        before = self.found.total()
        self._cut = False
        out: dict[str, Any] = {"index": choice.index, "text": self._text(choice.text)}
        out["logprobs"] = None
        told = choice.logprobs
        if self._asked.logprobs >= 0 and told is not None:
            kept = _listed(told, self._asked.logprobs)
            alternatives = [token for each in kept["top_logprobs"] or [] for token in each or {}]
            if self._harmless(told.tokens, before) and self._harmless(alternatives, before):
                out["logprobs"] = kept
        out["finish_reason"] = self._reason(choice.finish_reason)
        return out

    def _calls(self, said: Said) -> list[dict[str, Any]]:
        out = []
        for call in said.tool_calls or ():
            name, arguments = call.function.name or "", call.function.arguments or ""
            if name not in self._asked.tools:
                raise nonsense("it calls a function that nobody offered")
            self.count.add(name)
            function = {"name": name, "arguments": self._text(arguments, "json") or ""}
            out.append({"id": openai_shape.call_id(), "type": "function", "function": function})
        return out

    def _text(self, text: str | None, kind: Kind = "text") -> str | None:
        if not text:
            return text
        self.count.add(text)
        if self._cut:
            return ""
        out, found, self._cut = self._egress.whole(text, kind)
        self.found += found
        return out

    def _harmless(self, tokens: Sequence[str], before: int) -> bool:
        """Whether nothing was taken out of this choice, and its tokens spell nothing else."""
        if self.found.total() > before:
            return False
        _, found, _ = self._egress.whole("".join(tokens))
        self.found += found
        return not found

    def _reason(self, given: str | None) -> str:
        return reason(given, self._cut)


def reason(given: str | None, cut: bool) -> str:
    """Why an answer ended."""
    if cut:
        return "content_filter"
    return given if given in openai_wire.REASONS else "stop"


def _token(token: openai_wire.Token, top: int) -> dict[str, Any]:
    others = [_alternative(each) for each in token.top_logprobs[:top]]
    return {**_alternative(token), "top_logprobs": others}


def _alternative(one: Alternative) -> dict[str, Any]:
    if not math.isfinite(one.logprob):
        raise nonsense("a log probability is no number")
    spelled = list(one.token.encode("utf-8", "replace"))
    return {"token": one.token, "logprob": one.logprob, "bytes": spelled}


def _listed(told: Listed, top: int) -> dict[str, Any]:
    values = [each for each in told.token_logprobs if each is not None]
    tops = [dict(list((each or {}).items())[:top]) for each in told.top_logprobs or []]
    if not all(map(math.isfinite, [*values, *(v for each in tops for v in each.values())])):
        raise nonsense("a log probability is no number")
    return {
        "tokens": told.tokens,
        "token_logprobs": told.token_logprobs,
        "top_logprobs": tops if told.top_logprobs and top else None,
    }
