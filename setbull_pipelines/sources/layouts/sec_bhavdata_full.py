"""The exchange's full day file with deliveries, ``sec_bhavdata_full_DDMMYYYY.csv``: no ISIN, blanks after commas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from setbull_pipelines.sources.day_files import trimmed, with_iso_dates
from setbull_pipelines.sources.layouts import Sample
from setbull_pipelines.sources.raw_rows import RawRows, renamed

NAME = "sec_bhavdata_full of NSE"
_MEANING = {
    "date1": "timestamp",
    "open_price": "open",
    "high_price": "high",
    "low_price": "low",
    "close_price": "close",
    "ttl_trd_qnty": "volume",
}
_COLUMNS = {"symbol", "series", *_MEANING}


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """By the columns."""
    return set(names) >= _COLUMNS


def as_rows(rows: RawRows) -> RawRows:
    """The columns under their names, keyed by symbol, with ISO dates."""
    table = renamed(rows.columns, [_MEANING.get(name, name) for name in rows.names])
    for name in ("symbol", "series"):
        table = trimmed(table, name)
    return replace(rows, columns=with_iso_dates(table), with_series=True)


def identity(path: str) -> str | None:
    """None: every row names its share."""
    return None
