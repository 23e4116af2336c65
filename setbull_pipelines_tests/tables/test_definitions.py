"""Every computed column is defined, by rules that are true of the values and oracles that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from setbull_pipelines import tables
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table, definitions
from setbull_pipelines.tables.bb_width import SAME_WIDTH
from setbull_pipelines.tables.contract import AT_LIMIT
from setbull_pipelines.tables.definitions import NEVER, Oracle, definitions_of
from setbull_pipelines.tables.general_definitions import general_rules
from setbull_pipelines.variants import V1, V2
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import bar_rows, bars_5min, bars_daily

VARIANT_TESTS = Path(__file__).resolve().parents[1] / "variants"
IDENTITY = {"trading_day", "series"}
BARS = 60


@pytest.mark.parametrize("table", tables.COMPUTED_TABLES, ids=lambda table: table.name)
def test_every_column_has_formula_seed_warm_up_null_rule_and_oracle(table: Table) -> None:
    found = definitions_of(table)
    assert {column.name for column in table.value_columns} - IDENTITY <= set(found)
    for name, definition in found.items():
        for text in (
            definition.formula,
            definition.seed,
            definition.warm_up,
            definition.null_rule,
        ):
            assert text.strip(), name
        assert definition.oracles, name
        if not table.column(name).nullable:
            assert definition.null_rule == NEVER, name


def test_nothing_is_defined_that_is_no_column() -> None:
    columns_of: dict[int, set[str]] = {}
    for name, (given, _) in definitions._TABLES.items():
        (table,) = (table for table in tables.COMPUTED_TABLES if table.name == name)
        columns_of.setdefault(id(given), set()).update(table.column_names)
    for given, _ in definitions._TABLES.values():
        assert set(given) <= columns_of[id(given)]


def test_a_nullable_column_without_a_rule_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(definitions._TABLES, tables.SEQUENCES.name, ({}, ()))
    with pytest.raises(ValueError, match="total_volume can be null"):
        definitions_of(tables.SEQUENCES)


def test_the_test_of_every_oracle_exists() -> None:
    oracles = [value for value in vars(definitions).values() if isinstance(value, Oracle)]
    assert len(oracles) > 20
    assert len({oracle.name for oracle in oracles}) == len(oracles)
    for oracle in oracles:
        path, _, function = oracle.test.partition("::")
        module = ast.parse((VARIANT_TESTS / path).read_text(encoding="utf-8"))
        assert function in {node.name for node in module.body if isinstance(node, ast.FunctionDef)}


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
        name: int(bar[1])
        for name, definition in definitions_of(table).items()
        if (bar := re.fullmatch(r"first value at bar (\d+)", definition.warm_up))
    }
    assert len(told) == 14
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
        f"{found[column].formula} {found[column].null_rule}"
        for found in map(definitions_of, tables.COMPUTED_TABLES)
        if column in found
    ]
    assert of_column
    word = "always" if topic == "Runs" else "0.034 %"
    assert all(word in said for said in of_column), of_column


def test_a_band_width_is_equal_to_another_one_within_the_share_that_the_rules_name() -> None:
    share = float(re.search(r"1e-\d+", general_rules()["Equal widths"])[0])
    assert share == SAME_WIDTH
    assert float(re.search(r"1e-\d+", general_rules()["Numbers at a limit"])[0]) == AT_LIMIT
