"""What is stored of a comparison of five-minute bars that were made by hand."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from setbull_pipelines.reconciliation.drill_down import bars, instrument_counts, windows
from setbull_pipelines.reconciliation.report import Findings
from setbull_pipelines.tables import CANDLES_5MIN
from setbull_pipelines_tests.reconciliation.partition_files import TRADING_DAY, compare_frames
from setbull_pipelines_tests.reconciliation.three_instruments import BAR, candles, files


def findings(folder: Path, v2: pd.DataFrame, read_by_v2: pd.DataFrame | None = None) -> Findings:
    """What is stored of five-minute bars, with five-minute bars as their input."""
    v1 = candles()
    comparison = compare_frames(folder, CANDLES_5MIN, v1, v2)
    output = files(folder / "output", CANDLES_5MIN, v1, v2)
    read = files(folder / "input", CANDLES_5MIN, v1, v1 if read_by_v2 is None else read_by_v2)
    return Findings(
        CANDLES_5MIN,
        TRADING_DAY,
        comparison.summary,
        comparison.columns,
        comparison.cells,
        comparison.diagnoses,
        instrument_counts(output, comparison.cells, TRADING_DAY),
        windows(output, [read], comparison.cells, TRADING_DAY, 2, BAR),
        bars(output, comparison.cells, comparison.diagnoses, TRADING_DAY, 3, 8),
        None,
    )
