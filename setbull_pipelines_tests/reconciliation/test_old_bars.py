"""Old five-minute bars against V1: what the old code left is told with its cause, what it did right is equal."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.reconciliation import old_bars
from setbull_pipelines.reconciliation.old_bars import compare_bars
from setbull_pipelines.reconciliation.old_finding import UNKNOWN, Finding, by_cause
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.variants import V1
from setbull_pipelines_tests.reconciliation.random_minutes import BEFORE, KEYS, TODAY, minutes_of
from setbull_pipelines_tests.sources.legacy.old_system import old_five_minutes


@pytest.fixture(scope="module")
def market() -> dict[str, pd.DataFrame]:
    minutes = pd.concat([minutes_of(BEFORE, 1), minutes_of(TODAY, 2)], ignore_index=True)
    candles = V1.to_5min(minutes)
    return {
        "minutes": minutes,
        "candles": candles,
        "indicators": V1.indicators(candles, "5minute"),
        "old": as_exported(old_five_minutes(minutes)),
    }


def as_exported(rows: list[dict]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    frame["moment"] = pd.DatetimeIndex(frame["timestamp"]).tz_localize(INDIA)
    return frame


def on(frame: pd.DataFrame, day: pd.Timestamp, column: str = "trading_day") -> pd.DataFrame:
    return frame[frame[column].dt.tz_localize(None).dt.normalize() == day].reset_index(drop=True)


def held(market: dict[str, pd.DataFrame], old: pd.DataFrame, day: pd.Timestamp) -> Finding:
    return compare_bars(
        old,
        on(market["candles"], day),
        on(market["indicators"], day),
        on(market["candles"], BEFORE) if day > BEFORE else market["candles"].iloc[:0],
        on(market["minutes"], day),
    )


def causes(finding: Finding) -> dict[str, set[str]]:
    found = finding.all_differences
    return {column: set(own["cause"]) for column, own in found.groupby("column")}


def test_every_difference_of_a_day_of_the_old_store_path_has_its_cause(
    market: dict[str, pd.DataFrame],
) -> None:
    finding = held(market, on(market["old"], TODAY, "moment"), TODAY)
    found = causes(finding)
    assert found == {
        **{f"ema_{period}": {old_bars.EMA_START} for period in (20, 50)},
        "ma_9": {old_bars.AHEAD},
        "rsi": {old_bars.RS},
        "atr": {old_bars.HIGH_LOW},
        "vwap": {old_bars.VWAP_AHEAD},
        # The 15:30 bucket takes nothing of the 15:25 bar away, and the bands are those of V1.
    }
    rows = 75 * len(KEYS)
    assert finding.cells == rows * (6 + len(old_bars.INDICATORS))
    assert finding.equal == finding.cells - len(finding.all_differences)
    for column in ("ma_9", "rsi", "atr", "vwap"):
        assert (finding.all_differences["column"] == column).sum() > 0.9 * rows


def test_the_first_morning_was_blanked_and_counted_twice(market: dict[str, pd.DataFrame]) -> None:
    finding = held(market, on(market["old"], BEFORE, "moment"), BEFORE)
    found = finding.all_differences
    assert set(found["cause"]) - {old_bars.UNKNOWN_AS_ZERO} == {
        *(old_bars.DOUBLED, old_bars.EMA_START, old_bars.AHEAD, old_bars.RS),
        *(old_bars.HIGH_LOW, old_bars.VWAP_AHEAD),
    }
    blank = found[found["cause"] == old_bars.UNKNOWN_AS_ZERO]
    assert set(blank["column"]) >= {"ema_5", "atr", "vwap", "ma_9"}
    doubled = found[found["cause"] == old_bars.DOUBLED]
    assert set(doubled["column"]) == {"volume"}
    assert 30 <= len(doubled) <= 2 * 20


def tampered(market: dict[str, pd.DataFrame], column: str, change) -> set[str]:
    """The causes of one column of rows that are V1's own but for a change of that column."""
    day = on(market["candles"], TODAY).merge(
        on(market["indicators"], TODAY), on=["instrument_key", "timestamp", "trading_day"]
    )
    old = day.assign(moment=day["timestamp"], active="1")
    old[column] = change(old)
    digits = dict.fromkeys(old_bars.INDICATORS, 4) | dict.fromkeys(old_bars.PRICES, 2)
    for name, kept in digits.items():
        old[name] = old[name].map(lambda value, kept=kept: f"{value:.{kept}f}")
    return causes(held(market, old, TODAY)).get(column, set())


@pytest.mark.parametrize(
    ("column", "change", "cause"),
    [
        (
            "bb_upper",
            lambda old: old["bb_middle"] + old["bb_width"] / 2 * np.sqrt(20 / 19),
            "SAMPLE",
        ),
        (
            "bb_lower",
            lambda old: old["bb_middle"] - old["bb_width"] / 2 * np.sqrt(20 / 19),
            "SAMPLE",
        ),
        ("bb_width", lambda old: old["bb_width"] / old["bb_middle"], "RATIO"),
        ("bb_width_normalized_percentage", lambda old: old["bb_width"] * 0, "UNKNOWN_AS_ZERO"),
        ("open_interest", lambda old: 7, "unknown"),
        ("ema_5", lambda old: old["ema_5"] * 1.01, "unknown"),
        ("close", lambda old: old["close"] + 0.01, "unknown"),
        ("volume", lambda old: old["volume"] + 1, "unknown"),
        ("vwap", lambda old: old["vwap"] + 5, "unknown"),
    ],
)
def test_a_cause_is_named_only_where_it_gives_the_value(
    column: str, change, cause: str, market: dict[str, pd.DataFrame]
) -> None:
    expected = UNKNOWN if cause == "unknown" else getattr(old_bars, cause, cause)
    assert tampered(market, column, change) == {expected}


def test_open_interest_that_nobody_stated_was_written_as_0(market: dict[str, pd.DataFrame]) -> None:
    nothing = {
        name: market[name].assign(open_interest=pd.array([pd.NA] * len(market[name]), "Int64"))
        for name in ("candles", "minutes")
    }
    assert tampered(market | nothing, "open_interest", lambda old: 0) == {old_bars.OI_ZERO}
    assert tampered(market | nothing, "open_interest", lambda old: 7) == {UNKNOWN}


@pytest.mark.parametrize(("paise", "is_partial"), [(0, True), (4, False)])
def test_a_bar_is_of_its_first_minute_to_the_paisa(
    market: dict[str, pd.DataFrame], paise: int, is_partial: bool
) -> None:
    minutes = on(market["minutes"], TODAY)
    first = minutes[minutes["timestamp"].dt.strftime("%H:%M") == "11:00"]
    prices = {name: first[name] for name in ("open", "high", "low", "close", "volume")}
    bars = first[["instrument_key"]].assign(moment=first["timestamp"], active="1", **prices)
    bars["open"] += paise / 100
    found = held(market, bars, TODAY).all_differences
    found = found[found["column"] == "volume"]
    assert len(found) == len(KEYS)
    assert set(found["cause"]) == {old_bars.PARTIAL if is_partial else UNKNOWN}


def test_what_is_equal_to_the_kept_digits_is_no_difference(market: dict[str, pd.DataFrame]) -> None:
    assert tampered(market, "rsi", lambda old: old["rsi"] + 1e-9) == set()


def test_rows_that_one_side_lacks_are_told(market: dict[str, pd.DataFrame]) -> None:
    old = on(market["old"], TODAY, "moment")
    old = old[old["instrument_key"] == KEYS[0]].iloc[:-2]
    late = old.iloc[:1].assign(moment=pd.Timestamp(datetime(2025, 6, 3, 15, 40), tz=INDIA))
    shifted = old.iloc[:1].assign(moment=pd.Timestamp(datetime(2025, 6, 3, 3, 45), tz=INDIA))
    gone = old.iloc[5:6].assign(active="0")
    rows = pd.concat([old.drop(index=old.index[5]), late, shifted, gone])
    found = held(market, rows, TODAY).all_differences
    of_rows = found[found["column"] == "row"]
    in_old = of_rows["cause"].str.contains("outside|zone")
    assert of_rows["old"].notna().tolist() == in_old.tolist()
    assert of_rows["v1"].isna().tolist() == in_old.tolist()
    counted = of_rows["cause"].value_counts().to_dict()
    assert counted == {
        "a bar outside the session (row 45)": 1,
        "wall-clock time was read in another zone (row 32, D40)": 1,
        "the old system stored other bars of this day only (row 38, D6)": 3,
        "the day was not aggregated (D8)": 75,
    }


@pytest.mark.parametrize(
    ("clock", "cause"),
    [
        ("03:44", "outside the session"),
        ("03:45", "another zone"),
        ("09:14", "another zone"),
        ("09:15", "not imported"),
        ("15:29", "not imported"),
        ("15:30", "outside the session"),
    ],
)
def test_a_bar_that_v1_lacks_is_judged_by_the_minute_at_which_it_begins(
    clock: str, cause: str, market: dict[str, pd.DataFrame]
) -> None:
    at = pd.Timestamp(f"2025-06-03T{clock}", tz=INDIA)
    rows = on(market["old"], TODAY, "moment").iloc[:1].assign(instrument_key="X", moment=at)
    (found,) = held(market, rows, TODAY).all_differences.query("instrument_key == 'X'")["cause"]
    assert cause in found


def test_why_v1_has_no_bar_follows_from_its_minutes(market: dict[str, pd.DataFrame]) -> None:
    at = pd.Timestamp(datetime(2025, 6, 3, 10, 0), tz=INDIA)
    rows = on(market["old"], TODAY, "moment")
    rows = rows[(rows["instrument_key"] == KEYS[0]) & (rows["moment"] == at)]
    rows = pd.concat([rows, rows.assign(instrument_key=KEYS[1]), rows.assign(instrument_key="X")])
    of_other = market["minutes"]["instrument_key"] == KEYS[1]
    volumes = market["minutes"]["volume"].mask(of_other, 0)
    without = market | {
        "candles": market["candles"].iloc[:0],
        "minutes": market["minutes"].assign(volume=volumes),
    }
    found = held(without, rows.drop(columns="active", errors="ignore"), TODAY).all_differences
    assert found.set_index("instrument_key")["cause"].to_dict() == {
        KEYS[0]: "a bar that V1 makes none of: its minutes have no trade or are not there",
        KEYS[1]: "a bar of minutes without a trade, which V1 leaves out",
        "X": "its minutes were not imported or are in quarantine",
    }


def test_a_column_that_the_old_table_lacks_is_not_compared(
    market: dict[str, pd.DataFrame],
) -> None:
    old = on(market["old"], TODAY, "moment")
    whole = held(market, old, TODAY)
    without = held(market, old.drop(columns="rsi"), TODAY)
    assert whole.cells - without.cells == 75 * len(KEYS)
    assert causes(without) == {
        column: found for column, found in causes(whole).items() if column != "rsi"
    }


def test_the_last_bar_of_a_run_is_known_by_its_first_minute(
    market: dict[str, pd.DataFrame],
) -> None:
    minutes = market["minutes"]
    until = minutes["timestamp"] <= pd.Timestamp("2025-06-03T11:00", tz=INDIA)
    old = as_exported(old_five_minutes(minutes[until]))
    found = held(market, on(old, TODAY, "moment"), TODAY).all_differences
    partial = found[found["cause"] == old_bars.PARTIAL]
    assert set(partial["at"]) == {"2025-06-03 11:00:00+05:30"}
    assert "volume" in set(partial["column"])


def test_differences_are_counted_by_cause(market: dict[str, pd.DataFrame]) -> None:
    found = held(market, on(market["old"], TODAY, "moment"), TODAY).all_differences
    counted = by_cause(found)
    assert counted["cells"].sum() == len(found)
    rsi = counted[counted["column"] == "rsi"].iloc[0]
    assert rsi["cause"] == old_bars.RS
    assert float(rsi["old"]) < 10 < float(rsi["v1"])


def test_causes_are_in_the_order_of_tables_and_columns_and_the_most_cells_first() -> None:
    cells = [
        ("b", "low", "one"),
        ("a", "low", "one"),
        ("a", "high", "one"),
        ("a", "high", "two"),
        ("a", "high", "two"),
    ]
    found = pd.DataFrame(cells, columns=["table", "column", "cause"])
    found = found.assign(instrument_key="X", at=["1", "2", "3", "4", "5"], old="1", v1="2")
    counted = by_cause(found)
    told = counted[["table", "column", "cause", "cells", "first"]]
    assert list(told.itertuples(index=False, name=None)) == [
        ("a", "high", "two", 2, "X 4"),
        ("a", "high", "one", 1, "X 3"),
        ("a", "low", "one", 1, "X 2"),
        ("b", "low", "one", 1, "X 1"),
    ]
