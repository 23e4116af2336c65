"""What a user sees of an error that nobody foresaw: one sentence, and where the traceback was written.

Belongs here: the sentence, the log file. Does not belong here: errors that a command
expects, which have sentences of their own.
"""

from __future__ import annotations

import os
import sqlite3
import traceback
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from setbull_pipelines.cli.watching import about_memory, is_of_memory
from setbull_pipelines.errors import TRACEBACK_PREFIX, TRACEBACKS
from setbull_pipelines.secrets import without_secrets

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""Codes that the catalog of commits never gets here with: the warehouse makes it again."""
_OF_THE_MACHINE = (
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
)
"""A full disk, one that may not be written, too many open files."""


def sentence_about(error: BaseException, data_directory: Path) -> str:
    """One sentence for the terminal, after the traceback was written below ``data_directory``.

    Where it cannot be written, for a full disk or a folder that may only be read, the sentence says so.
    """
    what = without_secrets(f"{type(error).__name__}: {_first_line(error)}")
    path = _write(error, data_directory)
    where = (
        f"the traceback is in {path}"
        if path
        else f"its traceback could not be written below {data_directory}"
    )
    if is_of_memory(what):
        return f"{what}; {where}{about_memory()}"
    if isinstance(error, OSError) or any(code in _OF_THE_MACHINE for code in _sqlite_codes(error)):
        return f"{what}; {where}. Once that is mended, the same command goes on where it stopped"
    return (
        f"{what}; this is a fault of the program, and {where}. What was published before is whole; the same command "
        "may be tried again"
    )


def damaged_storage(error: BaseException, data_directory: Path) -> str | None:
    """What to do about a file of Dagster that cannot be opened; None for every other error."""
    # What Dagster raises of a file whose version it cannot tell.
    from alembic.util.exc import CommandError

    if not isinstance(error, CommandError) and not any(
        code in _DAMAGED for code in _sqlite_codes(error)
    ):
        return None
    return (
        f"a file below {data_directory / 'dagster' / 'storage'} is damaged ({_first_line(error)}); stop setbull ui and "
        "mend it by: setbull doctor --repair. No table is lost, and the same command goes on then"
    )


def _sqlite_codes(error: BaseException | None) -> Iterator[int]:
    """What SQLite says of an error and of those that it comes from, without the finer distinctions."""
    while error is not None:
        if (code := getattr(error, "sqlite_errorcode", None)) is not None:
            yield code & 0xFF
        error = error.__cause__ or error.__context__


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "without a message"


def _write(error: BaseException, data_directory: Path) -> Path | None:
    text = without_secrets("".join(traceback.format_exception(error)))
    name = f"{TRACEBACK_PREFIX}{datetime.now(UTC):%Y-%m-%d-%H%M%S}-{os.getpid()}.log"
    with suppress(OSError):
        folder = data_directory / TRACEBACKS
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
        return path
    return None
