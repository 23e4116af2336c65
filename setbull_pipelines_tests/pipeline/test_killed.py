"""A back-fill that is killed goes on where it was."""

from __future__ import annotations

import logging
import pickle
import re
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from setbull_pipelines import tables
from setbull_pipelines.pipeline.progress import Progress
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.pipeline.carrying_out import STEP, carry_out, hashes
from setbull_pipelines_tests.pipeline.small_run import SmallRun, forget, with_processing

STORED = StoredTable("v2", tables.CANDLES_DAILY)


def test_a_killed_backfill_computes_only_what_was_not_published(
    small_run: SmallRun, copied_run: SmallRun, tmp_path: Path
) -> None:
    warehouse, step = copied_run.warehouse, STEP["candles_daily"]
    days = sorted({*copied_run.looked_back_at("v1", tables.CANDLES_DAILY), *copied_run.days})
    for day in days:
        forget(warehouse, STORED, day)
    settings = with_processing(copied_run.settings, sessions_per_chunk=3)
    settings_file = tmp_path / "settings.pickle"
    settings_file.write_bytes(pickle.dumps(settings))
    module = "setbull_pipelines_tests.pipeline.killed_process"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", module, str(warehouse.root), str(settings_file)),
            *("candles_daily", *map(str, days)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    told = [process.stdout.readline().strip() for _ in range(10)]
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert told == [str(day) for day in days[:10]]
    assert process.returncode == -signal.SIGKILL

    published = [day for day in days if warehouse.pointer(STORED, day.isoformat()) is not None]
    assert 10 <= len(published) < len(days)
    results = carry_out(step, "v2", copied_run, days, settings)
    assert [result.day for result in results if result.cached] == published
    assert [result.day for result in results if not result.cached] == days[len(published) :]
    for day in days:
        assert hashes(warehouse, step, "v2", day) == hashes(small_run.warehouse, step, "v2", day)
    warehouse.grace = timedelta(0)
    warehouse.collect_garbage()  # with what the killed process was writing
    assert not list(warehouse.root.joinpath(*STORED.key).rglob(".writing-*"))


def test_progress_tells_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    with caplog.at_level(logging.INFO, logger="setbull_pipelines.progress"):
        progress = Progress("v2/candles_daily", 600, "days")
        for _ in range(300):
            clock[0] += 0.25
            progress.advance()
    begin, *lines = (record.getMessage() for record in caplog.records)
    assert begin == "v2/candles_daily: 0 of 600 days"
    assert lines[-1] == "v2/candles_daily: 300 of 600 days, 4.0 per second, 75 s left"
    assert len(lines) == 75  # one each second
    assert all(re.search(r"of 600 days, 4.0 per second, \d+ s left", line) for line in lines)
