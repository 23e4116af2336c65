"""A rule about filter results that only the sessions before can tell: a share of stocks that jumps.

A universe that is halved, a feed without volumes, a look-back that is too short: every row is right by itself and says
why it was rejected. What shows is that the day is unlike the days before.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.quality.verdict import NOT_JUDGED, Rule, Verdict, before
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.filters import STAGES, VERDICT_NOT_ENOUGH_DATA, VERDICTS
from setbull_pipelines.tables.served import SERVED_SCHEMA
from setbull_pipelines.warehouse.pointers import StoredTable

RESULTS = StoredTable(SERVED_SCHEMA, tables.SERVED["filter_results"])
SESSIONS = 20
"""Sessions before that a day is held against."""
_SHOWN = 3


def _shares(results: pd.DataFrame) -> pd.Series:
    """Share of the stocks of one day by verdict, and by what happened at the stage that stopped them."""
    verdict, stage = results["verdict"], results["stopped_at"]
    lacks_data = verdict == VERDICT_NOT_ENOUGH_DATA
    shares = {name: (verdict == name).mean() for name in VERDICTS}
    for name in STAGES:
        shares[f"rejected at {name}"] = ((stage == name) & ~lacks_data).mean()
        shares[f"not enough data at {name}"] = ((stage == name) & lacks_data).mean()
    return pd.Series(shares)


def _no_jump(frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings) -> Verdict:
    today, earlier = frames[RESULTS.name], frames[before(RESULTS)]
    days = earlier["trading_day"].nunique()
    figures: dict[str, int | float | bool] = {
        "instruments": len(today),
        "sessions compared with": int(days),
    }
    if not days or today.empty:
        what = "no session before it is stored" if len(today) else "there is no result"
        return Verdict(False, f"not judged: {what}", figures | {NOT_JUDGED: True})
    of_days = earlier.groupby("trading_day")
    usual = pd.DataFrame([_shares(rows) for _, rows in of_days]).median()
    found = _shares(today)
    stocks, usual_stocks = len(today), float(of_days.size().median())
    # Of few stocks each is a large share.
    limit = settings.quality.maximum_share_jump + 1 / sqrt(min(stocks, usual_stocks))
    apart = (found - usual).abs().sort_values(ascending=False, kind="stable")
    jumped = [
        f"{name}: {found[name]:.0%}, usually {usual[name]:.0%}"
        for name in apart.index[apart > limit][:_SHOWN]
    ]
    if abs(stocks / usual_stocks - 1) > settings.quality.maximum_share_jump:
        jumped.insert(0, f"instruments: {stocks:,}, usually {usual_stocks:,.0f}")
    figures |= {
        "shares that jumped": int((apart > limit).sum()),
        "largest jump": float(apart.iloc[0]),
    }
    return Verdict(
        not jumped,
        "; ".join(jumped)
        or f"every verdict and stage has its usual share of {stocks:,} instruments, within {limit:.0%}",
        figures,
    )


RULES: tuple[Rule, ...] = (
    Rule(
        "shares_are_usual",
        "The share of every verdict and of every stage that stops stocks is near that of the sessions before",
        RESULTS,
        (RESULTS,),
        _no_jump,
        is_error=False,
        earlier_sessions=SESSIONS,
    ),
)
