"""The dated table against itself, the real bars and an independent calendar."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import exchange_calendars
import pandas as pd
import pytest

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.session_table import (
    CLOSED_DAYS,
    FIRST_DAY,
    LAST_DAY,
    PUBLISHED_UNTIL,
    UNUSUAL_SESSIONS,
)

HOLES_IN_THE_DAILY_FILES = {date(2021, 11, 4), date(2022, 8, 8)}
"""Real sessions that the source of the daily files lacks for every symbol, as its README says."""


def _days(path: Path) -> set[date]:
    return set(pd.read_parquet(path, columns=["timestamp"])["timestamp"].dt.date)


def test_rows_are_in_order_unique_and_inside_the_coverage():
    for rows in (CLOSED_DAYS, UNUSUAL_SESSIONS):
        days = [row.day for row in rows]
        assert days == sorted(set(days))
        assert days[0] >= FIRST_DAY
        assert days[-1] <= LAST_DAY
        assert all(row.source for row in rows)


def test_closed_days_are_weekdays_and_never_sessions():
    assert all(row.day.weekday() < 5 and row.name for row in CLOSED_DAYS)
    assert not {row.day for row in CLOSED_DAYS} & {row.day for row in UNUSUAL_SESSIONS}


def test_hours_are_in_order_and_do_not_overlap():
    for row in UNUSUAL_SESSIONS:
        edges = [edge for interval in row.hours for edge in interval]
        assert edges == sorted(set(edges)), row.day


def test_every_year_has_its_national_holidays():
    closed = {row.day for row in CLOSED_DAYS}
    for year in range(2015, 2027):
        for month, day in ((1, 26), (8, 15), (10, 2)):
            holiday = date(year, month, day)
            assert holiday in closed or holiday.weekday() >= 5, holiday


def test_what_is_not_published_is_marked_provisional_and_closes_no_movable_feast():
    provisional = [row for row in CLOSED_DAYS if row.day > PUBLISHED_UNTIL]
    assert [(row.day, row.name) for row in provisional] == [
        (date(2027, 1, 26), "Republic Day"),
        (date(2027, 3, 26), "Good Friday"),
        (date(2027, 4, 14), "Ambedkar Jayanti"),
    ]
    assert all(row.source.startswith("provisional") for row in provisional)
    assert not any("provisional" in row.source for row in CLOSED_DAYS if row not in provisional)
    assert all(row.day <= PUBLISHED_UNTIL for row in UNUSUAL_SESSIONS)
    # Fixed dates that are closed in every year of the table, wherever they are weekdays.
    closed = {row.day for row in CLOSED_DAYS}
    for year in range(2015, 2027):
        for month, day in ((1, 26), (4, 14)):
            assert date(year, month, day) in closed or date(year, month, day).weekday() >= 5


def test_every_year_has_one_muhurat_session():
    years = [row.day.year for row in UNUSUAL_SESSIONS if row.kind == "muhurat"]
    assert years == list(range(2015, 2027))


@pytest.mark.parametrize(
    "name",
    [
        "daily_long.parquet",
        "daily_all_2020-11_2021-03.parquet",
        "daily_2024-01_2025-04-08_half.parquet",
    ],
)
def test_calendar_and_real_daily_bars_have_the_same_days(shared_data, name):
    observed = _days(shared_data / "market" / name)
    expected = set(NSE.trading_days(min(observed), max(observed)))
    assert observed - expected == set()
    assert expected - observed <= HOLES_IN_THE_DAILY_FILES


def test_the_two_holes_of_the_long_daily_file_are_the_only_ones(shared_data):
    observed = _days(shared_data / "market" / "daily_long.parquet")
    expected = set(NSE.trading_days(date(2019, 10, 1), date(2026, 8, 21)))
    assert (min(observed), max(observed)) == (date(2019, 10, 1), date(2026, 8, 21))
    assert expected - observed == HOLES_IN_THE_DAILY_FILES


def test_calendar_and_the_minutes_of_2016_have_the_same_days(shared_data):
    observed = _days(shared_data / "market" / "minute_2016-08-16_2016-09-09.parquet")
    assert observed == set(NSE.trading_days(date(2016, 8, 16), date(2016, 9, 9)))


def test_weekdays_agree_with_an_independent_calendar_except_muhurat_sessions():
    other = exchange_calendars.get_calendar("XBOM", start="2014-12-31", end="2026-12-31")
    theirs = {day.date() for day in other.sessions if day.weekday() < 5} - {date(2014, 12, 31)}
    ours = {day for day in NSE.trading_days(FIRST_DAY, PUBLISHED_UNTIL) if day.weekday() < 5}
    muhurat_on_weekdays = {
        date(2015, 11, 11),
        date(2017, 10, 19),
        date(2018, 11, 7),
        date(2021, 11, 4),
        date(2022, 10, 24),
        date(2024, 11, 1),
        date(2025, 10, 21),
    }
    assert theirs - ours == set()
    assert ours - theirs == muhurat_on_weekdays


def test_the_weekend_sessions_are_the_dated_ones_none_of_which_the_independent_calendar_knows():
    other = exchange_calendars.get_calendar("XBOM", start="2014-12-31", end="2026-12-31")
    assert not [day for day in other.sessions if day.weekday() >= 5]
    ours = [day for day in NSE.trading_days(FIRST_DAY, PUBLISHED_UNTIL) if day.weekday() >= 5]
    assert ours == [
        date(2015, 2, 28),
        date(2016, 10, 30),
        date(2019, 10, 27),
        date(2020, 2, 1),
        date(2020, 11, 14),
        date(2023, 11, 12),
        date(2024, 1, 20),
        date(2024, 3, 2),
        date(2024, 5, 18),
        date(2025, 2, 1),
        date(2026, 2, 1),
        date(2026, 11, 8),
    ]
