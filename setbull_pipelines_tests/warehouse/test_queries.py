"""In-memory connections and the catalog file: what they show, and what cannot be smuggled in."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest

from setbull_pipelines.warehouse import catalog, queries
from setbull_pipelines.warehouse.catalog import VERSIONS, rebuild_catalog
from setbull_pipelines.warehouse.instrument_hashes import of_mapping
from setbull_pipelines.warehouse.pointers import Failure, StoredTable
from setbull_pipelines.warehouse.queries import connect, quoted_identifier, quoted_text
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.warehouse.conftest import (
    BARS,
    DAY,
    NEXT_DAY,
    PROVENANCE,
    V1_BARS,
    bars,
    publish,
)

V2_BARS = StoredTable("v2", BARS)
TYPES = {column.name: column.kind.duckdb_type for column in BARS.columns}


def described(connection: duckdb.DuckDBPyConnection, name: str) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute(f"DESCRIBE {name}").fetchall()}


def test_views_show_the_current_versions_in_contract_types(warehouse):
    publish(warehouse, bars(price=1.0))
    publish(warehouse, bars(price=2.0))
    publish(warehouse, bars(NEXT_DAY, price=5.0), NEXT_DAY)
    with connect(warehouse, [V1_BARS, V2_BARS]) as connection:
        totals = connection.execute(
            "SELECT trading_day, count(*), sum(open), min(timestamp)::VARCHAR FROM v1.bars "
            "GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        assert totals == [
            (date(2024, 1, 2), 4, 10.0, "2024-01-02 09:15:00+05:30"),
            (date(2024, 1, 3), 4, 22.0, "2024-01-03 09:15:00+05:30"),
        ]
        assert described(connection, "v1.bars") == TYPES
        # Nothing was published for V2: same columns, same types, no rows.
        assert described(connection, "v2.bars") == TYPES
        assert connection.execute("SELECT count(*) FROM v2.bars").fetchall() == [(0,)]


def test_nulls_are_nulls_in_sql(warehouse):
    publish(warehouse, bars())
    with connect(warehouse, [V1_BARS]) as connection:
        counts = connection.execute(
            "SELECT count(*), count(average), count(open_interest), count(is_warm), count(reason), "
            "count(*) FILTER (isnan(average)) FROM v1.bars"
        ).fetchone()
    assert counts == (4, 2, 2, 2, 2, 0)


def test_the_connection_is_closed_even_after_an_error(warehouse):
    with pytest.raises(ZeroDivisionError), connect(warehouse, []) as connection:
        raise ZeroDivisionError
    with pytest.raises(duckdb.ConnectionException):
        connection.execute("SELECT 1")


def test_a_root_with_quotes_in_its_name_is_only_a_name(tmp_path):
    warehouse = Warehouse(tmp_path / "it's; DROP TABLE x --")
    publish(warehouse, bars())
    with connect(warehouse, [V1_BARS]) as connection:
        assert connection.execute("SELECT count(*) FROM v1.bars").fetchone() == (4,)
    assert quoted_text("a'b") == "'a''b'"
    with pytest.raises(ValueError, match="not an identifier"):
        quoted_identifier('x"; DROP TABLE y')


def test_a_partition_of_another_contract_is_not_shown_and_the_others_are(warehouse):
    publish(warehouse, bars())
    narrower = StoredTable("v1", dataclasses.replace(BARS, columns=BARS.columns[:-1]))
    warehouse.publish(
        narrower,
        NEXT_DAY,
        bars(NEXT_DAY)[list(narrower.table.column_names)],
        inputs={},
        **PROVENANCE,
    )
    assert warehouse.outdated(narrower) == [DAY]
    with connect(warehouse, [narrower]) as connection:
        days = connection.execute("SELECT DISTINCT trading_day::VARCHAR FROM v1.bars").fetchall()
    assert days == [(NEXT_DAY,)]


def test_of_a_file_with_replaced_days_the_others_are_shown(warehouse):
    days = [f"2024-01-{number:02}" for number in range(1, 11)]
    frames = {day: bars(day, price=1.0) for day in days}
    warehouse.publish_many(V1_BARS, frames, inputs={day: {} for day in days}, **PROVENANCE)
    publish(warehouse, bars(days[3], price=4.0), days[3])
    publish(warehouse, BARS.empty(), days[5])
    publish(warehouse, bars(days[8], ("A",), price=9.0), days[8])
    with connect(warehouse, [V1_BARS]) as connection:
        found = connection.execute(
            "SELECT trading_day::VARCHAR, count(*), min(open), max(open) FROM v1.bars "
            "GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    expected = {day: (day, 4, 1.0, 2.0) for day in days}
    expected[days[3]] = (days[3], 4, 4.0, 5.0)
    expected[days[8]] = (days[8], 2, 9.0, 10.0)
    del expected[days[5]]
    assert found == list(expected.values())


def test_readers_of_sql_see_all_tables_of_one_commit(warehouse, tmp_path):
    def both(price: float) -> None:
        with warehouse.commit() as commit:
            for stored in (V1_BARS, V2_BARS):
                rows = warehouse.check(stored, {DAY: bars(price=price)})
                commit.add(stored, rows, inputs={DAY: {}}, **PROVENANCE)
            assert warehouse.pointers(V1_BARS) == before
        rebuild_catalog(warehouse, path, [V1_BARS, V2_BARS], {})

    path, before = tmp_path / "catalog.duckdb", {}
    both(1.0)
    question = "SELECT max(open) FROM {}.bars"
    with duckdb.connect(str(path), read_only=True) as reader:
        assert reader.execute(question.format("v1")).fetchone() == (2.0,)
        before = warehouse.pointers(V1_BARS)
        both(5.0)
        assert reader.execute(question.format("v2")).fetchone() == (2.0,)
    with duckdb.connect(str(path), read_only=True) as reader:
        assert reader.execute(question.format("v2")).fetchone() == (6.0,)


MACROS = {
    "bars_of": "CREATE MACRO v1.bars_of(day) AS TABLE SELECT * FROM v1.bars WHERE trading_day = day"
}


def test_the_catalog_serves_other_processes_from_any_directory(warehouse, tmp_path, monkeypatch):
    publish(warehouse, bars())
    publish(warehouse, bars(NEXT_DAY), NEXT_DAY)
    monkeypatch.chdir(tmp_path)
    relative = Warehouse(Path("warehouse"))
    path = rebuild_catalog(relative, Path("catalog.duckdb"), [V1_BARS, V2_BARS], MACROS)
    assert path == tmp_path.resolve() / "catalog.duckdb"
    program = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); "
        "print(c.execute(\"SELECT count(*) FROM v1.bars_of(DATE '2024-01-03')\").fetchone(), "
        "c.execute('SELECT count(*) FROM v2.bars').fetchone())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, path], cwd="/", capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "(4,) (0,)"
    shown = {entry.name for entry in tmp_path.iterdir() if "catalog" in entry.name}
    assert shown == {"catalog.duckdb", VERSIONS}


def test_the_catalog_explains_its_columns(warehouse, tmp_path):
    publish(warehouse, bars())
    path = rebuild_catalog(warehouse, tmp_path / "catalog.duckdb", [V1_BARS, V2_BARS], {})
    with duckdb.connect(str(path), read_only=True) as connection:
        comments = connection.execute(
            "SELECT schema_name, comment FROM duckdb_columns() "
            "WHERE column_name IN ('open', 'trading_day') AND schema_name <> 'operations' ORDER BY ALL"
        ).fetchall()
        views = connection.execute(
            "SELECT comment FROM duckdb_views() WHERE schema_name = 'v1'"
        ).fetchall()
    both = ["Day; the bar's own", "First price [rupees]"]
    assert comments == [(schema, text) for schema in ("v1", "v2") for text in both]
    assert views == [("The trader's bars",)]


def test_a_catalog_is_of_one_commit_whoever_publishes_while_it_is_made(
    warehouse, tmp_path, monkeypatch
):
    def both(price: float) -> None:
        with warehouse.commit() as commit:
            for stored in (V1_BARS, V2_BARS):
                rows = warehouse.check(stored, {DAY: bars(price=price)})
                commit.add(stored, rows, inputs={DAY: {}}, **PROVENANCE)

    real, prices = queries.select_statement, iter([2.0, 3.0])

    def meanwhile(*arguments) -> str:
        both(next(prices))
        return real(*arguments)

    both(1.0)
    with monkeypatch.context() as patch:
        patch.setattr(catalog, "select_statement", meanwhile)
        path = rebuild_catalog(warehouse, tmp_path / "catalog.duckdb", [V1_BARS, V2_BARS], {})
    with duckdb.connect(str(path), read_only=True) as connection:
        shown = connection.execute(
            "SELECT (SELECT min(open) FROM v1.bars), (SELECT min(open) FROM v2.bars), "
            "(SELECT count(DISTINCT commit_number) FROM operations.partitions)"
        ).fetchone()
    assert shown == (1.0, 1.0, 1)


def test_the_catalog_tells_what_each_partition_was_computed_from(warehouse, tmp_path):
    for run, day in (("run-1", DAY), ("run-2", NEXT_DAY), ("run-3", DAY)):
        warehouse.publish_many(
            V1_BARS,
            {day: bars(day, price=float(len(run) + int(run[-1])))},
            inputs={day: {"raw.candles_1min": f"hash-{run}"}},
            instrument_inputs={day: of_mapping({"A": 2**63 + 1, "B": int(run[-1])})},
            failures={day: {"C": Failure("v1.bars", "no luck")}},
            **{**PROVENANCE, "run_id": run},
        )
    warehouse.invalidate(V1_BARS, NEXT_DAY, "B")
    path = rebuild_catalog(warehouse, tmp_path / "catalog.duckdb", [V1_BARS, V2_BARS], {})
    with duckdb.connect(str(path), read_only=True) as connection:
        known = connection.execute(
            "SELECT partition, run_id, inputs['raw.candles_1min'], failures['C'], invalidated, rows "
            "FROM operations.partitions WHERE schema_name = 'v1' ORDER BY trading_day"
        ).fetchall()
        inputs = connection.execute(
            "SELECT partition, instrument_key, hash FROM operations.instrument_inputs ORDER BY ALL"
        ).fetchall()
        (empty,) = connection.execute(
            "SELECT count(*) FROM operations.partitions WHERE schema_name = 'v2'"
        ).fetchone()
    assert known == [
        (DAY, "run-3", "hash-run-3", "no luck", [], 4),
        (NEXT_DAY, "run-2", "hash-run-2", "no luck", ["B"], 4),
    ]
    first = 1 - 2**63
    assert inputs == [
        *((DAY, "A", first), (DAY, "B", 3)),
        *((NEXT_DAY, "A", first), (NEXT_DAY, "B", 2)),
    ]
    assert empty == 0


def test_an_open_reader_keeps_its_version_until_it_connects_anew(warehouse, tmp_path):
    publish(warehouse, bars(price=1.0))
    path = rebuild_catalog(warehouse, tmp_path / "catalog.duckdb", [V1_BARS], {})
    question = "SELECT max(open) FROM v1.bars"
    with duckdb.connect(str(path), read_only=True) as reader:
        for price in (2.0, 3.0):
            publish(warehouse, bars(price=price))
            rebuild_catalog(warehouse, path, [V1_BARS], {})
            warehouse.collect_garbage()
            assert reader.execute(question).fetchone() == (2.0,)
    with duckdb.connect(str(path), read_only=True) as reader:
        assert reader.execute(question).fetchone() == (4.0,)


SWAPPING = """
import pathlib, sys, time
from setbull_pipelines import disk
link, *made = map(pathlib.Path, sys.argv[1:])
while True:
    for each in made:
        disk.replace_link(link, each)
        time.sleep(0.0005)
"""


@pytest.mark.run
def test_no_open_is_between_two_catalogs(warehouse, tmp_path):
    """With a rename of the file in the place of the link, 39 of 1,500 such opens failed."""
    publish(warehouse, bars())
    kept = Warehouse(warehouse.root)
    path = tmp_path.resolve() / "catalog.duckdb"
    made = []
    for comments in (0, 300):
        macros = {f"m{n}": f"CREATE MACRO v1.m{n}() AS '{'x' * 1500}'" for n in range(comments)}
        rebuild_catalog(kept, path, [V1_BARS], macros)
        made.append(path.resolve())
    assert made[0].stat().st_size < made[1].stat().st_size
    swapping = subprocess.Popen([sys.executable, "-c", SWAPPING, path, *made])
    seen = set()
    try:
        for _ in range(150):
            with duckdb.connect(str(path), read_only=True) as reader:
                seen.add(
                    reader.execute(
                        "SELECT count(*) FROM duckdb_functions() WHERE function_name LIKE 'm%' "
                        "AND schema_name = 'v1'"
                    ).fetchone()[0]
                )
                assert reader.execute("SELECT current_database()").fetchone() == ("catalog",)
    finally:
        swapping.kill()
        swapping.wait()
    assert seen == {0, 300}


def test_catalogs_that_nobody_can_be_opening_are_deleted(warehouse, tmp_path):
    publish(warehouse, bars())
    path = tmp_path / "catalog.duckdb"
    half_made = tmp_path / VERSIONS / "killed"
    half_made.mkdir(parents=True)
    for _ in range(3):
        rebuild_catalog(Warehouse(warehouse.root), path, [V1_BARS], {})
    versions = list((tmp_path / VERSIONS).iterdir())
    assert len(versions) == 4
    for version in versions:
        os.utime(version, (0, 0))
    rebuild_catalog(warehouse, path, [V1_BARS], {})
    assert [path.resolve().parent] == list((tmp_path / VERSIONS).iterdir())


def contents(path: Path) -> list[list[tuple]]:
    """All that a catalog says, but for what is known of partitions."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return [
            connection.execute(question).fetchall()
            for question in (
                "SELECT schema_name, view_name, sql, comment FROM duckdb_views() WHERE NOT internal ORDER BY ALL",
                "SELECT schema_name, table_name, column_name, data_type, comment FROM duckdb_columns() "
                "WHERE NOT internal ORDER BY ALL",
                "SELECT schema_name, function_name, macro_definition FROM duckdb_functions() WHERE NOT internal "
                "AND database_name = current_database() ORDER BY ALL",
                "SELECT table_name, partition, commit_number FROM operations.partitions ORDER BY ALL",
            )
        ]


def test_a_catalog_that_is_gone_on_with_says_what_a_new_one_does(warehouse, tmp_path, monkeypatch):
    path = tmp_path / "catalog.duckdb"
    made, create_view = [], catalog.create_view

    def noted(connection, stored, select) -> None:
        made.append(stored)
        create_view(connection, stored, select)

    def rebuilt(macros: dict[str, str]) -> list[StoredTable]:
        made.clear()
        rebuild_catalog(warehouse, path, [V1_BARS, V2_BARS], macros)
        remade = list(made)
        new = rebuild_catalog(
            warehouse, tmp_path / "catalog_new.duckdb", [V1_BARS, V2_BARS], macros
        )
        # The names of both are the same, as DuckDB tells them by the name of the file.
        shutil.copyfile(new, tmp_path / "new" / path.name)
        assert contents(path) == contents(tmp_path / "new" / path.name)
        return remade

    (tmp_path / "new").mkdir()
    monkeypatch.setattr(catalog, "create_view", noted)
    publish(warehouse, bars(price=1.0))
    assert rebuilt(MACROS) == [V1_BARS, V2_BARS]
    assert rebuilt(MACROS) == []
    publish(warehouse, bars(price=2.0))
    assert rebuilt(MACROS) == [V1_BARS]
    assert rebuilt({}) == [V1_BARS, V2_BARS]


def test_a_catalog_that_is_damaged_anywhere_is_made_anew(warehouse, tmp_path):
    publish(warehouse, bars(price=1.0))
    path = rebuild_catalog(warehouse, tmp_path / "catalog.duckdb", [V1_BARS, V2_BARS], MACROS)
    whole, said = path.read_bytes(), contents(path)
    for place in range(0, len(whole), len(whole) // 31):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        rebuild_catalog(warehouse, path, [V1_BARS, V2_BARS], MACROS)
        assert contents(path) == said, place
    path.write_bytes(whole[: len(whole) // 2])
    rebuild_catalog(warehouse, path, [V1_BARS, V2_BARS], MACROS)
    assert contents(path) == said


def test_a_macro_that_does_not_compile_leaves_the_old_catalog(warehouse, tmp_path):
    publish(warehouse, bars())
    path = rebuild_catalog(warehouse, tmp_path / "catalog.duckdb", [V1_BARS], {})
    before = path.read_bytes()
    with pytest.raises(ValueError, match="macro broken cannot be created"):
        rebuild_catalog(warehouse, path, [V1_BARS], {"broken": "CREATE MACRO nonsense("})
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["catalog.duckdb"]
    assert [path.resolve().parent] == list((tmp_path / VERSIONS).iterdir())
