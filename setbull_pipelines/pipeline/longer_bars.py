"""Bars of every timeframe as readers get them: which are stored, and reading what the others are made of.

Belongs here: which stored table a timeframe is made of, until when a session under way is known, prices of a week or
month in those of its last session. Does not belong here: making the bars (``derived/longer_bars.py``), rounding and
limits (``api/``), a clock.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.derived.longer_bars import (
    MINUTES,
    PERIODS,
    Period,
    begin_of,
    counted,
    end_of,
    have_length,
    of_days,
    of_session,
)
from setbull_pipelines.errors import SetbullError
from setbull_pipelines.pipeline.running import AS_OF
from setbull_pipelines.pipeline.serving import read_served, served_table, source_of_served
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.columns import EXCHANGE, PROVISIONAL
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.variants import V1
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

CANDLES_1MIN = StoredTable("raw", tables.CANDLES_1MIN)
_ACTIONS = StoredTable("raw", tables.CORPORATE_ACTIONS)


class BarsOfAnotherLength(SetbullError, ValueError):
    """Stored intraday bars are not those that the settings ask for; the message says which, and what to run."""


def made_of(timeframe: str, settings: Settings) -> StoredTable:
    """The stored table whose rows are the bars of a timeframe, or make them."""
    if timeframe in PERIODS or timeframe == "day":
        return served_table(tables.CANDLES_DAILY)
    if MINUTES[timeframe] % settings.aggregation.bar_minutes:
        return CANDLES_1MIN
    return served_table(tables.CANDLES_5MIN)


def is_stored(timeframe: str, settings: Settings) -> bool:
    """Whether bars of a timeframe are rows of a stored table as they are."""
    return timeframe == "day" or MINUTES.get(timeframe) in (1, settings.aggregation.bar_minutes)


def last_day_of(timeframe: str, day: date) -> date:
    """The last calendar day that belongs to the bar of ``day``."""
    return end_of(timeframe, day) if timeframe in PERIODS else day  # type: ignore[arg-type]  # mypy keeps it a str


def read_longer(
    keys: Collection[str],
    timeframe: str,
    days: Sequence[date],
    warehouse: Warehouse,
    settings: Settings,
) -> pd.DataFrame:
    """The bars of a timeframe that is not stored, made of what is stored on ``days``.

    Raises as :func:`read_served`, and BarsOfAnotherLength.
    """
    stored = made_of(timeframe, settings)
    if timeframe in PERIODS:
        return _read_periods(keys, timeframe, days, warehouse, settings)  # type: ignore[arg-type]  # as above
    if stored == CANDLES_1MIN:
        partitions = [day.isoformat() for day in days]
        rows = warehouse.read(CANDLES_1MIN, partitions, instrument_keys=keys)
        includes_untraded = settings.aggregation.untraded_minutes == "include"
        # The newest minute may be unfinished.
        known = rows[rows["state"] == PROVISIONAL].groupby("trading_day")["timestamp"].max()
        until = {moment.date(): newest for moment, newest in known.items()}
        return of_session(counted(rows, includes_untraded), MINUTES[timeframe], until)
    rows = read_served(tables.CANDLES_5MIN, days, warehouse, settings.rollout, keys)
    require_length(rows, settings)
    return of_session(rows, MINUTES[timeframe], _known_until(days, warehouse, settings))


def require_length(bars: pd.DataFrame, settings: Settings) -> None:
    """BarsOfAnotherLength unless stored intraday bars are those of the setting."""
    minutes = settings.aggregation.bar_minutes
    if not have_length(bars, minutes):
        first, last = (
            f"{day:%Y-%m-%d}" for day in (bars["trading_day"].min(), bars["trading_day"].max())
        )
        raise BarsOfAnotherLength(
            f"the bars that are served from {first} to {last} have another length than aggregation.bar_minutes, which "
            f"is {minutes}; make them anew by: setbull run --from {first} --to {last}"
        )


def one_series(bars: pd.DataFrame) -> pd.DataFrame:
    """The exchange's bars of instruments that have one on their last day, those made of minutes of the others."""
    last = bars.groupby("instrument_key")["timestamp"].transform("max")
    of_exchange = bars["series"] == EXCHANGE
    with_exchange = bars.loc[of_exchange & (bars["timestamp"] == last), "instrument_key"].unique()
    return bars[of_exchange == bars["instrument_key"].isin(with_exchange)]


def _read_periods(
    keys: Collection[str],
    period: Period,
    days: Sequence[date],
    warehouse: Warehouse,
    settings: Settings,
) -> pd.DataFrame:
    served = read_served(tables.CANDLES_DAILY, days, warehouse, settings.rollout, keys)
    rows = _in_prices_of_its_end(one_series(served), period, warehouse)
    source = source_of_served(tables.CANDLES_DAILY, settings.rollout)
    whole = [day for day in days if not _as_of(source, day, warehouse)]
    return of_days(rows, period, whole)


def _in_prices_of_its_end(days: pd.DataFrame, period: Period, warehouse: Warehouse) -> pd.DataFrame:
    """Daily bars, those before an ex-date inside their period in prices of after it: as indicators look back."""
    actions = _actions_of(days, warehouse)
    if actions.empty:
        return days
    begins = days["trading_day"].map(lambda moment: begin_of(period, moment.date()))
    parts = []
    for _, inside in days.groupby(begins.to_numpy()):
        first, last = inside["trading_day"].min(), inside["trading_day"].max()
        if actions["ex_date"].between(first, last).any():
            parts.append(V1.adjusted(inside, tables.CANDLES_DAILY, actions, last))
        else:
            parts.append(inside)
    return pd.concat(parts)


def _actions_of(rows: pd.DataFrame, warehouse: Warehouse) -> pd.DataFrame:
    if not warehouse.pointer(_ACTIONS, WHOLE):
        return _ACTIONS.table.empty()
    actions = warehouse.read(_ACTIONS, [WHOLE])
    return actions[actions["instrument_key"].isin(rows["instrument_key"].unique())]


def _known_until(
    days: Sequence[date], warehouse: Warehouse, settings: Settings
) -> dict[date, pd.Timestamp]:
    """When the newest bar of any instrument ends, by session under way."""
    source = source_of_served(tables.CANDLES_5MIN, settings.rollout)
    length = pd.Timedelta(minutes=settings.aggregation.bar_minutes)
    until = {}
    for day in days:
        if _as_of(source, day, warehouse):
            newest = warehouse.read(source, [day.isoformat()], ["timestamp"])["timestamp"].max()
            opened = pd.Timestamp(day, tz=INDIA)
            until[day] = opened if pd.isna(newest) else newest + length
    return until


def _as_of(stored: StoredTable, day: date, warehouse: Warehouse) -> str | None:
    """The mark of a session that is stored in part; None of one that is whole."""
    pointer = warehouse.pointer(stored, day.isoformat())
    return pointer.inputs.get(AS_OF) if pointer else None
