"""V1 of adjusting: bars from before a split or bonus in prices and share counts of the as-of day.

Belongs here: one action of one instrument after the other. Does not belong here: which actions there are, what is
computed from the bars.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from setbull_pipelines.tables import Kind, Table
from setbull_pipelines.tables.actions import SHARE_ACTIONS
from setbull_pipelines.variants.v1.daily_series import day_of

_WHOLE = (Kind.INTEGER, Kind.NULLABLE_INTEGER)


def adjusted(
    rows: pd.DataFrame, table: Table, actions: pd.DataFrame, as_of: pd.Timestamp
) -> pd.DataFrame:
    """Rows of ``table`` as they look on a day; the contract is in ``variants/protocol.py``."""
    known = actions[actions["ex_date"] <= day_of(as_of)]
    days = rows["trading_day"].to_numpy()
    rows_of_instrument = rows.groupby("instrument_key").indices
    price_factor, share_factor = np.ones(len(rows)), np.ones(len(rows))
    latest_first = known.sort_values(["ex_date", "kind"], ascending=False)
    for action in latest_first.itertuples():
        own = rows_of_instrument.get(action.instrument_key, [])
        earlier = [row for row in own if days[row] < action.ex_date]
        price_factor[earlier] *= action.ratio
        if action.kind in SHARE_ACTIONS:
            share_factor[earlier] *= action.ratio
    result = rows.copy()
    present = [column for column in table.columns if column.name in rows.columns]
    for column in present:
        if column.unit == "rupees":
            result[column.name] = rows[column.name] / price_factor
        elif column.unit == "shares" and column.kind in _WHOLE:
            adjusted_shares = (rows[column.name] * share_factor).round()
            result[column.name] = adjusted_shares.astype(column.kind.pandas_dtype)
        elif column.unit == "shares":
            result[column.name] = rows[column.name] * share_factor
    return result
