"""The page of all sessions as a file: what it is made from, when it is written again."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from setbull_pipelines import tables
from setbull_pipelines.pipeline import overview
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.daily_reports import report_path
from setbull_pipelines.pipeline.overview import overview_path, write_overview
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.settings import ApiSettings, RolloutSettings
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.pipeline.small_run import SmallRun, publish

pytestmark = pytest.mark.run


def written_again(run: SmallRun) -> bool:
    return write_overview(Warehouse(run.warehouse.root), run.settings)


def page_of(run: SmallRun) -> str:
    return overview_path(run.settings).read_text(encoding="utf-8")


def diverged(run: SmallRun) -> str:
    """Say of the last day that V2 differs in one table; returns the day."""
    day = run.days[-1].isoformat()
    rows = run.warehouse.read(SUMMARY, [day])
    rows.loc[rows["table_name"] == "indicators_5min", ["state", "reason"]] = (
        "diverged",
        "<b>no</b>",
    )
    publish(run.warehouse, SUMMARY, day, rows)
    return day


def test_the_run_has_written_the_page_with_every_session(small_run: SmallRun) -> None:
    page = page_of(small_run)
    for day in small_run.days:
        assert f'<a href="{day}.html">' in page
        assert (
            report_path(small_run.settings, day).parent == overview_path(small_run.settings).parent
        )
        served = small_run.warehouse.read(served_table(tables.FILTER_RESULTS), [str(day)])
        row = re.search(rf'<tr id="{day}">.*?</tr>', page, re.DOTALL)[0]
        numbers = [int(text) for text in re.findall(r'<td class="number">(\d+)</td>', row)][:4]
        assert numbers == [
            int((served["verdict"] == verdict).sum())
            for verdict in ("bullish", "bearish", "rejected", "not enough data")
        ]
        assert row.count("✓") == len(tables.COMPUTED_TABLES)


def test_it_is_written_again_only_when_it_says_something_new(copied_run: SmallRun) -> None:
    path = overview_path(copied_run.settings)
    before = path.stat().st_mtime_ns
    assert not written_again(copied_run)
    assert path.stat().st_mtime_ns == before
    diverged(copied_run)
    assert written_again(copied_run)
    assert not written_again(copied_run)
    path.unlink()
    assert written_again(copied_run)
    report_path(copied_run.settings, copied_run.days[0]).unlink()
    assert written_again(copied_run)
    assert f'<a href="{copied_run.days[0]}.html">' not in page_of(copied_run)


def test_a_difference_is_red_and_leads_to_its_page(copied_run: SmallRun) -> None:
    day = diverged(copied_run)
    assert written_again(copied_run)
    cell = f'<td class="state diverged" title="indicators_5min {day}: diverged, &lt;b&gt;no&lt;/b&gt;">'
    assert cell + "✗<span" in page_of(copied_run)
    reached = replace(
        copied_run,
        settings=replace(copied_run.settings, api=ApiSettings(public_url="http://h:8000")),
    )
    assert written_again(reached)
    assert f'{cell}<a href="http://h:8000/divergence/indicators_5min/{day}">✗' in page_of(reached)
    file = overview_path(copied_run.settings).with_name(f"indicators_5min-{day}.html")
    file.write_text("the page of setbull divergence")
    assert written_again(reached)
    assert f'{cell}<a href="{file.name}">✗' in page_of(reached)


def test_what_cannot_be_read_is_named_and_the_rest_is_shown(copied_run: SmallRun) -> None:
    first, last = map(str, copied_run.days)
    (path,) = copied_run.warehouse.files(SUMMARY, [last])
    assert path not in copied_run.warehouse.files(SUMMARY, [first])
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-1] + b"x")
    Path(overview_path(copied_run.settings)).unlink()
    assert written_again(copied_run)
    assert f"is missing here: {SUMMARY.name} {last};" in page_of(copied_run)
    assert re.search(rf'<tr id="{first}">.*?✓.*?</tr>', page_of(copied_run), re.DOTALL)


def test_under_the_kill_switch_it_shows_v1(copied_run: SmallRun) -> None:
    day = copied_run.days[-1].isoformat()
    rows = copied_run.warehouse.read(served_table(tables.FILTER_RESULTS), [day])
    publish(copied_run.warehouse, served_table(tables.FILTER_RESULTS), day, rows.iloc[:3])
    assert written_again(copied_run)
    served = page_of(copied_run)
    killed = replace(
        copied_run, settings=replace(copied_run.settings, rollout=RolloutSettings(kill=True))
    )
    assert written_again(killed)
    assert "of 3 passed" in served
    assert "of 3 passed" not in page_of(killed)


def test_a_page_that_is_made_of_the_same_is_found_without_reading_a_row(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_overview(copied_run.warehouse, copied_run.settings)

    def refuse(*_: object) -> None:
        raise AssertionError("rows were read")

    # What it costs is measured by benchmarks.pages: a test would measure the machine.
    monkeypatch.setattr(overview, "readable", refuse)
    assert not written_again(copied_run)
    overview_path(copied_run.settings).unlink()
    with pytest.raises(AssertionError, match="rows were read"):
        written_again(copied_run)
