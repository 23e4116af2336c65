"""The event log of one machine serves any process, however it ends: files stay open, and nothing stored is lost."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from setbull_pipelines.assets import event_log
from setbull_pipelines.assets.event_log import BatchedSqliteEventLog
from setbull_pipelines_tests.assets.event_log.conftest import DAYS, RUN, content
from setbull_pipelines_tests.assets.event_log.event_log_process import (
    materialized,
    run_id_of,
    store,
)
from setbull_pipelines_tests.patience import PATIENCE

pytestmark = pytest.mark.run

PROCESS = [sys.executable, "-m", "setbull_pipelines_tests.assets.event_log.event_log_process"]


def test_files_stay_open(log: BatchedSqliteEventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    store(log, RUN, [0])
    opened = []
    connect = sqlite3.dbapi2.connect
    monkeypatch.setattr(
        sqlite3.dbapi2, "connect", lambda *args, **kwargs: (opened.append(args), connect(*args, **kwargs))[1]
    )  # fmt: skip
    store(log, RUN, range(1, 20))
    assert opened == []
    for number in range(10):
        log.store_event(materialized(run_id_of(str(number)), 1.0, "candles", DAYS[0]))
    assert len(opened) > 10
    assert len(log._files) == event_log._FILES_KEPT_OPEN


def events_of(log: SqliteEventLogStorage, *run_ids: str) -> list[int]:
    return [len(log.get_records_for_run(run_id).records) for run_id in run_ids]


def test_processes_store_side_by_side(log: BatchedSqliteEventLog, tmp_path: Path) -> None:
    runs = [run_id_of(name) for name in ("a", "b", "c")]
    processes = [
        subprocess.Popen(
            [*PROCESS, str(tmp_path), run_id, "40"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for run_id in runs[:2]
    ]
    store(log, runs[2], range(40))
    for process in processes:
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said.decode()
    assert events_of(log, *runs) == [160, 160, 160]
    assert len(content(tmp_path)["index.db event_logs"]) == 480


def test_a_killed_process_leaves_what_it_stored(log: BatchedSqliteEventLog, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*PROCESS, str(tmp_path), RUN, "3"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"stored\n"
    process.kill()
    process.communicate()
    assert events_of(log, RUN) == [12]
    assert events_of(SqliteEventLogStorage(str(tmp_path)), RUN) == [12]


def test_a_forked_process_opens_files_of_its_own(tmp_path: Path) -> None:
    finished = subprocess.run(
        [*PROCESS, str(tmp_path), RUN, "fork"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert finished.returncode == 0, finished.stderr
    assert events_of(SqliteEventLogStorage(str(tmp_path)), RUN) == [12]
    with sqlite3.connect(tmp_path / "index.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_folder_that_was_moved_away_is_made_again(tmp_path: Path) -> None:
    log = BatchedSqliteEventLog(str(tmp_path / "log"))
    store(log, RUN, [0])
    (tmp_path / "log").rename(tmp_path / "earlier")
    (tmp_path / "log").mkdir()
    store(log, RUN, [1, 2])
    log.dispose()
    counts = [events_of(SqliteEventLogStorage(str(tmp_path / name)), RUN) for name in ("earlier", "log")]  # fmt: skip
    assert counts == [[4], [8]]


def test_whoever_watches_a_run_is_told_of_events_in_an_open_file(
    log: BatchedSqliteEventLog, tmp_path: Path
) -> None:
    writer = BatchedSqliteEventLog(str(tmp_path))
    store(writer, RUN, [0])
    log.register_instance(dg.DagsterInstance.ephemeral())
    told, three_more = [], threading.Event()

    def tell(event: Any, cursor: str) -> None:
        told.append(event)
        if len(told) == 7:
            three_more.set()

    log.watch(RUN, None, tell)
    for number in range(80):
        # The thread that watches may begin after the first of them: it tells of all when it hears of a later one.
        writer.store_event(materialized(RUN, 100.0 + number, "candles", DAYS[number % len(DAYS)]))
        if number >= 2 and three_more.wait(0.5):
            break
    assert three_more.is_set(), f"told of {len(told)} events"
    log.end_watch(RUN, tell)
    writer.dispose()


def test_an_emptied_log_can_be_used_on(log: BatchedSqliteEventLog) -> None:
    store(log, RUN, [0])
    log.wipe()
    assert events_of(log, RUN) == [0]
    store(log, RUN, [0, 1])
    assert events_of(log, RUN) == [8]
