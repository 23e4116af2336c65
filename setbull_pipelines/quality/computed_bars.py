"""Rules about candles and indicators: nothing is lost or invented between them and the minutes.

Belongs here: rules that hold V1 and V2 to their inputs, so that two variants that err alike are still found out. Does
not belong here: what follows from indicators (``computed_results.py``), single bars (``bars.py``), which rule is for
which table (``computed.py``).
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.instruments import is_index
from setbull_pipelines.market.session_table import FULL
from setbull_pipelines.quality.declaring import Asked, rule
from setbull_pipelines.quality.gaps import is_hundredfold, nearest_ratio
from setbull_pipelines.quality.raw import session_shapes
from setbull_pipelines.quality.verdict import NOT_JUDGED, Scalar, Verdict, not_judged
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.columns import EXCHANGE, MINUTES

_AUCTION_LIMITS = {
    **dict.fromkeys(("high", "low", "close"), "auction_price_difference"),
    "volume": "auction_volume_difference",
}
_GAPS_SHOWN = 10
_SUMMARY = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}


def _session_summary(bars: pd.DataFrame) -> pd.DataFrame:
    """Open, high, low, close and volume of the day per instrument, from bars in any order."""
    ordered = bars.sort_values(["instrument_key", "timestamp"])
    of_instrument = ordered.groupby("instrument_key", sort=True)
    summary = of_instrument.agg(_SUMMARY)
    # A volume that is not known adds up to none.
    return summary.assign(
        volume=summary["volume"].mask(of_instrument["volume"].count() < of_instrument.size())
    )


def _counted_minutes(minutes: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    include = settings.aggregation.untraded_minutes == "include"
    if include:
        return minutes
    of_index = minutes["instrument_key"].map(is_index).astype(bool)
    return minutes[(minutes["volume"] > 0).fillna(False) | of_index]


def _same(found: pd.DataFrame, expected: pd.DataFrame, what: str) -> Verdict:
    if found.empty and expected.empty:
        return not_judged(f"{what}: neither the table nor its source has a row")
    wrong: list[object] = []
    if not (found.index.equals(expected.index) and found.equals(expected.astype(found.dtypes))):
        joined = found.join(expected, how="outer", lsuffix="_found", rsuffix="_expected")
        wrong = [
            key
            for key, row in joined.iterrows()
            if any(_differ(row[f"{name}_found"], row[f"{name}_expected"]) for name in _SUMMARY)
        ]
    if wrong:
        return Verdict(
            False,
            f"{what}: {len(wrong)} instruments differ from their minutes, first {wrong[0]}",
            {"instruments wrong": len(wrong)},
        )
    cells = found.size
    return Verdict(True, f"{what}: {cells:,} values are those of the minutes", {"cells": cells})


def _differ(found: object, expected: object) -> bool:
    if pd.isna(found) or pd.isna(expected):
        return not (pd.isna(found) and pd.isna(expected))
    return found != expected


@rule("session_conserved")
def session_conserved(asked: Asked, candles: pd.DataFrame, minutes: pd.DataFrame) -> Verdict:
    """Open, high, low, close and volume of the session are those of the traded minutes."""
    counted = _counted_minutes(minutes, asked.settings)
    return _same(_session_summary(candles), _session_summary(counted), "session totals")


@rule("session_conserved")
def daily_conserved(
    asked: Asked, daily: pd.DataFrame, minutes: pd.DataFrame, history: pd.DataFrame
) -> Verdict:
    """Series 'minutes' is the session of the traded minutes, 'exchange' the source's own bars."""
    of_minutes = _same(
        _session_summary(daily[daily["series"] == MINUTES]),
        _session_summary(_counted_minutes(minutes, asked.settings)),
        "series 'minutes'",
    )
    of_exchange = _same(
        _session_summary(daily[daily["series"] == EXCHANGE]),
        _session_summary(history),
        "series 'exchange'",
    )
    # Of a series that neither side has nothing is said; what the other one says counts.
    judged = [each for each in (of_minutes, of_exchange) if NOT_JUDGED not in each.metadata]
    if not judged:
        return not_judged("neither series has a bar, and no source of one a row")
    failed = [each for each in judged if not each.passed]
    if failed:
        return failed[0]
    return Verdict(
        True,
        "; ".join(each.description for each in judged),
        {"cells": sum(int(each.metadata["cells"]) for each in judged)},
    )


@rule("series_agree", is_error=False)
def series_agree(asked: Asked, daily: pd.DataFrame, minutes: pd.DataFrame) -> Verdict:
    """Open, high, low, close and volume of 'minutes' are close to those of 'exchange', each within its own limit."""
    by_key = daily.set_index("instrument_key")
    both = by_key[by_key["series"] == EXCHANGE].join(
        by_key[by_key["series"] == MINUTES], how="inner", rsuffix="_minutes"
    )
    if both.empty:
        return not_judged("no instrument has both series on this day")
    shapes = session_shapes(minutes)
    in_auction = (both.index.map(shapes) != FULL) & NSE.has_closing_auction(asked.day.date())
    limits = dataclasses.asdict(asked.settings.quality)
    metadata: dict[str, Scalar] = {
        "instruments": len(both),
        "limits of the closing auction": int(in_auction.sum()),
    }
    said = []
    for name in _SUMMARY:
        limit = limits[f"daily_{name}_difference"]
        of_each = np.where(
            in_auction, limits[_AUCTION_LIMITS[name]] if name in _AUCTION_LIMITS else limit, limit
        )
        found, official = (both[column].astype("float64") for column in (f"{name}_minutes", name))
        # Shares traded where the exchange has none are infinitely far apart; none on both sides are equal.
        # What one side does not know is held against nothing.
        is_apart = (found != official) & found.notna() & official.notna()
        difference = ((found - official).abs() / official).where(is_apart, 0.0)
        apart = int((difference > of_each).sum())
        metadata |= {
            f"{name} apart": apart,
            f"largest {name} difference": float(difference.max()),
        }
        furthest = f" of {difference.idxmax()}" if apart else ""
        said.append(f"{name} {apart} (limit {limit:.2%}, largest {difference.max():.2%}{furthest})")
    return Verdict(
        not any(metadata[f"{name} apart"] for name in _SUMMARY),
        f"{len(both)} instruments have both series, {int(in_auction.sum())} of them with the wider limits of "
        f"the closing auction; apart: {', '.join(said)}",
        metadata,
    )


@rule("one_row_per_candle")
def one_row_per_candle(asked: Asked, indicators: pd.DataFrame, candles: pd.DataFrame) -> Verdict:
    """Every candle has exactly one row of indicators."""
    key = list(asked.tables[0].table.key)
    found, expected = indicators[key], candles[key]
    if found.empty and expected.empty:
        return not_judged("there is no candle and no row of indicators")
    unmatched = found.merge(expected, how="outer", indicator=True)["_merge"] != "both"
    return Verdict(
        not unmatched.any(),
        f"{len(found):,} rows for {len(expected):,} candles, {int(unmatched.sum()):,} without partner",
        {"rows": len(found), "candles": len(expected)},
    )


@rule("no_unexplained_gap", is_error=False)
def no_unexplained_gap(asked: Asked, indicators: pd.DataFrame) -> Verdict:
    """No price jumped overnight without a corporate action."""
    if indicators.empty:
        return not_judged("there is no daily bar")
    frame = indicators.dropna(subset=["unexplained_gap"])
    frame = frame.drop_duplicates("instrument_key")
    jumped = frame[frame["unexplained_gap_day"] == asked.day]
    metadata = {
        "jumped today": len(jumped),
        "jumped before, still unexplained": len(frame) - len(jumped),
    }
    if jumped.empty:
        return Verdict(True, "no price jumped overnight without a corporate action", metadata)
    shown = ", ".join(
        f"{row.instrument_key} opened at {row.unexplained_gap:.4f} of the close before"
        f"{_hint(row.unexplained_gap)}"
        for row in jumped.head(_GAPS_SHOWN).itertuples()
    )
    more = f" and {len(jumped) - _GAPS_SHOWN} more" if len(jumped) > _GAPS_SHOWN else ""
    return Verdict(
        False,
        f"{len(jumped)} instruments jumped overnight without a corporate action: {shown}{more}; their filter "
        "results are 'not enough data' until a corporate action explains the jump or somebody says that it is "
        "genuine: setbull actions propose",
        metadata,
    )


def _hint(gap: float) -> str:
    nearest = nearest_ratio(gap)
    told = [f"near a ratio of {nearest}"] if nearest else []
    if is_hundredfold(gap):
        told.append("are prices of one of the days in paise?")
    return f" ({'; '.join(told)})" if told else ""
