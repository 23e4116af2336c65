"""The exchange's own day files (bhavcopy) of the cash market, in the layout until July 2024 and in UDiFF since.

Belongs here: recognising the two layouts and naming their columns as candle files do. Does not belong here:
reading bytes (``raw_rows.py``), judging rows (``candle_files.py``).
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pyarrow
import pyarrow.compute as compute

from setbull_pipelines.sources.candle_files import EQUITY_SEGMENT
from setbull_pipelines.sources.raw_rows import RawRows, UnreadableFile, texts

SERIES = "EQ"
"""Ordinary shares and exchange-traded funds in the rolling market; a candle is of this series only."""
ORIGIN = {"sgmt": "CM", "src": "NSE"}
"""What a UDiFF file of the cash market says in every row; those of other markets and exchanges look the same."""

_OLD = {"tottrdqty": "volume"}
_UDIFF = {
    "traddt": "timestamp",
    "tckrsymb": "symbol",
    "sctysrs": "series",
    "opnpric": "open",
    "hghpric": "high",
    "lwpric": "low",
    "clspric": "close",
    "ttltradgvol": "volume",
}
_OLD_COLUMNS = {"symbol", "series", "open", "high", "low", "close", "timestamp", "isin", *_OLD}
_UDIFF_COLUMNS = {"isin", *ORIGIN, *_UDIFF}


def is_bhavcopy(names: list[str]) -> bool:
    """Whether a file with these columns is a day file of the exchange."""
    return set(names) >= _OLD_COLUMNS or set(names) >= _UDIFF_COLUMNS


def as_candles(rows: RawRows) -> RawRows:
    """The rows under the names of candle files, with ``instrument_key`` from the ISIN and ISO dates.

    Raises :class:`UnreadableFile` for a UDiFF file of another market or exchange.
    """
    is_udiff = set(rows.names) >= _UDIFF_COLUMNS
    if is_udiff:
        for name, expected in ORIGIN.items():
            found = set(texts(rows.columns[name]))
            if found != {expected}:
                raise UnreadableFile(
                    f"found a bhavcopy with {', '.join(sorted(map(str, found)))} in column {name}, expected "
                    f"{expected}, the cash market of NSE"
                )
    new_names = _UDIFF if is_udiff else _OLD
    # The old layout ends its header with a comma, which makes a column without a name.
    table = rows.columns.select([name for name in rows.names if name])
    table = table.rename_columns([new_names.get(name, name) for name in table.column_names])
    table = table.set_column(
        table.column_names.index("timestamp"), "timestamp", _iso_dates(table["timestamp"])
    )
    identifiers = compute.coalesce(table["isin"], table["symbol"])
    keys = compute.binary_join_element_wise(f"{EQUITY_SEGMENT}|", identifiers, "")
    return replace(rows, columns=table.add_column(0, "instrument_key", keys))


def _iso_dates(column: pyarrow.ChunkedArray) -> pyarrow.ChunkedArray:
    """``30-JUN-2023`` as ``2023-06-30``; anything else as it was found."""
    found = pd.Series(texts(column), dtype="str")
    dates = pd.to_datetime(found, format="%d-%b-%Y", errors="coerce")
    written = dates.dt.strftime("%Y-%m-%d").where(dates.notna(), found)
    return pyarrow.chunked_array([pyarrow.array(written, pyarrow.string())])
