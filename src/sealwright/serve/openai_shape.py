"""OpenAI's protocol: what the guard answers, made anew from what was read and filtered."""

from __future__ import annotations

import base64
import secrets
import struct
from collections.abc import Sequence
from typing import Any

import msgspec

from sealwright.serve.openai_ask import Asked

_PREFIX = {"chat": "chatcmpl", "completion": "cmpl"}
_OBJECT = {
    ("chat", False): "chat.completion",
    ("chat", True): "chat.completion.chunk",
    ("completion", False): "text_completion",
    ("completion", True): "text_completion",
}
encode = msgspec.json.Encoder().encode


class Face(msgspec.Struct, frozen=True):
    """What every part of one answer begins with. ``created``: seconds since 1970."""

    asked: Asked
    model: str
    created: int
    id: str

    def of(self, choices: Sequence[dict[str, Any]], tokens: dict[str, int] | None = None) -> bytes:
        """A whole answer, or one event of a stream."""
        asked = self.asked
        body: dict[str, Any] = {
            "id": self.id,
            "object": _OBJECT[asked.kind, asked.stream],
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }
        if tokens is not None:
            body["usage"] = tokens
        return encode(body)


def face(asked: Asked, model: str, at_ms: int) -> Face:
    """A new answer's face: its id is the guard's own, not the server's."""
    new = f"{_PREFIX[asked.kind]}-{secrets.token_hex(12)}"
    return Face(asked, model, at_ms // 1000, new)


def call_id() -> str:
    """A tool call's id."""
    return f"call_{secrets.token_hex(12)}"


def usage(prompt: int, completion: int) -> dict[str, int]:
    """Tokens as OpenAI tells them."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def embeddings(model: str, vectors: Sequence[Sequence[float]], packed: bool, prompt: int) -> bytes:
    """A list of embeddings, as numbers or, ``packed``, as base64 of little-endian float32."""
    data = [
        {"object": "embedding", "index": at, "embedding": _packed(each) if packed else list(each)}
        for at, each in enumerate(vectors)
    ]
    told = {"prompt_tokens": prompt, "total_tokens": prompt}
    return encode({"object": "list", "data": data, "model": model, "usage": told})


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
}


def error(status: int, message: str, rule: str, param: str = "", code: str = "") -> bytes:
    """OpenAI's own form of an error."""
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    told = {"message": message, "type": kind, "param": param or None, "code": code or rule}
    return encode({"error": told})
