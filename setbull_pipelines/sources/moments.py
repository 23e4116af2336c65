"""The column of moments: when each bar starts, on the clock of the exchange.

Belongs here: kinds of columns, the zone of moments without one, minutes or days, what a label means. Does not belong
here: how texts are written (``moment_texts.py``), which moments a candle may have (``candle_files.py``).

Everything that is taken for granted is said in ``notes``; what cannot be told is refused with the setting that says it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute as compute

from setbull_pipelines.market import session_frames
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.settings import InputSettings
from setbull_pipelines.sources.instrument_columns import Instruments
from setbull_pipelines.sources.moment_texts import AWARE, DATE, NAIVE, UNREADABLE, Texts, read_texts
from setbull_pipelines.sources.number_columns import encoded
from setbull_pipelines.sources.raw_rows import UnreadableFile, texts
from setbull_pipelines.tables.contract import INDIA

CandleKind = Literal["minutes", "daily"]
MINUTES: CandleKind = "minutes"
DAILY: CandleKind = "daily"
MICROSECONDS_PER_MINUTE = 60_000_000
MICROSECONDS_PER_DAY = 24 * 60 * MICROSECONDS_PER_MINUTE
MINUTES_OF_INDIA = 330
"""Its clock is ahead of UTC, on every day that the calendar covers."""
_HOUR = 60 * MICROSECONDS_PER_MINUTE
_EXCHANGE_OPENS, _EXCHANGE_CLOSES = 9 * _HOUR, 16 * _HOUR
"""With the call auction before the open and the closing session after it."""
_MOST_DAYS_WITH_SEVERAL = 0.02
_FEWEST_DAYS = 3
"""Days of one instrument with one bar each, before a time of day with minutes can be that of daily bars."""


@dataclass(frozen=True)
class Moments:
    """Timestamps as distinct values and the code of each row; ``-1`` is no value.

    ``wall_clock`` are microseconds on the clock of Asia/Kolkata, meaningless where ``status`` is UNREADABLE; NAIVE is
    the status of one whose zone nobody knows. ``placement`` is where they lie in the calendar, empty before
    :func:`placed`.
    """

    codes: np.ndarray
    status: np.ndarray
    wall_clock: np.ndarray
    notes: tuple[str, ...] = ()
    placement: np.ndarray = field(default_factory=lambda: np.array([], object))

    def spread(self, of_distinct: np.ndarray, missing: Any) -> np.ndarray:
        """A value per row from a value per distinct timestamp."""
        return np.append(of_distinct, [missing])[self.codes]

    @property
    def rows_of(self) -> np.ndarray:
        """How many rows have each distinct timestamp."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.status))


def read_moments(column: pyarrow.ChunkedArray, reading: InputSettings) -> Moments:
    """The timestamps of a column of any usual type."""
    coded = encoded(column)
    codes = compute.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    distinct = coded.dictionary
    kind = distinct.type
    if pyarrow.types.is_timestamp(kind) or pyarrow.types.is_date(kind):
        has_zone = pyarrow.types.is_timestamp(kind) and kind.tz is not None
        wanted = pyarrow.timestamp("us", tz=INDIA) if has_zone else pyarrow.timestamp("us")
        try:
            local = compute.cast(distinct, wanted, safe=False)
            local = compute.local_timestamp(local) if has_zone else local
        except pyarrow.ArrowException as error:
            raise UnreadableFile(
                f"found moments of type {kind} that cannot be read ({error}), expected a known time zone"
            ) from error
        of_kind = AWARE if has_zone else DATE if pyarrow.types.is_date(kind) else NAIVE
        wall = local.to_numpy(zero_copy_only=False)
        found = Texts(np.full(len(distinct), of_kind, object), wall)
    else:
        rows_of = np.bincount(codes[codes >= 0], minlength=len(distinct))
        written = pd.Series(texts(pyarrow.chunked_array([distinct])), dtype="str")
        found = read_texts(written, rows_of, reading)
    status = np.asarray(found.status, object)
    wall = np.asarray(found.wall_clock, "datetime64[us]")
    status[np.isnat(wall)] = UNREADABLE
    moments = Moments(codes, status, wall.view("int64"), found.notes)
    return _in_zone(moments, reading.timezone) if reading.timezone else moments


def _in_zone(moments: Moments, zone: str) -> Moments:
    """Moments without a zone as those of the one that the settings name."""
    naive = moments.status == NAIVE
    if not naive.any():
        return moments
    local = pd.Series(moments.wall_clock[naive].view("datetime64[us]"))
    india = (
        local.dt.tz_localize(ZoneInfo(zone), nonexistent="shift_forward", ambiguous="NaT")
        .dt.tz_convert(INDIA)
        .dt.tz_localize(None)
    )
    wall = moments.wall_clock.copy()
    wall[naive] = india.to_numpy("datetime64[us]").view("int64")
    status = moments.status.copy()
    status[naive] = np.where(india.isna(), UNREADABLE, AWARE)
    notes = (*moments.notes, f"moments without offset are {zone}, by [input] timezone")
    return replace(moments, status=status, wall_clock=wall, notes=notes)


def settled(
    moments: Moments, instruments: Instruments, reading: InputSettings
) -> tuple[Moments, CandleKind]:
    """The start of each bar, and whether bars are of minutes or days.

    Daily bars start at midnight, at whatever time of the day the file has them; the second 59 is the end of its minute.
    """
    kind, told = _kind_of(moments, instruments, reading)
    moments = _with_zone(moments, kind)
    moments = replace(moments, notes=(*moments.notes, *told))
    if kind == DAILY:
        if told:
            day = moments.wall_clock // MICROSECONDS_PER_DAY * MICROSECONDS_PER_DAY
            moments = replace(moments, wall_clock=day)
        return placed(moments), kind
    wall = moments.wall_clock
    last_second = (moments.status != UNREADABLE) & (
        wall % MICROSECONDS_PER_MINUTE >= MICROSECONDS_PER_MINUTE - 10**6
    )
    if last_second.any():
        rows = int(moments.rows_of[last_second].sum())
        floored = wall // MICROSECONDS_PER_MINUTE * MICROSECONDS_PER_MINUTE
        moments = replace(
            moments,
            wall_clock=np.where(last_second, floored, wall),
            notes=(*moments.notes, f"{rows:,} moments at second 59 are their minute"),
        )
    if reading.label == "end":
        shifted = moments.wall_clock - MICROSECONDS_PER_MINUTE
        moments = replace(
            moments,
            wall_clock=shifted,
            notes=(
                *moments.notes,
                'labels are the end of their bar, by [input] label = "end": shifted by one minute',
            ),
        )
    return placed(moments), kind


def placed(moments: Moments) -> Moments:
    """The moments with their place in the calendar; what is unreadable has none."""
    readable = np.isin(moments.status, (AWARE, DATE))
    wall = pd.Series(moments.wall_clock.view("datetime64[us]"))
    # Clocks were changed until 1945; such hours are outside the calendar either way.
    aware = wall.where(readable).dt.tz_localize(
        INDIA, nonexistent="shift_forward", ambiguous=np.zeros(len(wall), bool)
    )
    placement = session_frames.session_placement(aware).astype(object).to_numpy()
    return replace(moments, placement=placement)


def _kind_of(
    moments: Moments, instruments: Instruments, reading: InputSettings
) -> tuple[CandleKind, list[str]]:
    """Minutes or daily, and in words what was taken for granted of bars that are not at midnight.

    Daily when most rows are at midnight, where one odd row decides nothing; else when every instrument has one bar a
    day, on days enough.
    """
    readable = moments.status != UNREADABLE
    time_of_day = moments.wall_clock % MICROSECONDS_PER_DAY
    rows = moments.rows_of
    at_midnight = rows[readable & (time_of_day == 0)].sum()
    others = rows[readable & (time_of_day != 0)].sum()
    if others <= at_midnight and reading.interval != "minute":
        return DAILY, []
    is_daily = _has_one_bar_a_day(moments, instruments, readable)
    if reading.interval == "day" and is_daily is False:
        raise UnreadableFile(
            'found several bars a day of one instrument, expected one, since [input] interval = "day" says so',
            "several bars a day",
        )
    if reading.interval == "minute" or not (is_daily or reading.interval):
        undecided = (
            "one bar a day, on too few days to tell a minute from a day: taken for minutes; [input] interval = "
            '"day" (or --interval day) takes them for days'
        )
        return MINUTES, [undecided] if is_daily is None and not reading.interval else []
    times, first = np.unique(time_of_day[readable], return_inverse=True)
    counts = np.bincount(first, weights=rows[readable])
    usual = int(times[counts.argmax()])
    minutes = usual // MICROSECONDS_PER_MINUTE
    words = f"{minutes // 60:02}:{minutes % 60:02}" + (" and other times" if len(times) > 1 else "")
    said = ', by [input] interval = "day"' if reading.interval else ""
    return DAILY, [f"one bar a day, at {words}, is daily{said}"]


def _has_one_bar_a_day(
    moments: Moments, instruments: Instruments, readable: np.ndarray
) -> bool | None:
    """None where it is so, on too few days to tell whether it is meant."""
    row_is_read = moments.spread(readable & _on_sessions(moments), False) & (instruments.codes >= 0)
    codes = instruments.codes[row_is_read].astype("int64")
    wall = moments.wall_clock[moments.codes[row_is_read]]
    if not len(codes):
        return False
    day = wall // MICROSECONDS_PER_DAY
    span = int(day.max() - day.min()) + 1
    if span > 10**6:
        return False
    keys = codes * span + day - day.min()
    most = min(len(keys), len(instruments.keys) * span)
    # Of a large file of minutes a part tells as much.
    for end in (len(keys) // 8, len(keys)):
        pairs, first_wall, several = _bars_of_days(keys[:end], wall[:end])
        if several > _MOST_DAYS_WITH_SEVERAL * (len(pairs) if end == len(keys) else most):
            return False
    time_of_day = first_wall % MICROSECONDS_PER_DAY
    outside = (time_of_day < _EXCHANGE_OPENS) | (
        time_of_day >= _EXCHANGE_OPENS + 6 * _HOUR + 30 * MICROSECONDS_PER_MINUTE
    )
    days_of_instrument = np.bincount(pairs // span)
    if days_of_instrument.max() < _FEWEST_DAYS:
        # A single bar of one session can be a minute, unless no minute has such a time.
        return True if outside.all() else None
    _, counts = np.unique(time_of_day, return_counts=True)
    off_minute = time_of_day % MICROSECONDS_PER_MINUTE != 0
    # Single trades of a share that nobody wants are at any minute; daily bars have one time, or seconds.
    return bool(2 * counts.max() >= len(pairs) or 2 * off_minute.sum() >= len(pairs))


def _bars_of_days(keys: np.ndarray, wall: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The days of instruments, sorted, a moment of each, and how many have several moments."""
    pairs, place = np.unique(keys, return_inverse=True)
    first_wall = np.zeros(len(pairs), "int64")
    first_wall[place] = wall
    return pairs, first_wall, len(np.unique(place[wall != first_wall[place]]))


def _on_sessions(moments: Moments) -> np.ndarray:
    """Whether each distinct moment is on a trading day, at whatever time."""
    days, place = np.unique(moments.wall_clock // MICROSECONDS_PER_DAY, return_inverse=True)
    known = (days >= _day_number(NSE.first_day)) & (days <= _day_number(NSE.last_day))
    trading = np.zeros(len(days), bool)
    trading[known] = [
        NSE.is_trading_day(day) for day in days[known].astype("datetime64[D]").tolist()
    ]
    return trading[place]


def _day_number(day: date) -> int:
    return int(np.datetime64(day, "D").astype("int64"))


def _with_zone(moments: Moments, kind: str) -> Moments:
    """Moments without a zone as the exchange's, where every row says so; else they stay NAIVE."""
    naive = moments.status == NAIVE
    if not naive.any() or (moments.status == AWARE).any():
        return moments
    time_of_day = moments.wall_clock[naive] % MICROSECONDS_PER_DAY
    if kind == DAILY:
        if (time_of_day >= _EXCHANGE_CLOSES).any():  # midnight in India has the date before in UTC
            return moments
        told = "dates are trading days"
    else:
        in_hours = (time_of_day >= _EXCHANGE_OPENS) & (time_of_day < _EXCHANGE_CLOSES)
        if not in_hours.all() and not _in_session(moments.wall_clock[naive][~in_hours]):
            return moments
        told = (
            "moments without offset are Asia/Kolkata, since every row lies in the exchange's hours"
        )
    status = moments.status.copy()
    status[naive] = AWARE
    return replace(moments, status=status, notes=(*moments.notes, told))


def _in_session(wall_clock: np.ndarray) -> bool:
    """Whether moments outside the usual hours are all of a special session, such as Muhurat."""
    aware = pd.Series(wall_clock.view("datetime64[us]")).dt.tz_localize(
        INDIA, nonexistent="shift_forward", ambiguous="NaT"
    )
    return bool(session_frames.minutes_in_session(aware).all())
