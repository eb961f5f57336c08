"""CSV: types that follow from the whole file, never from its first block.

A column is ``int`` if every cell in every file of the dataset is a plain decimal integer that
fits 64 bits, else ``float64`` if every cell is a plain decimal number, else ``bool`` if every
cell is true or false, else ``string``. An empty cell fits every type and is null, but stays
an empty string in a string column. What would lose something stays text: ``007``, ``+1``,
``0x1f``, 16 and more digits without a point, dates. Source: docs/spec/dataset-manifest-v1.md.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pcsv

from sealwright.core.errors import BadInput
from sealwright.intake import textfault

CANDIDATES = (pa.int64(), pa.float64(), pa.bool_(), pa.string())
"""In order of preference; a bit of a mask each."""

ANY = (1 << len(CANDIDATES)) - 1
_STRING = 1 << (len(CANDIDATES) - 1)
_INT = r"^(0|-?[1-9][0-9]{0,18})$"
_FLOAT = r"^-?((0|[1-9][0-9]{0,14})|(0|[1-9][0-9]*)?\.[0-9]+|(0|[1-9][0-9]*)\.)([eE][+-]?[0-9]+)?$"
_ODD_FLOATS = ("nan", "NaN", "inf", "-inf", "Infinity", "-Infinity")
_TRUE = ["true", "True", "TRUE"]
_FALSE = ["false", "False", "FALSE"]
_BOOLS = (*_TRUE, *_FALSE)
_BLOCKS = (1 << 20, 1 << 24, 1 << 28)
_DELIMITERS = ",\t;|"

Masks = dict[str, int]
"""Column name → the candidates that every cell seen so far would fit; in column order."""


def delimiter_of(head: bytes, name: str) -> str:
    """The delimiter of the header line: of ``, TAB ; |`` the most frequent, comma if none."""
    if name.lower().endswith(".tsv"):
        return "\t"
    line = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    counts = [line.count(each.encode()) for each in _DELIMITERS]
    return _DELIMITERS[counts.index(max(counts))]


def scan(open_file: Callable[[], BinaryIO], name: str, delimiter: str) -> tuple[Masks, int]:
    """What types each column's cells allow, and how many rows there are.

    Raises: BadInput (ragged, not UTF-8, duplicate or no columns), naming the line.
    """
    header = _header(open_file, name, delimiter)
    masks: Masks = dict.fromkeys(header, ANY)
    rows = 0
    for batch in _batches(open_file, name, delimiter, header):
        rows += batch.num_rows
        for column, values in zip(masks, batch.columns, strict=True):
            masks[column] = _narrow(masks[column], values)
    return masks, rows


def join(masks: Sequence[Masks]) -> pa.Schema:
    """The schema all those files fit."""
    names = list(masks[0])
    merged = dict.fromkeys(names, ANY)
    for each in masks:
        for name in names:
            merged[name] &= each[name]
    return pa.schema([(name, _chosen(mask)) for name, mask in merged.items()])


def batches(
    open_file: Callable[[], BinaryIO], name: str, delimiter: str, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """The rows under a schema from :func:`join`. Raises: BadInput, naming the line."""
    header = _header(open_file, name, delimiter)
    if schema.names != header:
        raise textfault.other_columns(name, header, schema.names)
    yield from _batches(open_file, name, delimiter, header, schema)


def _batches(
    open_file: Callable[[], BinaryIO],
    name: str,
    delimiter: str,
    header: list[str],
    schema: pa.Schema | None = None,
) -> Iterator[pa.RecordBatch]:
    """The rows under ``schema``, or as text."""
    types = {column: schema.field(column).type if schema else pa.string() for column in header}
    convert = pcsv.ConvertOptions(
        column_types=types,
        null_values=[""],
        true_values=_TRUE,
        false_values=_FALSE,
        strings_can_be_null=False,
    )
    parse = pcsv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    done = 0
    for block in _BLOCKS:
        read = pcsv.ReadOptions(block_size=block, use_threads=False)
        try:
            reader = pcsv.open_csv(open_file(), read, parse, convert)
            _refuse_other_names(reader.schema, types, name)
            for batch in _after(done, reader):
                done += batch.num_rows
                yield batch
            return
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            if "straddling" not in str(error) or block == _BLOCKS[-1]:
                raise _explain(open_file, name, delimiter, len(header), error) from error


def _after(skip: int, reader: pcsv.CSVStreamingReader) -> Iterator[pa.RecordBatch]:
    """The batches without their first ``skip`` rows, which a smaller block size gave already."""
    for batch in reader:
        if skip >= batch.num_rows:
            skip -= batch.num_rows
        else:
            yield batch.slice(skip)
            skip = 0


def _header(open_file: Callable[[], BinaryIO], name: str, delimiter: str) -> list[str]:
    """The column names. Raises: BadInput (empty, unnamed or duplicate columns)."""
    try:
        text = io.TextIOWrapper(open_file(), "utf-8-sig", newline="")
        header = next(csv.reader(text, delimiter=delimiter), None)
    except UnicodeDecodeError as error:
        raise textfault.not_utf8(open_file, name) from error
    except csv.Error as error:
        raise BadInput(f"{name}: line 1 is not CSV", why=str(error), hint="open it") from error
    if not header:
        raise BadInput(
            f"{name} has no header line",
            why="the first line names the columns",
            hint="put the column names into line 1",
        )
    textfault.check_columns(header, name)
    return header


def _refuse_other_names(found: pa.Schema, wanted: dict[str, pa.DataType], name: str) -> None:
    if found != pa.schema(list(wanted.items())):
        raise BadInput(
            f"{name}: the header can be read in two ways",
            why=f"as {list(wanted)} and as {found.names}",
            hint="give the columns plain names in line 1",
        )


def _narrow(mask: int, values: pa.Array) -> int:
    """Drop the candidates that some cell does not fit; an empty cell fits all."""
    if mask == _STRING:
        return mask
    filled = values.filter(pc.not_equal(values, ""))
    tests = (_all_int, _all_float, _all_bool)
    for bit, test in enumerate(tests):
        if mask & (1 << bit) and not test(filled):
            mask &= ~(1 << bit)
    return mask


def _all_int(values: pa.Array) -> bool:
    if not _all(pc.match_substring_regex(values, _INT)):
        return False
    try:
        values.cast(pa.int64())
    except pa.ArrowInvalid:
        return False
    return True


def _all_float(values: pa.Array) -> bool:
    fits = pc.match_substring_regex(values, _FLOAT)
    return _all(pc.or_(fits, pc.is_in(values, pa.array(_ODD_FLOATS))))


def _all_bool(values: pa.Array) -> bool:
    return _all(pc.is_in(values, pa.array(_BOOLS)))


def _all(flags: pa.Array) -> bool:
    return pc.all(flags, min_count=0).as_py() is not False


def _chosen(mask: int) -> pa.DataType:
    """An all-empty column fits everything and says nothing: it is text."""
    if mask == ANY:
        return pa.string()
    return next(kind for bit, kind in enumerate(CANDIDATES) if mask & (1 << bit))


def _explain(
    open_file: Callable[[], BinaryIO], name: str, delimiter: str, columns: int, error: Exception
) -> BadInput:
    """The error again, with the line it happened on."""
    if isinstance(error, UnicodeDecodeError) or "UTF8" in str(error):
        return textfault.not_utf8(open_file, name)
    text = io.TextIOWrapper(open_file(), "utf-8-sig", errors="replace", newline="")
    reader = csv.reader(text, delimiter=delimiter)
    start = 1
    try:
        for row in reader:
            if row and len(row) != columns:
                return BadInput(
                    f"{name}: line {start} has {len(row)} cells, the header has {columns}",
                    why="every row of a CSV file has as many cells as its header",
                    hint=f"mend it: sed -n {start}p {name}",
                )
            start = reader.line_num + 1
    except csv.Error as inner:
        return BadInput(f"{name}: line {start} is not CSV", why=str(inner), hint="mend that line")
    return BadInput(f"{name} is not CSV", why=str(error)[:300], hint="open it and mend it")
