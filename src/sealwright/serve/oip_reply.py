"""The Open Inference Protocol v2 over REST: what is answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
_NONE: Mapping[str, bool] = {}


class _Output(msgspec.Struct, gc=False):
    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | msgspec.UnsetType = msgspec.UNSET
    parameters: dict[str, int] | msgspec.UnsetType = msgspec.UNSET


class _Answer(msgspec.Struct, gc=False, omit_defaults=True):
    model_name: str
    model_version: str
    outputs: list[_Output]
    id: str = ""


def answer(name: str, version: str, asked: Inference, tensors: Sequence[Tensor]) -> Reply:
    """The outputs, each in JSON or as bytes behind it, as it was asked for."""
    binary = {one.name: one.binary for one in asked.outputs} if asked.outputs else _NONE
    outputs: list[_Output] = []
    tail: list[bytes] = []
    for tensor in tensors:
        values = tensor.values
        shape = [len(values)] if isinstance(values, list) else list(values.shape)
        if binary.get(tensor.name, asked.binary):
            part = _binary(tensor)
            size = {"binary_data_size": len(part)}
            outputs.append(_Output(tensor.name, tensor.datatype, shape, parameters=size))
            tail.append(part)
        else:
            flat = values if isinstance(values, list) else values.ravel().tolist()
            outputs.append(_Output(tensor.name, tensor.datatype, shape, flat))
    head = _encode(_Answer(name, version, outputs, asked.id))
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
