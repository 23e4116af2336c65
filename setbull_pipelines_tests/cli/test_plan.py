"""Which days a run covers: chosen days, history before them, and the sentences when there is nothing."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from setbull_pipelines.cli.plan import (
    DEFAULT_DAYS_WITHOUT_MINUTES,
    SAMPLE_DAYS,
    NothingToRun,
    closed_days,
    make_plan,
)
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.settings import BandWidthSettings, LookBackSettings, Settings

DAILY = NSE.trading_days(date(2024, 1, 1), date(2025, 6, 30))
MINUTES = DAILY[-30:]
LOOK_BACK = LookBackSettings(sessions_5min=9, sessions_daily=100, sessions_moves=42)
SAMPLE = Settings(look_back=LOOK_BACK)
FILES = Settings(
    input="candles", look_back=LOOK_BACK, bb_width=BandWidthSettings(look_back_sessions=5)
)


def test_the_sample_runs_its_last_few_days() -> None:
    plan = make_plan(MINUTES, DAILY, SAMPLE, None, None)
    assert plan.days == tuple(MINUTES[-SAMPLE_DAYS:])
    assert plan.note is None


def test_files_with_minutes_run_every_day_that_has_them() -> None:
    assert make_plan(MINUTES, DAILY, FILES, None, None).days == tuple(MINUTES)


def test_files_with_daily_bars_only_run_the_last_days_and_say_so() -> None:
    plan = make_plan([], DAILY, FILES, None, None)
    assert plan.days == tuple(DAILY[-DEFAULT_DAYS_WITHOUT_MINUTES:])
    assert plan.candles_5min == ()
    assert "the last 20 sessions are run" in plan.note
    assert "FROM=" in plan.note


def test_asked_days_are_all_sessions_between_them_with_or_without_rows() -> None:
    holes = [day for day in MINUTES if day != MINUTES[10]]
    plan = make_plan(holes, [], FILES, MINUTES[8], MINUTES[12])
    assert plan.days == tuple(MINUTES[8:13])


def test_one_end_alone_runs_to_the_end_of_what_is_stored() -> None:
    assert make_plan(MINUTES, DAILY, FILES, MINUTES[5], None).days == tuple(MINUTES[5:])
    assert make_plan(MINUTES, DAILY, FILES, None, DAILY[3]).days == tuple(DAILY[:4])


def test_a_range_wider_than_the_input_is_clipped_to_it() -> None:
    plan = make_plan(MINUTES, [], FILES, date(2015, 1, 1), date(2030, 1, 1))
    assert plan.days == tuple(MINUTES)


def test_weekends_at_the_ends_of_a_range_do_not_matter() -> None:
    plan = make_plan(MINUTES, DAILY, FILES, date(2025, 6, 21), date(2025, 6, 29))
    assert plan.days == tuple(NSE.trading_days(date(2025, 6, 23), date(2025, 6, 27)))


def test_the_history_is_as_long_as_the_look_backs_together() -> None:
    plan = make_plan(MINUTES, DAILY, FILES, MINUTES[20], MINUTES[22])
    before = DAILY[: DAILY.index(MINUTES[20])]
    assert plan.candles == tuple(before[-142:])  # 100 for indicators of 42 days of moves
    assert plan.indicators_daily == tuple(before[-42:])
    assert plan.candles_5min == tuple(before[-14:])  # 9 for bands of 5 sessions
    assert plan.bb_width == tuple(before[-5:])


def test_no_history_is_asked_for_before_the_first_stored_day() -> None:
    plan = make_plan(MINUTES, DAILY, FILES, MINUTES[4], None)
    assert plan.candles_5min == tuple(MINUTES[:4])
    plan = make_plan(MINUTES, DAILY, FILES, DAILY[30], DAILY[31])
    assert plan.candles == plan.indicators_daily == tuple(DAILY[:30])
    assert plan.candles_5min == ()
    first = make_plan(MINUTES, [], FILES, None, None)
    assert first.candles == first.candles_5min == first.bb_width == first.indicators_daily == ()


def test_every_list_is_ascending_without_gaps() -> None:
    plan = make_plan(MINUTES, DAILY, FILES, MINUTES[20], None)
    for days in (plan.days, plan.candles, plan.candles_5min, plan.indicators_daily):
        assert list(days) == NSE.trading_days(days[0], days[-1])
    assert plan.candles[-1] == plan.indicators_daily[-1] == NSE.previous(plan.days[0])


def test_without_look_back_there_is_only_the_session_of_the_band_widths() -> None:
    none = LookBackSettings(sessions_5min=0, sessions_daily=0, sessions_moves=0)
    one = BandWidthSettings(look_back_sessions=1, minimum_sessions=1)
    plan = make_plan(MINUTES, DAILY, Settings(look_back=none, bb_width=one), MINUTES[5], None)
    assert plan.candles == plan.indicators_daily == ()
    assert plan.candles_5min == plan.bb_width == (MINUTES[4],)


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
        make_plan(MINUTES, DAILY, FILES, first, last)
    assert f"covers {DAILY[0]} to {DAILY[-1]}" in str(caught.value)
    assert str(first or last) in str(caught.value)


def test_an_input_without_a_candle_on_a_trading_day_is_refused() -> None:
    with pytest.raises(NothingToRun, match="no candle on any NSE trading day"):
        make_plan([], [], FILES, None, None)


def test_a_session_under_way_is_left_out() -> None:
    days = [date(2026, 6, 29), date(2026, 6, 30)]
    assert closed_days(days, datetime(2026, 6, 30, 15, 29)) == days[:1]
    assert closed_days(days, datetime(2026, 6, 30, 15, 30)) == days
    assert closed_days([], datetime(2026, 6, 30)) == []


def test_stored_sessions_that_look_back_on_corrected_ones_come_along_with_their_history() -> None:
    asked, later = DAILY[150], DAILY[160:162]
    plan = make_plan([], DAILY, FILES, asked, asked, [asked, *later])
    assert plan.days == (asked, *later)
    assert plan.indicators_daily == tuple(DAILY[150 - 42 : 150] + DAILY[150:160])
    assert f"2 stored sessions from {later[0]} to {later[-1]}" in plan.note
    assert make_plan([], DAILY, FILES, asked, asked, [asked]).note is None
