"""The refresh decision, tick by tick, in a simulated world; and its answers to single questions.

Expected days are written out here or are the calendar's own (which ``market/test_calendar.py`` holds
against independent calendars), never what ``decide`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from setbull_pipelines.automation.refresh import Refresh, decide, decide_intraday
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.settings import RefreshSettings

FIRST, LAST = date(2023, 11, 1), date(2026, 10, 31)
AFTERNOON, EVENING = time(16, 30), time(20, 30)

WEEKEND_SESSIONS = (
    date(2024, 1, 20),
    date(2024, 3, 2),
    date(2024, 5, 18),
    date(2025, 2, 1),
    date(2026, 2, 1),
)
TICK_OF_MUHURAT = {
    date(2023, 11, 12): EVENING,
    date(2024, 11, 1): EVENING,
    date(2025, 10, 21): AFTERNOON,
}


def tick_times() -> list[time]:
    """The times of day of the settings' cron expressions, which are all daily ones."""
    times = []
    for expression in RefreshSettings().ticks:
        minute, hour, *every_day = expression.split()
        assert every_day == ["*", "*", "*"], f"{expression!r} does not tick on every day"
        times.append(time(int(hour), int(minute)))
    return sorted(times)


def ticks(first: date, last: date) -> Iterator[datetime]:
    """Every tick from ``first`` to ``last``, both included."""
    for offset in range((last - first).days + 1):
        for at in tick_times():
            yield datetime.combine(first + timedelta(days=offset), at)


@dataclass
class World:
    """Runs that end before the next tick: well, unless ``succeeds(day, requested at)`` is false."""

    done: set[date] = field(default_factory=set)
    succeeds: Callable[[date, datetime], bool] = lambda day, requested_at: True
    at_most: int = RefreshSettings().catch_up_days
    answers: dict[datetime, Refresh] = field(default_factory=dict)

    def live(self, moments: Iterator[datetime]) -> None:
        """Ask at each moment, and carry out what was requested before the next one."""
        for moment in moments:
            refresh = decide(NSE, moment, self.done, frozenset(), self.at_most)
            self.answers[moment] = refresh
            self.done.update(day for day in refresh.days if self.succeeds(day, moment))

    @property
    def requests(self) -> list[tuple[date, datetime]]:
        """Every requested day with the moment of its request, in order."""
        return [(day, moment) for moment, answer in self.answers.items() for day in answer.days]


@pytest.fixture(scope="module")
def three_years() -> World:
    world = World()
    world.live(ticks(FIRST, LAST))
    return world


def test_settings_tick_after_the_regular_and_after_the_evening_close():
    assert tick_times() == [AFTERNOON, EVENING]


def test_three_years_request_every_session_once_on_its_own_date(three_years):
    assert len(three_years.answers) == 2 * 1096
    days = [day for day, _ in three_years.requests]
    assert days == NSE.trading_days(FIRST, LAST)
    assert all(day == moment.date() for day, moment in three_years.requests)


def test_three_years_request_no_session_before_its_close(three_years):
    for day, moment in three_years.requests:
        close = NSE.session(day).intervals[-1].end
        assert moment >= datetime.combine(day, close), f"{day} closes at {close}"


def test_three_years_request_nothing_on_closed_days_and_say_why(three_years):
    closed = {
        moment: answer
        for moment, answer in three_years.answers.items()
        if not NSE.is_trading_day(moment.date())
    }
    assert len(closed) > 2 * 300
    for moment, answer in closed.items():
        assert answer.days == ()
        assert answer.reason == (
            f"{moment.date()} is not a trading day: {NSE.why_closed(moment.date())}; "
            "no earlier session is missing"
        )


def test_three_years_include_the_weekend_sessions_at_their_first_tick(three_years):
    assert all(day.weekday() >= 5 for day in WEEKEND_SESSIONS)
    requested = dict(three_years.requests)
    assert {day: requested[day].time() for day in WEEKEND_SESSIONS} == dict.fromkeys(
        WEEKEND_SESSIONS, AFTERNOON
    )


def test_three_years_include_the_muhurat_sessions_after_their_close(three_years):
    requested = dict(three_years.requests)
    assert {day: requested[day].time() for day in TICK_OF_MUHURAT} == TICK_OF_MUHURAT
    assert three_years.answers[datetime(2023, 11, 12, 16, 30)].reason == (
        "the session of 2023-11-12 has not closed at 16:30; no earlier session is missing"
    )
    # Announced as a holiday on a weekday, with a session in the evening.
    assert three_years.answers[datetime(2024, 11, 1, 16, 30)].days == ()


@pytest.mark.parametrize(
    ("day", "why"),
    [
        (date(2023, 12, 25), "Christmas"),
        (date(2024, 1, 22), "Special holiday, Ram temple consecration"),
        (date(2024, 3, 29), "Good Friday"),
        (date(2024, 5, 20), "Parliamentary elections"),
        (date(2025, 10, 22), "Diwali Balipratipada"),
        (date(2026, 6, 26), "Muharram"),
        (date(2024, 1, 21), "weekend"),
    ],
)
def test_the_reason_of_a_skip_names_the_holiday(three_years, day, why):
    for at in (AFTERNOON, EVENING):
        answer = three_years.answers[datetime.combine(day, at)]
        assert answer.days == ()
        assert answer.reason.startswith(f"{day} is not a trading day: {why};")


def test_the_second_tick_of_a_regular_day_has_nothing_to_do(three_years):
    assert three_years.answers[datetime(2024, 6, 5, 20, 30)] == Refresh(
        (), "2024-06-05 is materialized or under way; no earlier session is missing"
    )


# Of the two weeks from 1 to 14 March 2024: a Saturday session on the 2nd, Mahashivratri on the 8th.
MISSED = tuple(date(2024, 3, day) for day in (1, 2, 4, 5, 6, 7, 11, 12, 13, 14))
BACK = date(2024, 3, 15)


@pytest.mark.parametrize(
    ("at_most", "batches"),
    [
        (10, [MISSED, (BACK,), ()]),
        (4, [MISSED[:4], MISSED[4:8], (*MISSED[8:], BACK)]),
        (100, [(*MISSED, BACK), (), ()]),
    ],
)
def test_two_weeks_of_downtime_are_caught_up_oldest_first_in_batches(at_most, batches):
    world = World(at_most=at_most)
    world.live(ticks(date(2024, 2, 1), date(2024, 2, 29)))
    world.answers.clear()
    world.live(ticks(BACK, BACK + timedelta(days=1)))
    assert [answer.days for answer in world.answers.values()][:3] == batches
    assert world.answers[datetime(2024, 3, 15, 16, 30)].reason == "11 sessions are missing"


def test_catch_up_works_on_a_holiday_and_before_the_close():
    done = {date(2024, 3, 5), date(2024, 3, 7)}
    assert decide(NSE, datetime(2024, 3, 8, 16, 30), done, (), 10).days == (date(2024, 3, 6),)
    assert decide(NSE, datetime(2024, 3, 11, 9, 0), done, (), 10).days == (date(2024, 3, 6),)


def test_a_day_missing_in_the_middle_is_found():
    everything = NSE.trading_days(date(2024, 1, 1), date(2024, 12, 31))
    hole = date(2024, 5, 18)
    done = set(everything) - {hole}
    assert decide(NSE, datetime(2024, 12, 31, 16, 30), done, (), 10).days == (hole,)


def test_days_before_the_first_materialized_one_are_not_invented():
    answer = decide(NSE, datetime(2024, 6, 5, 16, 30), {date(2024, 6, 4)}, (), 10)
    assert answer.days == (date(2024, 6, 5),)
    assert decide(NSE, datetime(2024, 6, 5, 16, 30), (), (), 10).days == (date(2024, 6, 5),)


def test_a_failed_day_is_asked_again_on_every_tick_until_it_is_done():
    day, next_day = date(2024, 6, 5), date(2024, 6, 6)
    repaired = datetime(2024, 6, 6, 16, 30)
    world = World(done={date(2024, 6, 4)}, succeeds=lambda day, at: at >= repaired)
    world.live(ticks(day, next_day))
    assert [answer.days for answer in world.answers.values()] == [
        (day,),
        (day,),
        (day, next_day),
        (),
    ]


def test_a_day_under_way_is_not_asked_and_is_asked_again_when_its_run_failed():
    before, day = date(2024, 6, 4), date(2024, 6, 5)
    evening = datetime.combine(day, EVENING)
    assert decide(NSE, evening, {before}, {day}, 10) == Refresh(
        (), "2024-06-05 is materialized or under way; no earlier session is missing"
    )
    assert decide(NSE, evening, {before}, (), 10).days == (day,)


def test_a_slow_catch_up_run_does_not_count_against_the_next_batch():
    done, slow = {date(2024, 2, 29)}, set(MISSED[:4])
    answer = decide(NSE, datetime.combine(BACK, AFTERNOON), done, slow, 4)
    assert answer.days == MISSED[4:8]


def test_results_of_later_days_do_not_disturb_the_decision():
    """The generated sample, and an input given by hand, may lie after the clock's day."""
    later = {date(2026, 6, 29), date(2026, 6, 30)}
    answer = decide(NSE, datetime(2024, 6, 5, 16, 30), later, (), 10)
    assert answer.days == (date(2024, 6, 5),)


@pytest.mark.parametrize(
    ("at", "closed"),
    [
        (datetime(2024, 6, 5, 15, 29, 59), False),
        (datetime(2024, 6, 5, 15, 30), True),
        (datetime(2024, 3, 2, 10, 0), False),  # between the two intervals of a drill
        (datetime(2024, 3, 2, 12, 30), True),
        (datetime(2021, 2, 24, 16, 30), False),  # an outage moved the close to 17:00
        (datetime(2021, 2, 24, 20, 30), True),
        (datetime(2023, 11, 12, 19, 14), False),
        (datetime(2023, 11, 12, 19, 15), True),
        (datetime(2026, 7, 31, 15, 30), True),
        (datetime(2026, 8, 3, 15, 34), False),  # the closing auction of stocks with derivatives
        (datetime(2026, 8, 3, 15, 35), True),
    ],
)
def test_a_session_is_over_at_the_end_of_its_last_interval(at, closed):
    assert NSE.has_closed(at.date(), at) is closed
    requested = decide(NSE, at, (), (), 10).days
    assert requested == ((at.date(),) if closed else ())


def test_a_session_of_unknown_hours_is_over_at_midnight():
    day, before, after = date(2026, 11, 8), date(2026, 11, 6), date(2026, 11, 9)
    assert NSE.session(day).intervals == ()
    for at in (AFTERNOON, EVENING, time(23, 59, 59)):
        answer = decide(NSE, datetime.combine(day, at), {before}, (), 10)
        assert answer.days == ()
        assert answer.reason.startswith(f"the session of {day} has not closed at {at:%H:%M}")
    assert decide(NSE, datetime.combine(after, time(0)), {before}, (), 10).days == (day,)
    assert decide(NSE, datetime.combine(after, AFTERNOON), {before}, (), 10).days == (day, after)


@pytest.mark.parametrize("today", [date(2014, 12, 31), date(2028, 1, 3)])
def test_outside_the_calendar_nothing_is_guessed(today):
    answer = decide(NSE, datetime.combine(today, AFTERNOON), {NSE.last_day}, (), 10)
    assert answer.days == ()
    assert answer.reason.startswith(
        f"{today} is outside the NSE calendar, which covers 2015-01-01 to 2027-12-31"
    )
    assert "calendar.file" in answer.reason


def test_behind_the_end_of_the_calendar_missed_sessions_are_still_caught_up():
    moment, done = datetime(2028, 1, 3, 16), {date(2027, 12, 29)}
    answer = decide(NSE, moment, done, {date(2027, 12, 30)}, 10)
    assert answer.days == (date(2027, 12, 31),)


SESSIONS = NSE.trading_days(date(2024, 2, 1), date(2024, 4, 30))
SETS_OF_SESSIONS = st.sets(st.sampled_from(SESSIONS))


@settings(max_examples=200, deadline=None)
@given(
    moment=st.datetimes(datetime(2024, 2, 1), datetime(2024, 4, 30, 23, 59)),
    done=SETS_OF_SESSIONS,
    under_way=SETS_OF_SESSIONS,
    at_most=st.integers(1, 20),
)
def test_whatever_exists_only_closed_missing_sessions_are_requested(
    moment, done, under_way, at_most
):
    days = decide(NSE, moment, done, under_way, at_most).days
    assert list(days) == sorted(set(days))
    assert len(days) <= at_most
    assert not set(days) & (done | under_way)
    for day in days:
        assert day in SESSIONS
        assert moment >= datetime.combine(day, NSE.session(day).intervals[-1].end)
    assert decide(NSE, moment, sorted(done, reverse=True), under_way, at_most).days == days


# The session under way: every five minutes of a day


def looks(day: date, done: set[date] = frozenset(), every: int = 5) -> list[str]:
    """The ticks of a day at which its session is refreshed, when every run ends before the next tick."""
    midnight = datetime.combine(day, time(0))
    moments = [midnight + timedelta(minutes=minute) for minute in range(0, 24 * 60, every)]
    return [
        f"{moment:%H:%M}" for moment in moments if decide_intraday(NSE, moment, done, (), 5).days
    ]


@pytest.mark.parametrize(
    ("day", "spans"),
    [
        (date(2024, 6, 5), [("09:20", "15:35")]),
        (date(2026, 8, 3), [("09:20", "15:35")]),  # the auction until 15:35 makes no bar
        (date(2020, 11, 14), [("18:20", "19:20")]),  # Muhurat, a Saturday
        (date(2025, 2, 1), [("09:20", "15:35")]),  # Budget, a Saturday
        (date(2021, 2, 24), [("09:20", "11:45"), ("15:50", "17:05")]),  # outage
        (date(2024, 3, 2), [("09:20", "10:05"), ("11:35", "12:35")]),  # drill, a Saturday
        (date(2024, 3, 29), []),  # Good Friday
        (date(2024, 6, 8), []),  # a Saturday
        (date(2026, 11, 8), []),  # Muhurat whose hours are not announced
        (date(2028, 1, 3), []),  # outside the calendar
    ],
)
def test_a_day_is_looked_at_while_bars_close_and_once_after(day, spans):
    expected = [
        clock
        for first, last in spans
        for clock in pd.date_range(first, last, freq="5min").strftime("%H:%M")
    ]
    assert looks(day) == expected
    assert looks(day, done={day}) == []


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (datetime(2024, 3, 29, 11), "2024-03-29 is not a trading day: Good Friday"),
        (datetime(2024, 6, 5, 9, 15), "no bar of 2024-06-05 closes at 09:15"),
        (datetime(2024, 6, 5, 15, 40), "no bar of 2024-06-05 closes at 15:40"),
        (datetime(2026, 11, 8, 18, 30), "the hours of 2026-11-08 are not in the calendar"),
        (datetime(2028, 1, 3, 11), "2028-01-03 is outside the NSE calendar"),
    ],
)
def test_why_a_session_is_not_looked_at(at, reason):
    assert decide_intraday(NSE, at, (), (), 5).reason.startswith(reason)


def test_runs_that_take_twelve_minutes_do_not_pile_up():
    """Of the ticks while one run is unfinished none requests another; the next after its end does."""
    day, unfinished_until, requested = date(2024, 6, 5), datetime.min, []
    for moment in pd.date_range(f"{day} 09:15", f"{day} 10:25", freq="5min").to_pydatetime():
        unfinished = ["intraday"] if moment < unfinished_until else []
        if decide_intraday(NSE, moment, (), unfinished, 5).days:
            requested.append(f"{moment:%H:%M}")
            unfinished_until = moment + timedelta(minutes=12)
    assert requested == ["09:20", "09:35", "09:50", "10:05", "10:20"]
