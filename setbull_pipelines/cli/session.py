"""The last session of a run in a few lines: how complete it is, what moved, what was narrow, what the filters lack.

Belongs here: choosing and wording these lines from stored tables. Does not belong here: the whole report of a run
(``report``), judging (``quality/``).

Five days of minutes without daily history are the commonest first input. The filters can say nothing of it; these lines
show what there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.filters import VERDICT_NOT_ENOUGH_DATA
from setbull_pipelines.tables.look_back import history_needed
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

_SHOWN = 3


def session_lines(warehouse: Warehouse, day: date, settings: Settings) -> Iterator[str]:
    """Lines about the stored session ``day``, plain text; none where no instrument has a minute or a daily bar."""
    key = [day.isoformat()]
    names = _Names(warehouse)
    daily = warehouse.read(served_table(tables.CANDLES_DAILY), key)
    minutes = daily[daily["series"] == "minutes"]
    if len(minutes):
        yield _completeness(minutes, day)
        yield from _thin(minutes, names, settings.quality.minimum_delivered_share)
        bars = warehouse.read(served_table(tables.INDICATORS_5MIN), key)
        yield from _movers(minutes, bars, names)
        yield from _narrow(warehouse.read(served_table(tables.BB_WIDTH_ALERTS), key), names)
    elif len(daily):
        yield f"session of {day}: daily bars of {len(daily):,} instruments, no minutes"
    yield from _filters_lack(warehouse, day, settings)


class _Names:
    """Symbols of instruments; the key of one that has none."""

    def __init__(self, warehouse: Warehouse) -> None:
        rows = warehouse.read(StoredTable("raw", tables.INSTRUMENTS), [WHOLE])
        known = rows[rows["symbol"].notna()]
        self._symbols = dict(zip(known["instrument_key"], known["symbol"], strict=True))

    def of(self, instrument_key: str) -> str:
        return str(self._symbols.get(instrument_key, instrument_key))


def _completeness(minutes: pd.DataFrame, day: date) -> str:
    present, expected = minutes["minutes_present"].sum(), minutes["minutes_expected"].sum()
    return (
        f"session of {day}: {len(minutes):,} instruments, {present:,} of {expected:,} minutes "
        f"({present / expected:.2%})"
    )


def _thin(minutes: pd.DataFrame, names: _Names, share: float) -> Iterator[str]:
    """The instruments with the fewest minutes: a mean over all hides one that had a single minute."""
    thin = minutes[minutes["minutes_present"] < share * minutes["minutes_expected"]]
    if thin.empty:
        return
    fewest = thin.sort_values(["minutes_present", "instrument_key"]).head(_SHOWN)
    named = ", ".join(
        f"{names.of(row.instrument_key)} {row.minutes_present} of {row.minutes_expected}"
        for row in fewest.itertuples()
    )
    yield f"  thin, below {share:.0%} of its minutes: {len(thin):,} instruments, fewest {named}"


def _movers(minutes: pd.DataFrame, bars: pd.DataFrame, names: _Names) -> Iterator[str]:
    """From the first trade of the session to its last: needs neither earlier days nor corporate actions."""
    moved = minutes.assign(percent=(minutes["close"] / minutes["open"] - 1) * 100)
    moved = moved.merge(
        bars.sort_values("timestamp").groupby("instrument_key", observed=True)["vwap"].last(),
        on="instrument_key",
        how="left",
    ).sort_values(["percent", "instrument_key"])
    for word, chosen in (
        ("up", moved[moved["percent"] > 0][::-1]),
        ("down", moved[moved["percent"] < 0]),
    ):
        if len(chosen):
            named = "; ".join(_move(row, names) for row in chosen.head(_SHOWN).itertuples())
            yield f"  {word} from open to close: {len(chosen):,}, most {named}"


def _move(row, names: _Names) -> str:
    vwap = f", VWAP {row.vwap:.2f}" if pd.notna(row.vwap) else ""
    return f"{names.of(row.instrument_key)} {row.percent:+.2f} % to {row.close:.2f}{vwap}"


def _narrow(widths: pd.DataFrame, names: _Names) -> Iterator[str]:
    narrow = widths[widths["is_squeeze"].fillna(False).astype(bool)].sort_values("bb_width")
    if len(narrow):
        named = ", ".join(names.of(key) for key in narrow["instrument_key"].head(_SHOWN))
        sessions = narrow["look_back_sessions"].max()
        yield f"  bands not wider than in {sessions} sessions before: {len(narrow):,}, narrowest {named}"


def _filters_lack(warehouse: Warehouse, day: date, settings: Settings) -> Iterator[str]:
    """What the filters need that is not there, and how to bring it."""
    results = warehouse.read(served_table(tables.FILTER_RESULTS), [day.isoformat()])
    lacking = results[results["verdict"] == VERDICT_NOT_ENOUGH_DATA]
    if len(lacking) < len(results) / 2 or lacking.empty:
        return  # single stocks, such as new listings, have their reasons in the table
    history = warehouse.read(served_table(tables.INDICATORS_DAILY), [day.isoformat()])
    history = history[history["instrument_key"].isin(lacking["instrument_key"])]
    most = int(history["bars_of_history"].max()) if len(history) else 0
    needed, first = history_needed(day, settings)
    if most >= needed:
        return  # the reasons of the stages say what else is missing
    since = f", from {first} on," if first else ""
    yield (
        f"  filters: not enough data for {len(lacking):,} of {len(results):,} instruments; they need {needed} daily "
        f"bars{since} and have {most} at most. Put daily candles beside the minutes (docs/sources.md), or get them "
        "from the broker: setbull fetch --interval day"
    )
