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

from setbull_pipelines.assets.common import days_of
from setbull_pipelines.assets.partitions import trading_days
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.raw import first_session, read_sources
from setbull_pipelines.settings import (
    FIRST_SESSION_FILE,
    CalendarSettings,
    InvalidSettings,
    SampleSettings,
    Settings,
)
from setbull_pipelines_tests.documents import PROJECT
from setbull_pipelines_tests.pipeline.small_run import SmallRun

HEADER = "instrument_key,timestamp,open,high,low,close,volume,oi\n"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def candles(folder: Path, day: date) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{day}.csv").write_text(
        HEADER + f"NSE_EQ|INE009A01021,{day}T09:15:00+05:30,100,101,99,100.5,10,0\n"
    )


def first_of(settings: Settings) -> str:
    return trading_days(settings).get_first_partition_key()


def test_the_sample_has_its_own_days_before_anything_ran(tmp_path: Path) -> None:
    settings = Settings(data_directory=tmp_path)
    keys = trading_days(settings).get_partition_keys()
    assert len([key for key in keys if key <= settings.sample.last_day]) == (
        settings.sample.daily_sessions
    )
    assert keys[-1] == str(NSE.last_day)
    assert not list(tmp_path.iterdir())


def test_the_finished_run_has_published_from_the_first_partition_on(small_run: SmallRun) -> None:
    assert first_of(small_run.settings) == str(small_run.intake.days("daily")[0])
    assert first_session(small_run.settings) == small_run.intake.days("daily")[0]


def test_candles_begin_with_the_first_that_was_taken_in(tmp_path: Path) -> None:
    settings = Settings(data_directory=tmp_path / "data", input=str(tmp_path / "candles"))
    assert first_of(settings) == str(NSE.trading_days(NSE.first_day, NSE.last_day)[0])
    candles(tmp_path / "candles", date(2026, 6, 30))
    read_sources(settings)
    assert first_of(settings) == "2026-06-30"
    # Older candles: whoever loads the definitions from now on has their day.
    candles(tmp_path / "candles", date(2026, 6, 25))
    read_sources(settings)
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
        trading_days(Settings(data_directory=tmp_path))


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


def test_another_process_has_the_same_days(small_run: SmallRun, tmp_path: Path) -> None:
    code = (
        "from setbull_pipelines.definitions import defs\n"
        "print(defs.resolve_job_def('daily').partitions_def.get_first_partition_key())"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"SETBULL_DATA_DIR": str(small_run.settings.data_directory)},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.strip() == first_of(small_run.settings)


@pytest.mark.parametrize("key", ["2026-06-24", "2026-06-27"])
def test_a_run_for_another_day_says_which_there_are(tmp_path: Path, key: str) -> None:
    settings = Settings(
        data_directory=tmp_path, calendar=CalendarSettings(first_partition="2026-06-25")
    )
    wider = replace(settings, calendar=CalendarSettings(first_partition="2026-06-01"))
    other = [*trading_days(wider).get_partition_keys(), "2026-06-27"]

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(sorted(other)))
    def days(context) -> None:
        days_of(context, None, settings)

    result = dg.materialize([days], partition_key=key, run_config=QUIET, raise_on_error=False)
    (failed,) = result.get_step_failure_events()
    message = failed.step_failure_data.error.message
    assert f"partition: found {key}, expected a session from 2026-06-25" in message
