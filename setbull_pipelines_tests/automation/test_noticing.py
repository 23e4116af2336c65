"""From real runs on a real instance to alerts: green runs with failed checks, failed runs, recoveries, overdue days."""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.alerts.ledger import Alert
from setbull_pipelines.assets.checking import report_days, result_of_days, severity
from setbull_pipelines.automation import noticing
from setbull_pipelines.automation.noticing import finished_runs, look_and_deliver, outcome_of
from setbull_pipelines.automation.sensors import build_sensors
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.alert_delivery import read_ledger, record_findings
from setbull_pipelines.pipeline.stage_decisions import record_actions
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.quality.rules import all_rules
from setbull_pipelines.quality.verdict import NOT_JUDGED, TOLD_BY_OWN_ALERT, Rule
from setbull_pipelines.quality.verdict import Verdict as RuleVerdict
from setbull_pipelines.rollout.controller import Verdict
from setbull_pipelines.rollout.stages import Component
from setbull_pipelines.settings import AlertSettings, Settings
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.resources import WarehouseResource
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests import stored as faults
from setbull_pipelines_tests.automation.killed import gone_process, started_run
from setbull_pipelines_tests.calendars import amended
from setbull_pipelines_tests.pipeline.small_run import SmallRun
from setbull_pipelines_tests.ports import free_port

DAYS = dg.StaticPartitionsDefinition(["2026-06-29", "2026-06-30"])
INDIA = ZoneInfo("Asia/Kolkata")
RANGE = {
    "dagster/asset_partition_range_start": "2026-06-29",
    "dagster/asset_partition_range_end": "2026-06-30",
}
RULES_OF_BARS = all_rules()[StoredTable("v2", tables.CANDLES_5MIN)]
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Broken:
    """What is wrong with the assets of ``jobs`` at the moment."""

    check_fails = warns = step_fails = False


@dg.asset(
    key=["v2", "candles_5min"],
    partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def candles() -> None:
    if Broken.step_fails:
        raise ValueError("the minutes are upside down")


CONSERVED = Rule(
    "session_conserved", "no volume is lost", StoredTable("v2", tables.CANDLES_5MIN), (), None
)


@dg.asset_check(asset=candles)
def session_conserved(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    rule = replace(CONSERVED, is_error=not Broken.warns)
    verdict = RuleVerdict(not Broken.check_fails, "volume of 3 instruments is lost")
    days = map(date.fromisoformat, context.op_execution_context.partition_keys)
    verdicts = dict.fromkeys(days, verdict)
    of_days = {day: {rule.name: verdict} for day in verdicts}
    report_days(context.op_execution_context, candles.key, [rule], of_days)
    return result_of_days(candles.key, rule, verdicts)


DEFINITIONS = dg.Definitions(
    assets=[candles],
    asset_checks=[session_conserved],
    jobs=[dg.define_asset_job("daily", partitions_def=DAYS, executor_def=dg.in_process_executor)],
)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> None:
    """The log channel, also where no other test has imported the definitions, which set its level."""
    caplog.set_level(logging.INFO, logger="setbull_pipelines")


@pytest.fixture
def instance(stored_instance: dg.DagsterInstance) -> Iterator[dg.DagsterInstance]:
    stored_instance.wipe()
    yield stored_instance
    Broken.check_fails = Broken.warns = Broken.step_fails = False


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_directory=tmp_path / "data")


@pytest.fixture
def warehouse(settings: Settings) -> Warehouse:
    return Warehouse(settings.data_directory / "warehouse")


def execute(instance: dg.DagsterInstance, tags: dict[str, str] | None = None) -> str:
    job = DEFINITIONS.resolve_job_def("daily")
    tags = tags or {"dagster/partition": "2026-06-30"}
    return job.execute_in_process(
        instance=instance, tags=tags, run_config=QUIET, raise_on_error=False
    ).run_id


def look(instance: dg.DagsterInstance, warehouse: Warehouse, settings: Settings, *run_ids: str):
    runs = [outcome_of(instance, instance.get_run_record_by_id(run_id)) for run_id in run_ids]
    return look_and_deliver(instance, runs, warehouse, settings)


def keys(alerts: list[Alert] | tuple[Alert, ...]) -> list[str]:
    return [alert.key for alert in alerts]


CHECK = "check v2/candles_5min session_conserved 2026-06-30"


def test_a_failed_check_of_a_green_run_is_raised_and_a_later_pass_recovers_it(
    instance, warehouse, settings, caplog
) -> None:
    Broken.check_fails = True
    run_id = execute(instance)
    assert instance.get_run_by_id(run_id).is_success
    (alert,) = look(instance, warehouse, settings, run_id).changed
    assert (alert.key, alert.severity.label) == (CHECK, "error")
    assert (alert.message, alert.run_id) == ("volume of 3 instruments is lost", run_id)
    assert "setbull: v2/candles_5min: session_conserved fails on 2026-06-30" in caplog.text
    Broken.check_fails = False
    (alert,) = look(instance, warehouse, settings, execute(instance)).changed
    assert (alert.key, alert.state) == (CHECK, "recovered")
    assert "recovered: v2/candles_5min" in caplog.text


def test_a_range_run_raises_per_day_and_one_good_day_recovers_its_own(
    instance, warehouse, settings
) -> None:
    Broken.check_fails = Broken.warns = True
    changed = look(instance, warehouse, settings, execute(instance, RANGE)).changed
    assert keys(changed) == [CHECK.replace("30", "29"), CHECK]
    assert {alert.severity.label for alert in changed} == {"warning"}
    Broken.check_fails = False
    look(instance, warehouse, settings, execute(instance))
    assert keys(read_ledger(warehouse).open) == [CHECK.replace("30", "29")]


def test_a_range_that_passes_recovers_each_of_its_days(instance, warehouse, settings) -> None:
    Broken.check_fails = True
    look(instance, warehouse, settings, execute(instance, RANGE))
    Broken.check_fails = False
    passes = execute(instance, RANGE)
    changed = look(instance, warehouse, settings, passes).changed
    assert {alert.state for alert in changed} == {"recovered"}
    assert keys(changed) == [CHECK.replace("30", "29"), CHECK]
    # The days of a run that changed nothing are told too: a run that was never looked at can have recovered them.
    again = outcome_of(instance, instance.get_run_record_by_id(execute(instance, RANGE)))
    assert [(str(check.day), check.passed) for check in again.checks] == [
        ("2026-06-29", True),
        ("2026-06-30", True),
    ]


def test_a_failed_run_is_raised_with_its_reason_until_the_same_work_succeeds(
    instance, warehouse, settings
) -> None:
    Broken.step_fails = True
    failed = execute(instance)
    (alert,) = look(instance, warehouse, settings, failed).changed
    assert (alert.key, alert.link) == (
        "run daily 2026-06-30",
        f"http://127.0.0.1:3000/runs/{failed}",
    )
    assert alert.message.endswith("failed: ValueError: the minutes are upside down")
    Broken.step_fails = False
    other_day = execute(instance, {"dagster/partition": "2026-06-29"})
    assert look(instance, warehouse, settings, other_day).changed == []
    (alert,) = look(instance, warehouse, settings, execute(instance)).changed
    assert (alert.key, alert.state) == ("run daily 2026-06-30", "recovered")


def test_chosen_assets_are_another_work_than_the_job(instance) -> None:
    job = DEFINITIONS.resolve_implicit_global_asset_job_def()
    run_id = job.execute_in_process(
        instance=instance,
        partition_key="2026-06-30",
        asset_selection=[candles.key],
        run_config=QUIET,
    ).run_id
    outcome = outcome_of(instance, instance.get_run_record_by_id(run_id))
    assert (outcome.work, outcome.days, outcome.error) == ("v2/candles_5min", "2026-06-30", None)


def test_a_range_of_one_day_is_that_day(instance) -> None:
    run_id = execute(instance, dict.fromkeys(RANGE, "2026-06-30"))
    outcome = outcome_of(instance, instance.get_run_record_by_id(run_id))
    assert outcome.days == "2026-06-30"


def test_runs_are_found_oldest_first_each_after_the_last_one_seen(instance) -> None:
    Broken.step_fails = True
    first = execute(instance)
    Broken.step_fails = False
    second = execute(instance)
    runs = finished_runs(instance, EPOCH, 10)
    assert [record.dagster_run.run_id for record in runs] == [first, second]
    assert len(finished_runs(instance, EPOCH, 1)) == 1
    (after_first,) = finished_runs(instance, runs[0].update_timestamp, 10)
    assert after_first.dagster_run.run_id == second
    assert finished_runs(instance, runs[1].update_timestamp, 10) == []


@pytest.fixture
def tick(instance, settings):
    """The sensor as the daemon evaluates it; keeps the cursor."""
    (sensor,) = build_sensors(settings)
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    cursor: list[str | None] = [None]
    resource = WarehouseResource(root=str(settings.data_directory / "warehouse"))

    def evaluate() -> str:
        with dg.build_sensor_context(
            instance=instance, cursor=cursor[0], resources={"warehouse": resource}
        ) as context:
            result = sensor.evaluate_tick(context)
        cursor[0] = result.cursor
        assert result.run_requests == []
        return result.skip_message

    return evaluate


def test_the_sensor_ends_a_killed_run_and_raises_its_alert(
    instance, warehouse, settings, tick
) -> None:
    run_id = started_run(instance, {"dagster/partition": "2026-06-30"}, **gone_process())
    works = started_run(instance, {"dagster/partition": "2026-06-29"})
    told = "1 runs looked at, 1 alerts changed; 1 runs ended, whose process is gone; log, 1 notices"
    assert tick().startswith(told)
    assert instance.get_run_by_id(run_id).status is dg.DagsterRunStatus.FAILURE
    assert instance.get_run_by_id(works).status is dg.DagsterRunStatus.STARTED
    (alert,) = read_ledger(warehouse).open
    assert alert.title == "the run of daily 2026-06-30 failed"
    assert "is gone; it was killed, or the machine was restarted" in alert.message
    execute(instance)
    tick()
    assert not read_ledger(warehouse).open


def test_the_sensor_starts_with_now_then_sees_every_run_once(
    instance, warehouse, settings, tick
) -> None:
    Broken.check_fails = True
    execute(instance)  # history before the first tick
    assert tick() == "0 runs looked at, 0 alerts changed"
    run_id = execute(instance)
    assert tick() == "1 runs looked at, 1 alerts changed; log, 1 notices: delivered"
    assert tick() == "0 runs looked at, 0 alerts changed"
    assert look(instance, warehouse, settings, run_id).changed == []
    (alert,) = read_ledger(warehouse).alerts
    assert (alert.occurrences, alert.run_id) == (1, run_id)


def test_the_command_line_and_the_sensor_do_not_tell_twice(
    instance, warehouse, settings, tick, caplog
) -> None:
    tick()
    Broken.check_fails = True
    look(instance, warehouse, settings, execute(instance))
    assert tick() == "1 runs looked at, 0 alerts changed"
    assert caplog.text.count("setbull: v2/candles_5min") == 1


def test_a_failure_and_its_repair_between_two_ticks_leave_nothing_open(
    instance, warehouse, tick
) -> None:
    tick()
    Broken.step_fails = True
    execute(instance)
    Broken.step_fails = False
    execute(instance)
    assert tick().startswith("2 runs looked at")
    (alert,) = read_ledger(warehouse).alerts
    assert (alert.key, alert.state) == ("run daily 2026-06-30", "recovered")


def test_a_receiver_that_is_down_fails_neither_tick_nor_run(
    instance, warehouse, settings, monkeypatch
) -> None:
    monkeypatch.setenv("HOOK", f"json://127.0.0.1:{free_port()}")
    settings = replace(settings, alerts=AlertSettings(channels=("HOOK",)))
    Broken.check_fails = True
    found = look(instance, warehouse, settings, execute(instance))
    assert found.deliveries[0].error
    assert [notice.state for notice in read_ledger(warehouse).notices] == ["waiting"]


def test_the_ui_shows_the_open_alerts(instance, warehouse, settings) -> None:
    Broken.check_fails = True
    look(instance, warehouse, settings, execute(instance))
    event = instance.get_latest_materialization_event(dg.AssetKey(["operations", "alerts"]))
    metadata = event.asset_materialization.metadata
    assert metadata["open"].value == 1
    assert "| 1 | error | [v2/candles_5min: session_conserved fails on 2026-06-30](" in (
        metadata["open alerts"].value
    )
    assert (metadata["notices waiting"].value, metadata["notices given up"].value) == (0, 0)


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


def overdue(instance, settings: Settings, moment: datetime) -> list[tuple[str, str]]:
    found = noticing.overdue_sessions(instance, settings, moment)
    return [(finding.says.value, str(finding.trading_day)) for finding in found]


def materialize(instance: dg.DagsterInstance, *days: date) -> None:
    for day in days:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(["served", "filter_results"], partition=day.isoformat())
        )


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


def test_a_check_that_an_alert_of_its_own_tells_raises_no_second_one(instance) -> None:
    @dg.asset_check(asset=candles, name="session_conserved")
    def reaches_on() -> dg.AssetCheckResult:
        metadata = {TOLD_BY_OWN_ALERT: True}
        return dg.AssetCheckResult(passed=False, description="7 days left", metadata=metadata)

    result = dg.materialize(
        [candles, reaches_on], partition_key="2026-06-30", instance=instance, run_config=QUIET
    )
    outcome = outcome_of(instance, instance.get_run_record_by_id(result.run_id))
    assert outcome.checks == ()


def test_the_generated_sample_is_never_overdue(instance, settings) -> None:
    materialize(instance, date(2024, 6, 3))
    assert overdue(instance, settings, datetime(2024, 7, 1, tzinfo=INDIA)) == []


def test_the_checks_of_the_real_graph_are_read_per_day(small_run: SmallRun) -> None:
    """Every check of the small run, which covers two days, once per day."""
    outcomes = [
        outcome_of(small_run.instance, record)
        for record in finished_runs(small_run.instance, EPOCH, 100)
    ]
    (daily,) = (outcome for outcome in outcomes if outcome.work == "daily")
    assert daily.days == f"{small_run.days[0]} to {small_run.days[1]}"
    per_day = [check for check in daily.checks if check.day]
    assert {check.day for check in per_day} == set(small_run.days)
    by_check = Counter((check.asset, check.check) for check in per_day)
    # Of the first session there is none before it: that is not judged, which says nothing to alerts.
    assert by_check.pop(("served/filter_results", "shares_are_usual")) == 1
    assert set(by_check.values()) == {2}
    agreement = [check for check in per_day if check.check == "v2_agrees_with_v1"]
    assert len(agreement) == 2 * 11
    assert {check.state for check in agreement} == {"pass"}


def test_what_is_not_judged_because_v1_is_cut_back_raises_no_alert(instance) -> None:
    @dg.asset_check(asset=candles, name="session_conserved")
    def not_judged() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description="not judged: V1 is retired",
            metadata={NOT_JUDGED: True},
        )

    result = dg.materialize(
        [candles, not_judged], partition_key="2026-06-30", instance=instance, run_config=QUIET
    )
    (evaluation,) = result.get_asset_check_evaluations()
    assert not evaluation.passed
    outcome = outcome_of(instance, instance.get_run_record_by_id(result.run_id))
    assert outcome.checks == ()


def test_a_check_that_found_nothing_to_judge_ends_no_open_alert(
    instance, warehouse, settings
) -> None:
    Broken.check_fails = True
    look(instance, warehouse, settings, execute(instance))
    assert keys(read_ledger(warehouse).open) == [CHECK]

    @dg.asset_check(asset=candles, name="session_conserved")
    def nothing_there() -> dg.AssetCheckResult:
        (rule,) = (rule for rule in RULES_OF_BARS if rule.name == "session_conserved")
        frames = {stored.name: stored.table.empty() for stored in rule.reads}
        verdict = rule.judge(frames, pd.Timestamp(2026, 6, 30), settings)
        return dg.AssetCheckResult(
            passed=verdict.passed,
            severity=severity(rule, verdict),
            description=verdict.description,
            metadata=dict(verdict.metadata),
        )

    result = dg.materialize(
        [candles, nothing_there], partition_key="2026-06-30", instance=instance, run_config=QUIET
    )
    (evaluation,) = result.get_asset_check_evaluations()
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    look(instance, warehouse, settings, result.run_id)
    assert keys(read_ledger(warehouse).open) == [CHECK]
    (alert,) = read_ledger(warehouse).open
    assert (alert.occurrences, alert.severity.label) == (1, "error")
