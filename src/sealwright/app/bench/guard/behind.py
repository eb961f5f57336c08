"""A small server to stand behind the guard, as a process of its own: for benches and tests.

``python -m sealwright.app.bench.guard.behind [--socket PATH]`` prints where it listens. A linear
classifier of 64 numbers over the Open Inference Protocol, and over OpenAI's protocol a bigram
model of the few sentences below; one that is told "Repeat: …" repeats.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import random
import re
import sys
from collections import defaultdict
from typing import Any

import msgspec
import numpy as np

WIDTH, CLASSES, DIMENSIONS = 64, 4, 32
TOLD = (
    "the river runs to the sea and the sea runs to the sky . the sky is wide and the field is"
    " green . a farmer walks to the field and sees the river . she carries bread to the town"
    " and the town is far . the road to the town runs by the river and the mill ."
)
_json = msgspec.json.Encoder().encode
_read = msgspec.json.Decoder().decode


class Linear:
    """Softmax of a fixed matrix."""

    def __init__(self) -> None:
        self._weights = np.random.default_rng(7).standard_normal((WIDTH, CLASSES))

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """One infer request."""
        given = body["inputs"][0]
        rows = np.array(given["data"], dtype=np.float64).reshape(given["shape"])
        margins = rows @ self._weights
        powers = np.exp(margins - margins.max(axis=1, keepdims=True))
        shares = powers / powers.sum(axis=1, keepdims=True)
        output = {
            "name": "scores",
            "datatype": "FP64",
            "shape": list(shares.shape),
            "data": shares.ravel().tolist(),
        }
        return {"model_name": "toy", "outputs": [output]}


class Bigrams:
    """Which word follows which."""

    def __init__(self) -> None:
        words = TOLD.split()
        self._after: dict[str, list[str]] = defaultdict(list)
        for one, following in itertools.pairwise(words):
            self._after[one].append(following)

    def tokens(self, prompt: str, most: int) -> list[str]:
        """Pieces of an answer."""
        said = re.search(r"Repeat: (.*)", prompt, re.DOTALL)
        if said:
            pieces = re.findall(r"\s*\S{1,6}|\s+", said[1])
            return pieces[:most]
        rng = random.Random(hashlib.sha256(prompt.encode()).digest())  # noqa: S311
        word, out = "the", list[str]()
        while len(out) < most and (word != "." or len(out) < 12):
            word = rng.choice(self._after.get(word) or ["the"])
            out.append(word if not out else f" {word}")
        return out


class Server:
    """Requests in, answers out, as lists of body pieces (None: not streamed)."""

    def __init__(self) -> None:
        self._linear = Linear()
        self._bigrams = Bigrams()

    def answer(self, method: str, path: str, data: bytes) -> tuple[int, list[bytes], bool]:
        """Status, the pieces of the body, whether it streams."""
        if method == "GET" and path == "/v2/models/toy":
            return 200, [_json(METADATA)], False
        if method == "GET":
            return 200, [b"{}"], False
        body = _read(data)
        if path.endswith("/infer"):
            return 200, [_json(self._linear.answer(body))], False
        if path == "/v1/embeddings":
            return 200, [_json(_embedded(body))], False
        if path in ("/v1/chat/completions", "/v1/completions"):
            pieces = self._said(path, body)
            return 200, pieces, bool(body.get("stream"))
        return 404, [b"{}"], False

    def _said(self, path: str, body: dict[str, Any]) -> list[bytes]:
        chat = path.startswith("/v1/chat")
        prompts = _prompts(body, chat)
        most = body.get("max_tokens") or body.get("max_completion_tokens") or 64
        texts = [
            self._bigrams.tokens(f"{prompt}{at or ''}", most)
            for prompt in prompts
            for at in range(body.get("n") or 1)
        ]
        usage: Any = {
            "prompt_tokens": sum(len(prompt.split()) for prompt in prompts),
            "completion_tokens": sum(map(len, texts)),
        }
        if not body.get("stream"):
            choices = [_whole(chat, at, "".join(text)) for at, text in enumerate(texts)]
            return [_json({"choices": choices, "usage": usage})]
        events = [
            {"choices": [_piece(chat, at, token, None)]}
            for at, text in enumerate(texts)
            for token in text
        ]
        events += [{"choices": [_piece(chat, at, "", "stop")]} for at in range(len(texts))]
        if (body.get("stream_options") or {}).get("include_usage"):
            events.append({"choices": [], "usage": usage})
        return [*(b"data: " + _json(event) + b"\n\n" for event in events), b"data: [DONE]\n\n"]


METADATA: dict[str, Any] = {
    "name": "toy",
    "platform": "toy",
    "inputs": [{"name": "input", "datatype": "FP64", "shape": [-1, WIDTH]}],
    "outputs": [{"name": "scores", "datatype": "FP64", "shape": [-1, CLASSES]}],
}


def _prompts(body: dict[str, Any], chat: bool) -> list[str]:
    if not chat:
        given = body["prompt"]
        return [given] if isinstance(given, str) else [str(each) for each in given]
    content = body["messages"][-1].get("content") or ""
    return ["".join(part["text"] for part in content) if isinstance(content, list) else content]


def _whole(chat: bool, index: int, text: str) -> dict[str, Any]:
    said = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
    return {"index": index, **said, "finish_reason": "stop"}


def _piece(chat: bool, index: int, text: str, ended: str | None) -> dict[str, Any]:
    said = {"delta": {"content": text}} if chat else {"text": text}
    return {"index": index, **said, "finish_reason": ended}


def _embedded(body: dict[str, Any]) -> dict[str, Any]:
    given = body["input"]
    texts = [given] if isinstance(given, str) else given
    size = body.get("dimensions") or DIMENSIONS
    data = []
    for at, text in enumerate(texts):
        vector = np.zeros(size)
        for word in str(text).lower().split():
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
            vector += np.random.default_rng(seed).standard_normal(size)
        data.append({"index": at, "embedding": vector.tolist()})
    return {"data": data, "usage": {"prompt_tokens": len(texts)}}


class Connection(asyncio.Protocol):
    """HTTP/1.1, one request after another."""

    def __init__(self, server: Server) -> None:
        import httptools

        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._path, self._body = b"", bytearray()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """The path."""
        self._path += url

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """The request is whole."""
        path, body = self._path.decode(), bytes(self._body)
        self._path, self._body = b"", bytearray()
        method = self._parser.get_method().decode()
        status, pieces, streams = self._server.answer(method, path, body)
        if not streams:
            whole = b"".join(pieces)
            head = b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            self._transport.write(head % (status, len(whole)) + whole)
            return
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        for piece in pieces:
            self._transport.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
        self._transport.write(b"0\r\n\r\n")


async def listen(socket: str, port: int) -> None:
    """Answer until killed; prints the address."""
    loop, server = asyncio.get_running_loop(), Server()
    if socket:
        listening = await loop.create_unix_server(lambda: Connection(server), socket)
        where = f"unix:{socket}"
    else:
        listening = await loop.create_server(lambda: Connection(server), "127.0.0.1", port)
        where = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    sys.stdout.write(where + "\n")
    sys.stdout.flush()
    await listening.serve_forever()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", default="")
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    try:
        import uvloop

        run: Any = uvloop.run
    except ImportError:
        run = asyncio.run
    run(listen(args.socket, args.port))


if __name__ == "__main__":
    main()
