"""What is damaged of an old day stops only itself: the newest day is run, and the damage is told and mended."""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg
import pytest

from setbull_pipelines import tables
from setbull_pipelines.cli.alerts import after_run
from setbull_pipelines.cli.days import choose_days
from setbull_pipelines.cli.run import Runner
from setbull_pipelines.pipeline.catalog import refresh_catalog
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.opening import catalog_path
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.warehouse.catalog import open_catalog
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.pipeline.small_run import SmallRun
from setbull_pipelines_tests.stored import damage

DAMAGED = (
    StoredTable("raw", tables.CANDLES_1MIN),
    StoredTable("v1", tables.BB_WIDTH_DAILY),
    StoredTable("v2", tables.CANDLES_5MIN),
    SUMMARY,
    served_table(tables.BB_WIDTH_DAILY),
    served_table(tables.FILTER_RESULTS),
)


def cut(warehouse: Warehouse, stored: StoredTable, partition: str) -> None:
    path = warehouse.data.path(warehouse.pointer(stored, partition).file)
    data = path.read_bytes()
    path.unlink()  # it may be linked from another folder
    path.write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize("spoil", [damage, cut])
def test_the_newest_day_is_run_beside_a_damaged_old_one(
    spoil: Callable[[Warehouse, StoredTable, str], None], copied_run: SmallRun
) -> None:
    old = copied_run.days[0].isoformat()
    before = {stored: copied_run.warehouse.read(stored, [old]) for stored in DAMAGED}
    refresh_catalog(copied_run.warehouse, copied_run.settings)
    for stored in DAMAGED:
        spoil(copied_run.warehouse, stored, old)

    intake, day = copied_run.intake, copied_run.days[-1]
    asked = choose_days(intake.days("minutes"), intake.days("daily"), copied_run.settings, day, day)
    # Not that of the run, whose history other tests read.
    instance = dg.DagsterInstance.ephemeral()
    runner = Runner(copied_run.settings, instance)
    outcome = runner.run(asked)

    assert outcome.failed_checks == []
    (told,) = [
        check for check in outcome.warnings if check.check_name == "no_file_had_to_be_repaired"
    ]
    # What the lanes look back on, they have made again before the scrub.
    assert f"served.filter_results {old}" in told.description
    lines = after_run(instance, runner.run_ids, copied_run.settings)
    assert not any("not recorded" in line for line in lines)
    for stored, rows in before.items():
        assert copied_run.warehouse.read(stored, [old]).equals(rows), stored.name
    with open_catalog(catalog_path(copied_run.settings)) as connection:
        (days,) = connection.execute(
            "SELECT count(DISTINCT trading_day) FROM served.filter_results"
        ).fetchone()
    assert days == 2


def test_views_leave_out_only_what_cannot_be_opened(copied_run: SmallRun) -> None:
    stored = StoredTable("raw", tables.CANDLES_1MIN)
    warehouse = copied_run.warehouse
    days = [day for day, pointer in warehouse.pointers(stored).items() if pointer.rows]
    # DuckDB looks into the first file of a view when it is made.
    name = warehouse.pointer(stored, days[0]).file
    path = warehouse.data.path(name)
    beside = {day for day in days if warehouse.pointer(stored, day).file == name}
    data = bytearray(path.read_bytes())
    path.unlink()
    # As long as it was, and without the words that Parquet ends with.
    data[-8:] = b"nonsense"
    path.write_bytes(data)
    refresh_catalog(copied_run.warehouse, copied_run.settings)
    with open_catalog(catalog_path(copied_run.settings)) as connection:
        shown = connection.execute(
            "SELECT DISTINCT trading_day::VARCHAR FROM raw.candles_1min"
        ).fetchall()
    assert {day for (day,) in shown} == set(days) - beside
