"""The contract that V1 and V2 both fulfil: what is called, and what is particular to a call.

Belongs here: signatures, edge cases that concern more than one column, the wording of filter reasons. Does not belong
here: what a column means and its formula, which the modules of ``tables/`` declare beside it (printed in
``docs/definitions.md``), and computing code; V1 and V2 share none.

Every function is pure: frames in, frames out, no clock, no disk, no global state. Input rows may come in
any order; input frames are never changed. Output satisfies the table contract (columns, dtypes, sort
order). An empty input gives an empty output with the right columns.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, Protocol

import pandas as pd

from setbull_pipelines.settings import (
    AggregationSettings,
    BandWidthSettings,
    FilterSettings,
    IndicatorSettings,
    SequenceSettings,
)
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.indicator_columns import PERIODS, Periods

Timeframe = Literal["5minute", "day"]
_WORKERS: ContextVar[int] = ContextVar("workers", default=0)


@contextmanager
def allowing_workers(count: int) -> Iterator[None]:
    """Let an implementation use at most ``count`` threads in this block; 0: as many as there are processors."""
    token = _WORKERS.set(count)
    try:
        yield
    finally:
        _WORKERS.reset(token)


def workers() -> int:
    """Threads that an implementation may use; no value that it computes depends on it."""
    return _WORKERS.get() or os.cpu_count() or 1


class Variant(Protocol):
    """One implementation of the pipeline's computing steps. Times are Asia/Kolkata, bars carry their start."""

    name: str

    def prepare(self) -> None:
        """Do what is done once per process, such as compiling, so that it is not measured as work on some day.

        No result depends on it; calling it again does nothing.
        """
        ...

    def to_5min(
        self,
        candles_1min: pd.DataFrame,
        settings: AggregationSettings = AggregationSettings(),
        as_of: pd.Timestamp | None = None,
    ) -> pd.DataFrame:
        """Aggregate ``raw.candles_1min`` rows of any number of sessions to ``candles_5min``.

        Buckets count ``bar_minutes`` from the start of each session interval (the calendar of
        ``market/``, for the ``session_shape`` of the row, which is one per instrument and day)
        and end with the interval, so the last one can be shorter. Minutes outside the session
        are refused with ValueError: intake has quarantined them. With
        ``untraded_minutes="include"``, and of an index always, every delivered minute counts for
        prices, and minutes_traded still counts those with volume. The volume of a bar is null when
        that of a counted minute is. A bucket without a counted minute has no
        row. With ``as_of``, bars whose end (start + bar length, at most the interval end) is
        later than ``as_of`` are left out.
        """
        ...

    def to_daily(
        self,
        candles_1min: pd.DataFrame,
        candles_daily_history: pd.DataFrame,
        settings: AggregationSettings = AggregationSettings(),
    ) -> pd.DataFrame:
        """Daily candles of both series: 'minutes' by the rules of :meth:`to_5min` over the whole session,
        'exchange' copied from ``raw.candles_daily_history`` (minute counts and is_complete null).

        timestamp is midnight of the trading day.
        """
        ...

    def adjusted(
        self, rows: pd.DataFrame, table: Table, actions: pd.DataFrame, as_of: pd.Timestamp
    ) -> pd.DataFrame:
        """Rows of ``table``, all columns or some, in prices and share counts of the day ``as_of``, in the order given.

        A row is adjusted by the ``actions`` (``raw.corporate_actions``, source not needed) of
        its instrument with trading_day < ex_date <= day of ``as_of``: an action that is
        announced for a later day changes nothing. Columns in rupees are divided by the product
        of their ratios, columns in shares multiplied by the product of those whose kind is in
        SHARE_ACTIONS; whole numbers of shares are rounded, halves to the even number. Products
        start with the latest ex_date, of one date with the last kind by alphabet, so that both
        variants round alike. All other columns stay as they are: ratios, percents and RSI do
        not depend on the scale. A row of ``indicators_daily`` was computed in the prices of its
        own trading_day, so the same rule brings it to those of ``as_of``.
        """
        ...

    def indicators(
        self,
        candles: pd.DataFrame,
        timeframe: Timeframe,
        history_starts: pd.DataFrame | None = None,
        settings: IndicatorSettings = IndicatorSettings(),
        since: pd.Timestamp | None = None,
        periods: Periods = PERIODS,
        actions: pd.DataFrame | None = None,
    ) -> pd.DataFrame:
        """Indicators of ``candles_5min`` or ``candles_daily`` rows: one row per candle given.

        With ``since`` only the rows of trading days from it on, with the values that they have
        among all. ``candles`` can do without the columns that nothing is computed from. Other
        ``periods`` than the columns', as many, are for oracles that publish those alone.
        Runs per instrument (per instrument and series for 'day') over the rows in time order,
        across sessions; VWAP exists for '5minute' only, and is null from the first bar of the day on
        whose volume is null, as volume_ma_10 is with such a bar in its window. bb_width is not the difference of the
        two bands, which keep too few digits where bands are narrow at high prices.

        ``history_starts`` (instrument_key, series, first_trading_day) says where each stored
        series begins; '5minute' uses series 'minutes'; None takes it from ``candles``. An
        instrument is a new listing, for which bars_to_first_values() of ``tables/look_back.py``
        are enough to be warm, when its first_trading_day is later than the earliest
        first_trading_day of the same series (of all instruments) and not earlier than the first
        trading_day in ``candles``. An instrument that ``history_starts`` does not name is not one.

        ``candles`` are adjusted, so a jump that a corporate action explains is none. A bar on
        the ex_date of an action of its instrument whose kind is GENUINE did not jump; nothing
        else is taken from ``actions`` (``raw.corporate_actions``, source not needed). A gap stays
        in the rows until as many bars follow as make a series warm: until then values still
        carry the prices from before it.
        """
        ...

    def bb_width(
        self, indicators_5min: pd.DataFrame, settings: BandWidthSettings = BandWidthSettings()
    ) -> pd.DataFrame:
        """``bb_width_daily``: one row per instrument and trading_day in ``indicators_5min``."""
        ...

    def bb_width_alerts(
        self,
        indicators_5min: pd.DataFrame,
        bb_width_daily: pd.DataFrame,
        as_of: pd.Timestamp,
        settings: BandWidthSettings = BandWidthSettings(),
    ) -> pd.DataFrame:
        """``bb_width_alerts`` of ``as_of``: one row per instrument with a bar on that day.

        ``as_of`` is the naive midnight of the day; the bars are those of ``indicators_5min`` on
        it. The look-back is the rows of ``bb_width_daily`` before it, in rupees of the day
        (:meth:`adjusted`); the caller chooses how many. Two widths are equal, here e = 1e-9
        (SAME_WIDTH), when their difference is below e of them: a <= b means a <= b x (1 + e), a
        < b means a < b x (1 - e). In range of the lowest width m means |w - m| <= m x
        (range_percent / 100 + e). Nothing falls into the first band of a session.

        Rules are asked at every band of the day in time order, with what the columns say as if
        it were the last one: 'range contracting' when contracting_bands >= pattern_bands - 1 and
        it is in range; 'threshold' when it is in range and the band before it in the session is
        not (or there is none); 'pattern' when pattern_strength is strong; 'squeeze' when
        is_squeeze; 'expansion' when bb_width_trend is expanding and that of the band before it
        is not. Without a lowest width no rule is met. The alert of the session is the first band
        that meets any of alert_rules, under the first of them in their order. No later bar
        changes an earlier alert.
        """
        ...

    def moves(
        self,
        candles_daily: pd.DataFrame,
        indicators_daily: pd.DataFrame,
        as_of: pd.Timestamp,
        settings: SequenceSettings = SequenceSettings(),
    ) -> pd.DataFrame:
        """The last ``look_back_days`` daily bars per instrument up to ``as_of`` as ``moves_daily``.

        ``as_of`` is the naive midnight of the day. Series: only one with a bar on ``as_of`` is
        chosen; 'exchange', unless only the bar of 'minutes' has warm indicators or only
        'minutes' has a bar. An instrument without a bar on ``as_of`` in either series has no
        rows. Rows later than ``as_of`` are ignored. The trend is the same on every row. Strength weighs
        the price alone where the mean volume is 0 or a volume is null.

        A computed number within e = 1e-9 of a limit (AT_LIMIT) is at the limit, L: a > L means a
        > L + e |L|, a >= L means a >= L - e |L|, in moves and in filters. So a rise of exactly
        5 %, from one whole number of paise to another, is never above 5 %, however it is rounded.
        """
        ...

    def sequences(self, moves: pd.DataFrame) -> pd.DataFrame:
        """Group consecutive rows of equal is_mamba, per (trading_day, instrument), to ``sequences``.

        total_volume is null when a volume of the run is.
        """
        ...

    def sequence_analysis(
        self,
        moves: pd.DataFrame,
        sequences: pd.DataFrame,
        settings: SequenceSettings = SequenceSettings(),
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """``sequence_analysis`` (one row per instrument and as-of day) and ``sequence_patterns``, of any as-of days.

        Patterns of the current run follow from the moves alone; a move whose is_squeezed is null counts as not
        squeezed. A move without ema_50 is on neither side of it. The sum W of volume_trend is a whole
        number that no rounding touches before the division, for volumes up to 2^58 a day.
        """
        ...

    def filters(
        self,
        candles_daily: pd.DataFrame,
        indicators_daily: pd.DataFrame,
        analysis: pd.DataFrame,
        as_of: pd.Timestamp,
        settings: FilterSettings = FilterSettings(),
        sequence_settings: SequenceSettings = SequenceSettings(),
    ) -> pd.DataFrame:
        """``filter_results`` of ``as_of``: one row per instrument with any row in ``candles_daily`` up to ``as_of``.

        Series as in :meth:`moves`. Stages in order, each only when the one before passed;
        columns of a reached stage are filled as far as their value exists (mamba columns, trend
        to non_mamba_series, belong to the mamba stage). A stage has three answers: a value that
        it asks about and that is null gives 'not enough data', stopped at this stage, MISSING
        with the name of its column (the first in the order named below), after the stage's own
        reasons for too little data.

        start: no bar on ``as_of`` in either series: 'not enough data', stopped_at basic, STALE
        with ``as_of`` and the last day up to it with a bar of the instrument in either series.
        basic: fewer than volume_days bars of the series in ``candles_daily`` up to as_of: 'not
        enough data', TOO_FEW_BARS; the as-of bar's indicators have an unexplained_gap: 'not
        enough data', UNEXPLAINED_GAP. It asks about close and average_volume, and fails, in this
        order, by a close that is too low, a close that is too high, a volume that is too low.
        ema: the as-of bar's indicators not warm: 'not enough data', stopped_at ema, COLD. It asks
        about ema_50 and rsi. rsi: it asks about rsi. mamba: no analysis row or trend_reason not
        null: 'not enough data', stopped_at mamba, COLD_TREND. It asks about mamba_days,
        current_length, longest_mamba_sequence, mamba_sequences, long_gaps and trend, and fails,
        in the order of the formula of mamba_passed, by mamba_ratio, lengths, long_gaps, trend.

        ``reason`` is the reason text of the stage that stopped the chain, or of the mamba stage
        when all passed. basic_threshold is BASIC_THRESHOLD; the other thresholds are the numbers
        of the settings.
        """
        ...


# The wording of filter reasons: str.format templates. Prices and RSI with 2 decimals, percents with 2.
STALE = "data is stale: expected {expected}, have {found}"
TOO_FEW_BARS = "{found} daily bars in the look-back up to {day}, {needed} needed"
MISSING = "{name} is not known"
UNEXPLAINED_GAP = "unexplained gap of {ratio:.4f} on {day}: open to the close before, no corporate action is known"
BASIC_THRESHOLD = (
    "close {minimum_close:.2f} to {maximum_close:.2f}, average volume at least {minimum_volume}"
)
BASIC_CLOSE_LOW = "close {close:.2f} is below {limit:.2f}"
BASIC_CLOSE_HIGH = "close {close:.2f} is above {limit:.2f}"
BASIC_VOLUME_LOW = "average volume {volume} is below {limit}"
BASIC_PASSED = "close {close:.2f} and average volume {volume} are in range"
COLD = "indicators are not warm: {found} daily bars of history"
EMA_BULLISH = "close {close:.2f} is {percent:.2f} % above EMA 50 {ema:.2f}"
EMA_BEARISH = "close {close:.2f} is {percent:.2f} % below EMA 50 {ema:.2f}"
EMA_REJECTED = "close {close:.2f} is within {threshold:.2f} % of EMA 50 {ema:.2f}"
RSI_PASSED = "RSI {rsi:.2f} confirms {side} (limit {limit:.2f})"
RSI_REJECTED = "RSI {rsi:.2f} does not confirm {side} (limit {limit:.2f})"
COLD_TREND = "trend is unknown: fewer than {needed} daily bars with EMA 50 in the look-back"
MAMBA_FEW_DAYS = "{found} mamba days of {days} are fewer than {share:.0f} %"
MAMBA_SHORT = "no run of {needed} days or more"
MAMBA_LONG_GAPS = "{gaps} long gaps for {runs} mamba runs, at most {allowed} allowed"
MAMBA_TREND = "trend {trend} does not confirm {side}"
MAMBA_PASSED = "{found} mamba days of {days}, trend {trend} confirms {side}"
# day, and both days of STALE, are written YYYY-MM-DD; percent in EMA_BULLISH and EMA_BEARISH is the absolute
# deviation x 100;
# threshold in EMA_REJECTED and share in MAMBA_FEW_DAYS are settings x 100; found in COLD is bars_of_history.
