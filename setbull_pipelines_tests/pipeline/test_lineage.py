"""The declared column lineage: complete, of columns that exist, and true of what the steps compute.

A column is disturbed in the input of a step; values that change must name it. Rows that are there before and after
are held against each other, and cells that are null in neither: what only chooses rows or stages is not lineage of
their values.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.pipeline.lanes import COMPONENT_OF
from setbull_pipelines.pipeline.references import REFERENCES
from setbull_pipelines.pipeline.steps import STEPS, Frames, Step
from setbull_pipelines.settings import BandWidthSettings, IndicatorSettings, Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.contract import Source
from setbull_pipelines.variants import V2
from setbull_pipelines_tests.variants.frames import random_daily, random_minutes, trading_days

DAYS = trading_days("2026-01-05", 90)
DAY = DAYS[-1]
SETTINGS = Settings(
    indicators=IndicatorSettings(warm_margin_bars=10),
    bb_width=BandWidthSettings(minimum_sessions=2, range_percent=60.0),
)
TABLES = {table.name: table for table in (*tables.RAW_TABLES, *tables.COMPUTED_TABLES)}
TIMEFRAMES = {"indicators_5min": "5minute", "indicators_daily": "day"}
STEP_OF = {table.name: step for step in STEPS for table in step.outputs}


@cache
def frames() -> dict[str, pd.DataFrame]:
    """Input and output of every step, of a market with actions, both series and warm indicators."""
    history = random_daily(3, DAYS, instruments=8, volatility=0.05)
    names = history["instrument_key"].unique()
    minutes = random_minutes(4, DAYS[-5:], instruments=4)
    renamed = dict(zip(minutes["instrument_key"].unique(), names, strict=False))
    made = {
        "candles_1min": minutes.assign(instrument_key=minutes["instrument_key"].map(renamed)),
        "candles_daily_history": history,
        "history_starts": pd.DataFrame(
            {
                "instrument_key": [*names, *names],
                "series": ["exchange"] * len(names) + ["minutes"] * len(names),
                "first_trading_day": DAYS[0],
            }
        ),
        "corporate_actions": pd.DataFrame(
            {
                "instrument_key": names[:2],
                "ex_date": [DAYS[-3], DAYS[-5]],
                "kind": ["split", "bonus"],
                "ratio": [2.0, 1.5],
            }
        ),
    }
    for step in STEPS:
        computed = step.compute(V2, given(step, made), DAY, SETTINGS)
        if step.name in TIMEFRAMES:  # what looks back needs those of earlier days too
            (candles,) = step.inputs
            computed = (
                V2.indicators(
                    made[candles.table.name],
                    TIMEFRAMES[step.name],
                    made["history_starts"],
                    SETTINGS.indicators,
                ),
            )
        made |= {table.name: frame for table, frame in zip(step.outputs, computed, strict=True)}
    return made


def given(step: Step, made: Frames) -> dict[str, pd.DataFrame]:
    """What a step is handed."""
    return {
        "history_starts": made["history_starts"],
        "corporate_actions": made["corporate_actions"],
    } | {item.table.name: made[item.table.name][item.column_names] for item in step.inputs}


def disturbed(values: pd.Series) -> pd.Series | None:
    """Other values of the same kind, far from a choice of other rows; None for what has no such values."""
    generator = np.random.default_rng(1)
    if values.dtype == "float64":
        return values * generator.uniform(0.9, 1.1, len(values))
    if str(values.dtype) in ("int64", "Int64"):
        return (values * generator.integers(2, 5, len(values))).astype(values.dtype)
    return None


def followers(
    step: Step, source: Source, before: Frames, computed: Sequence[pd.DataFrame]
) -> dict[str, set[str]]:
    """By output table, the columns that change with ``source``, of what is ``computed`` from ``before``."""
    values = disturbed(before[source.table][source.column])
    if values is None:
        return {}
    after = before | {source.table: before[source.table].assign(**{source.column: values})}
    found = {}
    for table, old, new in zip(
        step.outputs,
        computed,
        step.compute(V2, after, DAY, SETTINGS),
        strict=True,
    ):
        both = old.merge(new, on=list(table.key), suffixes=("", " after"))
        assert len(both), f"{table.name} has no row left to compare"
        found[table.name] = {
            column.name for column in table.value_columns if differs(both, column.name)
        }
    return found


def differs(both: pd.DataFrame, name: str) -> bool:
    known = both[both[name].notna() & both[f"{name} after"].notna()]
    old, new = known[name], known[f"{name} after"]
    if old.dtype == "float64":  # sums in another order
        return not np.allclose(old, new, rtol=1e-9, atol=1e-12)
    return bool((old != new).any())


def declared_in(table: Table) -> str:
    """The module to edit where a source is missing or vain."""
    return f"setbull_pipelines/tables/, where the columns of {table.name} are declared"


@pytest.mark.parametrize("table", tables.COMPUTED_TABLES, ids=lambda table: table.name)
def test_every_column_of_every_computed_table_names_a_column_that_exists(table: Table) -> None:
    for column in table.columns:
        name = f"{table.name}.{column.name}"
        assert column.sources, f"{name} names no source: add sources= in {declared_in(table)}"
        assert len(set(column.sources)) == len(column.sources), f"{name} names a source twice"
        for source in column.sources:
            assert TABLES[source.table].column(source.column)


def test_sources_are_what_the_step_reads() -> None:
    for table in tables.COMPUTED_TABLES:
        step = STEP_OF[table.name]
        read = {item.table.name: set(item.column_names) for item in step.inputs}
        if step.needs_history_starts:
            read["coverage"] = set(tables.COVERAGE.column_names)
        if step.is_adjusted:
            read |= {table.name: set(table.column_names) for table in REFERENCES}
        for column in table.columns:
            for source in column.sources:
                assert source.column in read.get(source.table, ()), (
                    f"{table.name}.{column.name} names {source}, which its step does not read: read it in "
                    f"setbull_pipelines/pipeline/steps.py, or correct sources= in {declared_in(table)}"
                )


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_no_value_follows_a_column_that_it_does_not_name(step: Step) -> None:
    sources = [Source(item.table.name, name) for item in step.inputs for name in item.column_names]
    if step.is_adjusted:
        sources.append(Source("corporate_actions", "ratio"))
    before = given(step, frames())
    computed = step.compute(V2, before, DAY, SETTINGS)
    followed = 0
    for source in sources:
        for table, columns in followers(step, source, before, computed).items():
            followed += len(columns)
            missing = {name for name in columns if source not in TABLES[table].column(name).sources}
            assert not missing, (
                f"{table}: {sorted(missing)} follow {source}, which is not among their sources; add it in "
                f"{declared_in(TABLES[table])}"
            )
    assert followed > 3, "hardly any value changed: the test has nothing to see"


def test_every_computed_table_belongs_to_a_component() -> None:
    assert {table.name for table in tables.COMPUTED_TABLES} == set(COMPONENT_OF)
