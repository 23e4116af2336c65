"""The rule about served tables sees every way in which an instrument can get the wrong rows."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from setbull_pipelines.quality.served import RULES
from setbull_pipelines.quality.verdict import Verdict
from setbull_pipelines.settings import Settings

RULE = next(rule for rule in RULES if rule.table.name == "served.candles_5min")


def lane(keys: str, price: float) -> pd.DataFrame:
    """Two bars of each instrument."""
    return pd.DataFrame(
        {
            "instrument_key": [key for key in keys for _ in range(2)],
            "timestamp": [1, 2] * len(keys),
            "close": price,
        }
    ).astype({"instrument_key": "str", "timestamp": "int64", "close": "float64"})


def judged(served: pd.DataFrame) -> Verdict:
    frames = {
        "v1.candles_5min": lane("abc", 10.0),
        "v2.candles_5min": lane("bcd", 20.0),
        "served.candles_5min": served,
    }
    return RULE.judge(frames, pd.Timestamp("2026-03-02"), Settings())


def served(v1: str, v2: str) -> pd.DataFrame:
    parts = (lane(v1, 10.0).assign(variant="v1"), lane(v2, 20.0).assign(variant="v2"))
    return pd.concat(parts).sort_values(["instrument_key", "timestamp"], ignore_index=True)


@pytest.mark.parametrize(("v1", "v2"), [("abc", ""), ("a", "bc"), ("a", "bcd"), ("ac", "b")])
def test_whole_series_of_either_variant_pass(v1: str, v2: str) -> None:
    verdict = judged(served(v1, v2))
    assert verdict.passed, verdict.description
    assert verdict.metadata["instruments from V2"] == len(v2)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda frame: frame.assign(variant=["v1", "v2", *frame["variant"][2:]]), "1 of two"),
        (lambda frame: frame.iloc[2:], "1 of V1 not served"),
        (lambda frame: frame.iloc[1:], "rows differ from those of: v1.candles_5min"),
        (lambda frame: frame.assign(variant="v1"), "rows differ from those of: v1.candles_5min"),
        (lambda frame: frame.assign(close=10.0), "rows differ from those of: v2.candles_5min"),
    ],
    ids=["mixed", "forgotten", "a bar short", "wrong label", "wrong value"],
)
def test_a_spoilt_series_fails_and_says_how(
    spoil: Callable[[pd.DataFrame], pd.DataFrame], words: str
) -> None:
    verdict = judged(spoil(served("a", "bc")))
    assert not verdict.passed
    assert words in verdict.description
