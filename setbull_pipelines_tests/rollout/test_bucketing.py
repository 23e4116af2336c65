"""Buckets against the published vectors of Unleash, cohorts that nest, overrides that win."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines.rollout.bucketing import (
    Override,
    Variant,
    assign,
    buckets,
    cohort,
    configured_overrides,
    realised_share,
    rotating_sample,
)
from setbull_pipelines.rollout.stages import Component
from setbull_pipelines.settings import RolloutSettings

KEYS = st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=40)
GROUPS = st.text(min_size=1, max_size=20)
V1, V2 = Variant.V1, Variant.V2


@pytest.fixture(scope="module")
def specification(shared_data: Path) -> dict[str, Any]:
    path = shared_data / "oracles" / "unleash" / "flexible-rollout.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_vector_of_the_unleash_specification(specification: dict[str, Any]) -> None:
    """Stickiness names which id of the context is the key; 'default' is the user, else the session.

    Without an id, 'default' draws a random key (Unleash's gradualRolloutRandom): no value can be expected of it
    except at 100 %, where every key is in.
    """
    parameters = {
        feature["name"]: feature["strategies"][0]["parameters"]
        for feature in specification["state"]["features"]
    }
    outcomes = []
    for test in specification["tests"]:
        wanted = parameters[test["toggleName"]]
        group, percentage = wanted["groupId"], int(wanted["rollout"])
        context, stickiness = test["context"], wanted["stickiness"]
        if stickiness != "default":
            key = context.get(stickiness, "")
        else:
            key = context.get("userId") or context.get("sessionId")
        if key is None:
            assert percentage == 100
            some = [f"random {number}" for number in range(500)]
            assert cohort(some, group, percentage).all() == test["expectedResult"]
            outcomes.append("any key")
        elif not key:
            assert test["expectedResult"] is False
            with pytest.raises(ValueError, match="empty key"):
                cohort([key], group, percentage)
            outcomes.append("no key")
        else:
            found = bool(cohort([key], group, percentage)[0])
            assert found is test["expectedResult"], test["description"]
            outcomes.append("key")
    assert sorted(outcomes) == ["any key"] + ["key"] * 7 + ["no key"] * 2


def test_the_values_that_unleash_clients_agree_on() -> None:
    # "normalized values are the same across node, java, and go clients", unleash-client-node.
    assert buckets(["123"], "gr1").tolist() == [73]
    assert buckets(["999"], "groupX").tolist() == [25]


def test_the_hash_of_the_old_system_is_not_used() -> None:
    # Its buckets of these two instruments were 26 and 88 (0 to 99).
    keys = ["NSE_EQ|INE301A01014", "NSE_EQ|INE002A01018"]
    for component in Component:
        found = buckets(keys, component.flag).tolist()
        assert found not in ([26, 88], [27, 89])


@given(KEYS, GROUPS)
def test_a_bucket_depends_on_its_own_key_only(keys: list[str], group: str) -> None:
    found = buckets(keys, group)
    assert ((found >= 1) & (found <= 100)).all()
    assert found.tolist() == [int(buckets([key], group)[0]) for key in keys]
    assert buckets(keys[::-1], group).tolist() == found.tolist()[::-1]


@given(KEYS, GROUPS, st.integers(0, 100), st.integers(0, 100))
def test_cohorts_nest(keys: list[str], group: str, one: int, other: int) -> None:
    small, large = sorted((one, other))
    assert not (cohort(keys, group, small) & ~cohort(keys, group, large)).any()
    assert not cohort(keys, group, 0).any()
    assert cohort(keys, group, 100).all()


@given(KEYS, GROUPS, st.integers(1, 100), st.integers(0, 10_000))
def test_consecutive_samples_hold_every_key_once(
    keys: list[str], group: str, percentage: int, first: int
) -> None:
    turns = -(-100 // percentage)
    drawn = sum(
        rotating_sample(keys, group, percentage, turn).astype(int)
        for turn in range(first, first + turns)
    )
    assert (drawn == 1).all()


def test_cohorts_of_the_real_universe_are_close_to_their_percentage(shared_data: Path) -> None:
    with (shared_data / "instruments_nse_eq.csv").open(encoding="utf-8") as file:
        keys = [row["instrument_key"] for row in csv.DictReader(file)]
    assert len(keys) > 2_000
    first = {}
    for component in Component:
        for percentage in (10, 50):
            inside = cohort(keys, component.flag, percentage)
            # Four standard deviations of a binomial share.
            spread = 4 * (percentage * (100 - percentage) / len(keys)) ** 0.5
            assert abs(100 * inside.mean() - percentage) < spread
        first[component] = {
            key for key, one in zip(keys, cohort(keys, component.flag, 10), strict=True) if one
        }
    # Other salts, other instruments: not the same tenth goes first every time.
    shared = first[Component.AGGREGATION] & first[Component.INDICATORS]
    assert len(shared) < 0.3 * len(first[Component.AGGREGATION])


def test_overrides_win_over_the_cohort() -> None:
    keys = ["a", "b", "c", "d", "e"]
    overrides = {
        "a": Override.FORCE_V1,
        "b": Override.FORCE_V2,
        "c": Override.FREEZE,
        "d": Override.FREEZE,
        "e": Override.FREEZE,
    }
    previous = {"a": V2, "b": V1, "c": V2, "d": V1}
    for percentage in (0, 10, 100):
        assert assign(keys, "g", percentage, overrides, previous) == [V1, V2, V2, V1, V1]
    assert assign(keys, "g", 0) == [V1] * 5
    assert assign(keys, "g", 100) == [V2] * 5


def test_overrides_come_from_the_settings() -> None:
    settings = RolloutSettings(force_v1=("a",), force_v2=("b", "c"), freeze=("d",))
    assert configured_overrides(settings) == {
        "a": Override.FORCE_V1,
        "b": Override.FORCE_V2,
        "c": Override.FORCE_V2,
        "d": Override.FREEZE,
    }


def test_the_realised_share_is_null_without_instruments() -> None:
    assert realised_share([V1, V2, V2, V1]) == 0.5
    assert realised_share([V1]) == 0.0
    assert realised_share([]) is None


@pytest.mark.parametrize("percentage", [-1, 101])
def test_an_impossible_percentage_is_refused(percentage: int) -> None:
    with pytest.raises(ValueError, match="expected 0 to 100"):
        cohort(["a"], "g", percentage)


@pytest.mark.parametrize("percentage", [0, 101])
def test_an_impossible_sample_is_refused(percentage: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 100"):
        rotating_sample(["a"], "g", percentage, 1)
