"""The event log of one machine holds what Dagster's own holds, as surely on disk, and either reads the other."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from sqlalchemy import Connection, create_engine

from setbull_pipelines.assets.event_log import (
    BatchedSqliteEventLog,
    last_told_as_failed,
    report_materializations,
)
from setbull_pipelines.cli.home import prepare_dagster_home
from setbull_pipelines_tests.assets.event_log.conftest import CANDLES, DAYS, RUN, content
from setbull_pipelines_tests.assets.event_log.event_log_process import (
    check_planned,
    entry,
    judged,
    materialized,
    planned,
)

pytestmark = pytest.mark.run

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
JUNE = dg.StaticPartitionsDefinition(DAYS)
RANGE = {
    "dagster/asset_partition_range_start": DAYS[0],
    "dagster/asset_partition_range_end": DAYS[-1],
}


@dg.multi_asset(
    specs=[dg.AssetSpec(["v2", name], partitions_def=JUNE) for name in ("candles", "indicators")],
    check_specs=[dg.AssetCheckSpec("conserved", asset=["v2", "candles"])],
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def lane(context) -> Iterator[Any]:
    yield dg.MaterializeResult(asset_key=CANDLES, metadata={"rows": 3})
    context.log.info("a line of the step")
    failed = judged("", 0.0, "candles", "conserved", False, DAYS[3])
    context.log_event(failed.dagster_event.event_specific_data)
    yield dg.MaterializeResult(asset_key=["v2", "indicators"])
    yield dg.AssetCheckResult(asset_key=CANDLES, check_name="conserved", passed=True)


JOB = dg.Definitions(
    assets=[lane],
    jobs=[dg.define_asset_job("lane", partitions_def=JUNE)],
    executor=dg.in_process_executor,
).resolve_job_def("lane")


def homes(data_directory: Path) -> tuple[Path, Path]:
    """The folder's own instance, and one over the same files as it was before there was a class of our own."""
    home = prepare_dagster_home(data_directory)
    before = data_directory / "before"
    before.mkdir()
    configuration = yaml.safe_load((home / "dagster.yaml").read_text("utf-8"))
    for name in ("run_storage", "event_log_storage", "schedule_storage"):
        del configuration[name]
    configuration["storage"] = {"sqlite": {"base_dir": str(home / "storage")}}
    (before / "dagster.yaml").write_text(yaml.safe_dump(configuration), "utf-8")
    return home, before


def what_is_told(instance: dg.DagsterInstance, run_id: str) -> dict[str, object]:
    """What pages of the UI ask for."""
    check = dg.AssetCheckKey(CANDLES, "conserved")
    return {
        "status": instance.get_run_by_id(run_id).status,
        "events": instance.all_logs(run_id),
        "days": instance.get_materialized_partitions(CANDLES),
        "latest": instance.get_latest_materialization_event(CANDLES),
        "history": [
            record.asset_materialization
            for record in instance.fetch_materializations(CANDLES, limit=100).records
        ],
        "checks": [
            (record.status, record.partition, record.run_id)
            for record in instance.event_log_storage.get_asset_check_execution_history(check, 100)
        ],
        "runs": [
            record.event_log_entry.dagster_event_type
            for record in instance.fetch_run_status_changes(
                dg.DagsterEventType.RUN_SUCCESS, limit=10
            ).records
        ],
    }


@pytest.mark.parametrize("ours_writes", [True, False])
def test_either_class_reads_what_the_other_wrote(tmp_path: Path, ours_writes: bool) -> None:
    ours, stock = homes(tmp_path)
    writer, reader = (ours, stock) if ours_writes else (stock, ours)
    with dg.DagsterInstance.from_config(str(writer)) as instance:
        assert isinstance(instance.event_log_storage, BatchedSqliteEventLog) is ours_writes
        run_id = JOB.execute_in_process(instance=instance, tags=RANGE, run_config=QUIET).run_id
        told = what_is_told(instance, run_id)
    with dg.DagsterInstance.from_config(str(reader)) as instance:
        assert isinstance(instance.event_log_storage, BatchedSqliteEventLog) is not ours_writes
        assert what_is_told(instance, run_id) == told
        # And goes on in it.
        JOB.execute_in_process(instance=instance, tags=RANGE, run_config=QUIET)
        assert instance.get_runs_count() == 2
        assert len(instance.fetch_materializations(CANDLES, limit=100).records) == 60
    assert told["status"] is dg.DagsterRunStatus.SUCCESS
    assert told["days"] == set(DAYS)
    assert len(told["history"]) == 30
    assert {(status.value, day) for status, day, _ in told["checks"]} == {
        ("SUCCEEDED", None),
        ("FAILED", DAYS[3]),
    }


def test_a_batch_stores_what_dagster_stores_one_by_one(tmp_path: Path) -> None:
    """Every table of every file: an upgrade of Dagster that stores something else fails here."""
    tables = ("candles", "indicators")
    batches = [
        [check_planned(RUN, 1.0, "candles", "conserved"), check_planned(RUN, 2.0, "candles", "ohlc")],
        [planned(RUN, 3.0, table, day) for table in tables for day in DAYS],
        [materialized(RUN, 4.0, table, day) for table in tables for day in DAYS],
        [
            judged(RUN, 5.0, "candles", "conserved", True),
            judged(RUN, 5.0, "candles", "ohlc", False, DAYS[0]),
            judged(RUN, 5.0, "indicators", "never planned", True, DAYS[0]),
        ],
        [entry(RUN, 6.0, dg.DagsterEventType.RUN_START), materialized(RUN, 6.0, "candles", DAYS[0])],
    ]  # fmt: skip
    stock = SqliteEventLogStorage(str(tmp_path / "stock"))
    for number, batch in enumerate(batches):
        ours = BatchedSqliteEventLog(str(tmp_path / "ours"))
        ours.store_event_batch(batch)
        ours.dispose()
        for event in batch:
            stock.store_event(event)
        found = content(tmp_path / "ours")
        assert found == content(tmp_path / "stock"), f"batch {number}"
    assert len(found["index.db event_logs"]) == sum(map(len, batches))
    assert len(found["index.db asset_event_tags"]) == 61
    assert len(found["index.db asset_check_executions"]) == 4


def test_what_is_overridden_is_as_the_pinned_release_has_it() -> None:
    for name, own in vars(BatchedSqliteEventLog).items():
        if not inspect.isfunction(own) or name in ("_engine", "_close", "_store_of_assets"):
            continue
        stock = getattr(SqliteEventLogStorage, name)
        assert list(inspect.signature(own).parameters) == list(inspect.signature(stock).parameters)
    for name in ("_event_to_row", "_store_asset_event", "_store_asset_event_tags", "_initdb"):
        assert callable(getattr(SqliteEventLogStorage, name))


def test_the_last_day_of_a_batch_is_the_latest(log: BatchedSqliteEventLog) -> None:
    """Dagster sends the days of a range in the order of a set."""
    batch = [materialized(RUN, 10.0 + place, "candles", day) for place, day in enumerate(DAYS)]
    random.Random(3).shuffle(batch)
    log.store_event_batch(batch)
    records = log.get_asset_records([CANDLES])
    latest = records[0].asset_entry.last_materialization
    assert latest.asset_materialization.partition == DAYS[-1]
    stored = [record.event_log_entry for record in log.get_records_for_run(RUN).records]
    assert [each.asset_materialization.partition for each in stored] == DAYS
    assert [each.timestamp for each in stored] == [10.0 + place for place in range(30)]


def test_a_run_stores_its_events_together_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, _ = homes(tmp_path)
    sizes = []
    batch = BatchedSqliteEventLog.store_event_batch
    monkeypatch.setattr(
        BatchedSqliteEventLog,
        "store_event_batch",
        lambda log, events: (sizes.append(len(events)), batch(log, events)),
    )
    with dg.DagsterInstance.from_config(str(home)) as instance:
        run_id = JOB.execute_in_process(instance=instance, tags=RANGE, run_config=QUIET).run_id
        latest = instance.get_latest_materialization_event(CANDLES)
    assert latest.asset_materialization.partition == DAYS[-1]
    assert latest.run_id == run_id
    # What is planned, one check among it; then each table.
    assert sizes == [61, 30, 30]


def test_the_days_last_told_as_failed_are_those_that_dagster_knows_so(
    log: BatchedSqliteEventLog,
) -> None:
    names, days = ["conserved", "ohlc", "never judged"], DAYS[:4]
    for check, verdicts in (("conserved", (False, True)), ("ohlc", (True, False))):
        for passed in verdicts:
            log.store_event(judged(RUN, 1.0, "candles", check, passed, DAYS[0]))
        log.store_event(judged(RUN, 2.0, "candles", check, False, DAYS[1]))
    log.store_event(judged(RUN, 2.0, "candles", "conserved", False, DAYS[9]))
    log.store_event(judged(RUN, 2.0, "candles", "conserved", False))
    log.store_event(judged(RUN, 2.0, "indicators", "conserved", False, DAYS[2]))
    # Announced, and not judged yet: what was said before holds.
    log.store_event(check_planned(RUN, 3.0, "candles", "conserved"))
    found = last_told_as_failed(log, CANDLES, names, days)
    assert found == {("conserved", DAYS[1]), ("ohlc", DAYS[0]), ("ohlc", DAYS[1])}
    known = log.get_asset_check_partition_info(
        [dg.AssetCheckKey(CANDLES, name) for name in names], partition_keys=days
    )
    assert found == {
        (info.check_key.name, info.partition_key)
        for info in known
        if info.latest_execution_status.value == "FAILED"
    }


def ephemeral(tmp_path: Path) -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral()


def of_a_data_folder(tmp_path: Path) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_config(str(prepare_dagster_home(tmp_path)))


@pytest.mark.parametrize("made", [ephemeral, of_a_data_folder])
def test_materializations_are_reported_as_those_of_a_run(
    tmp_path: Path, made: Callable[[Path], dg.DagsterInstance]
) -> None:
    with made(tmp_path) as instance:
        run = instance.add_run(dg.DagsterRun(job_name="lane", run_id=RUN))
        days = [dg.AssetMaterialization(CANDLES, partition=day) for day in reversed(DAYS)]
        report_materializations(instance, run, days, step_key="lane")
        assert instance.get_materialized_partitions(CANDLES) == set(DAYS)
        told = instance.all_logs(RUN, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        assert {event.step_key for event in told} == {"lane"}
        assert len(told) == 30
        report_materializations(instance, None, [dg.AssetMaterialization(CANDLES, partition="2026-07-01")])  # fmt: skip
        assert instance.get_latest_materialization_event(CANDLES).run_id == ""
        report_materializations(instance, run, [])
        assert len(instance.all_logs(RUN)) == 30


def test_events_are_written_ahead_and_synced_when_they_move_into_the_file(tmp_path: Path) -> None:
    ours, _ = homes(tmp_path)
    with dg.DagsterInstance.from_config(str(ours)) as instance:
        run_id = JOB.execute_in_process(instance=instance, tags=RANGE, run_config=QUIET).run_id
        log = instance.event_log_storage
        for connect in (log.index_connection, partial(log.run_connection, run_id)):
            with connect() as connection:
                asked = {
                    name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                    for name in ("journal_mode", "synchronous")
                }
                # Without a log written ahead, a power cut could leave a broken file.
                assert asked == {"journal_mode": "wal", "synchronous": 1}


def test_nothing_is_unsynced_but_the_making_of_tables(
    log: BatchedSqliteEventLog, tmp_path: Path
) -> None:
    def syncs(connection: Connection) -> int:
        return connection.exec_driver_sql("PRAGMA synchronous").scalar_one()

    with log.run_connection(RUN) as connection:
        assert syncs(connection) == 1  # at checkpoints
    prepare_dagster_home(tmp_path / "data")
    with create_engine(f"sqlite:///{tmp_path / 'other.db'}").connect() as connection:
        assert syncs(connection) == 2  # as SQLite does by itself
