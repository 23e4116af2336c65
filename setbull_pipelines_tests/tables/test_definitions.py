"""Every computed column is defined, by rules that are true of the values and oracles that exist."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from setbull_pipelines import tables
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table, oracles
from setbull_pipelines.tables.bb_width import SAME_WIDTH
from setbull_pipelines.tables.contract import AT_LIMIT
from setbull_pipelines.tables.general_definitions import general_rules
from setbull_pipelines.tables.indicator_columns import INDICATOR_COLUMNS
from setbull_pipelines.tables.oracles import Oracle
from setbull_pipelines.variants import V1, V2
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import bar_rows, bars_5min, bars_daily

VARIANT_TESTS = Path(__file__).resolve().parents[1] / "variants"
IDENTITY = {"trading_day", "series"}
BARS = 60


@pytest.mark.parametrize("table", tables.COMPUTED_TABLES, ids=lambda table: table.name)
def test_every_column_has_formula_seed_warm_up_null_rule_and_oracle(table: Table) -> None:
    assert {column.name for column in table.value_columns} - IDENTITY <= {
        column.name for column in table.defined_columns
    }
    for column in table.defined_columns:
        name = f"{table.name}.{column.name}"
        for told in (column.formula, column.seed, column.warm_up, column.null_rule):
            assert told is None or told.strip(), name
        assert column.oracles or table.oracles, (
            f"{name} has no oracle: name one of setbull_pipelines/tables/oracles.py where the column is declared"
        )
        if not column.nullable:
            assert column.null_rule is None, f"{name} is never null, but has a rule when it is"


def test_a_nullable_column_without_a_rule_is_refused() -> None:
    vague = tuple(replace(column, null_rule=None) for column in tables.SEQUENCES.columns)
    with pytest.raises(ValueError, match="total_volume can be null"):
        _ = replace(tables.SEQUENCES, columns=vague).defined_columns


def test_a_source_that_does_not_exist_is_refused() -> None:
    with pytest.raises(KeyError, match="table sequences has no column 'lenght'"):
        tables.SEQUENCES.sources("kind", "lenght")


def test_the_test_of_every_oracle_exists() -> None:
    known = [value for value in vars(oracles).values() if isinstance(value, Oracle)]
    assert len(known) > 20
    assert len({oracle.name for oracle in known}) == len(known)
    for oracle in known:
        path, _, function = oracle.test.partition("::")
        module = ast.parse((VARIANT_TESTS / path).read_text(encoding="utf-8"))
        tests = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
        assert function in tests, (
            f"{path} has no {function}: correct setbull_pipelines/tables/oracles.py"
        )


def test_every_oracle_holds_a_column() -> None:
    known = {value for value in vars(oracles).values() if isinstance(value, Oracle)}
    named = {
        oracle
        for table in tables.COMPUTED_TABLES
        for column in table.defined_columns
        for oracle in column.oracles or table.oracles
    }
    assert named == known


@pytest.mark.parametrize("variant", [V1, V2], ids=lambda variant: variant.name)
@pytest.mark.parametrize("timeframe", ["5minute", "day"])
def test_the_warm_up_that_is_told_is_the_one_that_is_computed(
    variant: Variant, timeframe: str
) -> None:
    prices = 100 + np.sin(np.arange(BARS))
    if timeframe == "day":
        table, candles = (
            tables.INDICATORS_DAILY,
            bars_daily(bar_rows(prices, first="2025-01-01", step="1D")),
        )
    else:
        table, candles = tables.INDICATORS_5MIN, bars_5min(bar_rows(prices))
    found = variant.indicators(candles, timeframe)
    assert len(found) == BARS
    told = {
        column.name: int(bar[1])
        for column in table.defined_columns
        if (bar := re.fullmatch(r"first value at bar (\d+)", column.warm_up or ""))
    }
    assert set(told) == {column.name for column in INDICATOR_COLUMNS}
    assert len(told) > 10
    for name, bar in told.items():
        has_value = found[name].notna().to_numpy()
        assert (np.flatnonzero(has_value) + 1).tolist() == list(range(bar, BARS + 1)), name


def test_the_general_rules_name_the_look_backs_that_the_steps_read() -> None:
    """In the order of the sentence: five-minute and daily indicators, moves and filters, the band-width monitor."""
    read = {
        step.name: {source.look_back(Settings()) for source in step.inputs} - {0} for step in STEPS
    }
    assert read["moves_daily"] == read["filter_results"]
    names = ("indicators_5min", "indicators_daily", "moves_daily", "bb_width_alerts")
    expected = [str(sessions) for name in names for sessions in read[name]]
    assert re.findall(r"\d+", general_rules()["Look-back"]) == expected


@pytest.mark.parametrize(
    ("topic", "column"),
    [
        ("Runs", "predictive_score"),
        ("Runs", "success_rate"),
        ("Runs", "dominant_pattern"),
        ("How far indicators look back", "is_warm"),
    ],
)
def test_a_rule_that_a_column_follows_is_in_its_definition_too(topic: str, column: str) -> None:
    assert f"`{column}`" in general_rules()[topic]
    of_column = [
        f"{found.formula} {found.null_rule}"
        for table in tables.COMPUTED_TABLES
        for found in table.defined_columns
        if found.name == column
    ]
    assert of_column
    word = "always" if topic == "Runs" else "0.034 %"
    assert all(word in said for said in of_column), of_column


def test_a_band_width_is_equal_to_another_one_within_the_share_that_the_rules_name() -> None:
    share = float(re.search(r"1e-\d+", general_rules()["Equal widths"])[0])
    assert share == SAME_WIDTH
    assert float(re.search(r"1e-\d+", general_rules()["Numbers at a limit"])[0]) == AT_LIMIT
