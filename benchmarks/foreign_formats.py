"""Delta and DuckLake behind the small interface that ``table_formats`` measures; their packages are not of the project.

Belongs here: how they commit days of several tables together, read them as of one commit, and tidy up. Does not belong
here: our own formats (``formats``), clocks, faults, what is concluded (``docs/decisions/0001-table-format.md``).
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pyarrow
import pyarrow.compute as compute

from benchmarks.formats import SCHEMA, TABLES, Changes, DuckDBReader, locked, quoted, replace_synced


class Delta:
    """Delta tables by month through delta-rs; a record of ours names the version of each for readers."""

    needs = ("deltalake",)

    def __init__(self, folder: Path) -> None:
        self.folder, self.record = folder, folder / "commit.json"

    def _place(self, table: str) -> str:
        return str(self.folder / table)

    def create(self) -> None:
        from deltalake import write_deltalake

        for table in TABLES:
            write_deltalake(
                self._place(table), _with_month(SCHEMA.empty_table()), partition_by=["month"]
            )
        self._record()

    def _record(self) -> None:
        from deltalake import DeltaTable

        versions = {table: DeltaTable(self._place(table)).version() for table in TABLES}
        replace_synced(self.record, json.dumps(versions).encode())

    def _undo(self) -> None:
        """Take back what a writer did that was killed before it named its versions."""
        from deltalake import DeltaTable

        for table, version in json.loads(self.record.read_bytes()).items():
            found = DeltaTable(self._place(table))
            if found.version() != version:
                found.restore(version)

    def commit(self, changes: Changes) -> None:
        from deltalake import write_deltalake

        with locked(self.folder):
            self._undo()
            for table, (rows, days) in changes.items():
                months = sorted({day[:7] for day in days})
                between = f"trading_day >= '{min(days)}' AND trading_day <= '{max(days)}'"
                chosen = between if len(days) > 10 else f"trading_day IN ({quoted(days)})"
                write_deltalake(
                    self._place(table),
                    _with_month(rows),
                    mode="overwrite",
                    predicate=f"month >= '{months[0]}' AND month <= '{months[-1]}' AND {chosen}",
                )
            self._record()

    @contextmanager
    def snapshot(self) -> Iterator[Delta]:
        self.versions = json.loads(self.record.read_bytes())
        yield self

    def read(self, table: str, days: Sequence[str] | None = None) -> pyarrow.Table:
        from deltalake import DeltaTable

        found = DeltaTable(self._place(table), version=self.versions[table])
        if days is None:
            return found.to_pyarrow_table(columns=SCHEMA.names)
        wanted = compute.field("trading_day").isin(pyarrow.array(list(days)).cast(pyarrow.date32()))
        months = compute.field("month").isin(sorted({day[:7] for day in days}))
        return found.to_pyarrow_dataset().to_table(columns=SCHEMA.names, filter=months & wanted)

    def verified(self, table: str) -> pyarrow.Table:
        with self.snapshot() as reader:
            return reader.read(table)

    def maintain(self) -> None:
        from deltalake import DeltaTable

        with locked(self.folder):
            self._undo()
            for table in TABLES:
                found = DeltaTable(self._place(table))
                found.optimize.compact()
                found.create_checkpoint()
                found.vacuum(retention_hours=1, enforce_retention_duration=False, dry_run=False)
            self._record()

    def files(self) -> tuple[list[Path], list[Path]]:
        logs = [*self.folder.glob("*/_delta_log/*"), self.record]
        return list(self.folder.glob("*/month=*/*.parquet")), [p for p in logs if p.is_file()]


def _with_month(rows: pyarrow.Table) -> pyarrow.Table:
    months = compute.strftime(rows["trading_day"].cast(pyarrow.timestamp("s")), "%Y-%m")
    return rows.append_column("month", months.cast(pyarrow.string()))


class DuckLake:
    """DuckLake 1.0 on a SQLite catalog, under the conditions that were found to be needed."""

    needs = ("duckdb_extension_ducklake", "duckdb_extension_sqlite_scanner")
    expiry = "now() - INTERVAL 2 DAY"

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "catalog.sqlite"
        self._connection = None

    def _connect(self, *options: str) -> object:
        import duckdb

        config = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
        connection = duckdb.connect(config=config)
        for name in ("sqlite_scanner", "ducklake"):
            place = Path(importlib.util.find_spec(f"duckdb_extension_{name}").origin).parent
            file = place / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
            connection.execute(f"LOAD '{file}'")
        settings = ", ".join(
            [f"DATA_PATH '{self.folder}/data'", "META_BUSY_TIMEOUT 10000", *options]
        )
        connection.execute(f"ATTACH 'ducklake:sqlite:{self.path}' AS lake ({settings})")
        return connection

    @property
    def writer(self) -> object:
        if self._connection is None:
            self._connection = self._connect("DATA_INLINING_ROW_LIMIT 0", "META_JOURNAL_MODE 'WAL'")
        return self._connection

    def create(self) -> None:
        empty = SCHEMA.empty_table()
        self.writer.register("rows_given", empty)
        for table in TABLES:
            self.writer.execute(f"CREATE TABLE lake.{table} AS SELECT * FROM rows_given")
            self.writer.execute(
                f"ALTER TABLE lake.{table} SET PARTITIONED BY (year(trading_day), month(trading_day))"
            )
        self.writer.execute("CALL lake.set_option('parquet_compression', 'zstd')")

    def commit(self, changes: Changes) -> None:
        connection = self.writer
        with locked(self.folder):
            connection.execute("BEGIN")
            try:
                for table, (rows, days) in changes.items():
                    connection.register("rows_given", rows)
                    connection.execute(
                        f"DELETE FROM lake.{table} WHERE trading_day IN ({quoted(days)})"
                    )
                    connection.execute(f"INSERT INTO lake.{table} SELECT * FROM rows_given")
                connection.execute("COMMIT")
            except BaseException:
                with suppress(Exception):
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def snapshot(self) -> Iterator[DuckDBReader]:
        with closing(self._connect("READ_ONLY")) as connection:
            connection.execute("BEGIN")
            yield DuckDBReader(connection, "lake.")

    def verified(self, table: str) -> pyarrow.Table:
        with self.snapshot() as reader:
            return reader.read(table)

    def maintain(self) -> None:
        with locked(self.folder):
            for table in TABLES:
                self.writer.execute(
                    f"CALL ducklake_rewrite_data_files('lake', '{table}', delete_threshold => 0.1)"
                )
            self.writer.execute("CALL ducklake_merge_adjacent_files('lake')")
            for call in ("ducklake_expire_snapshots", "ducklake_cleanup_old_files"):
                self.writer.execute(f"CALL {call}('lake', older_than => {self.expiry})")

    def files(self) -> tuple[list[Path], list[Path]]:
        return list((self.folder / "data").rglob("*.parquet")), list(
            self.folder.glob("catalog.sqlite*")
        )


class DuckLakeAtOnce(DuckLake):
    """DuckLake that expires what is not current: the control whose faults the readers must notice."""

    expiry = "now()"
