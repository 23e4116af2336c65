"""Any frame that satisfies its contract comes back identical, bit for bit."""

from __future__ import annotations

import os
import struct
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from setbull_pipelines import disk
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.warehouse import encoding
from setbull_pipelines.warehouse.errors import DamagedPartition
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.warehouse.conftest import (
    BARS,
    DAY,
    PROVENANCE,
    V1_BARS,
    bars,
    publish,
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(
    lambda moment: pd.Timestamp(moment, tz="UTC").tz_convert(INDIA)
)
rows = st.fixed_dictionaries(
    {
        "instrument_key": text,
        "timestamp": moments,
        "trading_day": st.dates(date(1900, 1, 1), date(2200, 1, 1)).map(pd.Timestamp),
        "open": st.floats(min_value=0, exclude_min=True, allow_subnormal=True),
        "close": st.floats(allow_nan=False),
        "average": st.none() | st.floats(allow_nan=False),
        "volume": st.integers(0, 2**63 - 1),
        "open_interest": st.none() | st.integers(-(2**63), 2**63 - 1),
        "is_complete": st.booleans(),
        "is_warm": st.none() | st.booleans(),
        "reason": st.none() | text,
    }
)
frames = st.lists(rows, max_size=8, unique_by=lambda row: (row["instrument_key"], row["timestamp"]))


def frame_of(records: list[dict]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            column.name: pd.array(
                [record[column.name] for record in records], dtype=column.kind.pandas_dtype
            )
            for column in BARS.columns
        }
    )


def bits(values: pd.Series) -> list[bytes]:
    return [b"null" if np.isnan(value) else struct.pack("d", value) for value in values]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(frames)
def test_any_frame_comes_back_identical(records):
    # Python's own ordering of the records, not the store's, says what order to expect.
    in_key_order = sorted(records, key=lambda row: (row["instrument_key"], row["timestamp"]))
    with TemporaryDirectory() as root:
        warehouse = Warehouse(root)
        warehouse.publish(V1_BARS, "2024-01-02", frame_of(records), inputs={}, **PROVENANCE)
        both = [warehouse.read(V1_BARS), Warehouse(root).read(V1_BARS)]
    expected = frame_of(in_key_order)
    for found in both:  # from memory, and from the file
        assert_frame_equal(found, expected)
        for name in ("open", "close", "average"):
            assert bits(found[name]) == bits(expected[name])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(frames, st.sets(text, max_size=3), st.data())
def test_rows_of_some_instruments_do_not_depend_on_the_row_groups(records, others, data):
    frame = frame_of(records)
    known = sorted(set(frame["instrument_key"]))
    wanted = others | (data.draw(st.sets(st.sampled_from(known))) if known else set())
    with TemporaryDirectory() as folder, patch.object(encoding, "FEWEST_ROWS_IN_A_GROUP", 2):
        Warehouse(Path(folder)).publish(V1_BARS, DAY, frame, **PROVENANCE, inputs={})
        warehouse = Warehouse(Path(folder))
        some = warehouse.read(V1_BARS, [DAY], instrument_keys=wanted)
        everybody = warehouse.read(V1_BARS, [DAY])
        again = warehouse.read(V1_BARS, [DAY], instrument_keys=wanted)
    assert len(everybody) == len(records)
    expected = everybody[everybody["instrument_key"].isin(wanted)].reset_index(drop=True)
    assert_frame_equal(some, expected)
    assert_frame_equal(again, expected)


def test_row_groups_of_other_instruments_are_not_decoded(warehouse, monkeypatch):
    monkeypatch.setattr(encoding, "FEWEST_ROWS_IN_A_GROUP", 4)
    publish(warehouse, bars(instruments=tuple("ABCDEF")))
    warehouse = Warehouse(warehouse.root)  # what published holds the rows in memory
    decoded, checked = [], []
    read, check = pyarrow.parquet.ParquetFile.read_row_group, disk.content_hash

    def counting(file, group, *arguments, **options):
        decoded.append((group, file.num_row_groups))
        return read(file, group, *arguments, **options)

    monkeypatch.setattr(pyarrow.parquet.ParquetFile, "read_row_group", counting)
    monkeypatch.setattr(disk, "content_hash", lambda data: checked.append(1) or check(data))
    for _ in range(2):
        of_one = warehouse.read(V1_BARS, [DAY], instrument_keys=["D"])
        assert set(of_one["instrument_key"]) == {"D"}
    assert warehouse.read(V1_BARS, [DAY], instrument_keys=["Z"]).empty
    assert decoded == [(1, 3)], "what is in memory is not decoded again"
    assert len(warehouse.read(V1_BARS, [DAY])) == 12
    assert decoded[1:] == [(0, 3), (2, 3)]
    assert len(checked) == 1, "a file that nobody wrote to is checked once"


@pytest.mark.parametrize("threads", [1, 4])
def test_rows_of_some_instruments_of_a_damaged_file_are_refused(tmp_path, monkeypatch, threads):
    """Also where the file was checked before, and its moment of writing was put back."""
    monkeypatch.setattr(encoding, "FEWEST_ROWS_IN_A_GROUP", 4)
    warehouse = Warehouse(tmp_path / "warehouse", threads=threads)
    publish(Warehouse(warehouse.root), bars(instruments=tuple("ABCDEF")))
    warehouse.read(V1_BARS, [DAY], instrument_keys=["D"])
    (path,) = warehouse.files(V1_BARS, [DAY])
    written = path.stat()
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(damaged)
    os.utime(path, ns=(written.st_atime_ns, written.st_mtime_ns))
    with pytest.raises(DamagedPartition, match="is not what was published"):
        warehouse.read(V1_BARS, [DAY], instrument_keys=["A"])
    with pytest.raises(DamagedPartition, match="is not what was published"):
        warehouse.read(V1_BARS, [DAY])
