"""OpenAI's protocol before another server, as the chain's mount (``guard.Mount``).

Bits: a token is at most log2 of a vocabulary, a number of an embedding what is released of its
float32. All that may be asked for is reserved, what came is settled, counted by the guard itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.serve import (
    openai_ask,
    openai_shape,
    openai_stream,
    openai_whole,
    openai_wire,
    outputs,
    proxy,
    sse,
    wording,
)
from sealwright.serve.egress import Egress
from sealwright.serve.guard import Question, Released
from sealwright.serve.interface import Answer, Caller, Fidelity
from sealwright.serve.messages import JSON, Reply, Request
from sealwright.serve.oip_mount import Observer, Unwatched
from sealwright.serve.openai_ask import Asked, Embedding, Kind, Limits
from sealwright.serve.outputs import Shape
from sealwright.serve.refusals import OutOfService, refused
from sealwright.serve.routes import Match
from sealwright.serve.upstream import Stream, Upstream

PATHS: dict[Kind, str] = {
    "chat": "/v1/chat/completions",
    "completion": "/v1/completions",
    "embedding": "/v1/embeddings",
}
DEGRADED_TOKENS = 64
"""Of an answer, while its group is degraded: a text has no label that could stand for it."""
_LOGPROB_BITS = 32
CANARY = "egress.canary"
"""The finding that is an event of its own, whatever became of the text."""


class Text(msgspec.Struct, frozen=True):
    """What is served: the name callers use, the name the server behind knows, the limits."""

    name: str
    behind: str
    limits: Limits


class Flow(msgspec.Struct):
    """One streamed answer on its way: what comes, what leaves, what left, and the rule by which
    the rest does not come."""

    stream: Stream
    events: sse.Events
    text: openai_stream.Stream
    left: list[bytes]
    broken: str = ""


class OpenAiMount:
    """One model behind, asked in OpenAI's protocol."""

    def __init__(
        self, text: Text, upstream: Upstream, egress: Egress, observer: Observer | None = None
    ) -> None:
        self.text = text
        self._observer = observer or Unwatched()
        self._upstream = upstream
        self._egress = egress

    def decode(self, request: Request, match: Match) -> Question:
        """See ``guard.Mount``."""
        if request.headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise refused("guard.encoding", "a compressed body is not taken")
        kind: Any = match.name
        asked = openai_ask.decode(kind, request.body, self.text.limits)
        asked = msgspec.structs.replace(asked, at_ms=request.at_ms)
        self.require_model(asked.body.model)
        return Question(asked.choices, request.body + match.name.encode(), asked)

    def require_model(self, name: str) -> None:
        """Raises: Refused (``guard.model``: no such model here)."""
        if name not in (self.text.name, self.text.behind):
            raise refused("guard.model", f"{name[:80]} is not here", f"served: {self.text.name}")

    def check(self, question: Question, fidelity: Fidelity) -> int:
        """See ``guard.Mount``."""
        asked: Asked = question.body
        bias = getattr(asked.body, "logit_bias", None)
        if fidelity != "full" and (asked.logprobs >= 0 or bias):
            raise refused(
                "guard.fidelity",
                f"{'logprobs' if asked.logprobs >= 0 else 'logit_bias'} is not for you",
                f"your profile is text/{fidelity}",
                "more is a grant: seal serve keys create NAME --fidelity full --budget BITS"
                " --until +30d",
            )
        if asked.kind == "embedding":
            return self._vectors_mbits(fidelity, asked.choices, asked.tokens)
        return self._tokens_mbits(asked, asked.tokens * asked.choices)

    async def call(self, question: Question) -> bytes:
        """See ``guard.Mount``."""
        return await self.ask(question, "full")

    async def ask(self, question: Question, fidelity: Fidelity) -> bytes:
        """The server's whole answer. Raises: Refused (``guard.answer``), OutOfService."""
        asked: Asked = question.body
        body = openai_ask.sent(asked, self.text.behind, _tokens(asked, fidelity))
        return await proxy.asked(self._upstream, "POST", PATHS[asked.kind], body)

    async def open(self, question: Question, fidelity: Fidelity) -> Flow:
        """The server's answer as a stream. Raises: as :meth:`ask`."""
        asked: Asked = question.body
        tokens = _tokens(asked, fidelity)
        body = openai_ask.sent(asked, self.text.behind, tokens)
        stream = await proxy.opened(self._upstream, PATHS[asked.kind], body, sse.MEDIA_TYPE)
        face = openai_shape.face(asked, self.text.name, asked.at_ms)
        return Flow(stream, sse.Events(), openai_stream.Stream(face, self._egress, tokens), [])

    def release(self, question: Question, answer: Any, caller: Caller, to: Fidelity) -> Released:
        """See ``guard.Mount``; ``answer`` is a whole one, or a stream that has ended."""
        out = self._released(question.body, answer, to)
        cells = self._watched(question.body, caller, to)
        return msgspec.structs.replace(out, cells=cells) if cells else out

    def _watched(self, asked: Asked, caller: Caller, to: Fidelity) -> Sequence[int]:
        """What was asked is put by to be watched; the cells it touches."""
        said = [text[: wording.LONGEST] for text in openai_ask.texts(asked)]
        if not said or isinstance(self._observer, Unwatched):
            return ()
        texts: npt.NDArray[Any] = np.empty(len(said), object)
        texts[:] = said
        features = wording.features(said)
        cells = self._observer.cells(features)
        # no scores: what it answers is text, and no margin can be told
        answer = Answer(np.zeros((len(said), 1)), features)
        self._observer.behind(caller, texts, answer, to)
        return cells

    def _released(self, asked: Asked, answer: Any, to: Fidelity) -> Released:
        if isinstance(answer, Flow):
            mbits = self._tokens_mbits(asked, answer.text.tokens)
            reply = Reply(200, b"".join(answer.left))
            tripped = _tripped(answer.text.found)
            return Released(reply, mbits, broken=answer.broken, tripped=tripped)
        if asked.kind == "embedding":
            return self._embedded(asked, answer, to)
        face = openai_shape.face(asked, self.text.name, asked.at_ms)
        whole = openai_whole.answered(face, answer, self._egress, _tokens(asked, to))
        headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", JSON),)
        if whole.found:
            headers += ((b"seal-egress", told(whole.found)),)
        mbits = self._tokens_mbits(asked, whole.tokens)
        return Released(Reply(200, whole.body, headers), mbits, tripped=_tripped(whole.found))

    def _embedded(self, asked: Asked, answer: bytes, to: Fidelity) -> Released:
        body = asked.body
        assert isinstance(body, Embedding)  # noqa: S101
        vectors, prompt = openai_wire.embeddings(answer, asked.choices, asked.tokens)
        width = len(vectors[0])
        with np.errstate(over="ignore"):
            values = np.array(vectors, dtype=np.float32)
        if not np.isfinite(values).all():
            raise OutOfService("guard.upstream", "a vector holds a number that is too large")
        released = outputs.released(Shape("embedding", width), to, Answer(values, values))[0].data
        out = openai_shape.embeddings(
            self.text.name, released.tolist(), body.encoding_format == "base64", prompt
        )
        return Released(Reply(200, out), self._vectors_mbits(to, asked.choices, width))

    def _vectors_mbits(self, fidelity: Fidelity, rows: int, width: int) -> int:
        return outputs.ceiling_mbits(Shape("embedding", width), fidelity, rows)

    def _tokens_mbits(self, asked: Asked, tokens: int) -> int:
        bits = self.text.limits.bits
        if asked.logprobs >= 0:
            bits += _LOGPROB_BITS + asked.logprobs * (_LOGPROB_BITS + bits)
        return tokens * bits * 1000


def _tokens(asked: Asked, fidelity: Fidelity) -> int:
    return min(asked.tokens, DEGRADED_TOKENS) if fidelity == "label" else asked.tokens


def _tripped(found: Counter[str]) -> str:
    return CANARY if found[CANARY] else ""


def told(found: Counter[str]) -> bytes:
    """Rule ids and counts, as a header says them."""
    return ", ".join(f"{rule}={found[rule]}" for rule in sorted(found)).encode("ascii", "replace")
