"""Exports of single old tables: CSV, or the tab-separated text of ``mysql --batch``, with a header.

Belongs here: reading them as text in pieces. Does not belong here: what the columns mean.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from setbull_pipelines.sources.legacy.old_tables import (
    COLUMNS,
    REQUIRED,
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
    table_in_name,
)

_NULLS = ("\\N", "NULL")


@dataclass(frozen=True)
class ExportStream(Stream):
    """One exported file of one table."""

    path: Path
    table: str
    separator: str

    def chunks(self, done: Progress) -> Iterator[Chunk]:
        """The chunks after those that are done."""
        try:
            with self.path.open("rb") as file:
                for number, piece in enumerate(self._pieces(file)):
                    if not isinstance(piece.index, pd.RangeIndex):
                        raise CannotImport(
                            f"{self.path}: found rows with more fields than the header, expected as many"
                        )
                    if number < done.chunks:
                        continue
                    rows = piece.rename(columns=lambda name: name.strip().lower())
                    # Before anything is done for each column: there may be thousands that nobody uses.
                    rows = rows[[name for name in rows.columns if name in USED[self.table]]]
                    rows = rows.astype(object)
                    rows = rows.where(rows.notna(), None)
                    read = bytes_read(file, self.path)
                    yield chunk_of(self.name, number, self.table, rows, "", read)
        except CannotImport:
            raise
        except (ValueError, OSError, EOFError, zlib.error) as error:
            raise CannotImport(
                f"{self.path}: cannot be read ({str(error).splitlines()[0]}), expected a whole CSV export"
            ) from error

    def _pieces(self, file: BinaryIO) -> Iterator[pd.DataFrame]:
        return pd.read_csv(
            file,
            compression="gzip" if self.path.suffix == ".gz" else None,
            sep=self.separator,
            dtype=str,
            chunksize=ROWS_IN_A_CHUNK,
            keep_default_na=False,
            na_values=list(_NULLS),
            encoding=encoding_of(self.path),
            encoding_errors="backslashreplace",
        )


def export_stream(path: Path, name: str) -> ExportStream | None:
    """The stream of an export, known by the name of its file or by its columns; None for another file."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding=encoding_of(path)) as file:
        try:
            header = file.readline().lstrip("\ufeff").rstrip("\r\n")
        except UnicodeError:
            return None
    separator = max("\t,;", key=header.count)
    names = [part.strip(' "').lower() for part in header.split(separator)]
    table = table_in_name(path) or _table_with(names)
    if table is None or not all(column in names for column in REQUIRED[table]):
        return None
    return ExportStream(name, identity_of(path), False, path, table, separator)


def _table_with(names: list[str]) -> str | None:
    fitting = [table for table in COLUMNS if set(names) <= set(COLUMNS[table])]
    fitting = [table for table in fitting if set(REQUIRED[table]) <= set(names)]
    return min(fitting, key=lambda table: len(COLUMNS[table]), default=None)
