"""What is left of the calendar, on days around its end."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.coverage import outlook, weekdays_beyond
from setbull_pipelines_tests.calendars import amended

END = date(2026, 12, 31)


@pytest.mark.parametrize(
    ("days_left", "reached"),
    [(61, None), (60, 60), (31, 60), (30, 30), (8, 30), (7, 7), (1, 7), (0, 0), (-1, 0), (-900, 0)],
)
def test_reminders_are_reached_60_30_and_7_days_before_the_end(
    days_left: int, reached: int | None
) -> None:
    found = outlook(NSE, END - timedelta(days=days_left))
    assert (found.days_left, found.reached) == (days_left, reached)
    assert found.is_over == (days_left <= 0)
    assert ("calendar.file" in found.sentence) == (reached is not None)


def test_the_sentence_says_what_holds_after_the_end() -> None:
    assert "reaches until 2026-12-31, 396 days after" in outlook(NSE, date(2025, 11, 30)).sentence
    provisional = outlook(NSE, date(2027, 3, 1)).sentence
    assert "ended on 2026-12-31; until 2027-12-31 it is provisional" in provisional
    beyond = outlook(NSE, date(2028, 1, 1)).sentence
    assert "no later session is run, and none is known to be missed" in beyond


def test_a_published_year_in_the_file_moves_the_end() -> None:
    rows = ("2027-01-26,holiday,,x", "2027-12-31,published,,x")
    with amended(*rows):
        assert outlook(NSE, END).reached is None
        assert outlook(NSE, date(2027, 12, 25)).reached == 7


def test_beyond_the_coverage_mondays_to_fridays_are_counted_once_they_are_over() -> None:
    days = [date(2028, 1, 3), date(2028, 1, 4)]  # Monday, Tuesday
    assert weekdays_beyond(NSE, datetime(2028, 1, 4, 15, 30)) == days
    assert weekdays_beyond(NSE, datetime(2028, 1, 4, 15, 29)) == days[:1]
    assert weekdays_beyond(NSE, datetime(2028, 1, 2, 23, 0)) == []
    assert weekdays_beyond(NSE, datetime(2027, 12, 30, 23, 0)) == []
