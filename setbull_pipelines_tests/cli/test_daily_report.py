"""``setbull report``: the path of a file that is there, and a sentence where none can be made."""

from __future__ import annotations

from html import unescape
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from setbull_pipelines.cli.main import main
from setbull_pipelines.pipeline.catalog import refresh_catalog
from setbull_pipelines.pipeline.daily_reports import headline_on, report_path
from setbull_pipelines_tests.pipeline.small_run import SmallRun


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


@pytest.fixture
def run(copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch) -> SmallRun:
    monkeypatch.setenv("SETBULL_DATA_DIR", str(copied_run.settings.data_directory))
    # Or the command tells that the catalog of a copy was that of another folder (test_catalog.py).
    refresh_catalog(copied_run.warehouse, copied_run.settings)
    return copied_run


def test_the_last_served_day_unless_one_is_named(run: SmallRun) -> None:
    for arguments, day in (((), run.days[-1]), (("--day", run.days[0]), run.days[0])):
        path = report_path(run.settings, day)
        path.unlink()
        result = ask(*arguments)
        assert result.exit_code == 0, result.output
        assert result.output == f"{path}\n"
        assert f"NSE daily report {day}" in path.read_text("utf-8")


def test_it_opens_the_file_when_asked(run: SmallRun, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(click, "launch", opened.append)
    assert ask("--open").exit_code == 0
    assert opened == [report_path(run.settings, run.days[-1]).as_uri()]


def test_the_answer_as_text_is_that_of_the_page_and_of_its_preview(run: SmallRun) -> None:
    day = run.days[-1]
    result = ask("--text")
    assert result.exit_code == 0, result.output
    first, *rest = result.output.splitlines()
    page = unescape(report_path(run.settings, day).read_text("utf-8"))
    assert first.startswith("Not real prices: ")
    assert f'<h2 id="answer-heading">{first.removeprefix("Not real prices: ")}</h2>' in page
    assert f'<meta name="description" content="{first}">' in page
    assert f'<meta property="og:description" content="{first}">' in page
    assert headline_on(day, run.settings) == first
    named = [line.strip().partition(",")[0] for line in rest if line.startswith("  ")]
    shown = page.partition('<div class="answer">')[2].partition("</section>")[0]
    assert named
    assert all(f">{symbol}</a>" in shown for symbol in named)


def test_a_day_without_results_is_one_sentence(run: SmallRun) -> None:
    result = ask("--day", "2026-01-05")
    assert result.exit_code == 2
    assert "2026-01-05" in result.output
    assert "Traceback" not in result.output


def test_an_empty_data_folder_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SETBULL_DATA_DIR", str(tmp_path))
    result = ask()
    assert result.exit_code == 2
    assert "has no day yet; run: setbull run" in result.output
