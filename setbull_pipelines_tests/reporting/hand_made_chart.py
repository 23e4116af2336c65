"""The chart of a stock that nobody traded: two sessions of five-minute bars, thirty of days, made by hand.

Belongs here: frames as they are stored. Does not belong here: assertions.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.reporting.stock_chart import (
    DAY,
    FIVE_MINUTES,
    Bars,
    Session,
    StockChart,
    drawn_columns,
)

KEY, SYMBOL = "NSE_EQ|INE000A01001", "HANDMADE"
LAST = date(2026, 6, 30)
DAYS = NSE.trading_days(date(2026, 5, 15), LAST)
ZONE = "Asia/Kolkata"


def bars(timeframe: str) -> pd.DataFrame:
    """A price that goes up by a rupee a bar, with indicators that are the price and a bit."""
    if timeframe == DAY:
        moments = pd.DatetimeIndex(DAYS).tz_localize(ZONE)
    else:
        moments = pd.DatetimeIndex(
            np.concatenate(
                [
                    pd.date_range(f"{day} 09:15", f"{day} 15:25", freq="5min").to_numpy()
                    for day in DAYS[-2:]
                ]
            )
        ).tz_localize(ZONE)
    close = 100.0 + np.arange(len(moments))
    values = {
        column.name: close + number * 0.5
        for number, column in enumerate(drawn_columns(timeframe)[5:], 1)
    }
    frame = pd.DataFrame(
        {
            "instrument_key": KEY,
            "timestamp": moments,
            "trading_day": moments.tz_localize(None).normalize(),
            "open": close - 0.5,
            "high": close + 1,
            "low": close - 1,
            "close": close,
            "volume": pd.array(1000 * np.arange(1, len(moments) + 1), dtype="Int64"),
            **values,
        }
    )
    return frame.assign(rsi=40 + np.arange(len(frame)) % 20)


def minutes(day: date, *missing: str) -> pd.DataFrame:
    """All minutes of a session but those that are ``missing`` (HH:MM)."""
    moments = pd.date_range(f"{day} 09:15", f"{day} 15:29", freq="1min", tz=ZONE)
    moments = moments[~moments.strftime("%H:%M").isin(missing)]
    return pd.DataFrame(
        {"timestamp": moments, "trading_day": pd.Timestamp(day), "session_shape": "full"}
    )


def refused(day: date, *records: str) -> pd.DataFrame:
    """Rows of the quarantine."""
    rows = [
        {"trading_day": pd.Timestamp(day), "instrument_key": KEY, "rule": "prices", "record": text}
        for text in records
    ]
    return pd.DataFrame(rows, columns=["trading_day", "instrument_key", "rule", "record"]).assign(
        reason="found high 1 below low 2"
    )


def split(day: date, kind: str = "split", ratio: float = 5.0) -> pd.DataFrame:
    """A corporate action."""
    return tables.CORPORATE_ACTIONS.conform(
        pd.DataFrame(
            {
                "instrument_key": [KEY],
                "ex_date": pd.to_datetime([day]),
                "kind": [kind],
                "ratio": [ratio],
                "source": ["by hand"],
            }
        )
    )


def stock_chart(wrong_rsi: float = 1.0) -> StockChart:
    """The chart of the stock; V2's RSI is ``wrong_rsi`` times that of V1 from the fifth bar on."""

    def both(timeframe: str) -> Bars:
        v1 = bars(timeframe)
        factor = np.where(np.arange(len(v1)) >= 4, wrong_rsi, 1.0)
        return Bars(v1, v1.assign(rsi=v1["rsi"] * factor))

    return StockChart(
        key=KEY,
        symbol=SYMBOL,
        name="Made by hand",
        first=DAYS[0],
        last=LAST,
        bars={DAY: both(DAY), FIVE_MINUTES: both(FIVE_MINUTES)},
        series="exchange",
        sessions=[
            Session(
                day,
                "bullish",
                "all stages passed",
                {"aggregation": "shadow", "indicators": "10", "sequences": "off"},
                {"aggregation": "v1", "indicators": "v2", "sequences": "v1"},
                {"indicators_daily": "diverged" if wrong_rsi != 1 else "pass"},
                f"{day}.html#{SYMBOL}",
                {"indicators_daily": f"indicators_daily-{day}.html"} if wrong_rsi != 1 else {},
            )
            for day in DAYS[-2:]
        ],
        corporate_actions=split(DAYS[10]),
        minutes=pd.concat(
            [
                minutes(DAYS[-2]),
                minutes(LAST, "10:00", "10:01", "10:02", "10:03", "10:04", "10:05", "11:00"),
            ]
        ),
        minute_days=DAYS[-2:],
        quarantined=refused(LAST, f'{{"timestamp": "{LAST}T12:00:00+05:30"}}'),
        overview="index.html",
    )
