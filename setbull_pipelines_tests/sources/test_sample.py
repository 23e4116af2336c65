"""The generated sample: the same every time, accepted whole, and with everything in it that it promises."""

from __future__ import annotations

import pkgutil
import weakref
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines import sources
from setbull_pipelines.market.instruments import isin_of
from setbull_pipelines.settings import SampleSettings
from setbull_pipelines.sources import Intake, take_in, taking_in
from setbull_pipelines.sources.raw_rows import RawRows
from setbull_pipelines.sources.sample import generate
from setbull_pipelines.tables import CANDLES_1MIN, CANDLES_DAILY_HISTORY
from setbull_pipelines_tests.moments import LATER


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("landing")


@pytest.fixture(scope="module")
def taken(landing: Path) -> Intake:
    return take_in(None, landing, SampleSettings(), LATER)


@pytest.fixture(scope="module")
def minutes(taken: Intake) -> pd.DataFrame:
    days = taken.load_days(taken.days("minutes")).values()
    return pd.concat([day.candles_1min for day in days], ignore_index=True)


@pytest.fixture(scope="module")
def daily(taken: Intake) -> pd.DataFrame:
    days = taken.load_days(taken.days("daily")).values()
    return pd.concat([day.candles_daily_history for day in days], ignore_index=True)


def test_the_same_settings_give_the_same_bytes(
    taken: Intake, landing: Path, tmp_path: Path
) -> None:
    take_in(None, tmp_path, SampleSettings(), LATER)
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.parquet"))
    # Of 15 sessions candles, coverage and rejected rows; the same of daily bars; two of each other kind.
    assert len(files) == 15 * 3 + 3 + 2 + 2
    for file in files:
        assert (tmp_path / file).read_bytes() == (landing / file).read_bytes()


def test_the_landing_is_named_by_every_module_that_makes_the_sample() -> None:
    generating = {
        f"{sources.__name__}.{module.name}"
        for module in pkgutil.iter_modules(sources.__path__)
        if module.name.startswith("sample")
    }
    assert {module.__name__ for module in taking_in._SAMPLE} == generating


def test_another_seed_gives_other_prices(minutes: pd.DataFrame, tmp_path: Path) -> None:
    other = take_in(None, tmp_path, SampleSettings(seed=1), LATER)
    day = other.days("minutes")[0]
    mine = minutes[minutes["trading_day"].dt.date == day]
    assert not other.load_day(day).candles_1min["close"].head(100).equals(mine["close"].head(100))


def test_every_row_is_accepted_and_labelled(
    taken: Intake, minutes: pd.DataFrame, daily: pd.DataFrame
) -> None:
    assert taken.files["source"].tolist() == [
        "generated sample: corporate_actions",
        "generated sample: daily",
        "generated sample: instruments",
        *(f"generated sample: minutes {day}" for day in taken.days("minutes")),
    ]
    assert taken.files["unassigned"].sum() == 0
    received = taken.files.groupby("kind")["received"].sum()
    assert received["minutes"] == len(minutes)
    assert received["daily"] == len(daily)
    assert set(minutes["source"]) == set(daily["source"]) == {"generated sample"}
    assert len(taken.days("daily")) == 280
    assert taken.days("minutes") == taken.days("daily")[-15:]
    CANDLES_1MIN.schema.validate(minutes)
    CANDLES_DAILY_HISTORY.schema.validate(daily)


def test_nobody_can_take_the_instruments_for_real_ones(taken: Intake) -> None:
    instruments = taken.instruments
    assert len(instruments) == 40
    assert instruments["name"].str.fullmatch(r"Generated \d\d").all()
    assert all(isin_of(key) is None for key in instruments["instrument_key"])
    assert instruments["isin"].isna().all()


def test_daily_bars_follow_from_the_minutes(minutes: pd.DataFrame, daily: pd.DataFrame) -> None:
    keys = ["instrument_key", "trading_day"]
    built = minutes.groupby(keys).agg(
        open=("open", "first"),
        high=("high", "max"),
        low=("low", "min"),
        last=("close", "last"),
        volume=("volume", "sum"),
    )
    official = daily.set_index(keys).loc[built.index]
    for name in ("open", "high", "low", "volume"):
        assert (official[name] == built[name]).all()
    beside = (official["close"] - built["last"]).abs()
    assert beside.max() < 0.0501
    assert beside.max() > 0


def test_prices_lie_on_the_tick(minutes: pd.DataFrame) -> None:
    prices = minutes[["open", "high", "low", "close"]].to_numpy()
    assert np.array_equal(prices, np.round(prices * 20) / 20)


def test_what_is_promised_is_in_it(minutes: pd.DataFrame, daily: pd.DataFrame) -> None:
    untraded = minutes[minutes["volume"] == 0]
    assert len(untraded) > 1000
    assert (untraded["high"] == untraded["low"]).all()
    previous = minutes.groupby(["instrument_key", "trading_day"])["close"].shift()
    assert (untraded["close"] == previous[untraded.index])[
        previous[untraded.index].notna()
    ].mean() > 0.99

    sessions = minutes.groupby(["instrument_key", "trading_day"]).size()
    assert sessions.max() == 375
    assert (sessions == 363).sum() + (sessions < 363).sum() >= 15

    first_days = daily.groupby("instrument_key")["trading_day"].min()
    assert (first_days > first_days.min()).sum() == 1

    by_key = daily.sort_values(["instrument_key", "timestamp"]).groupby("instrument_key")
    jump = daily["open"] / by_key["close"].shift()
    assert ((jump > 0.18) & (jump < 0.22)).sum() == 1
    assert ((jump < 0.8) | (jump > 1.25)).sum() == 1

    in_minutes = daily["trading_day"].isin(minutes["trading_day"])
    flat = daily[in_minutes & (daily["high"] == daily["low"]) & (daily["volume"] > 0)]
    assert len(flat) == 1
    locked = minutes[
        (minutes["instrument_key"] == flat["instrument_key"].item())
        & (minutes["trading_day"] == flat["trading_day"].item())
    ]
    assert set(locked["close"]) == {flat["close"].item()}

    volume = minutes.groupby(minutes["timestamp"].dt.strftime("%H:%M"))["volume"].mean()
    assert volume["09:15"] > 2 * volume["12:30"]
    assert volume["15:28"] > 1.5 * volume["12:30"]


def test_there_are_stocks_for_every_filter_stage(daily: pd.DataFrame) -> None:
    last = daily[daily["trading_day"] == daily["trading_day"].max()]
    assert (last["close"] < 50).any()
    assert (last["close"] > 1000).any()
    recent = daily[daily["trading_day"].isin(sorted(daily["trading_day"].unique())[-21:])]
    average = recent.groupby("instrument_key")["volume"].mean()
    assert (average < 400_000).any()
    assert (average > 400_000).sum() > 20
    rise = (recent["close"] / recent["open"] - 1) * 100
    fall = (recent["open"] / recent["close"] - 1) * 100
    assert ((rise > 5).groupby(recent["instrument_key"]).sum() >= 5).sum() >= 3
    assert ((fall > 3).groupby(recent["instrument_key"]).sum() >= 5).sum() >= 3


def test_the_smallest_sample_and_an_evening_session_work(tmp_path: Path) -> None:
    small = SampleSettings(
        instruments=12, daily_sessions=20, minute_sessions=3, last_day="2024-11-02"
    )
    taken = take_in(None, tmp_path, small, LATER)
    muhurat = taken.load_day(taken.days("minutes")[-1]).candles_1min
    assert muhurat["timestamp"].dt.strftime("%Y-%m-%d %H:%M").min() == "2024-11-01 18:00"
    assert muhurat.groupby("instrument_key").size().max() == 60


def test_minutes_of_a_larger_exchange_do_not_depend_on_how_many_sessions_are_asked(
    tmp_path: Path,
) -> None:
    def candle_files(name: str, sessions: int) -> dict[str, bytes]:
        settings = SampleSettings(instruments=300, daily_sessions=30, minute_sessions=sessions)
        taken = take_in(None, tmp_path / name, settings, LATER)
        assert taken.instruments["instrument_key"].nunique() == 300
        folders = {str(day): f"*-minutes-{day}-*" for day in taken.days("minutes")}
        return {
            day: next((tmp_path / name).glob(pattern)).joinpath("candles.parquet").read_bytes()
            for day, pattern in folders.items()
        }

    one, two, again = candle_files("a", 1), candle_files("b", 2), candle_files("c", 2)
    assert list(one) == list(two)[1:] == ["2026-06-30"]
    assert one.items() < two.items()
    assert two == again


def test_the_minutes_of_sessions_are_held_one_at_a_time() -> None:
    settings = SampleSettings(instruments=12, daily_sessions=20, minute_sessions=4)
    taken: list[weakref.ref] = []
    alive: list[int] = []

    def take_minutes(day: date, rows: RawRows) -> None:
        taken.append(weakref.ref(rows))
        alive.append(sum(reference() is not None for reference in taken))

    generate(settings, take_minutes)
    assert alive == [1, 1, 1, 1]
