"""Which facts are wrong, well or news, under which key, how bad, and in which words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from setbull_pipelines.alerts.finding import Finding, Says, Severity
from setbull_pipelines.alerts.observing import (
    CheckOutcome,
    RunOutcome,
    of_missing_sessions,
    of_rollout,
    of_run,
)
from setbull_pipelines.assets.common import LAST_TABLE, asset_key
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.rollout.controller import Decision, Verdict
from setbull_pipelines.rollout.log import LogRow
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import AlertSettings

UI = "http://127.0.0.1:3000"
ENDED = datetime(2026, 6, 30, 11, 5, tzinfo=UTC)
DAY = date(2026, 6, 30)


def run(error: str | None = None, *checks: CheckOutcome, days: str | None = "2026-06-30"):
    return of_run(RunOutcome("r1", "daily", days, error, ENDED, checks), UI)


def check(**changes) -> CheckOutcome:
    values = {
        "asset": "v2/candles_5min",
        "check": "session_conserved",
        "day": DAY,
        "passed": False,
        "is_error": True,
        "description": "volume of 3 instruments is lost",
    }
    return CheckOutcome(**values | changes)


def test_a_failed_run_is_wrong_until_the_same_job_and_day_succeed() -> None:
    (failed,), (succeeded,) = run("step v1__candles_5min failed: ValueError: x"), run()
    assert (failed.key, failed.says, failed.severity) == (
        "run daily 2026-06-30",
        Says.WRONG,
        Severity.ERROR,
    )
    assert (succeeded.key, succeeded.says) == (failed.key, Says.WELL)
    assert failed.title == "the run of daily 2026-06-30 failed"
    assert failed.message == "step v1__candles_5min failed: ValueError: x"
    assert (failed.link, failed.run_id) == (f"{UI}/runs/r1", "r1")
    assert run("x", days=None)[0].key == "run daily"


@pytest.mark.parametrize(
    ("passed", "is_error", "says", "severity"),
    [
        (False, True, Says.WRONG, Severity.ERROR),
        (False, False, Says.WRONG, Severity.WARNING),
        (True, True, Says.WELL, Severity.ERROR),
    ],
)
def test_a_check_of_a_green_run_is_a_finding_of_its_severity(
    passed: bool, is_error: bool, says: Says, severity: Severity
) -> None:
    itself, found = run(None, check(passed=passed, is_error=is_error))
    assert itself.says is Says.WELL
    assert (found.says, found.severity) == (says, severity)
    assert found.key == "check v2/candles_5min session_conserved 2026-06-30"
    assert found.title == "v2/candles_5min: session_conserved fails on 2026-06-30"
    assert found.message == "volume of 3 instruments is lost"
    assert found.link == f"{UI}/assets/v2/candles_5min?view=partitions&partition=2026-06-30"
    assert (found.trading_day, found.observed_at) == (DAY, ENDED)


def test_what_both_variants_fail_for_in_the_same_words_is_one_finding() -> None:
    twins = [check(asset=f"{variant}/candles_5min") for variant in ("v1", "v2")]
    _, found = run(None, *twins)
    assert found.key == "check v2/candles_5min session_conserved 2026-06-30"
    assert (
        found.title == "v1/candles_5min and v2/candles_5min: session_conserved fails on 2026-06-30"
    )
    of_v1, of_v2 = twins
    others = [
        check(asset="v1/candles_daily"),
        check(asset="v1/candles_5min", day=DAY + timedelta(days=1)),
        check(asset="v1/candles_5min", description="volume of 4 instruments is lost"),
        check(asset="v1/candles_5min", passed=True),
        check(asset="served/candles_5min"),
    ]
    for other in others:
        assert len(run(None, of_v2, other)) == 3, other
    _, lonely = run(None, of_v1)
    assert lonely.title == "v1/candles_5min: session_conserved fails on 2026-06-30"
    _, *well = run(None, *(check(asset=each.asset, passed=True) for each in twins))
    assert [each.says for each in well] == [Says.WELL] * 2


@pytest.mark.parametrize(
    ("state", "title"),
    [
        ("diverged", "v2/indicators_5min differs from v1 on 2026-06-30"),
        ("not comparable", "v2/indicators_5min cannot be compared with v1 on 2026-06-30"),
        (None, "v2/indicators_5min cannot be compared with v1 on 2026-06-30"),
    ],
)
def test_a_disagreement_is_told_in_the_words_of_the_project(state: str | None, title: str) -> None:
    outcome = check(asset="reconciliation/indicators_5min", check="v2_agrees_with_v1", state=state)
    assert run(None, outcome)[1].title == title


def test_a_check_of_a_table_without_days_has_none_in_key_and_link() -> None:
    found = run(None, check(asset="raw/intake", day=None))[1]
    assert found.key == "check raw/intake session_conserved"
    assert found.link == f"{UI}/assets/raw/intake"


def row(number: int, verdict: Verdict, start: Stage, end: Stage) -> LogRow:
    decision = Decision(
        Component.INDICATORS, verdict, start, end, "because", "c1", "s1", session=DAY
    )
    return LogRow(number, ENDED, "controller", decision)


def said(*rows: LogRow) -> list[tuple[str, str, str]]:
    return [(f.key, f.says.value, f.severity.label) for f in of_rollout(rows, UI)]


TAKEN_BACK, BREACH = "rollout indicators taken back", "rollout indicators soft breach"


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict.HELD, []),
        (Verdict.COUNTED, [(BREACH, "well", "warning")]),
        (
            Verdict.ADVANCED,
            [(BREACH, "well", "warning"), ("rollout row 7", "changed", "info")],
        ),
        (Verdict.SOFT_BREACH, [(BREACH, "wrong", "warning")]),
        (Verdict.ROLLED_BACK, [(TAKEN_BACK, "wrong", "critical")]),
        (Verdict.KILLED, [(TAKEN_BACK, "wrong", "critical")]),
        (
            Verdict.REARMED,
            # No session was judged, so that a breach stays told.
            [(TAKEN_BACK, "well", "critical"), ("rollout row 7", "changed", "info")],
        ),
        (Verdict.FORCED, [("rollout row 7", "changed", "info")]),
        (Verdict.FROZEN, [("rollout row 7", "changed", "info")]),
        (Verdict.RELEASED, [("rollout row 7", "changed", "info")]),
    ],
)
def test_what_each_verdict_of_the_rollout_says(verdict: Verdict, expected: list) -> None:
    assert said(row(7, verdict, Stage.OFF, Stage.OFF)) == expected


def of_session(number: int, day: int, verdict: Verdict) -> LogRow:
    """A row about a day of June, or of May where it is below zero."""
    found = row(number, verdict, Stage.TEN, Stage.TEN)
    session = date(2026, 6, 1) + timedelta(days=day - 1)
    return replace(found, decision=replace(found.decision, session=session))


def test_a_session_that_comes_after_later_ones_is_told_once_as_not_judged() -> None:
    before = [of_session(1, 1, Verdict.COUNTED), of_session(2, 3, Verdict.COUNTED)]
    late = [of_session(3, 2, Verdict.HELD), of_session(4, 2, Verdict.HELD)]
    keys = [key for key in said(*before, *late) if "too late" in key[0]]
    assert keys == [("rollout too late 2026-06-02", "changed", "warning")]
    (found,) = (f for f in of_rollout([*before, *late], UI) if "too late" in f.key)
    assert found.title == "rollout: the session of 2026-06-02 came too late to be judged"
    assert found.message == "because (row 3 of the log, by controller)"


@pytest.mark.parametrize(
    "rows",
    {
        "a session that waited for an earlier one": [
            (1, Verdict.COUNTED), (3, Verdict.HELD), (2, Verdict.COUNTED), (3, Verdict.COUNTED),
        ],
        "a session that was judged before": [
            (1, Verdict.COUNTED), (2, Verdict.COUNTED), (3, Verdict.COUNTED), (2, Verdict.HELD),
        ],
        "a thin session that is made again": [
            (1, Verdict.COUNTED), (2, Verdict.HELD), (3, Verdict.COUNTED), (2, Verdict.HELD),
        ],
        "history before the first session": [(5, Verdict.COUNTED), (4, Verdict.HELD)],
        "a gap of months that is filled": [
            (-90, Verdict.COUNTED), (5, Verdict.COUNTED), (-20, Verdict.HELD),
        ],
    }.items(),
    ids=lambda case: case[0],
)  # fmt: skip
def test_what_is_no_session_that_came_too_late(rows: tuple[str, list]) -> None:
    log = [of_session(number, day, verdict) for number, (day, verdict) in enumerate(rows[1], 1)]
    assert not any("too late" in key for key, _, _ in said(*log))


def test_every_verdict_is_covered_above() -> None:
    (mark,) = (
        m for m in test_what_each_verdict_of_the_rollout_says.pytestmark if m.name == "parametrize"
    )
    assert {case[0] for case in mark.args[1]} == set(Verdict)


def test_a_change_of_stage_names_both_and_who_did_it() -> None:
    (found,) = of_rollout([row(7, Verdict.FORCED, Stage.TEN, Stage.FIFTY)], UI)
    assert found.title == "rollout of indicators: forced from 10 to 50"
    assert found.message == "because (row 7 of the log, by controller)"


def test_rows_of_one_evaluation_keep_their_order() -> None:
    rows = [row(n, Verdict.SOFT_BREACH, Stage.TEN, Stage.TEN) for n in (1, 2)]
    first, second = of_rollout(rows, UI)
    assert first.observed_at < second.observed_at


SETTINGS = AlertSettings(stale_after_hours=4, repeat_hours=24)


def missing(hours: float, days: int = 7) -> Finding:
    """The finding some hours after the oldest of ``days`` sessions became overdue."""
    sessions = [DAY + timedelta(days=number) for number in range(days)]
    return of_missing_sessions(sessions, ENDED, NSE, SETTINGS, ENDED + timedelta(hours=hours))


def test_overdue_sessions_are_one_finding_that_names_the_oldest() -> None:
    found = missing(1)
    assert (found.says, found.severity, found.trading_day) == (Says.WRONG, Severity.ERROR, DAY)
    assert found.title == "7 sessions without results, the oldest 2026-06-30"
    assert "2026-07-04 and 2 more" in found.message
    assert missing(1, days=1).title == "1 session without results, the oldest 2026-06-30"


def test_overdue_sessions_lead_to_the_table_that_they_lack() -> None:
    found = missing(1)
    assert found.asset == asset_key(LAST_TABLE).to_user_string()
    assert (
        found.link == f"{SETTINGS.ui_address}/assets/{found.asset}?view=partitions&partition={DAY}"
    )


def test_looking_often_is_one_fact_per_repeat_period() -> None:
    assert missing(0.1).observed_at == missing(23.9).observed_at == ENDED
    assert missing(24).observed_at == missing(47).observed_at == ENDED + timedelta(hours=24)


def test_without_overdue_sessions_all_is_well_now() -> None:
    found = of_missing_sessions([], None, NSE, SETTINGS, ENDED)
    assert (found.says, found.observed_at, found.key) == (Says.WELL, ENDED, missing(0).key)


def test_days_that_the_calendar_does_not_cover_are_said_to_be_guessed() -> None:
    days = [date(2026, 12, 31), date(2027, 12, 31), date(2028, 1, 3), date(2028, 1, 4)]
    message = of_missing_sessions(days, ENDED, NSE, SETTINGS, ENDED).message
    assert "1 of them are after 2026-12-31, where the NSE calendar is provisional" in message
    assert "2 of them are after 2027-12-31, where the NSE calendar ends" in message
    assert "every Monday to Friday is counted there, and holidays with them" in message
    assert "NSE calendar" not in missing(1).message
