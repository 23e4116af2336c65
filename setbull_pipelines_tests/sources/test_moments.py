"""When a bar is: every usual way of writing it, its zone, minutes or days; said, or asked for."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from setbull_pipelines_tests.sources.reading_files import (
    HEADER,
    candles,
    moments,
    refused,
    session,
    table,
)

IST = "moments without offset are Asia/Kolkata, since every row lies in the exchange's hours"


def minute(*texts: str) -> str:
    return table(*(f'ALPHA,"{text}",1,1,1,1,{10 + len(text)}' for text in texts))


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("2025-06-13T09:15:00+05:30", None),
        ("2025-06-13T09:15:00+0530", None),
        ("2025-06-13T03:45:00Z", None),
        ("2025-06-13 03:45:00.000+00:00", None),
        ("2025-06-13T05:45:00+02:00", None),
        ("2025-06-13T05:45+02", None),
        ("2025-06-13 09:15:00", IST),
        ("2025-06-13 09:15", IST),
        ("2025/06/13 09:15", IST),
        ("2025.06.13 09:15:00", IST),
        ("20250613 09:15", IST),
        ("20250613 091500", IST),
        ("202506130915", IST),
        ("20250613091500", IST),
        ("13-06-2025 09:15", "day before month"),
        ("13/06/2025 09:15:00", "day before month"),
        ("13.06.2025 09:15", "day before month"),
        ("13-06-25 09:15", "day before month"),
        ("06/13/2025 09:15", "month before day"),
        ("6/13/2025 9:15", "month before day"),
        ("06/13/2025 9:15:00 AM", "clock of 12 hours"),
        ("2025-06-13 09:15 a.m.", "clock of 12 hours"),
        ("13-Jun-2025 09:15", IST),
        ("13 June 2025, 09:15", IST),
        ("Jun 13, 2025 09:15", IST),
        ("Fri Jun 13 2025 09:15:00 GMT+0530 (India Standard Time)", None),
        ("Fri, 13 Jun 2025 03:45:00 GMT", None),
        ("2025-06-13 09:15:00 IST", None),
        ("Fri Jun 13 09:15:00 2025", IST),
        ("Fri Jun 13 09:15:00 IST 2025", None),
        ("2025-Jun-13 09:15", IST),
        ("2025-06-13T09:15:00 Asia/Kolkata", None),
        ("2025-06-13T09:15:00+05:30[Asia/Kolkata]", None),
        ("1749786300", "epoch seconds"),
        ("1749786300.0", "epoch seconds"),
        ("1749786300000", "epoch milliseconds"),
        ("1749786300000000", "epoch microseconds"),
        ("1749786300000000000", "epoch nanoseconds"),
    ],
)
def test_one_minute_in_many_ways(text: str, note: str | None) -> None:
    found = candles(minute(text))
    assert (found.kind, moments(found)) == ("minutes", ["2025-06-13 09:15"])
    assert note is None or note in found.notes


@pytest.mark.parametrize("clock", ["12:05 PM", "00:05:00 pm", "13:05 PM", "25:00", "09:61"])
def test_noon_is_noon_and_impossible_clocks_are_rejected(clock: str) -> None:
    found = candles(minute(f"2025/06/13 {clock}", "2025/06/13 01:30 PM"))
    noon = ["2025-06-13 12:05"] if clock == "12:05 PM" else []
    assert moments(found) == [*noon, "2025-06-13 13:30"]


def test_days_and_months_are_told_by_one_day_above_12_and_else_asked_for() -> None:
    both = minute("02-06-2025 09:15", "03-06-2025 09:16")
    assert refused(both).rule == "ambiguous dates"
    assert "day_first = true" in refused(both).reason
    assert moments(candles(both, day_first=True))[0] == "2025-06-02 09:15"
    assert moments(candles(both, day_first=False))[0] == "2025-02-06 09:15"
    decided = candles(minute("02-06-2025 09:15", "13-06-2025 09:16"))
    assert moments(decided)[0] == "2025-06-02 09:15"
    contradicting = refused(minute("13-06-2025 09:15", "06-13-2025 09:16"))
    assert "13-06-2025" in contradicting.reason
    assert "06-13-2025" in contradicting.reason


def test_moments_without_a_zone_outside_the_session_are_asked_for() -> None:
    utc = table(*session(first="03:45", written="%Y-%m-%d %H:%M:%S"))
    found = candles(utc)
    assert len(found.accepted) == 0
    assert set(found.rejected["rule"]) == {"naive timestamp"}
    assert '[input] timezone = "Asia/Kolkata" or "UTC"' in found.rejected["reason"].iloc[0]
    known = candles(utc, timezone="UTC")
    assert (moments(known)[0], len(known.accepted)) == ("2025-06-02 09:15", 375)


def test_the_format_of_the_settings_is_used() -> None:
    found = candles(minute("02|06|2025 09h15"), timestamp_format="%d|%m|%Y %Hh%M")
    assert moments(found) == ["2025-06-02 09:15"]
    days = candles(table("A,2.6.25,1,1,1,1,1"), timestamp_format="%d.%m.%y")
    assert (days.kind, moments(days)) == ("daily", ["2025-06-02 00:00"])


def test_the_last_second_is_its_minute_and_counted() -> None:
    found = candles(minute("2025-06-02T09:15:59+05:30", "2025-06-02T09:16:59.999+05:30"))
    assert moments(found) == ["2025-06-02 09:15", "2025-06-02 09:16"]
    assert "2 moments at second 59 are their minute" in found.notes


@pytest.mark.parametrize(
    ("clock", "said"),
    [
        ("T00:00:00+00:00", "at 05:30"),
        ("T09:15:00+05:30", "at 09:15"),
        ("T15:29:00+05:30", "at 15:29"),
        ("T15:30:00+05:30", "at 15:30"),
        (" 15:30:00", "at 15:30"),
        (" 00:00:00", None),
        ("", None),
    ],
)
def test_one_bar_a_day_is_daily_at_whatever_time(clock: str, said: str | None) -> None:
    days = ["2025-06-02", "2025-06-03", "2025-06-04", "2025-06-05"]
    rows = [f"{symbol},{day}{clock},1,1,1,1,1" for symbol in ("A", "B") for day in days]
    found = candles(table(*rows))
    assert found.kind == "daily"
    assert sorted(set(moments(found))) == [f"{day} 00:00" for day in days]
    assert len(found.accepted) == 8
    assert said is None or any(said in note for note in found.notes)


def test_midnight_in_india_as_the_evening_before_in_utc() -> None:
    days = [date(2025, 6, 1) + timedelta(days=number) for number in range(5)]
    found = candles(table(*(f"A,{day}T18:30:00Z,1,1,1,1,1" for day in days)))
    assert (found.kind, moments(found)[0]) == ("daily", "2025-06-02 00:00")
    asked = candles(table(*(f"A,{day} 18:30:00,1,1,1,1,1" for day in days)))
    assert len(asked.accepted) == 0
    known = candles(table(*(f"A,{day} 18:30:00,1,1,1,1,1" for day in days)), timezone="UTC")
    assert moments(known)[0] == "2025-06-02 00:00"


def test_daily_bars_at_the_moment_of_the_last_trade() -> None:
    clocks = ["15:29:41", "15:28:07", "15:29:58", "15:29:13"]
    days = ["2025-06-02", "2025-06-03", "2025-06-04", "2025-06-05"]
    rows = [f"A,{day}T{clock}+05:30,1,1,1,1,1" for day, clock in zip(days, clocks, strict=True)]
    assert candles(table(*rows)).kind == "daily"


def test_single_trades_of_a_share_that_nobody_wants_stay_minutes() -> None:
    clocks = ["10:31", "14:02", "11:17", "09:58", "13:44", "12:20"]
    days = ["2025-06-02", "2025-06-03", "2025-06-04", "2025-06-05", "2025-06-06", "2025-06-09"]
    rows = [f"A,{day}T{clock}:00+05:30,1,1,1,1,1" for day, clock in zip(days, clocks, strict=True)]
    assert candles(table(*rows)).kind == "minutes"


def test_data_before_the_calendar_says_so() -> None:
    found = candles(table("A,2009-06-02T09:15:00+05:30,1,1,1,1,1", *session(minutes=3)))
    assert found.rejected["rule"].tolist() == ["outside calendar coverage"]
    assert "expected a day from 2015-01-01 to" in found.rejected["reason"].iloc[0]


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("digits", [4, 5, 9])
def test_days_of_a_spreadsheet_with_few_digits_are_the_minutes_they_were(
    separate: bool, digits: int
) -> None:
    header = "symbol,date,time,open,high,low,close,volume" if separate else HEADER
    minutes = range(9 * 60 + 15, 15 * 60 + 30)
    rows = [
        f"A,45810,{minute / 1440:.{digits}f},100,101,99,100,{minute % 7}"
        if separate
        else f"A,{45810 + minute / 1440:.{digits}f},100,101,99,100,{minute % 7}"
        for minute in minutes
    ]
    found = candles(table(*rows, header=header))
    assert moments(found) == [
        f"2025-06-02 {minute // 60:02}:{minute % 60:02}" for minute in minutes
    ]


@pytest.mark.parametrize("separate", [False, True])
def test_days_of_a_spreadsheet_with_too_few_digits_are_refused(separate: bool) -> None:
    header = "symbol,date,time,open,high,low,close,volume" if separate else HEADER
    days = ["45810,0.385", "45810,0.386"] if separate else ["45810.385", "45810.386"]
    asked = refused(table(*(f"A,{day},100,101,99,100,5" for day in days), header=header))
    assert asked.rule == "rounded moments"
    assert "rounded to 3 decimals" in asked.reason


def test_dates_in_columns_of_year_month_and_day_are_read() -> None:
    header = "symbol,year,month,day,hour,minute,open,high,low,close,volume"
    found = candles(table("A,2025,6,2,9,5,1,1,1,1,1", "A,2025,6,2,9,15,1,1,1,1,1", header=header))
    assert moments(found) == ["2025-06-02 09:15"]
    assert "columns year, month, day = date" in found.notes
    days = table("A,2025,6,2,1,1,1,1,1", header=header.replace(",hour,minute", ""))
    assert moments(candles(days)) == ["2025-06-02 00:00"]
