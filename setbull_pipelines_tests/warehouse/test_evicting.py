"""Evicted partitions are pointers until they are published again; the use that decides which go is noted."""

from __future__ import annotations

import dataclasses
import os
import time

import pytest
from pandas.testing import assert_frame_equal

from setbull_pipelines import disk
from setbull_pipelines.settings import InvalidSettings, StorageSettings
from setbull_pipelines.warehouse.cache import ArrowCache
from setbull_pipelines.warehouse.errors import (
    ContractViolation,
    DamagedPartition,
    EvictedPartition,
    MissingPartition,
)
from setbull_pipelines.warehouse.files import Files
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.warehouse.conftest import BARS, DAY, NEXT_DAY, V1_BARS, bars, publish


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


def test_nothing_is_evicted_from_a_shared_store():
    with pytest.raises(InvalidSettings, match=r"setting storage\.remote: .*intermediate_days"):
        StorageSettings(remote="s3://bucket/tables", intermediate_days=30)
