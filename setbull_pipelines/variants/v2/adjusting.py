"""V2 of adjusting: the product of later ratios looked up for all bars at once.

Belongs here: ``adjusted``. Does not belong here: which actions there are, what is computed from the bars.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from setbull_pipelines.tables import Kind, Table
from setbull_pipelines.tables.actions import SHARE_ACTIONS
from setbull_pipelines.variants.v2 import columns
from setbull_pipelines.variants.v2.daily_series import as_of_day


def adjusted(
    rows: pd.DataFrame, table: Table, actions: pd.DataFrame, as_of: pd.Timestamp
) -> pd.DataFrame:
    """Rows of ``table`` in prices and share counts of ``as_of``; see ``Variant.adjusted``."""
    actions = actions[columns.microseconds(actions["ex_date"]) <= as_of_day(as_of)]
    if rows.empty or actions.empty:
        return rows
    actions = actions.sort_values(["instrument_key", "ex_date", "kind"], ascending=False)
    (codes,), instruments = columns.shared_codes(actions["instrument_key"])
    ex_day = columns.microseconds(actions["ex_date"])
    # Of one instrument the latest action comes first, so that each product holds those after it.
    price_factors = actions.groupby(codes)["ratio"].cumprod().to_numpy()
    changes_shares = actions["kind"].isin(SHARE_ACTIONS)
    share_ratio = actions["ratio"].where(changes_shares, 1.0)
    share_factors = share_ratio.groupby(codes).cumprod().to_numpy()

    row_codes = columns.codes_in(instruments, rows["instrument_key"])
    row_days = columns.microseconds(rows["trading_day"])
    # Ascending: the first action after the bar has the product of all that follow.
    keys = columns.bar_key(codes, ex_day)[::-1]
    position = np.searchsorted(keys, columns.bar_key(row_codes, row_days), side="right")
    found = np.minimum(position, len(keys) - 1)
    applies = (position < len(keys)) & (codes[::-1][found] == row_codes)
    price_factor = np.where(applies, price_factors[::-1][found], 1.0)
    share_factor = np.where(applies, share_factors[::-1][found], 1.0)

    changes = {}
    for column in table.columns:
        if column.unit == "rupees":
            changes[column.name] = rows[column.name].to_numpy() / price_factor
        elif column.unit == "shares":
            shares = rows[column.name].to_numpy() * share_factor
            is_whole = column.kind is Kind.INTEGER
            changes[column.name] = np.rint(shares).astype("int64") if is_whole else shares
    return rows.assign(**changes)
