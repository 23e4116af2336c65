"""``setbull sql``: the connection that a question is put to.

Belongs here: which catalog is asked. Does not belong here: views and macros
(``warehouse/``), printing (``commands/sql.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb

from setbull_pipelines.pipeline.catalog import is_at_home, is_stored, stored_tables
from setbull_pipelines.pipeline.evicting import INTERMEDIATE
from setbull_pipelines.pipeline.opening import catalog_path, open_warehouse
from setbull_pipelines.pipeline.scrubbing import STORED as SCRUB
from setbull_pipelines.pipeline.serving import TABLES, days_cut_back
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.operations import DAMAGED
from setbull_pipelines.tables.served import SERVED_SCHEMA
from setbull_pipelines.warehouse.catalog import open_catalog
from setbull_pipelines.warehouse.errors import (
    ContractViolation,
    DamagedPartition,
    MissingPartition,
)
from setbull_pipelines.warehouse.looking import shortened
from setbull_pipelines.warehouse.macros import MACROS
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.queries import connect, create_view_of_lane

_OPERATIONS = "operations"


def days_without_all_of_v1(settings: Settings) -> Iterator[str]:
    """One sentence per served table that V1 was not computed in full for on some days."""
    warehouse = open_warehouse(settings)
    for table in TABLES:
        if days := days_cut_back(table, warehouse):
            yield (
                f"v1.{table.name}: {len(days)} of {len(warehouse.partitions(StoredTable('v1', table)))} days "
                f"from {days[0]} to {days[-1]} have a sample of the instruments or none"
            )


def removed_rows(settings: Settings, query: str) -> Iterator[str]:
    """One sentence per table of V1 or V2 that ``query`` names and that some days were removed of to save space."""
    warehouse = open_warehouse(settings)
    for stored in INTERMEDIATE:
        names = [stored.name]
        if settings.rollout.kill and stored.schema == "v1":
            names.append(f"{SERVED_SCHEMA}.{stored.table.name}")
        if not any(name in query for name in names):
            continue
        days, gone = warehouse.partitions(stored), warehouse.evicted(stored)
        if gone:
            yield (
                f"{stored.name}: {len(gone)} of {len(days)} days from {gone[0]} to {gone[-1]} were removed to save "
                f"space; they come back by: setbull run --from {gone[0]} --to {gone[-1]}"
            )


def outdated_days(settings: Settings, query: str) -> Iterator[str]:
    """One sentence per table in ``query`` that lacks partitions, since another version of setbull wrote them."""
    warehouse = open_warehouse(settings)
    for stored in stored_tables():
        if stored.name in query and (names := warehouse.outdated(stored)):
            yield (
                f"{stored.name}: {shortened(names)} not shown, written by another version of setbull; computed again "
                "by: setbull run"
            )


def damaged_days(settings: Settings, query: str) -> Iterator[str]:
    """One sentence per partition that a table in ``query`` lacks, since its file is damaged (``operations.scrub``)."""
    try:
        rows = open_warehouse(settings).read(SCRUB, [WHOLE])
    except (MissingPartition, DamagedPartition, ContractViolation):
        return  # nothing was ever verified, or it is not known
    for row in rows[rows["state"] == DAMAGED].itertuples():
        if row.table_name in query:
            yield f"{row.table_name} {row.partition}: not shown, its file is damaged: {row.path} {row.reason}"


@contextmanager
def opened_catalog(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the catalog file read-only; under the kill switch a private one whose served tables are those of V1.

    The switch works at once: on a warehouse that cannot be written, with a catalog file that was made before, with
    a rollout log that cannot be read. The private catalog has no ``operations`` tables then. One with all tables takes
    the place of a file that reads another data folder. FileNotFoundError when there is no catalog and nothing stored.
    """
    warehouse = open_warehouse(settings)
    if settings.rollout.kill:
        # Plans and reports have no lanes: stored ones may be made of V2's rows, and are left out.
        # The tables of operations need the log and its like to be readable, which the switch must not.
        others = [
            each for each in stored_tables() if each.schema not in (SERVED_SCHEMA, _OPERATIONS)
        ]
    elif is_at_home(warehouse, settings) or not is_stored(warehouse):
        with open_catalog(catalog_path(settings)) as connection:
            yield connection
        return
    else:
        others = stored_tables()
    with connect(warehouse, others) as connection:
        if settings.rollout.kill:
            _serve_v1(connection, others)
        for macro in MACROS:
            connection.execute(macro.statements)
        yield connection


def _serve_v1(connection: duckdb.DuckDBPyConnection, others: Sequence[StoredTable]) -> None:
    by_name = {each.table.name: each for each in others if each.schema == "v1"}
    for each in stored_tables():
        if each.schema == SERVED_SCHEMA and each.table.name in by_name:
            create_view_of_lane(connection, each, by_name[each.table.name])
