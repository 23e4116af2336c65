"""Questions about single days and ranges."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime, time, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines.market.calendar import NSE, Interval, MarketClosed, OutsideCoverage

SPECIAL_DAYS = [
    # day, kind, hours, expected one-minute bars
    (date(2015, 2, 28), "special", "09:15-15:30", 375),
    (date(2020, 2, 1), "special", "09:15-15:30", 375),
    (date(2024, 1, 20), "special", "09:15-15:30", 375),
    (date(2025, 2, 1), "special", "09:15-15:30", 375),
    (date(2026, 2, 1), "special", "09:15-15:30", 375),
    (date(2024, 3, 2), "drill", "09:15-10:00 11:30-12:30", 105),
    (date(2024, 5, 18), "drill", "09:15-10:00 11:30-12:30", 105),
    (date(2021, 2, 24), "outage", "09:15-11:40 15:45-17:00", 220),
    (date(2015, 11, 11), "muhurat", "17:45-18:45", 60),
    (date(2016, 10, 30), "muhurat", "18:30-19:30", 60),
    (date(2017, 10, 19), "muhurat", "18:30-19:30", 60),
    (date(2018, 11, 7), "muhurat", "17:30-18:30", 60),
    (date(2019, 10, 27), "muhurat", "18:15-19:15", 60),
    (date(2020, 11, 14), "muhurat", "18:15-19:15", 60),
    (date(2021, 11, 4), "muhurat", "18:15-19:15", 60),
    (date(2022, 10, 24), "muhurat", "18:15-19:15", 60),
    (date(2023, 11, 12), "muhurat", "18:15-19:15", 60),
    (date(2024, 11, 1), "muhurat", "18:00-19:00", 60),
    (date(2025, 10, 21), "muhurat", "13:45-14:45", 60),
]

covered_days = st.dates(NSE.first_day, NSE.last_day)
inner_days = st.dates(date(2015, 2, 1), date(2026, 11, 30))


@pytest.mark.parametrize(("day", "kind", "hours", "minutes"), SPECIAL_DAYS)
def test_special_days(day, kind, hours, minutes):
    session = NSE.session(day)
    spelled = " ".join(f"{part.start:%H:%M}-{part.end:%H:%M}" for part in session.intervals)
    assert NSE.is_trading_day(day)
    assert (session.day, session.kind, spelled, session.minutes) == (day, kind, hours, minutes)
    assert session.source


def test_a_regular_day():
    session = NSE.session(date(2022, 8, 8))
    assert session.kind == "regular"
    assert session.intervals == (Interval(time(9, 15), time(15, 30)),)
    assert session.minutes == 375


def test_an_announced_session_without_known_hours_has_no_minutes():
    session = NSE.session(date(2026, 11, 8))
    assert session.kind == "muhurat"
    assert session.intervals == ()
    assert session.minutes is None


@pytest.mark.parametrize(
    ("day", "reason"),
    [
        (date(2024, 1, 27), "weekend"),
        (date(2024, 1, 28), "weekend"),
        (date(2024, 1, 26), "Republic Day"),
        (date(2024, 1, 22), "Special holiday, Ram temple consecration"),
        (date(2024, 5, 20), "Parliamentary elections"),
        (date(2024, 11, 20), "Maharashtra Assembly elections"),
        (date(2026, 1, 15), "Maharashtra municipal elections"),
        (date(2026, 8, 15), "weekend"),
    ],
)
def test_closed_days_and_their_reasons(day, reason):
    assert not NSE.is_trading_day(day)
    assert NSE.why_closed(day) == reason
    with pytest.raises(MarketClosed, match=f"{day} is not a trading day of NSE \\({reason}\\)"):
        NSE.session(day)


def test_an_open_day_has_no_reason_to_be_closed():
    with pytest.raises(ValueError, match="2024-01-20 is a trading day of NSE"):
        NSE.why_closed(date(2024, 1, 20))


def test_steps_from_a_day_that_is_not_open():
    saturday = date(2023, 7, 15)
    assert NSE.previous(saturday) == date(2023, 7, 14)
    assert NSE.previous(saturday, 2) == date(2023, 7, 13)  # a Thursday
    assert NSE.next(saturday) == date(2023, 7, 17)
    assert NSE.next(saturday, 5) == date(2023, 7, 21)


def test_steps_are_strict_and_cross_holidays_and_special_sessions():
    assert NSE.previous(date(2023, 7, 14)) == date(2023, 7, 13)
    assert NSE.next(date(2024, 1, 19)) == date(2024, 1, 20)
    assert NSE.next(date(2024, 1, 19), 2) == date(2024, 1, 23)
    assert NSE.previous(date(2024, 1, 23), 2) == date(2024, 1, 19)


def test_ranges_include_both_ends():
    assert NSE.trading_days(date(2024, 1, 19), date(2024, 1, 23)) == [
        date(2024, 1, 19),
        date(2024, 1, 20),
        date(2024, 1, 23),
    ]
    assert NSE.closed_days(date(2024, 1, 19), date(2024, 1, 23)) == [
        date(2024, 1, 21),
        date(2024, 1, 22),
    ]
    assert NSE.trading_days(date(2024, 1, 21), date(2024, 1, 22)) == []


def test_a_returned_list_can_be_changed_without_harm():
    first = NSE.trading_days(NSE.first_day, NSE.last_day)
    count = len(first)
    first.clear()
    assert len(NSE.trading_days(NSE.first_day, NSE.last_day)) == count


@pytest.mark.parametrize("day", [date(2014, 12, 31), date(2028, 1, 1)])
def test_days_outside_the_coverage_are_refused(day):
    questions = [
        lambda: NSE.is_trading_day(day),
        lambda: NSE.session(day),
        lambda: NSE.why_closed(day),
        lambda: NSE.next(day),
        lambda: NSE.previous(day),
        lambda: NSE.trading_days(day, day),
        lambda: NSE.closed_days(min(day, NSE.first_day), max(day, NSE.first_day)),
    ]
    sentence = (
        f"{day} is outside the NSE calendar, which covers 2015-01-01 to 2027-12-31; ask for a "
        "covered day or enter the missing year's holidays and special sessions in the file "
        "that the setting calendar.file names."
    )
    for question in questions:
        with pytest.raises(OutsideCoverage) as refusal:
            question()
        assert str(refusal.value) == sentence
        assert isinstance(refusal.value, ValueError)


def test_steps_over_the_edge_of_the_coverage_are_refused():
    with pytest.raises(OutsideCoverage, match="Trading day number 1 after 2027-12-31 is outside"):
        NSE.next(date(2027, 12, 31))
    with pytest.raises(OutsideCoverage, match="Trading day number 1 before 2015-01-01 is outside"):
        NSE.previous(date(2015, 1, 1))


@pytest.mark.parametrize("n", [0, -1])
def test_steps_of_less_than_one_day_are_refused(n):
    with pytest.raises(ValueError, match=f"at least 1, found {n}"):
        NSE.next(date(2024, 1, 19), n)
    with pytest.raises(ValueError, match=f"at least 1, found {n}"):
        NSE.previous(date(2024, 1, 19), n)


def test_a_range_that_ends_before_it_starts_is_refused():
    with pytest.raises(ValueError, match="ends on 2024-01-01, before its first day 2024-01-02"):
        NSE.trading_days(date(2024, 1, 2), date(2024, 1, 1))


@pytest.mark.parametrize("moment", [datetime(2024, 1, 19), pd.Timestamp("2024-01-19")])
def test_moments_are_not_days(moment):
    with pytest.raises(TypeError, match="without a time of day"):
        NSE.is_trading_day(moment)


@given(inner_days)
def test_next_undoes_previous_on_trading_days_only(day):
    reached = NSE.next(NSE.previous(day))
    if NSE.is_trading_day(day):
        assert reached == day
    else:
        assert reached == NSE.next(day) > day


@given(inner_days, st.integers(1, 15))
def test_n_steps_are_n_single_steps(day, n):
    forward = backward = day
    for _ in range(n):
        forward, backward = NSE.next(forward), NSE.previous(backward)
    assert (NSE.next(day, n), NSE.previous(day, n)) == (forward, backward)


@given(covered_days, covered_days)
def test_a_range_splits_into_trading_days_and_closed_days(one, other):
    first, last = sorted((one, other))
    every_day = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    trading, closed = NSE.trading_days(first, last), NSE.closed_days(first, last)
    assert sorted(trading + closed) == every_day
    assert all(NSE.why_closed(day) for day in closed[:5])
    assert all(NSE.session(day).day == day for day in trading[:5])


MONDAY = date(2022, 8, 8)
OUTAGE = date(2021, 2, 24)  # 09:15-11:40 and 15:45-17:00


@pytest.mark.parametrize(
    ("day", "moment", "newest", "bar_minutes", "until"),
    [
        (MONDAY, "09:17", "09:16", 5, None),
        (MONDAY, "09:30", "09:20", 5, "09:20"),
        (MONDAY, "09:30", "09:19", 5, None),  # a minute may be unfinished until the next is there
        (MONDAY, "10:02", "10:01", 5, "10:00"),
        (MONDAY, "10:02", "10:01", 60, None),
        (MONDAY, "12:50", "12:49", 60, "12:15"),
        (MONDAY, "15:30", "15:29", 5, "15:25"),
        (MONDAY, "15:31", "15:20", 5, "15:30"),  # all that comes has come
        (MONDAY, "16:00", "15:29", 60, "15:30"),  # the last bar is a short one
        (OUTAGE, "11:39", "11:38", 5, "11:35"),
        (OUTAGE, "12:00", "11:39", 5, "11:40"),
        (OUTAGE, "15:52", "15:51", 5, "15:50"),
        (OUTAGE, "17:01", "16:59", 5, "17:00"),
        (date(2026, 11, 8), "18:30", "18:29", 5, None),  # hours that are not announced
    ],
)
def test_a_bar_is_closed_when_no_minute_of_it_can_change(day, moment, newest, bar_minutes, until):
    moment, newest = (
        datetime.combine(day, time.fromisoformat(clock)) for clock in (moment, newest)
    )
    expected = until and datetime.combine(day, time.fromisoformat(until))
    assert NSE.bars_closed_until(moment, newest, bar_minutes) == expected


@pytest.mark.parametrize(
    ("day", "moment", "margin", "is_over"),
    [
        (MONDAY, datetime(2022, 8, 8, 15, 29), 0, False),
        (MONDAY, datetime(2022, 8, 8, 15, 30), 0, True),
        (MONDAY, datetime(2022, 8, 8, 15, 44), 15, False),
        (MONDAY, datetime(2022, 8, 8, 15, 45), 15, True),
        (MONDAY, datetime(2022, 8, 9, 0, 0), 15, True),
        (MONDAY, datetime(2022, 8, 5, 18, 0), 0, False),
        (date(2026, 11, 8), datetime(2026, 11, 8, 23, 59), 0, False),  # of unknown hours
        (date(2026, 11, 8), datetime(2026, 11, 9, 0, 0), 0, True),
    ],
)
def test_a_day_is_over_at_its_close_or_at_midnight(day, moment, margin, is_over):
    assert NSE.has_closed(day, moment, margin) is is_over


def test_importing_the_calendar_loads_no_heavy_package():
    program = (
        "import sys, setbull_pipelines.market.calendar;"
        "print(sorted({'pandas', 'numpy', 'dagster'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE)
    assert loaded.stdout.strip() == b"[]"
