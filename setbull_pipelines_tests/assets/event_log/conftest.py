"""The event log of one machine in a folder of its own, and what is read back of it, for the tests of this folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from setbull_pipelines.assets.event_log import BATCH_SIZE_VARIABLE, BatchedSqliteEventLog
from setbull_pipelines_tests.assets.event_log.event_log_process import days_of_june, run_id_of

CANDLES = dg.AssetKey(["v2", "candles"])
RUN = run_id_of("run")
DAYS = days_of_june(30)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the environment says where instances are, or how large batches."""
    # Set first, so that what the code sets is undone.
    for name in ("DAGSTER_HOME", "SETBULL_DATA_DIR", BATCH_SIZE_VARIABLE):
        monkeypatch.setenv(name, "unset")
        monkeypatch.delenv(name)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[BatchedSqliteEventLog]:
    """An empty log."""
    log = BatchedSqliteEventLog(str(tmp_path))
    yield log
    log.dispose()


def content(base_dir: Path) -> dict[str, list[tuple]]:
    """Every row of every file, without the moments at which rows were made."""
    found = {}
    for path in base_dir.glob("*.db"):
        with sqlite3.connect(path) as connection:
            for (table,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            ).fetchall():
                columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
                kept = ", ".join(f'"{name}"' for name in columns if not name.startswith("create_"))
                rows = connection.execute(f"SELECT {kept} FROM {table}").fetchall()
                if table != "secondary_indexes":
                    found[f"{path.name} {table}"] = sorted(rows, key=repr)
    return found
