"""The answer of the exchange's website with the history of securities: names that begin with ``CH_``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from setbull_pipelines.sources.day_files import keyed_by_isin
from setbull_pipelines.sources.layouts import Sample
from setbull_pipelines.sources.raw_rows import RawRows, renamed

NAME = "history of securities from the website of NSE"
_MEANING = {
    "ch_symbol": "symbol",
    "ch_isin": "isin",
    "ch_series": "series",
    "ch_timestamp": "timestamp",
    "ch_opening_price": "open",
    "ch_trade_high_price": "high",
    "ch_trade_low_price": "low",
    "ch_closing_price": "close",
    "ch_tot_traded_qty": "volume",
}


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """By the columns."""
    return set(names) >= set(_MEANING)


def as_rows(rows: RawRows) -> RawRows:
    """The columns under their names, keyed by ISIN; a second moment is midnight in UTC of the evening before."""
    table = renamed(rows.columns.select(list(_MEANING)), list(_MEANING.values()))
    return keyed_by_isin(replace(rows, columns=table, with_series=True))


def identity(path: str) -> str | None:
    """None: every row names its share."""
    return None
