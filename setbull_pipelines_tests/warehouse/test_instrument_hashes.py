"""Hashes by instrument: equal for equal rows, different for any changed cell, never trusted when damaged."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.tables.contract import Table
from setbull_pipelines.warehouse.errors import MissingPartition
from setbull_pipelines.warehouse.instrument_hashes import hashes_of_rows, of_mapping
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.warehouse.conftest import BARS, DAY, PROVENANCE, V1_BARS, bars, publish


def found(warehouse: Warehouse, stored: StoredTable = V1_BARS) -> dict[str, int]:
    hashes = warehouse.instrument_hashes(stored, DAY).to_pydict()
    return dict(zip(hashes["instrument_key"], hashes["hash"], strict=True))


CHANGES = {
    "timestamp": pd.Timedelta(minutes=1),
    "trading_day": pd.Timedelta(days=1),
    "open": 0.01,
    "close": np.nextafter(100.5, 101) - 100.5,
    "volume": 1,
}


@pytest.mark.parametrize("column", [name for name in BARS.column_names if name != "instrument_key"])
def test_every_cell_of_an_instrument_counts_and_no_cell_of_another(warehouse, column) -> None:
    publish(warehouse, bars(instruments=("A", "B", "C")))
    before = found(warehouse)
    changed = bars(instruments=("A", "B", "C"))
    row = 2  # the first of B, with nulls in every nullable column
    if column in CHANGES:
        changed.loc[row, column] += CHANGES[column]
    elif column == "reason":
        changed.loc[row, column] = ""
    else:
        # What a null is filled with for hashing must not be mistaken for the null.
        changed.loc[row, column] = False if changed[column].dtype in (bool, "boolean") else 0
    publish(warehouse, changed)
    after = found(warehouse)
    assert set(before) == {"A", "B", "C"}
    assert {key for key in before if before[key] != after[key]} == {"B"}


def test_equal_rows_have_equal_hashes_whatever_else_is_in_the_file(warehouse) -> None:
    publish(warehouse, bars(instruments=("A", "B")))
    together = found(warehouse)
    publish(warehouse, bars(instruments=("B",)))
    assert found(warehouse) == {"B": together["B"]}
    v2 = StoredTable("v2", BARS)
    warehouse.publish(v2, DAY, bars(), code_version="", settings_hash="", inputs={}, run_id="")
    assert found(warehouse, v2) == together


def test_columns_of_provenance_do_not_count(warehouse) -> None:
    columns = tuple(
        dataclasses.replace(column, is_provenance=column.name == "reason")
        for column in BARS.columns
    )
    stored = StoredTable("v1", dataclasses.replace(BARS, columns=columns))
    told = {**PROVENANCE, "inputs": {}}
    first = warehouse.publish(stored, DAY, bars(), **told)
    before = found(warehouse, stored)
    other = bars().assign(reason=pd.Series("other", index=range(4), dtype="str"))
    second = warehouse.publish(stored, DAY, other, **told)
    assert found(warehouse, stored) == before
    assert first.content_hash != second.content_hash
    assert first.values_hash == second.values_hash


def test_no_rows_have_no_hashes(warehouse) -> None:
    publish(warehouse, BARS.empty())
    assert found(warehouse) == {}


def test_a_table_that_is_not_ordered_by_instrument_is_refused() -> None:
    table = Table("other", "", ("v1",), ("volume",), BARS.columns)
    with pytest.raises(ValueError, match="expected instrument_key first"):
        hashes_of_rows(table, table.arrow_schema.empty_table())


@pytest.mark.parametrize("damage", [b"", b"x" * 40, None])
def test_damaged_hashes_are_worked_out_again(warehouse, damage) -> None:
    pointer = publish(warehouse, bars())
    before = found(warehouse)
    path = warehouse.root / pointer.hashes_file
    path.unlink() if damage is None else path.write_bytes(damage)
    assert found(Warehouse(warehouse.root)) == before


def publish_with_inputs(warehouse: Warehouse, hashes: dict[str, int], price: float = 100.0):
    return warehouse.publish_many(
        V1_BARS,
        {DAY: bars(price=price)},
        code_version="code",
        settings_hash="settings",
        inputs={DAY: {}},
        run_id="run",
        instrument_inputs={DAY: of_mapping(hashes)},
    )[DAY]


def test_what_instruments_were_computed_from_is_kept_with_the_version(warehouse) -> None:
    publish_with_inputs(warehouse, {"B": 2, "A": 2**64 - 1})
    kept = warehouse.instrument_inputs(V1_BARS, DAY)
    assert kept.to_pydict() == {"instrument_key": ["A", "B"], "hash": [2**64 - 1, 2]}
    pointer = warehouse.pointer(V1_BARS, DAY)
    path = warehouse.root / pointer.hashes_file
    path.write_bytes(b"damaged")
    assert Warehouse(warehouse.root).instrument_inputs(V1_BARS, DAY) is None
    path.unlink()
    assert Warehouse(warehouse.root).instrument_inputs(V1_BARS, DAY) is None


def test_a_version_takes_its_hashes_with_it_when_it_is_collected(warehouse) -> None:
    warehouse.keep_versions = 1
    publish_with_inputs(warehouse, {"A": 1})
    found(warehouse)
    publish_with_inputs(warehouse, {"A": 2}, price=200.0)
    found(warehouse)
    assert len(list(warehouse.root.rglob("*.parquet"))) == 4
    assert warehouse.collect_garbage() == 2
    assert len(list(warehouse.root.rglob("*.parquet"))) == 2
    assert warehouse.instrument_inputs(V1_BARS, DAY).to_pydict()["hash"] == [2]


def test_confirming_changes_only_what_the_version_is_said_to_be_computed_from(warehouse) -> None:
    before = publish(warehouse, bars(), inputs={"a": "1"})
    publish(warehouse, bars(price=50.0))
    publish(warehouse, bars(), inputs={"a": "1"})
    before = warehouse.pointer(V1_BARS, DAY)
    after = warehouse.confirm(V1_BARS, DAY, {"a": "2"})
    assert (
        after == dataclasses.replace(before, inputs={"a": "2"}) == warehouse.pointer(V1_BARS, DAY)
    )
    assert len(warehouse.history(V1_BARS, DAY)) == 2


def test_an_invalidated_instrument_makes_its_partition_out_of_date_until_it_is_published(
    warehouse,
) -> None:
    def is_current() -> bool:
        return warehouse.is_current(
            V1_BARS, DAY, code_version="code-1", settings_hash="settings-1", inputs={}
        )

    publish(warehouse, bars())
    assert is_current()
    warehouse.invalidate(V1_BARS, DAY, "B")
    warehouse.invalidate(V1_BARS, DAY, "A")
    assert warehouse.invalidate(V1_BARS, DAY, "B").invalidated == ("A", "B")
    assert not is_current()
    assert warehouse.verify(V1_BARS, DAY)
    publish(warehouse, bars())
    assert is_current()


def test_what_was_never_published_can_be_neither_confirmed_nor_invalidated(warehouse) -> None:
    with pytest.raises(MissingPartition):
        warehouse.confirm(V1_BARS, DAY, {})
    with pytest.raises(MissingPartition):
        warehouse.invalidate(V1_BARS, DAY, "A")


def test_rows_of_some_instruments_are_those_of_all_filtered(warehouse) -> None:
    frame = bars(instruments=("A", "B", "C"))
    publish(warehouse, frame)
    read = warehouse.read(V1_BARS, [DAY], instrument_keys={"C", "A", "UNKNOWN"})
    expected = frame[frame["instrument_key"] != "B"].reset_index(drop=True)
    pd.testing.assert_frame_equal(read, expected)
    assert warehouse.read(V1_BARS, [DAY], instrument_keys=()).empty
