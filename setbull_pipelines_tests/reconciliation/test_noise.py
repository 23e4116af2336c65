"""A noise floor is recorded with a result; above the tolerance it takes a pass away, and never a divergence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.reconciliation.compare import Comparison
from setbull_pipelines.reconciliation.noise import measured, with_noise
from setbull_pipelines.reconciliation.report import markdown_noise, markdown_summary
from setbull_pipelines.tables import SEQUENCES, Table
from setbull_pipelines.tables.contract import RELATIVE, Column, Kind
from setbull_pipelines.tables.reconciliation import (
    DIVERGED,
    NOT_COMPARABLE,
    PASS,
    RECONCILIATION_SUMMARY,
)
from setbull_pipelines_tests.reconciliation.partition_files import compare_frames

NUMBERS = Table(
    name=SEQUENCES.name,
    description="One float column with a relative tolerance of 1e-9.",
    schemas=("v1", "v2"),
    key=("instrument_key",),
    columns=(
        Column("instrument_key", Kind.TEXT, "Instrument"),
        Column("mean", Kind.FLOAT, "Mean", tolerance=RELATIVE),
    ),
)
ONE_FLOAT = 4.0 * 2**-52
"""The distance from 4.0 to the next float."""


def compared(folder: Path, *differences: float) -> Comparison:
    """Two rows of 4.0 in V1, and in V2 the same plus ``differences``."""
    v1 = pd.DataFrame({"instrument_key": ["a", "b"], "mean": 4.0})
    v2 = v1.assign(mean=v1["mean"] + np.array(differences))
    return compare_frames(folder, NUMBERS, NUMBERS.conform(v1), NUMBERS.conform(v2))


def test_the_largest_differences_and_all_cells_are_recorded(tmp_path: Path) -> None:
    floor = measured(compared(tmp_path / "noise", 0.0, ONE_FLOAT))
    found = with_noise(compared(tmp_path / "result", 0.0, 0.0), floor)
    RECONCILIATION_SUMMARY.schema.validate(found.summary)
    row = found.summary.iloc[0]
    assert row["noise_floor_cells"] == 2
    assert row["noise_floor_relative"] == pytest.approx(2**-52, rel=1e-9)
    assert row["noise_floor_ulp"] == 1
    assert (found.state, row["state"]) == (PASS, PASS)
    assert "difference 2.22e-16, ULP 1 (2 cells)" in markdown_noise(found.summary)
    assert "| 2.22e-16 |" in markdown_summary(found.summary)


def test_what_was_not_measured_is_null_and_says_so(tmp_path: Path) -> None:
    result = compared(tmp_path, 0.0, 0.0)
    found = with_noise(result, None)
    assert found.summary[["noise_floor_cells", "noise_floor_relative"]].isna().all(axis=None)
    assert markdown_noise(found.summary) == "Noise floor: not measured."
    nothing = compare_frames(tmp_path / "empty", NUMBERS, NUMBERS.empty(), NUMBERS.empty())
    assert measured(nothing) is None


@pytest.mark.parametrize(
    ("difference", "state"), [(0.0, NOT_COMPARABLE), (ONE_FLOAT, NOT_COMPARABLE), (1.0, DIVERGED)]
)
def test_above_the_tolerance_it_takes_a_pass_and_leaves_a_divergence(
    tmp_path: Path, difference: float, state: str
) -> None:
    floor = measured(compared(tmp_path / "noise", 0.0, 1e-6))
    found = with_noise(compared(tmp_path / "result", difference, 0.0), floor)
    RECONCILIATION_SUMMARY.schema.validate(found.summary)
    assert (found.state, found.summary.at[0, "state"]) == (state, state)
    assert found.reason == found.summary.at[0, "reason"]
    assert "V1 computed in another order differs from itself: 1 of 2 cells differ" in found.reason
