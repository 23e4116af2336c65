"""Alerts of failed checks and runs: raised once, recovered by what passes later."""

from collections import Counter
from dataclasses import replace

import dagster as dg
import pandas as pd

from setbull_pipelines.assets.checking import severity
from setbull_pipelines.automation.noticing import finished_runs, outcome_of
from setbull_pipelines.pipeline.alert_delivery import read_ledger
from setbull_pipelines.quality.verdict import NOT_JUDGED, TOLD_BY_OWN_ALERT
from setbull_pipelines.settings import AlertSettings
from setbull_pipelines_tests.automation.killed import gone_process, started_run
from setbull_pipelines_tests.automation.noticing.broken_asset import (
    CHECK,
    DEFINITIONS,
    EPOCH,
    QUIET,
    RANGE,
    RULES_OF_BARS,
    Broken,
    candles,
    execute,
    keys,
    look,
)
from setbull_pipelines_tests.pipeline.small_run import SmallRun
from setbull_pipelines_tests.ports import free_port


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
