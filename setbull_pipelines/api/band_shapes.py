"""The answers of the band-width dashboard as types. Names and envelopes are those of the replaced system.

Belongs here: names and types of JSON values of ``/bbw``. Does not belong here: other answers (``shapes.py``), finding
the values (``bands.py``).
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from setbull_pipelines.tables.bb_width import STRENGTHS, TRENDS

BandAlertType = Literal["threshold", "squeeze", "bb_range_contracting", "pattern", "expansion"]


class BandRow(BaseModel):
    """How the width of one stock stands. Widths in rupees with 4 decimals, the distance in percent."""

    symbol: str | None
    instrument_key: str
    current_bb_width: float
    historical_min_bb_width: float | None
    distance_from_min_percent: float | None
    contracting_sequence_count: int
    candles_in_range_count: int | None
    bb_width_trend: Literal[TRENDS]  # type: ignore[valid-type]  # read when the model is made
    alert_triggered: bool
    alert_triggered_at: datetime | None
    alert_type: BandAlertType | None
    alert_message: str | None
    pattern_strength: Literal[STRENGTHS]  # type: ignore[valid-type]
    timestamp: datetime
    last_updated: datetime | None


class _Answer(BaseModel):
    success: Literal[True]
    timestamp: datetime | None


class BandRows(_Answer):
    """Rows of the dashboard. The members beside them differ by path, as they did."""

    data: list[BandRow]
    count: int | None = None
    instrument_key: str | None = None
    days: int | None = None
    message: str | None = None


class OneBandRow(_Answer):
    """The row of one stock."""

    data: BandRow


class BandAlert(BaseModel):
    """One alert. How long its pattern was is not stored."""

    symbol: str | None
    bb_width: float
    lowest_min_bb_width: float | None
    pattern_length: None
    alert_type: BandAlertType
    timestamp: datetime
    group_id: str
    message: str


class BandAlertHistory(_Answer):
    """Alerts, how many this answer holds, and how many there are without the conditions."""

    data: list[BandAlert]
    count: int
    total: int


class _Extent(BaseModel):
    total_stocks: int
    min_bb_width: float | None
    max_bb_width: float | None
    avg_bb_width: float | None


class Stats(_Extent):
    """Counts of the monitored stocks, and the newest alerts."""

    alerted_stocks: int
    contracting_count: int
    expanding_count: int
    stable_count: int
    recent_alerts: list[BandAlert]
    total_alerts: int


class BandStats(_Answer):
    """The counts in their envelope."""

    data: Stats


class Statistics(_Extent):
    """Distributions of the monitored stocks. The volatility of the market was a constant and is null."""

    alert_distribution: dict[str, int]
    trend_distribution: dict[str, int]
    market_volatility: None
    squeeze_opportunities: int


class BandStatistics(_Answer):
    """The distributions in their envelope."""

    data: Statistics


class Market(BaseModel):
    """The exchange now, and the newest data. Minutes are -1 where there is none."""

    market_open: bool
    current_time: str
    current_time_ist: str
    market_hours: str | None
    last_data_timestamp: datetime | None
    last_data_age_minutes: int


class MarketStatus(BaseModel):
    """The status in its envelope."""

    success: Literal[True]
    data: Market
    message: str
