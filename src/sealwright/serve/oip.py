"""The Open Inference Protocol v2 over REST: what is asked, in JSON or with binary tensors.

Strict: an unknown member, a datatype or shape that is not the model's, NaN, infinity, bytes too
few or too many are refused, each with one sentence. Sources: the KServe and Triton pages on the
protocol and on its binary data extension (``Inference-Header-Content-Length``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.errors import Refused
from sealwright.serve.messages import Request
from sealwright.serve.refusals import refused

Array: TypeAlias = npt.NDArray[Any]
Parameters = dict[str, bool | int | str]

NUMBERS: Mapping[str, str] = {
    **{"FP64": "<f8", "FP32": "<f4", "INT64": "<i8", "INT32": "<i4", "INT16": "<i2"},
    **{"INT8": "|i1", "UINT64": "<u8", "UINT32": "<u4", "UINT16": "<u2", "UINT8": "|u1"},
}
"""Datatypes of numbers that are taken, and what they are to numpy."""
_DTYPES = {name: np.dtype(said) for name, said in NUMBERS.items()}
TEXT = "BYTES"
HEADER_LENGTH = b"inference-header-content-length"
MOST_JSON_HEADER = 1 << 20
MOST_ID = 128


class InputSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the model wants: numbers (n, ``width``) as ``datatype``, or texts (n,)."""

    name: str
    datatype: str
    width: int
    most_rows: int


class Wanted(msgspec.Struct, frozen=True):
    """One output asked for by name."""

    name: str
    binary: bool


class Inference(msgspec.Struct, frozen=True, gc=False):
    """A decoded request. ``outputs`` empty: all there are, ``binary`` as said for all of them."""

    id: str
    batch: Array
    outputs: tuple[Wanted, ...]
    binary: bool


class _Input(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw = msgspec.Raw(b"")
    parameters: Parameters = {}


class _Output(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    name: str
    parameters: Parameters = {}


class _Body(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    inputs: list[_Input]
    outputs: list[_Output] = []
    id: str = ""
    parameters: Parameters = {}


class _Flat(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    name: str
    shape: list[int]
    datatype: str
    data: list[float]
    parameters: Parameters = {}


class _FlatBody(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """What most bodies are: read in one pass, where :class:`_Body` takes two."""

    inputs: list[_Flat]
    outputs: list[_Output] = []
    id: str = ""
    parameters: Parameters = {}


_body = msgspec.json.Decoder(_Body)
_flat_body = msgspec.json.Decoder(_FlatBody)
_flat = msgspec.json.Decoder(list[float])
_rows = msgspec.json.Decoder(list[list[float]])
_texts = msgspec.json.Decoder(list[str])


def decode(request: Request, spec: InputSpec) -> Inference:
    """Raises: Refused (``guard.body``, ``guard.input``, ``guard.rows``, ``guard.encoding``)."""
    whole = b"content-encoding" not in request.headers and HEADER_LENGTH not in request.headers
    head, tail = (request.body, b"") if whole else _parts(request)
    body = _read(head, spec)
    if isinstance(body, _FlatBody) and not tail and (plain := _plain(body, spec)) is not None:
        return Inference("", plain, (), False)
    if len(body.id) > MOST_ID or not body.id.isascii():
        raise refused("guard.body", f"an id is at most {MOST_ID} plain characters")
    if body.parameters:
        _known(body.parameters, {"binary_data_output"}, "the request")
    one = _only(body, spec)
    size = one.parameters.get("binary_data_size")
    if size is None and tail:
        raise refused("guard.body", f"{len(tail)} bytes follow the JSON that no input speaks of")
    rows = _checked_shape(one, spec)
    batch = (
        _text(one, tail, size, rows)
        if isinstance(one, _Input) and spec.datatype == TEXT
        else _numbers(one, tail, size, rows, spec)
    )
    wanted = _wanted(body) if body.outputs else ()
    binary = bool(body.parameters) and _flag(body.parameters, "binary_data_output")
    return Inference(body.id, batch, wanted, binary)


def _plain(body: _FlatBody, spec: InputSpec) -> Array | None:
    """The batch of what is mostly asked: one input, as the model wants it. None where more is to be
    looked at, which may be what is wrong."""
    if len(body.inputs) != 1 or body.outputs or body.id or body.parameters:
        return None
    one = body.inputs[0]
    numbers, width = one.data, spec.width
    rows = len(numbers) // width
    if (
        one.name == spec.name
        and one.datatype == spec.datatype == "FP64"
        and one.shape == [rows, width]
        and 0 < rows <= spec.most_rows
        and len(numbers) == rows * width
        and not one.parameters
        # a sum is finite only where every number is
        and math.isfinite(sum(numbers))
    ):
        return np.array(numbers, _DTYPES["FP64"]).reshape(rows, width)
    return None


def _read(head: bytes, spec: InputSpec) -> _Body | _FlatBody:
    if spec.datatype != TEXT:
        try:
            return _flat_body.decode(head)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            pass  # nested, binary, or wrong: told below
    try:
        return _body.decode(head)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise refused(
            "guard.body", "the request is not one of this protocol", str(error)
        ) from error


def _wanted(body: _Body | _FlatBody) -> tuple[Wanted, ...]:
    return tuple(
        Wanted(each.name, _flag(each.parameters, "binary_data", body.parameters))
        for each in body.outputs
    )


def _parts(request: Request) -> tuple[bytes, bytes]:
    if request.headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise refused("guard.encoding", "a compressed body is not taken", hint="send it as it is")
    given = request.headers.get(HEADER_LENGTH)
    if given is None:
        return request.body, b""
    if not given.isdigit() or len(given) > 9 or int(given) > len(request.body):
        raise refused("guard.body", "Inference-Header-Content-Length is not the JSON's length")
    return request.body[: int(given)], request.body[int(given) :]


def _only(body: _Body | _FlatBody, spec: InputSpec) -> _Input | _Flat:
    if len(body.inputs) != 1 or body.inputs[0].name != spec.name:
        names = ", ".join(repr(one.name[:40]) for one in body.inputs[:5]) or "none"
        raise refused(
            "guard.input", f"exactly one input, {spec.name!r}, is wanted", f"given: {names}"
        )
    one = body.inputs[0]
    if one.parameters:
        _known(one.parameters, {"binary_data_size"}, f"input {spec.name!r}")
    fits = one.datatype == TEXT if spec.datatype == TEXT else one.datatype in NUMBERS
    if not fits:
        raise refused(
            "guard.input",
            f"input {spec.name!r} is {spec.datatype}",
            f"given: {one.datatype[:20]!r}; other numbers are turned into it",
        )
    return one


def _checked_shape(one: _Input | _Flat, spec: InputSpec) -> int:
    shape, width = one.shape, [] if spec.datatype == TEXT else [spec.width]
    if spec.datatype == TEXT and len(shape) == 2 and shape[1] == 1:
        shape = shape[:1]
    if len(shape) != 1 + len(width) or shape[1:] != width or shape[0] < 1:
        text = ", ".join(map(str, ["n", *width]))
        raise refused(
            "guard.input", f"input {spec.name!r} has the shape [{text}]", f"given: {one.shape[:8]}"
        )
    if shape[0] > spec.most_rows:
        raise refused(
            "guard.rows",
            f"at most {spec.most_rows} rows are answered at once",
            f"given: {shape[0]}",
            "send several requests",
        )
    return shape[0]


def _numbers(one: _Input | _Flat, tail: bytes, size: Any, rows: int, spec: InputSpec) -> Array:
    count = rows * spec.width
    dtype, into = _DTYPES[one.datatype], _DTYPES[spec.datatype]
    finite = False
    if size is not None:
        _exact(one, tail, size, count * dtype.itemsize)
        found: Array = np.frombuffer(tail, dtype).copy()
    else:
        flat = _json_numbers(one, rows, count)
        found = np.array(flat, dtype=_DTYPES["FP64"])
        # a sum is finite only where every number is; where it is not, each is looked at
        finite = found.dtype is into and math.isfinite(sum(flat))
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            with np.errstate(invalid="ignore"):
                if (
                    (found != np.floor(found)).any()
                    or found.min() < limits.min
                    or found.max() > limits.max
                ):
                    raise refused("guard.input", f"the data of {one.name!r} is not {one.datatype}")
    wanted = found if found.dtype is into else found.astype(into)
    wanted = wanted.reshape(rows, spec.width)
    if not finite and not np.isfinite(wanted).all():
        raise refused("guard.input", f"input {one.name!r} holds NaN or infinity")
    return wanted


def _json_numbers(one: _Input | _Flat, rows: int, count: int) -> list[float]:
    if isinstance(one, _Flat):
        if len(one.data) != count:
            raise _count(one, count)
        return one.data
    raw = one.data
    if not raw:
        raise refused("guard.input", f"input {one.name!r} has no data")
    try:
        try:
            flat = _flat.decode(raw)
        except msgspec.ValidationError:
            nested = _rows.decode(raw)
            if len(nested) != rows or {len(row) for row in nested} != {count // rows}:
                raise _count(one, count) from None
            flat = [value for row in nested for value in row]
    except (msgspec.DecodeError, RecursionError) as error:
        raise refused(
            "guard.input", f"the data of {one.name!r} are not numbers", str(error)
        ) from error
    if len(flat) != count:
        raise _count(one, count)
    return flat


def _text(one: _Input, tail: bytes, size: Any, rows: int) -> Array:
    if size is not None:
        _exact(one, tail, size, len(tail))
        found = _lengthed(one, tail)
    else:
        try:
            found = _texts.decode(one.data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise refused(
                "guard.input", f"the data of {one.name!r} are not texts", str(error)
            ) from error
    if len(found) != rows:
        raise _count(one, rows)
    return np.array(found, dtype=str)


def _lengthed(one: _Input, data: bytes) -> list[str]:
    out, at = list[str](), 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        text = data[at + 4 : at + 4 + length]
        if at + 4 > len(data) or len(text) != length:
            raise refused("guard.input", f"the texts of {one.name!r} are cut short")
        try:
            out.append(text.decode())
        except UnicodeDecodeError as error:
            raise refused("guard.input", f"a text of {one.name!r} is not UTF-8") from error
        at += 4 + length
    return out


def _exact(one: _Input | _Flat, tail: bytes, size: Any, wanted: int) -> None:
    if isinstance(one, _Flat) or bytes(one.data):
        raise refused("guard.input", f"input {one.name!r} has data and binary data")
    if isinstance(size, bool) or not isinstance(size, int) or size != wanted or len(tail) != size:
        raise refused(
            "guard.input",
            f"the binary data of {one.name!r} are not as long as its shape",
            f"{wanted} bytes wanted, {len(tail)} there",
        )


def _known(given: Parameters, names: set[str], where: str) -> None:
    for name in given:
        if name not in names:
            raise refused("guard.body", f"{where} has a parameter that is not taken: {name[:40]!r}")


def _flag(given: Parameters, name: str, outer: Parameters | None = None) -> bool:
    _known(given, {name}, "an output" if outer is not None else "the request")
    value = given.get(name, (outer or {}).get("binary_data_output", False))
    if not isinstance(value, bool):
        raise refused("guard.body", f"{name} is true or false")
    return value


def _count(one: _Input | _Flat, count: int) -> Refused:
    return refused("guard.input", f"the data of {one.name!r} are not {count} values")
