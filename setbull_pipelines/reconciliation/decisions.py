"""What a trader would see differently if V2 replaced V1.

Belongs here: naming the change of a filter decision. Does not belong here: filters, comparing cells.
"""

from __future__ import annotations

import pandas as pd

from setbull_pipelines.tables.filters import PASSING_VERDICTS
from setbull_pipelines.tables.reconciliation import (
    ENTERS,
    LEAVES,
    REASON_CHANGES,
    RECONCILIATION_DECISIONS,
    VERDICT_CHANGES,
)


def changed_decisions(differing: pd.DataFrame, trading_day: pd.Timestamp) -> pd.DataFrame:
    """Return ``RECONCILIATION_DECISIONS`` of instruments whose verdict or reason differs.

    ``differing`` has instrument_key, verdict_v1, verdict_v2, reason_v1, reason_v2; null where a side
    has no row. An instrument that goes from bullish to bearish leaves the one and enters the other.
    """
    records = [
        {**row._asdict(), "change": change, "trading_day": trading_day}
        for row in differing.itertuples(index=False)
        for change in _changes(row.verdict_v1, row.verdict_v2)
    ]
    contract = RECONCILIATION_DECISIONS
    return contract.conform(pd.DataFrame(records, columns=contract.column_names))


def _changes(verdict_v1: str | None, verdict_v2: str | None) -> list[str]:
    if verdict_v1 == verdict_v2:
        return [REASON_CHANGES]
    changes = []
    if verdict_v1 in PASSING_VERDICTS:
        changes.append(f"{LEAVES} {verdict_v1}")
    if verdict_v2 in PASSING_VERDICTS:
        changes.append(f"{ENTERS} {verdict_v2}")
    return changes or [VERDICT_CHANGES]
