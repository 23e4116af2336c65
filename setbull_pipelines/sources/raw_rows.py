"""Rows of an input file as they were found, before anybody judges them.

Belongs here: the bytes of CSV, Parquet and JSON files to named columns with line numbers. Does not belong
here: what the columns mean, which rows are good (``candle_files.py``, ``universe_files.py``).
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.compute as compute
import pyarrow.csv
import pyarrow.parquet

from setbull_pipelines.tables.contract import INDIA

SUFFIXES = (".csv", ".csv.gz", ".parquet", ".json", ".json.gz", ".zip")
RESPONSE_COLUMNS = ("timestamp", "open", "high", "low", "close", "volume", "open_interest")
"""What a candle of the broker's responses holds, in its order."""
PROVISIONAL_MARK = b"setbull.provisional"
"""In the metadata of a Parquet file: JSON, per trading day the instrument keys whose candles the broker gave for a
session under way."""


class UnreadableFile(ValueError):
    """A file that cannot be used as a whole; the message says what was found and what was expected."""


@dataclass(frozen=True)
class MalformedLine:
    """A CSV line that has another number of fields than the header."""

    line: int
    text: str
    fields_found: int
    fields_expected: int


@dataclass(frozen=True)
class RawRows:
    """Columns as found, names in lower case, with the line (CSV) or row number (Parquet, JSON) of each row.

    ``provisional`` is what the file's :data:`PROVISIONAL_MARK` says.
    """

    columns: pyarrow.Table
    lines: np.ndarray
    malformed: Sequence[MalformedLine] = field(default=())
    provisional: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Column names in file order."""
        return self.columns.column_names

    @property
    def received(self) -> int:
        """Rows in the file, the malformed ones included."""
        return len(self.lines) + len(self.malformed)


def file_suffix(path: Path) -> str | None:
    """The suffix that decides how a file is read, or None for a file that is not input."""
    name = path.name.lower()
    matching = [suffix for suffix in SUFFIXES if name.endswith(suffix)]
    return matching[0] if matching else None


def read_rows(content: bytes, suffix: str) -> RawRows:
    """Read the bytes of a file with one of :data:`SUFFIXES`; :class:`UnreadableFile` when they are not that."""
    if not content:
        raise UnreadableFile("found an empty file, expected a header and rows")
    if suffix.endswith(".gz"):
        content = _decompressed(content)
    elif suffix == ".zip":
        content = _unpacked(content)
    if suffix == ".parquet":
        rows = _parquet_rows(content)
    elif suffix.startswith(".json"):
        rows = _json_rows(content)
    else:
        rows = _csv_rows(content)
    # The broker answers with an empty list for a span in which nothing traded.
    if rows.received == 0 and tuple(rows.names) != RESPONSE_COLUMNS:
        raise UnreadableFile(
            f"found the columns {', '.join(rows.names)} without any row, expected rows"
        )
    return rows


def texts(column: pyarrow.ChunkedArray) -> list[str | None]:
    """The values of a column as text, moments in Asia/Kolkata; None where there is no value."""
    if pyarrow.types.is_timestamp(column.type) and column.type.tz is not None:
        column = compute.cast(column, pyarrow.timestamp("us", tz=INDIA), safe=False)
    try:
        values = column.to_pylist()
    except (OverflowError, ValueError):  # dates beyond those Python knows
        values = compute.cast(column, pyarrow.string()).to_pylist()
    return [
        None if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value)
        for value in values
    ]


def records(names: Sequence[str], columns: Iterable[Sequence[str | None]]) -> list[str]:
    """One JSON object per row, from columns of texts."""
    return [
        json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False)
        for row in zip(*columns, strict=True)
    ]


def _decompressed(content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableFile(
            f"found data that cannot be decompressed ({error}), expected a whole gzip file"
        ) from error


def _unpacked(content: bytes) -> bytes:
    """The one CSV file of an archive, as the exchange publishes its day files."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith(".csv")]
            if len(names) == 1:
                return archive.read(names[0])
    # An encrypted member is a RuntimeError, an unknown compression NotImplementedError.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise UnreadableFile(
            f"found data that cannot be unpacked ({error}), expected a whole zip archive"
        ) from error
    raise UnreadableFile(f"found a zip archive with {len(names)} CSV files, expected one")


def _csv_rows(content: bytes) -> RawRows:
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        header = next(csv.reader([content.split(b"\n", 1)[0].decode().rstrip("\r")]), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableFile(
            f"found a first line that is not text ({error}), expected CSV in UTF-8"
        ) from error
    names = _column_names(header)
    malformed: list[MalformedLine] = []

    def keep_malformed(row: pyarrow.csv.InvalidRow) -> str:
        malformed.append(
            MalformedLine(row.number, row.text, row.actual_columns, row.expected_columns)
        )
        return "skip"

    try:
        table = pyarrow.csv.read_csv(
            # Arrow takes a header that no line end follows for no header at all.
            io.BytesIO(content if content.endswith(b"\n") else content + b"\n"),
            # Line numbers of malformed lines are known to a single thread only.
            read_options=pyarrow.csv.ReadOptions(use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(
                ignore_empty_lines=False, invalid_row_handler=keep_malformed
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(header, pyarrow.string()),
                strings_can_be_null=True,
                null_values=[""],
            ),
        ).rename_columns(names)
    except pyarrow.ArrowInvalid as error:
        raise UnreadableFile(f"found {_first_line(error)}, expected CSV in UTF-8") from error
    every_line = np.arange(2, 2 + len(table) + len(malformed))
    lines = np.setdiff1d(every_line, [row.line for row in malformed], assume_unique=True)
    # A line without any value, such as the empty line at the end of a file, is not a row.
    has_value = np.zeros(len(table), bool)
    for column in table.columns:
        has_value |= compute.is_valid(column).to_numpy(zero_copy_only=False)
    if not has_value.all():
        table, lines = table.filter(pyarrow.array(has_value)), lines[has_value]
    return RawRows(table, lines, tuple(malformed))


def _parquet_rows(content: bytes) -> RawRows:
    try:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(content))
    except (pyarrow.ArrowException, OSError) as error:
        raise UnreadableFile(
            f"found {_first_line(error)}, expected a whole Parquet file"
        ) from error
    # Arrow cannot yet pick rows out of a column of string views.
    for number, column in enumerate(table.schema):
        if pyarrow.types.is_string_view(column.type):
            table = table.set_column(
                number, column.name, compute.cast(table.column(number), pyarrow.string())
            )
    provisional = _provisional(table.schema.metadata or {})
    table = table.rename_columns(_column_names(table.column_names))
    return RawRows(table, np.arange(1, len(table) + 1), provisional=provisional)


def _provisional(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    try:
        mark = json.loads(metadata.get(PROVISIONAL_MARK, b"{}"))
        return {day: list(keys) for day, keys in mark.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise UnreadableFile(
            f"found a mark {PROVISIONAL_MARK.decode()} that cannot be read ({error!r}), expected JSON, per trading "
            "day a list of instrument keys"
        ) from error


def _json_rows(content: bytes) -> RawRows:
    """A candle response of the broker, or its instrument master: a list of objects, prices in paise."""
    expected = (
        "expected the broker's instrument list, a JSON list of objects, or its candle response"
    )
    try:
        document = json.loads(content)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"found text that is not JSON ({error}), {expected}") from error
    if isinstance(document, dict):
        return _response_rows(document)
    if not isinstance(document, list) or not all(isinstance(entry, dict) for entry in document):
        raise UnreadableFile(f"found a JSON {type(document).__name__}, {expected}")
    names = sorted({name for entry in document for name in entry})
    if not names:
        raise UnreadableFile(f"found an empty JSON list, {expected}")
    columns = {
        name: pyarrow.array(
            [_plain_text(entry.get(name)) for entry in document], type=pyarrow.string()
        )
        for name in names
    }
    if "tick_size" in columns:
        columns["tick_size_paise"] = columns.pop("tick_size")
    table = pyarrow.table(columns)
    table = table.rename_columns(_column_names(table.column_names))
    return RawRows(table, np.arange(1, len(table) + 1))


def _response_rows(document: dict) -> RawRows:
    """The candles of a response as text; one of another length than the broker documents is malformed."""
    if document.get("status") == "error":
        errors = document.get("errors") or [{}]
        raise UnreadableFile(
            f"found the broker's error {errors[0].get('errorCode')} ({errors[0].get('message')}), expected candles"
        )
    data = document.get("data")
    candles = data.get("candles") if isinstance(data, dict) else None
    if not isinstance(candles, list) or not all(isinstance(candle, list) for candle in candles):
        raise UnreadableFile(
            "found a JSON object, expected the broker's candle response, with a list data.candles of lists"
        )
    expected = len(RESPONSE_COLUMNS)
    numbered = list(enumerate(candles, start=1))
    whole = [(number, candle) for number, candle in numbered if len(candle) == expected]
    columns = {
        name: pyarrow.array([_plain_text(candle[place]) for _, candle in whole], pyarrow.string())
        for place, name in enumerate(RESPONSE_COLUMNS)
    }
    malformed = [
        MalformedLine(number, json.dumps(candle), len(candle), expected)
        for number, candle in numbered
        if len(candle) != expected
    ]
    lines = np.array([number for number, _ in whole], "int64")
    return RawRows(pyarrow.table(columns), lines, tuple(malformed))


def _plain_text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _column_names(found: Sequence[str]) -> list[str]:
    names = [name.strip().lower() for name in found]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UnreadableFile(
            f"found the column {', '.join(repeated)} more than once, expected every column once"
        )
    return names


def _first_line(error: Exception) -> str:
    return f"unreadable data ({str(error).splitlines()[0].rstrip('.')})"
