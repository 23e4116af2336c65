"""The rule that the daily report says what the served filter results say.

Belongs here: holding both against each other. Does not belong here: reading the file (``reporting/reading.py``).
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.quality.verdict import Rule, Verdict, not_judged
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.filters import PASSING_VERDICTS, RANK_ORDER
from setbull_pipelines.tables.report import REPEATED
from setbull_pipelines.tables.served import SERVED_SCHEMA
from setbull_pipelines.warehouse.pointers import StoredTable

_REPORT = StoredTable(SERVED_SCHEMA, tables.DAILY_REPORT)
_RESULTS = StoredTable(SERVED_SCHEMA, tables.SERVED[tables.FILTER_RESULTS.name])
_COMPARED = [*(column.name for column in REPEATED), "variant"]


def _judge(frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings) -> Verdict:
    says, results = (
        frames[stored.name].set_index("instrument_key") for stored in (_REPORT, _RESULTS)
    )
    if says.empty and results.empty:
        return not_judged("no instrument was served, and none is in the report")
    missing, unknown = results.index.difference(says.index), says.index.difference(results.index)
    common = results.index.intersection(says.index)
    unequal = {
        name: count
        for name in _COMPARED
        if (count := _unequal(says.loc[common, name], results.loc[common, name]))
    }
    listed = says[says["list"].notna()].sort_values("rank", kind="stable")
    expected = results.sort_values([*RANK_ORDER], ascending=[*RANK_ORDER.values()], kind="stable")
    misplaced = [
        verdict
        for verdict in PASSING_VERDICTS
        if listed.index[listed["list"] == verdict].tolist()
        != expected.index[expected["verdict"] == verdict].tolist()
    ]
    told = ", ".join(f"{name} {count:,}" for name, count in unequal.items())
    return Verdict(
        not (len(missing) or len(unknown) or unequal or misplaced),
        f"{len(says):,} instruments in the report; {len(missing):,} are missing, {len(unknown):,} are not in "
        f"{_RESULTS.name}; cells that differ: {told or 'none'}; lists in another order: "
        f"{', '.join(misplaced) or 'none'}",
        {
            "instruments": len(says),
            "with a chart": int(says["has_chart"].sum()),
            **{verdict: int((says["list"] == verdict).sum()) for verdict in PASSING_VERDICTS},
        },
    )


def _unequal(says: pd.Series, results: pd.Series) -> int:
    """Cells that are not the same value, or null on one side only."""
    both = says.notna() & results.notna()
    differ = int((says[both] != results[both]).sum())
    return differ + int((says.isna() != results.isna()).sum())


RULES = (
    Rule(
        "report_says_what_is_served",
        "The written report has every instrument of served.filter_results, once, with the same values, and its lists "
        "have those that passed in the order of their rank",
        _REPORT,
        (_REPORT, _RESULTS),
        _judge,
    ),
)
