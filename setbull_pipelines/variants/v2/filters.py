"""V2 of the filter stages basic, EMA, RSI and mamba, for all instruments at once.

Belongs here: ``filters``. Does not belong here: wording (``variants/protocol.py``), thresholds
(``settings/computing.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import pandas as pd

from setbull_pipelines.settings import FilterSettings, SequenceSettings
from setbull_pipelines.tables import FILTER_RESULTS
from setbull_pipelines.tables.filters import (
    STAGES,
    VERDICT_BEARISH,
    VERDICT_BULLISH,
    VERDICT_NOT_ENOUGH_DATA,
    VERDICT_REJECTED,
)
from setbull_pipelines.tables.moves import BEARISH, BULLISH
from setbull_pipelines.variants import protocol
from setbull_pipelines.variants.v2 import columns
from setbull_pipelines.variants.v2.daily_series import SERIES, DailyBars, as_of_day, daily_bars

_SIDES = (BEARISH, BULLISH)
_VERDICTS = (VERDICT_BEARISH, VERDICT_BULLISH, VERDICT_REJECTED, VERDICT_NOT_ENOUGH_DATA)
"""The first two are the verdicts of the sides, in their order."""


def filters(
    candles_daily: pd.DataFrame,
    indicators_daily: pd.DataFrame,
    analysis: pd.DataFrame,
    as_of: pd.Timestamp,
    settings: FilterSettings = FilterSettings(),
    sequence_settings: SequenceSettings = SequenceSettings(),
) -> pd.DataFrame:
    """One verdict per instrument on ``as_of``; see ``Variant.filters``."""
    if candles_daily.empty:
        return FILTER_RESULTS.empty()
    day = as_of_day(as_of)
    bars = daily_bars(candles_daily, indicators_daily, day, settings.volume_days)
    rows = len(bars.instruments)
    if not rows:
        return FILTER_RESULTS.empty()
    analysis = analysis[columns.microseconds(analysis["trading_day"]) == day]

    chain = _Chain(rows)
    results = {
        "instrument_key": columns.texts(bars.instruments, np.arange(rows)),
        "trading_day": columns.days(np.full(rows, day)),
        "profile": columns.texts((settings.profile,), np.zeros(rows, dtype="int64")),
        "series": columns.texts(SERIES, bars.series),
    }
    results |= _basic(chain, bars, day, settings)
    results |= _ema(chain, bars, settings)
    results |= _rsi(chain, bars, settings)
    results |= _mamba(chain, bars.instruments, analysis, settings, sequence_settings)
    results |= chain.results()
    return pd.DataFrame({name: results[name] for name in FILTER_RESULTS.column_names})


@dataclass(frozen=True)
class _Answer:
    """One way out of a stage: where it holds (``True``: everywhere), and its reason in words."""

    passes: bool
    where: np.ndarray | bool
    template: str
    values: dict[str, object]


def _passes(where: np.ndarray | bool, template: str, **values: object) -> _Answer:
    return _Answer(True, where, template, values)


def _fails(where: np.ndarray | bool, template: str, **values: object) -> _Answer:
    return _Answer(False, where, template, values)


class _Chain:
    """The state of every instrument in the chain, as columns; each step narrows ``running``."""

    def __init__(self, rows: int) -> None:
        self.running = np.ones(rows, dtype=bool)
        self.side = np.full(rows, -1)
        self._stopped_at = np.full(rows, -1)
        self._verdict = np.full(rows, -1)
        self._passed = {stage: np.zeros(rows, dtype=bool) for stage in STAGES}
        self._decided = {stage: np.zeros(rows, dtype=bool) for stage in STAGES}
        self._reasons = {stage: np.full(rows, None, dtype=object) for stage in STAGES}

    def lack_data(self, stage: str, where: np.ndarray, template: str, **values: object) -> None:
        """End the chain without a decision for the running instruments in ``where``."""
        self._stop(stage, where, VERDICT_NOT_ENOUGH_DATA, template, values)

    def decide(
        self, stage: str, asked: Mapping[str, np.ndarray | pd.Series], *answers: _Answer
    ) -> np.ndarray:
        """Decide a stage for every running instrument; returns those that had all values it asks about.

        ``asked`` are these values by the name of their column: an instrument without one of them lacks data. Each
        other one gets the first of ``answers`` that holds for it. Raises ValueError where none does.
        """
        for name, values in asked.items():
            missing = np.asarray(pd.isna(values), dtype=bool)
            self.lack_data(stage, missing, protocol.MISSING, name=name)
        has_data = self.running.copy()
        open_ = has_data.copy()
        for answer in answers:
            where = open_ & np.asarray(answer.where, dtype=bool)
            open_ &= ~where
            self._decided[stage] |= where
            if answer.passes:
                self._passed[stage] |= where
                self._write(stage, where, answer.template, answer.values)
            else:
                self._stop(stage, where, VERDICT_REJECTED, answer.template, answer.values)
        if open_.any():
            raise ValueError(f"stage {stage}: no answer for {open_.sum()} instruments")
        return has_data

    def side_names(self) -> pd.Series:
        return columns.texts(_SIDES, self.side)

    def results(self) -> dict[str, object]:
        """Verdict, side, stop, and per stage whether it was passed and why."""
        verdict = np.where(self.running, self.side, self._verdict)
        last_stage = np.where(self.running, len(STAGES) - 1, self._stopped_at)
        every_reason = np.stack([self._reasons[stage] for stage in STAGES])
        results: dict[str, object] = {
            "verdict": columns.texts(_VERDICTS, verdict),
            "side": self.side_names(),
            "stopped_at": columns.texts(STAGES, self._stopped_at),
            "reason": _texts(every_reason[last_stage, np.arange(len(last_stage))]),
        }
        for stage in STAGES:
            results[f"{stage}_passed"] = columns.nullable_booleans(
                self._passed[stage], self._decided[stage]
            )
            results[f"{stage}_reason"] = _texts(self._reasons[stage])
        return results

    def _stop(
        self, stage: str, where: np.ndarray, verdict: str, template: str, values: dict[str, object]
    ) -> None:
        where = self.running & where
        self._write(stage, where, template, values)
        self._verdict[where] = _VERDICTS.index(verdict)
        self._stopped_at[where] = STAGES.index(stage)
        self.running &= ~where

    def _write(
        self, stage: str, where: np.ndarray, template: str, values: dict[str, object]
    ) -> None:
        # A text with numbers in it has no column form: one format call per instrument, at most
        # STAGES per instrument, over values that are all computed before.
        listed = [
            value[where].tolist() if isinstance(value, (np.ndarray, pd.Series)) else repeat(value)
            for value in values.values()
        ]
        rows = np.flatnonzero(where)
        self._reasons[stage][rows] = [
            template.format(**dict(zip(values, row, strict=True)))
            # The repeated constants have no end: the rows end the iteration.
            for _, *row in zip(rows, *listed, strict=False)
        ]


def _basic(chain: _Chain, bars: DailyBars, day: int, settings: FilterSettings) -> dict[str, object]:
    stage = "basic"
    day_text = np.datetime_as_string(np.datetime64(day, "us"), "D")
    close = bars.on_as_of_day("close")
    has_volume = (bars.kept == settings.volume_days) & (bars.bars >= settings.volume_days)
    volume = np.zeros(len(close), dtype="int64")
    of_bars, instrument = bars.recent["volume"], bars.recent["instrument"].to_numpy()
    np.add.at(volume, instrument, of_bars.fillna(0).to_numpy("int64"))
    volume //= settings.volume_days
    without_volume = np.zeros(len(close), dtype=bool)
    without_volume[instrument[of_bars.isna()]] = True
    average = columns.nullable_integers(volume, ~without_volume)

    last_day = np.datetime_as_string(bars.last_day.astype("datetime64[us]"), "D")
    chain.lack_data(stage, bars.kept == 0, protocol.STALE, expected=day_text, found=last_day)
    chain.lack_data(
        stage,
        ~has_volume,
        protocol.TOO_FEW_BARS,
        found=bars.bars,
        day=day_text,
        needed=settings.volume_days,
    )
    gap = bars.on_as_of_day("unexplained_gap")
    gap_day = np.datetime_as_string(bars.gap_day(), "D")
    chain.lack_data(stage, ~np.isnan(gap), protocol.UNEXPLAINED_GAP, ratio=gap, day=gap_day)
    minimum, maximum = settings.minimum_close, settings.maximum_close
    minimum_volume = settings.minimum_average_volume
    has_data = chain.decide(
        stage,
        {"close": close, "average_volume": average},
        _fails(close < minimum, protocol.BASIC_CLOSE_LOW, close=close, limit=minimum),
        _fails(close > maximum, protocol.BASIC_CLOSE_HIGH, close=close, limit=maximum),
        _fails(
            volume < minimum_volume, protocol.BASIC_VOLUME_LOW, volume=volume, limit=minimum_volume
        ),
        _passes(True, protocol.BASIC_PASSED, close=close, volume=volume),
    )
    threshold = protocol.BASIC_THRESHOLD.format(
        minimum_close=minimum, maximum_close=maximum, minimum_volume=minimum_volume
    )
    return {
        "close": close,
        "average_volume": columns.nullable_integers(volume, has_data),
        "basic_threshold": columns.texts((threshold,), np.where(has_data, 0, -1)),
    }


def _ema(chain: _Chain, bars: DailyBars, settings: FilterSettings) -> dict[str, object]:
    stage = "ema"
    reached = chain.running.copy()
    close, ema, rsi = (bars.on_as_of_day(name) for name in ("close", "ema_50", "rsi"))
    deviation = columns.divide(close - ema, ema)
    is_cold = ~bars.on_as_of_day("is_warm").astype(bool)
    found = np.nan_to_num(bars.on_as_of_day("bars_of_history")).astype("int64")

    chain.lack_data(stage, is_cold, protocol.COLD, found=found)
    limit = columns.above(settings.ema_deviation)
    bullish, bearish = deviation > limit, deviation < -limit
    values = {"close": close, "percent": np.abs(deviation) * 100, "ema": ema}
    threshold = settings.ema_deviation * 100
    has_data = chain.decide(
        stage,
        {"ema_50": ema, "rsi": rsi},
        _passes(bullish, protocol.EMA_BULLISH, **values),
        _passes(bearish, protocol.EMA_BEARISH, **values),
        _fails(True, protocol.EMA_REJECTED, close=close, threshold=threshold, ema=ema),
    )
    for side, where in ((BULLISH, bullish), (BEARISH, bearish)):
        chain.side[chain.running & where] = _SIDES.index(side)
    return {
        "ema_50": np.where(reached, ema, np.nan),
        "ema_deviation": np.where(reached, deviation, np.nan),
        "ema_threshold": np.where(has_data, settings.ema_deviation, np.nan),
    }


def _rsi(chain: _Chain, bars: DailyBars, settings: FilterSettings) -> dict[str, object]:
    stage = "rsi"
    reached = chain.running.copy()
    rsi = bars.on_as_of_day("rsi")
    is_bullish = chain.side == _SIDES.index(BULLISH)
    limit = np.where(is_bullish, settings.rsi_bullish, settings.rsi_bearish)
    is_enough = rsi >= columns.below(settings.rsi_bullish)
    is_low = rsi <= columns.above(settings.rsi_bearish)
    values = {"rsi": rsi, "side": chain.side_names(), "limit": limit}
    chain.decide(
        stage,
        {"rsi": rsi},
        _passes(np.where(is_bullish, is_enough, is_low), protocol.RSI_PASSED, **values),
        _fails(True, protocol.RSI_REJECTED, **values),
    )
    return {
        "rsi": np.where(reached, rsi, np.nan),
        "rsi_threshold": np.where(reached, limit, np.nan),
    }


def _mamba(
    chain: _Chain,
    instruments: pd.Index,
    analysis: pd.DataFrame,
    settings: FilterSettings,
    sequence_settings: SequenceSettings,
) -> dict[str, object]:
    stage = "mamba"
    look_back = sequence_settings.look_back_days
    row = pd.Index(analysis["instrument_key"]).get_indexer(instruments)
    row = np.where(chain.running, row, -1)
    is_analysed = row >= 0

    known: dict[str, pd.arrays.IntegerArray] = {}

    def integers(name: str) -> np.ndarray:
        values, has_value = np.zeros(len(row), dtype="int64"), is_analysed.copy()
        values[is_analysed] = analysis[name].fillna(0).to_numpy("int64")[row[is_analysed]]
        has_value[is_analysed] = analysis[name].notna().to_numpy()[row[is_analysed]]
        known[name] = columns.nullable_integers(values, has_value)
        return values

    def others(name: str) -> pd.Series:
        return pd.Series(analysis[name].array.take(row, allow_fill=True))

    mamba_days, trend = integers("mamba_days"), others("trend")
    longest = np.maximum(integers("current_length"), integers("longest_mamba_sequence"))
    runs, long_gaps = integers("mamba_sequences"), integers("long_gaps")
    has_days = ~known["mamba_days"].isna()
    ratio = mamba_days / look_back
    allowed = runs // settings.long_gaps_per_mamba_sequences
    side = chain.side_names()

    has_trend = is_analysed & others("trend_reason").isna().to_numpy()
    chain.lack_data(stage, ~has_trend, protocol.COLD_TREND, needed=look_back)
    days = {"found": mamba_days, "days": look_back}
    has_data = chain.decide(
        stage,
        {**known, "trend": trend},
        _fails(
            ratio < settings.mamba_ratio,
            protocol.MAMBA_FEW_DAYS,
            **days,
            share=settings.mamba_ratio * 100,
        ),
        _fails(
            longest < settings.minimum_sequence_length,
            protocol.MAMBA_SHORT,
            needed=settings.minimum_sequence_length,
        ),
        _fails(
            (runs > 1) & (long_gaps > allowed),
            protocol.MAMBA_LONG_GAPS,
            gaps=long_gaps,
            runs=runs,
            allowed=allowed,
        ),
        _fails((trend != side).to_numpy(dtype=bool), protocol.MAMBA_TREND, trend=trend, side=side),
        _passes(True, protocol.MAMBA_PASSED, **days, trend=trend, side=side),
    )
    with_trend = {
        name: np.where((trend == name).to_numpy(dtype=bool), mamba_days, 0) for name in _SIDES
    }
    return {
        "mamba_ratio": np.where(has_days, ratio, np.nan),
        "mamba_threshold": np.where(has_data, settings.mamba_ratio, np.nan),
        "trend": trend,
        "mamba_count": known["mamba_days"],
        "bullish_mamba_count": columns.nullable_integers(with_trend[BULLISH], has_days),
        "bearish_mamba_count": columns.nullable_integers(with_trend[BEARISH], has_days),
        "average_mamba_length": others("average_mamba_length"),
        "average_non_mamba_length": others("average_non_mamba_length"),
        "mamba_series": others("mamba_series"),
        "non_mamba_series": others("non_mamba_series"),
    }


def _texts(values: np.ndarray) -> pd.Series:
    return pd.Series(values, dtype="str")
