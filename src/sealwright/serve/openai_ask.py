"""OpenAI's protocol: what is asked. Strict, by the list in docs/guide/serving-upstream.md.

What would tell more than its bits are charged for is refused: seeds, echoes, log probabilities of
prompts, the best of several, and log probabilities together with a bias on them, always.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sealwright.core.errors import Refused

Kind = Literal["chat", "completion", "embedding"]
Number = Annotated[float, Meta(ge=-2, le=2)]
Text = Annotated[str, Meta(max_length=1 << 20)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
MOST_TOP = 5
"""``top_logprobs`` at most, and by grant only."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one request may ask for. A token is at most ``bits`` bits: log2 of a vocabulary."""

    tokens: int = 1024
    choices: int = 4
    prompts: int = 16
    inputs: int = 256
    dimensions: int = 4096
    bits: int = 17


class BadParameter(Refused):
    """A parameter that is not taken; ``param`` names it, ``code`` is OpenAI's word for why."""

    def __init__(self, param: str, code: str, what: str, why: str = "", hint: str = "") -> None:
        super().__init__(what, why=why, hint=hint, rule="guard.parameter")
        self.param = param
        self.code = code


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a message: text. Pictures and sound by address would have the server fetch them."""

    type: Literal["text"]
    text: Text


class Called(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A function and its arguments, JSON in a string."""

    name: Name
    arguments: Text


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call that an earlier answer made."""

    id: Annotated[str, Meta(max_length=128)]
    function: Called
    type: Literal["function"] = "function"


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One turn of a conversation. What a client copies from an answer is taken where it is null."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Text | list[Part] | None = None
    name: Name | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: Annotated[str, Meta(max_length=128)] | None = None
    refusal: None = None
    annotations: list[None] | None = None
    audio: None = None
    function_call: None = None


class Function(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A function that the model may call."""

    name: Name
    description: Text = ""
    parameters: dict[str, Any] | UnsetType = UNSET
    strict: bool | None = None


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool: a function."""

    function: Function
    type: Literal["function"] = "function"


class Chosen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The name of a function."""

    name: Name


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one function that must be called."""

    function: Chosen
    type: Literal["function"] = "function"


class Schema(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A JSON schema that the answer has to hold to."""

    name: Name
    schema: dict[str, Any] | UnsetType = UNSET
    strict: bool | None = None
    description: Text = ""


class Format(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the answer is to be written."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: Schema | UnsetType = UNSET


class StreamOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``include_usage``: a last event tells the tokens; ``include_obfuscation`` is dropped."""

    include_usage: bool = False
    include_obfuscation: bool = False


Given = Text | list[Text | int | list[int]]
"""A text, texts, tokens, or lists of tokens; :func:`decode` refuses a mixture."""
Stop = Text | Annotated[list[Text], Meta(max_length=8)]
Bias = dict[str, Annotated[float, Meta(ge=-100, le=100)]]


class _Sampled(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    model: Annotated[str, Meta(max_length=200)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    n: Annotated[int, Meta(ge=1)] | None = None
    temperature: Number | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    presence_penalty: Number | None = None
    frequency_penalty: Number | None = None
    stop: Stop | None = None
    logit_bias: Bias | None = None
    user: str | None = None


class Chat(_Sampled, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/chat/completions."""

    messages: Annotated[list[Message], Meta(min_length=1, max_length=2048)]
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0)] | None = None
    tools: Annotated[list[Tool], Meta(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | Choice | None = None
    parallel_tool_calls: bool | None = None
    response_format: Format | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] | None = None
    store: Literal[False] | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None


class Completion(_Sampled, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/completions."""

    prompt: Given
    logprobs: Annotated[int, Meta(ge=0)] | None = None


class Embedding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/embeddings."""

    model: Annotated[str, Meta(max_length=200)]
    input: Given
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None


DROPPED = frozenset(
    {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"}
)
"""Taken and not sent on: who asks, and how it is kept or billed, is the guard's own business."""

REFUSED: dict[str, str] = {
    "seed": "it makes answers repeatable, which is what comparing models takes",
    "echo": "it has the model score what the caller wrote",
    "prompt_logprobs": "it has the model score what the caller wrote",
    "best_of": "it chooses among answers that are not released by how likely they are",
    "suffix": "it has the model score what the caller wrote",
    "use_beam_search": "it chooses among answers that are not released by how likely they are",
    "audio": "only text is filtered on its way out",
    "modalities": "only text is filtered on its way out",
    "functions": "tools took its place",
    "function_call": "tool_choice took its place",
}
"""Refused by name, and why. Whatever no record here knows is refused as unknown."""


class Asked(msgspec.Struct, frozen=True):
    """A request, decoded: what it is, and what bounds its answer."""

    kind: Kind
    body: Chat | Completion | Embedding
    choices: int
    tokens: int
    stream: bool = False
    usage: bool = False
    logprobs: int = -1  # alternatives beside each token; -1: none are asked for
    tools: frozenset[str] = frozenset()
    at_ms: int = 0


_RECORDS: dict[Kind, Any] = {
    "chat": msgspec.json.Decoder(Chat),
    "completion": msgspec.json.Decoder(Completion),
    "embedding": msgspec.json.Decoder(Embedding),
}
_names = msgspec.json.Decoder(dict[str, msgspec.Raw])
_UNKNOWN = re.compile(r"unknown field `([^`]{0,60})`(?: - at `\$\.?([^`]*)`)?")
_AT = re.compile(r"at `\$\.?([^`]{0,100})`")


def decode(kind: Kind, data: bytes, limits: Limits) -> Asked:
    """Raises: Refused (BadParameter ``guard.parameter``, ``guard.body``)."""
    try:
        body = _RECORDS[kind].decode(data)
    except msgspec.ValidationError as error:
        raise _worded(data, str(error)) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refused("the body is not JSON", why=str(error), rule="guard.body") from error
    if isinstance(body, Embedding):
        return _embedding(body, limits)
    return _sampled(kind, body, limits)


def _worded(data: bytes, said: str) -> BadParameter:
    """A fault of a parameter; one that is refused by name says why, whatever else is wrong."""
    try:
        given = _names.decode(data)
    except (msgspec.DecodeError, RecursionError):
        given = {}
    for name, why in REFUSED.items():
        if name in given:
            return BadParameter(name, "unsupported_parameter", f"{name} is not taken here", why)
    if unknown := _UNKNOWN.search(said):
        path = ".".join(part for part in (unknown[2], unknown[1]) if part)
        return BadParameter(
            path, "unknown_parameter", f"there is no parameter {path!r} here",
            "what is not listed is refused", "docs/guide/serving-upstream.md lists what is taken",
        )  # fmt: skip
    at = _AT.search(said)
    path = at[1] if at else ""
    what = said.split(" - at ")[0]
    return BadParameter(path, "invalid_value", what or "a parameter has a value it cannot have")


def _sampled(kind: Kind, body: Chat | Completion, limits: Limits) -> Asked:
    named = body.max_tokens
    param = "max_tokens"
    if isinstance(body, Chat) and body.max_completion_tokens is not None:
        if named is not None:
            raise BadParameter(
                param, "invalid_value", "max_tokens and max_completion_tokens at once"
            )
        named, param = body.max_completion_tokens, "max_completion_tokens"
    tokens = _at_most(param, named or limits.tokens, limits.tokens)
    choices = _at_most("n", body.n or 1, limits.choices)
    if isinstance(body, Completion):
        choices *= _at_most("prompt", _count(body.prompt, "prompt"), limits.prompts)
    top = _logprobs(body)
    if body.logit_bias and top >= 0:
        raise BadParameter(
            "logit_bias", "unsupported_parameter", "logprobs and logit_bias never go together",
            "with both, the model's last layer can be read out",
        )  # fmt: skip
    stream = bool(body.stream)
    if stream and top >= 0:
        raise BadParameter(
            "logprobs", "unsupported_parameter", "logprobs are not streamed",
            "a token that is taken out would still stand there", "ask without stream",
        )  # fmt: skip
    if body.stream_options and not stream:
        raise BadParameter("stream_options", "invalid_value", "nothing is streamed")
    usage = bool(body.stream_options and body.stream_options.include_usage)
    tools = body.tools if isinstance(body, Chat) and body.tools else []
    names = frozenset(tool.function.name for tool in tools)
    return Asked(kind, body, choices, tokens, stream, usage, top, names)


def _logprobs(body: Chat | Completion) -> int:
    if isinstance(body, Completion):
        top, param = -1 if body.logprobs is None else body.logprobs, "logprobs"
    else:
        if body.top_logprobs is not None and not body.logprobs:
            raise BadParameter("top_logprobs", "invalid_value", "top_logprobs wants logprobs")
        top, param = (body.top_logprobs or 0) if body.logprobs else -1, "top_logprobs"
    _at_most(param, top, MOST_TOP)
    return top


def _embedding(body: Embedding, limits: Limits) -> Asked:
    count = _at_most("input", _count(body.input, "input"), limits.inputs)
    dimensions = _at_most("dimensions", body.dimensions or limits.dimensions, limits.dimensions)
    return Asked("embedding", body, count, dimensions)


def _count(given: Any, param: str) -> int:
    if isinstance(given, str):
        return 1
    kinds = {type(each) for each in given}
    if len(kinds) != 1:
        raise BadParameter(param, "invalid_value", f"{param} is empty, or of several kinds")
    return 1 if kinds == {int} else len(given)


def _at_most(param: str, value: int, most: int) -> int:
    if value > most:
        raise BadParameter(
            param, "invalid_value", f"{param} is at most {most} here", f"given: {value}",
            "ask for less, or several times",
        )  # fmt: skip
    return value


def texts(asked: Asked) -> list[str]:
    """What the caller wrote this time: the last turn of a user, prompts, or what is embedded.

    Tokens are no text: none then.
    """
    body = asked.body
    if isinstance(body, Chat):
        turns = [one for one in body.messages if one.role == "user"]
        content = turns[-1].content if turns else None
        if isinstance(content, list):
            content = "\n".join(part.text for part in content)
        return [content] if content else []
    given = body.prompt if isinstance(body, Completion) else body.input
    if isinstance(given, str):
        return [given]
    return [one for one in given if isinstance(one, str)]


def sent(asked: Asked, model: str, tokens: int) -> bytes:
    """The body for the server behind: what was asked, by the allow-list, and never without an end.

    ``tokens`` of each answer at most.
    """
    out: dict[str, Any] = {"model": model}
    for name in asked.body.__struct_fields__:
        value = getattr(asked.body, name)
        if value is not None and name not in DROPPED and name not in _OWN:
            out[name] = value
    if asked.kind == "embedding":
        out["encoding_format"] = "float"
        return _encode(out)
    limit = "max_completion_tokens"
    out[limit if getattr(asked.body, limit, None) is not None else "max_tokens"] = tokens
    out["stream"] = asked.stream
    if asked.stream:
        out["stream_options"] = {"include_usage": True}
    return _encode(out)


_OWN = frozenset({"model", "stream", "stream_options", "encoding_format"})
_encode = msgspec.json.Encoder().encode
