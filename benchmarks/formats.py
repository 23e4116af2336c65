"""The warehouse of today and a prototype of the next one, behind the small interface that ``table_formats`` measures.

Belongs here: how they commit days of several tables together, read them as of one commit, and tidy up. Does not belong
here: formats of others (``foreign_formats``), clocks, faults, what is concluded
(``docs/decisions/0001-table-format.md``). ``Ranges`` is not a part of the product.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow
import pyarrow.compute as compute
import pyarrow.parquet

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


class Today:
    """The warehouse of the project: a file a day, a pointer a day, a catalog of views swapped once per commit."""

    needs = ("setbull_pipelines",)

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
        self.folder = folder
        self.catalog = folder / "catalog.duckdb"
        # Readers of an older catalog need the versions it names.
        self.warehouse = Warehouse(folder / "warehouse", keep_versions=12, cache_bytes=0)

    def create(self) -> None:
        self._swap()

    def commit(self, changes: Changes) -> None:
        with locked(self.folder):
            for name, (rows, days) in changes.items():
                frame = rows.to_pandas()
                frame["trading_day"] = frame["trading_day"].astype("datetime64[us]")
                self.warehouse.publish_range(
                    self.tables[name],
                    frame.astype({"instrument_key": "str"}),
                    days,
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
    def snapshot(self) -> Iterator[DuckDBReader]:
        import duckdb

        with closing(duckdb.connect(str(self.catalog), read_only=True)) as connection:
            yield DuckDBReader(connection, "v1.")

    def verified(self, table: str) -> pyarrow.Table:
        from setbull_pipelines.warehouse.store import Warehouse

        return Warehouse(self.warehouse.root, cache_bytes=0).read_arrow(self.tables[table])

    def maintain(self) -> None:
        self.warehouse.collect_garbage()

    def files(self) -> tuple[list[Path], list[Path]]:
        root = self.warehouse.root
        return list(root.rglob("*.parquet")), [*root.rglob("current.json"), self.catalog]


class DuckDBReader:
    """Rows through a connection of DuckDB."""

    def __init__(self, connection: object, prefix: str) -> None:
        self.connection, self.prefix = connection, prefix

    def read(self, table: str, days: Sequence[str] | None = None) -> pyarrow.Table:
        where = "" if days is None else f" WHERE trading_day IN ({quoted(days)})"
        query = self.connection.sql(f"SELECT * FROM {self.prefix}{table}{where}")
        return query.to_arrow_table()


class Ranges:
    """Prototype: a file holds many days, one SQLite transaction names what is current in all tables.

    A row of ``partitions`` says which file holds a day; it carries a digest of itself, since SQLite checks no bytes.
    A day that is replaced is written beside, and is no longer looked for in the older file.
    """

    needs = ()
    rows_merged = 1_000_000
    grace_seconds = 3.0

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "catalog.sqlite"

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            yield connection

    def create(self) -> None:
        with self._open() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript("""
                CREATE TABLE commits (number INTEGER PRIMARY KEY, moment REAL, tables);
                CREATE TABLE partitions (table_name, day, file, rows, digest, PRIMARY KEY (table_name, day));
                CREATE TABLE files (file PRIMARY KEY, rows, gone_since REAL);
            """)
        for table in TABLES:
            (self.folder / table).mkdir()
        self._name({table: (SCHEMA.empty_table(), []) for table in TABLES}, {})

    def commit(self, changes: Changes) -> None:
        with locked(self.folder):
            written = {name: self._write(name, rows) for name, (rows, _) in changes.items()}
            self._name(changes, written)

    def _write(self, table: str, rows: pyarrow.Table) -> str:
        rows = rows.sort_by(
            [(name, "ascending") for name in ("trading_day", "instrument_key", "bar")]
        )
        sink = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(
            rows, sink, compression="zstd", use_dictionary=["instrument_key"], row_group_size=16_384
        )
        data = sink.getvalue().to_pybytes()
        name = f"{table}/{hashlib.blake2b(data, digest_size=16).hexdigest()}.parquet"
        replace_synced(self.folder / name, data)
        return name

    def _name(self, changes: Changes, written: Mapping[str, str]) -> None:
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for table, (rows, days) in changes.items():
                counts = compute.value_counts(rows["trading_day"]).to_pylist()
                counts = {str(count["values"]): count["counts"] for count in counts}
                values = [(table, day, written[table], counts.get(day, 0)) for day in days]
                connection.executemany(
                    "INSERT OR REPLACE INTO partitions VALUES (?, ?, ?, ?, ?)",
                    [(*value, _digest(value)) for value in values],
                )
                if days:
                    file = (written[table], len(rows))
                    connection.execute("INSERT OR REPLACE INTO files VALUES (?, ?, NULL)", file)
            connection.execute(
                "UPDATE files SET gone_since = ? WHERE gone_since IS NULL "
                "AND file NOT IN (SELECT file FROM partitions)",
                (time.time(),),
            )
            commit = (time.time(), " ".join(changes))
            connection.execute("INSERT INTO commits (moment, tables) VALUES (?, ?)", commit)
            connection.execute("COMMIT")
        self._swap()

    def _swap(self) -> None:
        """Give readers of SQL the views of the last commit: all tables at once, by a copy of the file they read.

        Also of commits whose writer was killed before it came to this.
        """
        import duckdb

        target = self.folder / "catalog.duckdb"
        temporary = target.with_name(".writing-catalog.duckdb")
        temporary.unlink(missing_ok=True)
        if target.exists():
            shutil.copyfile(target, temporary)
        with closing(duckdb.connect(str(temporary))) as connection, self._open() as catalog:
            connection.execute("CREATE TABLE IF NOT EXISTS shown (number BIGINT)")
            (shown,) = connection.execute("SELECT coalesce(max(number), 0) FROM shown").fetchone()
            commits = catalog.execute(
                "SELECT number, tables FROM commits WHERE number > ?", (shown,)
            )
            changed = commits.fetchall()
            if not changed:
                return
            connection.begin()
            for table in sorted({table for _, tables in changed for table in tables.split()}):
                connection.execute(f"CREATE OR REPLACE VIEW {table} AS {self.view(table)}")
            connection.execute("DELETE FROM shown")
            connection.execute("INSERT INTO shown VALUES (?)", [changed[-1][0]])
            connection.commit()
        replace_synced(target, temporary.read_bytes())
        temporary.unlink()

    @contextmanager
    def snapshot(self) -> Iterator[Ranges]:
        with self._open() as connection:
            self.named = connection.execute("SELECT * FROM partitions").fetchall()
        if any(_digest(row[:-1]) != row[-1] for row in self.named):
            raise ValueError(f"{self.path} is damaged")
        yield self

    def read(self, table: str, days: Sequence[str] | None = None) -> pyarrow.Table:
        wanted: dict[str, list[tuple[str, int]]] = {}
        for name, day, file, rows, _ in self.named:
            if name == table and (days is None or day in days):
                wanted.setdefault(file, []).append((day, rows))
        parts = [SCHEMA.empty_table()]
        for file, live in wanted.items():
            data = (self.folder / file).read_bytes()
            if hashlib.blake2b(data, digest_size=16).hexdigest() != Path(file).stem:
                raise ValueError(f"{file} is not what was published")
            rows = pyarrow.parquet.read_table(pyarrow.BufferReader(data))
            if len(rows) != sum(count for _, count in live):
                of_days = pyarrow.array([day for day, _ in live]).cast(pyarrow.date32())
                rows = rows.filter(compute.is_in(rows["trading_day"], value_set=of_days))
            parts.append(rows)
        return pyarrow.concat_tables(parts)

    def verified(self, table: str) -> pyarrow.Table:
        with Ranges.snapshot(self):
            return Ranges.read(self, table)

    def view(self, table: str) -> str:
        """What a plain DuckDB reads: files, and of those with replaced days the days that are left."""
        with self._open() as connection:
            found = connection.execute(
                "SELECT file, files.rows, sum(partitions.rows), group_concat(day) FROM partitions JOIN files "
                "USING (file) WHERE partitions.table_name = ? GROUP BY file",
                (table,),
            ).fetchall()
        whole = [str(self.folder / file) for file, rows, live, _ in found if rows == live]
        parts = [f"SELECT * FROM read_parquet([{quoted(whole)}])"] if whole else []
        parts += [
            f"SELECT * FROM read_parquet('{self.folder / file}') "
            f"WHERE trading_day IN ({quoted(days.split(','))})"
            for file, rows, live, days in found
            if rows != live
        ]
        columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in SQL_TYPES.items())
        return " UNION ALL ".join(parts) or f"SELECT {columns} WHERE false"

    def maintain(self) -> None:
        with locked(self.folder):
            self._swap()
            for table in TABLES:
                with Ranges.snapshot(self) as reader:
                    files = {row[2] for row in self.named if row[0] == table}
                    if len(files) < 8:
                        continue
                    rows = reader.read(table)
                    days = [row[1] for row in self.named if row[0] == table]
                if len(rows) <= self.rows_merged:
                    self._name({table: (rows, days)}, {table: self._write(table, rows)})
            with self._open() as connection:
                old = connection.execute(
                    "SELECT file FROM files WHERE gone_since < ?",
                    (time.time() - self.grace_seconds,),
                ).fetchall()
                for (file,) in old:
                    (self.folder / file).unlink(missing_ok=True)
                    connection.execute("DELETE FROM files WHERE file = ?", (file,))

    def files(self) -> tuple[list[Path], list[Path]]:
        return list(self.folder.glob("*/*.parquet")), list(self.folder.glob("catalog.*"))


def _digest(values: Sequence[object]) -> str:
    return hashlib.blake2b(repr(tuple(values)).encode(), digest_size=8).hexdigest()


class RangesBySQL(Ranges):
    """The same for readers of SQL, who check no bytes: they see what the catalog of views says."""

    @contextmanager
    def snapshot(self) -> Iterator[DuckDBReader]:
        import duckdb

        catalog = str(self.folder / "catalog.duckdb")
        with closing(duckdb.connect(catalog, read_only=True)) as connection:
            yield DuckDBReader(connection, "")
