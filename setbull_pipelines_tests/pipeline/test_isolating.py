"""The search for the instruments that fail finds them all and only them."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines.pipeline.isolating import isolate
from setbull_pipelines.warehouse.errors import MissingPartition

KEYS = [f"NSE_EQ|{number:02}" for number in range(20)]


def frames(keys: list[str]) -> dict[str, pd.DataFrame]:
    return {
        "bars": pd.DataFrame({"instrument_key": [key for key in keys for _ in range(3)]}),
        "starts": pd.DataFrame({"instrument_key": keys}),
    }


@given(st.sets(st.sampled_from(KEYS)), st.sets(st.sampled_from(KEYS)))
def test_exactly_those_that_raise_are_named(present: set[str], bad: set[str]) -> None:
    calls = 0

    def compute(parts) -> tuple[pd.DataFrame, ...]:
        nonlocal calls
        calls += 1
        keys = set(parts["bars"]["instrument_key"])
        assert keys == set(parts["starts"]["instrument_key"])
        if keys & bad:
            raise ValueError("bad one")
        return (parts["bars"],)

    computed, errors = isolate(compute, frames(sorted(present)))
    assert errors == dict.fromkeys(present & bad, "ValueError: bad one")
    found = pd.concat([frame for (frame,) in computed]) if computed else frames([])["bars"]
    assert sorted(found["instrument_key"]) == sorted(
        frames(sorted(present - bad))["bars"]["instrument_key"]
    )
    assert calls <= max(1, 2 * len(present) - 1)


def test_an_error_that_no_choice_of_instruments_avoids_is_raised() -> None:
    def compute(parts) -> tuple[pd.DataFrame, ...]:
        raise MissingPartition("v1.candles_daily was never materialized")

    with pytest.raises(MissingPartition, match="never materialized"):
        isolate(compute, frames(KEYS))


def test_a_long_error_is_one_short_line() -> None:
    def compute(parts) -> tuple[pd.DataFrame, ...]:
        raise ValueError("line\n" * 200)

    _, errors = isolate(compute, frames(KEYS[:1]))
    assert len(errors[KEYS[0]]) == 300
    assert "\n" not in errors[KEYS[0]]
