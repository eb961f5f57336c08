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
from typing import TYPE_CHECKING, BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pcsv

from sealwright.core.errors import BadInput
from sealwright.intake import textfault

if TYPE_CHECKING:
    from _csv import Reader

CANDIDATES = (pa.int64(), pa.float64(), pa.bool_(), pa.string())
"""In order of preference; a bit of a mask each."""

ANY = (1 << len(CANDIDATES)) - 1
_STRING = 1 << (len(CANDIDATES) - 1)
INT = r"^(0|-?[1-9][0-9]{0,18})$"
FLOAT = r"^-?((0|[1-9][0-9]{0,14})|(0|[1-9][0-9]*)?\.[0-9]+|(0|[1-9][0-9]*)\.)([eE][+-]?[0-9]+)?$"
_ODD_FLOATS = ("nan", "NaN", "inf", "-inf", "Infinity", "-Infinity")
_TRUE = ["true", "True", "TRUE"]
_FALSE = ["false", "False", "FALSE"]
_BOOLS = (*_TRUE, *_FALSE)
_BLOCKS = (1 << 20, 1 << 24, 1 << 28)
_END = "end"
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

    Raises: BadInput (ragged, not UTF-8, a quote never closed, duplicate or no columns), naming
    the line.
    """
    header = _header(open_file, name, delimiter)
    masks: Masks = dict.fromkeys(header, ANY)
    rows = 0
    last: pa.RecordBatch | None = None

    def count(batch: pa.RecordBatch) -> None:
        nonlocal rows
        rows += batch.num_rows
        for column, values in zip(masks, batch.columns, strict=True):
            masks[column] = _narrow(masks[column], values)

    end = delimiter.join([_END] * len(header)).encode()

    def ended() -> BinaryIO:
        return cast("BinaryIO", _Ended(open_file(), end))

    for batch in _batches(ended, name, delimiter, header):
        if batch.num_rows:
            if last is not None:
                count(last)
            last = batch
    if last is None or any(column[-1].as_py() != _END for column in last.columns):
        raise _never_closed(open_file, name, delimiter)
    count(last.slice(0, last.num_rows - 1))
    return masks, rows


class _Ended(io.RawIOBase):
    """A file with one more row behind it: an open quote at the end would swallow that row.

    The parser takes a quote that is never closed for one that ends with the file.
    """

    def __init__(self, file: BinaryIO, row: bytes) -> None:
        super().__init__()
        self._file = file
        self._left = b"\n" + row + b"\n"

    def readable(self) -> bool:
        """Yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """The file's bytes, then the row's."""
        data = self._file.read(size)
        if not data:
            cut = len(self._left) if size < 0 else size
            data, self._left = self._left[:cut], self._left[cut:]
        return data

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


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
    if not _all(pc.match_substring_regex(values, INT)):
        return False
    try:
        values.cast(pa.int64())
    except pa.ArrowInvalid:
        return False
    return True


def _all_float(values: pa.Array) -> bool:
    fits = pc.match_substring_regex(values, FLOAT)
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
    reader = _plain_reader(open_file, delimiter)
    start, seen = 1, 0
    try:
        for row in reader:
            if row and len(row) != columns:
                if reader.line_num > start and next(reader, None) is None:
                    return _never_closed_from(start, name)
                return BadInput(
                    f"{name}: line {start} has {len(row)} cells, the header has {columns}",
                    why="every row of a CSV file has as many cells as its header",
                    hint=f"mend it: sed -n {start}p {name}",
                )
            seen += start > 1
            start = reader.line_num + 1
    except csv.Error as inner:
        why = f"{inner}; a quote that is never closed reads like this"
        return BadInput(f"{name}: line {start} is not CSV", why=why, hint="mend that line")
    if not seen:
        return _never_closed_from(1, name)
    return BadInput(f"{name} is not CSV", why=str(error)[:300], hint="open it and mend it")


def _never_closed(open_file: Callable[[], BinaryIO], name: str, delimiter: str) -> BadInput:
    """Which line the last record begins on."""
    reader = _plain_reader(open_file, delimiter)
    begins, start = 1, 1
    try:
        for _ in reader:
            begins, start = start, reader.line_num + 1
    except csv.Error:
        begins = start
    return _never_closed_from(begins, name)


def _never_closed_from(line: int, name: str) -> BadInput:
    return BadInput(
        f"{name}: a quote is opened in the record on line {line} and never closed",
        why="everything behind it would be one cell",
        hint=f"mend it: sed -n {line}p {name}",
    )


def _plain_reader(open_file: Callable[[], BinaryIO], delimiter: str) -> Reader:
    text = io.TextIOWrapper(open_file(), "utf-8-sig", errors="replace", newline="")
    return csv.reader(text, delimiter=delimiter)
