"""The old system's filter results against V1's, row by row and cell by cell, each difference with its cause.

Belongs here: which rule of the old chain would decide otherwise. Does not belong here: counting (``old_finding.py``),
reading tables.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pandas as pd

from setbull_pipelines.reconciliation.old_finding import UNKNOWN, Finding, differences
from setbull_pipelines.tables.filters import PASSING_VERDICTS

TABLE = "filtered_stocks"
CELLS = {
    "trend": "trend",
    "current_price": "close",
    "mamba_count": "mamba_count",
    "bullish_mamba_count": "bullish_mamba_count",
    "bearish_mamba_count": "bearish_mamba_count",
    "avg_mamba_move": "average_mamba_length",
    "avg_non_mamba_move": "average_non_mamba_length",
    "mamba_series": "mamba_series",
    "non_mamba_series": "non_mamba_series",
}
"""Old column and V1's. The old averages are lengths in days, and the old series lists of lengths (D31)."""
_LISTS = ("mamba_series", "non_mamba_series")
_OLD_PRICES, _OLD_VOLUME = (20, 1500), 300_000

SIDE = "the side of the trend was stored, whatever the EMA stage had said (D17)"
DATE = "the filter date is that of a later day (D19, D20)"
EMA = "EMA 50 was made of 60 bars: its start weighs 64 % (D14)"
RSI = "RSI was made of 25 bars (D14), and no value of it was ever rejected (D16)"
BASIC = "the limits of the constructor: 20 to 1,500 rupees, 300,000 shares"
MAMBA = "the mamba stage had other limits, or a trend by an EMA 50 of 60 bars (D14)"
NO_DATA = "V1 has not enough data"
TREND = "the trend was made with an EMA 50 of 60 bars (D14), and days count by the trend"


def compare_filters(
    old: pd.DataFrame, results: pd.DataFrame, results_before: pd.DataFrame
) -> Finding:
    """The old rows of one filter date against ``v1.filter_results`` of it; ``results_before`` of the session before.

    ``old`` has its columns as text.
    """
    old = old.drop_duplicates("instrument_key", keep="last").assign(at=old["trading_day"])
    results = results.set_index("instrument_key", drop=False)
    passing = results[results["verdict"].isin(PASSING_VERDICTS)]
    before = results_before.set_index("instrument_key")
    finding = Finding()
    only_old = old[~old["instrument_key"].isin(passing.index)]
    if len(only_old):
        verdicts = [results["verdict"].get(key, "no row") for key in only_old["instrument_key"]]
        causes = [
            _why_not(results.loc[key] if key in results.index else None)
            for key in only_old["instrument_key"]
        ]
        finding.differences.append(
            differences(TABLE, only_old, "row", only_old["trend"], verdicts, causes)
        )
    only_v1 = passing[~passing["instrument_key"].isin(old["instrument_key"])]
    if len(only_v1):
        rows = only_v1.assign(at=str(old["trading_day"].iloc[0]))
        empty = [None] * len(rows)
        finding.differences.append(differences(TABLE, rows, "row", empty, rows["verdict"], UNKNOWN))
    both = old[old["instrument_key"].isin(passing.index)]
    finding.equal += len(both)
    finding.cells += len(only_old) + len(only_v1) + len(both)
    for row in both.to_dict("records"):
        v1 = passing.loc[row["instrument_key"]]
        earlier = (
            before.loc[row["instrument_key"]] if row["instrument_key"] in before.index else None
        )
        for column, own in CELLS.items():
            if column not in row:
                continue
            finding.cells += 1
            if _equal(column, row[column], v1[own]):
                finding.equal += 1
                continue
            cause = _why(column, row, v1, earlier)
            rows = pd.DataFrame([row])
            finding.differences.append(
                differences(TABLE, rows, column, [row[column]], [v1[own]], [cause])
            )
    return finding


def _equal(column: str, old: Any, v1: Any) -> bool:  # cells of any column
    if column in _LISTS:
        return _lengths(old) == _lengths(v1)
    if column == "trend":
        return str(old).upper() == str(v1).upper()
    if pd.isna(old) or pd.isna(v1):
        return bool(pd.isna(old) and pd.isna(v1)) or (pd.isna(v1) and float(old) == 0)
    return abs(float(old) - float(v1)) <= 0.005000001


def _lengths(text: object) -> list[int] | str:
    """A JSON list, which the old system may have stored as base64 (D31); nothing is an empty list."""
    if text is None or pd.isna(text) or text in ("", "null"):
        return []
    for decode in (lambda found: found, lambda found: base64.b64decode(found, validate=True)):
        try:
            found = json.loads(decode(str(text)))
            return [] if found is None else [int(value) for value in found]
        except (ValueError, TypeError):
            continue
    return str(text)


def _why(column: str, old: dict, v1: pd.Series, earlier: pd.Series | None) -> str:
    if earlier is not None and _equal("current_price", old.get("current_price"), earlier["close"]):
        return DATE
    if column == "trend":
        return SIDE
    if not _equal("trend", old.get("trend"), v1["trend"]):
        return TREND
    return UNKNOWN


def _why_not(v1: pd.Series | None) -> str:
    """Why the old chain passed a stock that V1's does not."""
    if v1 is None:
        return "V1 has no row: its daily bars were not imported, or are in quarantine"
    if v1["verdict"] not in ("rejected",):
        return NO_DATA
    stage = v1["stopped_at"]
    if stage == "basic":
        lowest, highest = _OLD_PRICES
        within = lowest <= v1["close"] <= highest and v1["average_volume"] >= _OLD_VOLUME
        return BASIC if within else UNKNOWN
    return {"ema": EMA, "rsi": RSI, "mamba": MAMBA}.get(stage, UNKNOWN)
