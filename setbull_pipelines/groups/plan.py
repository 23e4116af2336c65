"""The plan of a day: direction, range, entry, stop, levels and quantity of every instrument of the groups.

Belongs here: what is taken from which bar, and the reason where something is missing. Does not belong here: reading
tables, the moment at which a plan is made (a parameter), arithmetic of levels (``levels``).

Nothing is guessed: what cannot be known at the entry time is null, with a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from setbull_pipelines.groups.levels import levels_of
from setbull_pipelines.tables import GROUP_EXECUTION_PLAN
from setbull_pipelines.tables.columns import EXCHANGE, MINUTES
from setbull_pipelines.tables.contract import AT_LIMIT, INDIA
from setbull_pipelines.tables.groups import LONG, SHORT


@dataclass(frozen=True)
class EntryRule:
    """How the groups of one entry type are entered."""

    risk: float
    """Rupees that an instrument may lose."""
    entry_time: pd.Timestamp | None
    """End of the bar that is entered on, exchange time; None for a type that no time belongs to."""


@dataclass(frozen=True)
class DailyFacts:
    """What is known of the session before the day: daily candles and indicators, all series."""

    day: pd.Timestamp
    candles: pd.DataFrame
    indicators: pd.DataFrame
    ema_deviation: float
    """Share of EMA 50 that the close must be away from it to give a direction."""
    with_ex_date: frozenset[str] = frozenset()
    """Instruments with an ex-date on the planned day, whose earlier prices are not comparable."""


def execution_plan(
    groups: pd.DataFrame,
    candles_5min: pd.DataFrame,
    before: DailyFacts,
    day: pd.Timestamp,
    session_open: pd.Timestamp | None,
    rules: Mapping[str, EntryRule],
    bar_length: pd.Timedelta,
) -> pd.DataFrame:
    """One row per row of ``groups`` (``raw.stock_groups``), with the columns of ``served.group_execution_plan``.

    ``candles_5min`` are bars of ``day``; those that have not closed at the entry time are not looked at.
    ``session_open`` is the start of the session's first bar, None where its hours are not known.
    """
    bars = {
        key: rows.set_index("timestamp")
        for key, rows in candles_5min.groupby("instrument_key", sort=False)
    }
    daily = _last_daily_bars(before)
    records = [
        _Member(
            member,
            rules[member["entry_type"]],
            bars.get(member["instrument_key"], candles_5min.iloc[:0].set_index("timestamp")),
            daily.get(member["instrument_key"]),
            before,
            day,
            session_open,
            bar_length,
        ).planned()
        for member in groups.to_dict("records")
    ]
    frame = pd.DataFrame(records, columns=GROUP_EXECUTION_PLAN.column_names)
    return GROUP_EXECUTION_PLAN.conform(frame)


def _last_daily_bars(before: DailyFacts) -> dict[str, dict[str, Any]]:
    """The bar of ``before.day`` per instrument, of the series that moves and filters would use."""
    key = ["instrument_key", "series", "trading_day"]
    bars = before.candles[[*key, "close"]].merge(
        before.indicators[[*key, "ema_50", "atr", "bars_of_history", "is_warm"]], on=key
    )
    by_series: dict[str, dict[str, dict[str, Any]]] = {}
    for bar in bars[bars["trading_day"] == before.day].to_dict("records"):
        by_series.setdefault(bar["instrument_key"], {})[bar["series"]] = bar
    chosen = {}
    for instrument, series in by_series.items():
        exchange, minutes = series.get(EXCHANGE), series.get(MINUTES)
        if exchange and not (minutes and minutes["is_warm"] and not exchange["is_warm"]):
            chosen[instrument] = exchange
        elif minutes:
            chosen[instrument] = minutes
    return chosen


class _Missing(Exception):
    """Why an instrument is not planned, in one sentence."""


@dataclass(frozen=True)
class _Member:
    """One instrument of a group, and what is known of it."""

    member: Mapping[str, Any]
    rule: EntryRule
    bars: pd.DataFrame
    daily: Mapping[str, Any] | None
    before: DailyFacts
    day: pd.Timestamp
    session_open: pd.Timestamp | None
    bar_length: pd.Timedelta

    def planned(self) -> dict[str, Any]:
        given = {
            name: self.member[name]
            for name in (
                "group_id",
                "instrument_key",
                "entry_type",
                "stop_loss_percent",
                "position_type",
            )
        }
        record = given | {
            "trading_day": self.day,
            "entry_time": self.rule.entry_time,
            "risk": self.rule.risk,
            "indicators_day": self.before.day if self.daily else None,
            "is_planned": False,
        }
        record |= self._range()
        try:
            record["direction"], record["reason"] = self._direction()
            return record | self._entry(record["direction"])
        except _Missing as missing:
            return record | {"reason": str(missing)}

    def _bar(self, start: pd.Timestamp | None) -> pd.Series | None:
        """The bar that starts then, when it is there and has closed at the entry time."""
        if (
            start is None
            or start + self.bar_length > self.rule.entry_time
            or start not in self.bars.index
        ):
            return None
        return self.bars.loc[start]

    def _range(self) -> dict[str, Any]:
        """The morning range, and how the daily ATR stands to it."""
        if self.rule.entry_time is None:
            return {"range_reason": f"{self.member['entry_type']} has no entry time"}
        first = self._bar(self.session_open)
        known: dict[str, Any] = {}
        why = []
        if first is None:
            why.append(f"the first bar of the session of {self.day:%Y-%m-%d} is not there")
        else:
            known["morning_range"] = first["high"] - first["low"]
            if known["morning_range"] == 0:
                why.append("the morning range is 0")
        try:
            known["daily_atr"] = self._warm_daily("atr")
        except _Missing as missing:
            why.append(str(missing))
        else:
            if self.member["instrument_key"] in self.before.with_ex_date:
                why.append(
                    "a corporate action has its ex-date on the day: daily_atr is in earlier prices"
                )
        if why:
            return known | {"range_reason": "; ".join(why)}
        return known | {"atr_to_morning_range": known["daily_atr"] / known["morning_range"]}

    def _warm_daily(self, column: str) -> float:
        day = f"{self.before.day:%Y-%m-%d}"
        if self.daily is None:
            raise _Missing(f"there is no daily bar with indicators of {day}")
        if not self.daily["is_warm"]:
            bars = self.daily["bars_of_history"]
            raise _Missing(f"the daily indicators of {day} are not warm: {bars} bars of history")
        return float(self.daily[column])

    def _direction(self) -> tuple[str, str]:
        """The side and how it was found."""
        if isinstance(self.member["direction"], str):
            return self.member["direction"], "the group asks for this side"
        try:
            average, close = self._warm_daily("ema_50"), self._warm_daily("close")
        except _Missing as missing:
            raise _Missing(f"no direction: {missing}") from None
        deviation = (close - average) / average
        found = (
            f"the close {close:.2f} of {self.before.day:%Y-%m-%d} is {abs(deviation):.2%} "
            f"{'above' if deviation >= 0 else 'below'} EMA 50 ({average:.2f})"
        )
        if abs(deviation) <= self.before.ema_deviation * (1 + AT_LIMIT):
            raise _Missing(f"no direction: {found}, not more than {self.before.ema_deviation:.2%}")
        return (LONG if deviation > 0 else SHORT), found

    def _entry(self, direction: str) -> dict[str, Any]:
        if self.rule.entry_time is None:
            raise _Missing(
                f"{self.member['entry_type']} has no entry time: it is entered when the bands are narrow"
            )
        start = self.rule.entry_time - self.bar_length
        bar = self._bar(start)
        if bar is None:
            raise _Missing(f"there is no five-minute bar of {start:%Y-%m-%d %H:%M}")
        entry = float(bar["high"] if direction == LONG else bar["low"])
        try:
            levels = levels_of(
                entry,
                direction,
                self.member["stop_loss_percent"],
                self.rule.risk,
                self.member["position_type"],
            )
        except ValueError as error:
            raise _Missing(str(error)) from None
        if levels.quantity == 0:
            raise _Missing(
                f"a risk of {self.rule.risk:.2f} rupees buys no share that can lose {levels.risk_per_share:.2f}"
            )
        return {
            "is_planned": True,
            "entry_price": entry,
            "stop_price": levels.stop,
            "risk_per_share": levels.risk_per_share,
            "quantity": levels.quantity,
            **{f"level_{name}": price for name, price in levels.prices.items() if name != "1"},
            **{f"quantity_{name}": leg for name, leg in levels.legs.items()},
        }


def rules_of(
    day: pd.Timestamp,
    bar_starts: Mapping[str, str],
    risks: Mapping[str, float],
    bar_length: pd.Timedelta,
) -> dict[str, EntryRule]:
    """The rules of a day. ``bar_starts`` has the start of the bar (HH:MM) of the types that have one."""
    midnight = day.tz_localize(INDIA)
    starts = {name: midnight + pd.Timedelta(f"{start}:00") for name, start in bar_starts.items()}
    return {
        name: EntryRule(risk, starts[name] + bar_length if name in starts else None)
        for name, risk in risks.items()
    }
