"""The rule that every bar is what its own minutes give, so that two variants that err alike are found out bar by bar.

Belongs here: which minutes belong to which bar, and the verdict. Does not belong here: the statement
(``warehouse/aggregates.py``), making bars (``variants/``).
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.quality.raw import CANDLES_1MIN
from setbull_pipelines.quality.verdict import Rule, Verdict, not_judged
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.columns import MINUTES
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.warehouse.aggregates import COMPARED, MINUTES_OF_A_DAY, wrong_bars
from setbull_pipelines.warehouse.pointers import StoredTable

Frames = Mapping[str, pd.DataFrame]
_SHOWN = 3


def bars_follow_from_minutes(candles: StoredTable) -> Rule:
    """Said in SQL, which neither variant uses: every value of every bar is that of its own minutes."""
    of_days = candles.table is tables.CANDLES_DAILY

    def judge(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
        bars, minutes = frames[candles.name], frames[CANDLES_1MIN.name]
        intervals = [(0, MINUTES_OF_A_DAY)]
        length = MINUTES_OF_A_DAY
        if of_days:
            bars = bars[bars["series"] == MINUTES]
        else:
            length = settings.aggregation.bar_minutes
            intervals = [
                (_minute(interval.start), _minute(interval.end))
                for interval in NSE.session(day.date()).intervals
            ]
        if (bars.empty and minutes.empty) or not intervals:
            return not_judged(f"no bar and no minute on {day:%Y-%m-%d}")
        wrong = wrong_bars(
            bars,
            minutes,
            day.tz_localize(INDIA),
            intervals,
            length,
            settings.aggregation.untraded_minutes == "include",
        )
        metadata = {"bars": len(bars), "bars wrong": len(wrong)}
        if not wrong:
            cells = len(bars) * len(COMPARED)
            return Verdict(
                True, f"{cells:,} values of {len(bars):,} bars are those of their minutes", metadata
            )
        shown = "; ".join(
            f"{bar.instrument_key} {bar.minute // 60:02}:{bar.minute % 60:02}, "
            f"{bar.column or 'the bar'}: found {bar.found}, expected {bar.expected}"
            for bar in wrong[:_SHOWN]
        )
        more = f" and {len(wrong) - _SHOWN:,} more" if len(wrong) > _SHOWN else ""
        return Verdict(
            False, f"{len(wrong):,} bars differ from their minutes: {shown}{more}", metadata
        )

    return Rule(
        "bars_follow_from_minutes",
        "Prices, volume, open interest and traded minutes of every bar are those of its own minutes, added up in SQL",
        candles,
        (candles, CANDLES_1MIN),
        judge,
    )


def _minute(clock: datetime.time) -> int:
    return clock.hour * 60 + clock.minute
