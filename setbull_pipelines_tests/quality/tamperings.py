"""Rows that break one rule each, made from rows on which every rule holds.

Belongs here: for each rule what is changed, in its own table or in another that it reads. Does not belong here: the
rows of a run, and what a rule says of them.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.quality.verdict import Rule
from setbull_pipelines.tables.columns import EXCHANGE
from setbull_pipelines.warehouse.pointers import StoredTable

Frames = dict[str, pd.DataFrame]
Tampering = Callable[[Frames, Rule], pd.DataFrame]
QUARANTINE = StoredTable("raw", tables.QUARANTINE)
REVISIONS = StoredTable("raw", tables.REVISIONS)


def changed(frame: pd.DataFrame, row: int, **values: object) -> pd.DataFrame:
    """``frame`` with other values in one row."""
    tampered = frame.copy()
    for column, value in values.items():
        tampered.loc[tampered.index[row], column] = value
    return tampered


def own(frames: Frames, rule: Rule) -> pd.DataFrame:
    return frames[rule.table.name]


def with_a_null_in_the_key(frames: Frames, rule: Rule) -> pd.DataFrame:
    column = rule.table.table.key[0]
    frame = own(frames, rule)
    return frame.assign(**{column: frame[column].where(frame.index != 0)})


def with_a_repeated_row(frames: Frames, rule: Rule) -> pd.DataFrame:
    frame = own(frames, rule)
    return pd.concat([frame, frame.tail(1)], ignore_index=True)


def with_high_below_open(frames: Frames, rule: Rule) -> pd.DataFrame:
    return changed(own(frames, rule), 0, high=own(frames, rule)["open"].iloc[0] - 0.05)


def without_the_last_row(frames: Frames, rule: Rule) -> pd.DataFrame:
    return own(frames, rule).iloc[:-1]


def with_a_bar_after_the_close(frames: Frames, rule: Rule) -> pd.DataFrame:
    evening = own(frames, rule)["timestamp"].iloc[-1].normalize() + pd.Timedelta(hours=19)
    return changed(own(frames, rule), -1, timestamp=evening)


def with_one_more_share(frames: Frames, rule: Rule) -> pd.DataFrame:
    return changed(own(frames, rule), 3, volume=own(frames, rule)["volume"].iloc[3] + 1)


def with_the_exchange_far_above(frames: Frames, rule: Rule) -> pd.DataFrame:
    frame = own(frames, rule)
    first = int((frame["series"] == EXCHANGE).to_numpy().argmax())
    return changed(frame, first, high=frame["high"].iloc[first] * 1.02)


def with_another_close(frames: Frames, rule: Rule) -> pd.DataFrame:
    return changed(own(frames, rule), -1, close=own(frames, rule)["close"].iloc[-1] + 0.05)


def with_a_move_dated_later(frames: Frames, rule: Rule) -> pd.DataFrame:
    frame = own(frames, rule)
    return changed(frame, -1, move_day=frame["move_day"].iloc[-1] + pd.Timedelta(days=1))


def with_a_longer_run(frames: Frames, rule: Rule) -> pd.DataFrame:
    return changed(own(frames, rule), 0, length=own(frames, rule)["length"].iloc[0] + 1)


def with_one_more_run(frames: Frames, rule: Rule) -> pd.DataFrame:
    return changed(own(frames, rule), 0, frequency=own(frames, rule)["frequency"].iloc[0] + 1)


def with_a_lost_band(frames: Frames, rule: Rule) -> pd.DataFrame:
    return changed(own(frames, rule), 0, bands=own(frames, rule)["bands"].iloc[0] - 1)


def with_an_alert_of_another_width(frames: Frames, rule: Rule) -> pd.DataFrame:
    frame = own(frames, rule)
    alerted = frame["alert_rule"].notna().to_numpy()
    assert alerted.any(), "the run has no alert to tamper with"
    first = int(alerted.argmax())
    return changed(frame, first, alert_bb_width=frame["alert_bb_width"].iloc[first] + 0.01)


def with_the_opposite_verdict(frames: Frames, rule: Rule) -> pd.DataFrame:
    passed = own(frames, rule)["verdict"].eq("bullish").to_numpy()
    assert passed.any(), "the run has no bullish instrument to tamper with"
    return changed(own(frames, rule), int(passed.argmax()), verdict="bearish")


def with_a_rejected_file(frames: Frames, rule: Rule) -> pd.DataFrame:
    return changed(
        own(frames, rule), 0, kind="rejected", reason="minutes.csv: no column 'close' found"
    )


def with_the_last_published_day(frames: Frames, rule: Rule) -> pd.DataFrame:
    return own(frames, rule).assign(last_day=pd.Timestamp(NSE.published_until))


def with_a_lost_row(frames: Frames, rule: Rule) -> pd.DataFrame:
    return changed(own(frames, rule), 0, received=own(frames, rule)["received"].iloc[0] + 1)


def with_a_slow_v2(frames: Frames, rule: Rule) -> pd.DataFrame:
    frame = own(frames, rule)
    slow = frame["cpu_seconds"].where(frame["variant"] != "v2", 60.0)
    return frame.assign(seconds=60.0, cpu_seconds=slow)


def with_v2_for_all(frames: Frames, rule: Rule) -> pd.DataFrame:
    return own(frames, rule).assign(variant="v2")


def with_a_damaged_file(frames: Frames, rule: Rule) -> pd.DataFrame:
    return changed(own(frames, rule), 0, state="damaged", reason="and cannot be made again")


def with_a_repaired_file(frames: Frames, rule: Rule) -> pd.DataFrame:
    rows = own(frames, rule)
    return changed(rows, 0, state="repaired", damaged_at=rows["verified_at"].max())


def with_a_stage_nobody_decided(frames: Frames, rule: Rule) -> pd.DataFrame:
    return changed(own(frames, rule), -1, from_stage="50")


def with_a_stock_nobody_knows(frames: Frames, rule: Rule) -> pd.DataFrame:
    return changed(own(frames, rule), 0, instrument_key="NSE_EQ|NOBODY")


def with_a_third_stale(frames: Frames, rule: Rule) -> pd.DataFrame:
    frame = own(frames, rule)
    return frame.assign(series=frame["series"].where(frame.index % 3 != 0))


def with_nobody_who_has_a_trend(frames: Frames, rule: Rule) -> pd.DataFrame:
    return own(frames, rule).assign(verdict="not enough data", stopped_at="mamba")


def half_of_the_minutes(frames: Frames, rule: Rule) -> pd.DataFrame:
    return own(frames, rule).iloc[::2]


def without_the_afternoon(frames: Frames, rule: Rule) -> pd.DataFrame:
    minutes = own(frames, rule)
    return minutes[minutes["timestamp"].dt.hour < 12]


def with_the_bar_of_another(frames: Frames, rule: Rule) -> pd.DataFrame:
    bars = own(frames, rule)
    lying, another = bars[bars["series"] == EXCHANGE].index[:2]
    prices = ["open", "high", "low", "close", "volume"]
    tampered = bars.copy()
    tampered.loc[lying, prices] = bars.loc[another, prices]
    return tampered


def with_prices_in_paise(frames: Frames, rule: Rule) -> pd.DataFrame:
    bars, prices = own(frames, rule), ["open", "high", "low", "close"]
    return bars.assign(**{name: bars[name] * 100 for name in prices})


def no_rows(frames: Frames, rule: Rule) -> pd.DataFrame:
    return own(frames, rule).iloc[:0]


def with_a_jump(frames: Frames, rule: Rule) -> pd.DataFrame:
    day = own(frames, rule)["trading_day"].iloc[0]
    return changed(own(frames, rule), 0, unexplained_gap=0.1013, unexplained_gap_day=day)


def with_a_failure(frames: Frames, rule: Rule) -> pd.DataFrame:
    row = {
        "asset": "v2.candles_5min",
        "instrument_key": "NSE_EQ|A",
        "trading_day": pd.Timestamp(2026, 6, 30),
        "variant": "v2",
        "inherited": False,
        "origin": "v2.candles_5min 2026-06-30",
        "error": "ValueError: no",
    }
    return tables.FAILURES.conform(pd.DataFrame([row]))


def with_the_same_failure_twice(frames: Frames, rule: Rule) -> pd.DataFrame:
    return pd.concat([with_a_failure(frames, rule)] * 2, ignore_index=True)


def with_a_failure_of_nobody(frames: Frames, rule: Rule) -> pd.DataFrame:
    return with_a_failure(frames, rule).assign(instrument_key=None)


TAMPERINGS: dict[str, Tampering] = {
    "schema": with_a_null_in_the_key,
    "keys_unique": with_a_repeated_row,
    "ohlc": with_high_below_open,
    "in_session": with_a_bar_after_the_close,
    "session_conserved": with_one_more_share,
    "reaches_the_close": without_the_afternoon,
    "bars_are_own": with_the_bar_of_another,
    "prices_in_one_unit": with_prices_in_paise,
    "bars_follow_from_minutes": with_another_close,
    "series_agree": with_the_exchange_far_above,
    "one_row_per_candle": without_the_last_row,
    "one_row_per_instrument": without_the_last_row,
    "ends_on_the_day": with_a_move_dated_later,
    "days_conserved": with_a_longer_run,
    "runs_counted": with_one_more_run,
    "bands_counted": with_a_lost_band,
    "alerts_follow_from_bands": with_an_alert_of_another_width,
    "no_unexplained_gap": with_a_jump,
    "verdicts_consistent": with_the_opposite_verdict,
    "not_stale": with_a_third_stale,
    "shares_are_usual": with_nobody_who_has_a_trend,
    "underlyings_known": with_a_stock_nobody_knows,
    "one_variant_per_instrument": without_the_last_row,
    "report_says_what_is_served": without_the_last_row,
    "calendar_reaches_on": with_the_last_published_day,
    "calendar_is_published": with_the_last_published_day,
    "files_read": with_a_rejected_file,
    "received_rows_assigned": with_a_lost_row,
    "accounting": with_a_lost_row,
    "within_limits": with_a_slow_v2,
    "replayable": with_a_stage_nobody_decided,
    "variant_as_decided": with_v2_for_all,
    "no_damaged_file": with_a_damaged_file,
    "no_file_had_to_be_repaired": with_a_repaired_file,
}
"""By rule name: the rule's own table, made wrong."""
SPECIAL_TAMPERINGS: dict[tuple[str, str], Tampering] = {
    ("raw.candles_1min", "complete"): half_of_the_minutes,
    ("raw.candles_daily_history", "complete"): no_rows,
    ("operations.failures", "schema"): with_a_failure_of_nobody,
    ("operations.failures", "keys_unique"): with_the_same_failure_twice,
    ("operations.failures", "no_instrument_failed"): with_a_failure,
}
ELSEWHERE: dict[str, Callable[[Frames, Rule], Frames]] = {}
"""Rules that are broken by rows of another table than their own."""


def breaks_elsewhere(name: str):
    def register(tampering: Callable[[Frames, Rule], Frames]):
        ELSEWHERE[name] = tampering
        return tampering

    return register


@breaks_elsewhere("sessions_traded")
def nothing_traded(frames: Frames, rule: Rule) -> Frames:
    names = ("raw.candles_1min", "raw.candles_daily_history")
    return {name: frames[name].assign(volume=0) for name in names}


@breaks_elsewhere("closed_days_untraded")
@breaks_elsewhere("rows_have_a_trading_day")
def rows_without_a_day(frames: Frames, rule: Rule) -> Frames:
    row = {
        "source": "minutes.csv",
        "line": 2,
        "rule": "closed day",
        "value": "2025-06-01T10:00:00+05:30",
        "reason": "2025-06-01 is a Sunday",
        "record": '{"volume": "5"}',
    }
    rows = pd.DataFrame([row]).reindex(columns=tables.QUARANTINE.column_names)
    return {QUARANTINE.name: tables.QUARANTINE.conform(rows)}


@breaks_elsewhere("v2_agrees_with_v1")
def a_verdict_that_diverged(frames: Frames, rule: Rule) -> Frames:
    (name,) = (stored.name for stored in rule.reads if stored.name.endswith("_verdict"))
    return {name: frames[name].assign(state="diverged", reason="1 cell differs")}


@breaks_elsewhere("differences_are_rounding")
def a_verdict_with_a_warning(frames: Frames, rule: Rule) -> Frames:
    (name,) = (stored.name for stored in rule.reads if stored.name.endswith("_verdict"))
    return {name: frames[name].assign(warning="ema_50 drifts inside its tolerance of 1e-09")}


def tamper(frames: Frames, rule: Rule) -> Frames:
    if rule.name in ELSEWHERE:
        return {**frames, **ELSEWHERE[rule.name](frames, rule)}
    special = SPECIAL_TAMPERINGS.get((rule.table.name, rule.name))
    return {**frames, rule.table.name: (special or TAMPERINGS[rule.name])(frames, rule)}


@breaks_elsewhere("revised")
def every_bar_corrected_after_it_was_final(frames: Frames, rule: Rule) -> Frames:
    return {REVISIONS.name: corrections_of(frames[rule.table.name])}


def corrections_of(bars: pd.DataFrame) -> pd.DataFrame:
    """Every bar with one share more than was known when it was final: the sample has no correction."""
    values = ("open", "high", "low", "close", "volume", "open_interest")
    return tables.REVISIONS.conform(
        bars[["instrument_key", "timestamp", "trading_day"]].assign(
            kind="minutes" if "session_shape" in bars.columns else "daily",
            revision=1,
            changed="volume",
            **{f"old_{name}": bars[name] for name in values},
            **{f"new_{name}": bars[name] for name in values} | {"new_volume": bars["volume"] + 1},
            known_since=bars["ingested_at"],
            revised_at=bars["ingested_at"],
            old_source="a.csv",
            new_source="b.csv",
            old_state="final",
            new_state="final",
        )
    )
