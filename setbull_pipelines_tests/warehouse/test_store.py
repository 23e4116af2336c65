"""Publishing and reading: what comes back, what a snapshot shows, what the memory of decoded files holds."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from pandas.testing import assert_frame_equal

from setbull_pipelines import disk
from setbull_pipelines.warehouse import commits, encoding, publishing
from setbull_pipelines.warehouse.cache import ArrowCache, Lookups
from setbull_pipelines.warehouse.errors import MissingPartition
from setbull_pipelines.warehouse.files import Files
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.warehouse.conftest import (
    BARS,
    DAY,
    NEXT_DAY,
    PROVENANCE,
    V1_BARS,
    bars,
    publish,
)

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


def test_missing_partitions_are_named(warehouse):
    publish(warehouse, bars())
    with pytest.raises(MissingPartition, match=r"v1\.bars has no partition 2024-01-03; compute"):
        warehouse.read(V1_BARS, [DAY, NEXT_DAY])
    assert warehouse.pointer(V1_BARS, NEXT_DAY) is None


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


def test_snapshots_share_what_they_have_read_and_no_other_commit(warehouse, monkeypatch):
    v2, read = StoredTable("v2", BARS), []
    real = commits.version_of
    monkeypatch.setattr(commits, "version_of", lambda row: read.append(row[:3]) or real(row))
    publisher = Warehouse(warehouse.root)

    def publish_v2(price: float) -> None:
        publisher.publish(v2, DAY, bars(price=price), inputs={}, **PROVENANCE)

    publish(publisher, bars(price=1.0))
    publish_v2(1.0)
    with warehouse.snapshot() as reader:
        first = reader.pointer(v2, DAY)
    read.clear()
    with warehouse.snapshot() as reader:
        assert reader.pointer(v2, DAY) == first
        assert read == []
        publish_v2(2.0)
        publish(publisher, bars(price=2.0))
        second = warehouse.pointer(v2, DAY)
        # Read here for the first time, of the earlier commit: nobody else may take it for the present one.
        assert_frame_equal(reader.read(V1_BARS), bars(price=1.0))
        assert reader.pointer(v2, DAY) == first != second
    assert_frame_equal(warehouse.read(V1_BARS), bars(price=2.0))
    with warehouse.snapshot() as reader:
        assert reader.pointer(v2, DAY) == second
        assert_frame_equal(reader.read(V1_BARS), bars(price=2.0))


def test_a_snapshot_takes_nothing_from_a_later_commit(warehouse, monkeypatch):
    v2, publisher = StoredTable("v2", BARS), Warehouse(warehouse.root)

    def publish_both(price: float) -> None:
        with publisher.commit() as commit:
            for stored in (V1_BARS, v2):
                rows = publisher.check(stored, {DAY: bars(price=price)})
                commit.add(stored, rows, inputs={DAY: {}}, **PROVENANCE)

    def on_statement(statement: str) -> None:
        # Between the look for the number of the last commit and the look for what is new: both are remembered.
        if "changed_in >" in statement and later:
            publish_both(later.pop())

    def opened(*given):
        connection = real(*given)
        if not connections:
            connection.set_trace_callback(on_statement)
        connections.append(connection)
        return connection

    later, connections, real = [], [], commits.opened
    publish_both(1.0)
    monkeypatch.setattr(commits, "opened", opened)
    assert_frame_equal(warehouse.read(V1_BARS), bars(price=1.0))
    publish_both(2.0)
    later.append(3.0)
    with warehouse.snapshot() as reader:
        found = [reader.read(stored)["open"].min() for stored in (V1_BARS, v2)]
    assert found in ([2.0, 2.0], [3.0, 3.0])
    assert [warehouse.read(stored)["open"].min() for stored in (V1_BARS, v2)] == [3.0, 3.0]
    assert later == []
    with warehouse.snapshot() as reader:
        assert [reader.read(stored)["open"].min() for stored in (V1_BARS, v2)] == [3.0, 3.0]
