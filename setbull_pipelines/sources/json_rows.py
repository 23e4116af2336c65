"""Rows of JSON documents: answers of brokers, lists of objects.

Belongs here: finding the table in a document, whichever way it is written: lists of lists, of objects, lists side by
side. Does not belong here: whose answer it is and what its fields mean (``layouts/``).

Columns of lists of lists have no names: they are called after the place of the list and their number, such as
``data.candles.0``.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import pyarrow

from setbull_pipelines.sources.json_objects import KeptOfTwo, readable
from setbull_pipelines.sources.raw_rows import (
    MOST_COLUMNS,
    MalformedLine,
    RawRows,
    UnreadableFile,
    column_names,
)

EXPECTED = (
    "expected the broker's candle response, with a list data.candles of lists, the answer of another broker with "
    "candles, or a JSON list of objects, such as the broker's instrument list"
)
ABOUT_ALL = ("instrument_key", "symbol", "ticker", "tradingsymbol", "stock_code", "exchange")
"""Values beside a table that hold for all of its rows."""
_ABOUT = ("meta", "metadata")
_NAMES_ONE = frozenset(ABOUT_ALL) - {"exchange"}
_MOMENT = re.compile(r"\d{4}-?\d\d-?\d\d(?:[T ].*)?|\d{9,19}")
_SYMBOL = re.compile(r"(?:[A-Z_]+[:|])?(?=[\w&.-]*[A-Z])[A-Z0-9][A-Z0-9&.-]*")
_DEEPEST = 6
_FEWEST_FIELDS = 5


def json_rows(content: bytes) -> RawRows:
    """The rows of the tables in a document; values as text.

    Several tables of the same columns are one, of several instruments or days, where the document says which.
    """
    twice = KeptOfTwo()
    rows = _rows_of(content, twice)
    return replace(rows, notes=(*rows.notes, twice.told)) if twice.names else rows


def _rows_of(content: bytes, twice: KeptOfTwo) -> RawRows:
    document, lines, broken = _document(content, twice)
    if _are_flat_objects(document):
        rows = _of_objects(document, {})
        return rows if lines is None else replace(rows, lines=lines, malformed=broken)
    if broken:
        raise UnreadableFile(
            f"found text that is not JSON in line {broken[0].line}, {EXPECTED}", line=broken[0].line
        )
    tables = list(_tables(document, _Place((), {}, {})))
    if not tables:
        if isinstance(document, dict):
            _refuse_error(document)
            raise UnreadableFile(f"found a JSON object, {EXPECTED}")
        what = "an empty JSON list" if document == [] else f"a JSON {type(document).__name__}"
        raise UnreadableFile(f"found {what}, {EXPECTED}")
    table = max(tables, key=lambda found: len(found.rows))
    if not len(table.rows) and isinstance(document, dict):
        _refuse_error(document)
    filled = [found for found in tables if len(found.rows)]
    alike = [found for found in filled if found.form == table.form]
    rows = _together(alike) if len(alike) > 1 else table.read()
    others = sum(len(found.rows) for found in filled if found.form != table.form)
    if others:
        rows = replace(rows, notes=(*rows.notes, f"{others:,} rows of other tables are not read"))
    return rows


def _document(
    content: bytes, twice: KeptOfTwo
) -> tuple[Any, np.ndarray | None, tuple[MalformedLine, ...]]:
    """The document; of one in each line all of them, the numbers of their lines, and the lines that are none."""
    try:
        return json.loads(content, object_pairs_hook=twice), None, ()
    except RecursionError as error:
        raise UnreadableFile(f"found JSON that is nested too deeply, {EXPECTED}") from error
    except ValueError as error:
        twice.names.clear()  # the first line was read as a document
        documents, numbers, broken = [], [], []
        for number, line in enumerate(content.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                documents.append(json.loads(line, object_pairs_hook=twice))
                numbers.append(number)
            except (ValueError, RecursionError) as fault:
                told = f"Found text that is not JSON ({str(fault)[:100]}), expected one object in the line."
                shown = readable(line.decode("utf-8", "replace"))
                broken.append(MalformedLine(number, shown, 0, 0, told))
        if len(documents) > max(1, len(broken)):
            return documents, np.array(numbers, "int64"), tuple(broken)
        raise UnreadableFile(f"found text that is not JSON ({error}), {EXPECTED}") from error


class _Place(NamedTuple):
    """Where in a document one is: names on the way, and what stands beside it, values and lists."""

    path: tuple[str, ...]
    beside: Mapping[str, str]
    lists: Mapping[str, list]

    def below(self, name: str) -> _Place:
        return self._replace(path=(*self.path, name))


class _Table(NamedTuple):
    """A table in a document: where it is, how it is written, and what stands beside it."""

    path: tuple[str, ...]
    rows: Sequence[Any]
    way: str
    beside: Mapping[str, str]
    columns: Mapping[str, list] | None = None

    @property
    def form(self) -> tuple[str, Any]:
        """Equal for tables that can be one: the way, and names or number of the columns."""
        if self.way == "columns":
            return self.way, frozenset(self.columns or {})
        return self.way, len(self.rows[0]) if self.way == "lists" else frozenset(self.rows[0])

    def read(self) -> RawRows:
        if self.way == "objects":
            return _of_objects(self.rows, self.beside)
        if self.way == "columns":
            return _of_columns(self.columns or {}, self.beside)
        return _of_lists(self.rows, ".".join(self.path), self.beside)


def _are_flat_objects(node: Any) -> bool:
    """Whether this is a list of objects without tables in them."""
    return (
        isinstance(node, list)
        and bool(node)
        and all(isinstance(entry, dict) for entry in node)
        and not any(isinstance(value, list) and value for entry in node for value in entry.values())
    )


def _tables(node: Any, place: _Place) -> Iterator[_Table]:
    if len(place.path) > _DEEPEST:
        return
    if isinstance(node, list):
        if node and all(isinstance(entry, list) for entry in node):
            if max(map(len, node)) >= _FEWEST_FIELDS:
                yield _Table(place.path, node, "lists", place.beside)
        elif node and all(isinstance(entry, dict) for entry in node):
            is_row = max(map(len, node)) >= _FEWEST_FIELDS
            inside = [
                table
                for entry in (node if len(node) == 1 or not _are_flat_objects(node) else [])
                for table in _tables(entry, place)
            ]
            if inside or not is_row:
                yield from inside
            else:
                yield _Table(place.path, node, "objects", place.beside)
        elif not node and place.path[-1:] == ("candles",):
            yield _Table(place.path, node, "lists", place.beside)
    elif isinstance(node, dict):
        yield from _tables_of_object(node, place)


def _tables_of_object(node: Mapping[str, Any], place: _Place) -> Iterator[_Table]:
    about = [value for name, value in node.items() if name in _ABOUT and isinstance(value, dict)]
    said = {
        name.lower(): str(value)
        for found in (*about, node)
        for name, value in found.items()
        if name.lower() in ABOUT_ALL and isinstance(value, str)
    }
    place = place._replace(beside={**place.beside, **said})
    named = node.get("columns")
    for name, value in node.items():
        if _names_columns(named, value):
            entries = [dict(zip(named, row, strict=True)) for row in value]
            yield _Table((*place.path, str(name)), entries, "objects", place.beside)
            return
    inner = [value for value in node.values() if isinstance(value, dict) and value]
    if inner and len(inner) == len(node) and all(map(_MOMENT.fullmatch, node)):
        entries = [{"timestamp": moment, **row} for moment, row in node.items()]
        yield _Table(place.path, entries, "objects", place.beside)
        return
    if len(inner) == len(node) and _are_numbered_rows(node, inner):
        yield _Table(place.path, inner, "objects", place.beside)
        return
    if len(inner) >= _FEWEST_FIELDS and len({tuple(value) for value in inner}) == 1:
        columns = {
            name: list(value.values()) for name, value in node.items() if isinstance(value, dict)
        }
        if not any(isinstance(value, (list, dict)) for value in inner[0].values()):
            index = list(inner[0])
            if all(map(_MOMENT.fullmatch, index)):
                columns = {"timestamp": index, **columns}
            yield _Table(place.path, index, "columns", place.beside, columns)
            return
    lists = {name: value for name, value in node.items() if isinstance(value, list)}
    lengths = Counter(len(value) for value in lists.values())
    length, times = lengths.most_common(1)[0] if lengths else (0, 0)
    if length and times >= _FEWEST_FIELDS:
        side_by_side = {
            name: value
            for name, value in {**place.lists, **lists}.items()
            if len(value) == length and not isinstance(value[0], (list, dict))
        }
        if len(side_by_side) >= _FEWEST_FIELDS:
            rows = next(iter(side_by_side.values()))
            yield _Table(place.path, rows, "columns", place.beside, side_by_side)
    place = place._replace(lists={**place.lists, **lists})
    for name, value in node.items():
        yield from _tables(value, place.below(str(name)))


def _are_numbered_rows(node: Mapping[str, Any], inner: Sequence[Mapping[str, Any]]) -> bool:
    """Whether these are rows under their numbers, as pandas writes a frame by its index."""
    return (
        list(node) == [str(number) for number in range(len(node))]
        and _are_flat_objects(inner)
        and max(map(len, inner)) >= _FEWEST_FIELDS
        and not all(str(name).isdecimal() for name in inner[0])
    )


def _together(tables: Sequence[_Table]) -> RawRows:
    """Tables of one form as one: each says its instrument, or what its place is called is that, or a day."""
    if not all(_NAMES_ONE & set(table.beside) for table in tables):
        paths = [table.path for table in tables]
        differing = [
            place
            for place, names in enumerate(zip(*paths, strict=False))
            if len(set(names)) > 1 or len({len(path) for path in paths}) > 1
        ]
        names = [path[differing[0]] for path in paths] if len(differing) == 1 else []
        is_symbol = bool(names) and all(map(_SYMBOL.fullmatch, names))
        if len(set(names)) < len(tables) or not (is_symbol or all(map(_MOMENT.fullmatch, names))):
            shown = ", ".join(".".join(path) or "the document" for path in paths[:3])
            raise UnreadableFile(
                f"found {len(tables)} tables ({shown}) that do not name their instruments, expected one, or "
                "the symbol beside each or as its name"
            )
        tables = [
            table._replace(
                path=(*table.path[: differing[0]], *table.path[differing[0] + 1 :]),
                beside={**table.beside, **({"symbol": name} if is_symbol else {})},
            )
            for table, name in zip(tables, names, strict=True)
        ]
    read = [table.read() for table in tables]
    begins = np.cumsum([0, *(found.received for found in read)])
    parts = list(zip(read, begins.tolist(), strict=False))
    return RawRows(
        pyarrow.concat_tables([found.columns for found in read], promote_options="default"),
        np.concatenate([found.lines + begin for found, begin in parts]),
        tuple(
            replace(malformed, line=malformed.line + begin)
            for found, begin in parts
            for malformed in found.malformed
        ),
        notes=(f"{len(tables)} tables in one document, whose rows are numbered through",),
    )


def _names_columns(named: Any, rows: Any) -> TypeGuard[list[str]]:
    """Whether ``named`` are the names of the fields of ``rows``, as pandas writes a frame."""
    return (
        isinstance(named, list)
        and named is not rows
        and len(named) >= _FEWEST_FIELDS
        and all(isinstance(name, str) for name in named)
        and isinstance(rows, list)
        and bool(rows)
        and all(isinstance(row, list) and len(row) == len(named) for row in rows)
    )


def _of_objects(entries: Sequence[Mapping[str, Any]], beside: Mapping[str, str]) -> RawRows:
    names = sorted({name for entry in entries for name in entry})
    if not names:
        raise UnreadableFile(f"found an empty JSON list, {EXPECTED}")
    _refuse_many(names)
    columns = {name: [plain_text(entry.get(name)) for entry in entries] for name in names}
    if "tick_size" in columns:  # the broker's list has it in paise
        columns["tick_size_paise"] = columns.pop("tick_size")
    return _rows(columns, beside)


def _of_columns(columns: Mapping[str, list], beside: Mapping[str, str]) -> RawRows:
    _refuse_many(columns)
    return _rows(
        {name: [plain_text(value) for value in values] for name, values in columns.items()}, beside
    )


def _of_lists(rows: Sequence[list], place: str, beside: Mapping[str, str]) -> RawRows:
    lengths = Counter(map(len, rows))
    expected = max(lengths, key=lambda length: (lengths[length], length), default=7)
    _refuse_many(range(expected))
    numbered = list(enumerate(rows, start=1))
    whole = [(number, row) for number, row in numbered if len(row) == expected]
    prefix = f"{place}." if place else ""
    columns = {
        f"{prefix}{column}": [plain_text(row[column]) for _, row in whole]
        for column in range(expected)
    }
    malformed = tuple(
        MalformedLine(number, readable(json.dumps(row)), len(row), expected)
        for number, row in numbered
        if len(row) != expected
    )
    found = _rows(columns, beside)
    lines = np.array([number for number, _ in whole], "int64")
    return RawRows(found.columns, lines, malformed)


def _rows(columns: Mapping[str, list[str | None]], beside: Mapping[str, str]) -> RawRows:
    length = len(next(iter(columns.values()), []))
    names = {readable(name): values for name, values in columns.items()}
    lower = {name.lower() for name in names}
    names |= {name: [value] * length for name, value in beside.items() if name not in lower}
    arrays = [pyarrow.array(values, pyarrow.string()) for values in names.values()]
    table = pyarrow.table(arrays, names=column_names(list(names)))
    return RawRows(table, np.arange(1, length + 1))


def plain_text(value: object) -> str | None:
    """A JSON value as a text that can be stored; None where there is none."""
    if value is None or value == "":
        return None
    try:
        return readable(str(value))
    except (ValueError, RecursionError):  # an integer of thousands of digits
        return "a number that is too long"


def _refuse_many(columns: Sequence[Any] | Mapping[str, Any]) -> None:
    if len(columns) > MOST_COLUMNS:
        raise UnreadableFile(f"found {len(columns):,} columns, expected at most {MOST_COLUMNS:,}")


def _refuse_error(document: Mapping[str, Any]) -> None:
    """Say the error that an answer is of, where it is of one."""
    errors = document.get("errors")
    if document.get("status") == "error" or errors:
        first = errors[0] if isinstance(errors, list) and errors else errors or {}
        if isinstance(first, dict):
            code = first.get("errorCode") or document.get("error_type") or "without a code"
            message = first.get("message") or document.get("message")
            said = f"{code} ({message})" if message else code
        else:
            said = str(first)
        raise UnreadableFile(f"found the broker's error {readable(said)[:300]}, expected candles")
    for name in ("s", "status", "error", "Error", "errorMessage", "message"):
        value = document.get(name)
        if isinstance(value, str) and value.lower() not in ("ok", "success", ""):
            message = str(document.get("message") or document.get("errorMessage") or value)
            raise UnreadableFile(
                f"found an answer without candles ({readable(message)[:300]}), expected candles"
            )
