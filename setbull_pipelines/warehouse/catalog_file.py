"""Where the catalog of commits is, and how it is opened.

Belongs here: its name, connections, the format that this version reads. Does not belong here: its rows (``changes``),
what is current (``commits``).
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from setbull_pipelines.settings import InvalidSettings
from setbull_pipelines.warehouse.changes import FORMAT

CATALOG_FILE = "catalog.sqlite"
OLD_POINTERS = "*/*/*/current.json"
"""Where the layout before this one kept what is current; a folder of it has no catalog (``converting``)."""
_PATIENCE_SECONDS = 600
"""How long a writer waits for another one, whose transaction takes milliseconds."""


def holds_files(root: Path) -> bool:
    """Whether there are data files, so that a catalog which is not there was lost."""
    return any(next(root.glob(each), None) is not None for each in ("*/*/*.parquet", OLD_POINTERS))


def opened(path: Path, is_read_only: bool) -> sqlite3.Connection:
    """A connection; InvalidSettings for a folder of a newer version."""
    connection = connected(path, is_read_only)
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > FORMAT:
        connection.close()
        raise InvalidSettings(
            f"{path.parent} was written by a newer version of setbull: found format {found}, expected {FORMAT} at "
            "most; install the newer version, or give another folder in SETBULL_DATA_DIR"
        )
    return connection


def connected(path: Path, is_read_only: bool = False) -> sqlite3.Connection:
    """A connection to the file at ``path``.

    ``is_read_only`` is of a folder where nobody may make the files beside the catalog that SQLite needs.

    What it shows is what the last writer left when it closed the file.
    """
    connection = sqlite3.connect(
        f"{path.as_uri()}?immutable=1" if is_read_only else path,
        timeout=_PATIENCE_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        uri=is_read_only,
    )
    connection.execute("PRAGMA synchronous = FULL")
    return connection
