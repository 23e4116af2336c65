"""``setbull divergence``: one file that tells everything, and sentences where there is nothing to tell."""

from __future__ import annotations

import base64
import hashlib
import re
from html import unescape
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
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines_tests.pipeline.small_run import SmallRun, publish
from setbull_pipelines_tests.reporting.browser import browsing, chromium

pytestmark = pytest.mark.run

KINDS = {
    "compared_columns": tables.RECONCILIATIONS,
    "differing_cells": tables.RECONCILIATION_CELLS,
    "differing_instruments": tables.RECONCILIATION_INSTRUMENTS,
    "likely_causes": tables.RECONCILIATION_DIAGNOSES,
    "inputs_of_differences": tables.RECONCILIATION_WINDOWS,
    "bars_of_differences": tables.RECONCILIATION_BARS,
}


@pytest.fixture(scope="module")
def diverged(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    """EMA 50 is 1 % too high in V2 of the first day; its pages may be written."""
    run = small_run.copy(tmp_path_factory.mktemp("diverged") / "data")
    day, stored = run.days[0], StoredTable("v2", tables.INDICATORS_5MIN)
    right = run.warehouse.read(stored, [day.isoformat()])
    publish(run.warehouse, stored, day.isoformat(), right.assign(ema_50=right["ema_50"] * 1.01))
    list(reconcile(stored.table, [day], run.warehouse, run.settings, "test"))
    # Or the command tells that the catalog of a copy was that of another folder (test_catalog.py).
    refresh_catalog(run.warehouse, run.settings)
    return run


@pytest.fixture
def diverged_run(diverged: SmallRun, monkeypatch: pytest.MonkeyPatch) -> SmallRun:
    """The run, whose folder the command finds."""
    monkeypatch.setenv("SETBULL_DATA_DIR", str(diverged.settings.data_directory))
    return diverged


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
    # One file: nothing is fetched, and nothing runs but its own filter.
    assert not re.search(r"<link|https?://| src=\"(?!data:)", page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}'" in unescape(page)
    assert len(re.findall("<script", page)) == 1


def test_symbols_stand_beside_keys_and_pages_lead_to_each_other(diverged_run: SmallRun) -> None:
    day, settings = diverged_run.days[0], diverged_run.settings
    instruments = diverged_run.warehouse.read(StoredTable("raw", tables.INSTRUMENTS), [WHOLE])
    shown = instruments.set_index("instrument_key")["symbol"]
    cells = read_findings(tables.INDICATORS_5MIN, day, diverged_run.warehouse).cells
    key = cells["instrument_key"].iloc[0]
    chart = CliRunner().invoke(main, ["chart", shown[key]])
    assert chart.exit_code == 0, chart.output
    ask("--table", "indicators_5min", "--day", day)
    page = (settings.data_directory / "reports" / f"indicators_5min-{day}.html").read_text("utf-8")
    link = f"chart-{shown[key]}.html#frame=5minute&amp;compare=ema_50"
    named = f'<a href="./{link}">{shown[key]}</a> <span class="key">{key}</span>'
    assert named in page.replace('href="chart', 'href="./chart')
    for target in re.findall(r'href="([^"#]+)', page):
        assert (settings.data_directory / "reports" / target).exists(), target
    assert f'{day}.html">Report of {day}' in page
    assert ">All sessions</a>" in page
    for other in set(cells["instrument_key"]) - {key}:
        assert f'{shown[other]} <span class="key">{other}</span>' in page


def test_the_page_is_filtered_by_column_and_instrument(
    diverged_run: SmallRun, tmp_path: Path
) -> None:
    executable = chromium()
    if executable is None:
        pytest.skip("no browser: install Debian's chromium, or name one in SETBULL_CHROMIUM")
    day, out = diverged_run.days[0], tmp_path / "page.html"
    ask("--table", "indicators_5min", "--day", day, "--out", out)
    instruments = diverged_run.warehouse.read(StoredTable("raw", tables.INSTRUMENTS), [WHOLE])
    with browsing(executable, tmp_path / "profile") as page:
        page.size(390, 844, mobile=True)
        page.prefer("dark")
        page.open(out)
        assert page.run("document.documentElement.scrollWidth") == 390
        assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)"
        named = "document.querySelectorAll('main, body > header, nav[aria-label], footer').length"
        assert page.run(named) == 4
        rows = "[...document.querySelectorAll('#differing tbody tr')].filter(row => !row.hidden)"
        every = page.run(f"{rows}.length")
        symbol = page.run(f"{rows}[1].querySelector('[data-symbol]').dataset.symbol")
        assert symbol in set(instruments["symbol"])
        assert every > 1
        page.click("#instrument")
        page.press(*symbol.lower())
        assert page.run(f"{rows}.length") == 1
        assert page.run("document.getElementById('shown').innerText") == (
            f"1 of {every} rows of instruments"
        )
        page.run(
            """(() => { const column = document.getElementById("column");
                        column.value = "ema_50"; column.dispatchEvent(new Event("change"));
                        column.options.add(new Option("rsi")); })()"""
        )
        assert page.run(f"{rows}.length") == 1
        page.run(
            """(() => { const column = document.getElementById("column"); column.value = "rsi";
                        column.dispatchEvent(new Event("change")); })()"""
        )
        assert page.run(f"{rows}.length") == 0
        bad = ("Runtime.exceptionThrown", "Log.entryAdded")
        assert not [event for event in page.events if event.get("method") in bad]


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
    page = html_page(findings)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_report_without_pictures_tells_the_same_words(diverged_run: SmallRun) -> None:
    findings = read_findings(tables.INDICATORS_5MIN, diverged_run.days[0], diverged_run.warehouse)
    drawn, plain = (markdown_report(findings, with_pictures=choice) for choice in (True, False))
    without = re.sub(r"#### Pictures\n\n(!\[.*\)\n\n)+", "", drawn)
    assert without == plain
    assert len(drawn) > len(plain) + 10_000


def test_a_place_of_ones_own(diverged_run: SmallRun, tmp_path: Path) -> None:
    out = tmp_path / "mine.html"
    reports = diverged_run.settings.data_directory / divergence._REPORTS
    for page in reports.glob("indicators_5min*"):
        page.unlink()
    assert (
        ask("--table", "indicators_5min", "--day", diverged_run.days[0], "--out", out).exit_code
        == 0
    )
    assert out.read_text("utf-8").startswith("<!DOCTYPE html>")
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
