"""What a warehouse refuses, and writes nothing of: frames, columns, days, names and places that break the contract."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from setbull_pipelines.settings import InvalidSettings, Settings, StorageSettings
from setbull_pipelines.tables.checks import at_most
from setbull_pipelines.tables.contract import Column, Kind, Table
from setbull_pipelines.warehouse.errors import ContractViolation
from setbull_pipelines.warehouse.pointers import UNASSIGNED, WHOLE, StoredTable
from setbull_pipelines.warehouse.validation import batch_of_frames
from setbull_pipelines_tests.warehouse.conftest import (
    BARS,
    DAY,
    NEXT_DAY,
    PROVENANCE,
    V1_BARS,
    bars,
    files_below,
    publish,
)


def test_a_repeated_key_is_refused_in_whatever_order_it_comes(warehouse):
    frame = bars()
    in_order = pd.concat([frame.iloc[:1], frame], ignore_index=True)
    for repeated in (in_order, in_order.iloc[::-1].reset_index(drop=True)):
        with pytest.raises(ContractViolation, match="expected one row per key"):
            publish(warehouse, repeated)


@pytest.mark.parametrize("columns", [["open", "nonsense"], ["open", "open"]])
def test_unknown_and_repeated_columns_are_refused(warehouse, columns):
    publish(warehouse, bars())
    with pytest.raises(KeyError, match=r"v1\.bars: cannot read columns"):
        warehouse.read(V1_BARS, columns=columns)


# The contract


def test_a_value_may_be_its_upper_limit_and_no_more():
    columns = [
        dataclasses.replace(column, checks=(at_most(101),)) if column.name == "open" else column
        for column in BARS.columns
    ]
    limited = dataclasses.replace(BARS, columns=tuple(columns))
    assert bars()["open"].max() == 101
    assert batch_of_frames(limited, "v1.bars", {DAY: bars()}).bounds[-1] == 4
    with pytest.raises(
        ContractViolation, match=r"column open: expected less_than_or_equal_to\(101\)"
    ):
        batch_of_frames(limited, "v1.bars", {DAY: bars(price=101)})


def broken_frames() -> dict[str, tuple[pd.DataFrame, str]]:
    good = bars()
    late = good["trading_day"] + pd.Timedelta(hours=3)
    return {
        "missing column": (good.drop(columns="close"), r"missing columns \['close'\]"),
        "extra column": (good.assign(extra=1), r"unexpected columns \['extra'\]"),
        "repeated column": (
            pd.concat([good, good[["open"]]], axis=1),
            r"repeated columns \['open'\]",
        ),
        "wrong dtype": (
            good.astype({"volume": "float64"}),
            "column volume is float64, expected int64",
        ),
        "naive time": (
            good.assign(timestamp=good["timestamp"].dt.tz_localize(None)),
            r"column timestamp is datetime64\[us\], expected datetime64\[us, Asia/Kolkata\]",
        ),
        "time of day in a date": (
            good.assign(trading_day=late),
            "column trading_day: expected a date without time of day, found 4 failing",
        ),
        "null in key": (
            good.assign(instrument_key=good["instrument_key"].where(good["instrument_key"] != "B")),
            "column instrument_key: expected no nulls, found 2 failing; first: instrument_key=nan",
        ),
        "null in value": (
            good.assign(close=good["close"].where(good["close"] < 101)),
            "column close: expected no nulls, found 2 failing; first: instrument_key=A, .*=nan",
        ),
        "check": (
            good.assign(open=-good["open"]),
            r"column open: expected greater_than\(0\), found 4 failing; first: instrument_key=A",
        ),
        "row rule": (
            good.assign(volume=[5, -1, 5, 5]),
            "rows: expected volume_not_negative, found 1 failing",
        ),
        "duplicate key": (
            pd.concat([good, good.head(1)]),
            "found 1 repeated; first: 2024-01-02: instrument_key=A",
        ),
    }


@pytest.mark.parametrize("fault", broken_frames())
def test_a_broken_frame_writes_nothing_not_even_its_good_neighbours(warehouse, fault):
    publish(warehouse, bars())
    before = files_below(warehouse)
    frame, message = broken_frames()[fault]
    with pytest.raises(ContractViolation, match=message) as raised:
        warehouse.publish_many(
            V1_BARS,
            {NEXT_DAY: bars(NEXT_DAY), DAY: frame},
            inputs={DAY: {}, NEXT_DAY: {}},
            **PROVENANCE,
        )
    assert str(raised.value).startswith("v1.bars")
    assert files_below(warehouse) == before


def test_a_partition_written_under_another_contract_is_not_read(warehouse):
    publish(warehouse, bars())
    wider = dataclasses.replace(
        BARS, columns=(*BARS.columns, Column("vwap", Kind.FLOAT, "VWAP", nullable=True))
    )
    stored = StoredTable("v1", wider)
    with pytest.raises(ContractViolation, match=r"v1\.bars 2024-01-02: written under another"):
        warehouse.read(stored)
    with pytest.raises(ContractViolation):
        warehouse.restore(stored, DAY, warehouse.pointer(stored, DAY).content_hash)
    provenance = {"code_version": "code-1", "settings_hash": "settings-1", "inputs": {}}
    assert warehouse.is_current(V1_BARS, DAY, **provenance)
    assert not warehouse.is_current(stored, DAY, **provenance)


def test_a_reworded_description_is_still_the_same_contract(warehouse):
    publish(warehouse, bars())
    columns = [dataclasses.replace(column, description="new words") for column in BARS.columns]
    reworded = StoredTable("v1", dataclasses.replace(BARS, columns=tuple(columns)))
    assert_frame_equal(warehouse.read(reworded), bars())


# Names and places


@pytest.mark.parametrize(
    "partition",
    [
        "../../etc",
        "2024-01-02/../x",
        "2024-13-01",
        "20240102",
        "",
        WHOLE,
        UNASSIGNED,
        "2024-01-02 ",
    ],
)
def test_only_real_days_name_a_partition(warehouse, partition):
    with pytest.raises(ValueError, match="is not a trading day"):
        publish(warehouse, bars(), partition)
    assert not warehouse.root.exists()


def test_identifiers_and_schemas_are_checked():
    with pytest.raises(ValueError, match="not an identifier"):
        StoredTable("v1", dataclasses.replace(BARS, name="../bars"))
    with pytest.raises(ValueError, match="not an identifier"):
        StoredTable('v1"; drop', BARS)
    with pytest.raises(ValueError, match="not held in schema 'raw'"):
        StoredTable("raw", BARS)
    assert (V1_BARS.name, V1_BARS.key) == ("v1.bars", ("v1", "bars"))


def test_a_link_out_of_the_root_is_not_followed(warehouse, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    warehouse.root.mkdir()
    (warehouse.root / "v1").symlink_to(outside)
    with pytest.raises(ValueError, match="lies outside the warehouse"):
        publish(warehouse, bars())
    assert not list(outside.rglob("*.parquet"))


def test_unpartitioned_tables_and_quarantine_have_their_own_partitions(warehouse):
    columns = (Column("line", Kind.INTEGER, "Line"),)
    whole = StoredTable("raw", Table("calendar", "c", ("raw",), ("line",), columns, False))
    quarantine = StoredTable("raw", Table("quarantine", "q", ("raw",), ("line",), columns))
    frame = pd.DataFrame({"line": [2, 1]})
    warehouse.publish(whole, WHOLE, frame, inputs={}, **PROVENANCE)
    for partition in (DAY, UNASSIGNED):
        warehouse.publish(quarantine, partition, frame, inputs={}, **PROVENANCE)
    assert warehouse.partitions(whole) == [WHOLE]
    assert warehouse.partitions(quarantine) == [DAY, UNASSIGNED]
    assert len(warehouse.files(quarantine)) == 2, "what is no day lies in a file of its own"
    assert warehouse.read(quarantine)["line"].tolist() == [1, 2, 1, 2]
    with pytest.raises(ValueError, match="its partition is 'all'"):
        warehouse.read(whole, [DAY])


@pytest.mark.parametrize("remote", ["bucket/prefix", "s3://", "s3://a", "http://x/y", "s3://a_b/c"])
def test_only_an_address_of_a_bucket_is_taken(remote):
    with pytest.raises(InvalidSettings, match=r"setting storage\.remote: found .*, expected ''"):
        Settings(storage=StorageSettings(remote=remote))
