"""The contract that V1 and V2 both fulfil, and the exact definitions that the table contracts leave open.

Belongs here: signatures, definitions in words, the wording of filter reasons. Does not belong here:
computing code; V1 and V2 share none.

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
from setbull_pipelines.tables.indicators import PERIODS, Periods

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
        and end with the interval, so the last one can be shorter. Minutes outside
        the session are refused with ValueError: intake has quarantined them. open and close are
        those of the first and last traded minute, open_interest that of the last traded minute
        that states one, high and low the extremes, volume the sum, null when that of a counted
        minute is. A minute is traded when its volume is known and above 0; with
        ``untraded_minutes="include"``, and of an index always, every delivered minute counts
        for prices and minutes_traded still counts those with volume. A bucket without a counted
        minute has no row. minutes_present counts all delivered minutes, minutes_expected the
        minutes of the bucket inside its interval. With ``as_of``, bars whose end (start + bar
        length, at most the interval end) is later than ``as_of`` are left out.
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

        With ``since`` only the rows of trading days from it on, with the values that they have among all.
        ``candles`` can do without the columns that nothing is computed from. Other ``periods``
        than the columns', as many, are for oracles that publish those alone.
        Runs per instrument (per instrument and series for 'day') over the rows in time order,
        across sessions. Formulas: the column descriptions of ``tables/indicators.py``; they
        equal TA-Lib. VWAP restarts at the first bar of every trading_day and exists for
        '5minute' only; it is null from the first bar of the day on whose volume is null, as
        volume_ma_10 is with such a bar in its window. RSI is 100 when the average loss is 0, 0
        when only the average gain is 0. bb_width is computed as 2 x periods.band_deviations x
        deviation (the rounded bands differ by too few digits on narrow bands at high prices)
        and is exactly 0 for a flat window. Ratios are null where they would divide by 0.

        ``history_starts`` (instrument_key, series, first_trading_day) says where each stored
        series begins; '5minute' uses series 'minutes'; None takes it from ``candles``.
        bars_of_history counts the rows of the instrument in ``candles`` up to and including
        this one. is_warm is True when bars_of_history >= warm_bars(settings.warm_margin_bars) of
        ``tables/look_back.py``, or when the
        instrument is a new listing: its first_trading_day is later than the earliest
        first_trading_day of the same series (of all instruments) and not earlier than the first
        trading_day in ``candles``, and bars_of_history >= bars_to_first_values(). An
        instrument that ``history_starts`` does not name is not a new listing.

        For 'day', a bar jumped when |open / close of the bar before it - 1| >
        settings.maximum_unexplained_gap and that bar's trading_day is at most
        settings.overnight_days calendar days earlier; candles are adjusted, so a jump that a corporate
        action explains is none. unexplained_gap is open / close before of the latest bar that
        jumped among the last warm_bars(...) bars, this one included, unexplained_gap_day
        its trading_day: until as many bars follow, values still carry the prices from before
        it. The first bar of ``candles`` has no bar before it. A bar on the ex_date of an action
        of its instrument whose kind is GENUINE did not jump; nothing else is taken from
        ``actions`` (``raw.corporate_actions``, source not needed).
        """
        ...

    def bb_width(
        self, indicators_5min: pd.DataFrame, settings: BandWidthSettings = BandWidthSettings()
    ) -> pd.DataFrame:
        """``bb_width_daily``: one row per instrument and trading_day in ``indicators_5min``.

        A bar has a band when bb_width is not null and >= minimum_width; all statistics are over
        the bands of the session, null without one. Percentile p of n widths in rising order is
        the one at position floor(p x (n - 1) / 100 + 1/2) from 0, in whole numbers (p x (n - 1)
        + 50) // 100: nearest rank, halves up, never between two widths.
        """
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
        < b means a < b x (1 - e).

        A session of the look-back counts when it has >= minimum_bands bands and p10 >=
        minimum_p10; look_back_sessions is their number. With fewer than minimum_sessions of
        them there is no lowest width: lowest columns, distance, candles_in_range, is_squeeze
        are null and no rule is met. lowest_bb_day is the earliest one with p10 <= the smallest
        p10, lowest_bb_width = m its min_bb_width (so not always the smallest of all, which is
        lowest_bb_width_absolute).

        With w the widths of the day's bands in time order, at each band i: distance = (w_i - m)
        / m x 100. In range: |w_i - m| <= m x (range_percent / 100 + e); candles_in_range counts
        the bands in a row, up to i, that are, at most range_bands. contracting counts the falls
        in a row up to i, w_k < w_(k-1); nothing falls into the first band of a session. trend:
        over the means of the last pattern_bands widths and of as many before them, contracting
        when last < before x (1 - trend_percent / 100), expanding when last > before x (1 +
        trend_percent / 100), else, and with fewer bands, stable. strength: r = (a - w_i) / a x
        100, a the width pattern_bands - 1 bands earlier; strong when contracting >=
        strong_contractions and r > strong_percent, else moderate likewise, else, and without
        such an a, weak. squeeze: w_i <= m.

        A band meets 'range contracting' when contracting >= pattern_bands - 1 and it is in
        range; 'threshold' when it is in range and the band before it in the session is not (or
        there is none); 'pattern' when strong; 'squeeze' as above; 'expansion' when expanding
        and the band before it is not. The alert of the session is the first band that meets
        any of alert_rules, under the first of them in their order; alerting_bands counts the
        bands that do. No later bar changes an earlier alert. The other columns are those of the
        last band; null without a band (alerting_bands is 0).
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
        rows. Rows later than ``as_of`` are ignored.

        move_percent is (close - open) / open x 100 for close > open, else (open - close) /
        close x 100. strength = min(move_percent / 10, 1) x (1 - volume_weight) + min(volume /
        mean volume - 1, 1) x volume_weight, the mean over the rows of the look-back (the day
        included), the second term 0 when the mean is 0 or a volume is null, not clamped below. trend (the same on
        every row): NEUTRAL when there are fewer than ``look_back_days`` rows or any lacks
        ema_50; else BEARISH when days with close < ema_50 / days >= trend_share; else BULLISH
        when days with close >= ema_50 / days >= trend_share; else NEUTRAL. A day is mamba when
        strength >= strength_threshold and (trend BULLISH, close > open, move_percent >
        bullish_move_percent) or (trend BEARISH, close <= open, move_percent >
        bearish_move_percent).

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

        Scores: S are all runs, M the mamba runs. length_score = sum over M of min(length / 5, 1)
        / |S|. strength_score = mean strength of M, 0 without M. consistency_score = 0 when |S| <
        2 or |M| < 2, else max(0, 1 - min(sample variance of the lengths of M / 10, 1)).
        quality_score = 0.3, 0.4, 0.3 of these. continuity_score: 0 when |S| < 2; mean of the gaps
        <= continuity_maximum_gap_days, max(0, 1 - mean / continuity_maximum_gap_days), 0 when
        there is none. predictive_score: 0 when |S| < 3; among i with equal kinds at i and i + 1,
        the share with the same kind at i + 2; 0 when there is none, which is always, since runs
        alternate between the kinds. momentum_score over the last min(5, |S|) runs, j = 1 the
        oldest of them: 0.7 x (sum of strength_j x j / sum of j) + 0.3 x mean strength.
        volume_average is over the moves; it and all columns of volume are null when a volume is;
        volume_strength = sum over M of (mean volume of the run / volume_average) / |S|, 0 when
        volume_average is 0; volume_trend = tanh(s / 1,000,000), s the least-squares slope of
        volume on 0, 1, 2, ..., 0 for fewer than 2 moves: 6 W / (n (n^2 - 1)) with W = sum of (2
        i - (n - 1)) x volume_i, a whole number that no rounding touches before the division
        (volumes up to 2^58 a day); volume_trend_relative = s / volume_average, 0 for fewer than
        2 moves or average 0; volume_consistency = max(0, 1 - min(sample deviation /
        volume_average, 1)), 0 for fewer than 2 moves or average 0. trend_percent is the larger
        of days above and below / days x 100, null when trend_reason is not null; days_above_ema
        and days_below_ema count days with a known ema_50. trend_reason is
        'insufficient_history' when there are fewer than look_back_days moves or any lacks
        ema_50. long_gaps counts NON_MAMBA runs longer than long_run_days.

        Patterns: runs of length >= pattern_minimum_length by (kind, length); order and rank:
        frequency falling, strength falling, kind rising, length rising. average_gap_days,
        success_rate and continuation_rate look only at runs that have a next run. continuation:
        the trend is +1 BULLISH, -1 BEARISH; trend x return_percent of the next run > 0; null
        when NEUTRAL. dominant_pattern: the first in rank order with the largest frequency x
        strength x success_rate, if above 0, written 'MAMBA-3'; dominant_by_continuation the
        same with continuation_rate.
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
        columns of stages not reached are null, columns of a reached stage are filled as far as
        their value exists (mamba columns, trend to non_mamba_series, belong to the mamba
        stage). A stage has three answers: a value that it asks about and that is null gives 'not
        enough data', stopped at this stage, MISSING with the name of its column (the first in the
        order named below), after the stage's own reasons for too little data.

        start: no bar on ``as_of`` in either series: 'not enough data', stopped_at basic, STALE
        with ``as_of`` and the last day up to it with a bar of the instrument in either series.
        basic: fewer than volume_days bars of the series in ``candles_daily`` up to as_of: 'not
        enough data', TOO_FEW_BARS; the as-of bar's indicators have an unexplained_gap: 'not
        enough data', UNEXPLAINED_GAP. It asks about close and average_volume = floor(sum of the
        last volume_days volumes / volume_days). Fails, in this order of checks: close <
        minimum_close, close > maximum_close, average_volume < minimum_average_volume. ema: the
        as-of bar's indicators not warm: 'not enough data', stopped_at ema, COLD. It asks about
        ema_50 and rsi. ema_deviation = (close - ema_50) / ema_50; > threshold: side BULLISH; <
        -threshold: BEARISH; else rejected. rsi: it asks about rsi; BULLISH passes when rsi >=
        rsi_bullish, BEARISH when rsi <= rsi_bearish; else rejected. mamba: no analysis row or
        trend_reason not null: 'not enough data', stopped_at mamba, COLD_TREND. It asks about
        mamba_days, current_length, longest_mamba_sequence, mamba_sequences, long_gaps and trend.
        mamba_ratio = mamba_days / look_back_days. Fails, in this order of checks: mamba_ratio <
        threshold; neither current_length nor longest_mamba_sequence >= minimum_sequence_length;
        mamba_sequences > 1 and long_gaps > floor(mamba_sequences /
        long_gaps_per_mamba_sequences); trend differs from side. All passed: verdict 'bullish' or
        'bearish' by the side. ``reason`` is the reason text of the stage that stopped the chain,
        or of the mamba stage when all passed. bullish_mamba_count is mamba_days when the trend is
        BULLISH, else 0; bearish_mamba_count likewise. <stage>_passed is null when the stage was
        not reached or had not enough data; <stage>_reason is null only when not reached.
        basic_threshold is BASIC_THRESHOLD; ema_threshold, rsi_threshold (of the side),
        mamba_threshold are the numbers of the settings, set when the stage is reached with data
        (rsi_threshold from the RSI stage on).
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
