"""The rule that fetching from the broker left no instrument behind.

Belongs here: what the stored results mean for a check. Does not belong here: fetching (``pipeline/fetching.py``).
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.quality.verdict import Rule, Verdict
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.operations import FETCH_STATES
from setbull_pipelines.warehouse.pointers import StoredTable

_STORED = StoredTable("operations", tables.FETCHES)


def _judge(frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings) -> Verdict:
    rows = frames[_STORED.name]
    figures = {state: int((rows["status"] == state).sum()) for state in FETCH_STATES}
    if rows.empty:
        return Verdict(False, "the last fetch was of no instrument", figures)
    failed = rows[rows["status"] == "failed"]
    if failed.empty:
        return Verdict(True, f"all {len(rows)} were fetched or had nothing missing", figures)
    return Verdict(
        False, f"{len(failed)} of {len(rows)} failed; first: {failed['reason'].iloc[0]}", figures
    )


RULES = (
    Rule(
        "no_instrument_failed_to_fetch",
        "The last fetch of every instrument and interval succeeded, or nothing was missing",
        _STORED,
        (_STORED,),
        _judge,
        is_error=False,
    ),
)
