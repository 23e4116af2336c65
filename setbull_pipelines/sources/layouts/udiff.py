"""The exchange's day files of the cash market in UDiFF, the layout since July 2024."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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
    """The columns under their names, keyed by ISIN; UnreadableFile for another market or exchange."""
    for name, expected in ORIGIN.items():
        found = set(texts(rows.columns[name]))
        if found != {expected}:
            raise UnreadableFile(
                f"found a bhavcopy with {', '.join(sorted(map(str, found)))} in column {name}, expected "
                f"{expected}, the cash market of NSE"
            )
    table = rows.columns.select([name for name in rows.names if name])
    table = renamed(table, [_MEANING.get(name, name) for name in table.column_names])
    return keyed_by_isin(replace(rows, columns=with_iso_dates(table), with_series=True))


def identity(path: str) -> str | None:
    """None: every row names its share."""
    return None
