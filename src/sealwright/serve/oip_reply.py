"""The Open Inference Protocol v2 over REST: what is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from sealwright import __version__
from sealwright.core.errors import SealError
from sealwright.serve.interface import Tensor
from sealwright.serve.messages import JSON, Reply
from sealwright.serve.oip import HEADER_LENGTH, NUMBERS, Inference
from sealwright.serve.refusals import status_of, words

SERVER = "sealwright"
EXTENSIONS = ("binary_tensor_data",)
_encode = msgspec.json.Encoder().encode


def answer(name: str, version: str, asked: Inference, tensors: Sequence[Tensor]) -> Reply:
    """The outputs, each in JSON or as bytes behind it, as it was asked for."""
    binary = {one.name: one.binary for one in asked.outputs}
    outputs, tail = list[dict[str, Any]](), list[bytes]()
    for tensor in tensors:
        shown: dict[str, Any] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": list(tensor.data.shape),
        }
        if binary.get(tensor.name, asked.binary):
            data = _binary(tensor)
            shown["parameters"] = {"binary_data_size": len(data)}
            tail.append(data)
        else:
            shown["data"] = tensor.data.ravel().tolist()
        outputs.append(shown)
    body: dict[str, Any] = {"model_name": name, "model_version": version, "outputs": outputs}
    if asked.id:
        body["id"] = asked.id
    head = _encode(body)
    if not tail:
        return Reply(200, head)
    return Reply(
        200,
        b"".join([head, *tail]),
        (
            (b"content-type", b"application/octet-stream"),
            (HEADER_LENGTH, b"%d" % len(head)),
        ),
    )


def _binary(tensor: Tensor) -> bytes:
    if tensor.datatype == "BYTES":
        texts = [str(one).encode() for one in tensor.data.ravel().tolist()]
        return b"".join(len(one).to_bytes(4, "little") + one for one in texts)
    data: bytes = np.ascontiguousarray(tensor.data, dtype=NUMBERS[tensor.datatype]).tobytes()
    return data


def said(value: dict[str, Any]) -> Reply:
    """A plain JSON answer."""
    return Reply(200, _encode(value))


def server() -> Reply:
    """Server metadata."""
    return said({"name": SERVER, "version": __version__, "extensions": list(EXTENSIONS)})


def refusal(error: SealError, rule: str, *, close: bool = False) -> Reply:
    """The protocol's own error form: one member, ``error``."""
    headers = [(b"content-type", JSON), (b"seal-rule", rule.encode("ascii", "replace"))]
    status = status_of(rule)
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="sealwright"'))
    if status in (429, 503):
        headers.append((b"retry-after", b"1"))
    return Reply(status, _encode({"error": words(error, rule)}), tuple(headers), close)
