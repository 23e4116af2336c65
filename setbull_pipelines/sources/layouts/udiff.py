"""The exchange's day files of the cash market in UDiFF, the layout since July 2024."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow

from setbull_pipelines.sources.day_files import keyed_by_isin, with_iso_dates
from setbull_pipelines.sources.layouts import Sample
from setbull_pipelines.sources.raw_rows import RawRows, UnreadableFile, renamed, texts

NAME = "bhavcopy of NSE, UDiFF"
ORIGIN = {"sgmt": "CM", "src": "NSE"}
"""What a file of the cash market says in every row; those of other markets and exchanges look the same."""
_MEANING = {
    "traddt": "timestamp",
    "tckrsymb": "symbol",
    "sctysrs": "series",
    "opnpric": "open",
    "hghpric": "high",
    "lwpric": "low",
    "clspric": "close",
    "ttltradgvol": "volume",
}
_COLUMNS = {"isin", *ORIGIN, *_MEANING}


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """By the columns."""
    return set(names) >= _COLUMNS


def as_rows(rows: RawRows) -> RawRows:
    """The columns under their names, keyed by ISIN; UnreadableFile for another market or exchange.

    Of rows of several markets those of others keep theirs in the series, which nobody wants.
    """
    origins = {name: np.array(texts(rows.columns[name]), object) for name in ORIGIN}
    is_own = np.logical_and.reduce([origins[name] == own for name, own in ORIGIN.items()])
    for name, expected in ORIGIN.items():
        found = set(origins[name])
        if found != {expected} and not is_own.any():
            raise UnreadableFile(
                f"found a bhavcopy with {', '.join(sorted(map(str, found)))} in column {name}, expected "
                f"{expected}, the cash market of NSE"
            )
    table = rows.columns.select([name for name in rows.names if name])
    table = renamed(table, [_MEANING.get(name, name) for name in table.column_names])
    if not is_own.all():
        place = table.column_names.index("series")
        series = [
            text if own else f"{text or ''} ({segment} of {exchange})".strip()
            for text, own, segment, exchange in zip(
                texts(table["series"]), is_own, origins["sgmt"], origins["src"], strict=True
            )
        ]
        column = pyarrow.chunked_array([pyarrow.array(series, pyarrow.string())])
        table = table.set_column(place, "series", column)
        told = f"{int((~is_own).sum()):,} rows of other markets"
        rows = replace(rows, notes=(*rows.notes, told))
    return keyed_by_isin(replace(rows, columns=with_iso_dates(table), with_series=True))


def identity(path: str) -> str | None:
    """None: every row names its share."""
    return None
