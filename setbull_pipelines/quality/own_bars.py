"""Rules about sources that lie: a bar that is another's or an earlier one's, prices in another unit.

Belongs here: daily bars held against each other and against those before. Does not belong here: minutes that are
missing (``holes.py``). Every such row is right by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.quality.gaps import is_hundredfold
from setbull_pipelines.quality.verdict import Rule, Verdict, before, not_judged
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.served import SERVED_SCHEMA
from setbull_pipelines.warehouse.pointers import StoredTable

DAILY = StoredTable(SERVED_SCHEMA, tables.SERVED["candles_daily"])
V1_DAILY, V2_DAILY = (StoredTable(schema, tables.CANDLES_DAILY) for schema in ("v1", "v2"))
SESSIONS = 5
"""Sessions before that a bar must differ from."""
_BAR = ["series", "open", "high", "low", "close", "volume"]
_FEWEST_SHARES_TRADED = 1_000
"""A bar of fewer can be another's by chance."""
_FEWEST_TOGETHER, _MOST_TOGETHER = 3, 0.1
"""So many instruments, and such a share of them, do not jump in one night: a few have a split or a bonus."""
_SHOWN = 3

Frames = Mapping[str, pd.DataFrame]


def bars_are_own(stored: StoredTable) -> Rule:
    """No daily bar of ``stored`` is that of another instrument, or of one of the :data:`SESSIONS` before."""
    return Rule(
        "bars_are_own",
        "No daily bar is, to the last share, that of another instrument or of one of the sessions before",
        stored,
        (stored,),
        partial(_bars_are_own, stored),
        is_error=False,
        earlier_sessions=SESSIONS,
    )


def _bars_are_own(
    stored: StoredTable, frames: Frames, day: pd.Timestamp, settings: Settings
) -> Verdict:
    today, earlier = (_telling(frames[name]) for name in (stored.name, before(stored)))
    if today.empty:
        return not_judged("there is no daily bar that could be another's")
    others = today[today.duplicated(_BAR, keep=False)].sort_values([*_BAR, "instrument_key"])
    again = today.merge(
        earlier, on=["instrument_key", *_BAR], suffixes=("", "_before")
    ).drop_duplicates("instrument_key")
    figures = {
        "bars": len(today),
        "bars of another instrument": len(others),
        "bars of an earlier session": len(again),
        "sessions compared with": int(earlier["trading_day"].nunique()),
    }
    said = []
    if len(again):
        shown = ", ".join(
            f"{row.instrument_key} of {row.trading_day_before:%Y-%m-%d}"
            for row in again.head(_SHOWN).itertuples()
        )
        said.append(
            f"{len(again):,} of {len(today):,} bars are, to the last share, those of an earlier session: {shown}"
        )
    if len(others):
        groups = others.groupby(_BAR, sort=False)["instrument_key"].agg(" and ".join)
        said.append(
            f"{len(others):,} instruments have, to the last share, the bar of another: "
            f"{', '.join(groups.head(_SHOWN))}"
        )
    return Verdict(
        not said,
        "; ".join(said) or f"all {len(today):,} bars are their instrument's and their day's own",
        figures,
    )


def prices_in_one_unit(stored: StoredTable) -> Rule:
    """No price of ``stored`` is a hundredfold of another near it, and not many bars open far from the last close."""
    return Rule(
        "prices_in_one_unit",
        "No price is about a hundred times, or a hundredth of, the last close or another price of its bar, as prices "
        "in paise are, and not many instruments jump in one night",
        stored,
        (stored,),
        partial(_prices_in_one_unit, stored),
        earlier_sessions=SESSIONS,
    )


def _prices_in_one_unit(
    stored: StoredTable, frames: Frames, day: pd.Timestamp, settings: Settings
) -> Verdict:
    key = ["instrument_key", "series"]
    last = frames[before(stored)].sort_values("trading_day").drop_duplicates(key, keep="last")
    today = frames[stored.name].astype(dict.fromkeys(("open", "high", "low"), "float64"))
    both = today.merge(last, on=key, suffixes=("", "_before"))
    both = both[(both["open"] > 0) & (both["close_before"] > 0)]
    mixed = today[(today["high"] / today["low"]).map(is_hundredfold)]
    mixed = mixed.drop_duplicates("instrument_key")
    if both.empty and mixed.empty:
        return not_judged("no instrument has a bar of the day and one of the sessions before")
    both["ratio"] = (both["open"] / both["close_before"]).astype("float64")
    count = both["instrument_key"].nunique()
    is_apart = both["ratio"].map(is_hundredfold).astype(bool)
    is_far = (both["ratio"] - 1).abs() > settings.indicators.maximum_unexplained_gap
    apart, far = (
        both[chosen].drop_duplicates("instrument_key") for chosen in (is_apart, is_far & ~is_apart)
    )
    said = []
    if len(apart):
        said.append(
            f"{len(apart):,} of {count:,} instruments jumped about a hundredfold, so the prices of one of the days are "
            f"perhaps in paise: {_openings(apart)}"
        )
    if len(far) >= max(_FEWEST_TOGETHER, _MOST_TOGETHER * count):
        said.append(
            f"{len(far):,} of {count:,} instruments jumped in one night, half of them to {far['ratio'].median():.4g} "
            "of the last close or more, so the prices of one of the days are perhaps in another unit, adjusted, or "
            f"those of other instruments: {_openings(far)}"
        )
    if len(mixed):
        shown = ", ".join(
            f"{row.instrument_key} from {row.low:g} to {row.high:g}"
            for row in mixed.head(_SHOWN).itertuples()
        )
        said.append(
            f"{len(mixed):,} instruments have prices a hundredfold apart inside the day, so a part of it is perhaps in "
            f"paise: {shown}"
        )
    return Verdict(
        not said,
        "; ".join(said)
        or f"no price of {count:,} instruments jumped about a hundredfold, nor many in one night",
        {
            "instruments": count,
            "jumped a hundredfold": len(apart),
            "jumped otherwise": len(far),
            "hundredfold inside the day": len(mixed),
        },
    )


def _openings(jumped: pd.DataFrame) -> str:
    return ", ".join(
        f"{row.instrument_key} opened at {row.ratio:.4g} of the close of {row.trading_day_before:%Y-%m-%d}"
        for row in jumped.head(_SHOWN).itertuples()
    )


def _telling(bars: pd.DataFrame) -> pd.DataFrame:
    """Bars with trades enough, at several prices, for two never to be equal."""
    traded = (bars["volume"] >= _FEWEST_SHARES_TRADED).fillna(False).astype(bool)
    return bars.loc[traded & (bars["high"] > bars["low"]), ["instrument_key", "trading_day", *_BAR]]


# Prices are judged where computing takes them, not as served: a first run stores no served session before its own.
RULES: tuple[Rule, ...] = (
    bars_are_own(DAILY),
    *(prices_in_one_unit(stored) for stored in (V1_DAILY, V2_DAILY)),
)
