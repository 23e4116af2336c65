"""A calendar file: what it may say, and what the calendar says afterwards."""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from setbull_pipelines.market.calendar import NSE, Interval, MarketClosed
from setbull_pipelines.market.calendar_file import InvalidCalendar, parse_calendar
from setbull_pipelines.market.session_frames import minutes_in_session
from setbull_pipelines_tests.calendars import HEADER, amended

MUHURAT, WEDNESDAY, HOLIDAY = date(2026, 11, 8), date(2024, 6, 5), date(2024, 3, 29)
YEAR_2027 = ("2027-01-26,holiday,,CMTR/1", "2027-03-22,holiday,,CMTR/1")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (["26-01-2027,holiday,,x"], "line 2: found date '26-01-2027', expected a date YYYY-MM-DD"),
        (["20270126,holiday,,x"], "line 2: found date '20270126', expected a date YYYY-MM-DD"),
        (["2027-02-30,holiday,,x"], "line 2: found date '2027-02-30', expected a date YYYY-MM-DD"),
        (
            ["2014-12-31,holiday,,x"],
            "line 2: found date 2014-12-31, expected 2015-01-01 or later, where the calendar begins",
        ),
        (
            ["2027-01-26,closed,,x"],
            "line 2: found kind 'closed', expected one of holiday, special, muhurat, drill, outage, "
            "regular, published",
        ),
        (
            ["2027-01-26,holiday,, "],
            "line 2: found no source, expected where the row is known from, such as the exchange's circular",
        ),
        (
            ["2027-01-26,holiday,09:15-15:30,x"],
            "line 2: found intervals '09:15-15:30', expected none for the kind holiday",
        ),
        (
            ["", "2026-11-08,muhurat,18:00 to 19:00,x"],
            "line 3: found intervals '18:00 to 19:00', expected hours such as 18:00-19:00, several separated by spaces",
        ),
        (
            ["2026-11-08,muhurat,18:00-25:00,x"],
            "line 2: found intervals '18:00-25:00', expected hours such as 18:00-19:00, several separated by spaces",
        ),
        (
            ["2026-11-08,drill,11:30-12:30 09:15-10:00,x"],
            "line 2: found intervals '11:30-12:30 09:15-10:00', expected intervals in order, each ending after its "
            "start",
        ),
        (["2027-01-26,holiday,x"], "line 2: found 3 fields, expected 4 as in the header"),
        (
            [YEAR_2027[0], "2027-01-26,muhurat,18:00-19:00,x"],
            "line 3: found 2027-01-26 again, as on line 2, expected each date once; a session on a holiday is the "
            "session",
        ),
        (
            ["2028-01-26,holiday,,x"],
            "line 2: found date 2028-01-26, expected a date until 2027-12-31, or a row of kind published with the "
            "last day covered",
        ),
        (
            [*YEAR_2027, "2027-12-31,published,,x", "2028-12-31,published,,x"],
            "line 5: found a second row of kind published, expected one, the latest",
        ),
        (
            [*YEAR_2027, "2028-12-31,published,,x"],
            "line 4: found the kind published until 2028-12-31 and no holiday of 2028, expected the exchange's "
            "holidays of 2028",
        ),
    ],
)
def test_a_row_that_cannot_be_used_is_one_sentence(rows: list[str], sentence: str) -> None:
    with pytest.raises(InvalidCalendar) as fault:
        parse_calendar("\n".join([HEADER, *rows]))
    assert str(fault.value) == sentence


@pytest.mark.parametrize(
    ("text", "found"), [("", "none"), ("date,kind\n", "date, kind"), ("a;b\n", "a;b")]
)
def test_a_file_with_other_columns_is_refused(text: str, found: str) -> None:
    with pytest.raises(InvalidCalendar) as fault:
        parse_calendar(text)
    assert str(fault.value) == (
        f"line 1: found the columns {found}, expected date, kind, intervals, source"
    )


def test_columns_may_have_any_order_and_sources_commas() -> None:
    read = parse_calendar('source,date,intervals,kind\n"CMTR/1, page 2",2027-03-22,,holiday\n')
    assert [(row.day, row.source) for row in read.closed_days] == [
        (date(2027, 3, 22), "CMTR/1, page 2")
    ]


def test_a_file_of_a_spreadsheet_with_semicolons_is_read() -> None:
    rows = ["2027-03-22;holiday;;CMTR/1, page 2", "2027-11-07;muhurat;18:00-19:00;CMTR/2"]
    read = parse_calendar("\r\n".join([HEADER.replace(",", ";"), *rows]))
    assert [(row.day, row.source) for row in read.closed_days] == [
        (date(2027, 3, 22), "CMTR/1, page 2")
    ]
    assert [row.day for row in read.sessions] == [date(2027, 11, 7)]


def test_the_hours_of_a_muhurat_evening_are_known_from_then_on() -> None:
    assert NSE.session(MUHURAT).minutes is None
    evening = pd.Series(pd.to_datetime(["2026-11-08 17:59", "2026-11-08 18:00"]))
    evening = evening.dt.tz_localize("Asia/Kolkata")
    assert not minutes_in_session(evening).any()
    with amended("2026-11-08,muhurat,18:00-19:00,NSE/CMTR/1"):
        session = NSE.session(MUHURAT)
        assert session.intervals == (Interval(time(18), time(19)),)
        assert (session.kind, session.source) == ("muhurat", "NSE/CMTR/1")
        assert NSE.closes_at(MUHURAT) == time(19)
        assert minutes_in_session(evening).tolist() == [False, True]
    assert NSE.session(MUHURAT).minutes is None
    assert not minutes_in_session(evening).any()


def test_a_day_is_closed_and_another_opened_by_correction() -> None:
    count = len(NSE.trading_days(NSE.first_day, NSE.last_day))
    with amended(f"{WEDNESDAY},holiday,,mourning", f"{HOLIDAY},regular,,it was open"):
        assert not NSE.is_trading_day(WEDNESDAY)
        assert NSE.why_closed(WEDNESDAY) == "holiday, mourning"
        assert NSE.session(HOLIDAY).minutes == 375
        assert len(NSE.trading_days(NSE.first_day, NSE.last_day)) == count
        assert NSE.previous(date(2024, 6, 6)) == date(2024, 6, 4)
    assert NSE.is_trading_day(WEDNESDAY)
    with pytest.raises(MarketClosed):
        NSE.session(HOLIDAY)


def test_the_hours_of_a_day_are_told_where_the_file_changes_them() -> None:
    with amended(
        f"{WEDNESDAY},holiday,,mourning",
        f"{HOLIDAY},regular,,it was open",
        "2026-11-08,muhurat,18:00-19:00,NSE/CMTR/1",
        "2024-06-06,special,,hours to be announced",
    ):
        assert NSE.amended_hours(WEDNESDAY) == "closed"
        assert NSE.amended_hours(HOLIDAY) == "09:15-15:30"
        assert NSE.amended_hours(MUHURAT) == "18:00-19:00"
        assert NSE.amended_hours(date(2024, 6, 6)) == "hours not known"
        assert NSE.amended_hours(date(2024, 6, 4)) is None
    assert NSE.amended_hours(WEDNESDAY) is None


def test_2027_is_provisional_until_the_file_has_what_was_published() -> None:
    holi = date(2027, 3, 22)
    assert NSE.published_until == date(2026, 12, 31)
    assert NSE.is_trading_day(holi)
    assert NSE.session(holi).source.endswith("provisional: not published by NSE")
    good_friday = date(2027, 3, 26)
    assert not NSE.is_trading_day(good_friday)
    with amended(*YEAR_2027, "2027-12-31,published,,CMTR/1"):
        assert NSE.published_until == NSE.last_day == date(2027, 12, 31)
        assert not NSE.is_trading_day(holi)
        # What was provisional, and is not in the list, does not hold.
        assert NSE.is_trading_day(good_friday)
        assert "provisional" not in NSE.session(good_friday).source
    with amended("2027-03-22,holiday,,a guess"):
        assert not NSE.is_trading_day(holi)
        assert not NSE.is_trading_day(good_friday)
        assert NSE.published_until == date(2026, 12, 31)


def test_a_file_can_extend_the_coverage() -> None:
    rows = (*YEAR_2027, "2028-01-26,holiday,,x", "2028-12-31,published,,x")
    with amended(*rows):
        assert NSE.last_day == date(2028, 12, 31)
        assert not NSE.is_trading_day(date(2028, 1, 26))
        assert NSE.has_closed(date(2028, 1, 27), datetime(2028, 1, 27, 15, 36))
        assert minutes_in_session(
            pd.Series([pd.Timestamp(2028, 1, 27, 9, 15, tzinfo=ZoneInfo("Asia/Kolkata"))])
        ).all()
    assert NSE.last_day == date(2027, 12, 31)


def test_only_days_that_differ_from_the_table_are_marked() -> None:
    same = "2025-02-01,special,09:15-15:30,the budget again"
    with amended(same, "2026-11-08,muhurat,18:00-19:00,x", "2024-06-05,special,,x"):
        marks = {day: NSE.amended_hours(day) for day in NSE.trading_days(HOLIDAY, NSE.last_day)}
        assert {day: mark for day, mark in marks.items() if mark} == {
            MUHURAT: "18:00-19:00",
            WEDNESDAY: "hours not known",
        }
        assert NSE.amended_hours(date(2025, 2, 1)) is None


def test_the_revision_follows_from_what_is_said_not_from_how() -> None:
    text = f"{HEADER}\n2027-03-22,holiday,,x\n2026-11-08,muhurat,18:00-19:00,y\n"
    lines = text.splitlines()
    turned = "\n".join([lines[0], "", lines[2], lines[1]])
    assert parse_calendar(text).revision == parse_calendar(turned).revision != ""
    assert parse_calendar(text).revision != parse_calendar(text.replace("19:00", "19:05")).revision
    assert parse_calendar(HEADER).revision == ""
