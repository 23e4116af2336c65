"""Sources that lie, in files, through whole runs: told once, shown as they are, and never counted for V2.

Belongs here: one lie after another, each about the last session of the same small market. Does not belong here: the
rules by themselves (``quality/``), rows that are wrong by themselves (``sources/``).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.alerts.finding import Severity
from setbull_pipelines.alerts.ledger import DELIVERED, OPEN, RAISED, RECOVERED, Alert, Notice
from setbull_pipelines.cli.alerts import after_run
from setbull_pipelines.cli.days import choose_days
from setbull_pipelines.cli.run import Outcome, Runner
from setbull_pipelines.pipeline.alert_delivery import read_ledger
from setbull_pipelines.pipeline.opening import warehouse_root
from setbull_pipelines.pipeline.raw import read_sources
from setbull_pipelines.pipeline.rollout_log import read_log
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.rollout.controller import Verdict
from setbull_pipelines.rollout.log import LogRow
from setbull_pipelines.rollout.stages import Component
from setbull_pipelines.settings import (
    IndicatorSettings,
    LookBackSettings,
    ReconciliationSettings,
    RolloutSettings,
    SampleSettings,
    Settings,
)
from setbull_pipelines.sources.sample import generate
from setbull_pipelines.tables.columns import EXCHANGE
from setbull_pipelines.warehouse.pointers import UNASSIGNED, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

pytestmark = pytest.mark.scenario

SAMPLE = SampleSettings(instruments=12, daily_sessions=30, minute_sessions=3)
PRICES = ["open", "high", "low", "close"]


@dataclass(frozen=True)
class Delivery:
    """What a source delivers for the last session: minutes and daily bars."""

    minutes: pd.DataFrame
    daily: pd.DataFrame

    def each(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Delivery:
        return Delivery(change(self.minutes), change(self.daily))

    def but(self, keys: list[str]) -> Delivery:
        """Without these instruments."""
        return self.each(lambda rows: rows[~rows["instrument_key"].isin(keys)])

    def of(self, keys: list[str]) -> Delivery:
        return self.each(lambda rows: rows[rows["instrument_key"].isin(keys)])

    def and_also(self, other: Delivery) -> Delivery:
        return Delivery(
            pd.concat([self.minutes, other.minutes]), pd.concat([self.daily, other.daily])
        )

    def on(self, day: date) -> Delivery:
        """The same rows under another date."""

        def dated(rows: pd.DataFrame) -> pd.DataFrame:
            return rows.assign(timestamp=str(day) + rows["timestamp"].str[10:])

        return self.each(dated)


@dataclass(frozen=True)
class Market:
    """A data folder in which all sessions but the last have been run, with the files they were made of."""

    folder: Path
    days: tuple[date, ...]
    """The sessions with minutes."""
    deliveries: tuple[Delivery, ...]

    @property
    def settings(self) -> Settings:
        return Settings(
            data_directory=self.folder / "data",
            input=str(self.folder / "inbox"),
            indicators=IndicatorSettings(warm_margin_bars=10),
            look_back=LookBackSettings(sessions_5min=2, sessions_daily=25, sessions_moves=21),
            reconciliation=ReconciliationSettings(noise_instruments=0),
            rollout=RolloutSettings(minimum_instruments=3, minimum_rows=1, sessions_per_stage=1),
        )

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(warehouse_root(self.settings))

    @property
    def keys(self) -> list[str]:
        """Instruments with a bar in the last session, the most traded first."""
        daily = self.deliveries[-1].daily.sort_values("volume", ascending=False)
        return daily["instrument_key"].tolist()

    def copied(self, folder: Path) -> Market:
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder)

    def put(self, name: str, rows: pd.DataFrame) -> None:
        inbox = self.folder / "inbox"
        inbox.mkdir(parents=True, exist_ok=True)
        rows.to_csv(inbox / f"{name}.csv", index=False)

    def run(self, day: date) -> Outcome:
        """Run one session and tell of its alerts, as ``setbull run`` does."""
        settings = self.settings
        intake = read_sources(settings)
        asked = choose_days(intake.days("minutes"), intake.days("daily"), settings, day, day)
        with dg.DagsterInstance.ephemeral() as instance:
            runner = Runner(settings, instance)
            outcome = runner.run(asked)
            after_run(instance, runner.run_ids, settings)
        return outcome

    def judged(self, day: date) -> dict[Component, LogRow]:
        rows = [row for row in read_log(self.warehouse) if row.decision.session == day]
        return {row.decision.component: row for row in rows}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    minutes: dict[date, pd.DataFrame] = {}
    sample = generate(SAMPLE, lambda day, rows: minutes.update({day: rows.columns.to_pandas()}))
    daily = _texts(sample.daily.columns.to_pandas())
    days = tuple(minutes)
    deliveries = tuple(
        Delivery(_texts(rows), daily[daily["timestamp"] == str(day)])
        for day, rows in minutes.items()
    )
    made = Market(tmp_path_factory.mktemp("market"), days, deliveries)
    made.put("instruments", sample.instruments.columns.to_pandas())
    made.put("corporate_actions", sample.corporate_actions.columns.to_pandas())
    made.put("daily", daily[daily["timestamp"] < str(days[-1])])
    for day, delivery in zip(days[:-1], deliveries, strict=False):
        made.put(f"minutes {day}", delivery.minutes)
    outcome = made.run(days[-2])
    assert outcome.failed_checks == []
    return made


def _texts(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(
        instrument_key=rows["instrument_key"].astype(str), timestamp=rows["timestamp"].map(str)
    )


def wrong_instrument(market: Market) -> Delivery:
    one, other = market.keys[:2]
    true = market.deliveries[-1]
    swapped = true.of([one]).each(lambda rows: rows.assign(instrument_key=other))
    return true.but([other]).and_also(swapped)


def wrong_day(market: Market) -> Delivery:
    """Most of the session under the date of the Sunday before it."""
    true, sunday = market.deliveries[-1], date(2026, 6, 28)
    misdated = market.keys[4:]
    return true.but(misdated).and_also(true.of(misdated).on(sunday))


def times(factor: int, rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(**{name: (rows[name] * factor).round(2) for name in PRICES})


def prices_in_paise(market: Market) -> Delivery:
    return market.deliveries[-1].each(lambda rows: times(100, rows))


def prices_times_ten(market: Market) -> Delivery:
    return market.deliveries[-1].each(lambda rows: times(10, rows))


def one_in_paise_from_noon(market: Market) -> Delivery:
    true = market.deliveries[-1]
    late = (clock(true.minutes) >= "12:00") & (true.minutes["instrument_key"] == market.keys[0])
    rows = pd.concat([true.minutes[~late], times(100, true.minutes[late])])
    return Delivery(rows, true.daily)


def stale_day(market: Market) -> Delivery:
    return market.deliveries[-2].on(market.days[-1])


def stops_at_noon(market: Market) -> Delivery:
    true = market.deliveries[-1]
    return Delivery(true.minutes[clock(true.minutes) < "12:00"], true.daily)


def clock(rows: pd.DataFrame) -> pd.Series:
    return rows["timestamp"].str[11:16]


def filled_from_noon(market: Market) -> Delivery:
    """Every minute is there, those of the afternoon without volume and at the last price of the morning."""
    true = market.deliveries[-1]
    filled = true.minutes.copy()
    late = clock(filled) >= "12:00"
    last = filled[~late].groupby("instrument_key")["close"].last()
    for name in PRICES:
        filled.loc[late, name] = filled.loc[late, "instrument_key"].map(last)
    filled.loc[late, "volume"] = 0
    return Delivery(filled, true.daily)


def begins_at_ten(market: Market) -> Delivery:
    true = market.deliveries[-1]
    return Delivery(true.minutes[clock(true.minutes) >= "10:00"], true.daily)


def shrinks_to_a_third(market: Market) -> Delivery:
    return market.deliveries[-1].of(market.keys[: len(market.keys) // 3])


def half_of_the_minutes_feed(market: Market) -> Delivery:
    true = market.deliveries[-1]
    return Delivery(true.of(market.keys[::2]).minutes, true.daily)


@dataclass(frozen=True)
class Lie:
    tell: Callable[[Market], Delivery]
    asset: str
    check: str
    doubt: str
    """In the reason for which the session does not count."""
    quarantined: bool = False


LIES = {
    "wrong instrument": Lie(
        *(wrong_instrument, "served/candles_daily", "bars_are_own"),
        "have, to the last share, the bar of another",
    ),
    "wrong day": Lie(
        *(wrong_day, "v2/filter_results", "not_stale", "have no bar of the day"),
        quarantined=True,
    ),
    "prices x 100": Lie(
        *(prices_in_paise, "v2/candles_daily", "prices_in_one_unit"),
        "perhaps in paise",
    ),
    "prices x 10": Lie(
        *(prices_times_ten, "v2/candles_daily", "prices_in_one_unit"),
        "12 of 12 instruments jumped in one night",
    ),
    "one in paise from noon": Lie(
        *(one_in_paise_from_noon, "v2/candles_daily", "prices_in_one_unit"),
        "1 instruments have prices a hundredfold apart inside the day",
    ),
    "stale day": Lie(
        *(stale_day, "served/candles_daily", "bars_are_own"), "those of an earlier session"
    ),
    "stops at noon": Lie(
        *(stops_at_noon, "raw/candles_1min", "reaches_the_close"),
        "the feed stops before the close",
    ),
    "filled from noon": Lie(
        *(filled_from_noon, "raw/candles_1min", "reaches_the_close"),
        "no trade after 11:59 or about then",
    ),
    "begins at ten": Lie(
        *(begins_at_ten, "raw/candles_1min", "reaches_the_close"),
        "no trade from 09:15 to 09:59 or about then",
    ),
    "a third": Lie(
        *(shrinks_to_a_third, "v2/filter_results", "not_stale", "have no bar of the day")
    ),
    "half, of minutes alone": Lie(
        *(half_of_the_minutes_feed, "raw/candles_1min", "complete"),
        "6 of 12 instruments that had minutes in the 5 sessions before have none",
    ),
}


def delivered(market: Market, delivery: Delivery) -> None:
    day = market.days[-1]
    market.put(f"minutes {day}", delivery.minutes)
    market.put(f"daily {day}", delivery.daily)


def test_a_true_session_advances_v2(market: Market, tmp_path: Path) -> None:
    mine, day = market.copied(tmp_path / "market"), market.days[-1]
    delivered(mine, mine.deliveries[-1])
    outcome = mine.run(day)
    assert outcome.failed_checks == []
    found = {row.decision.verdict: row.decision.reason for row in mine.judged(day).values()}
    assert set(found) == {Verdict.ADVANCED}, found


def names(checks: Iterable[dg.AssetCheckEvaluation]) -> list[tuple[str, str]]:
    return [(check.asset_key.to_user_string(), check.check_name) for check in checks]


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_told_once_and_does_not_advance_v2(
    name: str, market: Market, tmp_path: Path
) -> None:
    lie, mine, day = LIES[name], market.copied(tmp_path / "market"), market.days[-1]
    delivered(mine, lie.tell(mine))
    outcome = mine.run(day)

    errors, warnings = names(outcome.failed_checks), names(outcome.warnings)
    assert [*errors, *warnings].count((lie.asset, lie.check)) == 1, (errors, warnings)
    # The run goes on to its end, and what the source said is there to be looked at.
    served = mine.warehouse.read(served_table(tables.FILTER_RESULTS), [str(day)])
    assert len(served) > 0
    misdated = mine.warehouse.read(StoredTable("raw", tables.QUARANTINE), [UNASSIGNED])
    assert bool(len(misdated)) == lie.quarantined
    assert (("raw/intake", "closed_days_untraded") in warnings) == lie.quarantined

    rows = mine.judged(day)
    assert set(rows) == set(Component)
    for row in rows.values():
        assert row.decision.verdict is Verdict.HELD
        assert row.decision.to_stage is row.decision.from_stage
        assert lie.doubt in row.decision.reason

    (alert,) = alerts_of(lie, mine)
    assert alert.asset == lie.asset
    is_error = (lie.asset, lie.check) in errors
    assert alert.severity is (Severity.ERROR if is_error else Severity.WARNING)
    assert alert.trading_day == day
    (notice,) = notices_of(alert, mine)
    assert (notice.channel, notice.event, notice.state) == ("log", RAISED, DELIVERED)
    mine.run(day)
    (again,) = alerts_of(lie, mine)
    assert (again.number, again.state) == (alert.number, OPEN)
    assert notices_of(alert, mine) == [notice]


def test_a_lie_that_is_taken_back_ends_its_alert_and_leaves_no_price(
    market: Market, tmp_path: Path
) -> None:
    lie, mine, day = LIES["prices x 10"], market.copied(tmp_path / "market"), market.days[-1]
    delivered(mine, lie.tell(mine))
    mine.run(day)
    delivered(mine, mine.deliveries[-1])
    mine.run(day)
    (alert,) = alerts_of(lie, mine)
    told = [(notice.event, notice.state) for notice in notices_of(alert, mine)]
    assert told == [(RAISED, DELIVERED), (RECOVERED, DELIVERED)]
    bars = mine.warehouse.read(served_table(tables.CANDLES_DAILY), [str(day)])
    found = bars[bars["series"] == EXCHANGE].set_index("instrument_key")[PRICES]
    true = mine.deliveries[-1].daily.set_index("instrument_key")[PRICES]
    pd.testing.assert_frame_equal(found, true, check_like=True)


def alerts_of(lie: Lie, market: Market) -> list[Alert]:
    """Those of the check, whichever table it is about: what both variants' tables fail for is told once."""
    alerts = read_ledger(market.warehouse).alerts
    return [alert for alert in alerts if f": {lie.check} " in alert.title]


def notices_of(alert: Alert, market: Market) -> list[Notice]:
    """What people were told of an alert."""
    notices = read_ledger(market.warehouse).notices
    return [notice for notice in notices if notice.alert == alert.number]
