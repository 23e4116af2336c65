"""Rules about computed tables, on cases that a tampered run does not show."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.market.session_table import CLOSING_AUCTION, FULL, SHAPE_NOT_KNOWN
from setbull_pipelines.quality.computed import rules
from setbull_pipelines.settings import QualitySettings, Settings
from setbull_pipelines.warehouse.pointers import StoredTable

DAY = pd.Timestamp("2025-06-03")
CANDLES, RESULTS = (
    StoredTable("v1", table) for table in (tables.CANDLES_DAILY, tables.FILTER_RESULTS)
)
OFFICIAL = {"open": 100.0, "high": 110.0, "low": 90.0, "close": 105.0, "volume": 1_000}


def rule(name: str, table: StoredTable):
    (found,) = (rule for rule in rules("v1") if rule.name == name and rule.table == table)
    return found


def both_series(shape: str = FULL, **minutes: float) -> dict[str, pd.DataFrame]:
    rows = [
        {"instrument_key": "NSE_EQ|A", "series": "exchange", **OFFICIAL},
        {"instrument_key": "NSE_EQ|A", "series": "minutes", **OFFICIAL, **minutes},
    ]
    shapes = pd.DataFrame({"instrument_key": ["NSE_EQ|A"], "session_shape": [shape]})
    return {CANDLES.name: pd.DataFrame(rows), "raw.candles_1min": shapes}


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


def test_the_instrument_that_is_furthest_apart_is_named() -> None:
    """The close of the first is 5 % off, that of the second 10 %."""
    close = OFFICIAL["close"]
    first, second = both_series(close=close * 1.05), both_series(close=close * 1.10)
    other = second[CANDLES.name].assign(instrument_key="NSE_EQ|B")
    frames = first | {CANDLES.name: pd.concat([first[CANDLES.name], other], ignore_index=True)}
    verdict = rule("series_agree", CANDLES).judge(frames, DAY, Settings())
    assert "close 2 (limit 1.00%, largest 10.00% of NSE_EQ|B)" in verdict.description
    assert "open 0 (limit 1.00%, largest 0.00%)" in verdict.description


def test_shares_where_the_exchange_has_none_are_apart_and_none_on_both_sides_are_not() -> None:
    agree = rule("series_agree", CANDLES)
    frames = both_series()
    frames[CANDLES.name]["volume"] = [0, 5]
    assert agree.judge(frames, DAY, Settings()).metadata["volume apart"] == 1
    frames[CANDLES.name]["volume"] = [0, 0]
    assert agree.judge(frames, DAY, Settings()).passed


@pytest.mark.parametrize("volumes", [[None, 5], [5, None], [None, None]])
def test_a_volume_that_is_not_known_is_held_against_nothing(volumes: list[int | None]) -> None:
    frames = both_series()
    frames[CANDLES.name]["volume"] = pd.array(volumes, dtype="Int64")
    verdict = rule("series_agree", CANDLES).judge(frames, DAY, Settings())
    assert verdict.passed
    assert verdict.metadata["largest volume difference"] == 0


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


AUCTION_DAY = pd.Timestamp("2026-08-03")


@pytest.mark.parametrize(
    ("column", "within", "beyond"),
    [("high", 106.8, 106.6), ("low", 92.6, 92.8), ("close", 108.1, 108.2), ("volume", 750, 749)],
)
def test_a_closing_auction_widens_the_limits_of_what_it_moves(
    column: str, within: float, beyond: float
) -> None:
    agree = rule("series_agree", CANDLES)
    for shape in (CLOSING_AUCTION, SHAPE_NOT_KNOWN):
        assert agree.judge(both_series(shape, **{column: within}), AUCTION_DAY, Settings()).passed
        far = agree.judge(both_series(shape, **{column: beyond}), AUCTION_DAY, Settings())
        assert far.metadata[f"{column} apart"] == 1
        assert far.metadata["limits of the closing auction"] == 1
        earlier = agree.judge(both_series(shape, **{column: within}), DAY, Settings())
        assert earlier.metadata[f"{column} apart"] == 1
    full = agree.judge(both_series(FULL, **{column: within}), AUCTION_DAY, Settings())
    assert full.metadata[f"{column} apart"] == 1


def test_the_open_of_a_stock_with_a_closing_auction_has_the_usual_limit() -> None:
    agree = rule("series_agree", CANDLES)
    frames = both_series(CLOSING_AUCTION, open=101.1)
    assert agree.judge(frames, AUCTION_DAY, Settings()).metadata["open apart"] == 1
