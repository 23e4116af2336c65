"""Alerts of what no run tells: missing sessions, the end of the calendar, the rollout."""

from dataclasses import replace
from datetime import date, datetime, timedelta

from setbull_pipelines.automation import noticing
from setbull_pipelines.automation.noticing import outcome_of
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.alert_delivery import read_ledger, record_findings
from setbull_pipelines.pipeline.stage_decisions import record_actions
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.rollout.controller import Verdict
from setbull_pipelines.rollout.stages import Component
from setbull_pipelines.warehouse.pointers import WHOLE
from setbull_pipelines_tests import stored as faults
from setbull_pipelines_tests.automation.noticing.broken_asset import (
    CHECK,
    INDIA,
    Broken,
    execute,
    look,
    materialize,
    overdue,
)
from setbull_pipelines_tests.calendars import amended


def test_a_kill_of_the_rollout_is_critical_until_the_rearm(instance, warehouse, settings) -> None:
    def act(verdict: Verdict) -> None:
        moment = datetime.now(INDIA)
        record_actions(
            [Component.INDICATORS], verdict, "Asha", "a trial", warehouse, settings, lambda: moment
        )

    act(Verdict.KILLED)
    (alert,) = look(instance, warehouse, settings).changed
    assert (alert.severity.label, alert.title) == ("critical", "rollout of indicators: killed")
    assert look(instance, warehouse, settings).changed == []
    act(Verdict.REARMED)
    assert [(a.state, a.severity.label) for a in look(instance, warehouse, settings).changed] == [
        ("recovered", "critical"),
        ("noted", "info"),
    ]


def test_a_damaged_rollout_log_does_not_silence_the_other_alerts(
    instance, warehouse, settings
) -> None:
    moment = datetime.now(INDIA)
    record_actions(
        [Component.INDICATORS], Verdict.KILLED, "Asha", "x", warehouse, settings, lambda: moment
    )
    faults.damage(warehouse, LOG, WHOLE)
    Broken.check_fails = True
    runs = [outcome_of(instance, instance.get_run_record_by_id(execute(instance)))]
    findings = noticing.findings_of(instance, runs, warehouse, settings, moment)
    assert CHECK in [finding.key for finding in findings]


def test_a_session_is_overdue_hours_after_its_close_and_not_before(instance, settings) -> None:
    settings = replace(settings, input="/candles")  # closes at 15:30, four hours are allowed
    monday, tuesday = date(2024, 6, 3), date(2024, 6, 4)
    evening = datetime(2024, 6, 4, 19, 29, tzinfo=INDIA)
    assert overdue(instance, settings, evening) == []  # nothing was ever materialized
    materialize(instance, monday)
    assert overdue(instance, settings, evening) == [("well", "None")]
    late = evening + timedelta(minutes=2)
    assert overdue(instance, settings, late) == [("wrong", "2024-06-04")]
    materialize(instance, tuesday)
    assert overdue(instance, settings, late) == [("well", "None")]
    weekend = datetime(2024, 6, 9, 12, 0, tzinfo=INDIA)
    assert overdue(instance, settings, weekend) == [("wrong", "2024-06-05")]


def test_history_that_nobody_refreshes_is_not_overdue(instance, settings) -> None:
    settings = replace(settings, input="/candles")
    materialize(instance, date(2024, 6, 3))
    # 17 June is Id-Ul-Adha: 3 June is the tenth session before the evening of the 14th.
    assert overdue(instance, settings, datetime(2024, 6, 14, 20, 0, tzinfo=INDIA)) != []
    assert overdue(instance, settings, datetime(2024, 6, 18, 20, 0, tzinfo=INDIA)) == []


def test_a_missed_session_stays_told_when_it_is_no_longer_among_the_last(
    instance, settings, warehouse
) -> None:
    settings = replace(settings, input="/candles")

    def told(moment: datetime) -> list[tuple[str, str]]:
        findings = noticing.findings_of(instance, [], warehouse, settings, moment)
        record_findings(findings, warehouse, settings.alerts, lambda: moment)
        return [
            (alert.state, str(alert.trading_day))
            for alert in read_ledger(warehouse).alerts
            if alert.kind == "stale"
        ]

    evening = datetime(2024, 6, 4, 20, 0, tzinfo=INDIA)
    materialize(instance, date(2024, 6, 3))
    assert told(evening) == [("open", "2024-06-04")]
    # 17 June is Id-Ul-Adha: the last ten sessions begin with 5 June.
    materialize(instance, *(date(2024, 6, day) for day in (5, 6, 7, 10, 11, 12, 13, 14, 18, 19)))
    later = datetime(2024, 6, 19, 20, 0, tzinfo=INDIA)
    assert told(later) == [("open", "2024-06-04")]
    materialize(instance, date(2024, 6, 4))
    assert told(later + timedelta(hours=1)) == [("recovered", "2024-06-04")]


def test_behind_the_end_of_the_calendar_every_weekday_is_overdue_and_never_well(
    instance, settings
) -> None:
    settings = replace(settings, input="/candles")
    materialize(instance, date(2027, 12, 30), date(2027, 12, 31))
    new_year = datetime(2028, 1, 1, 12, 0, tzinfo=INDIA)  # a Saturday
    assert overdue(instance, settings, new_year) == [("well", "None")]
    monday = datetime(2028, 1, 3, 19, 31, tzinfo=INDIA)
    assert overdue(instance, settings, monday) == [("wrong", "2028-01-03")]
    (found,) = noticing.overdue_sessions(instance, settings, monday + timedelta(days=400))
    assert found.says.value == "wrong"
    assert found.title.endswith("sessions without results, the oldest 2028-01-03")
    assert "where the NSE calendar ends: every Monday to Friday is counted there" in found.message


def test_the_end_of_the_calendar_is_told_60_30_and_7_days_before_and_from_then_on(
    instance, settings, warehouse
) -> None:
    """Looked at every twelve hours through the end of the published calendar."""

    def look_at(moment: datetime) -> None:
        findings = noticing.findings_of(instance, [], warehouse, settings, moment)
        record_findings(findings, warehouse, settings.alerts, lambda: moment)

    materialize(instance, *NSE.trading_days(date(2026, 10, 1), date(2027, 1, 31)))
    end = datetime(2026, 12, 31, tzinfo=INDIA)
    for hours in range(-62 * 24, 2 * 24 + 1, 12):
        look_at(end + timedelta(hours=hours))
    ledger = read_ledger(warehouse)
    (alert,) = ledger.alerts
    assert (alert.kind, alert.state, alert.severity.label) == ("calendar", "open", "error")
    assert alert.title == "the published calendar is at its end"
    assert "calendar.file" in alert.message
    told = [((notice.created_at - end).days, notice.event) for notice in ledger.notices]
    assert told == [
        *((-60, "raised"), (-30, "reminder"), (-7, "reminder")),
        *((0, "reminder"), (1, "reminder"), (2, "reminder")),
    ]
    with amended("2027-01-26,holiday,,x", "2027-12-31,published,,x"):
        look_at(end + timedelta(days=3))
    (alert,) = read_ledger(warehouse).alerts
    assert alert.state == "recovered"


def test_a_folder_of_history_is_not_told_of_the_end_of_the_calendar(instance, settings) -> None:
    materialize(instance, date(2024, 6, 3))
    moment = datetime(2027, 1, 4, tzinfo=INDIA)
    assert list(noticing.coverage_of_calendar(instance, settings, moment)) == []
    materialize(instance, date(2026, 12, 30))
    assert len(list(noticing.coverage_of_calendar(instance, settings, moment))) == 1


def test_the_generated_sample_is_never_overdue(instance, settings) -> None:
    materialize(instance, date(2024, 6, 3))
    assert overdue(instance, settings, datetime(2024, 7, 1, tzinfo=INDIA)) == []
