"""The warehouse of the project behind the small interface that ``table_formats`` measures.

Belongs here: how it commits days of several tables together, reads them as of one commit, and tidies up. Does not
belong here: formats of others (``foreign_formats``), clocks, faults, what is concluded
(``docs/decisions/0001-table-format.md``).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pyarrow

TABLES = ("a", "b")
NUMBERS = [f"number_{place}" for place in range(15)]
SCHEMA = pyarrow.schema(
    [
        ("instrument_key", pyarrow.string()),
        ("bar", pyarrow.int64()),
        ("trading_day", pyarrow.date32()),
        ("version", pyarrow.int64()),
        *[(name, pyarrow.float64()) for name in NUMBERS],
    ]
)
SQL_TYPES = {"instrument_key": "VARCHAR", "bar": "BIGINT", "trading_day": "DATE"}
SQL_TYPES |= {"version": "BIGINT", **dict.fromkeys(NUMBERS, "DOUBLE")}
Changes = Mapping[str, tuple[pyarrow.Table, Sequence[str]]]
"""By table: the new rows of some days, and which days these are."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One writer at a time."""
    with open(folder / "lock", "a", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def replace_synced(target: Path, data: bytes) -> None:
    """Put ``data`` in place in one step that survives a power cut."""
    temporary = target.with_name(f".writing-{os.getpid()}-{target.name}")
    with open(temporary, "wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def quoted(values: Sequence[str]) -> str:
    """Values as a list of SQL."""
    return ", ".join(f"'{value}'" for value in values)


class Store:
    """The warehouse: a file per table and commit, one SQLite transaction, a catalog of views swapped last."""

    needs = ("setbull_pipelines",)
    grace = timedelta(seconds=3)

    def __init__(self, folder: Path) -> None:
        from setbull_pipelines.tables.contract import Column, Kind, Table
        from setbull_pipelines.warehouse.pointers import StoredTable
        from setbull_pipelines.warehouse.store import Warehouse

        kinds = {"instrument_key": Kind.TEXT, "trading_day": Kind.DAY}
        kinds |= {"bar": Kind.INTEGER, "version": Kind.INTEGER}
        columns = tuple(Column(name, kinds.get(name, Kind.FLOAT), name) for name in SCHEMA.names)
        self.tables = {
            name: StoredTable("v1", Table(name, name, ("v1",), SCHEMA.names[:2], columns))
            for name in TABLES
        }
        self.catalog = folder / "catalog.duckdb"
        self.warehouse = Warehouse(folder / "warehouse", cache_bytes=0, grace=self.grace)

    def create(self) -> None:
        self._swap()

    def commit(self, changes: Changes) -> None:
        with self.warehouse.commit() as commit:
            for name, (rows, days) in changes.items():
                frame = rows.to_pandas()
                frame["trading_day"] = frame["trading_day"].astype("datetime64[us]")
                frame = frame.astype({"instrument_key": "str"})
                commit.add(
                    self.tables[name],
                    self.warehouse.check_range(self.tables[name], frame, days),
                    code_version="",
                    settings_hash="",
                    inputs={day: {} for day in days},
                    run_id="",
                )
        self._swap()

    def _swap(self) -> None:
        from setbull_pipelines.warehouse.catalog import rebuild_catalog

        rebuild_catalog(self.warehouse, self.catalog, list(self.tables.values()), {})

    @contextmanager
    def snapshot(self) -> Iterator[object]:
        with self.warehouse.snapshot() as reader:
            yield SimpleNamespace(
                read=lambda table, days=None: reader.read_arrow(self.tables[table], days)
            )

    def verified(self, table: str) -> pyarrow.Table:
        return self.warehouse.read_arrow(self.tables[table])

    def maintain(self) -> None:
        self.warehouse.merge("9999-12-31")
        self._swap()
        self.warehouse.collect_garbage()

    def files(self) -> tuple[list[Path], list[Path]]:
        root = self.warehouse.root
        return list(root.glob("v1/*/*.parquet")), [*root.glob("catalog.*"), self.catalog]


class StoreBySQL(Store):
    """The same for readers of SQL, who check no bytes: they see what the catalog of views says."""

    @contextmanager
    def snapshot(self) -> Iterator[DuckDBReader]:
        import duckdb

        with closing(duckdb.connect(str(self.catalog), read_only=True)) as connection:
            yield DuckDBReader(connection, "v1.")


class DuckDBReader:
    """Rows through a connection of DuckDB."""

    def __init__(self, connection: object, prefix: str) -> None:
        self.connection, self.prefix = connection, prefix

    def read(self, table: str, days: Sequence[str] | None = None) -> pyarrow.Table:
        where = "" if days is None else f" WHERE trading_day IN ({quoted(days)})"
        query = self.connection.sql(f"SELECT * FROM {self.prefix}{table}{where}")
        return query.to_arrow_table()
