"""The catalog: one small DuckDB file of views and macros for notebooks, BI tools, the API and SQL.

Belongs here: building the file and putting it in place. Does not belong here: the macros' text,
which callers bring, and rows of tables: the catalog holds none, but for what is known of each partition
(``explaining``). It is only ever replaced, never written to, so readers in other processes neither wait for it nor
block it. Its path is a link to a file that never changes: DuckDB opens a database three times by name, its heads apart
from its blocks, and a file renamed over another in between gives "No more data remaining in MetadataReader"; a link
it follows once. Its macro ``catalog_root()`` names the folder of the files that its views read.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import chain
from pathlib import Path
from uuid import uuid4

import duckdb

from setbull_pipelines import disk
from setbull_pipelines.tables.contract import Column
from setbull_pipelines.warehouse.explaining import explain
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.queries import (
    WITHOUT_EXTENSIONS,
    create_view,
    lock,
    qualified_name,
    quoted_identifier,
    quoted_text,
    search_files_from,
    select_statement,
    set_time_zone,
)
from setbull_pipelines.warehouse.reader import Reader

VERSIONS = ".catalogs"
"""The folder beside a catalog that holds the files its path is a link to, one folder each: DuckDB names a database
after its file, so all of them have the name of the catalog."""
_ROOT_MACRO = "catalog_root"
_MADE_OF_MACRO = "catalog_made_of"
"""Gives, by table, the hash of what its view says, and that of all else, as JSON."""
_FRAME = "frame"


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
    # All views as of one commit; the last of several writers shows the last commit.
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
    selects = {
        stored: select_statement(reader, stored, relative_to, thoroughly) for stored in tables
    }
    comments = {stored: _comments(stored) for stored in tables}
    root = reader.root.relative_to(relative_to) if relative_to else reader.root
    frame = [duckdb.__version__, str(root), *chain(*comments.values()), *chain(*macros_sql.items())]
    made_of = {_FRAME: _hash("\n".join(frame))}
    made_of |= {stored.name: _hash(select) for stored, select in selects.items()}
    made = path.parent / VERSIONS / uuid4().hex / path.name
    made.parent.mkdir(parents=True)
    try:
        connection, before = _begun(made, path, made_of)
        try:
            connection.begin()  # one commit for hundreds of comments
            search_files_from(connection, relative_to)
            for stored in tables:
                if before.get(stored.name) != made_of[stored.name]:
                    create_view(connection, stored, selects[stored])
                    for comment in comments[stored]:
                        connection.execute(comment)
            explain(connection, reader, tables, relative_to)
            if not before:
                connection.execute(_giving(_ROOT_MACRO, str(root)))
                for name, statement in macros_sql.items():
                    _create_macro(connection, name, statement)
            connection.execute(_giving(_MADE_OF_MACRO, json.dumps(made_of)))
            connection.commit()
            connection.execute(
                "CHECKPOINT"
            )  # what closing does too, but without a word when it fails
        finally:
            connection.close()
        disk.sync(made)
        disk.sync(made.parent)
        disk.replace_link(path, made)
    except BaseException:
        shutil.rmtree(made.parent)
        raise
    _forget_versions(path.parent, reader.grace)


def _forget_versions(folder: Path, grace: timedelta) -> None:
    """Delete the catalogs that nobody can be opening any more, and those that a killed process left half made."""
    for version in (folder / VERSIONS).iterdir():
        is_shown = any((folder / made.name).resolve() == made for made in version.iterdir())
        if not is_shown and disk.moment() - version.stat().st_mtime >= grace.total_seconds():
            shutil.rmtree(version)


def _begun(
    made: Path, path: Path, made_of: Mapping[str, str]
) -> tuple[duckdb.DuckDBPyConnection, Mapping[str, str]]:
    """A new catalog, and what the views in it are made of: a copy of the one in place where just files have changed.

    Most of the time goes to views and their comments, and many stay as they are. A catalog that says something else, or
    nothing, is left behind; so is a damaged one, which DuckDB finds out when it opens it.
    """
    with suppress(OSError, duckdb.Error):
        shutil.copyfile(path, made)
        connection = duckdb.connect(str(made))
        with suppress(duckdb.Error):
            (told,) = connection.execute(f"SELECT {_MADE_OF_MACRO}()").fetchone()
            before = json.loads(told)
            if before[_FRAME] == made_of[_FRAME]:
                return connection, before
        connection.close()
    made.unlink(missing_ok=True)
    return duckdb.connect(str(made)), {}


def _hash(text: str) -> str:
    return disk.content_hash(text.encode())


def _giving(name: str, text: str) -> str:
    return f"CREATE OR REPLACE MACRO {name}() AS {quoted_text(text)}"


def _comments(stored: StoredTable) -> tuple[str, ...]:
    view = qualified_name(stored)
    return (
        f"COMMENT ON VIEW {view} IS {quoted_text(stored.table.description)}",
        *(
            f"COMMENT ON COLUMN {view}.{quoted_identifier(column.name)} IS {quoted_text(_meaning(column))}"
            for column in stored.table.columns
        ),
    )


def _meaning(column: Column) -> str:
    return f"{column.description} [{column.unit}]" if column.unit else column.description


def _create_macro(connection: duckdb.DuckDBPyConnection, name: str, statement: str) -> None:
    try:
        connection.execute(statement)
    except duckdb.Error as error:
        raise ValueError(f"macro {name} cannot be created: {error}") from error
