"""SQL dumps of the old database, as ``mysqldump`` writes them: CREATE TABLE and INSERT statements.

Belongs here: finding the statements and taking their rows apart. Does not belong here: what the columns mean.

A dump is read statement by statement, never whole. Nothing in it is executed.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TextIO

import pandas as pd

from setbull_pipelines.sources.legacy.old_tables import (
    COLUMNS,
    ROWS_IN_A_CHUNK,
    USED,
    CannotImport,
    Chunk,
    Progress,
    Stream,
    bytes_read,
    chunk_of,
    encoding_of,
    identity_of,
)

_NAME = r"[`\"]?(?P<table>\w+)[`\"]?"
_CREATE = re.compile(rf"\s*CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}\s*\(", re.I)
_COLUMN = re.compile(r"^\s*[`\"](\w+)[`\"]\s", re.M)
_INSERT = re.compile(
    rf"\s*(?:INSERT|REPLACE)\s+(?:IGNORE\s+)?INTO\s+(?:[`\"]?\w+[`\"]?\.)?{_NAME}\s*(?:\((?P<columns>[^)]*)\))?\s*VALUES\s*",
    re.I,
)
_VALUE = r"\s*(?:(?:_\w+\s*|[bBnN])?'(?:[^'\\]++|\\.|'')*+'|[^\s',()]++)\s*"
_ESCAPE = re.compile(r"\\(.)|''", re.S)
_ESCAPED = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "Z": "\x1a"}
_SETS_UTC = re.compile(r"SET\s+TIME_ZONE\s*=\s*'\+00:00'", re.I)
_LARGEST_STATEMENT = 256 * 2**20
_HEAD_LINES = 60


@dataclass(frozen=True)
class DumpStream(Stream):
    """One dump file."""

    path: Path

    def chunks(self, done: Progress) -> Iterator[Chunk]:
        """The chunks after those that are done: what was read before is passed over, not kept."""
        columns = dict(COLUMNS)
        waiting: dict[str, list[list[str | None]]] = {}
        names: dict[str, tuple[str, ...]] = {}
        number = 0

        def flush(table: str, read: tuple[int, int]) -> Iterator[Chunk]:
            nonlocal number
            rows, waiting[table] = waiting[table], []
            if number >= done.chunks:
                known = [name for name in names[table] if name in USED[table]]
                frame = pd.DataFrame(rows, columns=known, dtype=object)
                yield chunk_of(self.name, number, table, frame, "", read)
            number += 1

        for statement, read in _statements(self.path):
            if created := _CREATE.match(statement):
                named = (name.lower() for name in _COLUMN.findall(statement))
                columns[created["table"].lower()] = tuple(named)
            elif inserted := _INSERT.match(statement):
                table = inserted["table"].lower()
                if table not in COLUMNS:
                    continue
                stated = inserted["columns"]
                found = columns[table]
                if stated:
                    found = tuple(name.lower() for name in re.findall(r"\w+", stated))
                if names.get(table, found) != found and waiting.get(table):
                    yield from flush(table, read)
                names[table] = found
                kept = waiting.setdefault(table, [])
                wanted = tuple(column in USED[table] for column in found)
                expected = f"{self.path}: {table}"
                kept += _rows(statement, inserted.end(), wanted, expected)
                if len(kept) >= ROWS_IN_A_CHUNK:
                    yield from flush(table, read)
        for table in [table for table, rows in waiting.items() if rows]:
            yield from flush(table, read)


def dump_stream(path: Path, name: str) -> DumpStream:
    """The stream of a dump; its head says whether moments are UTC, which mysqldump makes them."""
    with _opened(path) as file:
        head = [line for _, line in zip(range(_HEAD_LINES), file, strict=False)]
    return DumpStream(name, identity_of(path), bool(_SETS_UTC.search("".join(head))), path)


def _opened(path: Path) -> TextIO:
    opened = gzip.open if path.suffix == ".gz" else open
    encoding = encoding_of(path)
    return opened(path, "rt", encoding=encoding, errors="backslashreplace", newline="\n")


def _statements(path: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Statements that define or fill tables, each with the bytes read until its end, and how many there are.

    Comments and all other statements are passed over.
    """
    gathered: list[str] = []
    size = 0
    try:
        with _opened(path) as file:
            for line in file:
                if not gathered and not (_CREATE.match(line) or _INSERT.match(line)):
                    continue
                gathered.append(line)
                size += len(line)
                if size > _LARGEST_STATEMENT:
                    raise CannotImport(
                        f"{path}: found a statement of more than {_LARGEST_STATEMENT >> 20} MiB, expected INSERT "
                        "statements as mysqldump writes them"
                    )
                if line.rstrip().endswith(";") and _is_whole(text := "".join(gathered)):
                    yield text, bytes_read(file, path)
                    gathered, size = [], 0
    except (OSError, EOFError, zlib.error) as error:
        raise CannotImport(f"{path}: cannot be read ({error}), expected a whole dump") from error
    if gathered:
        raise CannotImport(
            f"{path}: the last statement has no end ({gathered[0][:60].strip()!r}), expected a whole dump"
        )


def _is_whole(statement: str) -> bool:
    """Whether the semicolon at the end is outside a text."""
    return statement.count("'") % 2 == 0 or not re.sub(
        r"'(?:[^'\\]|\\.|'')*'", "", statement, flags=re.S
    ).count("'")


@cache
def _row_of(wanted: tuple[bool, ...]) -> re.Pattern[str]:
    """A row with as many values, the wanted ones as groups: most columns of the large tables are not used."""
    values = ",".join(f"({_VALUE})" if is_wanted else _VALUE for is_wanted in wanted)
    return re.compile(rf"\s*,?\s*\({values}\)", re.S)


def _rows(
    statement: str, position: int, wanted: tuple[bool, ...], expected: str
) -> Iterator[list[str | None]]:
    """The wanted values of the rows after ``position``; each row must begin where the one before it ended."""
    row = _row_of(wanted)
    while found := row.match(statement, position):
        yield [_plain(value) for value in found.groups()]
        position = found.end()
    if statement[position:].strip() not in (";", ""):
        shown = statement[position : position + 60].strip()
        raise CannotImport(f"{expected}: found {shown!r}, expected a row with {len(wanted)} values")


def _plain(value: str) -> str | None:
    value = value.strip()
    if not value.endswith("'"):
        return None if value.upper() == "NULL" else value
    text = value[value.index("'") + 1 : -1]
    return _ESCAPE.sub(_unescaped, text) if "\\" in text or "''" in text else text


def _unescaped(match: re.Match[str]) -> str:
    character = match[1]
    return "'" if character is None else _ESCAPED.get(character, character)
