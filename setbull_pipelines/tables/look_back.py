"""How much history the indicators need: until a value counts as warm, and until it no longer depends on the look-back.

Belongs here: what follows from the memories of the columns (``indicator_columns.py``), and refusing settings that are
shorter. Does not belong here: the settings themselves, computing indicators.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date, time

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.session_table import NSE_CLOSING_AUCTION, REGULAR_HOURS
from setbull_pipelines.settings import InvalidSettings, Settings
from setbull_pipelines.tables.contract import Column, Memory
from setbull_pipelines.tables.indicator_columns import INDICATOR_COLUMNS

_OF_WARM_MARGIN = Memory(50, 1 - 2 / 51)
"""EMA 50, which ``indicators.warm_margin_bars`` is counted for."""


def _minute(moment: time) -> int:
    return moment.hour * 60 + moment.minute


_SHORTEST_SESSION_MINUTES = _minute(NSE_CLOSING_AUCTION.start) - _minute(REGULAR_HOURS[0][0])
"""The shortest session of a regular day is that of stocks with a closing auction."""


def bars_to_first_values(columns: Iterable[Column] = INDICATOR_COLUMNS) -> int:
    """Bars of history from which every column has a value: enough where they are the whole life of a series."""
    return max(_memory(column).first for column in columns)


def warm_bars(margin: int, columns: Iterable[Column] = INDICATOR_COLUMNS) -> int:
    """Bars of history from which every column counts as warm.

    ``margin`` bars after its first value the start of EMA 50 has the weight (49 / 51) ^ margin, 0.034 % for 200; a
    column is warm when that of its own has no more.
    """
    weight = _OF_WARM_MARGIN.decay**margin
    return max(_memory(column).bars_until(weight) for column in columns)


def history_needed(day: date, settings: Settings) -> tuple[int, date | None]:
    """Daily bars up to ``day`` from which every column counts as warm, and the first session of so many.

    None where the calendar begins later.
    """
    bars = warm_bars(settings.indicators.warm_margin_bars)
    sessions = NSE.trading_days(NSE.first_day, day)
    return bars, sessions[-bars] if len(sessions) >= bars else None


def slowest(columns: Iterable[Column] = INDICATOR_COLUMNS) -> tuple[str, int]:
    """The column that needs most bars until its start weighs less than its tolerance, and how many."""
    needed = {
        column.name: _memory(column).bars_until(column.tolerance.relative) for column in columns
    }
    name = max(needed, key=needed.__getitem__)
    return name, needed[name]


def refuse_short_look_back(
    settings: Settings, columns: Iterable[Column] = INDICATOR_COLUMNS
) -> Settings:
    """The settings as they are, when a look-back of theirs is long enough for ``columns``.

    Raises InvalidSettings, naming the column that needs more, when values would depend on where the look-back
    begins.
    """
    columns = tuple(columns)
    name, bars = slowest(columns)
    look_back, length = settings.look_back, settings.aggregation.bar_minutes
    # The first bar of the day has only the bars before it and itself; one session may be an evening's.
    in_a_session = max(_SHORTEST_SESSION_MINUTES // length, 1)
    needed_5min = math.ceil((bars - 1) / in_a_session) + 1
    for setting, found, needed, unit in (
        ("sessions_daily", look_back.sessions_daily, bars - 1, "daily bars"),
        ("sessions_5min", look_back.sessions_5min, needed_5min, f"bars of {length} minutes"),
    ):
        if found < needed:
            raise InvalidSettings(
                f"setting look_back.{setting}: found {found}, expected {needed} or more: only after {bars} {unit} "
                f"the value that {name} starts from weighs less than its tolerance"
            )
    return settings


def _memory(column: Column) -> Memory:
    if column.memory is None:
        raise ValueError(f"column {column.name}: it has no memory, expected how far back it looks")
    return column.memory
