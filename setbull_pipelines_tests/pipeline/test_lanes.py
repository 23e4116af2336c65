"""Which instruments V1 is computed for in each stage, and which lane its steps read."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.lanes import (
    MARK,
    Part,
    lane_of,
    part_in,
    part_of,
)
from setbull_pipelines.rollout.bucketing import Variant
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import RolloutSettings
from setbull_pipelines.warehouse.pointers import Pointer

KEYS = [f"NSE_EQ|INE{number:06}" for number in range(400)]
SESSIONS = NSE.trading_days(date(2026, 6, 1), date(2026, 6, 30))
POINTER = Pointer(
    file=None,
    first_row=0,
    rows=0,
    schema_hash="",
    code_version="",
    settings_hash="",
    inputs={},
    content_hash="",
    run_id="",
    note=None,
    published_at="",
)


def sampled(day: date, percentage: int = 10) -> Part:
    settings = RolloutSettings(sample_percentage=percentage)
    part = part_in(Component.INDICATORS, Stage.SAMPLED, day, settings)
    assert part is not None
    return part


def test_only_sampled_and_retired_cut_v1_back() -> None:
    parts = {
        stage: part_in(Component.INDICATORS, stage, SESSIONS[0], RolloutSettings())
        for stage in Stage
    }
    assert {stage for stage, part in parts.items() if part} == {Stage.SAMPLED, Stage.RETIRED}
    assert parts[Stage.RETIRED].of(KEYS) == set()
    assert parts[Stage.RETIRED].sentence == "V1 is retired"
    assert 16 <= len(parts[Stage.SAMPLED].of(KEYS)) <= 64  # four standard deviations around 40


@pytest.mark.parametrize(("percentage", "turns"), [(1, 100), (10, 10), (34, 3), (50, 2), (100, 1)])
def test_every_instrument_has_its_turn_once_in_consecutive_sessions(
    percentage: int, turns: int
) -> None:
    days = NSE.trading_days(date(2026, 1, 1), date(2026, 6, 30))[:turns]
    samples = [sampled(day, percentage).of(KEYS) for day in days]
    assert sorted(key for sample in samples for key in sample) == KEYS


def test_the_sample_of_a_session_is_always_the_same_and_another_the_next_session() -> None:
    first, second = (sampled(day) for day in SESSIONS[:2])
    assert first == sampled(SESSIONS[0])
    assert not first.of(KEYS) & second.of(KEYS)
    assert first.of(reversed(KEYS)) == first.of(KEYS)
    assert first.of(KEYS[:50]) == first.of(KEYS) & set(KEYS[:50])


def test_components_draw_different_samples() -> None:
    settings = RolloutSettings()
    samples = [
        frozenset(part_in(component, Stage.SAMPLED, SESSIONS[0], settings).of(KEYS))
        for component in Component
    ]
    assert len(set(samples)) == len(Component)


def test_rows_are_those_of_the_instruments() -> None:
    part = sampled(SESSIONS[0], 50)
    frame = pd.DataFrame({"instrument_key": KEYS[:20] * 2, "value": range(40)})
    rows = part.rows(frame)
    assert set(rows["instrument_key"]) == part.of(KEYS[:20])
    assert len(rows) == 2 * len(part.of(KEYS[:20])) > 0
    assert rows.index.tolist() == list(range(len(rows)))


@given(st.sampled_from(SESSIONS), st.integers(1, 100), st.sampled_from(Component))
def test_the_mark_of_a_partition_gives_its_part_back(
    day: date, percentage: int, component: Component
) -> None:
    table = next(
        table
        for table in (tables.CANDLES_5MIN, tables.INDICATORS_5MIN, tables.SEQUENCES)
        if lane_of(table, component, dict.fromkeys(Component, Stage.SAMPLED)) is Variant.V1
    )
    settings = RolloutSettings(sample_percentage=percentage)
    for stage in (Stage.SAMPLED, Stage.RETIRED):
        part = part_in(component, stage, day, settings)
        marked = replace(POINTER, inputs={MARK: part.mark})
        assert part_of(table, marked) == part


def test_a_partition_without_a_mark_is_whole_and_an_unknown_mark_is_refused() -> None:
    assert part_of(tables.CANDLES_5MIN, None) is None
    assert part_of(tables.CANDLES_5MIN, POINTER) is None
    with pytest.raises(ValueError, match=r"v1\.candles_5min: found 'half', expected|found 'half'"):
        part_of(tables.CANDLES_5MIN, replace(POINTER, inputs={MARK: "half"}))


@pytest.mark.parametrize("stage", Stage)
def test_v1_reads_v2_behind_a_component_that_is_cut_back(stage: Stage) -> None:
    """Written out by hand: V1 of indicators and sequences, while aggregation passes through all stages."""
    stages = {Component.AGGREGATION: stage, Component.INDICATORS: Stage.OFF} | {
        Component.SEQUENCES: Stage.SAMPLED
    }
    of_candles = Variant.V2 if stage.label in ("sampled", "retired") else Variant.V1
    assert lane_of(tables.CANDLES_DAILY, Component.INDICATORS, stages) is of_candles
    assert lane_of(tables.CANDLES_DAILY, Component.SEQUENCES, stages) is of_candles
    assert lane_of(tables.INDICATORS_DAILY, Component.SEQUENCES, stages) is Variant.V1
    # Its own tables of the day hold the same sample.
    assert lane_of(tables.MOVES_DAILY, Component.SEQUENCES, stages) is Variant.V1


@pytest.mark.parametrize("stage", Stage)
def test_earlier_sessions_of_its_own_table_are_those_of_other_parts(stage: Stage) -> None:
    stages = dict.fromkeys(Component, stage)
    expected = Variant.V2 if stage.label in ("sampled", "retired") else Variant.V1
    widths, indicators = tables.BB_WIDTH_DAILY, tables.INDICATORS_5MIN
    assert lane_of(widths, Component.INDICATORS, stages, looks_back=True) is expected
    assert lane_of(indicators, Component.INDICATORS, stages) is Variant.V1
