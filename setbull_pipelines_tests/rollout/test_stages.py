"""The order of stages, what runs in each, and what is served."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines.rollout.bucketing import Override, Variant
from setbull_pipelines.rollout.stages import Component, Stage, served_variants

V1, V2 = Variant.V1, Variant.V2
KEYS = [f"NSE_EQ|INE{number:06}" for number in range(400)]


def test_the_stages_in_their_order() -> None:
    order = [("off", 0), ("shadow", 0), ("10", 10), ("50", 50), ("100", 100)]
    order += [("sampled", 100), ("retired", 100)]
    assert [(stage.label, stage.percentage) for stage in Stage] == order
    for number, (label, _) in enumerate(order):
        stage = Stage.named(label)
        assert stage.position == number
        following = order[number + 1][0] if number + 1 < len(order) else None
        assert (stage.following.label if stage.following else None) == following


def test_both_variants_run_from_shadow_to_sampled() -> None:
    assert Stage.OFF.runs == {V1}
    assert Stage.RETIRED.runs == {V2}
    assert [stage.label for stage in Stage if stage.compares] == [
        "shadow",
        "10",
        "50",
        "100",
        "sampled",
    ]
    assert [stage.label for stage in Stage if stage.runs_both_in_full] == [
        "shadow",
        "10",
        "50",
        "100",
    ]


def test_labels_and_flags() -> None:
    assert {component.label: component.flag for component in Component} == {
        "aggregation": "use_dataframe_aggregation",
        "indicators": "use_gonum_indicators",
        "sequences": "use_sequence_analyzer_v2",
    }
    assert Component.named("sequences") is Component.SEQUENCES
    with pytest.raises(ValueError, match="found '25', expected one of"):
        Stage.named("25")
    with pytest.raises(ValueError, match="found 'filters', expected one of"):
        Component.named("filters")


def test_shares_served_from_v2() -> None:
    shares = {
        stage.label: served_variants(KEYS, Component.INDICATORS, stage).count(V2) for stage in Stage
    }
    assert shares["off"] == shares["shadow"] == 0
    assert shares["100"] == shares["sampled"] == shares["retired"] == 400
    assert 16 <= shares["10"] <= 64  # four standard deviations around 40 and 200
    assert 160 <= shares["50"] <= 240


@given(st.permutations(KEYS[:60]), st.sampled_from(Component))
def test_an_instrument_changes_once_on_the_whole_way_up(
    keys: list[str], component: Component
) -> None:
    served = [dict(zip(keys, served_variants(keys, component, s), strict=True)) for s in Stage]
    for key in keys:
        way = [at_stage[key] for at_stage in served]
        assert sum(one is not other for one, other in pairwise(way)) == 1
        assert (way[0], way[-1]) == (V1, V2)


def test_overrides_win_wherever_both_variants_run_in_full() -> None:
    overrides = {KEYS[0]: Override.FORCE_V1, KEYS[1]: Override.FORCE_V2, KEYS[2]: Override.FREEZE}
    previous = {KEYS[2]: V2}
    for stage in Stage:
        served = served_variants(KEYS[:3], Component.AGGREGATION, stage, overrides, previous)
        if stage is Stage.OFF:
            assert served == [V1, V1, V1]
        elif stage in (Stage.SAMPLED, Stage.RETIRED):
            assert served == [V2, V2, V2]
        else:
            assert served == [V1, V2, V2]


@pytest.mark.parametrize("stage", Stage)
def test_the_kill_switch_wins_over_stage_and_overrides(stage: Stage) -> None:
    overrides = {KEYS[0]: Override.FORCE_V2, KEYS[1]: Override.FREEZE}
    previous = {KEYS[1]: V2}
    served = served_variants(KEYS, Component.SEQUENCES, stage, overrides, previous, kill=True)
    assert served == [V1] * len(KEYS)
