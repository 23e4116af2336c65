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
    touched = np.flatnonzero(row_codes >= 0)
    row_codes = row_codes[touched]
    row_days = columns.microseconds(rows["trading_day"])[touched]
    # Ascending: the first action after the bar has the product of all that follow.
    keys = columns.bar_key(codes, ex_day)[::-1]
    position = np.searchsorted(keys, columns.bar_key(row_codes, row_days), side="right")
    action = len(keys) - 1 - np.minimum(position, len(keys) - 1)
    applies = (position < len(keys)) & (codes[action] == row_codes)
    touched, action = touched[applies], action[applies]
    if not len(touched):
        return rows

    changes = {}
    for column in table.columns:
        if column.unit not in ("rupees", "shares") or column.name not in rows:
            continue
        if column.kind is Kind.NULLABLE_INTEGER:
            known = rows[column.name].notna().to_numpy()
            counts = rows[column.name].to_numpy("int64", na_value=0).copy()
            counts[touched] = np.rint(counts[touched] * share_factors[action])
            changes[column.name] = columns.nullable_integers(counts, known)
            continue
        values = rows[column.name].to_numpy(copy=True)
        if column.unit == "rupees":
            values[touched] /= price_factors[action]
        elif column.kind is Kind.INTEGER:
            values[touched] = np.rint(values[touched] * share_factors[action])
        else:
            values[touched] *= share_factors[action]
        changes[column.name] = values
    # The columns as they are: assigning each to a frame would copy it once more.
    columns_of = {name: changes.get(name, rows[name]) for name in rows}
    return pd.DataFrame(columns_of, index=rows.index, copy=False)
