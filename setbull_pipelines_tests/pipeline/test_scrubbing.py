"""Stored files whose bytes change by themselves: named, out of the views, and made again where that is possible."""

from __future__ import annotations

import dataclasses
import itertools
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from click.testing import CliRunner

from setbull_pipelines import tables
from setbull_pipelines.assets.scrub import SCRUB_KEY, scrub_stored_files
from setbull_pipelines.automation.jobs import SCRUB_JOB_NAME
from setbull_pipelines.cli.main import main
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.pipeline import scrubbing
from setbull_pipelines.pipeline.catalog import refresh_catalog, stored_tables
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.opening import catalog_path
from setbull_pipelines.pipeline.rollout_log import LogLost, kept_rows, read_log
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.queries import connect
from setbull_pipelines_tests.pipeline.small_run import SmallRun, publish

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
CANDLES = StoredTable("raw", tables.CANDLES_1MIN)
RESULTS = StoredTable("v1", tables.FILTER_RESULTS)
OF_EVERY_KIND = (
    CANDLES,
    StoredTable("v2", tables.CANDLES_5MIN),
    StoredTable("v1", tables.INDICATORS_5MIN),
    SUMMARY,
    served_table(tables.CANDLES_5MIN),
)
FLIPS = 20


def file_of(run: SmallRun, stored: StoredTable, partition: str) -> Path:
    return run.warehouse.files(stored, [partition])[0]


def flip(path: Path, byte: int | None = None, bit: int = 3) -> bytes:
    """Change one bit of a file and return what it was; other links to the file keep it."""
    before = path.read_bytes()
    changed = bytearray(before)
    changed[len(changed) // 2 if byte is None else byte] ^= 1 << bit
    path.unlink()
    path.write_bytes(changed)
    return before


def scrubbed(
    run: SmallRun, all_files: bool = True, settings: Settings | None = None, now: datetime = NOW
) -> scrubbing.Scrub:
    return scrub_stored_files(run.warehouse, settings or run.settings, now, "test", all_files)


def seen(run: SmallRun, stored: StoredTable) -> list[tuple]:
    """What a program reads of a table by nothing but DuckDB."""
    with duckdb.connect(str(catalog_path(run.settings)), read_only=True) as catalog:
        return catalog.execute(f"SELECT * FROM {stored.name} ORDER BY ALL").fetchall()


def test_damaged_files_are_named_taken_out_of_the_views_and_made_again(
    copied_run: SmallRun,
) -> None:
    run, day = copied_run, copied_run.days[0].isoformat()
    refresh_catalog(run.warehouse, run.settings)
    expected = {stored.name: seen(run, stored) for stored in OF_EVERY_KIND}
    paths = {stored.name: file_of(run, stored, day) for stored in OF_EVERY_KIND}
    held = {
        (stored.name, key): paths[stored.name]
        for stored in OF_EVERY_KIND
        for key in run.warehouse.partitions(stored)
        if run.warehouse.files(stored, [key]) == [paths[stored.name]]
    }
    for path in paths.values():
        flip(path)
    found = scrubbed(run)
    assert {damage.file.key for damage in found.damages} == held.keys()
    for damage in found.damages:
        path, (name, key) = held[damage.file.key], damage.file.key
        assert damage.sentence == f"{name} {key}: {path} was damaged, made again"
        assert run.warehouse.verify(damage.file.stored, key)
    for stored in OF_EVERY_KIND:
        assert seen(run, stored) == expected[stored.name], stored.name
    rows = run.warehouse.read(scrubbing.STORED, [WHOLE])
    assert (rows["state"] == "repaired").sum() == len(held) >= len(OF_EVERY_KIND)
    again = scrubbed(run, now=NOW + timedelta(days=7))
    assert (again.verified, again.damages) == (found.verified, ())
    assert (run.warehouse.read(scrubbing.STORED, [WHOLE])["state"] == "whole").all()


def test_after_a_scrub_no_flipped_bit_gives_another_value(copied_run: SmallRun) -> None:
    stored, day = StoredTable("v2", tables.CANDLES_5MIN), copied_run.days[0].isoformat()

    def rows() -> list[tuple]:
        with connect(copied_run.warehouse, [stored]) as connection:
            return connection.execute(f"SELECT * FROM {stored.name} ORDER BY ALL").fetchall()

    expected, chosen = rows(), random.Random(17)
    for _ in range(FLIPS):
        path = file_of(copied_run, stored, day)
        flip(path, chosen.randrange(path.stat().st_size), chosen.randrange(8))
        found = scrubbing.scrub(
            copied_run.warehouse, [stored], copied_run.settings, NOW, "test", all_files=True
        )
        assert {damage.reason for damage in found.damages} == {None}
        assert rows() == expected


def test_what_cannot_be_made_again_is_out_of_the_views_and_says_what_to_type(
    copied_run: SmallRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copied_run
    first = run.days[0].isoformat()
    # In a file of its own, so that the other days are seen to stay.
    rows = run.warehouse.read(CANDLES, [first])
    publish(run.warehouse, CANDLES, first, rows.iloc[:-1])
    refresh_catalog(run.warehouse, run.settings)
    expected = seen(run, CANDLES)
    path = file_of(run, CANDLES, first)
    content = flip(path)
    log = file_of(run, LOG, WHOLE)
    flip(log)
    without_input = dataclasses.replace(run.settings, input=str(tmp_path / "absent"))
    found = scrubbed(run, settings=without_input)
    raw, of_log = (damage.sentence for damage in found.damages)
    assert raw.startswith(f"raw.candles_1min {first}: {path} damaged, ")
    assert "absent: found nothing there" in raw
    assert raw.endswith(f"setbull run --from {first} --to {first}")
    assert str(log) in of_log
    assert of_log.endswith("setbull rollout restore --by NAME --reason WHY")
    column = CANDLES.table.column_names.index("trading_day")
    others = [row for row in expected if row[column].isoformat() != first]
    assert 0 < len(others) < len(expected)
    assert seen(run, CANDLES) == others
    monkeypatch.setitem(os.environ, "SETBULL_DATA_DIR", str(run.settings.data_directory))
    asked = CliRunner().invoke(main, ["sql", "SELECT count(*) FROM raw.candles_1min"])
    assert f"raw.candles_1min {first}: not shown, its file is damaged" in asked.stderr
    # The next scrub looks at it first, whatever else is due; a backup makes it whole.
    path.write_bytes(content)
    again = scrubbed(run, all_files=False, settings=without_input, now=NOW + timedelta(days=1))
    assert [damage.file.stored for damage in again.damages] == [LOG]
    refresh_catalog(run.warehouse, run.settings)
    assert seen(run, CANDLES) == expected


def test_new_files_are_verified_at_every_run_and_all_files_in_turn(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = StoredTable("v1", tables.CANDLES_DAILY)
    days = copied_run.warehouse.partitions(stored)

    def scrub(all_files: bool, hours: int) -> scrubbing.Scrub:
        moment = NOW + timedelta(hours=hours)
        given = (copied_run.warehouse, [stored], copied_run.settings, moment, "test")
        return scrubbing.scrub(*given, all_files)

    assert scrub(False, 0).verified == 0  # by the run
    assert scrub(True, 1).verified == len(days) > 10
    rows = copied_run.warehouse.read(stored, [days[3]])
    publish(copied_run.warehouse, stored, days[3], rows.head(5))
    assert scrub(False, 2).verified == 1

    ticks = itertools.count()
    limit = copied_run.settings.storage.scrub_seconds
    monkeypatch.setattr(scrubbing.time, "monotonic", lambda: next(ticks) * limit / 10)
    turns = [scrub(True, hours) for hours in range(3, 3 + len(days))]
    assert 0 < turns[0].verified < len(days)
    assert turns[0].verified + turns[0].left == len(days)
    state = copied_run.warehouse.read(scrubbing.STORED, [WHOLE]).set_index("partition")
    assert state["verified_at"].min() >= NOW + timedelta(hours=3)


def test_the_weekly_job_scrubs_all_files_and_its_checks_tell_what_was_found(
    copied_run: SmallRun,
) -> None:
    day = copied_run.days[0].isoformat()
    path = file_of(copied_run, RESULTS, day)
    in_file = sum(
        copied_run.warehouse.files(RESULTS, [key]) == [path]
        for key in copied_run.warehouse.partitions(RESULTS)
    )
    flip(path)
    instance = dg.DagsterInstance.ephemeral()
    job = build_defs(copied_run.settings).resolve_job_def(SCRUB_JOB_NAME)
    result = job.execute_in_process(instance=instance)
    assert result.success
    (event,) = result.asset_materializations_for_node("scrubbing")
    figures = event.metadata
    assert figures["files verified"].value > 100
    damaged, still = (figures[f"files {what}damaged"].value for what in ("", "still "))
    assert (damaged, still) == (in_file, 0)
    assert f"v1.filter_results {day}: {path} was damaged" in figures["damage"].value
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert checks["no_damaged_file"].passed
    assert not checks["no_file_had_to_be_repaired"].passed
    assert checks["no_file_had_to_be_repaired"].severity is dg.AssetCheckSeverity.WARN
    assert str(path.relative_to(copied_run.warehouse.root)) in (
        checks["no_file_had_to_be_repaired"].description
    )


def test_a_run_has_verified_what_it_published(small_run: SmallRun) -> None:
    checks = [
        check for check in small_run.outcome.checks if check.asset_key == SCRUB_KEY and check.passed
    ]
    assert {check.check_name for check in checks} >= {
        "no_damaged_file",
        "no_file_had_to_be_repaired",
    }
    rows = small_run.warehouse.read(scrubbing.STORED, [WHOLE])
    verified = set(zip(rows["table_name"], rows["partition"], strict=True))
    for stored in stored_tables():
        if stored.schema in ("raw", "v1", "v2", "served", "reconciliation"):
            for partition in small_run.warehouse.partitions(stored):
                assert (stored.name, partition) in verified


def test_the_command_ends_with_an_error_while_a_file_is_damaged(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "SETBULL_DATA_DIR", str(copied_run.settings.data_directory))
    content = flip(log := file_of(copied_run, LOG, WHOLE))
    result = CliRunner().invoke(main, ["scrub"])
    assert result.exit_code == 1
    assert f"operations.rollout_log {WHOLE}: {log} damaged" in result.stderr
    # What is missing of the log must stay visible, or an older log would be taken for all of it.
    copied_run.warehouse.collect_garbage()
    with pytest.raises(LogLost):
        read_log(copied_run.warehouse)
    _, is_sure = kept_rows(copied_run.warehouse)
    assert not is_sure
    log.write_bytes(content)
    result = CliRunner().invoke(main, ["scrub"])
    assert result.exit_code == 0
    assert "0 damaged" in result.stdout
