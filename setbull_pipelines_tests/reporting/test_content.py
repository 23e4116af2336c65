"""What the report counts, against counts made by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines.reporting.content import (
    StageCount,
    Stored,
    charted,
    charted_intraday,
    funnel,
    markdown_funnel,
    monitor_rows,
    ranked,
    stock_rows,
    top_rows,
)
from setbull_pipelines.tables.filters import STAGES


def results(*rows: tuple[str, str | None, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["verdict", "stopped_at", "reason"])
    return frame.assign(instrument_key=[f"K{number}" for number in range(len(frame))])


def test_the_funnel_counts_those_that_came_and_those_that_stopped_and_why() -> None:
    counts = funnel(
        results(
            ("rejected", "basic", "close 30.10 is below 50.00"),
            ("rejected", "basic", "close 20.00 is below 50.00"),
            ("not enough data", "basic", "data is stale: expected 2026-06-30, have 2026-06-26"),
            ("rejected", "ema", "close 99.00 is within 3.00 % of EMA 50 100.00"),
            ("rejected", "mamba", "no run of 2 days or more"),
            ("bullish", None, "6 mamba days of 21, trend BULLISH confirms BULLISH"),
        )
    )
    assert counts == [
        StageCount(
            *("basic", 6, 3, 2, 1),
            (
                ("close … is below 50.00", 2),
                ("data is stale: expected 2026-06-30, have 2026-06-26", 1),
            ),
        ),
        StageCount("ema", 3, 2, 1, 0, (("close 99.00 is within 3.00 % of EMA 50 100.00", 1),)),
        StageCount("rsi", 2, 2, 0, 0, ()),
        StageCount("mamba", 2, 1, 1, 0, (("no run of 2 days or more", 1),)),
    ]


def test_a_day_without_instruments_has_an_empty_funnel() -> None:
    assert [(count.entered, count.passed) for count in funnel(results())] == [(0, 0)] * 4


@given(st.lists(st.sampled_from([*STAGES, None])))
def test_nobody_is_lost_in_the_funnel(stops: list[str | None]) -> None:
    rows = [("rejected" if stop else "bearish", stop, "word 1") for stop in stops]
    counts = funnel(results(*rows))
    assert counts[0].entered == len(stops)
    for before, after in pairwise(counts):
        assert before.passed == after.entered
    for count in counts:
        stopped = count.entered - count.passed
        assert stopped == count.rejected + count.without_data == sum(n for _, n in count.reasons)
    assert counts[-1].passed == stops.count(None)


def test_the_lists_are_ranked_by_mamba_days_then_key() -> None:
    rows = pd.DataFrame(
        [
            ("d", "bullish", 3),
            ("a", "rejected", 9),
            ("c", "bearish", 5),
            ("b", "bullish", 3),
            ("e", "bullish", 4),
        ],
        columns=["instrument_key", "verdict", "mamba_count"],
    )
    assert ranked(rows)["instrument_key"].tolist() == ["c", "e", "b", "d"]
    top = top_rows(pd.concat([rows] * 4))
    assert top["place"].tolist() == list(range(1, 11))
    assert top["mamba_count"].tolist() == [5] * 4 + [4] * 4 + [3] * 2


def test_every_instrument_of_the_results_has_one_row(stored: Stored) -> None:
    rows = stock_rows(stored)
    assert sorted(rows["instrument_key"]) == sorted(stored.filter_results["instrument_key"])
    passed = rows[rows["verdict"].isin(["bullish", "bearish"])]
    assert len(passed) >= 2
    assert passed["rank"].notna().all()
    assert rows.loc[~rows.index.isin(passed.index), "rank"].isna().all()
    assert rows["symbol"].notna().all()


def test_charts_are_of_those_the_profile_trades(stored: Stored) -> None:
    results = stored.filter_results
    basic = results.loc[results["basic_passed"] == True, "instrument_key"]  # noqa: E712
    assert charted(results) == set(basic) == set(stored.candles_daily["instrument_key"])
    assert charted_intraday(results) == set(stored.candles_5min["instrument_key"])
    assert charted_intraday(results) < charted(results)


def test_an_instrument_that_no_list_names_goes_by_its_key(stored: Stored) -> None:
    from dataclasses import replace

    rows = stock_rows(replace(stored, instruments=stored.instruments.iloc[:0]))
    assert rows["symbol"].tolist() == rows["instrument_key"].tolist()


@pytest.mark.parametrize("text", ["", "no number"])
def test_reasons_without_numbers_stay_as_they_are(text: str) -> None:
    (basic, *_) = funnel(results(("rejected", "basic", text)))
    assert basic.reasons == ((text, 1),)


def test_the_funnel_as_markdown() -> None:
    rows = results(
        ("rejected", "basic", "close 30.10 is below 50.00"),
        ("rejected", "ema", "a|b"),
        ("bullish", None, "passed"),
        ("bearish", None, "passed"),
    )
    assert markdown_funnel(rows).splitlines() == [
        "| stage | pass | of | | stopped | commonest reason |",
        "|---|---|---|---|---|---|",
        "| basic | 3 | 4 | ███████████████ | 1 | close 30.10 is below 50.00 (1) |",
        "| ema | 2 | 3 | ██████████ | 1 | a\\|b (1) |",
        "| rsi | 2 | 2 | ██████████ | 0 |  |",
        "| mamba | 2 | 2 | ██████████ | 0 |  |",
    ]
    assert "| basic | 0 | 0 |  | 0 |  |" in markdown_funnel(results())


def test_the_monitor_lists_every_stock_the_narrowest_first_with_its_sessions(
    stored: Stored,
) -> None:
    monitor = stored.bb_width_alerts.iloc[:3].assign(
        instrument_key=["A", "B", "C"], distance_from_lowest_percent=[30.0, None, -2.0]
    )
    days = pd.to_datetime(["2026-06-30", "2026-06-29", "2026-06-29"]).astype("datetime64[us]")
    sessions = stored.bb_width_daily.iloc[:3].assign(
        instrument_key=["A", "A", "C"], trading_day=days, p10_bb_width=[2.5, 1.25, None]
    )
    rows = pd.DataFrame({"instrument_key": ["A", "B", "C"], "symbol": ["a", "b", "c"]})
    found = monitor_rows(
        replace(stored, bb_width_alerts=monitor, bb_width_daily=sessions), rows
    ).set_index("symbol")
    assert list(found.index) == ["c", "a", "b"]
    assert found.loc["a", "width_history"] == [1.25, 2.5]
    assert found.loc[["b", "c"], "width_history"].isna().all()


def test_without_a_monitor_there_is_no_list(stored: Stored) -> None:
    assert monitor_rows(replace(stored, bb_width_alerts=None), stock_rows(stored)) is None
