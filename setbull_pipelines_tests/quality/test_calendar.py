"""The checks of how far the calendar reaches, at injected last days of the input."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines.quality.raw import INTAKE
from setbull_pipelines.quality.rules import all_rules
from setbull_pipelines.quality.verdict import Verdict
from setbull_pipelines.settings import Settings
from setbull_pipelines_tests.calendars import amended


def judged(last_day: str | None) -> dict[str, Verdict]:
    frames = {INTAKE.name: pd.DataFrame({"last_day": pd.to_datetime([last_day, None])})}
    rules = {rule.name: rule for rule in all_rules()[INTAKE]}
    assert not rules["calendar_reaches_on"].is_error
    assert rules["calendar_is_published"].is_error
    return {
        name: rules[name].judge(frames, pd.NaT, Settings())
        for name in ("calendar_reaches_on", "calendar_is_published")
    }


@pytest.mark.parametrize(
    ("last_day", "reaches_on", "is_published"),
    [
        ("2026-10-30", True, True),
        ("2026-11-02", False, True),  # 59 days before the end
        ("2026-12-30", False, True),
        ("2026-12-31", False, False),
        ("2027-06-01", False, False),
    ],
)
def test_a_warning_before_the_end_and_an_error_from_it_on(
    last_day: str, reaches_on: bool, is_published: bool
) -> None:
    verdicts = judged(last_day)
    assert [verdict.passed for verdict in verdicts.values()] == [reaches_on, is_published]


def test_the_published_year_in_the_file_makes_both_pass() -> None:
    with amended("2027-01-26,holiday,,x", "2027-12-31,published,,x"):
        assert all(verdict.passed for verdict in judged("2026-12-31").values())


def test_without_a_trading_day_nothing_is_judged_and_nothing_passes() -> None:
    assert not any(verdict.passed for verdict in judged(None).values())
