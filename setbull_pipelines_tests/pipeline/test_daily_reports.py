"""The daily report as a file: made by the run, the same again, made anew when another variant is served."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.pipeline.daily_reports import (
    REPORT,
    gather,
    is_as_written,
    make_reports,
    report_path,
)
from setbull_pipelines.pipeline.evicting import evict
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.settings import ReportSettings, RolloutSettings, StorageSettings
from setbull_pipelines.warehouse.errors import MissingPartition
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines_tests.pipeline.small_run import SmallRun, forget, publish

RESULTS = served_table(tables.FILTER_RESULTS)


def made(run: SmallRun, *days) -> dict:
    results = make_reports(days, run.warehouse, run.settings, "test")
    return {result.day: result for result in results}


def test_the_run_has_written_a_report_of_every_asked_day(small_run: SmallRun) -> None:
    warehouse = small_run.warehouse
    for day in small_run.days:
        assert report_path(small_run.settings, day).read_text("utf-8").startswith("<!DOCTYPE html>")
        says = warehouse.read(REPORT, [day.isoformat()])
        served = warehouse.read(RESULTS, [day.isoformat()])
        assert says["instrument_key"].tolist() == served["instrument_key"].tolist()
        assert says["close"].equals(served["close"])
    checks = [c for c in small_run.outcome.checks if c.check_name == "report_says_what_is_served"]
    assert [check.passed for check in checks] == [True]


def test_the_same_rows_leave_the_file_alone(copied_run: SmallRun) -> None:
    day = copied_run.days[0]
    path = report_path(copied_run.settings, day)
    before = path.stat().st_mtime_ns, path.read_bytes()
    assert made(copied_run, day)[day].cached
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    for spoil in (path.unlink, lambda: path.write_text("written over")):
        spoil()
        assert not made(copied_run, day)[day].cached
        assert path.read_bytes() == before[1]


def test_days_that_were_served_anew_are_written_again(copied_run: SmallRun) -> None:
    first, last = copied_run.days
    rows = copied_run.warehouse.read(RESULTS, [first.isoformat()])
    publish(copied_run.warehouse, RESULTS, first.isoformat(), rows.assign(variant="v2"))
    found = made(copied_run, last)
    assert list(found) == [first, last]
    assert (found[first].cached, found[last].cached) == (False, True)
    says = copied_run.warehouse.read(REPORT, [first.isoformat()])
    assert set(says["variant"]) == {"v2"}


def test_bars_are_those_of_the_lane_that_is_served(copied_run: SmallRun) -> None:
    day, stored = copied_run.days[-1], StoredTable("v2", tables.CANDLES_DAILY)
    key = day.isoformat()
    doubled = copied_run.warehouse.read(stored, [key])
    doubled["high"] *= 2
    publish(copied_run.warehouse, stored, key, doubled)
    served = served_table(tables.CANDLES_DAILY)
    rows = copied_run.warehouse.read(served, [key])
    before = gather(day, copied_run.warehouse, copied_run.settings).candles_daily
    chosen = before["instrument_key"].iloc[0]
    variant = rows["variant"].mask(rows["instrument_key"] == chosen, "v2")
    publish(copied_run.warehouse, served, key, rows.assign(variant=variant))
    after = gather(day, copied_run.warehouse, copied_run.settings).candles_daily
    is_changed = (before["instrument_key"] == chosen) & (before["trading_day"] == key)
    assert is_changed.sum() == 1
    assert (after["high"] / before["high"]).tolist() == [2.0 if it else 1.0 for it in is_changed]


def test_a_corrected_bar_of_the_look_back_makes_it_anew(copied_run: SmallRun) -> None:
    first, last = copied_run.days
    stored = StoredTable("v1", tables.CANDLES_DAILY)
    rows = copied_run.warehouse.read(stored, [first.isoformat()])
    publish(copied_run.warehouse, stored, first.isoformat(), rows.assign(high=rows["high"] * 2))
    assert not made(copied_run, last)[last].cached
    assert made(copied_run, last)[last].cached


def test_a_key_has_the_bars_of_the_key_it_took_the_place_of(copied_run: SmallRun) -> None:
    first, last = copied_run.days
    key, warehouse = first.isoformat(), copied_run.warehouse
    bars = gather(last, warehouse, copied_run.settings).candles_daily
    new, old = bars["instrument_key"].unique()[:2]
    stored = StoredTable("v1", tables.CANDLES_DAILY)
    rows = warehouse.read(stored, [key])
    publish(warehouse, stored, key, rows[rows["instrument_key"] != new])
    aliases = tables.INSTRUMENT_ALIASES.conform(
        pd.DataFrame(
            [{"old_instrument_key": old, "instrument_key": new, "from_date": pd.Timestamp(last)}]
        ).assign(source="test")
    )
    publish(warehouse, StoredTable("raw", tables.INSTRUMENT_ALIASES), WHOLE, aliases)
    after = gather(last, warehouse, copied_run.settings).candles_daily

    def closes(rows: pd.DataFrame, instrument_key: str) -> list[float]:
        chosen = (rows["instrument_key"] == instrument_key) & (rows["trading_day"] == key)
        return rows.loc[chosen, "close"].tolist()

    assert len(closes(bars, old)) == 1
    assert closes(after, new) == closes(bars, old) != closes(bars, new)


def test_bars_are_of_the_series_of_the_verdict_and_of_no_later_day(small_run: SmallRun) -> None:
    day = small_run.days[0]
    settings = replace(small_run.settings, report=ReportSettings(chart_sessions=5))
    stored = gather(day, small_run.warehouse, settings)
    series = stored.filter_results.set_index("instrument_key")["series"]
    for bars in (stored.candles_daily, stored.indicators_daily):
        assert bars["trading_day"].nunique() == 5
        assert bars["trading_day"].max().date() == day
        assert (bars["series"].to_numpy() == series[bars["instrument_key"]].to_numpy()).all()
    assert set(stored.candles_5min["trading_day"].dt.date) == {day}


def test_under_the_kill_switch_it_shows_v1(copied_run: SmallRun) -> None:
    day = copied_run.days[-1]
    rows = copied_run.warehouse.read(RESULTS, [day.isoformat()])
    publish(copied_run.warehouse, RESULTS, day.isoformat(), rows.assign(variant="v2"))
    killed = replace(copied_run.settings, rollout=RolloutSettings(kill=True))
    stored = gather(day, copied_run.warehouse, killed)
    assert set(stored.filter_results["variant"]) == {"v1"}
    assert set(stored.variants["filter_results"]) == {"v1"}


def test_a_day_that_is_not_served_is_refused(copied_run: SmallRun) -> None:
    day = copied_run.days[0]
    forget(copied_run.warehouse, RESULTS, day)
    with pytest.raises(MissingPartition, match=r"served\.filter_results"):
        made(copied_run, day)


def test_rows_removed_to_save_space_are_missing_in_charts_and_named(copied_run: SmallRun) -> None:
    day, warehouse = copied_run.days[0], copied_run.warehouse
    path = report_path(copied_run.settings, day)
    whole = path.read_bytes()
    limits = replace(copied_run.settings, storage=StorageSettings(intermediate_days=1))
    eviction = evict(warehouse, limits, datetime.now(UTC) + timedelta(days=9), "evicting")
    warehouse.collect_garbage()
    gone = {(each.stored.name, each.partition) for each in eviction.evicted}
    assert ("v1.moves_daily", day.isoformat()) in gone
    assert made(copied_run, day)[day].cached  # nothing that it was made from has changed

    path.unlink()
    assert not made(copied_run, day)[day].cached
    sessions = sorted(
        {key for name, key in gone if name in ("v1.candles_daily", "v1.indicators_daily")}
    )
    shown = [key for key in sessions if key in _sessions_before(day, copied_run)]
    page = path.read_text("utf-8")
    assert (
        "Removed to save disk space, and missing in charts and moves: rows of "
        f"{len({*shown, day.isoformat()})} sessions from {min(shown)} to {day}." in page
    )
    assert path.read_bytes() != whole
    assert not made(copied_run, day)[day].cached  # they may be back by now


def _sessions_before(day, run: SmallRun) -> list[str]:
    every = run.warehouse.partitions(StoredTable("v1", tables.CANDLES_DAILY))
    up_to = [key for key in every if key <= day.isoformat()]
    return up_to[-run.settings.report.chart_sessions :]


def test_what_was_never_compared_is_not_called_equal(copied_run: SmallRun) -> None:
    day = copied_run.days[0]
    forget(copied_run.warehouse, StoredTable("reconciliation", tables.RECONCILIATION_SUMMARY), day)
    made(copied_run, day)
    page = report_path(copied_run.settings, day).read_text("utf-8")
    assert "V1 and V2 were not compared on this day" in page
    assert "pass</b>" not in page


def neighbours(run: SmallRun, day: date) -> list[str]:
    page = report_path(run.settings, day).read_text("utf-8")
    links = page[page.index('id="neighbours"') :]
    return re.findall(r'rel="(\w+)" href="([^"]+)"', links[: links.index("</nav>")])


def test_reports_lead_to_those_before_and_after(copied_run: SmallRun) -> None:
    first, last = copied_run.days
    assert neighbours(copied_run, first) == [("next", f"{last}.html")]
    assert neighbours(copied_run, last) == [("prev", f"{first}.html")]


def test_a_report_that_comes_later_is_linked_from_the_one_before(copied_run: SmallRun) -> None:
    first, last = copied_run.days
    forget(copied_run.warehouse, REPORT, last)
    report_path(copied_run.settings, last).unlink()
    forget(copied_run.warehouse, REPORT, first)
    report_path(copied_run.settings, first).unlink()
    made(copied_run, first)
    assert neighbours(copied_run, first) == []
    pointer = copied_run.warehouse.pointer(REPORT, first.isoformat())
    assert list(made(copied_run, last)) == [last]
    assert neighbours(copied_run, first) == [("next", f"{last}.html")]
    linked = copied_run.warehouse.pointer(REPORT, first.isoformat())
    assert linked.content_hash == pointer.content_hash
    assert is_as_written(first, linked, copied_run.settings)
    assert made(copied_run, first)[first].cached


def test_the_lists_before_are_part_of_a_report(copied_run: SmallRun) -> None:
    first, last = copied_run.days
    page = report_path(copied_run.settings, last).read_text("utf-8")
    assert f"dropped since {first}" in page
    rows = copied_run.warehouse.read(RESULTS, [first.isoformat()])
    rows.loc[rows["verdict"] == "rejected", "verdict"] = "bullish"
    publish(copied_run.warehouse, RESULTS, first.isoformat(), rows)
    assert not made(copied_run, last)[last].cached
    assert report_path(copied_run.settings, last).read_text("utf-8") != page


def test_an_earlier_day_that_is_damaged_does_not_keep_a_report_from_being_made(
    copied_run: SmallRun,
) -> None:
    first, last = copied_run.days
    # Of a range all days lie in one file; a day that was served again has its own.
    rows = copied_run.warehouse.read(RESULTS, [first.isoformat()])
    publish(copied_run.warehouse, RESULTS, first.isoformat(), rows.assign(variant="v2"))
    made(copied_run, first)
    (path,) = copied_run.warehouse.files(RESULTS, [first.isoformat()])
    assert path not in copied_run.warehouse.files(RESULTS, [last.isoformat()])
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-1] + b"x")
    made(copied_run, last)
    page = report_path(copied_run.settings, last).read_text("utf-8")
    assert "No earlier session is stored" in page
