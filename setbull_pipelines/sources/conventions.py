"""What a file means without saying so: how long its bars are, on whose clock, what labels them, what volume counts.

Belongs here: recognising from whole sessions what would give wrong numbers in silence, and refusing it with the setting
that says what is meant. Does not belong here: single rows (``candle_files.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow

from setbull_pipelines.market import session_frames
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.sources.frames import order_of
from setbull_pipelines.sources.instrument_columns import Instruments
from setbull_pipelines.sources.moment_texts import AWARE, UNREADABLE
from setbull_pipelines.sources.moments import (
    MICROSECONDS_PER_DAY,
    MICROSECONDS_PER_MINUTE,
    MINUTES_OF_INDIA,
    Moments,
    placed,
)
from setbull_pipelines.sources.number_columns import Numbers, decoded, is_text
from setbull_pipelines.sources.raw_rows import UnreadableFile, texts
from setbull_pipelines.tables.contract import INDIA

_FEWEST_STEPS_OF_A_GRID = 9
_FEWEST_EQUAL_STEPS, _SHORTEST_EQUAL_STEP = 4, 3
_FEWEST_MOMENTS_OF_TICKS, _LEAST_MOMENTS_OF_A_MINUTE = 6, 1.5
_LEAST_SHARE_OF_USUAL_STEP = 0.5
_LEAST_SHARE_ON_GRID = 0.9
_FEWEST_BARS_OF_A_DAY = 10
_NEARLY_EVERY = 0.95
_LEAST_SHARE_OF_RISES = 0.5
_MOST_MINUTES_MISSING = 0.2
_FEWEST_STEPS_OF_DAYS = 4
_LONGER_THAN_A_DAY = (
    ("weekly", 5, 9),
    ("monthly", 28, 33),
    ("quarterly", 88, 94),
    ("yearly", 362, 369),
)
"""Bars by their name, and the fewest and most days from one to the next."""
_FEWEST_BARS_OF_A_CLOCK = 30
_NAME_OF_NUMBERS = re.compile(r"(open|high|low|close|volume)\b")
_LITERAL_ZONE = re.compile(r"(\d{4}-\d\d-\d\d)([T ])(\d\d:\d\d)(:\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d)")


@dataclass(frozen=True)
class Bars:
    """Bars inside sessions, sorted by instrument, then moment, each once; ``places`` are the rows they are from."""

    places: np.ndarray
    instrument: np.ndarray
    wall_clock: np.ndarray

    @classmethod
    def of(cls, instrument: np.ndarray, wall_clock: np.ndarray, chosen: np.ndarray) -> Bars:
        """The chosen rows; of equal bars the last."""
        places = np.flatnonzero(chosen)
        of, at = instrument[places], wall_clock[places]
        order = order_of(of, at)
        places, of, at = places[order], of[order], at[order]
        del order
        is_last = np.ones(len(places), bool)
        is_last[:-1] = (of[1:] != of[:-1]) | (at[1:] != at[:-1])
        if is_last.all():
            return cls(places, of, at)
        return cls(places[is_last], of[is_last], at[is_last])

    @cached_property
    def day(self) -> np.ndarray:
        """The day of each bar, as its number since 1970."""
        return (self.wall_clock // MICROSECONDS_PER_DAY).astype("int32")

    @cached_property
    def follows(self) -> np.ndarray:
        """Whether each bar but the first follows the one before it in the same day of the same instrument."""
        return (self.instrument[1:] == self.instrument[:-1]) & (self.day[1:] == self.day[:-1])

    @property
    def starts(self) -> np.ndarray:
        """Where the first bar of each day of each instrument is."""
        return np.flatnonzero(np.append([True], ~self.follows)) if len(self.places) else self.places


def refuse_longer_than_a_day(moments: Moments, instruments: Instruments) -> None:
    """Refuse a file of daily bars in which those of every instrument with enough to tell are weeks apart or more."""
    read = moments.spread(moments.status != UNREADABLE, False) & (instruments.codes >= 0)
    bars = Bars.of(instruments.codes, moments.spread(moments.wall_clock, 0), read)
    same = bars.instrument[1:] == bars.instrument[:-1]
    steps, of = np.diff(bars.day)[same], bars.instrument[1:][same]
    counts = np.bincount(of)
    told = np.flatnonzero(counts >= _FEWEST_STEPS_OF_DAYS)
    for name, fewest, most in _LONGER_THAN_A_DAY:
        fitting = np.bincount(of[(steps >= fewest) & (steps <= most)], minlength=len(counts))
        if len(told) and (fitting[told] >= _LEAST_SHARE_ON_GRID * counts[told]).all():
            usual = int(np.median(steps))
            raise UnreadableFile(
                f"found bars {usual} days apart, which are {name}, of {len(told)} instruments, expected one-minute or "
                "daily candles",
                "longer than a day",
                value=f"{usual} days",
                count=len(told),
            )


def refuse_other_clock(
    moments: Moments, written_as: pyarrow.ChunkedArray, lines: np.ndarray
) -> None:
    """Refuse minutes that mostly lie outside the session, and nearly all inside if the zone were the other one."""
    known = moments.status == AWARE
    on_session_days = known & ~np.isin(
        moments.placement, (session_frames.CLOSED_DAY, session_frames.OUTSIDE_COVERAGE)
    )
    rows = moments.rows_of
    inside = rows[on_session_days & (moments.placement == session_frames.IN_SESSION)].sum()
    total = rows[on_session_days].sum()
    if total < _FEWEST_BARS_OF_A_CLOCK or 2 * inside >= total:
        return
    time_of_day = moments.wall_clock[on_session_days] % MICROSECONDS_PER_DAY
    if np.ptp(time_of_day) < MINUTES_OF_INDIA * MICROSECONDS_PER_MINUTE:
        return  # a part of a day, such as the auction before the open, fits at several places
    for minutes in (-MINUTES_OF_INDIA, MINUTES_OF_INDIA):
        shifted = placed(
            replace(moments, wall_clock=moments.wall_clock + minutes * MICROSECONDS_PER_MINUTE)
        )
        would_be = rows[known & (shifted.placement == session_frames.IN_SESSION)].sum()
        if would_be < _NEARLY_EVERY * total:
            continue
        row = int(np.flatnonzero(moments.spread(on_session_days, False))[0])
        text = (texts(written_as.slice(row, 1))[0] or "").strip()
        written, said = (INDIA, "UTC") if minutes < 0 else ("UTC", INDIA)
        paste = _without_its_zone(text, written) if is_text(decoded(written_as).type) else {}
        ways = ", ".join(f'{name} = "{value}"' for name, value in paste.items())
        advice = f"; [input] {ways} takes them as {written}" if ways else ""
        raise UnreadableFile(
            f"found moments such as {text!r}; {inside:,} of {total:,} lie in the exchange's hours, and "
            f"{would_be:,} would on the clock of {written}: it seems to have been written as {said}; expected the "
            f"right zone{advice}",
            "other clock",
            line=int(lines[row]),
            value=text,
            count=int(total - inside),
            paste=paste,
        )


def _without_its_zone(text: str, zone: str) -> dict[str, str]:
    """The settings that take a moment for one of ``zone``, whatever it says; none for values that are no texts."""
    if text.replace(".", "", 1).isdigit():
        return {"timezone": zone}
    found = _LITERAL_ZONE.fullmatch(text)
    if not found:
        return {}
    seconds, fraction = ":%S" if found[4] else "", ".%f" if found[5] else ""
    written = f"%Y-%m-%d{found[2]}%H:%M{seconds}{fraction}{found[6]}"
    return {"timestamp_format": written, "timezone": zone}


def refuse_several_instruments(
    moments: Moments, instruments: Instruments, values: Sequence[Numbers], lines: np.ndarray
) -> None:
    """Refuse a file of one instrument that has several different bars of nearly every moment."""
    if len(instruments.keys) != 1:
        return
    read = moments.spread(moments.status != UNREADABLE, False) & (instruments.codes >= 0)
    if read.sum() < 2 * len(moments.status):
        return
    bars = np.unique(
        np.column_stack([moments.codes[read], *(column.values[read] for column in values)]), axis=0
    )
    distinct, counts = np.unique(bars[:, 0], return_counts=True)
    if len(bars) < _FEWEST_BARS_OF_A_DAY or len(bars) < 2 * len(distinct):
        return
    most = int(distinct[counts.argmax()])
    at = np.flatnonzero(moments.codes == most)
    raise UnreadableFile(
        f"found {counts.max():,} different bars of one moment under the one instrument {instruments.keys[0]} (lines "
        f"{lines[at[0]]} and {lines[at[1]]}), and so for most moments, expected a column that tells instruments apart",
        "several instruments",
        line=int(lines[at[1]]),
        value=str(instruments.keys[0]),
        count=len(bars) - len(distinct),
    )


def refuse_second_header(
    columns: Mapping[str, pyarrow.ChunkedArray], numbers: Mapping[str, Numbers], lines: np.ndarray
) -> None:
    """Refuse a file that goes on under another header: its columns have another order from there on."""
    named: dict[int, dict[str, str]] = {}
    for name, column in numbers.items():
        at = np.flatnonzero(column.not_a_number)
        found = texts(columns[name].take(pyarrow.array(at)))
        for row, text in zip(at.tolist(), found, strict=True):
            if said := _NAME_OF_NUMBERS.match((text or "").strip().lower()):
                named.setdefault(row, {})[name] = said[1]
    for row, says in named.items():
        others = [name for name, said in says.items() if said != name]
        if len(says) > 1 and others:
            raise UnreadableFile(
                f"found {says[others[0]]!r} in column {others[0]} (line {lines[row]}): a second header with "
                "another order of columns, expected one; split the file there",
                "second header",
                line=int(lines[row]),
                value=says[others[0]],
            )


def refuse_finer(
    moments: Moments, instruments: Instruments, written_as: pyarrow.ChunkedArray, lines: np.ndarray
) -> None:
    """Refuse a file with several moments of most minutes of an instrument: the one at second 0 is a part of its bar."""
    read = moments.status != UNREADABLE
    if not (moments.wall_clock[read] % MICROSECONDS_PER_MINUTE).any():
        return
    chosen = moments.spread(read, False) & (instruments.codes >= 0)
    bars = Bars.of(instruments.codes, moments.spread(moments.wall_clock, 0), chosen)
    minute = bars.wall_clock // MICROSECONDS_PER_MINUTE
    same = (bars.instrument[1:] == bars.instrument[:-1]) & (minute[1:] == minute[:-1])
    found, minutes = len(bars.places), len(bars.places) - int(same.sum())
    if found < max(_FEWEST_MOMENTS_OF_TICKS, _LEAST_MOMENTS_OF_A_MINUTE * minutes):
        return
    at = int(np.flatnonzero(same)[0])
    first, second = bars.places[at], bars.places[at + 1]
    shown = texts(written_as.take(pyarrow.array([first, second])))
    raise UnreadableFile(
        f"found {found:,} moments in {minutes:,} minutes, such as {shown[0]!r} (line {lines[first]}) and {shown[1]!r} "
        f"(line {lines[second]}) of {instruments.keys[bars.instrument[at]]}: trades, or bars shorter than a minute, "
        "expected one-minute or daily candles",
        "shorter than a minute",
        line=int(lines[second]),
        value=shown[1],
        count=found - minutes,
    )


def refuse_few_coarse(bars: Bars) -> None:
    """Refuse a file with few bars of each instrument that are all the same number of minutes apart."""
    of = bars.instrument[1:][bars.follows]
    counts = np.bincount(of) if len(of) else np.zeros(1, "int64")
    if not _FEWEST_EQUAL_STEPS <= counts.max() < _FEWEST_STEPS_OF_A_GRID:
        return  # with more steps :func:`coarse_instruments` tells
    told = np.flatnonzero(counts >= _FEWEST_EQUAL_STEPS)
    steps = np.diff(bars.wall_clock)[bars.follows][np.isin(of, told)] // MICROSECONDS_PER_MINUTE
    if np.ptp(steps) == 0 and steps[0] >= _SHORTEST_EQUAL_STEP:
        raise _longer_than_a_minute(f"{steps[0]}", "throughout", len(told))


def coarse_instruments(bars: Bars) -> dict[int, int]:
    """The instruments whose bars are longer than a minute, and how many minutes most of their steps have."""
    follows = bars.follows
    steps = (np.diff(bars.wall_clock)[follows] // MICROSECONDS_PER_MINUTE).astype("int32")
    of = bars.instrument[1:][follows]
    coarse = {}
    # Shares that trade seldom have steps of all lengths: one must be usual, and the others its multiples.
    found = np.unique(of[steps > 1])
    first, end = np.searchsorted(of, found), np.searchsorted(of, found, side="right")
    for instrument, start, stop in zip(found, first, end, strict=True):
        own = steps[start:stop]
        if len(own) < _FEWEST_STEPS_OF_A_GRID:
            continue
        lengths, counts = np.unique(own, return_counts=True)
        usual = int(lengths[counts.argmax()])
        if usual == 1 or counts.max() < _LEAST_SHARE_OF_USUAL_STEP * len(own):
            continue
        if (own % usual == 0).mean() >= _LEAST_SHARE_ON_GRID:
            coarse[int(instrument)] = usual
    return coarse


def refuse_coarse(bars: Bars, coarse: dict[int, int]) -> None:
    """Refuse a file in which all instruments with enough bars to tell are coarse."""
    if not coarse:
        return
    counts = np.bincount(bars.instrument)
    told = {int(number) for number in np.flatnonzero(counts > _FEWEST_STEPS_OF_A_GRID)}
    if told <= set(coarse):
        lengths = sorted(set(coarse.values()))
        shown = " or ".join(map(str, lengths[:3]))
        throughout = "throughout" if len(lengths) == 1 else "by instrument"
        raise _longer_than_a_minute(shown, throughout, len(coarse))


def _longer_than_a_minute(minutes: str, throughout: str, count: int) -> UnreadableFile:
    return UnreadableFile(
        f"found bars {minutes} minutes apart {throughout}, expected one-minute or daily candles",
        "longer than a minute",
        value=f"{minutes} minutes",
        count=count,
    )


def refuse_end_labels(
    bars: Bars, closing: np.ndarray, wall_clock: np.ndarray, lines: np.ndarray
) -> None:
    """Refuse a file whose whole sessions have no label of the open, and one of the minute of the close.

    ``closing`` are the rows of all instruments that start when the session is over.
    """
    days = np.unique(bars.day).astype("datetime64[D]").tolist()
    opens, closes, minutes = {}, {}, {}
    for day in days:
        session = NSE.session(day)
        if session.intervals:
            number = int(np.datetime64(day, "D").astype("int64"))
            opening, close = session.intervals[0].start, session.intervals[-1].end
            opens[number] = (opening.hour * 60 + opening.minute) * MICROSECONDS_PER_MINUTE
            closes[number] = (close.hour * 60 + close.minute) * MICROSECONDS_PER_MINUTE
            minutes[number] = session.minutes
    at_close = {
        int(wall_clock[place] // MICROSECONDS_PER_DAY)
        for place in np.flatnonzero(closing)
        if wall_clock[place] % MICROSECONDS_PER_DAY
        == closes.get(int(wall_clock[place] // MICROSECONDS_PER_DAY), -1)
    }
    starts, day_of = bars.starts, bars.day
    sizes = np.diff(np.append(starts, len(bars.places)))
    whole, by_end, example = 0, 0, None
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        day = int(day_of[start])
        if day not in opens or size < (1 - _MOST_MINUTES_MISSING) * (minutes[day] or 1):
            continue
        whole += 1
        first = int(bars.wall_clock[start] % MICROSECONDS_PER_DAY)
        if first > opens[day] and day in at_close:
            by_end += 1
            example = example if example is not None else start
    if whole and by_end >= _NEARLY_EVERY * whole and example is not None:
        first = bars.wall_clock[example].view("datetime64[us]").item()
        raise UnreadableFile(
            f"found labels from {first:%H:%M} (line {lines[bars.places[example]]}, {first:%Y-%m-%d}) to the minute of "
            f"the close, and none of the open, in {by_end} of {whole} whole sessions: these are the ends of bars, "
            'expected their starts; [input] label = "end" (or --label end) shifts them by one minute, label = "start" '
            "takes them as they are",
            "end labels",
            line=int(lines[bars.places[example]]),
            value=f"{first:%Y-%m-%d %H:%M}",
            count=by_end,
            paste={"label": "end"},
        )


def refuse_cumulative(bars: Bars, volume: Numbers, lines: np.ndarray) -> None:
    """Refuse a file whose volume never falls within a day, for nearly every day of every instrument."""
    found = volume.values_at(bars.places)
    follows = bars.follows
    change = np.diff(found)
    starts = bars.starts
    sizes = np.diff(np.append(starts, len(found)))
    number = np.repeat(np.arange(len(starts), dtype="int32"), sizes)
    falls = np.bincount(number[1:][follows & ~(change >= 0)], minlength=len(starts))
    rises = np.bincount(number[1:][follows & (change > 0)], minlength=len(starts))
    long = sizes >= _FEWEST_BARS_OF_A_DAY
    # Counted up by the same number every minute is neither trading nor its total, but somebody's test.
    first_change = np.append(change, 0)[starts]
    varies = np.bincount(
        number[1:][follows & (change != first_change[number[1:]])], minlength=len(starts)
    )
    traded = long & (rises > 0) & (varies > 0)
    if not traded.any():
        return
    never_falls = traded & (falls == 0)
    rising = rises[never_falls].sum() >= _LEAST_SHARE_OF_RISES * (sizes[never_falls] - 1).sum()
    if never_falls.sum() < _NEARLY_EVERY * traded.sum() or not rising:
        return
    start = int(starts[np.flatnonzero(never_falls)[0]])
    end = start + int(sizes[np.flatnonzero(never_falls)[0]]) - 1
    raise UnreadableFile(
        f"found a volume that never falls within the day, from {found[start]:,.0f} (line {lines[bars.places[start]]}) "
        f"to {found[end]:,.0f} (line {lines[bars.places[end]]}), in {never_falls.sum()} of {traded.sum()} days of "
        'instruments: a running total, expected the volume of each bar; [input] volume = "cumulative" (or --volume '
        'cumulative) takes the differences, volume = "per bar" takes it as it is',
        "cumulative volume",
        line=int(lines[bars.places[end]]),
        value=f"{found[end]:,.0f}",
        count=int(never_falls.sum()),
        paste={"volume": "cumulative"},
    )


def of_bars(bars: Bars, volume: np.ndarray) -> np.ndarray:
    """Running totals over the day as the volume of each bar; a bar that appears twice has its own total's twice."""
    found = volume[bars.places]
    before = np.zeros(len(found))
    before[1:] = np.where(bars.follows, found[:-1], 0)
    changed = volume.copy()
    changed[bars.places] = found - before
    return changed
