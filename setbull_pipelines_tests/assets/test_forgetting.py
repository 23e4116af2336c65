"""Old runs of Dagster go with their files; that their sessions were reconciled stays known."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from setbull_pipelines.assets.common import LAST_TABLE, asset_key
from setbull_pipelines.assets.forgetting import forget_error_logs, forget_runs
from setbull_pipelines.automation.schedules import materialized_days
from setbull_pipelines.cli.home import prepare_dagster_home
from setbull_pipelines.pipeline.opening import now
from setbull_pipelines.settings import Settings

DAYS = ["2026-06-25", "2026-06-29", "2026-06-30"]
_LATER = timedelta(days=91)


CHECK = dg.AssetCheckSpec("has_rows", asset=asset_key(LAST_TABLE))


@dg.asset(
    key=asset_key(LAST_TABLE),
    partitions_def=dg.StaticPartitionsDefinition(DAYS),
    check_specs=[CHECK],
)
def last_table(context) -> Iterator[object]:
    print("a line for the log of the step")
    yield dg.MaterializeResult(metadata={"day": context.partition_key})
    yield dg.AssetCheckResult(check_name=CHECK.name, passed=True)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_directory=tmp_path / "data")


@pytest.fixture
def instance(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("SETBULL_DATA_DIR", "")
    prepare_dagster_home(settings.data_directory)
    with dg.DagsterInstance.get() as instance:
        yield instance


def run(instance: dg.DagsterInstance, day: str) -> str:
    result = dg.materialize([last_table], partition_key=day, instance=instance)
    assert result.success
    return result.run_id


def files_of(settings: Settings, run_id: str) -> list[Path]:
    return [path for path in settings.data_directory.rglob("*") if run_id in path.name]


def test_old_runs_go_with_their_files_and_their_sessions_stay_known(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    old = [run(instance, day) for day in DAYS[:2]]
    assert forget_runs(instance, settings, now() + timedelta(days=89)) == 0
    assert all(files_of(settings, run_id) for run_id in old)
    assert forget_runs(instance, settings, now() + _LATER) == 2
    assert instance.get_runs() == []
    assert not any(files_of(settings, run_id) for run_id in old)
    assert materialized_days(instance) == {date.fromisoformat(day) for day in DAYS[:2]}
    latest = instance.get_latest_materialization_event(asset_key(LAST_TABLE))
    assert latest.asset_materialization.partition == DAYS[1]
    new = run(instance, DAYS[2])
    assert [each.run_id for each in instance.get_runs()] == [new]


def test_what_checks_said_in_old_runs_goes_with_them(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    def told() -> list[str]:
        log = instance.event_log_storage
        return [each.run_id for each in log.get_asset_check_execution_history(CHECK.key, limit=10)]

    old = run(instance, DAYS[0])
    between = now()
    new = run(instance, DAYS[1])
    assert told() == [new, old]
    assert forget_runs(instance, settings, between + timedelta(days=90)) == 1
    assert told() == [new]


def test_the_latest_session_stays_the_latest_when_an_older_one_is_said_again(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    run(instance, DAYS[0])
    between = now()
    run(instance, DAYS[2])
    assert forget_runs(instance, settings, between + timedelta(days=90)) == 1
    latest = instance.get_latest_materialization_event(asset_key(LAST_TABLE))
    assert latest.asset_materialization.partition == DAYS[2]
    assert latest.asset_materialization.metadata["day"].value == DAYS[2]


def test_runs_that_are_not_over_stay_and_0_keeps_everything(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    run_id = run(instance, DAYS[0])
    open_run = instance.add_run(
        dg.DagsterRun(job_name="daily", run_id="1", status=dg.DagsterRunStatus.STARTED)
    )
    for_ever = replace(settings, storage=replace(settings.storage, runs_days=0))
    assert forget_runs(instance, for_ever, now() + _LATER) == 0
    assert forget_runs(instance, settings, now() + _LATER) == 1
    assert [each.run_id for each in instance.get_runs()] == [open_run.run_id]
    assert run_id


def test_sessions_that_are_still_caught_up_keep_their_runs(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    run(instance, DAYS[0])
    caught_up = replace(settings, refresh=replace(settings.refresh, catch_up_days=40))
    assert forget_runs(instance, caught_up, now() + _LATER) == 0


def test_old_tracebacks_go_and_other_files_stay(settings: Settings) -> None:
    logs = settings.data_directory / "logs"
    logs.mkdir(parents=True)
    old, new, other = (logs / name for name in ("error-1.log", "error-2.log", "notes.txt"))
    for path in (old, new, other):
        path.write_text("text")
    for path in (old, other):
        os.utime(path, ((now() - _LATER).timestamp(),) * 2)
    assert forget_error_logs(settings, now()) == 1
    assert sorted(logs.iterdir()) == [new, other]
