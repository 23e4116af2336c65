"""Rows of workbooks (.xlsx), where the package that reads them is installed.

Belongs here: the first sheet with rows to columns of text. Does not belong here: what columns mean (``layouts/``).
"""

from __future__ import annotations

import importlib.util
import io
import zipfile
from datetime import date, datetime

import numpy as np
import pyarrow

from setbull_pipelines.sources.raw_rows import RawRows, UnreadableFile, column_names, first_line

NOT_INSTALLED = (
    "a workbook, which needs the package openpyxl; install the extra (pip install 'setbull_pipelines[xlsx]'), "
    "or save it as CSV"
)


def can_read_workbooks() -> bool:
    """Whether the optional package is there."""
    return importlib.util.find_spec("openpyxl") is not None


def workbook_rows(content: bytes) -> RawRows:
    """The rows of the first sheet that has some; its first row names the columns."""
    if not can_read_workbooks():
        raise UnreadableFile(f"found {NOT_INSTALLED}")
    import openpyxl

    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheets = {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book.worksheets}
    # What a damaged workbook raises is whatever its XML leads to.
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, OSError, SyntaxError) as error:
        raise UnreadableFile(f"found {first_line(error)}, expected a whole workbook") from error
    filled = [title for title, rows in sheets.items() if len(rows) > 1]
    if not filled:
        raise UnreadableFile("found a workbook without rows, expected a header and rows")
    read, *others = filled
    header, *rows = sheets[read]
    numbered = [(line, row) for line, row in enumerate(rows, start=2) if any(map(_has_value, row))]
    columns = [
        pyarrow.array([_text(row[place]) for _, row in numbered], pyarrow.string())
        for place in range(len(header))
    ]
    names = column_names([_text(name) or "" for name in header])
    lines = np.array([line for line, _ in numbered], "int64")
    notes = [f"workbook, sheet {read!r}", *(f"sheet {title!r} is not read" for title in others)]
    return RawRows(pyarrow.table(columns, names=names), lines, notes=tuple(notes))


def _has_value(value: object) -> bool:
    return value is not None and value != ""


def _text(value: object) -> str | None:
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if _has_value(value) else None
