"""A streamed answer in OpenAI's protocol: events in, filtered events out, every token counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from sealwright.serve import openai_shape, openai_wire, sse
from sealwright.serve.egress import Channel, Egress, Kind
from sealwright.serve.openai_count import Count
from sealwright.serve.openai_shape import Face
from sealwright.serve.openai_whole import reason
from sealwright.serve.openai_wire import Call, Said, nonsense

_TEXTS = ("content", "refusal", "reasoning_content")


class Stream:
    """One streamed answer. ``done``: nothing more is wanted."""

    def __init__(self, face: Face, egress: Egress, tokens: int) -> None:
        self.count = Count()
        self.done = False
        self._face = face
        self._egress = egress
        self._most = tokens * face.asked.choices
        self._choices = [_Choice(at, self) for at in range(face.asked.choices)]
        self._prompt = 0

    @property
    def tokens(self) -> int:
        """What is to be charged."""
        return self.count.charged(self._most)

    @property
    def found(self) -> Counter[str]:
        """What was found so far, by rule id."""
        out: Counter[str] = Counter()
        for choice in self._choices:
            for channel in choice.channels():
                out += channel.found
        return out

    def take(self, event: sse.Event) -> bytes:
        """What leaves because of ``event``. Raises: OutOfService (nonsense)."""
        if self.done or event.data == sse.DONE:
            self.done = True
            return b""
        if self._face.asked.kind == "chat":
            read = openai_wire.chat(event.data)
            out = [piece for one in read.choices for piece in self._of(one.index).chat(one)]
            told = read.usage
        else:
            written = openai_wire.completion(event.data)
            out = [piece for w in written.choices for piece in self._of(w.index).written(w)]
            told = written.usage
        if told is not None:
            self.count.said = max(self.count.said, told.completion_tokens)
            self._prompt = told.prompt_tokens
        if self.count.least > self._most:
            out += [piece for one in self._choices for piece in one.over()]
        return b"".join(map(sse.written, out))

    def close(self) -> bytes:
        """The end, once the server ended. Raises: OutOfService (a choice never ended)."""
        if not all(one.ended for one in self._choices):
            raise nonsense("it stopped in the middle of its answer")
        out = b""
        if self._face.asked.usage:
            out = sse.written(self._face.of([], openai_shape.usage(self._prompt, self.tokens)))
        return out + sse.written(sse.DONE)

    @property
    def ended(self) -> bool:
        """Whether every choice has ended, so that only the count may still come."""
        return all(one.ended for one in self._choices)

    @property
    def cut(self) -> bool:
        """Whether the server's answer is no longer wanted: every choice ended before its end."""
        return self.ended and any(one.early for one in self._choices)

    def _of(self, index: int) -> _Choice:
        if index >= len(self._choices):
            raise nonsense(f"choice {index} of {len(self._choices)}")
        return self._choices[index]

    def channel(self, kind: Kind) -> Channel:
        """A filter whose findings count for this answer."""
        return self._egress.channel(kind)

    def event(self, index: int, delta: dict[str, Any], ended: str | None = None) -> bytes:
        """One event of one choice."""
        shown = {"delta": delta} if self._face.asked.kind == "chat" else delta or {"text": ""}
        return self._face.of([{"index": index, **shown, "logprobs": None, "finish_reason": ended}])

    @property
    def offered(self) -> frozenset[str]:
        """The functions that may be called."""
        return self._face.asked.tools


class _Tool:
    """A tool call that comes in pieces; its head leaves before its arguments."""

    def __init__(self, channel: Channel) -> None:
        self.name = ""
        self.channel = channel
        self.begun = False


class _Choice:
    """One of the answers of a stream."""

    def __init__(self, index: int, stream: Stream) -> None:
        self.ended = False
        self.early = False
        self._index = index
        self._stream = stream
        self._begun = False
        self._texts: dict[str, Channel] = {}
        self._tools: dict[int, _Tool] = {}

    def channels(self) -> list[Channel]:
        """The filters of this choice's texts."""
        return [*self._texts.values(), *(tool.channel for tool in self._tools.values())]

    def chat(self, choice: openai_wire.Choice) -> Iterator[bytes]:
        """What leaves because of a delta."""
        if self.ended:
            return
        if not self._begun:
            self._begun = True
            yield self._event({"role": "assistant", "content": ""})
        yield from self._said(choice.delta)
        if choice.finish_reason is not None and not self.ended:
            yield from self._finish(choice.finish_reason)

    def written(self, choice: openai_wire.Written) -> Iterator[bytes]:
        """What leaves because of a piece of a continuation."""
        if self.ended:
            return
        yield from self._push("text", choice.text)
        if choice.finish_reason is not None and not self.ended:
            yield from self._finish(choice.finish_reason)

    def over(self) -> Iterator[bytes]:
        """More came than was asked for: what is held back stays here."""
        if not self.ended:
            self.ended = self.early = True
            yield self._event({}, "length")

    def _said(self, said: Said) -> Iterator[bytes]:
        for name in _TEXTS:
            text = getattr(said, name)
            if text:
                yield from self._push(name, text)
        for call in said.tool_calls or ():
            if not self.ended:
                yield from self._call(call)

    def _push(self, name: str, text: str) -> Iterator[bytes]:
        if self.ended or not text:
            return
        self._stream.count.add(text)
        channel = self._texts.get(name)
        if channel is None:
            channel = self._texts[name] = self._stream.channel("text")
        if out := channel.push(text):
            yield self._event({name: out})
        if channel.cut:
            yield from self._stop()

    def _call(self, call: Call) -> Iterator[bytes]:
        tool = self._tools.get(call.index)
        if tool is None:
            tool = self._tools[call.index] = _Tool(self._stream.channel("json"))
        if call.function.name and not tool.begun:
            self._stream.count.add(call.function.name)
            tool.name += call.function.name
        if call.function.arguments:
            self._stream.count.add(call.function.arguments)
            yield from self._head(call.index, tool)
            if out := tool.channel.push(call.function.arguments):
                yield self._arguments(call.index, out)
            if tool.channel.cut:
                yield from self._stop()

    def _head(self, index: int, tool: _Tool) -> Iterator[bytes]:
        if tool.begun:
            return
        tool.begun = True
        if tool.name not in self._stream.offered:
            raise nonsense("it calls a function that nobody offered")
        function = {"name": tool.name, "arguments": ""}
        head = {"index": index, "id": openai_shape.call_id(), "type": "function"}
        yield self._event({"tool_calls": [{**head, "function": function}]})

    def _arguments(self, index: int, text: str) -> bytes:
        return self._event({"tool_calls": [{"index": index, "function": {"arguments": text}}]})

    def _finish(self, given: str) -> Iterator[bytes]:
        for name, channel in self._texts.items():
            if out := channel.close():
                yield self._event({name: out})
            if channel.cut:
                yield from self._stop()
                return
        for index, tool in self._tools.items():
            yield from self._head(index, tool)
            if out := tool.channel.close():
                yield self._arguments(index, out)
            if tool.channel.cut:
                yield from self._stop()
                return
        self.ended = True
        yield self._event({}, reason(given, False))

    def _stop(self) -> Iterator[bytes]:
        self.ended = self.early = True
        yield self._event({}, reason(None, True))

    def _event(self, delta: dict[str, Any], ended: str | None = None) -> bytes:
        return self._stream.event(self._index, delta, ended)
