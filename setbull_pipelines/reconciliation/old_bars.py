"""The old system's five-minute bars against V1's, cell by cell, each difference with the cause that explains its value.

Belongs here: what the old code would have stored instead, computed from V1's bars and the raw minutes. Does not belong
here: counting (``old_finding.py``), reading tables.

A cause is named only where the old value is what that cause gives, to the digits that the old table kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from setbull_pipelines.reconciliation.old_finding import UNKNOWN, Finding, differences

TABLE = "stock_candle_data_5min"
PRICES = ("open", "high", "low", "close")
COUNTS = ("volume", "open_interest")
INDICATORS = (
    "ma_9",
    "ema_5",
    "ema_9",
    "ema_20",
    "ema_50",
    "rsi",
    "atr",
    "bb_upper",
    "bb_middle",
    "bb_lower",
    "bb_width",
    "bb_width_normalized",
    "bb_width_normalized_percentage",
    "vwap",
)
"""Without lowest_bb_width: it was 0, or a constant from a file (D13), and has no counterpart in a bar."""
_PRICE_DIGITS, _INDICATOR_DIGITS = 2, 4
_HALF = 0.501
"""In units of the last digit: values that are added up in another order are rounded apart at its middle."""
_DAY = pd.Timedelta(hours=24)
_SAMPLE = np.sqrt(20 / 19)
_KEY = ["instrument_key", "timestamp"]

UNKNOWN_AS_ZERO = "0 was written where nothing was known (rows 2 and 24, D6)"
NULL = "was never written (row 17, D6)"
PARTIAL = "the last bar of a run was stored from its first minute (row 44, D6)"
DOUBLED = "the first minute was counted twice (D6)"
OI_LOST = "open interest was lost (row 30)"
OI_ZERO = "no open interest was written as 0"
OI_SUMMED = "open interest was summed over the minutes (row 30)"
RS = "holds the ratio RS, not RSI (rows 18 and 19, D2)"
HIGH_LOW = "holds high - low of the bar (row 23, D3)"
SAMPLE = "deviation was divided by 19, not 20 (row 1)"
AHEAD = "runs backward in time, over bars that follow (rows 10 and 11, D1)"
VWAP_AHEAD = "runs backward in time, over closes that follow (rows 7 and 9, D1)"
VWAP_CLOSE = "made of closes, not of typical prices (row 9)"
EMA_START = "starts from the first close of 24 hours (row 14, D6)"
RATIO = "holds the ratio of width and middle, not rupees (row 3)"
CAPPED = "was capped (rows 3 to 5)"
EMA_OF_DAY = "starts with the bars of the day, without history (rows 14 and 35)"


def compare_bars(
    old: pd.DataFrame,
    candles: pd.DataFrame,
    indicators: pd.DataFrame,
    before: pd.DataFrame,
    minutes: pd.DataFrame,
) -> Finding:
    """The old bars of one day (active ones) against ``v1.candles_5min`` and ``v1.indicators_5min`` of it.

    ``before`` are V1's bars of the session before (the old look-back was 24 hours), ``minutes`` the raw minutes of the
    day. ``old`` has ``moment`` in exchange time and its columns as text.
    """
    old = _typed(old)
    own = candles.merge(indicators[[*_KEY, *INDICATORS]], on=_KEY, how="left")
    both = own.merge(old, on=_KEY, how="outer", suffixes=("", "_old"), indicator=True)
    both = both.sort_values(_KEY, ignore_index=True).assign(at=lambda rows: rows["timestamp"])
    finding = Finding()
    matched = both[both["_merge"] == "both"].reset_index(drop=True)
    finding.cells = finding.equal = 0
    for side, name, cause in (("right_only", "old", _only_old), ("left_only", "v1", _only_v1)):
        rows = both[both["_merge"] == side]
        if len(rows):
            in_old, in_v1 = ("a row", None) if name == "old" else (None, "a row")
            found = differences(
                *(TABLE, rows, "row"),
                [in_old] * len(rows),
                [in_v1] * len(rows),
                cause(rows, old, minutes),
            )
            finding.differences.append(found)
            finding.cells += len(rows)
    bars = _as_the_old_code_would(own, before, minutes)
    matched = matched.merge(bars, on=_KEY, how="left")
    for column in (*PRICES, *COUNTS, *INDICATORS):
        if f"{column}_old" not in matched:
            continue
        found, v1 = matched[f"{column}_old"], matched[column].astype("float64")
        digits = _INDICATOR_DIGITS if column in INDICATORS else _PRICE_DIGITS
        same = _same(found, v1, digits) | (found.isna() & v1.isna())
        finding.cells += len(matched)
        finding.equal += int(same.sum())
        rows = matched[~same]
        if len(rows):
            causes = _causes(rows, column, digits)
            finding.differences.append(
                differences(TABLE, rows, column, rows[f"{column}_old"], rows[column], causes)
            )
    return finding


def _typed(old: pd.DataFrame) -> pd.DataFrame:
    active = old.get("active")
    if active is not None:
        old = old[~active.isin(["0", "false", "False"])]
    numbers = [name for name in (*PRICES, *COUNTS, *INDICATORS) if name in old]
    typed = old[["instrument_key", "moment", *numbers]].rename(columns={"moment": "timestamp"})
    for name in numbers:
        typed[name] = pd.to_numeric(typed[name], errors="coerce")
    typed["timestamp"] = typed["timestamp"].astype("datetime64[us, Asia/Kolkata]")
    # An unequal column of one side only would not get a suffix.
    renamed = typed.rename(columns={name: f"{name}_old" for name in numbers})
    return renamed.drop_duplicates(_KEY, keep="last")


def _same(one: pd.Series, other: pd.Series, digits: int) -> pd.Series:
    """Equal as far as the old table kept digits."""
    return (one - other).abs() <= _HALF * 10.0**-digits


def _only_old(rows: pd.DataFrame, old: pd.DataFrame, minutes: pd.DataFrame) -> list[str]:
    clock = rows["timestamp"].dt.hour * 60 + rows["timestamp"].dt.minute
    traded = set(minutes.loc[minutes["volume"] > 0, "instrument_key"])
    stored = set(minutes["instrument_key"])
    causes = []
    for key, minute in zip(rows["instrument_key"], clock, strict=True):
        if 3 * 60 + 45 <= minute < 9 * 60 + 15:
            causes.append("wall-clock time was read in another zone (row 32, D40)")
        elif not 9 * 60 + 15 <= minute < 15 * 60 + 30:
            causes.append("a bar outside the session (row 45)")
        elif key not in stored:
            causes.append("its minutes were not imported or are in quarantine")
        elif key not in traded:
            causes.append("a bar of minutes without a trade, which V1 leaves out")
        else:
            causes.append("a bar that V1 makes none of: its minutes have no trade or are not there")
    return causes


def _only_v1(rows: pd.DataFrame, old: pd.DataFrame, minutes: pd.DataFrame) -> list[str]:
    known = set(old["instrument_key"])
    return [
        "the old system stored other bars of this day only (row 38, D6)"
        if key in known
        else "the day was not aggregated (D8)"
        for key in rows["instrument_key"]
    ]


def _as_the_old_code_would(
    own: pd.DataFrame, before: pd.DataFrame, minutes: pd.DataFrame
) -> pd.DataFrame:
    """Per bar of V1, under names with ``would_``: what each known fault gives."""
    first = minutes.assign(bar=lambda rows: rows["timestamp"].dt.floor("5min")).sort_values(
        ["instrument_key", "timestamp"]
    )
    first = first.drop_duplicates(["instrument_key", "bar"])
    sums = (
        minutes.assign(timestamp=minutes["timestamp"].dt.floor("5min"))
        .groupby(_KEY)["open_interest"]
        .sum(min_count=1)
        .rename("would_oi")
        .astype("float64")
        .reset_index()
    )
    names = {name: f"first_{name}" for name in (*PRICES, "volume")}
    first = first[["instrument_key", "bar", *names]].rename(columns={**names, "bar": "timestamp"})
    bars = own.merge(first, on=_KEY, how="left").merge(sums, on=_KEY, how="left")
    earlier = dict(list(before.groupby("instrument_key")))
    parts = []
    for key, rows in bars.sort_values(_KEY).groupby("instrument_key", sort=False):
        parts.append(_of_instrument(rows, earlier.get(key)))
    would = pd.concat(parts, ignore_index=True) if parts else bars.assign(would_rs=np.nan)
    return would[[name for name in would if name.startswith(("would_", "first_")) or name in _KEY]]


def _of_instrument(rows: pd.DataFrame, earlier: pd.DataFrame | None) -> pd.DataFrame:
    count = len(rows)
    history = rows if earlier is None else pd.concat([earlier.sort_values("timestamp"), rows])
    closes = history["close"].to_numpy("float64")
    times = history["timestamp"].astype("int64").to_numpy()
    start = np.searchsorted(times, times - int(_DAY.total_seconds() * 1_000_000))
    places = np.arange(len(closes))
    made: dict[str, np.ndarray] = {}
    for period in (5, 9, 20, 50):
        alpha = 2 / (period + 1)
        whole = _recursion(closes, alpha)
        decay = (1 - alpha) ** (places - start)
        made[f"would_ema_{period}"] = (whole + decay * (closes[start] - whole[start]))[-count:]
        of_day = history["close"].to_numpy("float64")[-count:]
        made[f"would_ema_{period}_of_day"] = _recursion(of_day, alpha)
        made[f"would_ema_{period}_seeded"] = _seeded(of_day, period)
    made["would_rs"] = _old_rs(closes, start)[-count:]
    close, volume = (
        rows[name].to_numpy("float64", na_value=np.nan) for name in ("close", "volume")
    )
    backward = np.cumsum((close * volume)[::-1])[::-1], np.cumsum(volume[::-1])[::-1]
    forward = np.cumsum(close * volume), np.cumsum(volume)
    next_close = np.append(rows["first_close"].to_numpy("float64")[1:], np.nan)
    first_volume = rows["first_volume"].to_numpy("float64", na_value=np.nan)
    next_volume = np.append(first_volume[1:], np.nan)
    # While a bar is the second newest, the newest is the first minute of the next one.
    made["would_vwap_pair"] = (close * volume + next_close * next_volume) / (volume + next_volume)
    counted = volume + first_volume
    made["would_vwap_doubled"] = (close * counted + next_close * next_volume) / (
        counted + next_volume
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        made["would_vwap_ahead"] = backward[0] / backward[1]
        made["would_vwap_close"] = forward[0] / forward[1]
    made["would_ma_pair"] = (close + next_close) / 2
    for length in range(1, 10):
        ahead = np.full(count, np.nan)
        if count >= length:
            sums = np.convolve(close, np.ones(length), "valid") / length
            ahead[: len(sums)] = sums
        made[f"would_ma_{length}"] = ahead
    return rows.assign(**made)


def _recursion(values: np.ndarray, alpha: float) -> np.ndarray:
    result = np.empty(len(values))
    average = values[0] if len(values) else np.nan
    for place, value in enumerate(values.tolist()):
        average += alpha * (value - average)
        result[place] = average
    return result


def _seeded(values: np.ndarray, period: int) -> np.ndarray:
    """From the mean of the first values; a period that is longer than the values counts as their number."""
    period = min(period, len(values))
    result = np.full(len(values), np.nan)
    if period:
        rest = np.concatenate([[values[:period].mean()], values[period:]])
        result[period - 1 :] = _recursion(rest, 2 / (period + 1))
    return result


def _old_rs(closes: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Average gain over average loss from ``start`` on: the first of them 0, a growing mean of 14, then Wilder's."""
    change = np.diff(closes, prepend=closes[:1])
    found = []
    for moves in (np.maximum(change, 0), np.maximum(-change, 0)):
        place = np.arange(len(moves))
        sums = np.concatenate([[0.0], np.cumsum(moves)])
        sums_of_window = sums[place + 1] - sums[start + 1]
        length = place - start + 1
        mean = sums_of_window / np.minimum(length, 14)
        last = np.minimum(start + 13, place)
        seed = (sums[last + 1] - sums[start + 1]) / 14
        whole = _recursion(moves, 1 / 14)
        wilder = whole + (13 / 14) ** (place - last) * (seed - whole[last])
        found.append(np.where(length <= 14, mean, wilder))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.round(found[0] / found[1], 2)


def _causes(rows: pd.DataFrame, column: str, digits: int) -> list[str]:
    """The first cause that gives the old value, for every row."""
    old = rows[f"{column}_old"]
    v1 = rows[column].astype("float64")
    checks: list[tuple[str, pd.Series]] = []

    def check(cause: str, value: pd.Series | np.ndarray, kept: int = digits) -> None:
        checks.append((cause, _same(old, pd.Series(value, rows.index).astype("float64"), kept)))

    if column in PRICES:
        partial = _is_partial(rows)
        checks.append((PARTIAL, partial))
    elif column == "volume":
        checks.append((PARTIAL, _is_partial(rows)))
        check(DOUBLED, v1 + rows["first_volume"])
    elif column == "open_interest":
        checks.append((OI_LOST, ((old == 0) | old.isna()) & (v1.fillna(0) != 0)))
        checks.append((OI_ZERO, (old == 0) & v1.isna()))
        check(OI_SUMMED, rows["would_oi"])
    else:
        checks.append((UNKNOWN_AS_ZERO, old == 0))
        checks.append((NULL, old.isna()))
        for cause, value in _OF_COLUMN.get(column, lambda rows: {})(rows).items():
            check(cause.partition("|")[0], value)
        if column in ("bb_width", "bb_width_normalized", "bb_width_normalized_percentage"):
            limit = {"bb_width": 100, "bb_width_normalized": 10}.get(column, 1000)
            checks.append((CAPPED, (old == limit) & (v1 > limit)))
    causes = pd.Series(UNKNOWN, rows.index)
    for cause, holds in reversed(checks):
        causes = causes.mask(holds, cause)
    return causes.tolist()


def _is_partial(rows: pd.DataFrame) -> pd.Series:
    holds = pd.Series(True, rows.index)
    for name in (*PRICES, "volume"):
        holds &= _same(rows[f"{name}_old"], rows[f"first_{name}"].astype("float64"), 2)
    return holds


def _of_bands(sign: int) -> Callable[[pd.DataFrame], Mapping[str, pd.Series]]:
    def would(rows: pd.DataFrame) -> Mapping[str, pd.Series]:
        half = rows["bb_width"] / 2 * _SAMPLE
        return {SAMPLE: rows["bb_middle"] + sign * half}

    return would


def _of_average(rows: pd.DataFrame) -> Mapping[str, pd.Series]:
    found = {f"{AHEAD}|pair": rows["would_ma_pair"]}
    return found | {f"{AHEAD}|{length}": rows[f"would_ma_{length}"] for length in range(1, 10)}


def _of_ema(period: int) -> Callable[[pd.DataFrame], Mapping[str, pd.Series]]:
    return lambda rows: {
        EMA_START: rows[f"would_ema_{period}"],
        f"{EMA_OF_DAY}|first": rows[f"would_ema_{period}_of_day"],
        f"{EMA_OF_DAY}|mean": rows[f"would_ema_{period}_seeded"],
    }


_OF_COLUMN: Mapping[str, Callable[[pd.DataFrame], Mapping[str, pd.Series]]] = {
    **{f"ema_{period}": _of_ema(period) for period in (5, 9, 20, 50)},
    "rsi": lambda rows: {RS: rows["would_rs"]},
    "atr": lambda rows: {HIGH_LOW: rows["high"] - rows["low"]},
    "ma_9": _of_average,
    "vwap": lambda rows: {
        f"{VWAP_AHEAD}|pair": rows["would_vwap_pair"],
        f"{VWAP_AHEAD}|doubled": rows["would_vwap_doubled"],
        f"{VWAP_AHEAD}|day": rows["would_vwap_ahead"],
        f"{VWAP_AHEAD}|own": rows["close"],
        VWAP_CLOSE: rows["would_vwap_close"],
    },
    "bb_upper": _of_bands(1),
    "bb_lower": _of_bands(-1),
    "bb_width": lambda rows: {
        f"{SAMPLE}": rows["bb_width"] * _SAMPLE,
        f"{RATIO}|n": rows["bb_width"] / rows["bb_middle"],
        f"{RATIO}|n-1": rows["bb_width"] * _SAMPLE / rows["bb_middle"],
    },
    "bb_width_normalized": lambda rows: {SAMPLE: rows["bb_width_normalized"] * _SAMPLE},
    "bb_width_normalized_percentage": lambda rows: {
        SAMPLE: rows["bb_width_normalized_percentage"] * _SAMPLE
    },
}
"""By column, the value that each cause gives; what follows a bar tells values of one cause apart."""
