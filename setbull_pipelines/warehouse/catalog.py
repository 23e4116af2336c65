"""The catalog: one small DuckDB file of views and macros for notebooks, BI tools, the API and SQL.

Belongs here: building the file and putting it in place. Does not belong here: the macros' text,
which callers bring, and rows of tables: the catalog holds none, but for what is known of each partition
(``explaining``). It is only ever replaced, never written to, so readers in other processes neither wait for it nor
block it. Its path is a link to a file that never changes: DuckDB opens a database three times by name, its heads apart
from its blocks, and a file renamed over another in between gives "No more data remaining in MetadataReader"; a link
it follows once. Its macro ``catalog_root()`` names the folder of the files that its views read.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import duckdb

from setbull_pipelines import disk
from setbull_pipelines.tables.contract import Column
from setbull_pipelines.warehouse.explaining import explain
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.queries import (
    WITHOUT_EXTENSIONS,
    create_views,
    lock,
    qualified_name,
    quoted_identifier,
    quoted_text,
    set_time_zone,
)
from setbull_pipelines.warehouse.reader import Reader

VERSIONS = ".catalogs"
"""The folder beside a catalog that holds the files its path is a link to, one folder each: DuckDB names a database
after its file, so all of them have the name of the catalog."""
_ROOT_MACRO = "catalog_root"


@contextmanager
def open_catalog(
    path: Path, config: Mapping[str, object] | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the catalog file, locked to its folder of files; closed when the block ends.

    The session time zone is Asia/Kolkata. FileNotFoundError when there is no catalog.
    """
    path = Path(path).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"there is no catalog at {path}; rebuild the catalog first")
    # A database in memory to which the file is attached: connections to one file share their configuration in a
    # process, so that the second one could not set its own any more.
    spill = {"temp_directory": f"{path}.tmp"}
    connection = duckdb.connect(":memory:", config=spill | dict(config or {}) | WITHOUT_EXTENSIONS)
    try:
        set_time_zone(connection)
        _attach(connection, path)
        lock(connection, _root(connection))
        yield connection
    finally:
        connection.close()


def root_of_catalog(path: Path) -> Path | None:
    """The folder of the files that a catalog reads; None where there is none that can say."""
    try:
        with duckdb.connect(":memory:", config=WITHOUT_EXTENSIONS) as connection:
            _attach(connection, path)
            return _root(connection)
    except duckdb.Error:
        return None


def _attach(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    connection.execute(f"ATTACH {quoted_text(str(path))} AS catalog_file (READ_ONLY)")
    connection.execute("USE catalog_file")


def _root(connection: duckdb.DuckDBPyConnection) -> Path:
    (root,) = connection.execute(f"SELECT {_ROOT_MACRO}()").fetchone()
    return Path(root)


def rebuild_catalog(
    warehouse: Reader,
    path: Path,
    tables: Sequence[StoredTable],
    macros_sql: Mapping[str, str],
    is_relative: bool = False,
) -> Path:
    """Put a new catalog of the current files at ``path`` and return its absolute path.

    ``macros_sql`` holds, by name, ``CREATE MACRO`` statements over the views. ``is_relative`` names files from the
    folder of ``path``, so that it may be moved; readers work in it or set ``file_search_path`` to it. A process that
    has the old catalog open keeps reading the old versions until it connects anew. Raises ValueError
    naming the macro that does not compile; the old catalog then stays.
    """
    path = Path(path).parent.resolve() / Path(path).name  # the link, not what it leads to
    path.parent.mkdir(parents=True, exist_ok=True)
    warehouse.commits.number()  # a list of what is current that is damaged is made again before the lock is held
    # All views as of one commit; and whoever comes last shows the last one.
    with disk.writer_lock(path.parent), warehouse.snapshot() as reader:
        relative_to = path.parent if is_relative else None
        try:
            _replace(reader, path, tables, macros_sql, relative_to)
        except duckdb.Error:
            # A file whose end is damaged, where Parquet says what is in it.
            _replace(reader, path, tables, macros_sql, relative_to, thoroughly=True)
    return path


def _replace(
    reader: Reader,
    path: Path,
    tables: Sequence[StoredTable],
    macros_sql: Mapping[str, str],
    relative_to: Path | None,
    thoroughly: bool = False,
) -> None:
    made = path.parent / VERSIONS / uuid4().hex / path.name
    made.parent.mkdir(parents=True)
    try:
        connection = duckdb.connect(str(made))
        try:
            connection.begin()  # one commit for hundreds of comments
            create_views(connection, reader, tables, relative_to, thoroughly)
            for stored in tables:
                _comment(connection, stored)
            explain(connection, reader, tables, relative_to)
            root = reader.root.relative_to(relative_to) if relative_to else reader.root
            connection.execute(f"CREATE MACRO {_ROOT_MACRO}() AS {quoted_text(str(root))}")
            for name, statement in macros_sql.items():
                _create_macro(connection, name, statement)
            connection.commit()
            connection.execute(
                "CHECKPOINT"
            )  # what closing does too, but without a word when it fails
        finally:
            connection.close()
        with open(made, "rb") as handle:
            os.fsync(handle.fileno())
        disk.sync_directory(made.parent)
        disk.replace_link(path, made)
    except BaseException:
        shutil.rmtree(made.parent)
        raise
    _forget_versions(path.parent, reader.grace)


def _forget_versions(folder: Path, grace: timedelta) -> None:
    """Delete the catalogs that nobody can be opening any more, and those that a killed process left half made."""
    for version in (folder / VERSIONS).iterdir():
        is_shown = any((folder / made.name).resolve() == made for made in version.iterdir())
        if not is_shown and time.time() - version.stat().st_mtime >= grace.total_seconds():
            shutil.rmtree(version)


def _comment(connection: duckdb.DuckDBPyConnection, stored: StoredTable) -> None:
    view = qualified_name(stored)
    description = quoted_text(stored.table.description)
    connection.execute(f"COMMENT ON VIEW {view} IS {description}")
    for column in stored.table.columns:
        connection.execute(
            f"COMMENT ON COLUMN {view}.{quoted_identifier(column.name)} "
            f"IS {quoted_text(_meaning(column))}"
        )


def _meaning(column: Column) -> str:
    return f"{column.description} [{column.unit}]" if column.unit else column.description


def _create_macro(connection: duckdb.DuckDBPyConnection, name: str, statement: str) -> None:
    try:
        connection.execute(statement)
    except duckdb.Error as error:
        raise ValueError(f"macro {name} cannot be created: {error}") from error
