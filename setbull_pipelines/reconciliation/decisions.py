"""What a trader would see differently if V2 replaced V1.

Belongs here: naming the change of a filter decision or of a place in the list. Does not belong here:
filters, comparing cells.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from setbull_pipelines.tables.filters import PASSING_VERDICTS, RANK_ORDER
from setbull_pipelines.tables.reconciliation import (
    ENTERS,
    LEAVES,
    RANK_MOVES,
    REASON_CHANGES,
    RECONCILIATION_DECISIONS,
    VERDICT_CHANGES,
)


def changed_decisions(results: pd.DataFrame, trading_day: pd.Timestamp) -> pd.DataFrame:
    """Return ``RECONCILIATION_DECISIONS`` of instruments whose verdict, reason or rank differs.

    ``results`` has one row per instrument of either side: instrument_key, and verdict, reason and
    mamba_count with _v1 and _v2; null where a side has no row. An instrument that goes from bullish to
    bearish leaves the one and enters the other; ranks of different lists are not compared.
    """
    ranked = results.assign(rank_v1=_ranks(results, "v1"), rank_v2=_ranks(results, "v2"))
    contract = RECONCILIATION_DECISIONS
    given = [name for name in contract.column_names if name in ranked]
    records = [
        {**row._asdict(), "change": change, "trading_day": trading_day}
        for row in ranked[given].itertuples(index=False)
        for change in _changes(row)
    ]
    return contract.conform(pd.DataFrame(records, columns=contract.column_names))


def _ranks(results: pd.DataFrame, side: str) -> pd.Series:
    """Place of each instrument among those with the same passing verdict; null for all others."""
    own = results.rename(columns={f"mamba_count_{side}": "mamba_count"})
    ordered = own.sort_values(list(RANK_ORDER), ascending=list(RANK_ORDER.values()))
    verdicts = ordered[f"verdict_{side}"]
    ranks = ordered.groupby(verdicts).cumcount() + 1
    return ranks.astype("Int64").where(verdicts.isin(PASSING_VERDICTS)).reindex(results.index)


def _changes(row: Any) -> list[str]:  # a row of itertuples(), whose names no type knows
    if _same(row.verdict_v1, row.verdict_v2):
        changes = [] if _same(row.reason_v1, row.reason_v2) else [REASON_CHANGES]
        moves = row.verdict_v1 in PASSING_VERDICTS and row.rank_v1 != row.rank_v2
        return [*changes, RANK_MOVES] if moves else changes
    changes = []
    if row.verdict_v1 in PASSING_VERDICTS:
        changes.append(f"{LEAVES} {row.verdict_v1}")
    if row.verdict_v2 in PASSING_VERDICTS:
        changes.append(f"{ENTERS} {row.verdict_v2}")
    return changes or [VERDICT_CHANGES]


def _same(text_v1: str | None, text_v2: str | None) -> bool:
    return text_v1 == text_v2 or (pd.isna(text_v1) and pd.isna(text_v2))
