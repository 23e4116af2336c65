"""``setbull sql`` over the tables of a run: what may be asked, and what is refused."""

from __future__ import annotations

import dataclasses
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from setbull_pipelines import tables
from setbull_pipelines.assets.maintenance import keep_limits
from setbull_pipelines.settings import StorageSettings
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.cli.invoking import assert_refused, setbull
from setbull_pipelines_tests.pipeline.small_run import SmallRun

pytestmark = pytest.mark.run

WRITING = (
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{place}'",
    "WITH x AS (COPY (SELECT 1) TO '{place}') SELECT * FROM x",
    "COPY (SELECT 1) TO '{place}'",
    "EXPLAIN (ANALYZE, FORMAT json) COPY (SELECT 1) TO '{place}'",
    "EXPLAIN ANALYZE WITH x AS (COPY (SELECT 1) TO '{place}') SELECT * FROM x",
    "SELECT * FROM query('WITH x AS (COPY (SELECT 1) TO ''{place}'') FROM x')",
    "EXPORT DATABASE '{place}'",
    "ATTACH '{place}' AS other",
    "SELECT * FROM enable_logging(storage = 'file', storage_config = {{'path': '{place}'}})",
)
"""Statements of which all or some versions of DuckDB write a file."""


class TestSql:
    @pytest.fixture(autouse=True)
    def catalog(self, small_run: SmallRun, data_directory: Path) -> None:
        os.environ["SETBULL_DATA_DIR"] = str(small_run.settings.data_directory)

    def test_it_answers(self) -> None:
        query = "SELECT count(*) AS n, 'x' || 'y' AS t FROM v1.filter_results"
        result = setbull("sql", query)
        assert result.exit_code == 0
        assert "24" in result.output  # 12 instruments on 2 days
        assert "xy" in result.output

    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE TABLE mine AS SELECT 1",
            "DROP VIEW v1.filter_results",
            "CREATE SCHEMA mine",
            "DELETE FROM v1.filter_results",
            "INSERT INTO v1.filter_results SELECT * FROM v1.filter_results",
        ],
    )
    def test_it_cannot_write(self, statement: str, small_run: SmallRun) -> None:
        path = small_run.settings.data_directory / "setbull.duckdb"
        before = path.read_bytes()
        assert_refused(setbull("sql", statement))
        assert path.read_bytes() == before

    def test_it_writes_no_file_neither_of_the_warehouse_nor_elsewhere(
        self, copied_run: SmallRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = copied_run.settings.data_directory
        monkeypatch.setenv("SETBULL_DATA_DIR", str(data))
        stored = StoredTable("v1", tables.FILTER_RESULTS)
        partition = copied_run.warehouse.files(stored)[0]
        assert setbull("sql", "SELECT 1").exit_code == 0  # brings the copy's catalog home
        before = sorted(tmp_path.rglob("*"))
        for statement in WRITING:
            for place in (tmp_path / "written", partition.parent / "written.parquet", partition):
                assert_refused(setbull("sql", statement.format(place=place)))
                assert sorted(tmp_path.rglob("*")) == before, (statement, place)
        monkeypatch.setenv("SETBULL_KILL_V2", "1")
        for statement in WRITING[:2]:
            assert_refused(setbull("sql", statement.format(place=partition)))
        assert sorted(tmp_path.rglob("*")) == before
        assert copied_run.warehouse.verify(stored, copied_run.days[0].isoformat())

    @pytest.mark.parametrize(
        "statement",
        [
            "SELECT * FROM read_text('/etc/passwd')",
            "SELECT * FROM glob('/etc/*')",
            "SELECT * FROM read_text('{data}/warehouse/../source.json')",
            "SELECT * FROM 'http://127.0.0.1:9/x.parquet'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "SET enable_external_access = true",
            "PRAGMA enable_profiling",
            "SET lock_configuration = false",
            "CALL enable_logging()",
        ],
    )
    def test_it_reads_nothing_else_and_stays_locked(
        self, statement: str, small_run: SmallRun
    ) -> None:
        data = small_run.settings.data_directory
        assert_refused(setbull("sql", statement.format(data=data)))

    def test_it_explains_and_lists(self) -> None:
        explained = setbull("sql", "EXPLAIN ANALYZE SELECT verdict FROM v1.filter_results")
        assert explained.exit_code == 0
        assert "Total Time" in explained.output
        assert "filter_results" in setbull("sql", "SHOW ALL TABLES").output
        assert "verdict" in setbull("sql", "DESCRIBE v1.filter_results").output

    def test_it_tells_of_days_that_were_removed_to_save_space(
        self, copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = dataclasses.replace(
            copied_run.settings, storage=StorageSettings(intermediate_days=1)
        )
        later = datetime.now(UTC) + timedelta(days=3)
        eviction = keep_limits(copied_run.warehouse, settings, later, "test")
        assert eviction.evicted
        copied_run.warehouse.collect_garbage()
        monkeypatch.setenv("SETBULL_DATA_DIR", str(copied_run.settings.data_directory))
        first, last = copied_run.days
        query = "SELECT count(*) AS n, min(trading_day) AS day FROM {}.filter_results"
        of_v1, of_served = (setbull("sql", query.format(name)) for name in ("v1", "served"))
        assert (of_v1.exit_code, of_served.exit_code) == (0, 0)
        assert (
            f"v1.filter_results: 1 of 2 days from {first} to {first} were removed" in of_v1.stderr
        )
        assert f"setbull run --from {first} --to {first}" in of_v1.stderr
        assert "12" in of_v1.stdout
        assert str(last) in of_v1.stdout
        assert of_served.stderr == ""
        assert "24" in of_served.stdout
        monkeypatch.setenv("SETBULL_KILL_V2", "1")
        assert "v1.filter_results: 1 of 2 days" in setbull("sql", query.format("served")).stderr

    def test_it_names_a_table_that_is_not_there(self) -> None:
        result = setbull("sql", "SELECT * FROM v1.filter_result")
        assert result.exit_code == 2
        assert "filter_result" in result.stderr
        assert "Traceback" not in result.output

    @pytest.mark.parametrize("statement", ["", "  "])
    def test_a_statement_without_rows_is_no_traceback(self, statement: str) -> None:
        result = setbull("sql", statement)
        assert result.exit_code in (0, 2), result.output
