"""What the layouts of the exchange's day files have in common.

Belongs here: keys from ISINs, its way of writing dates, blanks around texts. Does not belong here: a layout
(``layouts/``), judging rows (``candle_files.py``).
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pyarrow
import pyarrow.compute as compute

from setbull_pipelines.sources.number_columns import decoded
from setbull_pipelines.sources.raw_rows import RawRows, texts

_SEGMENT = "NSE_EQ"


def keyed_by_isin(rows: RawRows) -> RawRows:
    """The rows with ``instrument_key`` from the ISIN, or the symbol of a row without one."""
    identifiers = compute.coalesce(decoded(rows.columns["isin"]), decoded(rows.columns["symbol"]))
    keys = compute.binary_join_element_wise(f"{_SEGMENT}|", identifiers, "")
    return replace(rows, columns=rows.columns.add_column(0, "instrument_key", keys))


def with_iso_dates(table: pyarrow.Table) -> pyarrow.Table:
    """``30-JUN-2023`` in column timestamp as ``2023-06-30``; anything else as it was found."""
    found = pd.Series(texts(table["timestamp"]), dtype="str")
    dates = pd.to_datetime(found.str.strip(), format="%d-%b-%Y", errors="coerce")
    written = dates.dt.strftime("%Y-%m-%d").where(dates.notna(), found)
    column = pyarrow.chunked_array([pyarrow.array(written, pyarrow.string())])
    return table.set_column(table.column_names.index("timestamp"), "timestamp", column)


def trimmed(table: pyarrow.Table, name: str) -> pyarrow.Table:
    """The table without blanks around the texts of a column."""
    place = table.column_names.index(name)
    return table.set_column(place, name, compute.utf8_trim_whitespace(decoded(table[name])))
