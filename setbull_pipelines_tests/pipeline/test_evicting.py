"""Disk limits: what goes, in which order, what stays, and where that is told."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines import tables
from setbull_pipelines.assets.common import needs_warehouse
from setbull_pipelines.assets.maintenance import build_maintenance_asset
from setbull_pipelines.pipeline.evicting import INTERMEDIATE, Stored, evict, least_recently_used
from setbull_pipelines.pipeline.metrics import METRICS, collect
from setbull_pipelines.pipeline.opening import catalog_path
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.settings import Settings, StorageSettings
from setbull_pipelines.warehouse import looking
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.pipeline.carrying_out import STEP, carry_out
from setbull_pipelines_tests.pipeline.evictions import LATER, delete, evict_all, with_limits
from setbull_pipelines_tests.pipeline.raw_corrections import (
    DAILY,
    KEY,
    bring_up_to_date,
    change,
    dearer,
)
from setbull_pipelines_tests.pipeline.small_run import SmallRun

MEBIBYTE = 2**20
SOMETIME = datetime(2026, 11, 1, 12, tzinfo=UTC)
BARS = StoredTable("v1", tables.CANDLES_5MIN)
SHARES = 0.35
"""What a partition takes of a file with others is told by its rows, and a file stays while most of it is needed."""


def bytes_on_disk(warehouse: Warehouse) -> int:
    return sum(
        path.stat().st_size
        for stored in INTERMEDIATE
        for path in warehouse.root.joinpath(*stored.key).rglob("*.parquet")
    )


def used(partition: str, hours_ago: int, size: int) -> Stored:
    return Stored(BARS, partition, size, SOMETIME - timedelta(hours=hours_ago))


# The order


@given(
    items=st.lists(st.tuples(st.integers(0, 100), st.integers(1, 50)), max_size=40),
    bytes_over=st.integers(0, 1000),
    expires=st.none() | st.integers(0, 100),
)
def test_the_longest_unused_go_first_and_no_more_than_needed(
    items: list[tuple[int, int]], bytes_over: int, expires: int | None
) -> None:
    free = [used(f"2026-{number:04d}", hours, size) for number, (hours, size) in enumerate(items)]
    since = None if expires is None else SOMETIME - timedelta(hours=expires)
    chosen = least_recently_used(free, bytes_over, since)
    stays = [each for each in free if each not in chosen]
    assert len(chosen) + len(stays) == len(free)
    assert not any(since and each.last_used < since for each in stays)
    newest_gone = max((each.last_used for each in chosen), default=None)
    assert all(newest_gone is None or each.last_used >= newest_gone for each in stays)
    freed = sum(each.size_bytes for each in chosen)
    assert freed >= min(bytes_over, sum(each.size_bytes for each in free))
    by_size = [each for each in chosen if since is None or each.last_used >= since]
    if by_size:  # without the last one it would not have been enough
        assert freed - by_size[-1].size_bytes < bytes_over


def test_of_those_used_together_the_earlier_session_goes_first() -> None:
    free = [used("2026-06-30", 5, 10), used("2026-06-29", 5, 10)]
    assert [each.partition for each in least_recently_used(free, 5, None)] == ["2026-06-29"]


# What goes and what stays


def test_without_limits_nothing_is_removed(copied_run: SmallRun) -> None:
    assert evict(copied_run.warehouse, copied_run.settings, LATER, "evicting") is None


def test_look_backs_and_tables_of_readers_stay(copied_run: SmallRun) -> None:
    warehouse, (earlier, newest) = copied_run.warehouse, copied_run.days
    others = {
        path: path.read_bytes()
        for schema in ("raw", "served", "reconciliation")
        for path in (warehouse.root / schema).rglob("*.parquet")
    }
    eviction = evict_all(copied_run)
    gone = {(each.stored.name, each.partition) for each in eviction.evicted}
    # 74 daily sessions, of which the newest and 60 before it stay; 3 of minutes, of which all.
    days = sorted({key for name, key in gone if name == "v1.candles_daily"})
    assert len(days) == 74 - 61
    assert days == warehouse.partitions(DAILY)[:13]
    assert not any(name == "v2.candles_5min" for name, _ in gone)
    assert ("v1.indicators_5min", earlier.isoformat()) in gone
    assert ("v2.filter_results", earlier.isoformat()) in gone
    assert not any(key == newest.isoformat() for _, key in gone)
    assert {path: path.read_bytes() for path in others} == others
    assert eviction.bytes_left == eviction.bytes_that_stay
    assert bytes_on_disk(warehouse) == pytest.approx(eviction.bytes_left, rel=SHARES)


def test_the_size_limit_removes_until_it_is_kept(copied_run: SmallRun) -> None:
    warehouse = copied_run.warehouse
    before = bytes_on_disk(warehouse)
    large = with_limits(copied_run.settings, mebibytes=before // MEBIBYTE + 1)
    eviction = evict(warehouse, large, LATER, "evicting")
    assert eviction.evicted == ()
    assert eviction.bytes_left == pytest.approx(before, rel=0.001)
    small = with_limits(copied_run.settings, mebibytes=1)
    eviction = evict(warehouse, small, LATER, "evicting")
    delete(warehouse)
    assert eviction.evicted
    assert bytes_on_disk(warehouse) == pytest.approx(eviction.bytes_left, rel=SHARES)
    assert bytes_on_disk(warehouse) < before
    smaller = eviction.bytes_left + eviction.evicted[-1].size_bytes
    assert smaller > MEBIBYTE  # no more than needed


def test_use_decides_what_goes(copied_run: SmallRun) -> None:
    warehouse, day = copied_run.warehouse, copied_run.days[0].isoformat()
    for stored in INTERMEDIATE:
        for partition in warehouse.partitions(stored):
            (path,) = warehouse.files(stored, [partition])
            content = path.read_bytes()
            path.unlink()  # a link to the file of the run that other tests read
            path.write_bytes(content)
            os.utime(path, (0, SOMETIME.timestamp()))
    read = StoredTable("v2", tables.MOVES_DAILY)
    looked_up = StoredTable("v2", tables.SEQUENCES)
    copied_run.warehouse.read(read, [day])
    assert carry_out(STEP["sequences"], "v2", copied_run, [copied_run.days[0]])[0].cached
    moment = datetime.now(UTC)
    eviction = evict(warehouse, with_limits(copied_run.settings, days=1), moment, "evicting")
    kept = {
        (stored, key)
        for stored in INTERMEDIATE
        for key in warehouse.partitions(stored)
        if key == day and warehouse.usage(stored, key)
    }
    assert {(read, day), (looked_up, day)} <= kept
    assert (StoredTable("v1", tables.MOVES_DAILY), day) not in kept
    assert all(each.last_used == SOMETIME for each in eviction.evicted)


def test_what_is_still_to_be_compared_or_served_stays_for_a_day(copied_run: SmallRun) -> None:
    day = copied_run.days[0]
    change(copied_run, DAILY, day, dearer(KEY))
    bring_up_to_date(copied_run, "v2")  # neither compared nor served since
    tiny = replace(with_limits(copied_run.settings), storage=StorageSettings(3, 1, 0))
    gone = {each.stored.name for each in _evicted_of(copied_run, tiny, datetime.now(UTC), day)}
    assert "v2.moves_daily" not in gone
    assert "v2.candles_5min" not in gone
    soon = datetime.now(UTC) + timedelta(days=2)
    assert "v2.moves_daily" in {
        each.stored.name
        for each in _evicted_of(copied_run, with_limits(copied_run.settings, days=1), soon, day)
    }


def _evicted_of(run: SmallRun, settings: Settings, now: datetime, day: date) -> list[Stored]:
    eviction = evict(run.warehouse, settings, now, "evicting")
    return [each for each in eviction.evicted if each.partition == day.isoformat()]


def test_the_metrics_tell_what_was_removed_and_why_it_was_computed_again(
    copied_run: SmallRun,
) -> None:
    day, warehouse = copied_run.days[0], copied_run.warehouse

    def rows():
        return warehouse.read(METRICS, [day.isoformat()]).set_index("asset")

    assert not rows()["is_evicted"].any()
    assert set(rows()["published_because"]) == {"new"}
    gone = {e.stored.name for e in evict_all(copied_run).evicted if e.partition == str(day)}
    assert gone
    assert set(rows().index[rows()["is_evicted"]]) == gone
    carry_out(STEP["indicators_5min"], "v1", copied_run, [day])
    list(collect([day], warehouse, "test"))
    found = rows().loc["v1.indicators_5min"]
    assert (found["published_because"], found["is_evicted"]) == ("evicted", False)
    assert found["files_validated"] == found["cache_misses"] + found["cache_first_reads"] > 0
    assert rows().loc["v2.indicators_5min", "is_evicted"]
    assert not rows()["is_evicted"][[served_table(t).name for t in (tables.CANDLES_5MIN,)]].any()


def test_maintenance_keeps_the_limit_and_says_what_went(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "GRACE", timedelta(0))
    settings = with_limits(copied_run.settings, mebibytes=1)
    before = bytes_on_disk(copied_run.warehouse)
    done = dg.materialize([build_maintenance_asset(settings)], resources=needs_warehouse(settings))
    (made,) = done.asset_materializations_for_node("operations__maintenance")
    told = {name: entry.value for name, entry in made.metadata.items()}
    assert told["partitions evicted"] > 0
    left = bytes_on_disk(copied_run.warehouse)
    assert told["bytes of V1 and V2 left"] == pytest.approx(left, rel=SHARES)
    assert told["bytes evicted"] == pytest.approx(before - left, rel=SHARES)
    assert told["disk space"].startswith(f"disk: {told['partitions evicted']} partitions of V1 and")
    assert "| v1.indicators_5min | 1 |" in told["evicted by table"]
    catalog = duckdb.connect(str(catalog_path(settings)), read_only=True)
    try:
        rows = catalog.execute("SELECT DISTINCT trading_day FROM v1.indicators_5min").fetchall()
    finally:
        catalog.close()
    stored = StoredTable("v1", tables.INDICATORS_5MIN)
    gone = copied_run.warehouse.evicted(stored)
    shown = set(copied_run.warehouse.partitions(stored)).difference(gone)
    assert gone
    assert {str(day) for (day,) in rows} == shown
