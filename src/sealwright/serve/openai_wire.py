"""OpenAI's protocol: what a server answers. Read by an allow-list; nothing is passed through."""

from __future__ import annotations

import math
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from sealwright.serve.refusals import OutOfService

Text = str
Index = Annotated[int, Meta(ge=0, le=4096)]
REASONS = frozenset({"stop", "length", "tool_calls", "content_filter"})


class Usage(msgspec.Struct, frozen=True):
    """Tokens, as the server counts them."""

    prompt_tokens: Annotated[int, Meta(ge=0)] = 0
    completion_tokens: Annotated[int, Meta(ge=0)] = 0


class Function(msgspec.Struct, frozen=True):
    """A call, or a piece of one."""

    name: str | None = None
    arguments: str | None = None


class Call(msgspec.Struct, frozen=True):
    """A tool call, or a piece of one."""

    index: Annotated[int, Meta(ge=0, le=127)] = 0
    function: Function = Function()


class Said(msgspec.Struct, frozen=True):
    """A message or a delta of one."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[Call] | None = None


class Alternative(msgspec.Struct, frozen=True):
    """A token and its log probability."""

    token: str
    logprob: float


class Token(Alternative, frozen=True):
    """A token of the answer, and what could have stood in its place."""

    top_logprobs: list[Alternative] = []


class Logprobs(msgspec.Struct, frozen=True):
    """Of each token of an answer."""

    content: list[Token] | None = None


class Choice(msgspec.Struct, frozen=True):
    """One of the answers to a chat."""

    index: Index = 0
    message: Said = Said()
    delta: Said = Said()
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class Chat(msgspec.Struct, frozen=True):
    """A whole answer to a chat, or an event of one."""

    choices: list[Choice]
    usage: Usage | None = None


class Listed(msgspec.Struct, frozen=True):
    """Log probabilities in the older form."""

    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float] | None] | None = None


class Written(msgspec.Struct, frozen=True):
    """One continuation of a prompt."""

    index: Index = 0
    text: str = ""
    finish_reason: str | None = None
    logprobs: Listed | None = None


class Completion(msgspec.Struct, frozen=True):
    """Whole continuations, or an event of them."""

    choices: list[Written]
    usage: Usage | None = None


class Vector(msgspec.Struct, frozen=True):
    """One embedding."""

    embedding: list[float]
    index: Index = 0


class Embeddings(msgspec.Struct, frozen=True):
    """Embeddings of all inputs."""

    data: list[Vector]
    usage: Usage | None = None


_chat = msgspec.json.Decoder(Chat)
_completion = msgspec.json.Decoder(Completion)
_embeddings = msgspec.json.Decoder(Embeddings)


def nonsense(why: str) -> OutOfService:
    """An answer that is none."""
    return OutOfService("guard.upstream", "the server behind answered nonsense", why=why)


def _read(decoder: msgspec.json.Decoder[Any], data: bytes) -> Any:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise nonsense(str(error)[:200]) from error


def chat(data: bytes) -> Chat:
    """Raises: OutOfService (no answer to a chat)."""
    found: Chat = _read(_chat, data)
    return found


def completion(data: bytes) -> Completion:
    """Raises: OutOfService (no continuation)."""
    found: Completion = _read(_completion, data)
    return found


def embeddings(data: bytes, inputs: int, dimensions: int) -> tuple[list[list[float]], int]:
    """The vectors in the order of the inputs, and the prompt's tokens.

    Raises: OutOfService (others than one finite vector an input, all of one length).
    """
    found: Embeddings = _read(_embeddings, data)
    vectors: dict[int, list[float]] = {one.index: one.embedding for one in found.data}
    if len(found.data) != inputs or sorted(vectors) != list(range(inputs)):
        raise nonsense(f"{len(found.data)} vectors for {inputs} inputs")
    sizes = {len(each) for each in vectors.values()}
    if len(sizes) != 1 or not 0 < sizes.pop() <= dimensions:
        raise nonsense(f"vectors of other sizes than 1 to {dimensions}")
    out = [vectors[at] for at in range(inputs)]
    if not all(math.isfinite(value) for vector in out for value in vector):
        raise nonsense("a vector holds NaN or infinity")
    return out, found.usage.prompt_tokens if found.usage else 0
