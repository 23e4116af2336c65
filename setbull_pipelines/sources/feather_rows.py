"""Rows of Feather files, which are the files and streams of Arrow.

Belongs here: their bytes to typed columns. Does not belong here: what columns mean (``layouts/``), other files
(``reading.py``).
"""

from __future__ import annotations

import re
from typing import Any

import pyarrow
import pyarrow.ipc

from setbull_pipelines.sources.parquet_rows import MOST_TIMES_LARGER, require_size, rows_of_table
from setbull_pipelines.sources.raw_rows import RawRows, UnreadableFile, first_line

BEGIN = b"ARROW1"
"""A file begins so, a stream does not."""


def feather_rows(content: bytes, limit_mib: int) -> RawRows:
    """The rows of a Feather file, with columns of the types that it has."""
    try:
        first = _read(content, pyarrow.ipc.IpcReadOptions(included_fields=[0]))
        require_size(len(first), len(_opened(content).schema), content, limit_mib)
        table = _read(content, pyarrow.ipc.IpcReadOptions())
        return rows_of_table(table.unify_dictionaries())
    except UnreadableFile:
        raise
    except MemoryError as error:
        # A damaged length is no lack of memory, which passes.
        asked = re.search(r"size (\d+)", str(error))
        if not asked or int(asked[1]) <= MOST_TIMES_LARGER * len(content):
            raise
        raise UnreadableFile(
            f"found {first_line(error)}, expected a whole Feather or Arrow file"
        ) from error
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise UnreadableFile(
            f"found {first_line(error)}, expected a whole Feather or Arrow file"
        ) from error


def _opened(content: bytes, options: pyarrow.ipc.IpcReadOptions | None = None) -> Any:
    reading = pyarrow.ipc.open_file if content.startswith(BEGIN) else pyarrow.ipc.open_stream
    return reading(pyarrow.BufferReader(content), options=options)


def _read(content: bytes, options: pyarrow.ipc.IpcReadOptions) -> pyarrow.Table:
    return _opened(content, options).read_all()
