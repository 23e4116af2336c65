"""The old database itself, MySQL or MariaDB, asked in a read-only transaction.

Belongs here: connecting, and the SELECTs. Does not belong here: what the columns mean.

The session is read-only before the first question, and asks SELECT only. The password is read from the environment by
the caller, is in no message, and nowhere stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import pandas as pd

from setbull_pipelines.sources.legacy.old_tables import (
    CANDLES,
    CANDLES_5MIN,
    COLUMNS,
    ROWS_IN_A_CHUNK,
    USED,
    CannotImport,
    Chunk,
    Progress,
    Stream,
    chunk_of,
)

_PORT = 3306
_SECONDS = 30
_BEGIN = (
    "SET SESSION TRANSACTION READ ONLY",
    # The database gives moments of a TIMESTAMP column in the zone of the session.
    "SET SESSION time_zone = '+00:00'",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)


@dataclass(frozen=True)
class Database:
    """Where the old database is, without the password."""

    host: str
    port: int
    user: str
    name: str
    password: str = field(repr=False)

    @property
    def shown(self) -> str:
        """For messages."""
        return f"mysql://{self.user}@{self.host}:{self.port}/{self.name}"


@dataclass(frozen=True)
class TableStream(Stream):
    """One table of a database, in the order of its ids."""

    database: Database
    table: str

    def chunks(self, done: Progress) -> Iterator[Chunk]:
        """The rows with ids after the mark of what is done, all from one moment."""
        with connected(self.database) as connection:
            there = columns_of(connection, self.database, self.table)
            wanted = [name for name in USED[self.table] if name in there]
            is_numbered = there.get("id") in ("int", "bigint", "mediumint", "smallint")
            number, mark = done.chunks, done.mark
            while True:
                where, values = "", []
                if mark:
                    where, values = "WHERE id > %s", [int(mark) if is_numbered else mark]
                rows = asked(
                    connection,
                    f"SELECT {', '.join(f'`{name}`' for name in wanted)} FROM `{self.table}` {where} "
                    f"ORDER BY id LIMIT {ROWS_IN_A_CHUNK}",
                    values,
                )
                if not rows:
                    return
                frame = pd.DataFrame(rows, columns=wanted, dtype=object)
                mark = frame["id"].iloc[-1]
                yield chunk_of(self.name, number, self.table, frame, mark)
                number += 1
                if len(rows) < ROWS_IN_A_CHUNK:
                    return

    def counts_there(self, done: Progress, zone: str) -> list[tuple[str, str, int]] | None:
        """What the database counts by interval and day of exchange time, up to the last exported id."""
        if self.table not in (CANDLES, CANDLES_5MIN) or not done.mark:
            return None
        later = 330 if zone == "UTC" else 0
        with connected(self.database) as connection:
            rows = asked(
                connection,
                f"SELECT time_interval, DATE(timestamp + INTERVAL {later} MINUTE), COUNT(*) FROM `{self.table}` "
                "WHERE id <= %s GROUP BY 1, 2 ORDER BY 1, 2",
                [int(done.mark)],
            )
        return [(interval or "", day or "", int(count or 0)) for interval, day, count in rows]


def database_of(url: str, password: str | None) -> Database:
    """The database of ``mysql://user@host:port/name``; a password of the caller goes before one in the URL.

    Raises CannotImport, without any part of the URL.
    """
    expected = "expected mysql://USER@HOST:PORT/DATABASE"
    try:
        parts = urlsplit(url)
        port = parts.port or _PORT
    except ValueError:
        raise CannotImport(f"the URL of the old database cannot be read, {expected}") from None
    name = parts.path.lstrip("/")
    if parts.scheme not in ("mysql", "mariadb") or not (parts.hostname and parts.username and name):
        raise CannotImport(f"the URL of the old database is incomplete, {expected}")
    secret = password if password is not None else unquote(parts.password or "")
    return Database(parts.hostname, port, unquote(parts.username), name, secret)


def table_streams(database: Database) -> list[TableStream]:
    """A stream per old table that is there. Raises CannotImport when none is."""
    with connected(database) as connection:
        rows = asked(
            connection,
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s",
            [database.name],
        )
    there = {name.lower() for (name,) in rows if name}
    found = [table for table in COLUMNS if table in there]
    if not found:
        raise CannotImport(
            f"{database.shown}: found none of the tables {', '.join(COLUMNS)}, expected the old database"
        )
    return [
        TableStream(f"{database.shown}/{table}", database.shown, True, database, table)
        for table in found
    ]


def columns_of(connection: Any, database: Database, table: str) -> dict[str, str]:
    """Columns and their SQL types."""
    rows = asked(
        connection,
        "SELECT column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = %s AND table_name = %s",
        [database.name, table],
    )
    return {name.lower(): kind.lower() for name, kind in rows if name and kind}


@contextmanager
def connected(database: Database) -> Iterator[Any]:
    """A connection in a read-only transaction. Raises CannotImport where there is no driver or no database."""
    try:
        import pymysql
        from pymysql.constants import FIELD_TYPE
        from pymysql.converters import conversions
    except ModuleNotFoundError:
        raise CannotImport(
            "pymysql is not installed; install the extra: pip install 'setbull_pipelines[import]'"
        ) from None
    # Values as the server writes them: decimals keep their digits, moments their text.
    as_text = {kind: convert for kind, convert in conversions.items() if not isinstance(kind, int)}
    as_text |= {FIELD_TYPE.BIT: lambda value: str(int.from_bytes(value, "big"))}
    try:
        connection = pymysql.connect(
            host=database.host,
            port=database.port,
            user=database.user,
            password=database.password,
            database=database.name,
            charset="utf8mb4",
            conv=as_text,
            connect_timeout=_SECONDS,
        )
    except (pymysql.Error, OSError) as error:
        raise CannotImport(
            f"{database.shown}: cannot be reached ({_reason(error)}), expected the old database; the password is read "
            "from SETBULL_IMPORT_PASSWORD"
        ) from None
    try:
        with connection.cursor() as cursor:
            for statement in _BEGIN:
                cursor.execute(statement)
        yield connection
    except pymysql.Error as error:
        raise CannotImport(f"{database.shown}: {_reason(error)}") from None
    finally:
        connection.close()


def asked(connection: Any, question: str, values: list[Any]) -> list[tuple[str | None, ...]]:
    """The answer to a SELECT, as text."""
    with connection.cursor() as cursor:
        cursor.execute(question, values)
        return [
            tuple(
                value.decode()
                if isinstance(value, bytes)
                else None
                if value is None
                else str(value)
                for value in row
            )
            for row in cursor.fetchall()
        ]


def _reason(error: Exception) -> str:
    return str(error.args[-1] if error.args else type(error).__name__).rstrip(".")
