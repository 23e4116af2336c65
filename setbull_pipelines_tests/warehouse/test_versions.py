"""The versions of a partition: hits, going back, garbage, and what damage and crashes leave of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal

from setbull_pipelines import disk
from setbull_pipelines.warehouse import commits
from setbull_pipelines.warehouse.errors import DamagedPartition, MissingPartition
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests import stored as faults
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
            patch.setattr(commits, "apply", crash)
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
    real_fsync, real_replace, real_apply = os.fsync, os.replace, commits.apply

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
    monkeypatch.setattr(commits, "apply", apply)
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
