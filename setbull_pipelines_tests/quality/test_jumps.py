"""The check that a day's shares of verdicts and stages are those of the sessions before."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.assets import checking
from setbull_pipelines.quality.rules import all_rules
from setbull_pipelines.quality.verdict import NOT_JUDGED, Verdict, before
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.assets.judge import Judge
from setbull_pipelines_tests.pipeline.small_run import SmallRun, publish

RESULTS = StoredTable("served", tables.SERVED["filter_results"])
(RULE,) = (rule for rule in all_rules()[RESULTS] if rule.name == "shares_are_usual")
DAYS = pd.bdate_range("2025-05-01", periods=30)
USUAL = {
    ("rejected", "basic"): 0.75,
    ("not enough data", "basic"): 0.07,
    ("rejected", "ema"): 0.05,
    ("rejected", "mamba"): 0.10,
    ("bearish", None): 0.03,
}
"""As in the real market; in some sessions a few hundredths more or less."""


def results_of(
    day: pd.Timestamp, stocks: int = 400, shares: dict[tuple[str, str | None], float] = USUAL
) -> pd.DataFrame:
    counts = [round(share * stocks) for share in shares.values()]
    counts[0] += stocks - sum(counts)
    outcomes = np.repeat(np.arange(len(counts)), counts)
    verdicts, stages = zip(*shares, strict=True)
    return pd.DataFrame(
        {
            "trading_day": day,
            "verdict": [verdicts[outcome] for outcome in outcomes],
            "stopped_at": [stages[outcome] for outcome in outcomes],
        }
    )


def judged(today: pd.DataFrame, earlier: Sequence[pd.DataFrame]) -> Verdict:
    known = pd.concat(earlier) if earlier else today.head(0)
    return RULE.judge({RESULTS.name: today, before(RESULTS): known}, DAYS[-1], Settings())


EARLIER = [results_of(day) for day in DAYS[-21:-1]]


def test_an_ordinary_day_passes_and_says_what_it_was_compared_with() -> None:
    shifted = USUAL | {("rejected", "basic"): 0.71, ("rejected", "mamba"): 0.14}
    verdict = judged(results_of(DAYS[-1], shares=shifted), EARLIER)
    assert verdict.passed
    assert verdict.metadata["sessions compared with"] == 20
    assert verdict.metadata["largest jump"] == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("shares", "stocks", "said"),
    [
        # A look-back of moves that is too short: nobody has a trend.
        (
            {("not enough data", "mamba"): 1.0},
            400,
            "not enough data: 100%, usually 7%",
        ),
        # A feed without volumes.
        ({("rejected", "basic"): 1.0}, 400, "rejected at basic: 100%, usually 75%"),
        # Stages that let through what they stopped.
        (USUAL | {("bearish", None): 0.4, ("rejected", "basic"): 0.38}, 400, "bearish: 40%"),
        (USUAL | {("rejected", "rsi"): 0.3, ("rejected", "basic"): 0.45}, 400, "rejected at rsi"),
        # Half of the universe is missing; its shares are as ever.
        (USUAL, 200, "instruments: 200, usually 400"),
    ],
)
def test_a_jump_is_told(
    shares: dict[tuple[str, str | None], float], stocks: int, said: str
) -> None:
    assert not RULE.is_error
    verdict = judged(results_of(DAYS[-1], stocks, shares), EARLIER)
    assert not verdict.passed
    assert said in verdict.description, verdict.description


def test_a_broken_day_among_those_before_changes_nothing() -> None:
    broken = results_of(DAYS[-2], shares={("not enough data", "mamba"): 1.0})
    assert judged(results_of(DAYS[-1]), [*EARLIER[:-1], broken]).passed
    again = judged(
        results_of(DAYS[-1], shares={("not enough data", "mamba"): 1.0}), [*EARLIER, broken]
    )
    assert not again.passed


@pytest.mark.parametrize(("limit", "passed"), [(0.04, False), (0.06, True)])
def test_the_limit_is_a_setting(limit: float, passed: bool) -> None:
    shifted = USUAL | {("rejected", "basic"): 0.65, ("rejected", "mamba"): 0.20}
    quality = dataclasses.replace(Settings().quality, maximum_share_jump=limit)
    frames = {
        RESULTS.name: results_of(DAYS[-1], shares=shifted),
        before(RESULTS): pd.concat(EARLIER),
    }
    # 400 stocks add a twentieth to it.
    verdict = RULE.judge(frames, DAYS[-1], dataclasses.replace(Settings(), quality=quality))
    assert verdict.passed is passed


def test_the_first_stored_session_is_not_judged_and_does_not_pass() -> None:
    verdict = judged(results_of(DAYS[-1]), [])
    assert not verdict.passed
    assert verdict.metadata[NOT_JUDGED]
    assert "no session before it is stored" in verdict.description


def test_a_run_holds_a_day_against_the_stored_sessions_before_it(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = copied_run.days
    monkeypatch.setattr(checking, "all_rules", lambda: {RESULTS: (RULE,)})
    judge = Judge(copied_run.settings, RESULTS)
    (evaluation,) = judge.over([first]).values()
    assert not evaluation.passed
    assert evaluation.metadata[NOT_JUDGED].value is True
    (evaluation,) = judge.over([second]).values()
    assert evaluation.passed
    everybody_lacks_data(copied_run, second)
    (evaluation,) = judge.over([second]).values()
    assert not evaluation.passed
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    assert "not enough data: 100%" in evaluation.description


def everybody_lacks_data(run: SmallRun, day: date) -> None:
    results = run.warehouse.read(RESULTS, [day.isoformat()])
    broken = results.assign(verdict="not enough data", stopped_at="mamba")
    publish(run.warehouse, RESULTS, day.isoformat(), broken)
