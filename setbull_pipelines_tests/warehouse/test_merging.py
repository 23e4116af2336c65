"""Small files of days gone by are put together: the same rows and pointers, fewer files, no reader disturbed."""

from __future__ import annotations

import dataclasses

import duckdb
import pytest
from pandas.testing import assert_frame_equal

from setbull_pipelines.warehouse import merging, publishing
from setbull_pipelines.warehouse.catalog import rebuild_catalog
from setbull_pipelines.warehouse.instrument_hashes import of_mapping
from setbull_pipelines.warehouse.pointers import Pointer
from setbull_pipelines.warehouse.queries import connect
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.warehouse.conftest import PROVENANCE, V1_BARS, bars, publish

DAYS = [f"2024-01-{number:02}" for number in range(1, 21)]


def publish_each(warehouse: Warehouse, days: list[str], price: float = 100.0) -> None:
    for day in days:
        warehouse.publish_many(
            V1_BARS,
            {day: bars(day, price=price)},
            inputs={day: {"a": day}},
            instrument_inputs={day: of_mapping({"A": 3, "B": 4})},
            **PROVENANCE,
        )


def said(pointer: Pointer) -> dict:
    """All but the place of the rows."""
    values = dataclasses.asdict(pointer)
    for name in ("file", "first_row", "hashes_file", "hashes_first_row"):
        del values[name]
    return values


def test_days_of_a_month_come_into_one_file_and_nothing_else_changes(warehouse: Warehouse) -> None:
    publish_each(warehouse, DAYS)
    before, rows = warehouse.pointers(V1_BARS), warehouse.read(V1_BARS)
    assert warehouse.merge("2024-01-15") == 2, "of rows, and of hashes"
    assert len(warehouse.files(V1_BARS)) == 1 + 6
    after = warehouse.pointers(V1_BARS)
    assert {day: said(each) for day, each in after.items()} == {
        day: said(each) for day, each in before.items()
    }
    for found in (warehouse, Warehouse(warehouse.root)):
        assert_frame_equal(found.read(V1_BARS), rows)
        assert found.verify(V1_BARS, DAYS[0])
        assert found.instrument_inputs(V1_BARS, DAYS[3]).to_pydict()["hash"] == [3, 4]
        with connect(found, [V1_BARS]) as connection:
            assert connection.execute("SELECT count(*) FROM v1.bars").fetchone() == (80,)
    assert warehouse.collect_garbage() == 14 + 20
    assert_frame_equal(Warehouse(warehouse.root).read(V1_BARS), rows)
    assert warehouse.merge("2024-01-15") == 0


def test_few_files_and_days_to_come_are_left_alone(warehouse: Warehouse) -> None:
    publish_each(warehouse, DAYS[:4])
    publish_each(warehouse, ["2024-02-01", "2024-02-02", "2024-03-01", "2024-03-02"])
    assert warehouse.merge("2025-01-01") == 0
    publish_each(warehouse, DAYS[4:8])
    assert warehouse.merge("2024-01-04") == 0


def test_readers_of_sql_keep_their_files_until_they_connect_anew(warehouse, tmp_path) -> None:
    publish_each(warehouse, DAYS)
    path = rebuild_catalog(warehouse, tmp_path / "catalog.duckdb", [V1_BARS], {})
    warehouse.grace = merging_grace = type(warehouse.grace)(hours=1)
    question = "SELECT count(*), min(open) FROM v1.bars"
    with duckdb.connect(str(path), read_only=True) as reader:
        warehouse.merge("2025-01-01")
        rebuild_catalog(warehouse, path, [V1_BARS], {})
        assert warehouse.collect_garbage() == 0, f"younger than {merging_grace}"
        assert reader.execute(question).fetchone() == (80, 100.0)
    with duckdb.connect(str(path), read_only=True) as reader:
        assert reader.execute(question).fetchone() == (80, 100.0)


def test_two_versions_of_a_day_never_come_into_one_file(warehouse: Warehouse) -> None:
    publish_each(warehouse, DAYS)
    publish_each(warehouse, DAYS[:3], price=5.0)
    earlier = warehouse.history(V1_BARS, DAYS[0])[1]
    warehouse.merge("2025-01-01")
    with connect(warehouse, [V1_BARS]) as connection:
        assert connection.execute("SELECT count(*) FROM v1.bars").fetchone() == (80,)
    warehouse.restore(V1_BARS, DAYS[0], earlier.content_hash)
    assert_frame_equal(warehouse.read(V1_BARS, [DAYS[0]]), bars(DAYS[0]))
    with connect(warehouse, [V1_BARS]) as connection:
        found = connection.execute(
            f"SELECT min(open), count(*) FROM v1.bars WHERE trading_day = '{DAYS[0]}'"
        )
        assert found.fetchone() == (100.0, 4)


def test_a_file_that_is_needed_for_few_of_its_rows_is_written_anew(warehouse: Warehouse) -> None:
    warehouse.keep_versions = 1
    frames = {day: bars(day) for day in DAYS}
    warehouse.publish_many(V1_BARS, frames, inputs={day: {} for day in DAYS}, **PROVENANCE)
    (large,) = warehouse.files(V1_BARS)
    for day in DAYS[:10]:
        warehouse.evict(V1_BARS, day)
    assert warehouse.merge("2025-01-01") == 1
    warehouse.collect_garbage()
    assert not large.exists()
    assert_frame_equal(warehouse.read(V1_BARS, DAYS[10:]), bars_of(DAYS[10:]))


def bars_of(days: list[str]):
    import pandas as pd

    return pd.concat([bars(day) for day in days], ignore_index=True)


def test_a_damaged_file_is_not_put_together_with_others(warehouse: Warehouse) -> None:
    publish_each(warehouse, DAYS)
    path = warehouse.files(V1_BARS, [DAYS[5]])[0]
    path.write_bytes(b"damaged")
    found = Warehouse(warehouse.root)
    found.merge("2025-01-01")
    assert not found.verify(V1_BARS, DAYS[5])
    assert_frame_equal(found.read(V1_BARS, DAYS[6:]), bars_of(DAYS[6:]))


def test_a_day_that_is_published_meanwhile_stays_as_it_was_published(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_each(warehouse, DAYS)
    other = Warehouse(warehouse.root)
    real = merging._moved_rows

    def slow(*arguments):
        found = real(*arguments)
        publish(other, bars(DAYS[3], price=9.0), DAYS[3])
        return found

    monkeypatch.setattr(merging, "_moved_rows", slow)
    warehouse.merge("2025-01-01")
    assert_frame_equal(warehouse.read(V1_BARS, [DAYS[3]]), bars(DAYS[3], price=9.0))
    assert len(warehouse.files(V1_BARS)) == 20


def test_files_are_cut_at_the_bounds_of_days(warehouse: Warehouse, monkeypatch) -> None:
    publish_each(warehouse, DAYS)
    size = warehouse.files(V1_BARS)[0].stat().st_size
    monkeypatch.setattr(merging, "MOST_BYTES", size * 7)
    warehouse.merge("2025-01-01")
    assert 3 <= len(warehouse.files(V1_BARS)) <= 4
    assert_frame_equal(Warehouse(warehouse.root).read(V1_BARS), bars_of(DAYS))
    assert publishing.MOST_BYTES == 64 * 2**20
