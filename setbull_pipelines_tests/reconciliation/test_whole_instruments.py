"""Instruments that are read for the recognisers: the diverging ones first, and all of their rows."""

from __future__ import annotations

import pyarrow
import pyarrow.parquet
import pytest

from setbull_pipelines.reconciliation.rows import of_instruments
from setbull_pipelines.reconciliation.whole_instruments import diverging_first


@pytest.mark.parametrize("group_rows", [1, 3, 100])
@pytest.mark.parametrize("with_statistics", [True, False])
@pytest.mark.parametrize("wanted", [["A"], ["B", "D"], ["A", "B", "C", "D"], ["AA", "C"], ["E"]])
def test_all_rows_of_some_instruments_are_read_from_the_groups_that_have_them(
    tmp_path, group_rows, with_statistics, wanted
) -> None:
    keys = pyarrow.array([name for name in "ABCD" for _ in range(4)])
    rows = pyarrow.table({"instrument_key": keys.dictionary_encode(), "place": list(range(16))})
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(
        rows, path, row_group_size=group_rows, write_statistics=with_statistics
    )
    expected = [row for row in rows.to_pylist() if row["instrument_key"] in wanted]
    for given in ([path], rows):
        found = of_instruments(given, ["instrument_key", "place"], wanted)
        assert found.to_pylist() == expected
        assert found.schema.field("instrument_key").type == pyarrow.string()


def test_groups_without_a_wanted_instrument_are_not_decoded(tmp_path, monkeypatch) -> None:
    path = tmp_path / "rows.parquet"
    rows = pyarrow.table({"instrument_key": list("AABBCC")})
    pyarrow.parquet.write_table(rows, path, row_group_size=2)
    decoded = []
    read = pyarrow.parquet.ParquetFile.read_row_groups
    monkeypatch.setattr(
        pyarrow.parquet.ParquetFile,
        "read_row_groups",
        lambda file, groups, **options: decoded.extend(groups) or read(file, groups, **options),
    )
    assert of_instruments([path], ["instrument_key"], ["B"]).num_rows == 2
    assert decoded == [1]


def test_diverging_instruments_come_first_until_there_are_enough_rows_of_whole_ones() -> None:
    rows = {"D": 4, "A": 4, "C": 4, "B": 4}
    assert diverging_first(rows, {"C"}, 12) == ["C", "A", "B"]
    assert diverging_first(rows, {"D", "B"}, 11) == ["B", "D"]
    assert diverging_first(rows, set(), 1) == ["A"]
