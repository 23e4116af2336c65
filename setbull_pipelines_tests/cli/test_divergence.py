"""``setbull divergence``: one file that tells everything, and sentences where there is nothing to tell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from setbull_pipelines import tables
from setbull_pipelines.cli import divergence
from setbull_pipelines.cli.main import main
from setbull_pipelines.pipeline.catalog import refresh_catalog
from setbull_pipelines.pipeline.comparing_days import read_findings, reconcile
from setbull_pipelines.pipeline.opening import catalog_path
from setbull_pipelines.reconciliation.page import html_page
from setbull_pipelines.reconciliation.report import markdown_report
from setbull_pipelines.warehouse.catalog import open_catalog
from setbull_pipelines.warehouse.macros import RECONCILIATION_MACROS
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.pipeline.small_run import SmallRun, publish

pytestmark = pytest.mark.run

KINDS = {
    "compared_columns": tables.RECONCILIATIONS,
    "differing_cells": tables.RECONCILIATION_CELLS,
    "differing_instruments": tables.RECONCILIATION_INSTRUMENTS,
    "likely_causes": tables.RECONCILIATION_DIAGNOSES,
    "inputs_of_differences": tables.RECONCILIATION_WINDOWS,
    "bars_of_differences": tables.RECONCILIATION_BARS,
}


@pytest.fixture
def diverged_run(copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch) -> SmallRun:
    """EMA 50 is 1 % too high in V2 of the first day; the command finds the run's folder."""
    day, stored = copied_run.days[0], StoredTable("v2", tables.INDICATORS_5MIN)
    right = copied_run.warehouse.read(stored, [day.isoformat()])
    wrong = right.assign(ema_50=right["ema_50"] * 1.01)
    publish(copied_run.warehouse, stored, day.isoformat(), wrong)
    list(reconcile(stored.table, [day], copied_run.warehouse, copied_run.settings, "test"))
    monkeypatch.setenv("SETBULL_DATA_DIR", str(copied_run.settings.data_directory))
    # Or the command tells that the catalog of a copy was that of another folder (test_catalog.py).
    refresh_catalog(copied_run.warehouse, copied_run.settings)
    return copied_run


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["divergence", *map(str, arguments)])


def test_the_page_holds_verdict_causes_pictures_and_inputs_in_one_file(
    diverged_run: SmallRun,
) -> None:
    day = diverged_run.days[0]
    result = ask("--table", "indicators_5min", "--day", day)
    assert result.exit_code == 0, result.output
    place = diverged_run.settings.data_directory / "reports" / f"indicators_5min-{day}.html"
    assert result.output.endswith(f"written to {place}\n")
    page = place.read_text("utf-8")
    assert f"indicators_5min, {day}" in page
    assert "V2 is V1 x 1.01" in page
    assert "Inputs agree" in page
    assert page.count('<img src="data:image/png;base64,') == 2
    # One file: nothing is fetched, nothing runs.
    assert not re.search(r"<script|<link|https?://", page)


def test_macros_ask_the_reconciliation_of_all_tables_at_once(diverged_run: SmallRun) -> None:
    """Each gives the rows of all tables of its kind, with the name of the table that was compared."""
    with open_catalog(catalog_path(diverged_run.settings)) as catalog:
        for macro in RECONCILIATION_MACROS:
            assert catalog.execute(macro.example).fetchall(), macro.name
            found = dict(
                catalog.execute(
                    f"SELECT table_name, count(*) FROM {macro.name}() GROUP BY ALL"
                ).fetchall()
            )
            counted = {
                compared: catalog.execute(
                    f"SELECT count(*) FROM reconciliation.{table.name}"
                ).fetchone()[0]
                for compared, table in KINDS[macro.name].items()
            }
            assert found == {compared: rows for compared, rows in counted.items() if rows}
        causes = catalog.execute("SELECT DISTINCT table_name, diagnosis FROM likely_causes()")
        assert causes.fetchall() == [("indicators_5min", "constant factor")]


def test_text_from_data_stays_text(diverged_run: SmallRun) -> None:
    findings = read_findings(tables.INDICATORS_5MIN, diverged_run.days[0], diverged_run.warehouse)
    findings.diagnoses["sentence"] = "<script>alert(1)</script>"
    assert "<script" not in html_page(findings)
    assert "&lt;script&gt;" in html_page(findings)


def test_a_report_without_pictures_tells_the_same_words(diverged_run: SmallRun) -> None:
    findings = read_findings(tables.INDICATORS_5MIN, diverged_run.days[0], diverged_run.warehouse)
    drawn, plain = (markdown_report(findings, with_pictures=choice) for choice in (True, False))
    without = re.sub(r"#### Pictures\n\n(!\[.*\)\n\n)+", "", drawn)
    assert without == plain
    assert len(drawn) > len(plain) + 10_000


def test_a_place_of_ones_own(diverged_run: SmallRun, tmp_path: Path) -> None:
    out = tmp_path / "mine.html"
    assert (
        ask("--table", "indicators_5min", "--day", diverged_run.days[0], "--out", out).exit_code
        == 0
    )
    assert out.read_text("utf-8").startswith("<!DOCTYPE html>")
    reports = diverged_run.settings.data_directory / divergence._REPORTS
    assert not list(reports.glob("indicators_5min*"))


def test_a_day_that_agrees_has_no_page(diverged_run: SmallRun, tmp_path: Path) -> None:
    out = tmp_path / "none.html"
    result = ask("--table", "candles_5min", "--day", diverged_run.days[0], "--out", out)
    assert result.exit_code == 0
    assert "pass, all " in result.output
    assert "no difference to show" in result.output
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--table", "candles_3min", "--day", "2026-06-30"), ("'candles_3min'", "candles_5min, ")),
        (("--table", "candles_5min", "--day", "2020-01-01"), ("2020-01-01",)),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_sentence(
    diverged_run: SmallRun, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    result = ask(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert all(part in result.stderr for part in parts)
    assert "Traceback" not in result.output
