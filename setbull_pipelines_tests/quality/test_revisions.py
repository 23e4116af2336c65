"""The report of corrections and the check of a day, on corrections written by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.quality.revisions import RULES, changes, largest_changes, markdown, sentence
from setbull_pipelines.quality.verdict import NOT_JUDGED
from setbull_pipelines.settings import QualitySettings, Settings

DAY = pd.Timestamp("2025-06-02")


def at(clock: str) -> pd.Timestamp:
    return DAY.tz_localize("Asia/Kolkata") + pd.Timedelta(clock)


def correction(
    minute: int, changed: str, revision: int = 1, old_state: str = "final", **values: float
) -> dict:
    same = {"open": 100.0, "high": 102.0, "low": 99.0, "close": 101.0, "volume": 50}
    return {
        "kind": "minutes",
        "instrument_key": "NSE_EQ|A",
        "timestamp": at(f"9h{15 + minute}min"),
        "revision": revision,
        "trading_day": DAY,
        "changed": changed,
        **{f"{which}_{name}": value for name, value in same.items() for which in ("old", "new")},
        "old_open_interest": pd.NA,
        "new_open_interest": pd.NA,
        **values,
        "known_since": at("11h"),
        "revised_at": at("18h"),
        "old_source": "a|b.csv",
        "new_source": "c.csv",
        "old_state": old_state,
        "new_state": "final",
    }


REVISIONS = tables.REVISIONS.conform(
    pd.DataFrame(
        [
            correction(0, "close", new_close=101.5),
            correction(1, "close, volume", old_state="provisional", new_close=90.9, new_volume=75),
            correction(1, "volume", revision=2, old_volume=75, new_volume=60),
            correction(2, "open_interest", new_open_interest=7),
            correction(3, "volume", old_state="provisional", old_volume=0, new_volume=5),
        ]
    )
)


def test_changes_are_told_per_column_in_units_and_percent() -> None:
    found = changes(REVISIONS)
    assert len(found) == 6
    assert found["column"].head(4).tolist() == ["volume", "volume", "close", "close"]
    assert found["percent"].head(4).tolist() == pytest.approx([50, -20, -10, 0.495049505])
    # From no open interest to some, and from no volume, is no share of anything.
    assert found["percent"].tail(2).isna().all()
    largest = largest_changes(found).set_index("column")
    assert largest["bars"].to_dict() == {"close": 2, "volume": 2, "open_interest": 1}
    assert largest.loc["close", ["percent", "change"]].tolist() == pytest.approx([10, 10.1])
    assert largest.loc["volume", ["percent", "change"]].tolist() == [50, 25]
    assert pd.isna(largest.loc["open_interest", "change"])


def test_the_report_counts_bars_once() -> None:
    text = "4 bars of 1 instruments were corrected, 3 of them after they were final"
    assert sentence(REVISIONS) == text
    report = markdown(REVISIONS, 3)
    assert report.startswith(text)
    assert r"| NSE_EQ\|A | 2025-06-02 09:16 | volume | 50 | 75 | 50 | provisional |" in report
    assert "and 3 smaller changes" in report
    assert markdown(REVISIONS.head(0), 3) == "no bar was corrected."


@pytest.mark.parametrize(("limit", "passed"), [(0.0, False), (0.29, False), (0.3, True)])
def test_bars_that_changed_after_they_were_final_are_held_against_a_limit(
    limit: float, passed: bool
) -> None:
    minutes = pd.DataFrame({"state": ["final"] * 9 + ["provisional"]})
    rule, daily = RULES
    frames = {
        "raw.candles_1min": minutes,
        "raw.candles_daily_history": minutes,
        "raw.revisions": REVISIONS,
    }
    settings = Settings(quality=QualitySettings(maximum_revised_share=limit))
    verdict = rule.judge(frames, DAY, settings)
    assert verdict.passed is passed
    assert verdict.metadata["corrected after final"] == 3
    assert verdict.metadata["provisional"] == 1
    assert daily.judge(frames, DAY, settings).passed, "these are minutes"


def test_a_day_without_bars_is_not_judged() -> None:
    empty = {"raw.candles_1min": tables.CANDLES_1MIN.empty(), "raw.revisions": REVISIONS.head(0)}
    verdict = RULES[0].judge(empty, DAY, Settings())
    assert not verdict.passed
    assert NOT_JUDGED in verdict.metadata
