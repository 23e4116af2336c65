"""Rules about what came in, on cases that a tampered run does not show."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.market.session_table import CLOSING_AUCTION, FULL, SHAPE_NOT_KNOWN
from setbull_pipelines.quality import delivered, raw
from setbull_pipelines.quality.verdict import NOT_JUDGED
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.quality.minutes_of_a_day import DAY, minutes

SETTINGS = Settings()


def coverage(first: str, last: str, series: str = "minutes") -> pd.DataFrame:
    return tables.COVERAGE.conform(
        pd.DataFrame(
            [
                {
                    "instrument_key": "NSE_EQ|A",
                    "series": series,
                    "first_trading_day": pd.Timestamp(first),
                    "last_trading_day": pd.Timestamp(last),
                    "rows": 10,
                }
            ]
        )
    )


@pytest.mark.parametrize(
    ("first", "last", "is_judged"),
    [
        ("2025-06-02", "2025-06-04", True),  # a hole inside the source's span
        ("2025-06-03", "2025-06-03", True),  # coverage says there are rows
        ("2025-06-04", "2025-06-05", False),  # the source begins later
        ("2025-05-29", "2025-06-02", False),  # the source has ended
    ],
)
def test_a_day_without_minutes_is_a_fault_inside_the_source_and_not_judged_outside(
    first: str, last: str, is_judged: bool
) -> None:
    frames = {
        "raw.candles_1min": tables.CANDLES_1MIN.empty(),
        "raw.coverage": coverage(first, last),
    }
    verdict = delivered.minutes_complete(frames, DAY, SETTINGS)
    assert not verdict.passed
    assert (NOT_JUDGED not in verdict.metadata) is is_judged
    assert "2025-06-03" in verdict.description


@pytest.mark.parametrize(("count", "passed"), [(375, True), (300, True), (299, False), (1, False)])
def test_four_fifths_of_the_minutes_are_enough(count: int, passed: bool) -> None:
    frames = {
        "raw.candles_1min": minutes(count),
        "raw.coverage": coverage("2025-06-02", "2025-06-04"),
    }
    verdict = delivered.minutes_complete(frames, DAY, SETTINGS)
    assert verdict.passed is passed
    assert verdict.metadata["share delivered"] == pytest.approx(count / 375)
    assert verdict.metadata["minutes expected per instrument"] == 375


def test_daily_bars_are_missed_only_in_their_own_series() -> None:
    frames = {
        "raw.candles_daily_history": tables.CANDLES_DAILY_HISTORY.empty(),
        "raw.coverage": coverage("2025-06-02", "2025-06-04", series="minutes"),
    }
    assert NOT_JUDGED in delivered.daily_complete(frames, DAY, SETTINGS).metadata
    frames["raw.coverage"] = coverage("2025-06-02", "2025-06-04", series="exchange")
    missed = delivered.daily_complete(frames, DAY, SETTINGS)
    assert not missed.passed
    assert NOT_JUDGED not in missed.metadata


PARTS = ("quarantined", "duplicates_ignored", "superseded")


def account(**counts: int) -> pd.DataFrame:
    return tables.ACCOUNTING.conform(
        pd.DataFrame([{"kind": "minutes", "trading_day": DAY, **dict.fromkeys(PARTS, 0), **counts}])
    )


@pytest.mark.parametrize(
    ("counts", "stored", "passed"),
    [
        ({"received": 5, "accepted": 4, "quarantined": 0, "duplicates_ignored": 1}, 4, True),
        # The account adds up, but a row that it calls accepted is not in the table.
        ({"received": 5, "accepted": 4, "quarantined": 0, "duplicates_ignored": 1}, 3, False),
        # A quarantined row is counted, but not kept.
        ({"received": 5, "accepted": 4, "quarantined": 1, "duplicates_ignored": 0}, 4, False),
        ({"received": 6, "accepted": 4, "quarantined": 0, "duplicates_ignored": 1}, 4, False),
        # A correction is counted, but what it corrected is not kept.
        ({"received": 5, "accepted": 4, "quarantined": 0, "superseded": 1}, 4, False),
    ],
)
def test_the_account_is_held_against_the_stored_rows(
    counts: dict[str, int], stored: int, passed: bool
) -> None:
    frames = {
        "raw.accounting": account(**counts),
        "raw.candles_1min": minutes(stored),
        "raw.candles_daily_history": tables.CANDLES_DAILY_HISTORY.empty(),
        "raw.quarantine": tables.QUARANTINE.empty(),
        "raw.revisions": tables.REVISIONS.empty(),
    }
    assert raw.accounting(frames, DAY, SETTINGS).passed is passed


def test_rows_stored_without_any_account_are_a_fault() -> None:
    frames = {
        "raw.accounting": tables.ACCOUNTING.empty(),
        "raw.candles_1min": minutes(3),
        "raw.candles_daily_history": tables.CANDLES_DAILY_HISTORY.empty(),
        "raw.quarantine": tables.QUARANTINE.empty(),
        "raw.revisions": tables.REVISIONS.empty(),
    }
    assert not raw.accounting(frames, DAY, SETTINGS).passed


def test_an_evening_bar_belongs_to_no_regular_session() -> None:
    rule = raw.in_session(raw.CANDLES_1MIN)
    inside = minutes(375)
    assert rule.judge({"raw.candles_1min": inside}, DAY, SETTINGS).passed
    verdict = rule.judge({"raw.candles_1min": minutes(376)}, DAY, SETTINGS)
    assert not verdict.passed
    assert "15:30" in verdict.description
    other_day = rule.judge({"raw.candles_1min": inside}, DAY + pd.Timedelta(days=1), SETTINGS)
    assert not other_day.passed


AUCTION_DAY = pd.Timestamp("2026-08-03")


@pytest.mark.parametrize(("shape", "longest"), [(CLOSING_AUCTION, 360), (FULL, 375)])
def test_bars_are_inside_the_session_of_their_instrument(shape: str, longest: int) -> None:
    rule = raw.in_session(raw.CANDLES_1MIN)
    inside = minutes(longest, AUCTION_DAY, shape)
    assert rule.judge({"raw.candles_1min": inside}, AUCTION_DAY, SETTINGS).passed
    outside = minutes(longest + 1, AUCTION_DAY, shape)
    assert not rule.judge({"raw.candles_1min": outside}, AUCTION_DAY, SETTINGS).passed


def test_five_minute_bars_are_held_to_the_session_of_their_minutes() -> None:
    bars = StoredTable("v1", tables.CANDLES_5MIN)
    rule = raw.in_session(bars)
    assert raw.CANDLES_1MIN in rule.reads
    late = pd.Timestamp("2026-08-03 15:15", tz="Asia/Kolkata")
    frame = pd.DataFrame(
        {"instrument_key": ["NSE_EQ|A"], "timestamp": [late], "trading_day": [AUCTION_DAY]}
    )
    for shape, passed in ((CLOSING_AUCTION, False), (FULL, True)):
        frames = {bars.name: frame, "raw.candles_1min": minutes(1, AUCTION_DAY, shape)}
        assert rule.judge(frames, AUCTION_DAY, SETTINGS).passed is passed


def test_completeness_expects_the_minutes_of_each_shape_and_says_what_is_assumed() -> None:
    frames = {
        "raw.candles_1min": pd.concat(
            [
                minutes(360, AUCTION_DAY, CLOSING_AUCTION),
                minutes(375, AUCTION_DAY, FULL, "NSE_EQ|B"),
                minutes(360, AUCTION_DAY, SHAPE_NOT_KNOWN, "NSE_EQ|C"),
            ]
        ),
        "raw.coverage": coverage("2026-08-03", "2026-08-04"),
    }
    verdict = delivered.minutes_complete(frames, AUCTION_DAY, SETTINGS)
    assert verdict.passed
    assert verdict.metadata["instruments complete"] == 2
    assert verdict.metadata["instruments with closing auction"] == 1
    assert verdict.metadata["instruments of unknown session shape"] == 1
    assert verdict.metadata["share delivered"] == pytest.approx((1 + 1 + 360 / 375) / 3)
    assert "1 of unknown session shape are assumed to trade all day" in verdict.description


def unassigned(*rows: tuple[str, str, str, int]) -> pd.DataFrame:
    """Quarantined rows without a day: (instrument, rule, timestamp as found, volume)."""
    return tables.QUARANTINE.conform(
        pd.DataFrame(
            [
                {
                    "source": "a.csv",
                    "line": number,
                    "instrument_key": key,
                    "rule": rule,
                    "value": value,
                    "reason": "found it",
                    "record": json.dumps({"volume": str(volume)}),
                }
                for number, (key, rule, value, volume) in enumerate(rows)
            ]
        ).reindex(columns=tables.QUARANTINE.column_names)
    )


def test_trades_on_closed_days_are_counted_by_day() -> None:
    frames = {
        "raw.quarantine": unassigned(
            ("NSE_EQ|A", "closed day", "2025-06-07T10:00:00+05:30", 5),  # a Saturday
            ("NSE_EQ|B", "closed day", "2025-06-07", 5),
            ("NSE_EQ|B", "closed day", "2025-06-06T20:00:00Z", 5),  # 01:30 of the Saturday in India
            ("NSE_EQ|A", "closed day", "2025-08-15T10:00:00+05:30", 7),
            ("NSE_EQ|A", "closed day", "2025-06-08T10:00:00+05:30", 0),
            ("NSE_EQ|A", "naive timestamp", "2025-06-08T10:00:00", 9),
        )
    }
    verdict = raw.closed_days_untraded(frames, pd.NaT, SETTINGS)
    assert not verdict.passed
    assert verdict.metadata == {"rows on closed days": 5, "traded": 4, "days": 2}
    assert "2025-06-07 (weekend) 3 of 2 instruments" in verdict.description
    assert "2025-08-15 (Independence Day) 1 of 1 instruments" in verdict.description


def test_closed_days_filled_without_volume_are_no_trades() -> None:
    frames = {
        "raw.quarantine": unassigned(("NSE_EQ|A", "closed day", "2025-06-08T10:00:00+05:30", 0))
    }
    verdict = raw.closed_days_untraded(frames, pd.NaT, SETTINGS)
    assert verdict.passed
    assert verdict.metadata == {"rows on closed days": 1, "traded": 0}


@pytest.mark.parametrize(
    ("stored", "volume", "last", "passed"),
    [
        (3, 1, "2025-06-04", True),
        (3, 0, "2025-06-04", False),  # filled minutes only
        (0, 1, "2025-06-04", False),
    ],
)
def test_a_session_without_any_trade_is_told(
    stored: int, volume: int, last: str, passed: bool
) -> None:
    frames = {
        "raw.candles_1min": minutes(stored, volume=volume)
        if stored
        else tables.CANDLES_1MIN.empty(),
        "raw.candles_daily_history": tables.CANDLES_DAILY_HISTORY.empty(),
        "raw.coverage": coverage("2025-05-29", last),
    }
    verdict = raw.sessions_traded(frames, DAY, SETTINGS)
    assert verdict.passed is passed
    assert ("1 instruments have candles before and after" in verdict.description) is not passed


def test_a_session_after_the_end_of_the_source_is_not_judged() -> None:
    frames = {
        "raw.candles_1min": tables.CANDLES_1MIN.empty(),
        "raw.candles_daily_history": tables.CANDLES_DAILY_HISTORY.empty(),
        "raw.coverage": coverage("2025-05-29", "2025-06-02"),
    }
    verdict = raw.sessions_traded(frames, DAY, SETTINGS)
    assert not verdict.passed
    assert NOT_JUDGED in verdict.metadata


def test_daily_bars_alone_make_a_traded_session() -> None:
    history = (
        minutes(1).drop(columns="session_shape").assign(timestamp=DAY.tz_localize("Asia/Kolkata"))
    )
    frames = {
        "raw.candles_1min": tables.CANDLES_1MIN.empty(),
        "raw.candles_daily_history": tables.CANDLES_DAILY_HISTORY.without_provenance.conform(
            history
        ),
        "raw.coverage": coverage("2025-06-02", "2025-06-04"),
    }
    assert raw.sessions_traded(frames, DAY, SETTINGS).passed
