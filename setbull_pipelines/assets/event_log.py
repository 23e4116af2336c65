"""Where Dagster's events are kept: its SQLite event log, with connections that stay open and events written together.

Belongs here: the storage class that ``dagster.yaml`` names, reporting many materializations at once, and asking about
many checks at once. Does not belong here: what is reported (the assets).

The files are those of Dagster's own class, which reads them and is read: only how they are written differs. That one
opens two or three connections for an event and closes them, which moves the file's journal into it each time; it
commits twice, and writes the days of a range one by one in the order of a set. It has no interface for another way, so
methods are overridden that an upgrade of Dagster may change: ``setbull_pipelines_tests/assets/test_event_log.py``
holds both classes against each other.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from dagster._core.events import ASSET_CHECK_EVENTS, DagsterEvent, StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster._core.instance import RUNLESS_JOB_NAME, RUNLESS_RUN_ID
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus,
)
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    SqliteEventLogStorage,
    SqliteEventLogStorageWatchdog,
)
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from sqlalchemy import Connection, Engine, StaticPool, create_engine, delete, func, insert, select
from sqlalchemy.event import listen, remove

from setbull_pipelines import disk

BATCH_SIZE_VARIABLE = "DAGSTER_EVENT_BATCH_SIZE"
"""How many events of one result Dagster collects before it stores them; without it, one."""
_BATCH_SIZE = "10000"
"""More than a result has days, since only events that are stored together are put in order."""
_FILES_KEPT_OPEN = 4
"""The index, and the runs that were read or written last."""
_TOGETHER = {
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_OBSERVATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
}
_INSERT_NUMBERED = insert(SqlEventLogStorageTable).returning(
    SqlEventLogStorageTable.c.id, sort_by_parameter_order=True
)
_inherited: list[Engine] = []
"""Connections of the process that this one was forked from: closing them would take that one's locks away."""


@dataclass(frozen=True)
class _OpenFile:
    """An engine with one connection, and what it was opened for."""

    engine: Engine
    process: int
    identity: tuple[int, int]


def _sync_at_checkpoints(connection: sqlite3.Connection, _: object) -> None:
    """Sync the file when SQLite moves its log into it, not at every event: a third of all syncs of a small run.

    A killed process loses nothing by it. After a power cut the last events can be missing, and the file is whole: the
    warehouse, which is synced, has the partitions, and a run over the same days tells them again.
    """
    connection.execute("PRAGMA synchronous = NORMAL")


def _without_sync(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")


@contextmanager
def making_tables(engine: Engine | type[Engine]) -> Iterator[None]:
    """Sync nothing that is written through the engine, or through all; the caller syncs the files that were made."""
    listen(engine, "connect", _without_sync)
    try:
        yield
    finally:
        remove(engine, "connect", _without_sync)


class BatchedSqliteEventLog(SqliteEventLogStorage):
    """The event log of one machine.

    One thread at a time uses it, as with Dagster's class. Files are shared with other processes by SQLite's own locks;
    between two uses no transaction is open.
    """

    def __init__(self, base_dir: str, inst_data=None) -> None:
        # Here, since every process that stores events makes this object: Dagster reads the variable before each batch.
        os.environ.setdefault(BATCH_SIZE_VARIABLE, _BATCH_SIZE)
        self._lock = threading.RLock()
        self._files: dict[str, _OpenFile] = {}
        self._transactions: dict[str, Connection] = {}
        self._found: set[object] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data, config_value) -> BatchedSqliteEventLog:
        """As configured; Dagster's class would make one of its own here."""
        return cls(inst_data=inst_data, **config_value)

    def _initdb(self, engine: Engine, for_index_shard: bool = False) -> None:
        """Make the tables of a file, which is synced once they are all there, and not two or three times for each."""
        path = Path(engine.url.database)
        if path.exists():
            super()._initdb(engine, for_index_shard)
            return
        with making_tables(engine):
            super()._initdb(engine, for_index_shard)
        disk.sync(path)
        disk.sync(path.parent)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        """A transaction of one file: that of the caller, where it has one already."""
        with self._lock:
            if shard in self._transactions:
                yield self._transactions[shard]
                return
            with self._engine(shard).connect() as connection, connection.begin():
                self._transactions[shard] = connection
                try:
                    yield connection
                finally:
                    del self._transactions[shard]

    def _engine(self, shard: str) -> Engine:
        path = self.path_for_shard(shard)
        known = self._files.pop(shard, None)
        if known and known.process != os.getpid():
            _inherited.append(known.engine)
            known = None
        if known and known.identity != _identity(path):
            # Somebody moved or deleted the folder: what is written to the old file, nobody would find.
            known.engine.dispose()
            self._initialized_dbs.discard(shard)
            known = None
        if known is None:
            with super()._connect(shard):
                pass  # makes the tables of a new file
            engine = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=StaticPool,
                connect_args={
                    "timeout": SQLITE_BUSY_TIMEOUT_SECONDS,
                    "check_same_thread": False,
                },
            )
            listen(engine, "connect", _sync_at_checkpoints)
            known = _OpenFile(engine, os.getpid(), _identity(path))
        self._files[shard] = known
        while len(self._files) > _FILES_KEPT_OPEN:
            oldest = next(name for name in self._files if name not in self._transactions)
            self._files.pop(oldest).engine.dispose()
        return known.engine

    def has_table(self, table_name: str) -> bool:
        """Whether the index has the table; asked for every event with tags, and tables never go."""
        if table_name not in self._found and super().has_table(table_name):
            self._found.add(table_name)
        return table_name in self._found

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        column = ("column of asset_keys", column_name)
        if column not in self._found and super()._has_asset_key_col_on_connection(
            conn, column_name
        ):
            self._found.add(column)
        return column in self._found

    def store_event(self, event: EventLogEntry) -> None:
        """Store one event, with what it says of assets and checks in one transaction of the index."""
        with self.index_connection():
            super().store_event(event)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events in one transaction, assets and their days in order.

        Dagster takes the one stored last as the latest of its asset, and shows others by their moments: both follow
        the days.
        """
        if not {entry.get_dagster_event().event_type for entry in events} <= _TOGETHER:
            super().store_event_batch(events)
            return
        moments = sorted(entry.timestamp for entry in events)
        entries = [
            entry._replace(timestamp=moment)
            for entry, moment in zip(sorted(events, key=_place), moments, strict=True)
        ]
        rows = [self._event_to_row(entry) for entry in entries]
        with self.index_connection() as index:
            numbers = list(index.scalars(_INSERT_NUMBERED, rows))
            self._store_of_assets(index, entries, numbers)
            for run_id in dict.fromkeys(entry.run_id for entry in entries):
                with self.run_connection(run_id) as run:
                    run.execute(
                        insert(SqlEventLogStorageTable),
                        [row for row in rows if row["run_id"] == run_id],
                    )

    def _store_of_assets(
        self, index: Connection, entries: Sequence[EventLogEntry], numbers: Sequence[int]
    ) -> None:
        """What the index says of assets: the tags of all events, the latest event of each kind, every check."""
        of_assets = []
        for entry, number in zip(entries, numbers, strict=True):
            if entry.get_dagster_event().event_type in ASSET_CHECK_EVENTS:
                self.store_asset_check_event(entry, number)
            else:
                of_assets.append((entry, number))
        if not of_assets:
            return
        self._store_asset_event_tags(index, *zip(*of_assets, strict=True))
        latest = {
            (entry.get_dagster_event().asset_key, entry.get_dagster_event().event_type): (
                entry,
                number,
            )
            for entry, number in of_assets
        }
        for entry, number in latest.values():
            self._store_asset_event(index, entry, number)

    def watch(self, run_id: str, cursor: str | None, callback) -> None:
        """Call ``callback`` with every new event of a run, as the page of a running run does."""
        super().watch(run_id, cursor, callback)
        self._obs.remove_handler_for_watch(*self._watchers[run_id][callback])
        watchdog = _Watchdog(self, run_id, callback, cursor)
        watched = self._obs.schedule(watchdog, self._base_dir, recursive=True)
        self._watchers[run_id][callback] = (watchdog, watched)

    def delete_events(self, run_id: str) -> None:
        """Delete the events of a run, and its file, which Dagster's class leaves at its full size."""
        super().delete_events(run_id)
        with self._lock:
            if (file := self._files.pop(run_id, None)) is not None:
                if file.process == os.getpid():
                    file.engine.dispose()
                else:
                    _inherited.append(file.engine)
            self._initialized_dbs.discard(run_id)
            for end in ("", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    os.remove(f"{self.path_for_shard(run_id)}{end}")
        # Dagster's class keeps them for ever: 0.8 MB for each daily run.
        with self.index_connection() as connection:
            connection.execute(
                delete(AssetCheckExecutionsTable).where(
                    AssetCheckExecutionsTable.c.run_id == run_id
                )
            )

    def wipe(self) -> None:
        """Delete all events."""
        with self._lock:
            self._close()
            super().wipe()

    def dispose(self) -> None:
        """Close all files."""
        super().dispose()
        with self._lock:
            self._close()

    def _close(self) -> None:
        while self._files:
            _, file = self._files.popitem()
            if file.process == os.getpid():
                file.engine.dispose()
            else:
                _inherited.append(file.engine)


class _Watchdog(SqliteEventLogStorageWatchdog):
    """Looks at the journal of a run's file as well, in which events stay while the file is open."""

    @property
    def patterns(self) -> list[str]:
        return [self._log_path, f"{self._log_path}-wal"]

    def on_modified(self, event) -> None:
        self._process_log()


def _identity(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return (0, 0)
    return found.st_dev, found.st_ino


def _place(entry: EventLogEntry) -> tuple[str, str]:
    """Where an event stands among others: by asset, then by day."""
    said = entry.get_dagster_event()
    return said.asset_key.to_string() if said.asset_key else "", said.partition or ""


def last_told_as_failed(
    storage: SqlEventLogStorage,
    asset: dg.AssetKey,
    names: Collection[str],
    partitions: Collection[str],
) -> set[tuple[str, str]]:
    """Name and partition of the checks of an asset whose last evaluation of that partition failed.

    Dagster's own question for that reads the latest materialization as well, and asks for each check by itself.
    """
    told = AssetCheckExecutionsTable.c
    latest = (
        select(func.max(told.id))
        .where(
            told.asset_key == asset.to_string(),
            told.check_name.in_(names),
            told.partition.in_(partitions),
            told.evaluation_event_storage_id.isnot(None),  # or it is only planned
        )
        .group_by(told.check_name, told.partition)
    )
    failed = AssetCheckExecutionRecordStatus.FAILED.value
    query = select(told.check_name, told.partition).where(
        told.id.in_(latest), told.execution_status == failed
    )
    with storage.index_connection() as index:
        return {(name, partition) for name, partition in index.execute(query)}


def report_materializations(
    instance: dg.DagsterInstance,
    run: dg.DagsterRun | None,
    materializations: Iterable[dg.AssetMaterialization],
    step_key: str | None = None,
) -> None:
    """Record materializations of a run, all at once; of no run where it is None.

    For days that a run was not asked for: what it was asked for, its steps return.
    """
    run_id, job = (run.run_id, run.job_name) if run else (RUNLESS_RUN_ID, RUNLESS_JOB_NAME)
    moment = time.time()
    entries = [
        EventLogEntry(
            error_info=None,
            level=logging.INFO,
            user_message="",
            run_id=run_id,
            timestamp=moment,
            step_key=step_key,
            job_name=job,
            dagster_event=DagsterEvent(
                dg.DagsterEventType.ASSET_MATERIALIZATION.value,
                job,
                step_key=step_key,
                event_specific_data=StepMaterializationData(materialization),
            ),
        )
        for materialization in materializations
    ]
    if entries:
        instance.event_log_storage.store_event_batch(entries)
