"""The catalog: whole, read-only, every example answers, and readers are not disturbed by a run."""

from __future__ import annotations

import dataclasses
import multiprocessing
import time

import duckdb
import pytest

from setbull_pipelines import tables, variants
from setbull_pipelines.pipeline.catalog import stored_tables
from setbull_pipelines.pipeline.engine import StepRun
from setbull_pipelines.pipeline.opening import catalog_path
from setbull_pipelines.pipeline.serving import Serving, assignment_of
from setbull_pipelines.pipeline.serving_days import serve_one
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.rollout.stages import Stage
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.sequence_analysis import RUN_PATTERNS
from setbull_pipelines.warehouse.catalog import rebuild_catalog
from setbull_pipelines.warehouse.macros import MACROS, RECONCILIATION_MACROS
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.queries import connect
from setbull_pipelines.warehouse.resources import CatalogResource
from setbull_pipelines_tests.assets.catalog_reader import Answers, ask, read_in_a_loop
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.pipeline.small_run import IN_FULL, SmallRun, cut_back_v1

REWRITTEN = ("indicators_5min", "indicators_daily", "filter_results")
ROUNDS = 4  # even, so that the last change is to the new settings
READERS = 2
READ = [StoredTable("v1", table) for table in (tables.INDICATORS_5MIN, tables.FILTER_RESULTS)]


@pytest.fixture
def catalog(small_run: SmallRun) -> duckdb.DuckDBPyConnection:
    with CatalogResource(database=str(catalog_path(small_run.settings))).get_connection() as open_:
        yield open_


def test_it_has_a_view_of_every_table_with_the_rows_of_the_store(
    catalog: duckdb.DuckDBPyConnection, small_run: SmallRun
) -> None:
    found = catalog.execute(
        "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal"
    ).fetchall()
    known = {"operations.instrument_inputs"}
    assert {name for (name,) in found} == {stored.name for stored in stored_tables()} | known
    for stored in stored_tables():
        (rows,) = catalog.execute(f"SELECT count(*) FROM {stored.name}").fetchone()
        warehouse = small_run.warehouse
        assert rows == sum(
            warehouse.pointer(stored, partition).rows for partition in warehouse.partitions(stored)
        )


def test_views_have_the_columns_of_the_contract_in_order(
    catalog: duckdb.DuckDBPyConnection,
) -> None:
    for stored in stored_tables():
        described = catalog.execute(f"DESCRIBE {stored.name}").fetchall()
        assert [column[0] for column in described] == stored.table.column_names


NEEDS_DIFFERENCES = set(RECONCILIATION_MACROS[1:])
"""Those that have rows in a run in which V2 differs only: ``cli/test_divergence.py``."""


@pytest.mark.parametrize(
    "macro",
    [macro for macro in MACROS if macro not in NEEDS_DIFFERENCES],
    ids=lambda macro: macro.name,
)
def test_the_example_of_every_macro_gives_rows(macro, catalog: duckdb.DuckDBPyConnection) -> None:
    assert macro.name in macro.example
    rows = catalog.execute(macro.example).fetchall()
    assert rows
    assert any(value is not None for row in rows for value in row)


def test_patterns_by_filter_are_those_of_instruments_with_the_verdict(
    catalog: duckdb.DuckDBPyConnection, small_run: SmallRun
) -> None:
    days = [day.isoformat() for day in small_run.days]
    results = small_run.warehouse.read(StoredTable("v1", tables.FILTER_RESULTS), days)
    patterns = small_run.warehouse.read(StoredTable("v1", tables.SEQUENCE_PATTERNS), days)
    bearish = results[results["verdict"] == "bearish"][["trading_day", "instrument_key"]]
    expected = bearish.merge(patterns, on=["trading_day", "instrument_key"])
    found = catalog.execute(
        "SELECT trading_day, instrument_key, pattern_rank "
        "FROM patterns_by_filter('bearish', DATE '2000-01-01', DATE '2100-01-01')"
    ).df()
    assert 0 < len(found) == len(expected)
    assert set(found["instrument_key"]) == set(expected["instrument_key"])


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (x INTEGER)",
        "DROP VIEW v1.filter_results",
        "CREATE OR REPLACE VIEW v1.filter_results AS SELECT 1",
    ],
)
def test_nobody_can_change_it(statement: str, catalog: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.InvalidInputException, match="read-only"):
        catalog.execute(statement)


def carry_out(run: SmallRun, settings: Settings) -> None:
    """What a run does to the tables that are read: compute, publish, replace the catalog."""
    for name in REWRITTEN:
        step = next(step for step in STEPS if step.name == name)
        results = StepRun(step, variants.V1, run.warehouse, settings, "test", IN_FULL).over(
            run.days
        )
        assert not any(result.cached for result in results)
    rebuild_catalog(run.warehouse, catalog_path(settings), READ, {})


def stored_answers(run: SmallRun) -> Answers:
    """The same questions, asked of the current files without the catalog."""
    with connect(run.warehouse, READ) as connection:
        return ask(connection)


def test_readers_see_the_old_or_the_new_whole_while_a_run_rewrites_their_days(
    copied_run: SmallRun,
) -> None:
    old = copied_run.settings
    new = dataclasses.replace(
        old,
        indicators=dataclasses.replace(old.indicators, warm_margin_bars=150),
        filters=dataclasses.replace(old.filters, minimum_close=450.0),
    )
    path = catalog_path(old)
    rebuild_catalog(copied_run.warehouse, path, READ, {})
    before = stored_answers(copied_run)

    processes = multiprocessing.get_context("spawn")
    ready, stop, found = processes.Semaphore(0), processes.Event(), processes.Queue()
    readers = [
        processes.Process(target=read_in_a_loop, args=(path, ready, stop, found))
        for _ in range(READERS)
    ]
    for reader in readers:
        reader.start()
    try:
        for _ in range(READERS * 2):
            assert ready.acquire(timeout=PATIENCE)
        after = None
        for turn in range(ROUNDS):
            carry_out(copied_run, old if turn % 2 else new)
            after = after or stored_answers(copied_run)
            time.sleep(0.1)
        carry_out(copied_run, new)
        for _ in range(READERS * 4):
            assert ready.acquire(timeout=PATIENCE)
    finally:
        stop.set()
        collected = [found.get(timeout=PATIENCE) for _ in readers]
        for reader in readers:
            reader.join(timeout=PATIENCE)

    assert before != after
    assert after == stored_answers(copied_run)
    queries = sum(sum(answers.values()) for answers, _ in collected)
    assert [errors for _, errors in collected] == [[]] * READERS
    assert queries > 50
    assert set().union(*(answers for answers, _ in collected)) == {before, after}


def test_patterns_of_a_verdict_are_those_of_the_variant_that_is_served(copied_run) -> None:
    """With V1 retired and V2 served there are as many as before, none of V1."""
    day, warehouse = copied_run.days[0], copied_run.warehouse
    question = (
        "SELECT instrument_key, kind, length, frequency FROM patterns_by_filter("
        f"'bullish', DATE '{day}', DATE '{day}') ORDER BY ALL"
    )

    def answer() -> list[tuple]:
        with connect(warehouse, stored_tables()) as connection:
            for macro in MACROS:
                connection.execute(macro.definition)
            return connection.sql(question).fetchall()

    before = answer()
    for table in (tables.SEQUENCE_PATTERNS, tables.FILTER_RESULTS):
        cut_back_v1(copied_run, table, Stage.RETIRED, day)
    assignment = assignment_of(
        tables.FILTER_RESULTS, Stage.RETIRED, warehouse, copied_run.settings.rollout
    )
    list(serve_one(tables.FILTER_RESULTS, [day], Serving(assignment, [day]), warehouse, "test"))
    assert answer() == before
    assert len(before) > 0


def test_macros_tell_what_they_are_for(catalog: duckdb.DuckDBPyConnection) -> None:
    told = dict(
        catalog.execute(
            "SELECT function_name, comment FROM duckdb_functions() WHERE comment IS NOT NULL"
        ).fetchall()
    )
    assert told == {macro.name: macro.description for macro in MACROS}


def test_metrics_are_asked_for_by_key_or_symbol(catalog: duckdb.DuckDBPyConnection) -> None:
    key, symbol = catalog.execute(
        "SELECT instrument_key, symbol FROM raw.instruments WHERE instrument_key IN "
        "(SELECT instrument_key FROM v1.sequence_analysis) ORDER BY ALL LIMIT 1"
    ).fetchone()
    question = "FROM metrics_by_instrument(?, DATE '2000-01-01', DATE '2100-01-01')"
    found = catalog.execute(question, [key]).fetchall()
    assert found
    assert symbol != key
    for named in (symbol, symbol.lower()):
        assert catalog.execute(question, [named]).fetchall() == found
    assert not catalog.execute(question, ["no such symbol"]).fetchall()


def test_stocks_with_a_pattern_are_those_whose_analysis_shows_it(
    catalog: duckdb.DuckDBPyConnection,
) -> None:
    first, last = catalog.execute(
        "SELECT min(trading_day), max(trading_day) FROM served.sequence_analysis"
    ).fetchone()
    found = set()
    for column in RUN_PATTERNS:
        rows = catalog.execute(
            "SELECT trading_day, instrument_key FROM stocks_with_pattern(?, ?, ?)",
            [column.name, first, last],
        ).fetchall()
        shown = catalog.execute(
            f"SELECT trading_day, instrument_key FROM served.sequence_analysis WHERE {column.name}"
        ).fetchall()
        assert sorted(rows) == sorted(shown)
        found |= {column.name} if rows else set()
    assert found
    with pytest.raises(duckdb.Error, match="no such pattern, expected one of run_after_gap"):
        catalog.execute("FROM stocks_with_pattern('run', ?, ?)", [first, last]).fetchall()
