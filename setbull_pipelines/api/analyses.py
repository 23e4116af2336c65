"""The sequence analysis of a stock under the names of the replaced system, with its runs and their days.

Belongs here: names of JSON values. Does not belong here: which stocks (``filters.py``), the analysis (``variants/``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from setbull_pipelines.pipeline.shown import rounded

Row = Mapping[str, Any]


def analysis_of(
    row: Row, stock: Row, runs: Sequence[Row], moves: Sequence[Row]
) -> dict[str, object]:
    """A row of ``sequence_analysis`` with those of ``sequences`` and ``moves_daily`` behind it, which may be gone."""
    sequences = [_run(each, moves) for each in runs]
    current = {"Type": row["current_kind"], "Length": row["current_length"]}
    return {
        "Stock": stock,
        "Trend": {
            "Type": row["trend"],
            "AboveEMACount": row["days_above_ema"],
            "BelowEMACount": row["days_below_ema"],
            "TrendPercentage": two_decimals(row["trend_percent"]),
            "EMAValues": [two_decimals(move["ema_50"]) for move in moves] or None,
            "StartDate": row["start_day"],
            "EndDate": row["end_day"],
        },
        "MambaSequences": numbers(row["mamba_series"]),
        "NonMambaSequences": numbers(row["non_mamba_series"]),
        "AverageMambaLen": two_decimals(row["average_mamba_length"]),
        "AverageNonMambaLen": two_decimals(row["average_non_mamba_length"]),
        "CurrentSequence": sequences[-1] if sequences else dict.fromkeys(_RUN_NAMES) | current,
        "TotalMambaDays": row["mamba_days"],
        "TotalNonMambaDays": row["non_mamba_days"],
        "Sequences": sequences or None,
    }


_RUN_NAMES = ("Type", "Length", "StartDate", "EndDate", "Moves", "Strength")


def _run(row: Row, moves: Sequence[Row]) -> dict[str, object]:
    inside = [
        _move(move) for move in moves if row["start_day"] <= move["move_day"] <= row["end_day"]
    ]
    values = (row["kind"], row["length"], row["start_day"], row["end_day"], inside)
    return dict(zip(_RUN_NAMES, (*values, two_decimals(row["strength"])), strict=True))


def _move(row: Row) -> dict[str, object]:
    """One day, in prices of the day of the analysis."""
    is_mamba, is_bullish = bool(row["is_mamba"]), bool(row["is_bullish"])
    return {
        "Date": row["move_day"],
        "PriceChange": two_decimals(row["move_percent"]),
        "OpenPrice": two_decimals(row["open"]),
        "HighPrice": two_decimals(row["high"]),
        "LowPrice": two_decimals(row["low"]),
        "ClosePrice": two_decimals(row["close"]),
        "Volume": row["volume"],
        "IsMamba": is_mamba,
        "IsBullishMamba": is_mamba and is_bullish,
        "IsBearishMamba": is_mamba and not is_bullish,
        "IsBullish": is_bullish,
        "MoveStrength": two_decimals(row["mamba_strength"]),
    }


def numbers(text: str | None) -> list[int] | None:
    """A list of lengths; null for none and for an empty one, as it always was."""
    return json.loads(text) or None if text else None


def two_decimals(value: float | None) -> float | None:
    """As prices of candles are rounded."""
    return None if value is None else float(rounded(np.asarray(value), 2))
