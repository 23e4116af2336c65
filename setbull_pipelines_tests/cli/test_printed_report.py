"""What a run prints of a finished run: counts, verdicts, chosen stocks, the cache, where to look."""

from __future__ import annotations

import re
from pathlib import Path

import dagster as dg
import pytest

from setbull_pipelines import tables
from setbull_pipelines.assets.common import asset_key
from setbull_pipelines.cli.report import print_report
from setbull_pipelines.cli.run import Runner
from setbull_pipelines.cli.terminal import console
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.metrics import METRICS
from setbull_pipelines.pipeline.raw import DAY_TABLES
from setbull_pipelines.warehouse.pointers import UNASSIGNED, StoredTable
from setbull_pipelines_tests.pipeline.small_run import SmallRun

pytestmark = pytest.mark.run


@pytest.fixture
def report(small_run: SmallRun, data_directory: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is printed after the small run."""
    print_report(small_run.outcome)
    return capsys.readouterr().out


def test_the_report_counts_the_rows_of_every_computed_table(
    report: str, small_run: SmallRun
) -> None:
    section = report.split("V1 against V2")[1].split("session of")[0]
    days = [day.isoformat() for day in small_run.days]
    for table in tables.COMPUTED_TABLES:
        (line,) = (line for line in section.splitlines() if line.startswith(f"{table.name} "))
        for place, schema in enumerate(table.schemas, start=1):
            rows = len(small_run.warehouse.read(StoredTable(schema, table), days))
            assert rows > 0
            assert line.split()[place] == f"{rows:,}"


def test_the_report_gives_the_verdict_of_every_table(report: str) -> None:
    section = report.split("V1 against V2")[1].split("filter verdicts per day")[0]
    for table in tables.COMPUTED_TABLES:
        (line,) = (line for line in section.splitlines() if line.startswith(f"{table.name} "))
        assert "pass" in line
        assert "2 days" in line


def test_the_report_names_chosen_stocks_with_the_reason_of_each_stage(
    report: str, small_run: SmallRun
) -> None:
    results = small_run.warehouse.read(
        StoredTable("v1", tables.FILTER_RESULTS), [small_run.days[-1].isoformat()]
    )
    chosen = results[results["verdict"].isin(["bullish", "bearish"])]
    assert set(chosen["verdict"]) == {"bullish", "bearish"}
    for row in chosen.itertuples():
        assert row.instrument_key.removeprefix("NSE_EQ|") in report
        for reason in (row.basic_reason, row.ema_reason, row.rsi_reason, row.mamba_reason):
            assert reason in report


def test_the_report_says_how_many_partitions_were_up_to_date(
    report: str, small_run: SmallRun
) -> None:
    days = [str(day) for day in small_run.days]
    metrics = small_run.warehouse.read(StoredTable("operations", tables.PROCESSING_METRICS), days)
    of_lanes = [
        *DAY_TABLES,
        *(StoredTable(lane, table) for lane in ("v1", "v2") for table in tables.COMPUTED_TABLES),
    ]
    looked_back_at = [
        key
        for stored in of_lanes
        for key in small_run.warehouse.partitions(stored)
        if key not in (*days, UNASSIGNED)
    ]
    asked = len(looked_back_at) + len(metrics)
    assert asked > 500
    assert (
        f"cache: {asked:,} partitions asked for, 0 up to date (0.0%); computed: {asked:,} new"
        in report
    )


def test_a_run_again_with_nothing_changed_finds_every_partition_up_to_date(
    copied_run: SmallRun, data_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    instance = dg.DagsterInstance.ephemeral()
    outcome = Runner(copied_run.settings, instance).run(copied_run.outcome.asked)
    reported = instance.fetch_materializations(asset_key(METRICS), limit=10).records
    shares = [
        record.asset_materialization.metadata["share up to date"].value for record in reported
    ]
    assert shares
    assert set(shares) == {1.0}
    print_report(outcome)
    found = re.search(
        r"cache: ([\d,]+) partitions asked for, ([\d,]+) up to date \((.*?)\)\n",
        capsys.readouterr().out,
    )
    assert found
    assert found[1] == found[2]
    assert found[3] == "100.0%"


def test_the_report_says_where_the_tables_are_and_how_to_look(
    report: str, small_run: SmallRun
) -> None:
    assert str(small_run.settings.data_directory / "warehouse") in report
    assert str(small_run.settings.data_directory / "setbull.duckdb") in report
    assert "setbull sql" in report
    assert "make ui" in report
    assert "http://127.0.0.1:3000" in report
    passed = sum(check.passed for check in small_run.outcome.checks)
    assert f"{passed} passed" in report
    assert passed > 100


@pytest.mark.parametrize("columns", [80, 101, 102, 119, 120])
def test_the_report_fits_the_window(
    columns: int,
    small_run: SmallRun,
    data_directory: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(console, "_width", columns)
    print_report(small_run.outcome)
    printed = capsys.readouterr().out
    section = printed.split("V1 against V2")[1].split("session of")[0]
    (heading,) = (line for line in section.splitlines() if line.startswith("table "))
    assert ("rows V1" in heading) == (columns >= 102)
    assert ("cells unequal" in heading) == (columns >= 120)
    assert max(len(line.rstrip()) for line in section.splitlines()) <= columns
    cells = small_run.warehouse.read(SUMMARY, [day.isoformat() for day in small_run.days])
    for table in tables.COMPUTED_TABLES:
        (line,) = (line for line in section.splitlines() if line.startswith(f"{table.name} "))
        compared = cells.loc[cells["table_name"] == table.name, "cells_compared"].sum()
        assert line.split()[-2:] == [f"{compared:,}", "0"]
