"""Rules about what follows from indicators: band widths, moves, sequences, filter results.

Belongs here: rules that hold V1 and V2 to the tables before, in other words than the variants' own. Does not belong
here: candles and indicators (``computed_bars.py``), which rule is for which table (``computed.py``).
"""

from __future__ import annotations

import pandas as pd

from setbull_pipelines.quality.declaring import Asked, rule
from setbull_pipelines.quality.verdict import Verdict, not_judged
from setbull_pipelines.tables.filters import VERDICT_BEARISH, VERDICT_BULLISH


@rule("one_row_per_instrument")
def one_row_per_instrument(asked: Asked, rows: pd.DataFrame, others: pd.DataFrame) -> Verdict:
    """The instruments are those of {other}."""
    name, other = (each.name for each in asked.tables)
    found = set(rows["instrument_key"])
    expected = set(others["instrument_key"])
    if not found and not expected:
        return not_judged(f"neither table has an instrument: {name}, {other}")
    return Verdict(
        found == expected,
        f"{len(found)} instruments, {len(expected)} in {other}, "
        f"{len(found ^ expected)} in only one of them",
        {"instruments": len(found)},
    )


@rule("bands_counted")
def bands_counted(asked: Asked, widths: pd.DataFrame, bars: pd.DataFrame) -> Verdict:
    """Bars and bands of the session are all counted, once."""
    if bars.empty and widths.empty:
        return not_judged("there is no bar and no instrument with bands")
    is_band = bars["bb_width"] >= asked.settings.bb_width.minimum_width
    expected, found = int(is_band.sum()), int(widths["bands"].sum())
    rows, counted = len(bars), int(widths["bars"].sum())
    return Verdict(
        expected == found and rows == counted,
        f"{found:,} bands in {counted:,} bars are counted, there are {expected:,} in {rows:,}",
        {"bands": found, "bars": counted},
    )


@rule("alerts_follow_from_bands")
def alerts_follow_from_bands(asked: Asked, frame: pd.DataFrame, bars: pd.DataFrame) -> Verdict:
    """Every band-width alert is that of a bar of the day, under a rule that its width supports."""
    if frame.empty and bars.empty:
        return not_judged("there is no bar and no instrument with bands")
    alerted = frame[frame["alert_rule"].notna()]
    widths = bars.set_index(["instrument_key", "timestamp"])["bb_width"]
    of_bar = widths.reindex(pd.MultiIndex.from_frame(alerted[["instrument_key", "alert_bar"]]))
    reach = asked.settings.bb_width.range_percent
    near = alerted["alert_distance_percent"].abs() <= reach * (1 + 1e-6)
    below = alerted["alert_bb_width"] <= alerted["lowest_bb_width"] * (1 + 1e-6)
    contradicting = int(
        (
            (of_bar.to_numpy() != alerted["alert_bb_width"].to_numpy())
            | (alerted["alert_rule"].isin(["range contracting", "threshold"]) & ~near)
            | ((alerted["alert_rule"] == "squeeze") & ~below)
            | (alerted["alert_bar"] > alerted["last_band"])
            | ~alerted["alert_rule"].isin(asked.settings.bb_width.alert_rules)
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


@rule("ends_on_the_day")
def ends_on_the_day(asked: Asked, frame: pd.DataFrame, candles: pd.DataFrame) -> Verdict:
    """Every instrument with a bar on the day has its moves up to that day, and no others."""
    if frame.empty and candles.empty:
        return not_judged("there is no candle and no move")
    per_instrument = frame.groupby("instrument_key")["move_day"].agg(["max", "size"])
    expected = set(candles["instrument_key"])
    late = int((per_instrument["max"] != asked.day).sum())
    long = int((per_instrument["size"] > asked.settings.sequences.look_back_days).sum())
    missing = len(expected ^ set(per_instrument.index))
    return Verdict(
        late == long == missing == 0,
        f"{len(per_instrument)} instruments with up to {asked.settings.sequences.look_back_days} moves "
        f"ending on the day; {missing} missing or extra, {late} end elsewhere, {long} too long",
        {"instruments": len(per_instrument), "moves": len(frame)},
    )


@rule("days_conserved")
def days_conserved(asked: Asked, sequences: pd.DataFrame, moves: pd.DataFrame) -> Verdict:
    """The lengths of an instrument's runs add up to its moves."""
    if sequences.empty and moves.empty:
        return not_judged("there is no move and no run")
    lengths = sequences.groupby("instrument_key")["length"].sum()
    counts = moves.groupby("instrument_key").size()
    return Verdict(
        lengths.sort_index().to_dict() == counts.sort_index().to_dict(),
        f"runs of {int(lengths.sum()):,} days for {int(counts.sum()):,} moves of "
        f"{len(counts)} instruments",
        {"days": int(lengths.sum()), "instruments": len(counts)},
    )


@rule("runs_counted")
def runs_counted(asked: Asked, patterns: pd.DataFrame, runs: pd.DataFrame) -> Verdict:
    """Frequencies add up to the runs of the minimum length."""
    if runs.empty and patterns.empty:
        return not_judged("there is no run and no pattern")
    long_enough = runs["length"] >= asked.settings.sequences.pattern_minimum_length
    expected, found = int(long_enough.sum()), int(patterns["frequency"].sum())
    return Verdict(
        expected == found,
        f"patterns count {found:,} runs, there are {expected:,} of the minimum length",
        {"runs": found},
    )


@rule("verdicts_consistent")
def verdicts_consistent(asked: Asked, frame: pd.DataFrame, candles: pd.DataFrame) -> Verdict:
    """Every instrument with a bar has one verdict, with a reason, that its stages support."""
    if frame.empty and candles.empty:
        return not_judged("there is no candle and no verdict")
    missing = set(candles["instrument_key"]) - set(frame["instrument_key"])
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


@rule("not_stale")
def not_stale(asked: Asked, frame: pd.DataFrame) -> Verdict:
    """Most instruments have a bar of the day, so that it was screened and not an earlier one."""
    if frame.empty:
        return not_judged("no instrument was screened")
    # A result has a series exactly when its instrument has a bar of the day.
    stale = frame[frame["series"].isna()]
    if stale.empty:
        return Verdict(
            True, f"all {len(frame)} instruments have a bar of {asked.day:%Y-%m-%d}", {"stale": 0}
        )
    share, limit = len(stale) / len(frame), asked.settings.quality.maximum_stale_share
    return Verdict(
        share < limit,
        f"{len(stale)} of {len(frame)} instruments have no bar of the day (limit {limit:.0%}), the first "
        f"{stale['instrument_key'].iloc[0]}: {stale['reason'].iloc[0]}",
        {"stale": len(stale), "share stale": share},
    )
