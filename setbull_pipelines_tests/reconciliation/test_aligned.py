"""Reading two files side by side is only a faster way: it reports what the join reports, and knows when it may not."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from setbull_pipelines.reconciliation import aligned, compare
from setbull_pipelines.reconciliation.aligned import read_aligned
from setbull_pipelines.settings import ReconciliationSettings
from setbull_pipelines.warehouse.encoding import plain_text
from setbull_pipelines_tests.reconciliation.every_kind import EVERY_KIND, ROWS, of_every_kind
from setbull_pipelines_tests.reconciliation.partition_files import TRADING_DAY, write

FRAMES = ("columns", "cells", "summary", "diagnoses", "decisions")
OTHER_VALUES = {
    "price": (101.5, np.nan, np.inf, -np.inf, -0.0, 1.7e308, -1.7e308, 5e-324),
    "mean": (250.0 * (1 + 1e-12), 7.0, np.nan, np.inf, -1.7e308, 1.7e308),
    "score": (0.5 + 1e-13, 0.6),
    "volume": (1, 2**53 + 1, -(2**63), 2**63 - 1),
    "open_interest": (5, pd.NA),
    "label": ("N", None),
    "reason": ("because", None),
    "is_complete": (False,),
    "passed": (False, pd.NA),
    "traded_at": (pd.Timestamp("2026-06-30 11:00", tz="Asia/Kolkata"), pd.NaT),
    "start_day": (pd.Timestamp("2026-06-01"), pd.NaT),
}
RIGHT = of_every_kind()
CELLS = [(name, value) for name, values in OTHER_VALUES.items() for value in values]


def changed(right: pd.DataFrame, faults: list[tuple[int, tuple[str, object]]]) -> pd.DataFrame:
    wrong = right.copy()
    for row, (name, value) in faults:
        wrong.loc[row, name] = value
    return EVERY_KIND.conform(wrong)


def files_of(folder: Path, v1: pd.DataFrame, v2: pd.DataFrame, **options: bool) -> list[list[Path]]:
    return [
        [write(EVERY_KIND, side, folder / f"{number}.parquet", **options)]
        for number, side in enumerate((v1, v2))
    ]


def in_memory(path: Path) -> pyarrow.Table:
    return plain_text(pyarrow.parquet.read_table(path, partitioning=None))


# Recognisers divide the largest floats there are.
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@settings(max_examples=40, deadline=None)
@given(
    faults_v1=st.lists(st.tuples(st.integers(0, ROWS - 1), st.sampled_from(CELLS)), max_size=20),
    faults_v2=st.lists(st.tuples(st.integers(0, ROWS - 1), st.sampled_from(CELLS)), max_size=20),
    sample_cells=st.sampled_from([1, 2, 20]),
)
# Open interest of bars that do not say how many minutes they have.
@example(
    faults_v1=[],
    faults_v2=[(row, ("open_interest", 5)) for row in (1, 2, 3)],
    sample_cells=20,
)
def test_it_reports_what_the_join_reports_of_files_and_in_memory(
    faults_v1, faults_v2, sample_cells
) -> None:
    v1, v2 = changed(RIGHT, faults_v1), changed(RIGHT, faults_v2)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        assert read_aligned(EVERY_KIND, *files_of(Path(folder), v1, v2)) is not None
        chosen = ReconciliationSettings(sample_cells=sample_cells)
        files = files_of(Path(folder), v1, v2)
        tables = [in_memory(path) for (path,) in files]
        found = [
            compare.compare(EVERY_KIND, *sides, TRADING_DAY, chosen) for sides in (files, tables)
        ]
        patch.setattr(compare, "read_aligned", lambda *sides: None)
        found += [
            compare.compare(EVERY_KIND, *sides, TRADING_DAY, chosen) for sides in (files, tables)
        ]
    *others, joined = found
    for fast in others:
        assert (fast.state, fast.reason) == (joined.state, joined.reason)
        for name in FRAMES:
            pd.testing.assert_frame_equal(
                getattr(fast, name), getattr(joined, name), check_exact=True
            )


def test_it_reads_across_batches_and_counts_rows_of_instruments(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(aligned, "_BATCH_ROWS", 5)
    wrong = changed(RIGHT, [(3, ("volume", 1)), (11, ("volume", 1))])
    found = read_aligned(EVERY_KIND, *files_of(tmp_path, RIGHT, wrong))
    assert found.rows == ROWS
    assert sorted(found.instruments.values()) == [4, 4, 4]
    assert [column.name for column in found.columns] == ["volume"]
    assert found.differing["v2_volume"].to_pylist() == [1, 1]
    assert found.differing["v1_volume"].to_pylist() == [1003, 1011]


@pytest.mark.parametrize("batch_rows", [4, 5, 100])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda frame: frame.drop(index=4),
        lambda frame: frame.iloc[::-1],
        lambda frame: pd.concat([frame.iloc[:4], frame.iloc[[3]], frame.iloc[5:]]),
        lambda frame: frame.assign(
            instrument_key=frame["instrument_key"].where(frame.index != 0, "NSE_EQ|INE000000000")
        ),
    ],
    ids=["lost row", "other order", "key twice", "other key"],
)
def test_other_keys_need_the_join(tmp_path, monkeypatch, spoil, batch_rows) -> None:
    monkeypatch.setattr(aligned, "_BATCH_ROWS", batch_rows)
    spoilt = spoil(RIGHT)
    assert read_aligned(EVERY_KIND, *files_of(tmp_path, RIGHT, spoilt)) is None
    both = read_aligned(EVERY_KIND, *files_of(tmp_path, spoilt, spoilt))
    # Unsorted or repeated keys are never taken, equal as the files may be.
    assert (both is None) == (len(spoilt) == ROWS and not _is_sorted(spoilt))


def _is_sorted(frame: pd.DataFrame) -> bool:
    keys = pd.MultiIndex.from_frame(frame[list(EVERY_KIND.key)])
    return keys.is_monotonic_increasing and keys.is_unique


def test_too_many_differing_rows_and_several_files_need_the_join(tmp_path, monkeypatch) -> None:
    v1, v2 = files_of(tmp_path, RIGHT, RIGHT.assign(volume=1))
    assert read_aligned(EVERY_KIND, v1, v2) is not None
    assert read_aligned(EVERY_KIND, v1 * 2, v2 * 2) is None
    monkeypatch.setattr(aligned, "_MOST_DIFFERING_ROWS", ROWS)
    assert read_aligned(EVERY_KIND, v1, v2) is not None
    monkeypatch.setattr(aligned, "_MOST_DIFFERING_ROWS", ROWS - 1)
    assert read_aligned(EVERY_KIND, v1, v2) is None


def test_null_and_nan_are_the_same(tmp_path) -> None:
    gaps = changed(RIGHT, [(2, ("price", np.nan))])
    v1 = write(EVERY_KIND, gaps, tmp_path / "1.parquet", keep_nan=True)
    v2 = write(EVERY_KIND, gaps, tmp_path / "2.parquet")
    assert read_aligned(EVERY_KIND, [v1], [v2]).columns == ()
