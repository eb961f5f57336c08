"""JSON Lines: one object a line, types that follow from the whole file.

Text stays text (pyarrow alone would turn some of it into timestamps). A column is ``float64``
if any line has a fraction, ``int`` if none has; a field that is missing is null; a column that
is null everywhere is text. Columns and struct fields are sorted by name, because a JSON object
has no order. Source: docs/spec/dataset-manifest-v1.md.
"""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
from pyarrow import json as pjson
from pyarrow import types

from sealwright.core.errors import BadInput
from sealwright.intake import textfault

_BLOCK_BYTES = 4 << 20
_MAX_LINE_BYTES = 256 << 20


class Mixed(Exception):
    """Two types that no column can hold together."""


def scan(open_file: Callable[[], BinaryIO], name: str) -> tuple[pa.DataType, int]:
    """The struct type every line fits, and how many records there are.

    Raises: BadInput (not JSON, not UTF-8, mixed types), naming the line.
    """
    whole: pa.DataType = pa.struct([])
    rows = 0
    for first, block in _blocks(open_file(), name):
        table = _read(open_file, name, first, block, None)
        try:
            whole = join(whole, pa.struct(list(table.schema)))
        except Mixed as error:
            raise _mixed(open_file, name, str(error)) from error
        rows += table.num_rows
    return whole, rows


def join(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The narrowest type that holds both; order and grouping do not matter. Raises: Mixed."""
    if types.is_struct(one) and types.is_struct(other):
        return _join_structs(one, other)
    if types.is_list(one) and types.is_list(other):
        return pa.list_(join(one.value_type, other.value_type))
    one, other = _plain(one), _plain(other)
    if one == other or types.is_null(other):
        return one
    if types.is_null(one):
        return other
    if {one, other} == {pa.int64(), pa.float64()}:
        return pa.float64()
    raise Mixed(f"{_word(one)} and {_word(other)}")


def settle(kind: pa.DataType) -> pa.DataType:
    """The final type: what was null everywhere is text, and struct fields are sorted."""
    if types.is_struct(kind):
        children = [kind.field(index) for index in range(kind.num_fields)]
        children.sort(key=lambda child: child.name.encode())
        return pa.struct([(child.name, settle(child.type)) for child in children])
    if types.is_list(kind):
        return pa.list_(settle(kind.value_type))
    kind = _plain(kind)
    return pa.string() if types.is_null(kind) else kind


def schema_of_files(kinds: Sequence[tuple[str, pa.DataType]]) -> pa.Schema:
    """The schema of all files, given each one's name and type. Raises: BadInput."""
    whole: pa.DataType = pa.struct([])
    for name, kind in kinds:
        try:
            whole = join(whole, kind)
        except Mixed as error:
            raise BadInput(
                f"{name} does not fit the files before it",
                why=f"one column would hold {error}",
                hint="give the column one type in every file",
            ) from error
    whole = settle(whole)
    return pa.schema([whole.field(index) for index in range(whole.num_fields)])


def batches(
    open_file: Callable[[], BinaryIO], name: str, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """The rows under a schema from :func:`schema_of_files`. Raises: BadInput."""
    for first, block in _blocks(open_file(), name):
        table = _read(open_file, name, first, block, schema)
        for batch in table.select(schema.names).combine_chunks().to_batches():
            yield batch.cast(schema) if batch.schema != schema else batch


def _blocks(stream: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """Whole lines, about 4 MiB at a time, each with its first line's number (from 1)."""
    line, rest = 1, b""
    while chunk := stream.read(_BLOCK_BYTES):
        rest += chunk
        cut = rest.rfind(b"\n") + 1
        if not cut:
            if len(rest) > _MAX_LINE_BYTES:
                raise BadInput(
                    f"{name}: line {line} is longer than {_MAX_LINE_BYTES >> 20} MiB",
                    why="JSON Lines holds one record a line",
                    hint="write one object a line: jq -c '.[]'",
                )
            continue
        if rest[:cut].strip():
            yield line, rest[:cut]
        line += rest.count(b"\n", 0, cut)
        rest = rest[cut:]
    if rest.strip():
        yield line, rest


def _read(
    open_file: Callable[[], BinaryIO],
    name: str,
    first: int,
    block: bytes,
    schema: pa.Schema | None,
) -> pa.Table:
    options = pjson.ParseOptions(
        explicit_schema=schema,
        newlines_in_values=False,
        unexpected_field_behavior="error" if schema is not None else "infer",
    )
    read = pjson.ReadOptions(use_threads=False, block_size=len(block) + 1)
    lines = [line for line in block.split(b"\n") if line.strip()]
    try:
        codecs.utf_8_decode(block, "strict", True)
        table = pjson.read_json(io.BytesIO(block), read_options=read, parse_options=options)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise _explain(open_file, name, first, block, error) from error
    if table.num_rows != len(lines):
        raise _explain(open_file, name, first, block, None)
    return table


def _explain(
    open_file: Callable[[], BinaryIO], name: str, first: int, block: bytes, error: Exception | None
) -> BadInput:
    """The error again, with the line it happened on."""
    for number, line in enumerate(block.split(b"\n"), first):
        if not line.strip():
            continue
        try:
            value = json.loads(line.decode("utf-8-sig"), object_pairs_hook=_pairs)
        except UnicodeDecodeError:
            return textfault.not_utf8(open_file, name)
        except (ValueError, RecursionError) as fault:
            return BadInput(
                f"{name}: line {number} is not one JSON object",
                why=str(fault),
                hint=f"mend it: sed -n {number}p {name}",
            )
        if not isinstance(value, dict):
            return BadInput(
                f"{name}: line {number} is not a JSON object",
                why=f"it is {_word_of(value)}; a record has named fields",
                hint="write one object a line: jq -c '.[]'",
            )
    return _mixed(open_file, name, str(error)[:200] if error else "the lines do not fit together")


def _mixed(open_file: Callable[[], BinaryIO], name: str, why: str) -> BadInput:
    """Names the first line whose type does not fit the lines before it."""
    seen: dict[str, str] = {}
    for number, line in enumerate(open_file(), 1):
        if not line.strip():
            continue
        for path, word in _words(json.loads(line.decode("utf-8-sig")), ""):
            if seen.setdefault(path, word) != word:
                return BadInput(
                    f"{name}: line {number}: {path} is {word}, it was {seen[path]} before",
                    why="a column has one type",
                    hint=f"mend it: sed -n {number}p {name}",
                )
    return BadInput(f"{name} is not JSON Lines", why=why, hint="write one object a line")


def _words(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if path:
            yield path, "an object"
        for key, child in value.items():
            yield from _words(child, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        yield path, "a list"
        for child in value:
            yield from _words(child, f"{path}[]")
    elif value is not None:
        yield path, _word_of(value)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {twice!r} stands there twice")
    return out


def _join_structs(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    fields = {one.field(index).name: one.field(index).type for index in range(one.num_fields)}
    for index in range(other.num_fields):
        child = other.field(index)
        try:
            known = fields.get(child.name)
            fields[child.name] = join(known, child.type) if known is not None else child.type
        except Mixed as error:
            raise Mixed(f"{error} (field {child.name!r})") from None
    return pa.struct(list(fields.items()))


def _plain(kind: pa.DataType) -> pa.DataType:
    return pa.string() if types.is_timestamp(kind) else kind


def _word(kind: pa.DataType) -> str:
    return {"int64": "numbers", "double": "numbers", "string": "text", "bool": "booleans"}.get(
        str(kind), str(kind)
    )


def _word_of(value: Any) -> str:
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return "a list"
    return "a number" if value is not None else "null"
