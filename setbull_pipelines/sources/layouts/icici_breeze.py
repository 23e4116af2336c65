"""Candles of ICICI Breeze: ``Success`` is a list of objects, with ``stock_code`` and local time without offset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from setbull_pipelines.sources.file_names import instrument_in
from setbull_pipelines.sources.layouts import Sample, plain
from setbull_pipelines.sources.raw_rows import RawRows

NAME = "ICICI Breeze"
_OWN_CODES = (
    "stock_code is ICICI's own name of a stock, RELIND for RELIANCE, and is taken as the symbol: the exchange's, where "
    "it differs, is given by an alias"
)
_COLUMNS = {"datetime", "stock_code", "exchange_code", "open", "high", "low", "close", "volume"}


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """By the columns."""
    return set(names) >= _COLUMNS


def as_rows(rows: RawRows) -> RawRows:
    """The columns under their names; what is only of derivatives is left out."""
    plain.refuse_contracts(rows)
    table = rows.columns.drop_columns(
        [
            name
            for name in rows.names
            if name in ("count", "product_type", "expiry_date", "right", "strike_price")
        ]
    )
    rows = plain.as_rows(replace(rows, columns=table))
    return replace(rows, notes=(*rows.notes, _OWN_CODES))


identity = instrument_in
