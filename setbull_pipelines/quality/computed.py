"""Rules about computed tables: nothing is lost or invented between a table and the one before it.

They hold V1 and V2 to their inputs, so that two variants that err alike are still found out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.instruments import is_index
from setbull_pipelines.market.session_table import FULL
from setbull_pipelines.quality.bars import bars_follow_from_minutes
from setbull_pipelines.quality.gaps import nearest_ratio
from setbull_pipelines.quality.raw import (
    CANDLES_1MIN,
    CANDLES_DAILY_HISTORY,
    in_session,
    session_shapes,
)
from setbull_pipelines.quality.verdict import NOT_JUDGED, Rule, Scalar, Verdict, not_judged
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.columns import EXCHANGE, MINUTES
from setbull_pipelines.tables.filters import VERDICT_BEARISH, VERDICT_BULLISH
from setbull_pipelines.warehouse.pointers import StoredTable

Frames = Mapping[str, pd.DataFrame]
_AUCTION_LIMITS = {
    **dict.fromkeys(("high", "low", "close"), "auction_price_difference"),
    "volume": "auction_volume_difference",
}
_PAISE = (80, 125)
"""How many times apart prices in rupees and in paise can be, a day's move included."""
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
    if found.index.equals(expected.index) and found.equals(expected.astype(found.dtypes)):
        cells = found.size
        return Verdict(True, f"{what}: {cells:,} values are those of the minutes", {"cells": cells})
    joined = found.join(expected, how="outer", lsuffix="_found", rsuffix="_expected")
    wrong = [
        key
        for key, row in joined.iterrows()
        if any(_differ(row[f"{name}_found"], row[f"{name}_expected"]) for name in _SUMMARY)
    ]
    return Verdict(
        False,
        f"{what}: {len(wrong)} instruments differ from their minutes, first {wrong[0]}",
        {"instruments wrong": len(wrong)},
    )


def _differ(found: object, expected: object) -> bool:
    if pd.isna(found) or pd.isna(expected):
        return not (pd.isna(found) and pd.isna(expected))
    return found != expected


def _session_conserved(candles: StoredTable) -> Rule:
    """Five-minute bars of a session give the day that its minutes give."""

    def judge(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
        minutes = _counted_minutes(frames[CANDLES_1MIN.name], settings)
        return _same(
            _session_summary(frames[candles.name]), _session_summary(minutes), "session totals"
        )

    return Rule(
        "session_conserved",
        "Open, high, low, close and volume of the session are those of the traded minutes",
        candles,
        (candles, CANDLES_1MIN),
        judge,
    )


def _daily_conserved(candles: StoredTable) -> Rule:
    def judge(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
        daily = frames[candles.name]
        minutes = _counted_minutes(frames[CANDLES_1MIN.name], settings)
        verdict = _same(
            _session_summary(daily[daily["series"] == MINUTES]),
            _session_summary(minutes),
            "series 'minutes'",
        )
        of_exchange = _same(
            _session_summary(daily[daily["series"] == EXCHANGE]),
            _session_summary(frames[CANDLES_DAILY_HISTORY.name]),
            "series 'exchange'",
        )
        # Of a series that neither side has nothing is said; what the other one says counts.
        judged = [each for each in (verdict, of_exchange) if NOT_JUDGED not in each.metadata]
        if not judged:
            return not_judged("neither series has a bar, and no source of one a row")
        failed = [each for each in judged if not each.passed]
        return (
            failed[0]
            if failed
            else Verdict(
                True,
                "; ".join(each.description for each in judged),
                {"cells": sum(each.metadata["cells"] for each in judged)},
            )
        )

    return Rule(
        "session_conserved",
        "Series 'minutes' is the session of the traded minutes, 'exchange' the source's own bars",
        candles,
        (candles, CANDLES_1MIN, CANDLES_DAILY_HISTORY),
        judge,
    )


def _series_agree(candles: StoredTable) -> Rule:
    def judge(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
        daily = frames[candles.name].set_index("instrument_key")
        both = daily[daily["series"] == EXCHANGE].join(
            daily[daily["series"] == MINUTES], how="inner", rsuffix="_minutes"
        )
        if both.empty:
            return not_judged("no instrument has both series on this day")
        shapes = session_shapes(frames[CANDLES_1MIN.name])
        in_auction = (both.index.map(shapes) != FULL) & NSE.has_closing_auction(day.date())
        limits = dataclasses.asdict(settings.quality)
        metadata: dict[str, Scalar] = {
            "instruments": len(both),
            "limits of the closing auction": int(in_auction.sum()),
        }
        said = []
        for name in _SUMMARY:
            limit = limits[f"daily_{name}_difference"]
            of_each = np.where(in_auction, limits.get(_AUCTION_LIMITS.get(name), limit), limit)
            found, official = (
                both[column].astype("float64") for column in (f"{name}_minutes", name)
            )
            # Shares traded where the exchange has none are infinitely far apart; none on both sides are equal.
            # What one side does not know is held against nothing.
            is_apart = (found != official) & found.notna() & official.notna()
            difference = ((found - official).abs() / official).where(is_apart, 0.0)
            apart = int((difference > of_each).sum())
            metadata |= {
                f"{name} apart": apart,
                f"largest {name} difference": float(difference.max()),
            }
            said.append(f"{name} {apart} (limit {limit:.2%}, largest {difference.max():.2%})")
        return Verdict(
            not any(metadata[f"{name} apart"] for name in _SUMMARY),
            f"{len(both)} instruments have both series, {int(in_auction.sum())} of them with the wider limits of "
            f"the closing auction; apart: {', '.join(said)}",
            metadata,
        )

    return Rule(
        "series_agree",
        "Open, high, low, close and volume of 'minutes' are close to those of 'exchange', each within its own limit",
        candles,
        (candles, CANDLES_1MIN),
        judge,
        is_error=False,
    )


def _same_keys(indicators: StoredTable, candles: StoredTable) -> Rule:
    def judge(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
        key = list(indicators.table.key)
        found, expected = frames[indicators.name][key], frames[candles.name][key]
        if found.empty and expected.empty:
            return not_judged("there is no candle and no row of indicators")
        unmatched = found.merge(expected, how="outer", indicator=True)["_merge"] != "both"
        return Verdict(
            not unmatched.any(),
            f"{len(found):,} rows for {len(expected):,} candles, {int(unmatched.sum()):,} without partner",
            {"rows": len(found), "candles": len(expected)},
        )

    return Rule(
        "one_row_per_candle",
        "Every candle has exactly one row of indicators",
        indicators,
        (indicators, candles),
        judge,
    )


def _moves_end_today(moves: StoredTable, candles: StoredTable) -> Rule:
    def judge(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
        frame = frames[moves.name]
        if frame.empty and frames[candles.name].empty:
            return not_judged("there is no candle and no move")
        per_instrument = frame.groupby("instrument_key")["move_day"].agg(["max", "size"])
        expected = set(frames[candles.name]["instrument_key"])
        late = int((per_instrument["max"] != day).sum())
        long = int((per_instrument["size"] > settings.sequences.look_back_days).sum())
        missing = len(expected ^ set(per_instrument.index))
        return Verdict(
            late == long == missing == 0,
            f"{len(per_instrument)} instruments with up to {settings.sequences.look_back_days} moves "
            f"ending on the day; {missing} missing or extra, {late} end elsewhere, {long} too long",
            {"instruments": len(per_instrument), "moves": len(frame)},
        )

    return Rule(
        "ends_on_the_day",
        "Every instrument with a bar on the day has its moves up to that day, and no others",
        moves,
        (moves, candles),
        judge,
    )


def _days_conserved(sequences: StoredTable, moves: StoredTable) -> Rule:
    def judge(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
        if frames[sequences.name].empty and frames[moves.name].empty:
            return not_judged("there is no move and no run")
        lengths = frames[sequences.name].groupby("instrument_key")["length"].sum()
        counts = frames[moves.name].groupby("instrument_key").size()
        return Verdict(
            lengths.sort_index().to_dict() == counts.sort_index().to_dict(),
            f"runs of {int(lengths.sum()):,} days for {int(counts.sum()):,} moves of "
            f"{len(counts)} instruments",
            {"days": int(lengths.sum()), "instruments": len(counts)},
        )

    return Rule(
        "days_conserved",
        "The lengths of an instrument's runs add up to its moves",
        sequences,
        (sequences, moves),
        judge,
    )


def _same_instruments(stored: StoredTable, other: StoredTable) -> Rule:
    def judge(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
        found = set(frames[stored.name]["instrument_key"])
        expected = set(frames[other.name]["instrument_key"])
        if not found and not expected:
            return not_judged(f"neither table has an instrument: {stored.name}, {other.name}")
        return Verdict(
            found == expected,
            f"{len(found)} instruments, {len(expected)} in {other.name}, "
            f"{len(found ^ expected)} in only one of them",
            {"instruments": len(found)},
        )

    return Rule(
        "one_row_per_instrument",
        f"The instruments are those of {other.table.name}",
        stored,
        (stored, other),
        judge,
    )


def _alerts_follow_from_bands(alerts: StoredTable, indicators: StoredTable) -> Rule:
    """Said in other words than the variants' own: every alert is found again in the bars and the numbers beside it."""

    def judge(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
        frame, bars = frames[alerts.name], frames[indicators.name]
        if frame.empty and bars.empty:
            return not_judged("there is no bar and no instrument with bands")
        alerted = frame[frame["alert_rule"].notna()]
        widths = bars.set_index(["instrument_key", "timestamp"])["bb_width"]
        of_bar = widths.reindex(pd.MultiIndex.from_frame(alerted[["instrument_key", "alert_bar"]]))
        reach = settings.bb_width.range_percent
        near = alerted["alert_distance_percent"].abs() <= reach * (1 + 1e-6)
        below = alerted["alert_bb_width"] <= alerted["lowest_bb_width"] * (1 + 1e-6)
        contradicting = int(
            (
                (of_bar.to_numpy() != alerted["alert_bb_width"].to_numpy())
                | (alerted["alert_rule"].isin(["range contracting", "threshold"]) & ~near)
                | ((alerted["alert_rule"] == "squeeze") & ~below)
                | (alerted["alert_bar"] > alerted["last_band"])
                | ~alerted["alert_rule"].isin(settings.bb_width.alert_rules)
            ).sum()
        )
        uncounted = int((frame["alert_rule"].notna() != (frame["alerting_bands"] > 0)).sum())
        return Verdict(
            contradicting == uncounted == 0,
            f"{len(alerted)} of {len(frame)} instruments had an alert; {contradicting} do not follow from their bar, "
            f"{uncounted} have a count that says otherwise",
            {
                "instruments": len(frame),
                "alerts": len(alerted),
                "without lowest width": int(frame["lowest_bb_width"].isna().sum()),
            },
        )

    return Rule(
        "alerts_follow_from_bands",
        "Every band-width alert is that of a bar of the day, under a rule that its width supports",
        alerts,
        (alerts, indicators),
        judge,
    )


def _bands_counted(widths: StoredTable, indicators: StoredTable) -> Rule:
    def judge(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
        bars = frames[indicators.name]
        if bars.empty and frames[widths.name].empty:
            return not_judged("there is no bar and no instrument with bands")
        is_band = bars["bb_width"] >= settings.bb_width.minimum_width
        expected, found = int(is_band.sum()), int(frames[widths.name]["bands"].sum())
        rows, counted = len(bars), int(frames[widths.name]["bars"].sum())
        return Verdict(
            expected == found and rows == counted,
            f"{found:,} bands in {counted:,} bars are counted, there are {expected:,} in {rows:,}",
            {"bands": found, "bars": counted},
        )

    return Rule(
        "bands_counted",
        "Bars and bands of the session are all counted, once",
        widths,
        (widths, indicators),
        judge,
    )


def _no_unexplained_gap(indicators: StoredTable) -> Rule:
    def judge(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
        if frames[indicators.name].empty:
            return not_judged("there is no daily bar")
        frame = frames[indicators.name].dropna(subset=["unexplained_gap"])
        frame = frame.drop_duplicates("instrument_key")
        jumped = frame[frame["unexplained_gap_day"] == day]
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

    return Rule(
        "no_unexplained_gap",
        "No price jumped overnight without a corporate action",
        indicators,
        (indicators,),
        judge,
        is_error=False,
    )


def _hint(gap: float) -> str:
    if _PAISE[0] <= max(gap, 1 / gap) <= _PAISE[1]:
        return " (near 100 times: are prices of one of the days in paise?)"
    nearest = nearest_ratio(gap)
    return f" (near a ratio of {nearest})" if nearest else ""


def _patterns_counted(patterns: StoredTable, sequences: StoredTable) -> Rule:
    def judge(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
        runs = frames[sequences.name]
        if runs.empty and frames[patterns.name].empty:
            return not_judged("there is no run and no pattern")
        long_enough = runs["length"] >= settings.sequences.pattern_minimum_length
        expected, found = int(long_enough.sum()), int(frames[patterns.name]["frequency"].sum())
        return Verdict(
            expected == found,
            f"patterns count {found:,} runs, there are {expected:,} of the minimum length",
            {"runs": found},
        )

    return Rule(
        "runs_counted",
        "Frequencies add up to the runs of the minimum length",
        patterns,
        (patterns, sequences),
        judge,
    )


def _verdicts_consistent(results: StoredTable, candles: StoredTable) -> Rule:
    def judge(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
        frame = frames[results.name]
        if frame.empty and frames[candles.name].empty:
            return not_judged("there is no candle and no verdict")
        missing = set(frames[candles.name]["instrument_key"]) - set(frame["instrument_key"])
        passed = frame["verdict"].isin([VERDICT_BULLISH, VERDICT_BEARISH])
        side = frame["side"].str.lower()
        contradicting = int(
            (
                (passed & ((frame["verdict"] != side) | (frame["trend"] != frame["side"])))
                | (passed == frame["stopped_at"].notna())
                | (frame["reason"].str.len() == 0)
            ).sum()
        )
        return Verdict(
            not missing and not contradicting,
            f"{len(frame)} verdicts; {len(missing)} instruments with a bar have none, "
            f"{contradicting} contradict themselves",
            {str(name): int(count) for name, count in frame["verdict"].value_counts().items()},
        )

    return Rule(
        "verdicts_consistent",
        "Every instrument with a bar has one verdict, with a reason, that its stages support",
        results,
        (results, candles),
        judge,
    )


def _not_stale(results: StoredTable) -> Rule:
    """A day that the source has not delivered is said to be stale, not quietly short of candidates."""

    def judge(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
        frame = frames[results.name]
        if frame.empty:
            return not_judged("no instrument was screened")
        # A result has a series exactly when its instrument has a bar of the day.
        stale = frame[frame["series"].isna()]
        if stale.empty:
            return Verdict(
                True, f"all {len(frame)} instruments have a bar of {day:%Y-%m-%d}", {"stale": 0}
            )
        share, limit = len(stale) / len(frame), settings.quality.maximum_stale_share
        return Verdict(
            share < limit,
            f"{len(stale)} of {len(frame)} instruments have no bar of the day (limit {limit:.0%}), the first "
            f"{stale['instrument_key'].iloc[0]}: {stale['reason'].iloc[0]}",
            {"stale": len(stale), "share stale": share},
        )

    return Rule(
        "not_stale",
        "Most instruments have a bar of the day, so that it was screened and not an earlier one",
        results,
        (results,),
        judge,
    )


def rules(variant: str) -> tuple[Rule, ...]:
    """The rules of one variant's tables."""

    def at(table: Table) -> StoredTable:
        return StoredTable(variant, table)

    makers: tuple[tuple[Callable[..., Rule], tuple[Table, ...]], ...] = (
        (in_session, (tables.CANDLES_5MIN,)),
        (_session_conserved, (tables.CANDLES_5MIN,)),
        (bars_follow_from_minutes, (tables.CANDLES_5MIN,)),
        (bars_follow_from_minutes, (tables.CANDLES_DAILY,)),
        (_daily_conserved, (tables.CANDLES_DAILY,)),
        (_series_agree, (tables.CANDLES_DAILY,)),
        (_same_keys, (tables.INDICATORS_5MIN, tables.CANDLES_5MIN)),
        (_same_keys, (tables.INDICATORS_DAILY, tables.CANDLES_DAILY)),
        (_no_unexplained_gap, (tables.INDICATORS_DAILY,)),
        (_same_instruments, (tables.BB_WIDTH_DAILY, tables.INDICATORS_5MIN)),
        (_bands_counted, (tables.BB_WIDTH_DAILY, tables.INDICATORS_5MIN)),
        (_same_instruments, (tables.BB_WIDTH_ALERTS, tables.INDICATORS_5MIN)),
        (_alerts_follow_from_bands, (tables.BB_WIDTH_ALERTS, tables.INDICATORS_5MIN)),
        (_moves_end_today, (tables.MOVES_DAILY, tables.CANDLES_DAILY)),
        (_days_conserved, (tables.SEQUENCES, tables.MOVES_DAILY)),
        (_same_instruments, (tables.SEQUENCE_ANALYSIS, tables.MOVES_DAILY)),
        (_patterns_counted, (tables.SEQUENCE_PATTERNS, tables.SEQUENCES)),
        (_verdicts_consistent, (tables.FILTER_RESULTS, tables.CANDLES_DAILY)),
        (_not_stale, (tables.FILTER_RESULTS,)),
    )
    return tuple(maker(*map(at, needed)) for maker, needed in makers)
