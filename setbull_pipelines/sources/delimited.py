"""Rows of text files: separator, header, fields.

Belongs here: the bytes of a text file to columns of text with line numbers, and how the file is written, in words.
Does not belong here: code pages (``code_pages.py``), what columns mean (``layouts/``), numbers and moments
(``number_columns.py``, ``moments.py``).

Nothing is guessed from values: what is not certain is refused with the setting that says it.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow
import pyarrow.compute as compute
import pyarrow.csv

from setbull_pipelines.settings import InputSettings
from setbull_pipelines.sources.code_pages import plain_text
from setbull_pipelines.sources.raw_rows import (
    MalformedLine,
    NotATable,
    RawRows,
    UnreadableFile,
    column_names,
    first_line,
)

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_NAMES = {**SEPARATORS, " ": "spaces"}
"""A space is taken only where nothing else separates: it is inside of names and moments."""
_SAMPLE_BYTES = 1 << 16
LINES_OF_A_HEAD = 30
"""The first lines of a file, among which its header is looked for."""
_LONGEST_HEADER = 1 << 24
_LINES_OF_NAMES = 3
_BLOCK_BYTES = 1 << 22
_TEXTS = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
"""Each text of a column once: most come again, and what they mean is found out once."""
_FEWEST_FIELDS_OF_CANDLES = 5
_FEWEST_NUMBERS_OF_DATA = 4
_NUMBER = re.compile(r"[+-]?[\d,.]*\d[\d,.]*(?:e[+-]?\d+)?", re.IGNORECASE)
_DATE = re.compile(
    r"\d{4}[-/.]?\d\d[-/.]?\d\d.*|\d{1,2}[-/.](?:\d{1,2}|[A-Za-z]{3})[-/.]\d{2,4}.*|\d{10,19}"
)
_CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d)?(?: ?[AP]M)?", re.IGNORECASE)
_QUOTED = re.compile("'.*'")
_SPACED_QUOTES = re.compile(rb'\s*"[^"\r\n]*"(?:[,;\t|] +"[^"\r\n]*")+\s*?[\r\n]')
"""A header whose quoted names follow spaces: to a reader of CSV the marks would be part of the values."""
_SPACE_BEFORE_QUOTE = re.compile(rb'([,;\t|]) +"')
_ALIGNMENT = re.compile(rb"(?m)^ +|(?<= ) +| +(?=\r?$)")
"""Spaces that align columns which a space separates."""
_GUARDED = r"""^(?:="([^"]*)"|'([^']*))$"""
"""Texts that a spreadsheet was kept from taking for numbers or days: ="500", '2025-06-09."""
_LEVELS, _PRICES = {"price", "ticker"}, {"open", "high", "low", "close"}
"""How the first two lines begin where a frame with columns of two levels was written."""


def text_rows(content: bytes, reading: InputSettings) -> RawRows:
    """The rows of a text file; of its fields none is interpreted, an empty one is null."""
    content, notes = plain_text(content)
    if _SPACED_QUOTES.match(content[:_SAMPLE_BYTES]):
        content = _SPACE_BEFORE_QUOTE.sub(rb'\1"', content)
        notes.append("spaces before quotation marks left out")
    # An old Macintosh ends lines by a carriage return alone; Arrow reads either.
    head = _head(content, reading)
    if head.separator == " " and b"  " in content:
        content = _ALIGNMENT.sub(b"", content)
        head = _head(content, reading)
    if head.separator != ",":
        notes.append(f"separated by {_NAMES.get(head.separator, head.separator)}")
    return _rows(content, head, (*notes, *head.notes))


@dataclass(frozen=True)
class Head:
    """How a table is written: ``skipped`` lines stand above the header, rows begin in line ``first_row``."""

    separator: str
    skipped: int
    first_row: int
    names: list[str]
    title: int = 0
    """How many of the skipped lines say something to people."""
    quote: str = '"'

    @property
    def notes(self) -> tuple[str, ...]:
        """In words, what is not the usual way."""
        above = [f"{self.title} lines above the header"] if self.title else []
        nameless = self.first_row == self.skipped
        quoted = ["quoted by '"] if self.quote == "'" else []
        return (*above, *(["no header, columns named by [input]"] if nameless else []), *quoted)


def _head(content: bytes, reading: InputSettings) -> Head:
    lines = _first_lines(content)
    said = "\t" if reading.separator == "tab" else reading.separator
    skipped = of_excel = 0
    if lines and (excel := re.fullmatch(r"sep=(.)", lines[0].strip("\r\n"))):
        said, skipped = said or excel[1], 1
        of_excel = 1
    shown = lines[skipped:]
    separator = said or _separator(shown)
    rows = [_fields(line, separator) for line in shown]
    if rows and len(rows[0]) >= _FEWEST_FIELDS_OF_CANDLES and all(map(_QUOTED.fullmatch, rows[0])):
        rows = [_fields(line, separator, "'") for line in shown]
        return replace(head_of(rows, separator, skipped, of_excel, reading), quote="'")
    return head_of(rows, separator, skipped, of_excel, reading)


def head_of(
    rows: list[list[str]], separator: str, skipped: int, of_excel: int, reading: InputSettings
) -> Head:
    """Where the header is among the first rows of a file below ``skipped`` lines, and what it calls the columns.

    ``of_excel`` of the skipped lines are a spreadsheet's word on the separator.
    """
    above = _lines_above(rows)
    skipped += above
    header = rows[above] if rows else []
    if not any(header):
        raise NotATable("found no header in the first lines, expected names of columns")
    if _looks_like_data(header):
        return _headerless(header, separator, skipped, reading)
    following = [row for row in rows[above + 1 :] if any(row)]
    # A separator at the end of every row, which the header does not have.
    if following and all(len(row) == len(header) + 1 and not row[-1] for row in following):
        header = [*header, ""]
    of_two_levels = bool(following) and _are_two_levels(header, following[0])
    names = column_names(header, of_two_levels)
    return Head(separator, skipped, skipped + 1, names, skipped - of_excel)


def _are_two_levels(header: list[str], below: list[str]) -> bool:
    """Whether the lines say the price and the ticker of each column; older versions do not name them."""
    named = {header[0].lower(), below[0].lower()}
    return named == _LEVELS or (
        named == {""}
        and any({field.lower() for field in row} >= _PRICES for row in (header, below))
    )


def _first_lines(content: bytes) -> list[str]:
    # All of the first lines, however long: they name the columns.
    end = 0
    for _ in range(_LINES_OF_NAMES):
        end = content.find(b"\n", end, _LONGEST_HEADER) + 1 or end
    sample = content[: max(_SAMPLE_BYTES, end)]
    lines = sample.decode(errors="replace").splitlines()[:LINES_OF_A_HEAD]
    is_cut = len(content) > len(sample) and not sample.endswith(b"\n")
    return lines[:-1] if is_cut and 1 < len(lines) < LINES_OF_A_HEAD else lines


def _fields(line: str, separator: str, quote: str = '"') -> list[str]:
    if separator not in line and len(line) > csv.field_size_limit():
        return [line.strip()]
    try:
        reader = csv.reader([line], delimiter=separator, quotechar=quote)
        return [field.strip() for field in next(reader, [])]
    except csv.Error as error:
        raise UnreadableFile(
            f"found a first line that is not text ({error}), expected CSV"
        ) from error


def _separator(lines: list[str]) -> str:
    """The sign that divides a line of the beginning into most fields; of equals, the first of SEPARATORS.

    Decided by the header and never by how many rows fit: a row with a field too many would turn it.
    """
    filled = [line for line in lines if line.strip()][:3]
    counts = {
        sign: max((len(_fields(line, sign)) for line in filled[:1]), default=0)
        for sign in SEPARATORS
    }
    if max(counts.values()) < 2 and len(filled) > 1:  # a title above the header
        counts = {sign: max(len(_fields(line, sign)) for line in filled) for sign in SEPARATORS}
    if max(counts.values()) < 2 and filled and len(filled[0].split()) >= _FEWEST_FIELDS_OF_CANDLES:
        return " "
    return max(SEPARATORS, key=lambda sign: counts[sign])


def _lines_above(rows: list[list[str]]) -> int:
    """Lines of a title, with one or two fields, above a table that is wider."""
    widths = Counter(len(row) for row in rows if any(row))
    usual = max(widths, key=lambda width: (widths[width], width), default=0)
    for number, row in enumerate(rows):
        is_title = usual >= _FEWEST_FIELDS_OF_CANDLES and sum(map(bool, row)) <= 2 < usual
        is_comment = bool(row) and row[0].startswith("#") and len(row) != usual
        if not any(row) or is_title or is_comment:
            continue
        return number
    return 0


def _looks_like_data(header: list[str]) -> bool:
    return sum(bool(_NUMBER.fullmatch(field)) for field in header) >= _FEWEST_NUMBERS_OF_DATA


def _headerless(first: list[str], separator: str, skipped: int, reading: InputSettings) -> Head:
    named = {
        int(number) - 1: name for number, name in reading.columns.items() if number.isdecimal()
    }
    if not named:
        proposed = ", ".join(f'{number} = "{name}"' for number, name in proposed_names(first))
        option = ",".join(f"{number}={name}" for number, name in proposed_names(first))
        raise UnreadableFile(
            f"the first line looks like data ({separator.join(first)[:120]}), expected a header that names the "
            f"columns; if these names are right, add to the settings file: [input] columns = {{{proposed}}}, or "
            f"--columns {option}",
            "no header",
            line=skipped + 1,
            value=separator.join(first)[:120],
            paste={"columns": {str(number): name for number, name in proposed_names(first)}},
        )
    names = [named.get(place, f"column {place + 1}") for place in range(len(first))]
    return Head(separator, skipped, skipped, column_names(names))


def proposed_names(first: Sequence[str], taken: Container[str] = ()) -> list[tuple[int, str]]:
    """What the fields of a row without header look like, by their number from 1; names ``taken`` are others'."""
    values = iter(
        name
        for name in ("open", "high", "low", "close", "volume", "open_interest")
        if name not in taken
    )
    proposed, seen = [], {name for name in ("date", "symbol") if name in taken}
    for number, field in enumerate(first, start=1):
        if _CLOCK.fullmatch(field):
            name = "time"
        elif _DATE.fullmatch(field) and "date" not in seen and "timestamp" not in seen:
            name = (
                "timestamp" if ":" in field or (len(field) >= 10 and field.isdecimal()) else "date"
            )
        elif _NUMBER.fullmatch(field):
            name = next(values, f"column {number}")
        else:
            name = "symbol" if "symbol" not in seen else f"column {number}"
        seen.add(name)
        proposed.append((number, name))
    return proposed


def _rows(content: bytes, head: Head, notes: tuple[str, ...]) -> RawRows:
    malformed: list[MalformedLine] = []

    def keep_malformed(row: pyarrow.csv.InvalidRow) -> str:
        malformed.append(
            MalformedLine(row.number, row.text, row.actual_columns, row.expected_columns)
        )
        return "skip"

    places = [str(place) for place in range(len(head.names))]
    try:
        table = pyarrow.csv.read_csv(
            # Arrow takes a last line that no line end follows for none when nothing stands before it.
            io.BytesIO(content if content.find(b"\n", 0, -1) >= 0 else content + b"\n"),
            # Line numbers of malformed lines are known to a single thread only.
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False,
                skip_rows=head.first_row,
                column_names=places,
                block_size=_BLOCK_BYTES,
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=head.separator,
                quote_char=head.quote,
                newlines_in_values=head.quote.encode() in content,
                ignore_empty_lines=False,
                invalid_row_handler=keep_malformed,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(places, _TEXTS),
                strings_can_be_null=True,
                null_values=[""],
            ),
        )
        table = table.rename_columns(head.names)
    except pyarrow.ArrowInvalid as error:
        if "Empty CSV file" in str(error):
            empty = {name: pyarrow.array([], pyarrow.string()) for name in head.names}
            return RawRows(pyarrow.table(empty), np.array([], "int64"), notes=notes)
        raise UnreadableFile(f"found {first_line(error)}, expected CSV in UTF-8") from error
    first = head.first_row + 1
    every_line = np.arange(first, first + len(table) + len(malformed))
    lines = np.setdiff1d(every_line, [row.line for row in malformed], assume_unique=True)
    begins = _begins(content, head.quote, first + len(every_line) - 1)
    # A quotation mark inside a value that is not quoted can be taken for the begin of one.
    if begins is not None and len(begins) >= first + len(every_line) - 1:
        lines = begins[lines - 1]
        malformed = [replace(row, line=int(begins[row.line - 1])) for row in malformed]
    # A line without any value, such as the empty line at the end of a file, is not a row.
    has_value = np.zeros(len(table), bool)
    for column in table.columns:
        has_value |= compute.is_valid(column).to_numpy(zero_copy_only=False)
    if not has_value.all():
        table, lines = table.filter(pyarrow.array(has_value)), lines[has_value]
    if b'="' in content or (b"'" in content and head.quote != "'"):
        table, told = _unguarded(table)
        notes = (*notes, *told)
    return RawRows(table, lines, tuple(malformed), notes=notes)


def _unguarded(table: pyarrow.Table) -> tuple[pyarrow.Table, list[str]]:
    """The table without the signs that keep values texts in a spreadsheet, and in words where there were any."""
    plain, columns = [], []
    for name, column in zip(table.column_names, table.columns, strict=True):
        guarded = [
            compute.match_substring_regex(chunk.dictionary, _GUARDED) for chunk in column.chunks
        ]
        if not any(compute.any(found).as_py() for found in guarded):
            columns.append(column)
            continue
        plain.append(name)
        distinct = column.unify_dictionaries().combine_chunks()
        bare = compute.replace_substring_regex(distinct.dictionary, _GUARDED, r"\1\2")
        # Two ways of writing one value are one from here on.
        once = compute.dictionary_encode(bare)
        columns.append(pyarrow.chunked_array([once.take(distinct.indices)]))
    told = f'{", ".join(plain[:5])} written for a spreadsheet to take for texts (="..." or \')'
    return pyarrow.table(columns, names=table.column_names), [told] if plain else []


def _begins(content: bytes, quote: str, rows: int) -> np.ndarray | None:
    """The line in which each row begins, where quoted values have line ends in them; None where none has."""
    if quote.encode() not in content or content.count(b"\n") <= rows:
        return None
    signs = np.frombuffer(content, np.uint8)
    ends = np.flatnonzero(signs == ord("\n"))
    is_inside = np.searchsorted(np.flatnonzero(signs == ord(quote)), ends) % 2 == 1
    if not is_inside.any():
        return None
    return np.concatenate([[1], np.flatnonzero(~is_inside) + 2])
