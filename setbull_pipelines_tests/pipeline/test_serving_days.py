"""All served tables of a day are published together, or none of them."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from datetime import date

import pytest

from setbull_pipelines import tables
from setbull_pipelines.pipeline import serving_days
from setbull_pipelines.pipeline.serving import TABLES, Serving, assignment_of, served_table
from setbull_pipelines.pipeline.serving_days import serve
from setbull_pipelines.rollout.stages import Stage
from setbull_pipelines.settings import RolloutSettings
from setbull_pipelines.tables import Table
from setbull_pipelines.warehouse.errors import MissingPartition
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.pipeline.small_run import SmallRun, forget

pytestmark = pytest.mark.run


def asked(run: SmallRun) -> dict[Table, Serving]:
    """Every served table, from V1 to all."""
    return {
        table: Serving(assignment_of(table, Stage.OFF, run.warehouse, RolloutSettings()), run.days)
        for table in TABLES
    }


def served_nowhere(run: SmallRun, days: Iterable[date]) -> Warehouse:
    for day in days:
        for table in TABLES:
            forget(run.warehouse, served_table(table), day)
    return run.warehouse


def served_on(warehouse: Warehouse, day: date) -> set[str]:
    return {
        table.name
        for table in TABLES
        if day.isoformat() in warehouse.partitions(served_table(table))
    }


def test_all_tables_of_a_day_are_seen_at_once(copied_run: SmallRun) -> None:
    day = copied_run.days[-1]
    warehouse = served_nowhere(copied_run, [day])
    before, failed = warehouse.commits.number(), {}
    results = list(serve(asked(copied_run), [day], warehouse, "test", failed))
    assert failed == {}
    assert [result.day for result in results] == [day] * len(TABLES)
    assert {name for result in results for name in result.pointers} == {
        served_table(table).table.name for table in TABLES
    }
    assert served_on(warehouse, day) == {table.name for table in TABLES}
    assert warehouse.commits.number() == before + 1


def test_a_range_is_published_day_by_day_with_all_its_tables(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_days, "MOST_PARTITIONS", 1)
    warehouse = served_nowhere(copied_run, copied_run.days)
    before = warehouse.commits.number()
    results = serve(asked(copied_run), copied_run.days, warehouse, "test", {})
    for _ in TABLES:
        next(results)
    first, second = copied_run.days
    assert (len(served_on(warehouse, first)), len(served_on(warehouse, second))) == (len(TABLES), 0)
    assert {result.day for result in results} == {second}
    assert warehouse.commits.number() == before + 2


def test_what_cannot_be_written_is_served_in_no_table(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = copied_run.days[-1]
    warehouse = served_nowhere(copied_run, [day])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Warehouse, "_publish", full)
    failed: dict[Table, Exception] = {}
    assert list(serve(asked(copied_run), [day], warehouse, "test", failed)) == []
    assert set(failed) == set(TABLES)
    assert {type(error) for error in failed.values()} == {OSError}
    assert served_on(warehouse, day) == set()


def test_a_table_that_cannot_be_served_stops_no_other(copied_run: SmallRun) -> None:
    day, lost = copied_run.days[-1], tables.INDICATORS_DAILY
    warehouse = served_nowhere(copied_run, [day])
    forget(warehouse, StoredTable("v1", lost), day)
    failed: dict[Table, Exception] = {}
    results = list(serve(asked(copied_run), [day], warehouse, "test", failed))
    assert len(results) == len(TABLES) - 1
    assert list(failed) == [lost]
    with pytest.raises(MissingPartition, match=r"needs v1\.indicators_daily, which was never"):
        raise failed[lost]
    assert served_on(warehouse, day) == {table.name for table in TABLES if table is not lost}
