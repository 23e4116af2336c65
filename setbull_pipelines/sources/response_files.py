"""Saved candle responses of the broker: which instrument one is about, since its body does not say.

Belongs here: the instrument in a file's path. Does not belong here: asking the broker, reading the body
(``raw_rows.py``), judging rows (``candle_files.py``).
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath
from urllib.parse import unquote

import pyarrow

from setbull_pipelines.market.instruments import SEGMENTS
from setbull_pipelines.sources.raw_rows import RESPONSE_COLUMNS, RawRows, UnreadableFile

EXAMPLE = "NSE_EQ%7CINE002A01018_2026-08.json"
_KEY = re.compile(rf"(?:{'|'.join(SEGMENTS)})\|[^|_.]*[^|_.\s]")


def is_response(names: list[str]) -> bool:
    """Whether rows with these columns are a candle response of the broker."""
    return tuple(names) == RESPONSE_COLUMNS


def instrument_in_path(path: str) -> str | None:
    """The key with which the file name, or the nearest folder, begins; URL-encoded as in the request, or plain."""
    for part in reversed(PurePosixPath(path).parts):
        if found := _KEY.match(unquote(part)):
            return found.group()
    return None


def as_candles(rows: RawRows, path: str) -> RawRows:
    """The rows with their ``instrument_key``; :class:`UnreadableFile` when the path names none."""
    key = instrument_in_path(path)
    if key is None:
        raise UnreadableFile(
            f"found a candle response, whose body names no instrument, expected a file or folder name that "
            f"begins with its key, such as {EXAMPLE}"
        )
    keys = pyarrow.chunked_array([pyarrow.array([key] * len(rows.lines), pyarrow.string())])
    return replace(rows, columns=rows.columns.add_column(0, "instrument_key", keys))
