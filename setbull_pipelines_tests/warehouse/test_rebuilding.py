"""A catalog that is gone, cut or damaged is made again from what the data files say of themselves."""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal

from setbull_pipelines.settings import InvalidSettings
from setbull_pipelines.warehouse.changes import FORMAT
from setbull_pipelines.warehouse.instrument_hashes import of_mapping
from setbull_pipelines.warehouse.pointers import Cost, Failure, StoredTable
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

V2_BARS = StoredTable("v2", BARS)
DAYS = [f"2024-01-{number:02}" for number in range(1, 21)]


@pytest.fixture
def filled(warehouse: Warehouse) -> Warehouse:
    """Two tables of twenty days in one commit; one day empty, some published again."""
    with warehouse.commit() as commit:
        for stored in (V1_BARS, V2_BARS):
            frames = {day: bars(day) if day != DAYS[7] else BARS.empty() for day in DAYS}
            commit.add(
                stored,
                warehouse.check(stored, frames),
                inputs={day: {"a": day} for day in DAYS},
                notes={DAYS[7]: "holiday"},
                costs={DAYS[0]: Cost(1.0, 2.0, 1, 3, 4, 5, 6, 7)},
                failures={DAYS[3]: {"C": Failure("v1.bars", "no luck")}},
                instrument_inputs={day: of_mapping({"A": 1, "B": 2}) for day in DAYS},
                **PROVENANCE,
            )
    publish(warehouse, bars(DAYS[2], price=7.0), DAYS[2])
    publish(warehouse, bars(DAYS[4]), DAYS[4], code_version="code-2")
    return warehouse


def gone(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 3)


def overwritten(path: Path) -> None:
    path.write_bytes(b"not a database" * 500)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("spoil", [gone, cut, overwritten, emptied])
def test_a_catalog_that_cannot_be_read_is_made_again_with_all_that_was_known(
    filled: Warehouse, spoil, caplog: pytest.LogCaptureFixture
) -> None:
    tables = (V1_BARS, V2_BARS)
    before = {stored: filled.pointers(stored) for stored in tables}
    rows = {stored: filled.read(stored) for stored in tables}
    history = filled.history(V1_BARS, DAYS[2])
    filled.commits.close()
    for beside in filled.root.glob("catalog.sqlite-*"):
        beside.unlink()
    spoil(filled.commits.path)
    found = Warehouse(filled.root)
    with caplog.at_level(logging.WARNING):
        for stored in tables:
            assert_frame_equal(found.read(stored), rows[stored])
    assert len(caplog.messages) == 1
    assert "could not be read" in caplog.text
    assert "made again from the files" in caplog.text
    # Rows that were published again as they were stay in their file, which tells of their first publication.
    del before[V1_BARS][DAYS[4]]
    for stored in tables:
        assert found.pointers(stored).items() >= before[stored].items()
        assert found.verify(stored, DAYS[4])
    assert found.history(V1_BARS, DAYS[2]) == history
    assert found.instrument_inputs(V1_BARS, DAYS[9]).to_pydict()["hash"] == [1, 2]
    publish(found, bars(DAYS[2], price=8.0), DAYS[2])
    assert_frame_equal(Warehouse(filled.root).read(V1_BARS, [DAYS[2]]), bars(DAYS[2], price=8.0))


def test_a_process_that_had_the_lost_catalog_open_sees_the_new_one(filled: Warehouse) -> None:
    filled.read(V1_BARS)
    filled.commits.path.unlink()
    other = Warehouse(filled.root)
    publish(other, bars(DAYS[2], price=8.0), DAYS[2])
    assert_frame_equal(filled.read(V1_BARS, [DAYS[2]]), bars(DAYS[2], price=8.0))


def test_nothing_is_believed_of_a_damaged_file(filled: Warehouse) -> None:
    (path,) = filled.files(V1_BARS, [DAYS[2]])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert filled.rebuild() > 0
    found = Warehouse(filled.root)
    assert_frame_equal(found.read(V1_BARS, [DAYS[2]]), bars(DAYS[2]))  # the version before it
    assert len(found.history(V1_BARS, DAYS[2])) == 1


def test_what_a_killed_writer_left_without_a_commit_is_as_good_as_published(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows kept the contract and say what they were computed from; nobody can tell it from one that was named."""
    publish(warehouse, bars())
    with monkeypatch.context() as patch:
        patch.setattr(Warehouse, "_commit", lambda *arguments: os.abort)
        publish(warehouse, bars(NEXT_DAY), NEXT_DAY)
    assert warehouse.partitions(V1_BARS) == [DAY]
    warehouse.rebuild()
    assert_frame_equal(Warehouse(warehouse.root).read(V1_BARS, [NEXT_DAY]), bars(NEXT_DAY))


def test_a_folder_of_a_newer_version_is_refused_before_anything_is_written(warehouse):
    publish(warehouse, bars())
    copy = warehouse.root / "copy.sqlite"
    warehouse.commits.copy_to(copy)
    for path in (warehouse.commits.path, copy):
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (FORMAT,)
    copy.unlink()
    with closing(sqlite3.connect(warehouse.commits.path)) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    files = sorted(warehouse.root.rglob("*.parquet"))
    for act in (
        lambda newer: newer.pointers(V1_BARS),
        lambda newer: publish(newer, bars(NEXT_DAY), NEXT_DAY),
        lambda newer: newer.collect_garbage(),
    ):
        with pytest.raises(
            InvalidSettings, match=f"newer version of setbull: found format {FORMAT + 1}"
        ):
            act(Warehouse(warehouse.root))
    assert sorted(warehouse.root.rglob("*.parquet")) == files
