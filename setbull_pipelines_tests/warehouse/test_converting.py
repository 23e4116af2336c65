"""A folder of the layout before this one: refused with the command, and converted by it without a loss."""

from __future__ import annotations

from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal

from setbull_pipelines.settings import InvalidSettings
from setbull_pipelines.tables.contract import Column, Kind, Table
from setbull_pipelines.warehouse.errors import MissingPartition
from setbull_pipelines.warehouse.instrument_hashes import of_mapping
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.queries import connect
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.warehouse import old_layout
from setbull_pipelines_tests.warehouse.conftest import (
    BARS,
    DAY,
    NEXT_DAY,
    PROVENANCE,
    V1_BARS,
    bars,
    publish,
)

COLUMNS = (
    Column("instrument_key", Kind.TEXT, "Instrument"),
    Column("number", Kind.INTEGER, "Number"),
)
LOG = StoredTable(
    "operations", Table("log", "A log", ("operations",), ("instrument_key",), COLUMNS, False)
)


@pytest.fixture
def old(warehouse: Warehouse, tmp_path: Path) -> Path:
    """Two days of a table, one of them with two versions, an empty day, and a table without days."""
    publish(warehouse, bars(price=1.0))
    warehouse.publish_many(
        V1_BARS,
        {DAY: bars(price=2.0), NEXT_DAY: bars(NEXT_DAY), "2024-01-04": BARS.empty()},
        inputs={day: {"a": day} for day in (DAY, NEXT_DAY, "2024-01-04")},
        instrument_inputs={DAY: of_mapping({"A": 1, "B": 2})},
        **PROVENANCE,
    )
    frame = LOG.table.empty()
    frame.loc[0] = ["A", 7]
    frame = LOG.table.conform(frame)
    warehouse.publish(LOG, WHOLE, frame, inputs={}, **PROVENANCE)
    root = tmp_path / "old"
    old_layout.write(warehouse, root, [V1_BARS, LOG])
    return root


def test_an_older_folder_is_refused_with_the_command(old: Path) -> None:
    for act in (
        lambda found: found.partitions(V1_BARS),
        lambda found: publish(found, bars()),
        lambda found: found.collect_garbage(),
    ):
        with pytest.raises(InvalidSettings, match=r"older version of setbull; .*: setbull convert"):
            act(Warehouse(old))
    assert len(list(old.rglob("current.json"))) == 4


def test_a_converted_folder_holds_what_it_held(old: Path, warehouse: Warehouse) -> None:
    files = {path: path.read_bytes() for path in old.rglob("*.parquet")}
    assert Warehouse(old).convert() == 4
    found = Warehouse(old)
    assert found.partitions(V1_BARS) == [DAY, NEXT_DAY, "2024-01-04"]
    assert_frame_equal(found.read(V1_BARS), warehouse.read(V1_BARS))
    assert_frame_equal(found.read(LOG), warehouse.read(LOG))
    for day in (DAY, NEXT_DAY):
        assert found.verify(V1_BARS, day)
        assert found.pointer(V1_BARS, day).inputs == {"a": day}
        same = [each.instrument_hashes(V1_BARS, day) for each in (found, warehouse)]
        assert same[0].equals(same[1])
    assert found.instrument_inputs(V1_BARS, DAY).to_pydict()["hash"] == [1, 2]
    assert found.instrument_inputs(V1_BARS, NEXT_DAY) is None
    earlier = found.history(V1_BARS, DAY)[1]
    found.restore(V1_BARS, DAY, earlier.content_hash)
    assert_frame_equal(found.read(V1_BARS, [DAY]), bars(price=1.0))
    with connect(found, [V1_BARS]) as connection:
        assert connection.execute("SELECT count(*) FROM v1.bars").fetchone() == (8,)
    assert {path: path.read_bytes() for path in files} == files, "rows are not touched"
    assert not list(old.rglob("current.json"))
    assert found.convert() == 0


def test_what_is_published_after_it_takes_the_place_of_what_was_converted(old: Path) -> None:
    found = Warehouse(old)
    found.convert()
    publish(found, bars(price=9.0))
    assert_frame_equal(Warehouse(old).read(V1_BARS, [DAY]), bars(price=9.0))
    assert len(found.history(V1_BARS, DAY)) == 3


def test_a_pointer_that_cannot_be_read_loses_its_partition_alone(old: Path) -> None:
    (old / "v1" / "bars" / f"trading_day={DAY}" / "current.json").write_text("{")
    found = Warehouse(old)
    found.convert()
    assert found.partitions(V1_BARS) == [NEXT_DAY, "2024-01-04"]
    with pytest.raises(MissingPartition):
        found.read(V1_BARS, [DAY])


def test_an_interrupted_conversion_is_repeated(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unlinked = []
    real = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name == "current.json":
            unlinked.append(path)
            if len(unlinked) == 2:
                raise KeyboardInterrupt
        real(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        with pytest.raises(KeyboardInterrupt):
            Warehouse(old).convert()
    found = Warehouse(old)
    publish(found, bars(price=9.0))
    assert found.convert() == 3
    assert_frame_equal(found.read(V1_BARS, [DAY]), bars(price=9.0))
