"""The rules that a single candle must satisfy, on whole columns: moment, series, instrument, numbers.

Belongs here: what is wrong with a row and what was expected. Does not belong here: how moments, numbers and instruments
are written, whole files (``candle_files.py``, ``conventions.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np

from setbull_pipelines.market import session_frames
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.settings import InputSettings
from setbull_pipelines.sources.instrument_columns import Instruments
from setbull_pipelines.sources.moment_texts import NAIVE, UNREADABLE
from setbull_pipelines.sources.moments import (
    DAILY,
    MICROSECONDS_PER_DAY,
    MICROSECONDS_PER_MINUTE,
    Moments,
)
from setbull_pipelines.sources.number_columns import Numbers
from setbull_pipelines.sources.raw_rows import RawRows, texts
from setbull_pipelines.sources.verdicts import Verdicts

PRICE_COLUMNS = ("open", "high", "low", "close")
WRITE_TIMESTAMPS_LIKE = "2025-06-09T09:15:00+05:30"
OTHER_SERIES = "other series"
"""Rule of rows of the exchange's day files that are of none of the wanted series."""
NAIVE_TIMESTAMP = "naive timestamp"
"""Rule of moments whose zone nobody knows."""
_LARGEST_EXACT_INTEGER = 2**53


def judge_moments(verdicts: Verdicts, moments: Moments, kind: str) -> None:
    def where(of_distinct: np.ndarray) -> np.ndarray:
        return moments.spread(of_distinct, False)

    an_example = f"a moment with its offset, such as {WRITE_TIMESTAMPS_LIKE}"
    verdicts.reject(moments.codes == -1, "missing value", "timestamp", an_example)
    verdicts.reject(
        where(moments.status == UNREADABLE),
        "unreadable timestamp",
        "timestamp",
        f"{an_example}, or for daily bars a date such as 2025-06-09",
    )
    verdicts.reject(
        where(moments.status == NAIVE),
        NAIVE_TIMESTAMP,
        "timestamp",
        f"the offset from UTC in it, such as {WRITE_TIMESTAMPS_LIKE} (timezone-aware in Parquet), "
        "or for daily bars a plain date such as 2025-06-09; its zone must be said, since not every row lies in "
        'the exchange\'s hours, or others have an offset: [input] timezone = "Asia/Kolkata" or "UTC" (or --timezone)',
    )
    verdicts.reject(
        where(moments.placement == session_frames.OUTSIDE_COVERAGE),
        session_frames.OUTSIDE_COVERAGE,
        "timestamp",
        f"a day from {NSE.first_day} to {NSE.last_day}, which the {NSE.name} calendar covers",
    )
    verdicts.reject(
        where(moments.placement == session_frames.CLOSED_DAY),
        session_frames.CLOSED_DAY,
        "timestamp",
        lambda day: f"a trading day, but {NSE.name} was closed on {day} ({NSE.why_closed(day)})",
    )
    if kind == DAILY:
        verdicts.reject(
            where(moments.wall_clock % MICROSECONDS_PER_DAY != 0),
            "not at midnight",
            "timestamp",
            "midnight in Asia/Kolkata, the start of a daily bar, as in most rows of this file",
        )
        return
    verdicts.reject(
        where(moments.wall_clock % MICROSECONDS_PER_MINUTE != 0),
        "not on a minute",
        "timestamp",
        "the start of a minute, with 0 seconds",
    )
    for outside in (
        session_frames.PRE_OPEN,
        session_frames.POST_CLOSE,
        session_frames.BETWEEN_INTERVALS,
        session_frames.HOURS_NOT_KNOWN,
    ):
        verdicts.reject(where(moments.placement == outside), outside, "timestamp", _session_hours)


def _session_hours(day: date) -> str:
    intervals = NSE.session(day).intervals
    if not intervals:
        return f"a day whose session hours are known, but those of {day} are not yet"
    hours = " and ".join(f"{part.start:%H:%M} to {part.end:%H:%M}" for part in intervals)
    expected = f"a minute inside the session of {day}, {hours} (end excluded)"
    if NSE.has_closing_auction(day):
        expected += f"; prices of the {closing_auction_hours()} are not continuous trading"
    return expected


def closing_auction_hours() -> str:
    """The closing auction, which the calendar must have, and its hours in words."""
    auction = NSE.closing_auction
    assert auction is not None, "asked of days with a closing auction"
    return f"closing auction from {auction.start:%H:%M} to {auction.end:%H:%M}"


def judge_instruments(verdicts: Verdicts, instruments: Instruments) -> None:
    missing = instruments.codes == -1
    invalid = ~np.append(instruments.valid, [True])[instruments.codes]
    verdicts.reject(missing, "missing value", instruments.column, "the instrument of the candle")
    expected = (
        'a trading symbol, which has letters, digits, & and - only, or with [input] exchange = "BSE" (--exchange '
        "BSE) a number of BSE"
        if instruments.column == "symbol"
        else "SEGMENT|IDENTIFIER with a known segment, such as NSE_EQ|INE002A01018"
    )
    verdicts.reject(invalid, "invalid instrument", instruments.column, expected)
    verdicts.reject(
        instruments.of_rows(instruments.is_contract, False),
        "contracts",
        instruments.column,
        "a share or an index; candles of futures and options are not read",
    )


def judge_series(verdicts: Verdicts, rows: RawRows, reading: InputSettings) -> None:
    found = np.array([(text or "").strip() for text in texts(rows.columns["series"])], object)
    wanted = reading.series
    if len(wanted) == 1:
        expected = (
            f"{wanted[0]}, the only exchange series that candles are made of; [input] series (or "
            "--series) adds others"
        )
    else:
        expected = f"{' or '.join(wanted)}, the exchange series that candles are made of"
    verdicts.reject(~np.isin(found, wanted), OTHER_SERIES, "series", expected)


def judge_prices_and_interest(verdicts: Verdicts, numbers: dict[str, Numbers]) -> None:
    judge_numbers(verdicts, numbers, [name for name in numbers if name != "volume"])


def judge_numbers(verdicts: Verdicts, numbers: dict[str, Numbers], names: Sequence[str]) -> None:
    for name in names:
        column = numbers[name]
        values = column.values
        if name != "open_interest":
            verdicts.reject(column.missing, "missing value", name, "a number")
        verdicts.reject(column.not_a_number, "not a number", name, "a number")
        verdicts.reject(
            ~np.isfinite(values) & ~column.missing, "not finite", name, "a finite number"
        )
        if name in PRICE_COLUMNS:
            verdicts.reject(values <= 0, "not positive", name, "a price above 0")
        else:
            verdicts.reject(values < 0, f"negative {name}", name, "0 or more")
            fractional = (values != np.floor(values)) & np.isfinite(values)
            verdicts.reject(fractional, f"fractional {name}", name, "a whole number")
            verdicts.reject(
                values > _LARGEST_EXACT_INTEGER, f"impossible {name}", name, "at most 2 to the 53"
            )


def judge_shape(verdicts: Verdicts, numbers: dict[str, Numbers]) -> None:
    opened, high, low, close = (numbers[name].values for name in PRICE_COLUMNS)
    verdicts.reject(high < low, "high below low", "high", "a high that is at least the low")
    verdicts.reject(
        (high < opened) | (high < close),
        "high below open or close",
        "high",
        "a high that is at least open and close",
    )
    verdicts.reject(
        (low > opened) | (low > close),
        "low above open or close",
        "low",
        "a low that is at most open and close",
    )
