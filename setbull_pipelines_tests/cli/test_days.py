"""Which days a run covers, and the sentences when there is nothing."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from setbull_pipelines.cli.days import (
    DEFAULT_DAYS_WITHOUT_MINUTES,
    SAMPLE_DAYS,
    NotARange,
    NothingToRun,
    choose_days,
    closed_days,
    refuse_impossible,
)
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.settings import CalendarSettings, Settings

DAILY = NSE.trading_days(date(2024, 1, 1), date(2025, 6, 30))
MINUTES = DAILY[-30:]
SAMPLE, FILES = Settings(), Settings(input="candles")


def test_the_sample_runs_its_last_few_days() -> None:
    asked = choose_days(MINUTES, DAILY, SAMPLE, None, None)
    assert asked.days == tuple(MINUTES[-SAMPLE_DAYS:])
    assert asked.note is None


def test_files_with_minutes_run_every_day_that_has_them() -> None:
    assert choose_days(MINUTES, DAILY, FILES, None, None).days == tuple(MINUTES)


def test_files_with_daily_bars_only_run_the_last_days_and_say_so() -> None:
    asked = choose_days([], DAILY, FILES, None, None)
    assert asked.days == tuple(DAILY[-DEFAULT_DAYS_WITHOUT_MINUTES:])
    assert "the last 20 sessions are run" in asked.note
    assert "FROM=" in asked.note


def test_asked_days_are_all_sessions_between_them_with_or_without_rows() -> None:
    holes = [day for day in MINUTES if day != MINUTES[10]]
    asked = choose_days(holes, [], FILES, MINUTES[8], MINUTES[12])
    assert asked.days == tuple(MINUTES[8:13])


def test_one_end_alone_runs_to_the_end_of_what_is_stored() -> None:
    assert choose_days(MINUTES, DAILY, FILES, MINUTES[5], None).days == tuple(MINUTES[5:])
    assert choose_days(MINUTES, DAILY, FILES, None, DAILY[3]).days == tuple(DAILY[:4])


def test_a_range_wider_than_the_input_is_clipped_to_it() -> None:
    asked = choose_days(MINUTES, [], FILES, date(2015, 1, 1), date(2030, 1, 1))
    assert asked.days == tuple(MINUTES)


def test_weekends_at_the_ends_of_a_range_do_not_matter() -> None:
    asked = choose_days(MINUTES, DAILY, FILES, date(2025, 6, 21), date(2025, 6, 29))
    assert asked.days == tuple(NSE.trading_days(date(2025, 6, 23), date(2025, 6, 27)))


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (date(2030, 1, 1), None),
        (None, date(2010, 1, 1)),
        (date(2025, 6, 21), date(2025, 6, 22)),  # a weekend
        (date(2025, 6, 27), date(2025, 6, 20)),  # the wrong way round
    ],
)
def test_a_range_without_a_stored_session_is_refused_in_one_sentence(
    first: date | None, last: date | None
) -> None:
    with pytest.raises(NothingToRun) as caught:
        choose_days(MINUTES, DAILY, FILES, first, last)
    assert f"covers {DAILY[0]} to {DAILY[-1]}" in str(caught.value)
    assert str(first or last) in str(caught.value)


@pytest.mark.parametrize(
    ("first", "last", "sentence"),
    [
        (
            date(2025, 6, 27),
            date(2025, 6, 20),
            "--from 2025-06-27 lies after --to 2025-06-20, expected the earlier day first: "
            "--from 2025-06-20 --to 2025-06-27",
        ),
        (
            date(2025, 7, 1),
            None,
            "--from 2025-07-01 lies in the future, expected a session that has closed: today is 2025-06-30",
        ),
        (
            date(2025, 6, 21),
            date(2025, 6, 22),
            "NSE is closed on every day from Saturday 2025-06-21 to Sunday 2025-06-22, expected a range with a "
            "session; the nearest are 2025-06-20 and 2025-06-23",
        ),
        (
            date(2025, 5, 1),
            date(2025, 5, 1),
            "NSE is closed on Thursday 2025-05-01 (Maharashtra Day), expected a range with a session; the nearest "
            "are 2025-04-30 and 2025-05-02",
        ),
    ],
)
def test_a_range_that_no_input_can_have_is_refused_for_its_reason(
    first: date, last: date | None, sentence: str
) -> None:
    with pytest.raises(NotARange) as caught:
        refuse_impossible(first, last, today=date(2025, 6, 30))
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (None, None),
        (date(2025, 6, 30), None),
        (date(2025, 6, 20), date(2025, 6, 22)),
        (date(2025, 6, 20), date(2030, 1, 1)),
        (date(1990, 1, 6), date(1990, 1, 7)),
    ],
)
def test_a_range_that_an_input_could_have_is_not_refused_before_reading_it(
    first: date | None, last: date | None
) -> None:
    assert refuse_impossible(first, last, today=date(2025, 6, 30)) is None


def test_an_input_without_a_candle_on_a_trading_day_is_refused() -> None:
    with pytest.raises(
        NothingToRun, match="candles of sessions under way only, expected one that has closed"
    ):
        choose_days([], [], FILES, None, None)


def test_a_session_under_way_is_left_out() -> None:
    days = [date(2026, 6, 29), date(2026, 6, 30)]
    assert closed_days(days, datetime(2026, 6, 30, 15, 29)) == days[:1]
    assert closed_days(days, datetime(2026, 6, 30, 15, 30)) == days
    assert closed_days([], datetime(2026, 6, 30)) == []


def test_stored_sessions_that_look_back_on_corrected_ones_come_along() -> None:
    first, later = DAILY[150], DAILY[160:162]
    asked = choose_days([], DAILY, FILES, first, first, [first, *later])
    assert asked.days == (first, *later)
    assert f"2 stored sessions from {later[0]} to {later[-1]}" in asked.note
    assert choose_days([], DAILY, FILES, first, first, [first]).note is None


def test_no_day_before_the_first_partition_of_the_settings_is_run() -> None:
    begin = DAILY[-3]
    settings = Settings(input="candles", calendar=CalendarSettings(first_partition=str(begin)))
    expected = tuple(DAILY[-3:])
    assert choose_days(MINUTES, DAILY, settings, None, None).days == expected
    assert choose_days(MINUTES, DAILY, settings, DAILY[0], None).days == expected
    corrected = choose_days(MINUTES, DAILY, settings, DAILY[-1], None, corrected=DAILY[:5])
    assert corrected.days == (DAILY[-1],)
    late = Settings(input="candles", calendar=CalendarSettings(first_partition="2026-01-01"))
    with pytest.raises(NothingToRun, match=r"from calendar\.first_partition \(2026-01-01\) on"):
        choose_days(MINUTES, DAILY, late, None, None)
