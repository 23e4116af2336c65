"""The days that the UI offers: those of the input, the same for every process of a data folder."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from setbull_pipelines import tables
from setbull_pipelines.assets import partitions
from setbull_pipelines.assets.common import RANGE_TAGS, asset_key, days_of
from setbull_pipelines.assets.partitions import trading_days
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.opening import open_warehouse
from setbull_pipelines.pipeline.raw import last_session, publish_intake, read_sources
from setbull_pipelines.settings import (
    FIRST_SESSION_FILE,
    CalendarSettings,
    InvalidSettings,
    SampleSettings,
    Settings,
)
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.documents import PROJECT
from setbull_pipelines_tests.pipeline.small_run import SmallRun, small_settings

HEADER = "instrument_key,timestamp,open,high,low,close,volume,oi\n"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def candles(folder: Path, day: date) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{day}.csv").write_text(
        HEADER + f"NSE_EQ|INE009A01021,{day}T09:15:00+05:30,100,101,99,100.5,10,0\n"
    )


def take_in(settings: Settings) -> None:
    publish_intake(read_sources(settings), open_warehouse(settings), settings, "test")


def first_of(settings: Settings) -> str:
    return trading_days(settings).get_first_partition_key()


def test_the_sample_has_its_own_days_before_anything_ran(tmp_path: Path) -> None:
    settings = Settings(data_directory=tmp_path)
    keys = trading_days(settings).get_partition_keys()
    assert len(keys) == settings.sample.daily_sessions
    assert keys[-1] == settings.sample.last_day
    assert not list(tmp_path.iterdir())


def test_the_finished_run_has_published_from_the_first_partition_on(small_run: SmallRun) -> None:
    intake = small_run.intake
    assert first_of(small_run.settings) == str(intake.days("daily")[0])
    assert last_session(small_run.settings) == max(*intake.days("daily"), *intake.days("minutes"))


def test_candles_begin_with_the_first_that_was_taken_in(tmp_path: Path) -> None:
    settings = Settings(data_directory=tmp_path / "data", input=str(tmp_path / "candles"))
    assert first_of(settings) == str(NSE.trading_days(NSE.first_day, NSE.last_day)[0])
    candles(tmp_path / "candles", date(2026, 6, 30))
    take_in(settings)
    assert first_of(settings) == "2026-06-30"
    # Days to come: a daemon asks for them long after it has loaded the definitions.
    assert trading_days(settings).get_last_partition_key() == str(NSE.last_day)
    # Older candles: whoever loads the definitions from now on has their day.
    candles(tmp_path / "candles", date(2026, 6, 25))
    take_in(settings)
    assert first_of(settings) == "2026-06-25"
    by_definitions = build_defs(settings).resolve_job_def("daily").partitions_def
    assert by_definitions.get_first_partition_key() == "2026-06-25"


def test_the_setting_comes_first(tmp_path: Path) -> None:
    calendar = CalendarSettings(first_partition="2026-06-27")  # a Saturday
    assert first_of(Settings(data_directory=tmp_path, calendar=calendar)) == "2026-06-29"
    with pytest.raises(InvalidSettings, match=r"calendar\.first_partition: found 'June', expected"):
        CalendarSettings(first_partition="June")


def test_a_record_that_is_no_date_is_named(tmp_path: Path) -> None:
    (tmp_path / FIRST_SESSION_FILE).write_text("yesterday")
    with pytest.raises(InvalidSettings, match=r"first_session: found .*yesterday"):
        trading_days(Settings(data_directory=tmp_path, input="candles"))


def test_every_daily_table_and_job_has_the_same_days(tmp_path: Path) -> None:
    sample = SampleSettings(instruments=12, daily_sessions=74, minute_sessions=3)
    settings = Settings(data_directory=tmp_path, sample=sample)
    definitions = build_defs(settings)
    graph = definitions.resolve_asset_graph()
    found = [node.partitions_def for node in graph.asset_nodes if node.partitions_def]
    assert len(found) > 50
    assert set(found) == {trading_days(settings)}
    daily = [job for job in definitions.resolve_all_job_defs() if job.name in ("daily", "intraday")]
    assert [job.partitions_def for job in daily] == [trading_days(settings)] * 2


def test_an_input_that_is_taken_in_while_definitions_are_loaded_waits_for_the_next_loading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen with three first runs at once: half of the assets had other days, and no job could be made of them."""
    asked = []

    def taken_in_after_three(settings: Settings) -> date | None:
        asked.append(settings)
        return date(2026, 6, 25) if len(asked) > 3 else None

    monkeypatch.setattr(partitions, "first_session", taken_in_after_three)
    definitions = build_defs(Settings(data_directory=tmp_path, input="candles"))
    days = definitions.resolve_job_def("daily").partitions_def
    assert days is not None
    assert days.get_partition_keys()[0] == "2015-01-01"


@pytest.mark.run
def test_another_process_has_the_same_days(tmp_path: Path) -> None:
    settings = Settings(data_directory=tmp_path / "data", input=str(tmp_path / "candles"))
    candles(tmp_path / "candles", date(2026, 6, 25))
    take_in(settings)
    code = (
        "from setbull_pipelines.definitions import defs\n"
        "print(defs.resolve_job_def('daily').partitions_def.get_first_partition_key())"
    )
    of_folders = {"SETBULL_DATA_DIR": str(settings.data_directory), "SETBULL_INPUT": settings.input}
    finished = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | of_folders,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.strip() == "2026-06-25"


@pytest.mark.parametrize(
    "tags",
    [
        {"dagster/partition": "2026-06-24"},
        {"dagster/partition": "2026-07-01"},
        dict(zip(RANGE_TAGS, ("2026-06-24", "2026-06-29"), strict=True)),
    ],
    ids=["before", "after", "range"],
)
@pytest.mark.run
def test_a_run_for_a_day_that_another_process_offered_says_which_there_are(
    tmp_path: Path, tags: dict[str, str]
) -> None:
    """As the UI of a folder of which nothing was known does, after its first intake and before a reload."""

    def job_of(partitions: dg.StaticPartitionsDefinition) -> dg.JobDefinition:
        @dg.asset(partitions_def=partitions, backfill_policy=dg.BackfillPolicy.single_run())
        def days(context) -> None:
            days_of(context, None, Settings())

        job = dg.define_asset_job("days", executor_def=dg.in_process_executor)
        return dg.Definitions(assets=[days], jobs=[job]).resolve_job_def("days")

    offered = trading_days(Settings(data_directory=tmp_path, input="candles"))
    begin = CalendarSettings(first_partition="2026-06-25")
    known = trading_days(Settings(data_directory=tmp_path, calendar=begin))
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(job_of(offered), run_config=QUIET, tags=tags)
        result = execute_run(InMemoryJob(job_of(known)), run, instance)
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    (day, *_) = tags.values()
    assert (
        f"partition: found {day}, expected a session from 2026-06-25, the first of the input, to 2026-06-30; reload"
        in failed.step_failure_data.error.message
    )


@pytest.mark.run
def test_days_that_are_looked_back_at_need_no_partition(tmp_path: Path) -> None:
    """They are made, told, and left out of what the UI counts, in the run that makes them and in the next one."""
    day = "2026-06-30"
    settings = replace(small_settings(tmp_path), calendar=CalendarSettings(first_partition=day))
    definitions = build_defs(settings)
    job = definitions.resolve_implicit_global_asset_job_def()
    looking_back, looked_at = (
        StoredTable("v2", table) for table in (tables.INDICATORS_5MIN, tables.CANDLES_5MIN)
    )
    with dg.instance_for_test() as instance:
        for key in (asset_key(looking_back), asset_key(looked_at)):
            result = job.get_subset(asset_selection={key}).execute_in_process(
                instance=instance, partition_key=day, run_config=QUIET, raise_on_error=False
            )
            assert result.success, [event.message for event in result.all_events]
        stored = open_warehouse(settings).partitions(looked_at)
        assert min(stored) < day == max(stored)
        assert instance.get_materialized_partitions(asset_key(looked_at)) == set(stored)
        status = get_and_update_asset_status_cache_value(
            instance, asset_key(looked_at), trading_days(settings)
        )
        counted = status.deserialize_materialized_partition_subsets(trading_days(settings))
        assert set(counted.get_partition_keys()) == {day}
