"""Rules about computed tables, on cases that a tampered run does not show."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.quality.computed import rules
from setbull_pipelines.settings import QualitySettings, Settings
from setbull_pipelines.warehouse.store import StoredTable

DAY = pd.Timestamp("2025-06-03")
CANDLES, RESULTS = (
    StoredTable("v1", table) for table in (tables.CANDLES_DAILY, tables.FILTER_RESULTS)
)
OFFICIAL = {"open": 100.0, "high": 110.0, "low": 90.0, "close": 105.0, "volume": 1_000}


def rule(name: str, table: StoredTable):
    (found,) = (rule for rule in rules("v1") if rule.name == name and rule.table == table)
    return found


def both_series(**minutes: float) -> dict[str, pd.DataFrame]:
    rows = [
        {"instrument_key": "NSE_EQ|A", "series": "exchange", **OFFICIAL},
        {"instrument_key": "NSE_EQ|A", "series": "minutes", **OFFICIAL, **minutes},
    ]
    return {CANDLES.name: pd.DataFrame(rows)}


@pytest.mark.parametrize(
    ("column", "within", "beyond"),
    [
        ("open", 100.9, 101.1),  # 1 %
        ("high", 109.5, 109.4),  # 0.5 %
        ("low", 90.4, 90.5),  # 0.5 %
        ("close", 106.0, 106.1),  # 1 %
        ("volume", 950, 949),  # 5 %
    ],
)
def test_every_column_has_its_own_limit(column: str, within: float, beyond: float) -> None:
    agree = rule("series_agree", CANDLES)
    assert not agree.is_error
    near = agree.judge(both_series(**{column: within}), DAY, Settings())
    assert near.passed, near.description
    far = agree.judge(both_series(**{column: beyond}), DAY, Settings())
    assert not far.passed
    apart = {name: count for name, count in far.metadata.items() if name.endswith("apart")}
    assert apart == {f"{name} apart": int(name == column) for name in OFFICIAL}
    assert far.metadata[f"largest {column} difference"] == pytest.approx(
        abs(beyond / OFFICIAL[column] - 1)
    )
    wider = Settings(quality=QualitySettings(**{f"daily_{column}_difference": 0.06}))
    assert agree.judge(both_series(**{column: beyond}), DAY, wider).passed


def test_shares_where_the_exchange_has_none_are_apart_and_none_on_both_sides_are_not() -> None:
    agree = rule("series_agree", CANDLES)
    frames = both_series()
    frames[CANDLES.name]["volume"] = [0, 5]
    assert agree.judge(frames, DAY, Settings()).metadata["volume apart"] == 1
    frames[CANDLES.name]["volume"] = [0, 0]
    assert agree.judge(frames, DAY, Settings()).passed


@pytest.mark.parametrize(("stale", "passed"), [(0, True), (24, True), (25, False), (100, False)])
def test_a_day_is_stale_when_a_quarter_of_the_instruments_have_no_bar(
    stale: int, passed: bool
) -> None:
    reason = "data is stale: expected 2025-06-03, have 2025-06-02"
    frame = pd.DataFrame(
        {
            "instrument_key": [f"NSE_EQ|{number}" for number in range(100)],
            "series": [None] * stale + ["exchange"] * (100 - stale),
            "reason": [reason] * stale + ["anything"] * (100 - stale),
        }
    )
    not_stale = rule("not_stale", RESULTS)
    verdict = not_stale.judge({RESULTS.name: frame}, DAY, Settings())
    assert not_stale.is_error
    assert verdict.passed is passed
    assert verdict.metadata["stale"] == stale
    assert (reason in verdict.description) is (stale > 0)
