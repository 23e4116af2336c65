"""What is drawn of a trading day: which instrument, and its stored bars, widths and verdicts.

Belongs here: choosing the instrument and reading its rows. Does not belong here: drawing (``pictures/``), Dagster.

Served tables hold the days that were asked for; the look-back is in the tables of the variant that serves the
instrument. Sessions that are not stored, or are damaged, are left out: a picture shows what there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.columns import EXCHANGE
from setbull_pipelines.tables.filters import PASSING_VERDICTS, RANK_ORDER
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

_INSTRUMENTS = StoredTable("raw", tables.INSTRUMENTS)
_BANDS = ["bb_upper", "bb_middle", "bb_lower", "bb_width_normalized_percentage"]
_BARS = ["instrument_key", "timestamp", "open", "high", "low", "close", "volume"]


class NothingToDraw(LookupError):
    """No rows for the picture; the message names instrument, day and what to do."""


@dataclass(frozen=True)
class Instrument:
    """An instrument of a served day: its key, its name for people, and the variant that serves it."""

    key: str
    name: str
    variant: str


def chosen_instrument(table: Table, wanted: str, day: date, warehouse: Warehouse) -> Instrument:
    """The instrument that is drawn from the served ``table`` on ``day``.

    ``wanted`` is a symbol or an instrument key; '' takes the first of the day's bullish and bearish instruments, else
    the one with the highest traded value. Raises NothingToDraw for one that was not served on the day,
    MissingPartition for a day that was not served.
    """
    rows = warehouse.distinct(
        served_table(table), day.isoformat(), ["instrument_key", "variant"]
    ).set_index("instrument_key")["variant"]
    if rows.empty:
        raise NothingToDraw(f"{served_table(table).name} {day}: found no rows, nothing to draw")
    symbols = _symbols(warehouse)
    if not wanted:
        key = _foremost(day, list(rows.index), warehouse)
    else:
        named = [key for key in rows.index if wanted in (key, symbols.get(key))]
        if not named:
            raise NothingToDraw(
                f"instrument: found {wanted!r}, expected a symbol or an instrument key that "
                f"{served_table(table).name} has on {day}, such as {rows.index[0]}"
            )
        (key,) = named[:1]
    name = f"{symbols[key]} ({key})" if key in symbols else key
    return Instrument(key, name, rows[key])


def bars_of_session(instrument: Instrument, day: date, warehouse: Warehouse) -> pd.DataFrame:
    """Its five-minute bars of ``day`` with their bands."""
    return _bars(
        instrument, (tables.CANDLES_5MIN, tables.INDICATORS_5MIN), "served", [day], warehouse
    )


def daily_bars(
    instrument: Instrument, day: date, sessions: int, warehouse: Warehouse
) -> pd.DataFrame:
    """Its daily bars up to ``day`` with their bands, of one series: the exchange's where it has bars."""
    pair = (tables.CANDLES_DAILY, tables.INDICATORS_DAILY)
    lanes = [StoredTable(instrument.variant, table) for table in pair]
    days = _stored_days(lanes, day, sessions, warehouse)
    bars = _bars(instrument, pair, instrument.variant, days, warehouse, ["series"])
    exchange = bars[bars["series"] == EXCHANGE]
    return bars if exchange.empty else exchange


def widths(
    instrument: Instrument, day: date, sessions: int, warehouse: Warehouse
) -> tuple[pd.DataFrame, float | None]:
    """Its rows of ``bb_width_daily`` up to ``day``, and the lowest width that alerts of ``day`` are held against."""
    stored = StoredTable(instrument.variant, tables.BB_WIDTH_DAILY)
    days = _stored_days([stored], day, sessions, warehouse)
    rows = warehouse.read(
        stored, [key.isoformat() for key in days], instrument_keys=[instrument.key]
    )
    alerts = warehouse.read(
        served_table(tables.BB_WIDTH_ALERTS),
        [day.isoformat()],
        ["instrument_key", "lowest_bb_width"],
        [instrument.key],
    )
    lowest = alerts["lowest_bb_width"].dropna()
    return rows, None if lowest.empty else float(lowest.iloc[0])


def verdicts(day: date, sessions: int, warehouse: Warehouse) -> pd.DataFrame:
    """Where the filters stopped, of the served days up to ``day``."""
    stored = served_table(tables.FILTER_RESULTS)
    days = _stored_days([stored], day, sessions, warehouse)
    return warehouse.read(stored, [key.isoformat() for key in days], ["trading_day", "stopped_at"])


def _symbols(warehouse: Warehouse) -> dict[str, str]:
    if warehouse.pointer(_INSTRUMENTS, WHOLE) is None:
        return {}
    rows = warehouse.read(_INSTRUMENTS, [WHOLE], ["instrument_key", "symbol"]).dropna()
    return dict(zip(rows["instrument_key"], rows["symbol"], strict=True))


def _foremost(day: date, present: Sequence[str], warehouse: Warehouse) -> str:
    key, results = day.isoformat(), served_table(tables.FILTER_RESULTS)
    if warehouse.pointer(results, key):
        rows = warehouse.read(results, [key], ["verdict", *RANK_ORDER])
        passing = rows[
            rows["verdict"].isin(PASSING_VERDICTS) & rows["instrument_key"].isin(present)
        ]
        if len(passing):
            ranked = passing.sort_values(list(RANK_ORDER), ascending=list(RANK_ORDER.values()))
            return ranked["instrument_key"].iloc[0]
    candles = warehouse.read(
        served_table(tables.CANDLES_DAILY), [key], ["instrument_key", "close", "volume"]
    )
    candles = candles[candles["instrument_key"].isin(present)]
    if candles.empty:
        return present[0]
    turnover = candles["close"] * candles["volume"].fillna(0)
    return candles.loc[turnover.idxmax(), "instrument_key"]


def _stored_days(
    of: Sequence[StoredTable], day: date, sessions: int, warehouse: Warehouse
) -> list[date]:
    """The last ``sessions`` days up to ``day`` that all of the tables hold, without damaged ones."""
    held = set.intersection(*(set(warehouse.pointers(stored)) for stored in of))
    days = sorted(found for key in held if (found := date.fromisoformat(key)) <= day)[-sessions:]
    return [each for each in days if all(warehouse.verify(stored, str(each)) for stored in of)]


def _bars(
    instrument: Instrument,
    pair: tuple[Table, Table],
    schema: str,
    days: Sequence[date],
    warehouse: Warehouse,
    more_keys: Sequence[str] = (),
) -> pd.DataFrame:
    candles, indicators = (
        served_table(table) if schema == "served" else StoredTable(schema, table) for table in pair
    )
    keys, partitions = (
        ["instrument_key", "timestamp", *more_keys],
        [key.isoformat() for key in days],
    )
    left = warehouse.read(candles, partitions, [*_BARS, *more_keys], [instrument.key])
    right = warehouse.read(indicators, partitions, [*keys, *_BANDS], [instrument.key])
    return left.merge(right, how="left", on=keys, validate="one_to_one")
