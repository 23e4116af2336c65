"""The score of the self-test, counted by hand, and the market that it is made on."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from setbull_pipelines.reconciliation.diagnosis import UNKNOWN
from setbull_pipelines.reconciliation.self_test.market import SESSIONS, Market
from setbull_pipelines.reconciliation.self_test.score import (
    MUTANTS,
    DayScore,
    Outcome,
    SelfTest,
)
from setbull_pipelines.tables.reconciliation import DIVERGED, PASS

OF_UNKNOWN_SHAPE = next(mutant for mutant in MUTANTS if UNKNOWN in mutant.diagnoses.values())
NAMED = next(mutant for mutant in MUTANTS if UNKNOWN not in mutant.diagnoses.values())


def found(mutant) -> Outcome:
    columns = frozenset(mutant.diagnoses) - {"(row)"}
    return Outcome(mutant, DIVERGED, mutant.diagnoses, columns)


def test_faults_are_counted_as_caught_named_and_rightly_unknown() -> None:
    missed = replace(found(NAMED), state=PASS)
    elsewhere = replace(found(NAMED), columns_diverged=frozenset({"another"}))
    misnamed = replace(found(OF_UNKNOWN_SHAPE), found={"rsi": "shift"})
    outcomes = (found(OF_UNKNOWN_SHAPE), found(NAMED), missed, elsewhere, misnamed)
    score = SelfTest(outcomes, ())
    assert (score.caught, score.diagnosed, score.rightly_unknown) == (3, 2, 1)
    assert score.failures == [missed, elsewhere, misnamed]


def test_what_is_caught_and_not_named_is_unknown_or_misnamed() -> None:
    sentence = DayScore(12, 9, 11, 10, 6, 3).sentence
    assert "of 12 faults in tables compared per day, 11 are visible" in sentence
    assert "(9 on an ordinary one" in sentence
    assert sentence.endswith("caught 10, named 6, of unknown shape 1, misnamed 3")


def test_the_market_has_bars_of_all_its_sessions(variants: tuple[Market, Market]) -> None:
    bars = variants[0]["candles_5min"]
    assert [pd.Timestamp(day) for day in sorted(bars["trading_day"].unique())] == SESSIONS
