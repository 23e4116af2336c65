"""Dagster's own storage, runs whose process is gone, and who holds the warehouse.

Belongs here: what may keep the next run from starting. Does not belong here: what runs computed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, NullPool, column, create_engine, delete, inspect, select, table

from setbull_pipelines import disk
from setbull_pipelines.automation.run_process import end_gone_runs, gone_runs
from setbull_pipelines.doctor.finding import FAULT, NOTE, WELL, DataFolder, Finding, size
from setbull_pipelines.pipeline.opening import warehouse_root
from setbull_pipelines.warehouse.looking import shortened
from setbull_pipelines.warehouse.rebuilding import is_whole_sqlite

_VERSIONS = table("alembic_version", column("version_num"))
"""Where Dagster's migrations note which tables a file has."""


def storage(folder: DataFolder) -> list[Finding]:
    """The SQLite files of Dagster: runs, events, schedules."""
    root = folder.settings.data_directory / "dagster"
    paths = sorted(root.rglob("*.db"))
    if not paths:
        return []
    damaged = [path for path in paths if not is_whole_sqlite(path)]
    twice = [path for path in paths if path not in damaged and len(_versions(path)) > 1]
    taken = size(sum(path.stat().st_size for path in paths))
    if not damaged and not twice:
        return [Finding("dagster", WELL, f"{len(paths):,} files of Dagster, {taken}, can be read")]
    return _damaged(folder, damaged) + _stamped_twice(twice)


def _versions(path: Path) -> list[str]:
    """The versions of Dagster's tables that a file says it has: one, where it can be opened."""
    with _opened(path) as connection:
        if not inspect(connection).has_table(_VERSIONS.name):
            return []  # made by SQLite, and not yet by Dagster
        return list(connection.scalars(select(_VERSIONS.c.version_num)))


@contextmanager
def _opened(path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.begin() as connection:
        yield connection


def _stamped_twice(paths: Sequence[Path]) -> list[Finding]:
    if not paths:
        return []

    def keep_one() -> str:
        # Either may stay: both processes made all tables, and Dagster's migrations look for what is there already.
        for path in paths:
            first = _versions(path)[0]
            with _opened(path) as connection:
                connection.execute(delete(_VERSIONS).where(_VERSIONS.c.version_num != first))
        return f"{len(paths):,} mended; nothing else in them is touched"

    return [
        Finding(
            "dagster",
            FAULT,
            f"made by two processes at once, so no process can open: {shortened(paths)}",
            "one of its versions is kept",
            keep_one,
        )
    ]


def _damaged(folder: DataFolder, damaged: Sequence[Path]) -> list[Finding]:
    if not damaged:
        return []

    def set_aside() -> str:
        for path in damaged:
            os.replace(path, path.with_name(f"{path.name}.damaged-{folder.moment:%Y%m%d%H%M%S}"))
            for beside in (f"{path}-wal", f"{path}-shm"):
                if os.path.exists(beside):
                    os.remove(beside)
        return f"{len(damaged):,} set aside; Dagster begins new ones"

    return [
        Finding(
            "dagster",
            FAULT,
            f"damaged: {shortened(damaged)}",
            "stop setbull ui first; they are set aside: the UI forgets earlier runs, no table is lost",
            set_aside,
        )
    ]


def unfinished(folder: DataFolder) -> list[Finding]:
    """Runs that are started for Dagster, and whose process is no more."""
    if folder.instance is None:
        return []
    instance = folder.instance()
    gone = gone_runs(instance)
    if not gone:
        return [Finding("runs", WELL, "no run is open whose process is gone")]
    return [
        Finding(
            "runs",
            FAULT,
            f"{len(gone):,} open although their process is gone: {shortened([run.run_id for run in gone])}",
            "they are ended as failed, which frees their place in the queue",
            lambda: f"{len(end_gone_runs(instance)):,} ended",
        )
    ]


def locks(folder: DataFolder) -> list[Finding]:
    """Whether somebody is writing just now."""
    root = warehouse_root(folder.settings)
    if not root.is_dir():
        return []
    holders = disk.holders(root)
    if holders is None:
        return [Finding("locks", WELL, "nobody holds the warehouse")]
    told = f"{disk.who(holders)} is writing"
    return [Finding("locks", NOTE, told, "what it publishes meanwhile is not judged here")]
