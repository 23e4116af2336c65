"""Rows of workbooks (.xlsx), where the package that reads them is installed.

Belongs here: the first sheet with rows to columns of text. Does not belong here: what columns mean (``layouts/``).
"""

from __future__ import annotations

import importlib.util
import io
import zipfile
from collections.abc import Sequence
from datetime import date, datetime

import numpy as np
import pyarrow

from setbull_pipelines.settings import InputSettings
from setbull_pipelines.sources.delimited import LINES_OF_A_HEAD, head_of
from setbull_pipelines.sources.raw_rows import MalformedLine, RawRows, UnreadableFile, first_line
from setbull_pipelines.sources.room_for_files import VALUES, require_room

NOT_INSTALLED = (
    "a workbook, which needs the package openpyxl; install the extra (pip install 'setbull_pipelines[xlsx]'), "
    "or save it as CSV"
)


def can_read_workbooks() -> bool:
    """Whether the optional package is there."""
    return importlib.util.find_spec("openpyxl") is not None


def workbook_rows(content: bytes, reading: InputSettings) -> RawRows:
    """The rows of the first sheet that has some; as in text files, a title may stand above the header."""
    if not can_read_workbooks():
        raise UnreadableFile(f"found {NOT_INSTALLED}")
    try:
        sheets = _sheets(content, reading.unpacked_limit_mib)
    except (UnreadableFile, MemoryError):
        raise
    except Exception as error:  # what a damaged workbook raises is whatever its bytes lead to
        raise UnreadableFile(f"found {first_line(error)}, expected a whole workbook") from error
    filled = [title for title, rows in sheets.items() if len(rows) > 1]
    if not filled:
        raise UnreadableFile("found a workbook without rows, expected a header and rows")
    read, *others = filled
    rows = sheets[read]
    begin = [[field or "" for field in row] for row in rows[:LINES_OF_A_HEAD]]
    width = max(map(len, begin))
    head = head_of([row + [""] * (width - len(row)) for row in begin], ",", 0, 0, reading)
    found, lines, malformed = [], [], []
    for line, row in enumerate(rows[head.first_row :], start=head.first_row + 1):
        if not any(row):
            continue
        if any(row[len(head.names) :]):
            shown = ",".join(field or "" for field in row)
            malformed.append(MalformedLine(line, shown, len(row), len(head.names)))
            continue
        found.append(row)
        lines.append(line)
    columns = [
        pyarrow.array([row[place] if place < len(row) else None for row in found], pyarrow.string())
        for place in range(len(head.names))
    ]
    notes = [f"workbook, sheet {read!r}", *(f"sheet {title!r} is not read" for title in others)]
    notes += head.notes
    table = pyarrow.table(columns, names=head.names)
    return RawRows(table, np.array(lines, "int64"), tuple(malformed), notes=tuple(notes))


def _sheets(content: bytes, limit_mib: int) -> dict[str, list[list[str | None]]]:
    """The rows of each sheet as texts, each as far as it is filled."""
    import openpyxl

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > limit_mib * 2**20:
        raise UnreadableFile(
            f"found a workbook that holds more than {limit_mib:,} MiB, expected at most that; where it is no mistake, "
            "raise unpacked_limit_mib in [input]"
        )
    require_room(size, VALUES)
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    sheets = {}
    for sheet in book.worksheets:
        # The size that a sheet says it has would be filled with empty cells.
        sheet.reset_dimensions()
        sheets[sheet.title] = [_filled(row) for row in sheet.iter_rows(values_only=True)]
    return sheets


def _filled(row: Sequence[object]) -> list[str | None]:
    texts = [_text(value) for value in row]
    while texts and texts[-1] is None:
        texts.pop()
    return texts


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
