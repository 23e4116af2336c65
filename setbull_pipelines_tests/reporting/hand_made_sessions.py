"""Three months of sessions with everything that the page of all sessions can show."""

from __future__ import annotations

from datetime import date

import pandas as pd

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.reporting.overview import Sessions

DAYS = [str(day) for day in NSE.trading_days(date(2026, 4, 1), date(2026, 6, 30))]
TABLES = ("candles_5min", "indicators_5min")
LAST = DAYS[-1]


def frame(columns: str, rows: list[tuple]) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=["trading_day", *columns.split()])
    return made.assign(trading_day=pd.to_datetime(made["trading_day"]))


def sessions() -> Sessions:
    """Three months; V2 differs on the last day, and one component goes through three stages."""
    stages = ["off", "shadow", *["10"] * (len(DAYS) - 2)]
    return Sessions(
        days=tuple(DAYS),
        reports=frozenset(DAYS[1:]),
        summary=frame(
            "table_name state reason",
            [
                (
                    day,
                    table,
                    *(
                        ("diverged", "4 cells")
                        if (day, table) == (LAST, TABLES[1])
                        else ("pass", "equal")
                    ),
                )
                for day in DAYS
                for table in TABLES
            ],
        ),
        results=frame(
            "verdict stopped_at",
            [
                (day, *row)
                for day in DAYS
                for row in (
                    ("bullish", None),
                    ("rejected", "basic"),
                    ("rejected", "rsi"),
                    ("not enough data", "basic"),
                )
            ]
            + [(LAST, "bearish", None)],
        ),
        accounting=frame("received quarantined", [(LAST, 10, 3), (LAST, 5, 1)]),
        failures=frame("instrument_key", [(LAST, "NSE_EQ|A"), (LAST, "NSE_EQ|A")]),
        alerts=frame(
            "severity title state",
            [
                (LAST, "error", "bars are missing", "open"),
                (LAST, "error", "V2 differed", "recovered"),
            ],
        ),
        rollout=frame(
            "component to_stage verdict reason",
            [
                (day, "indicators", stage, "counted", f"why {stage}")
                for day, stage in zip(DAYS, stages, strict=True)
            ],
        ),
        links={(TABLES[1], LAST): "indicators_5min-2026-06-30.html"},
    )
