"""Publishing, reading, going back, collecting, and what happens when bytes or writers fail."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from pandas.testing import assert_frame_equal

from setbull_pipelines import disk
from setbull_pipelines.tables.checks import at_most
from setbull_pipelines.tables.contract import Column, Kind, Table
from setbull_pipelines.warehouse import commits, encoding, publishing
from setbull_pipelines.warehouse.cache import ArrowCache, Lookups
from setbull_pipelines.warehouse.errors import (
    ContractViolation,
    DamagedPartition,
    EvictedPartition,
    MissingPartition,
)
from setbull_pipelines.warehouse.files import Files
from setbull_pipelines.warehouse.pointers import UNASSIGNED, WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines.warehouse.validation import batch_of_frames
from setbull_pipelines_tests import stored as faults
from setbull_pipelines_tests.warehouse.conftest import (
    BARS,
    DAY,
    NEXT_DAY,
    PROVENANCE,
    V1_BARS,
    bars,
    publish,
)


def files_below(warehouse: Warehouse) -> dict[str, bytes]:
    return {
        str(path.relative_to(warehouse.root)): path.read_bytes()
        for path in warehouse.root.rglob("*")
        if path.is_file()
    }


# Publishing and reading


def test_what_was_published_comes_back_in_key_order(warehouse):
    shuffled = bars().sample(frac=1, random_state=3)
    pointer = publish(warehouse, shuffled, inputs={"raw.candles_1min/2024-01-02": "abc"}, note="n")
    assert_frame_equal(warehouse.read(V1_BARS), bars())
    assert pointer == warehouse.pointer(V1_BARS, DAY)
    assert (pointer.rows, pointer.run_id, pointer.note) == (4, "run-1", "n")
    assert pointer.inputs == {"raw.candles_1min/2024-01-02": "abc"}
    (path,) = warehouse.files(V1_BARS)
    assert path == warehouse.root / pointer.file
    assert path.parent == warehouse.root / "v1" / "bars"
    assert path.stem == disk.content_hash(path.read_bytes())


def test_the_same_rows_have_the_same_hash_whatever_order_chunks_or_batch_and_are_written_once(
    warehouse, tmp_path
):
    alone = publish(warehouse, bars())
    chunked = pd.concat([bars(instruments=("B",)), bars(instruments=("A",))])
    again = publish(warehouse, chunked, run_id="run-2")
    batch = Warehouse(tmp_path / "other").publish_many(
        V1_BARS,
        {NEXT_DAY: bars(NEXT_DAY, ("Z", "Y")), DAY: bars()},
        inputs={DAY: {}, NEXT_DAY: {}},
        **PROVENANCE,
    )
    assert alone.content_hash == again.content_hash == batch[DAY].content_hash
    assert again.run_id == "run-2"
    assert again.file == alone.file
    assert len(list(warehouse.files(V1_BARS)[0].parent.glob("*.parquet"))) == 1
    assert len(warehouse.history(V1_BARS, DAY)) == 1


def test_files_carry_the_contract_and_nothing_of_pandas_or_the_clock(warehouse):
    publish(warehouse, bars())
    schema = pyarrow.parquet.read_schema(warehouse.files(V1_BARS)[0])
    assert schema.equals(BARS.arrow_schema)
    assert schema.field("open").metadata[b"unit"] == b"rupees"
    metadata = pyarrow.parquet.read_metadata(warehouse.files(V1_BARS)[0]).metadata
    assert metadata.keys() == {b"ARROW:schema", b"setbull_pipelines"}


def test_values_follow_their_names_when_columns_are_swapped(warehouse):
    swapped = bars()[list(reversed(BARS.column_names))]
    publish(warehouse, swapped)
    assert_frame_equal(warehouse.read(V1_BARS), bars())


def test_several_partitions_keep_their_own_rows_and_shared_keys(warehouse):
    # The same instrument and moment may stand in two partitions, such as two look-back windows.
    frames = {NEXT_DAY: bars(price=50.0), DAY: bars(price=70.0), "2024-01-04": BARS.empty()}
    pointers = warehouse.publish_many(
        V1_BARS,
        frames,
        inputs={day: {"input": day} for day in frames},
        notes={"2024-01-04": "holiday"},
        **PROVENANCE,
    )
    assert list(pointers) == list(frames)
    assert warehouse.partitions(V1_BARS) == [DAY, NEXT_DAY, "2024-01-04"]
    assert pointers[NEXT_DAY].inputs == {"input": NEXT_DAY}
    assert_frame_equal(warehouse.read(V1_BARS, [DAY]), bars(price=70.0))
    assert_frame_equal(warehouse.read(V1_BARS, [NEXT_DAY]), bars(price=50.0))
    both = warehouse.read(V1_BARS, [NEXT_DAY, DAY], ["open", "instrument_key"])
    assert list(both.columns) == ["open", "instrument_key"]
    assert both["open"].tolist() == [70.0, 71.0] * 2 + [50.0, 51.0] * 2


def test_an_empty_day_is_published_with_its_reason_and_read_with_all_types(warehouse):
    pointer = publish(warehouse, BARS.empty(), note="exchange holiday")
    assert (pointer.rows, pointer.note) == (0, "exchange holiday")
    assert_frame_equal(warehouse.read(V1_BARS), BARS.empty())


def test_reading_no_partition_gives_typed_columns(warehouse):
    assert_frame_equal(warehouse.read(V1_BARS), BARS.empty())
    assert_frame_equal(warehouse.read(V1_BARS, [], ["close"]), BARS.empty()[["close"]])


def test_frames_read_from_the_cache_can_be_changed_without_changing_it(warehouse):
    publish(warehouse, bars())
    frame = warehouse.read(V1_BARS)
    for name in ("open", "volume"):
        frame[name].to_numpy()
        frame.loc[:, name] = 1
    frame.loc[0, "instrument_key"] = "changed"
    assert_frame_equal(warehouse.read(V1_BARS), bars())


def test_arrow_text_is_plain(warehouse):
    publish(warehouse, bars())
    table = warehouse.read_arrow(V1_BARS, columns=["instrument_key", "open"])
    assert [str(kind) for kind in table.schema.types] == ["string", "double"]
    assert table.column("instrument_key").to_pylist() == ["A", "A", "B", "B"]


def test_distinct_texts_come_once_in_the_order_of_their_first_rows(warehouse):
    frame = bars(instruments=("A", "B", "C"))
    publish(warehouse, frame)
    found = warehouse.distinct(V1_BARS, DAY, ["instrument_key"])
    assert found["instrument_key"].tolist() == ["A", "B", "C"]
    assert str(found["instrument_key"].dtype) == BARS.column("instrument_key").kind.pandas_dtype
    assert len(warehouse.distinct(V1_BARS, DAY, ["instrument_key"])) == 3
    publish(warehouse, BARS.empty())
    assert warehouse.distinct(V1_BARS, DAY, ["instrument_key"]).empty


def test_a_repeated_key_is_refused_in_whatever_order_it_comes(warehouse):
    frame = bars()
    in_order = pd.concat([frame.iloc[:1], frame], ignore_index=True)
    for repeated in (in_order, in_order.iloc[::-1].reset_index(drop=True)):
        with pytest.raises(ContractViolation, match="expected one row per key"):
            publish(warehouse, repeated)


def test_missing_partitions_are_named(warehouse):
    publish(warehouse, bars())
    with pytest.raises(MissingPartition, match=r"v1\.bars has no partition 2024-01-03; compute"):
        warehouse.read(V1_BARS, [DAY, NEXT_DAY])
    assert warehouse.pointer(V1_BARS, NEXT_DAY) is None


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


def test_who_may_only_read_sees_what_the_last_writer_left(warehouse, monkeypatch):
    publish(warehouse, bars(price=1.0))
    warehouse.commits.close()
    beside = sorted(warehouse.root.iterdir())
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    reader = Warehouse(warehouse.root)
    assert_frame_equal(reader.read(V1_BARS), bars(price=1.0))
    assert sorted(warehouse.root.iterdir()) == beside, "no file was made"
    monkeypatch.undo()
    publish(warehouse, bars(price=2.0))
    warehouse.commits.close()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert_frame_equal(reader.read(V1_BARS), bars(price=2.0))


def test_a_snapshot_shows_all_tables_as_they_were_when_it_was_taken(warehouse):
    v2 = StoredTable("v2", BARS)

    def publish_both(price: float, day: str = DAY) -> None:
        with warehouse.commit() as commit:
            for stored in (V1_BARS, v2):
                rows = warehouse.check(stored, {day: bars(day, price=price)})
                commit.add(stored, rows, inputs={day: {}}, **PROVENANCE)

    with warehouse.snapshot() as nothing:
        publish_both(1.0)
        assert nothing.partitions(V1_BARS) == []
    with warehouse.snapshot() as reader:
        assert_frame_equal(reader.read(V1_BARS), bars(price=1.0))
        publish_both(2.0)
        publish_both(3.0, NEXT_DAY)
        assert_frame_equal(reader.read(v2), bars(price=1.0))
        assert reader.history(v2, DAY) == [reader.pointer(v2, DAY)]
        assert_frame_equal(warehouse.read(v2, [DAY]), bars(price=2.0))
    assert_frame_equal(warehouse.read(V1_BARS, [DAY]), bars(price=2.0))


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


# Cache hits, versions, garbage


def test_a_hit_needs_the_same_code_settings_and_inputs(warehouse):
    same = {"code_version": "c", "settings_hash": "s", "inputs": {"a": "1"}}
    assert not warehouse.is_current(V1_BARS, DAY, **same)
    publish(warehouse, bars(), **same)
    assert warehouse.is_current(V1_BARS, DAY, **same)
    for change in ({"code_version": "d"}, {"settings_hash": "t"}, {"inputs": {"a": "2"}}):
        assert not warehouse.is_current(V1_BARS, DAY, **{**same, **change})


def test_going_back_moves_the_pointer_only(warehouse):
    first = publish(warehouse, bars(price=1.0))
    second = publish(warehouse, bars(price=2.0))
    assert warehouse.history(V1_BARS, DAY) == [second, first]
    data_files = {name for name in files_below(warehouse) if name.endswith(".parquet")}
    assert warehouse.restore(V1_BARS, DAY, first.content_hash) == first
    assert_frame_equal(warehouse.read(V1_BARS), bars(price=1.0))
    assert warehouse.history(V1_BARS, DAY) == [first, second]
    assert {name for name in files_below(warehouse) if name.endswith(".parquet")} == data_files
    with pytest.raises(MissingPartition, match="keeps no version 'unheard-of'"):
        warehouse.restore(V1_BARS, DAY, "unheard-of")
    with pytest.raises(MissingPartition):
        warehouse.restore(V1_BARS, NEXT_DAY, first.content_hash)


def test_garbage_is_old_versions_and_leftovers_and_nothing_else(warehouse):
    published = [publish(warehouse, bars(price=price)) for price in (1.0, 2.0, 3.0, 4.0, 5.0)]
    publish(warehouse, bars(NEXT_DAY), NEXT_DAY)
    directory = warehouse.files(V1_BARS, [DAY])[0].parent
    (directory / f"{disk.TEMPORARY_PREFIX}crashed.parquet").write_bytes(b"half")
    assert warehouse.collect_garbage() == 3 + 2, "with the hashes of two versions"
    assert warehouse.history(V1_BARS, DAY) == published[:1:-1]
    assert {path.relative_to(warehouse.root).as_posix() for path in directory.iterdir()} == {
        warehouse.pointer(V1_BARS, NEXT_DAY).file,
        *(pointer.file for pointer in published[2:]),
    }
    assert warehouse.verify(V1_BARS, DAY)
    assert warehouse.verify(V1_BARS, NEXT_DAY)
    assert warehouse.collect_garbage(V1_BARS) == 0


# Damage and crashes


def damage_flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def damage_truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [damage_flip, damage_truncate, Path.unlink])
def test_a_damaged_file_is_seen_and_healed_by_publishing_again(warehouse, damage):
    provenance = {"code_version": "code-1", "settings_hash": "settings-1", "inputs": {}}
    pointer = publish(warehouse, bars())
    assert warehouse.verify(V1_BARS, DAY)
    damage(warehouse.files(V1_BARS)[0])
    assert not warehouse.verify(V1_BARS, DAY)
    assert not warehouse.is_current(V1_BARS, DAY, **provenance)
    with pytest.raises(DamagedPartition):
        Warehouse(warehouse.root).read(V1_BARS)
    assert_frame_equal(warehouse.read(V1_BARS), bars())  # still in the memory of who published
    with pytest.raises(DamagedPartition):
        warehouse.restore(V1_BARS, DAY, pointer.content_hash)
    publish(warehouse, bars())
    assert warehouse.is_current(V1_BARS, DAY, **provenance)
    assert_frame_equal(Warehouse(warehouse.root).read(V1_BARS), bars())


@pytest.mark.parametrize(
    "values",
    [
        {"rows": 5},
        {"file": "../../../secret.parquet"},
        {"inputs": "not JSON"},
        {"content_hash": None},
        {"digest": b""},
    ],
    ids=lambda values: next(iter(values)),
)
def test_a_damaged_row_of_the_catalog_is_seen_and_healed_by_publishing_again(warehouse, values):
    publish(warehouse, bars())
    publish(warehouse, bars(NEXT_DAY), NEXT_DAY)
    faults.change(warehouse, V1_BARS, DAY, **values)
    assert not warehouse.verify(V1_BARS, DAY)
    with pytest.raises(DamagedPartition, match=f"is damaged where it tells of v1.bars {DAY}"):
        warehouse.read(V1_BARS)
    assert_frame_equal(warehouse.read(V1_BARS, [NEXT_DAY]), bars(NEXT_DAY))
    assert warehouse.pointers(V1_BARS).keys() == {NEXT_DAY}
    assert warehouse.collect_garbage() == 0
    publish(warehouse, bars())
    assert_frame_equal(warehouse.read(V1_BARS, [DAY]), bars())


@pytest.mark.parametrize("crash_at", ["file", "folder", "commit"])
def test_a_crash_at_any_moment_leaves_the_old_version_of_all_tables(
    warehouse, monkeypatch, crash_at
):
    v2 = StoredTable("v2", BARS)

    def publish_both(price: float) -> None:
        with warehouse.commit() as commit:
            for stored in (V1_BARS, v2):
                rows = warehouse.check(stored, {DAY: bars(price=price)})
                commit.add(stored, rows, inputs={DAY: {}}, **PROVENANCE)

    publish_both(1.0)
    old = {stored: warehouse.pointer(stored, DAY) for stored in (V1_BARS, v2)}
    left = {"file": 0, "folder": 3, "commit": 3}[crash_at]

    def crash(*arguments):
        raise SystemExit("power cut")

    with monkeypatch.context() as patch:
        if crash_at == "file":
            patch.setattr(os, "replace", crash)
        elif crash_at == "folder":
            patch.setattr(disk, "sync", crash)
        else:
            patch.setattr(commits, "_apply", crash)
        with pytest.raises(SystemExit):
            publish_both(2.0)
    for stored, pointer in old.items():
        assert warehouse.pointer(stored, DAY) == pointer
        assert_frame_equal(Warehouse(warehouse.root).read(stored), bars(price=1.0))
    # What the crash left behind is garbage: new files if they had got their names.
    assert warehouse.collect_garbage() == left
    publish_both(2.0)
    for stored in old:
        assert_frame_equal(warehouse.read(stored), bars(price=2.0))


def test_bytes_are_on_disk_before_the_commit_that_names_them(warehouse, monkeypatch):
    publish(warehouse, bars(price=1.0))
    events = []
    real_fsync, real_replace, real_apply = os.fsync, os.replace, commits._apply

    def fsync(descriptor):
        events.append(("sync", os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))))
        real_fsync(descriptor)

    def replace(source, target):
        events.append(("name", Path(target).name))
        real_replace(source, target)

    def apply(*arguments):
        events.append(("commit", ""))
        real_apply(*arguments)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(commits, "_apply", apply)
    pointer = publish(warehouse, bars(price=2.0))
    assert events[-1] == ("commit", "")
    for name in (pointer.file, pointer.hashes_file):
        folder, name = name.rsplit("/", 2)[1:]
        (synced,) = (at for at, (what, of) in enumerate(events) if of.endswith(f"-{name}"))
        named, of_folder = events.index(("name", name)), events.index(("sync", folder))
        assert events[synced][0] == "sync"
        assert synced < named < of_folder


def test_the_log_of_the_catalog_is_synced_by_every_commit(warehouse):
    publish(warehouse, bars())
    (level,) = warehouse.commits._writer.execute("PRAGMA synchronous").fetchone()
    (mode,) = warehouse.commits._writer.execute("PRAGMA journal_mode").fetchone()
    assert (level, mode) == (2, "wal"), "2 is FULL: the log is synced before a commit returns"


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


# The memory of decoded files


def test_repeated_reads_do_not_touch_the_files_and_new_versions_are_seen(warehouse, monkeypatch):
    publisher = Warehouse(warehouse.root)
    publish(publisher, bars(price=1.0))
    warehouse.read(V1_BARS, columns=["open"])
    warehouse.read(V1_BARS, columns=["close"])
    loads = []
    real_decode = Files._decode
    monkeypatch.setattr(
        Files, "_decode", lambda self, *a: loads.append(a[0]) or real_decode(self, *a)
    )
    assert warehouse.read(V1_BARS, columns=["close", "open"])["open"].tolist() == [1, 2, 1, 2]
    assert loads == []
    publish(publisher, bars(price=5.0))
    assert warehouse.read(V1_BARS, columns=["open"])["open"].tolist() == [5, 6, 5, 6]
    assert len(loads) == 1


@pytest.mark.parametrize("rows_in_a_group", [16_384, 3])
def test_what_was_published_is_held_as_reading_it_back_would_hold_it(
    warehouse, monkeypatch, rows_in_a_group
):
    monkeypatch.setattr(encoding, "FEWEST_ROWS_IN_A_GROUP", rows_in_a_group)
    frames = {DAY: bars(instruments=("C", "B", "A")), NEXT_DAY: bars(NEXT_DAY).iloc[:0]}
    frames["2024-01-04"] = bars("2024-01-04", ("A", "D"))
    before = warehouse.cache.lookups
    warehouse.publish_many(V1_BARS, frames, inputs={day: {} for day in frames}, **PROVENANCE)
    held = warehouse.read(V1_BARS)
    groups = 1 if rows_in_a_group > 10 else 4
    assert warehouse.cache.lookups.since(before) == Lookups(hits=groups)
    reader = Warehouse(warehouse.root)
    assert_frame_equal(held, reader.read(V1_BARS))
    assert reader.cache.lookups == Lookups(first_reads=groups)
    # Not a part of the memory of the frames, which would be held as long as one of the groups.
    assert warehouse.cache.size_bytes <= 1.5 * reader.cache.size_bytes


def test_a_frame_that_is_changed_after_it_was_published_does_not_change_what_is_read(warehouse):
    frame = bars()
    publish(warehouse, frame)
    frame["open"].array._ndarray[:] = 1.0
    frame["volume"].array._ndarray[:] = 1
    assert_frame_equal(warehouse.read(V1_BARS), bars())


def test_rows_that_the_memory_has_no_room_for_are_read_from_the_file(tmp_path):
    warehouse = Warehouse(tmp_path, cache_bytes=0)
    publish(warehouse, bars())
    assert_frame_equal(warehouse.read(V1_BARS), bars())
    assert warehouse.cache.lookups == Lookups(misses=1)
    assert warehouse.cache.size_bytes == 0


def test_the_cache_stays_below_its_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "FEWEST_ROWS_IN_A_GROUP", 4)
    days = [str(day.date()) for day in pd.date_range("2024-01-01", periods=20)]
    writer = Warehouse(tmp_path)
    writer.publish_many(
        V1_BARS,
        {day: bars(day, price=float(n + 1)) for n, day in enumerate(days)},
        inputs={day: {} for day in days},
        **PROVENANCE,
    )
    one = writer.cache.size_bytes / 20
    small = Warehouse(tmp_path, cache_bytes=5 * one)
    expected = np.repeat(np.arange(1.0, 21.0), 4) + np.tile([0.0, 1.0], 40)
    for _ in range(2):
        assert small.read(V1_BARS)["open"].to_numpy() == pytest.approx(expected, abs=0)
        assert 0 < small.cache.size_bytes <= 5 * one
        assert 1 <= len(small.cache) <= 6


# Limits


@pytest.mark.parametrize("threads", [1, 3])
def test_files_are_written_by_as_many_threads_as_allowed(threads, tmp_path, monkeypatch):
    warehouse = Warehouse(tmp_path / "warehouse", threads=threads)
    days = [f"2024-01-{number:02d}" for number in range(1, 13)]
    running, most = [0], {"written": 0, "read": 0}
    lock = threading.Lock()

    def counted(name, function):
        def call(*arguments, **named):
            with lock:
                running[0] += 1
                most[name] = max(most[name], running[0])
            time.sleep(0.01)
            try:
                return function(*arguments, **named)
            finally:
                with lock:
                    running[0] -= 1

        return call

    monkeypatch.setattr(disk, "replace_durably", counted("written", disk.replace_durably))
    monkeypatch.setattr(warehouse.data, "_decode", counted("read", warehouse.data._decode))
    monkeypatch.setattr(publishing, "MOST_BYTES", 100)  # each day in a file of its own
    warehouse.publish_many(
        V1_BARS, {day: bars(day) for day in days}, inputs={day: {} for day in days}, **PROVENANCE
    )
    assert len(warehouse.files(V1_BARS)) == 12
    warehouse.cache = warehouse.data.cache = ArrowCache(2**20)
    assert_frame_equal(warehouse.read(V1_BARS), Warehouse(warehouse.root).read(V1_BARS))
    assert most == {"written": threads, "read": 1}  # small ones one after the other


def test_a_version_knows_why_it_was_published(warehouse):
    def because(**changes) -> str:
        return publish(warehouse, bars(), **changes).published_because

    assert because() == "new"
    assert because() == "again"
    assert because(inputs={"raw.candles_1min": "other"}) == "changed"
    assert because(code_version="code-2") == "changed"
    (path,) = warehouse.files(V1_BARS)
    path.write_bytes(path.read_bytes()[:-1])
    assert because(code_version="code-2") == "damaged"
    warehouse.evict(V1_BARS, DAY)
    assert because(code_version="code-2") == "evicted"
    assert warehouse.pointer(V1_BARS, DAY).published_because == "evicted"
    faults.damage(warehouse, V1_BARS, DAY)
    assert because() == "damaged"


def test_an_evicted_partition_is_its_pointer_alone_until_it_is_published_again(warehouse):
    publish(warehouse, bars(price=50.0))
    pointer = publish(warehouse, bars())
    publish(warehouse, bars(NEXT_DAY), day=NEXT_DAY)
    rows = warehouse.instrument_hashes(V1_BARS, DAY)
    evicted = warehouse.evict(V1_BARS, DAY)
    assert dataclasses.replace(evicted, evicted_at=None) == pointer
    assert warehouse.pointer(V1_BARS, DAY) == evicted
    assert warehouse.history(V1_BARS, DAY) == [evicted]
    assert (warehouse.root / pointer.file).exists()  # for those who read an older catalog
    warehouse.collect_garbage()
    assert not (warehouse.root / pointer.file).exists()
    with pytest.raises(EvictedPartition, match=rf"v1\.bars {DAY}: .* setbull run --from {DAY}"):
        warehouse.read(V1_BARS, [DAY, NEXT_DAY])
    with pytest.raises(DamagedPartition):
        warehouse.restore(V1_BARS, DAY, pointer.content_hash)
    assert_frame_equal(warehouse.read(V1_BARS), bars(NEXT_DAY))  # all there are
    assert warehouse.partitions(V1_BARS) == [DAY, NEXT_DAY]
    assert warehouse.evicted(V1_BARS) == [DAY]
    assert warehouse.usage(V1_BARS, DAY) is None
    assert warehouse.instrument_hashes(V1_BARS, DAY).equals(rows)
    assert not warehouse.verify(V1_BARS, DAY)
    assert warehouse.evict(V1_BARS, DAY) == evicted
    again = publish(warehouse, bars())
    assert (again.content_hash, again.evicted_at) == (pointer.content_hash, None)
    assert warehouse.history(V1_BARS, DAY) == [again]
    assert_frame_equal(warehouse.read(V1_BARS, [DAY]), bars())


def test_use_is_noted_once_an_hour_and_only_where_one_may_write(warehouse, monkeypatch):
    publish(warehouse, bars())
    (path,) = warehouse.files(V1_BARS)
    noted = []
    monkeypatch.setattr(
        disk, "note_use", lambda path: noted.append(path) or os.utime(path, (now,) * 2)
    )
    monkeypatch.setattr(time, "time", lambda: now)
    now = path.stat().st_mtime
    for minutes in (20, 39, 2, 30, 31):
        now += 60 * minutes
        warehouse.read(V1_BARS, [DAY])  # the first time from disk, then from memory
    assert noted == [str(path)] * 2
    monkeypatch.undo()
    os.utime(path, (0, 0))
    assert warehouse.usage(V1_BARS, DAY) == (path.stat().st_size, 0)
    disk.note_use(path)
    assert warehouse.usage(V1_BARS, DAY)[1] > 0
    disk.note_use(path.with_name("absent"))  # nothing happens


def test_a_file_that_goes_while_its_use_is_noted_is_not_held(warehouse, monkeypatch):
    publish(warehouse, bars())
    (path,) = warehouse.files(V1_BARS)
    name = path.relative_to(warehouse.root).as_posix()
    files = Files(warehouse.root, ArrowCache(0), threads=1)
    assert files.holds(name)
    os.utime(path, (time.time() - 7200,) * 2)
    assert files.holds(name)
    monkeypatch.setattr(disk, "note_use", os.unlink)
    files.note_uses([name])
    assert not files.holds(name)


def test_what_was_written_under_another_contract_can_be_evicted(warehouse):
    publish(warehouse, bars())
    other = dataclasses.replace(BARS, columns=BARS.columns[:-1])
    stored = StoredTable("v1", other)
    with pytest.raises(ContractViolation):
        warehouse.read(stored)
    warehouse.evict(stored, DAY)
    warehouse.collect_garbage()
    assert warehouse.evicted(stored) == [DAY]
    assert warehouse.files(stored) == []


def test_only_what_is_there_and_whole_can_be_evicted(warehouse):
    with pytest.raises(MissingPartition):
        warehouse.evict(V1_BARS, DAY)
    publish(warehouse, bars())
    (path,) = warehouse.files(V1_BARS)
    path.write_bytes(b"something else")
    with pytest.raises(DamagedPartition):
        warehouse.evict(V1_BARS, DAY)
    assert warehouse.evicted(V1_BARS) == []
