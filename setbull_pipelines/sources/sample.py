"""The generated sample: invented candles that look like NSE's, for a first run without any data.

Belongs here: which instruments and days there are, and the sample as rows of files. Does not belong here: what happens
to a stock (``sample_plan.py``), inventing minutes (``sample_minutes.py``), judging the rows: the sample takes the same
way as any file. Identifiers are no ISINs, so that nobody takes the instruments for real ones. The same settings
give the same rows, and the minutes of a session do not depend on how many other sessions have minutes. Prices
are computed in ticks (whole numbers) and become rupees at the end.

What is in it on purpose: minutes without a trade, minutes the feed lost, a day locked at the upper circuit,
a split, a new listing, hardly traded stocks, prices outside every usual filter, and stocks
in all the moods that the filter stages tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
import pyarrow

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.instruments import instrument_key
from setbull_pipelines.settings import SampleSettings
from setbull_pipelines.sources.raw_rows import RawRows
from setbull_pipelines.sources.sample_minutes import Minutes, day_of_minutes, invent_minutes
from setbull_pipelines.sources.sample_plan import (
    SPLIT_SESSIONS_AGO,
    SPLIT_SHARES,
    TICKS_PER_RUPEE,
    Mood,
    Plan,
    listed_from,
    moods_of,
    plan_days,
)


@dataclass(frozen=True)
class Sample:
    """The sample but for its minutes, as rows of three files."""

    daily: RawRows
    instruments: RawRows
    corporate_actions: RawRows


def daily_days(settings: SampleSettings) -> list[date]:
    """The sessions that have daily bars, in order."""
    return list(_sessions(settings.last_day, settings.daily_sessions, NSE.revision))


def minute_days(settings: SampleSettings) -> list[date]:
    """The sessions that have minutes, in order."""
    return daily_days(settings)[-settings.minute_sessions :]


def generate(settings: SampleSettings, take_minutes: Callable[[date, RawRows], None]) -> Sample:
    """Invent the sample: ``daily_sessions`` of daily bars, the last ``minute_sessions`` of them with minutes.

    ``take_minutes`` is given the minutes of each of these, one session at a time: those of a whole exchange over
    some weeks fit no memory.
    """
    random = np.random.default_rng(settings.seed)
    moods = moods_of(settings.instruments)
    days = daily_days(settings)
    keys = [instrument_key("NSE_EQ", _symbol(number)) for number in range(len(moods))]
    plan = plan_days(moods, len(days), random)
    daily = _invent_daily_bars(plan, random)
    for day in range(len(days) - settings.minute_sessions, len(days)):
        of_day = np.random.default_rng([settings.seed, days[day].toordinal()])
        minutes = invent_minutes(days[day], day, len(days), moods, plan, of_day)
        take_minutes(days[day], _rows(_minute_table(minutes, keys)))
        for name, values in day_of_minutes(minutes, of_day).items():
            daily[name][:, day] = values
    return Sample(
        daily=_rows(_daily_table(daily, days, keys, listed_from(moods, len(days)))),
        instruments=_rows(_instrument_table(keys)),
        corporate_actions=_rows(_action_table(moods, days, keys)),
    )


@lru_cache(maxsize=4)
def _sessions(last_day: str, count: int, revision: str) -> tuple[date, ...]:
    """``revision`` is the calendar's: a calendar file can add days. Every asset with partitions asks for the days."""
    days = NSE.trading_days(NSE.first_day, date.fromisoformat(last_day))
    return tuple(day for day in days if NSE.session(day).minutes is not None)[-count:]


def _symbol(number: int) -> str:
    return f"SAMPLE{number + 1:04d}"


def _invent_daily_bars(plan: Plan, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Daily bars of the days without minutes: highs and lows a little outside open and close."""
    shape = plan.opens.shape
    above = np.abs(random.normal(0.0, plan.spread, shape))
    below = np.abs(random.normal(0.0, plan.spread, shape))
    top = np.maximum(plan.opens, plan.closes)
    bottom = np.minimum(plan.opens, plan.closes)
    return {
        "open": plan.opens.copy(),
        "high": np.round(top * (1 + above)).astype("int64"),
        "low": np.maximum(np.round(bottom * (1 - below)), 1).astype("int64"),
        "close": plan.closes.copy(),
        "volume": plan.volumes.copy(),
    }


def _minute_table(minutes: Minutes, keys: Sequence[str]) -> pyarrow.Table:
    instruments, positions = np.nonzero(minutes.delivered)
    return pyarrow.table(
        {
            "instrument_key": _key_column(keys, instruments),
            "timestamp": pyarrow.array(minutes.starts[positions]),
            **{
                name: pyarrow.array(_rupees(values[instruments, positions]))
                for name, values in minutes.prices.items()
            },
            "volume": pyarrow.array(minutes.volumes[instruments, positions]),
        }
    )


def _daily_table(
    daily: dict[str, np.ndarray], days: Sequence[date], keys: Sequence[str], listed: np.ndarray
) -> pyarrow.Table:
    instruments, positions = np.nonzero(np.arange(len(days)) >= listed[:, None])
    found = {name: values[instruments, positions] for name, values in daily.items()}
    return pyarrow.table(
        {
            "instrument_key": _key_column(keys, instruments),
            "timestamp": pyarrow.array(list(days)).take(pyarrow.array(positions)),
            **{
                name: pyarrow.array(values if name == "volume" else _rupees(values))
                for name, values in found.items()
            },
        }
    )


def _instrument_table(keys: Sequence[str]) -> pyarrow.Table:
    numbers = range(len(keys))
    return pyarrow.table(
        {
            "instrument_key": list(keys),
            "symbol": [_symbol(number) for number in numbers],
            "name": [f"Generated {number + 1:02d}" for number in numbers],
            "tick_size": [str(1 / TICKS_PER_RUPEE)] * len(keys),
            "lot_size": ["1"] * len(keys),
            "series": ["EQ"] * len(keys),
        }
    )


def _action_table(
    moods: Sequence[Mood], days: Sequence[date], keys: Sequence[str]
) -> pyarrow.Table:
    """The announced splits; without one in a history that is too short to hold it."""
    split = [
        key
        for key, mood in zip(keys, moods, strict=True)
        if mood is Mood.SPLIT and len(days) > SPLIT_SESSIONS_AGO
    ]
    columns = {
        "instrument_key": split,
        "ex_date": [days[-SPLIT_SESSIONS_AGO].isoformat()] * len(split) if split else [],
        "kind": ["split"] * len(split),
        "ratio": [str(SPLIT_SHARES)] * len(split),
    }
    return pyarrow.table(
        {name: pyarrow.array(values, pyarrow.string()) for name, values in columns.items()}
    )


def _key_column(keys: Sequence[str], numbers: np.ndarray) -> pyarrow.DictionaryArray:
    return pyarrow.DictionaryArray.from_arrays(
        pyarrow.array(numbers.astype("int32")), pyarrow.array(list(keys))
    )


def _rupees(ticks: np.ndarray) -> np.ndarray:
    return ticks / TICKS_PER_RUPEE


def _rows(table: pyarrow.Table) -> RawRows:
    return RawRows(table, np.arange(1, len(table) + 1))
