"""The guard before another server: what it is asked, and how its answers are taken apart.

Nothing of an answer is passed through. It is read strictly, becomes numbers or texts, goes through
the output policy like our own worker's, and is written anew; what cannot be read is no answer. A
caller's credentials end at the guard: the server sees the guard's own, or none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from sealwright.core.errors import SealError, Unavailable
from sealwright.serve.messages import JSON
from sealwright.serve.oip import NUMBERS, TEXT, InputSpec
from sealwright.serve.refusals import OutOfService, out_of_service, refused
from sealwright.serve.upstream import Got, Stream, Upstream

Array: TypeAlias = npt.NDArray[Any]
_HEADERS = {b"content-type": JSON}
_ANSWERS = b"application/json"


async def asked(upstream: Upstream, method: str, path: str, body: bytes = b"") -> bytes:
    """The body of an answer of JSON.

    Raises: Refused (``guard.answer``: it does not take the question), OutOfService.
    """
    try:
        got = await upstream.ask(method, path, body, _HEADERS if body else {})
    except Unavailable as error:
        raise out_of_service("guard.upstream", error) from error
    _answered(got, _ANSWERS)
    return got.body


async def opened(upstream: Upstream, path: str, body: bytes, media: bytes) -> Stream:
    """An answer that streams as ``media``. Raises: as :func:`asked`."""
    try:
        stream = await upstream.open("POST", path, body, _HEADERS)
    except Unavailable as error:
        raise out_of_service("guard.upstream", error) from error
    try:
        _answered(stream, media)
    except SealError:
        stream.close()
        raise
    return stream


def _answered(got: Got | Stream, media: bytes) -> None:
    """Status and kind; words of the server's own are not repeated to anybody."""
    if got.status == 200 and got.headers.get(b"content-type") == media:
        return
    if got.status in (400, 404, 413, 415, 422):
        raise refused(
            "guard.answer", "the server behind does not take this", f"it answered {got.status}"
        )
    if got.status in (429, 503):
        raise OutOfService("guard.busy", "the server behind is busy")
    if got.status != 200:
        raise OutOfService(
            "guard.upstream", "the server behind did not answer", why=f"it said {got.status}"
        )
    given = got.headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if given != media:
        raise OutOfService(
            "guard.upstream",
            "the server behind answered with something else",
            why=f"{media.decode()} was wanted",
        )


class _Tensor(msgspec.Struct, frozen=True):
    name: str
    datatype: str
    shape: Annotated[list[Annotated[int, Meta(ge=0, le=1 << 31)]], Meta(min_length=1, max_length=3)]
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Inferred(msgspec.Struct, frozen=True):
    outputs: list[_Tensor]


class _Flat(msgspec.Struct, frozen=True):
    name: str
    datatype: str
    shape: Annotated[list[Annotated[int, Meta(ge=0, le=1 << 31)]], Meta(min_length=1, max_length=3)]
    data: list[float]


class _FlatInferred(msgspec.Struct, frozen=True):
    """What most answers are: read in one pass, where :class:`_Inferred` takes two."""

    outputs: list[_Flat]


class _Meta(msgspec.Struct, frozen=True):
    name: str
    datatype: str
    shape: list[int]


class Metadata(msgspec.Struct, frozen=True):
    """What a server says of a model (Open Inference Protocol v2)."""

    inputs: list[_Meta] = []
    outputs: list[_Meta] = []
    platform: str = ""


_inferred = msgspec.json.Decoder(_Inferred)
_flat_inferred = msgspec.json.Decoder(_FlatInferred)
_metadata = msgspec.json.Decoder(Metadata)
_flat = msgspec.json.Decoder(list[float])
_rows = msgspec.json.Decoder(list[list[float]])
_texts = msgspec.json.Decoder(list[str])
_encode = msgspec.json.Encoder().encode


class Behind(msgspec.Struct, frozen=True):
    """A model on a server of the Open Inference Protocol: which output is its scores.

    Where the output is one of ``labels`` a row, it becomes a row of noughts and a one.
    """

    model: str
    output: str
    labels: tuple[str, ...] = ()


async def metadata(upstream: Upstream, model: str) -> Metadata:
    """Raises: OutOfService (it says nothing that can be read), Refused."""
    body = await asked(upstream, "GET", f"/v2/models/{model}")
    try:
        return _metadata.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _nonsense(f"its metadata: {error}") from error


class OipBehind:
    """``oip_mount.AskModel`` over HTTP."""

    def __init__(self, upstream: Upstream, behind: Behind, spec: InputSpec) -> None:
        self._upstream = upstream
        self._behind = behind
        self._spec = spec
        self._path = f"/v2/models/{behind.model}/infer"
        self._around: dict[tuple[int, ...], bytes] = {}  # by shape: not more than are answered

    async def ask(self, batch: Array) -> tuple[Array, Array]:
        """``(scores (n, K), features (n, d))``; the features are the inputs themselves.

        Raises: Refused (``guard.answer``), OutOfService.
        """
        try:
            got = await self._upstream.ask("POST", self._path, self._question(batch), _HEADERS)
        except Unavailable as error:
            raise out_of_service("guard.upstream", error) from error
        _answered(got, _ANSWERS)
        try:
            scores = self._scores(_read(got.body), len(batch))
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            raise _nonsense(str(error)) from error
        return scores, _features(batch)

    def _question(self, batch: Array) -> bytes:
        around = self._around.get(batch.shape)
        if around is None:
            tensor: dict[str, Any] = {
                "name": self._spec.name,
                "shape": list(batch.shape),
                "datatype": self._spec.datatype,
            }
            if self._spec.datatype == TEXT:
                tensor["parameters"] = {"content_type": "str"}
            begun = _encode({"outputs": [{"name": self._behind.output}], "inputs": [tensor]})
            around = self._around[batch.shape] = begun.removesuffix(b"}]}") + b',"data":'
        return b"%s%s}]}" % (around, _encode(batch.ravel().tolist()))

    def _scores(self, answer: _Inferred | _FlatInferred, rows: int) -> Array:
        outputs: Sequence[_Tensor | _Flat] = answer.outputs
        if len(outputs) != 1 or outputs[0].name != self._behind.output:
            outputs = [one for one in outputs if one.name == self._behind.output]
        if len(outputs) != 1:
            raise ValueError(f"{len(outputs)} outputs of the name {self._behind.output!r}")
        tensor = outputs[0]
        if tensor.shape[0] != rows:
            raise ValueError(f"{tensor.shape[0]} rows for {rows}")
        named = tensor.datatype == TEXT or (
            tensor.datatype not in ("FP32", "FP64") and math.prod(tensor.shape) == rows
        )
        if self._behind.labels and named:
            return _one_hot(_labels(tensor), self._behind.labels, rows)
        if tensor.datatype not in NUMBERS:
            raise ValueError(f"scores of the datatype {tensor.datatype[:20]!r}")
        width = math.prod(tensor.shape[1:])
        numbers = tensor.data if isinstance(tensor, _Flat) else _numbers(tensor.data)
        if len(numbers) != rows * width or not width:
            raise ValueError("its data are not as many as its shape says")
        values = np.array(numbers, dtype=np.float64)
        # a sum is finite only where every number is
        if not math.isfinite(sum(numbers)) and not np.isfinite(values).all():
            raise ValueError("its scores are no numbers")
        return values.reshape(rows, width)


def _read(body: bytes) -> _Inferred | _FlatInferred:
    try:
        return _flat_inferred.decode(body)
    except msgspec.ValidationError:
        return _inferred.decode(body)  # nested, texts among them, or wrong


def _numbers(data: msgspec.Raw) -> list[float]:
    try:
        return _flat.decode(data)
    except msgspec.ValidationError:
        return [value for row in _rows.decode(data) for value in row]


def _labels(tensor: _Tensor | _Flat) -> list[str]:
    if isinstance(tensor, _Flat):
        if tensor.datatype == TEXT:
            raise ValueError("its labels are no texts")
        return [str(int(value)) for value in tensor.data]
    if tensor.datatype == TEXT:
        return _texts.decode(tensor.data)
    return [str(int(value)) for value in _numbers(tensor.data)]


def _one_hot(given: list[str], labels: tuple[str, ...], rows: int) -> Array:
    place = {label: at for at, label in enumerate(labels)}
    if len(given) != rows or any(one not in place for one in given):
        raise ValueError("it answered with a label that is not one of the model's")
    scores = np.zeros((rows, len(labels)))
    scores[np.arange(rows), [place[one] for one in given]] = 1
    return scores


def _features(batch: Array) -> Array:
    if batch.ndim == 2 and batch.dtype == np.float64:
        return batch
    if batch.dtype.kind in "USO":
        return np.zeros((len(batch), 1))
    return batch.reshape(len(batch), -1).astype(np.float64, copy=False)


def _nonsense(why: str) -> OutOfService:
    return OutOfService("guard.upstream", "the server behind answered nonsense", why=why[:200])
