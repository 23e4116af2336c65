"""A small finished run that many tests read, made once per test session, whatever the number of its processes.

Belongs here: making the run and copying it for tests that write. Does not belong here: assertions.
The run itself must not be changed: tests that publish work on a copy.
"""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from setbull_pipelines.assets.event_log import BatchedSqliteEventLog
from setbull_pipelines.cli.days import choose_days
from setbull_pipelines.cli.run import Outcome, Runner
from setbull_pipelines.pipeline.comparing_days import reconcile, summarize
from setbull_pipelines.pipeline.lanes import COMPONENT_OF, MARK, Part, part_in
from setbull_pipelines.pipeline.look_back import partitions_behind
from setbull_pipelines.pipeline.opening import warehouse_root
from setbull_pipelines.pipeline.raw import read_sources
from setbull_pipelines.pipeline.references import references_of
from setbull_pipelines.pipeline.serving import Serving, assignment_of
from setbull_pipelines.pipeline.serving_days import serve_one
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import (
    BB_WIDTH_RULES,
    BandWidthSettings,
    IndicatorSettings,
    LookBackSettings,
    RolloutSettings,
    SampleSettings,
    Settings,
)
from setbull_pipelines.sources.intake import Intake
from setbull_pipelines.tables import Table
from setbull_pipelines.warehouse.pointers import Failure, StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests import stored as faults

MINUTE_SESSIONS = 3
_HISTORY = "small-run-history"
"""The folder of Dagster's instance in which the run was made."""


def small_settings(data_directory: Path) -> Settings:
    """Settings under which 74 sessions of 12 instruments are enough for every filter stage."""
    return Settings(
        data_directory=data_directory,
        indicators=IndicatorSettings(warm_margin_bars=10),
        bb_width=BandWidthSettings(
            look_back_sessions=2, minimum_sessions=1, alert_rules=BB_WIDTH_RULES
        ),
        look_back=LookBackSettings(sessions_5min=2, sessions_daily=60, sessions_moves=21),
        sample=SampleSettings(instruments=12, daily_sessions=74, minute_sessions=MINUTE_SESSIONS),
    )


def with_processing(found: Settings, **changes: int) -> Settings:
    """The settings with others for the work of a step."""
    return replace(found, processing=replace(found.processing, **changes))


@dataclass(frozen=True)
class SmallRun:
    """A finished run over the last two sessions of the small sample."""

    settings: Settings
    instance: dg.DagsterInstance
    intake: Intake
    outcome: Outcome

    @property
    def warehouse(self) -> Warehouse:
        """A fresh view of the stored tables, without memory of files read before."""
        return Warehouse(warehouse_root(self.settings))

    @property
    def days(self) -> tuple[date, ...]:
        """The trading days that were asked for."""
        return self.outcome.asked.days

    def look_backs(self) -> dict[StoredTable, list[date]]:
        """The days of each table before those asked for, which the lanes computed as their look-back."""
        behind = partitions_behind(self.days, IN_FULL, self.settings, references_of(self.warehouse))
        return {stored: [day for day in days if day not in self.days] for stored, days in behind}

    def looked_back_at(self, schema: str, table: Table) -> list[date]:
        """Those days of one table."""
        return self.look_backs()[StoredTable(schema, table)]

    def copy(self, directory: Path) -> SmallRun:
        """The same run in another folder, to publish into. Files are linked: never write into one."""
        shutil.copytree(
            self.settings.data_directory, directory, copy_function=faults.link, dirs_exist_ok=True
        )
        return replace(self, settings=replace(self.settings, data_directory=directory))


@cache
def finished_run(own: Path) -> SmallRun:
    """The run that one process of the session makes and all read, with a copy of Dagster's history below ``own``."""
    # Processes of pytest-xdist have folders of their own in that of the session.
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    made = shared / "small-run.pickle"
    with (shared / "small-run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            made.write_bytes(pickle.dumps(_make(shared)))
    settings, intake, outcome = pickle.loads(made.read_bytes())
    copied = own / f"copied-{_HISTORY}"
    history = shutil.copytree(shared / _HISTORY, copied, dirs_exist_ok=True)
    return SmallRun(settings, _instance(history), intake, outcome)


def _make(shared: Path) -> tuple[Settings, Intake, Outcome]:
    for name in ("small-run", _HISTORY):
        shutil.rmtree(shared / name, ignore_errors=True)
        (shared / name).mkdir()
    settings = small_settings(shared / "small-run")
    with _instance(shared / _HISTORY) as instance:
        runner = Runner(settings, instance)
        intake = read_sources(settings)
        minutes = intake.days("minutes")
        asked = choose_days(minutes, intake.days("daily"), settings, minutes[1], None)
        return settings, intake, runner.run(asked)


def _instance(folder: Path) -> dg.DagsterInstance:
    """On disk, with the event log that users have."""
    events = {
        "module": BatchedSqliteEventLog.__module__,
        "class": BatchedSqliteEventLog.__name__,
        "config": {"base_dir": str(folder / "events")},
    }
    content = {"event_log_storage": events, "telemetry": {"enabled": False}}
    (folder / "dagster.yaml").write_text(json.dumps(content), encoding="utf-8")
    return dg.DagsterInstance.from_config(str(folder))


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    """The finished run; read it, and :meth:`SmallRun.copy` it to change something."""
    return finished_run(tmp_path_factory.getbasetemp())


@pytest.fixture
def copied_run(small_run: SmallRun, tmp_path: Path) -> SmallRun:
    """A copy of the finished run that the test may publish into."""
    return small_run.copy(tmp_path / "data")


IN_FULL = dict.fromkeys(Component, Stage.SHADOW)
"""Stages in which both variants run in full."""
PROVENANCE = {"code_version": "test", "settings_hash": "test", "inputs": {}, "run_id": "test"}


def publish(warehouse: Warehouse, stored: StoredTable, partition: str, frame: pd.DataFrame) -> None:
    """Put ``frame`` in the place of a partition."""
    warehouse.publish(stored, partition, frame, **PROVENANCE)


def reconciled(run: SmallRun, table: Table, day: date) -> None:
    """Compare V1 and V2 of ``table`` as they are stored now, and collect the verdicts of the day."""
    list(reconcile(table, [day], run.warehouse, run.settings, "test"))
    list(summarize([day], run.warehouse, run.settings, "test"))


def served_in(
    run: SmallRun,
    table: Table,
    stage: Stage,
    days: Iterable[date],
    settings: RolloutSettings = RolloutSettings(),
) -> dict[date, bool]:
    """Serve, and tell for each day that was looked at whether it was stored already."""
    warehouse = run.warehouse
    assignment = assignment_of(table, stage, warehouse, settings)
    results = serve_one(table, list(days), Serving(assignment, run.days), warehouse, "test")
    return {result.day: result.cached for result in results}


def failed(run: SmallRun, lane: str, tables: Iterable[Table], key: str, day: date) -> None:
    """Leave ``key`` out of tables of one lane, as if computing had failed for it in the first of them."""
    tables = list(tables)
    origin = f"{lane}.{tables[0].name} {day}"
    for table in tables:
        stored = StoredTable(lane, table)
        pointer = run.warehouse.pointer(stored, day.isoformat())
        rows = run.warehouse.read(stored, [day.isoformat()])
        run.warehouse.publish(
            *(stored, day.isoformat(), rows[rows["instrument_key"] != key].reset_index(drop=True)),
            **{
                name: getattr(pointer, name) for name in ("code_version", "settings_hash", "inputs")
            },
            run_id="test",
            cost=pointer.cost,
            failures={key: Failure(origin, "ZeroDivisionError: no")},
        )
        list(reconcile(table, [day], run.warehouse, run.settings, "test"))
    list(summarize([day], run.warehouse, run.settings, "test"))


def forget(warehouse: Warehouse, stored: StoredTable, day: date) -> None:
    """Make a partition one that was never published."""
    faults.lose(warehouse, stored, str(day))


def cut_back_v1(run: SmallRun, table: Table, stage: Stage, day: date, percentage: int = 50) -> Part:
    """Publish V1 as it would have been computed in ``stage``: the rows of its part, with its mark."""
    settings = RolloutSettings(sample_percentage=percentage)
    part = part_in(COMPONENT_OF[table.name], stage, day, settings)
    stored = StoredTable("v1", table)
    publish_part(run, table, day, part, part.rows(run.warehouse.read(stored, [day.isoformat()])))
    return part


def publish_part(run: SmallRun, table: Table, day: date, part: Part, rows: pd.DataFrame) -> None:
    """Put ``rows`` in the place of V1 of ``table``, marked as computed for ``part``."""
    provenance = PROVENANCE | {"inputs": {MARK: part.mark}}
    run.warehouse.publish(StoredTable("v1", table), day.isoformat(), rows, **provenance)


def changed_v2(run: SmallRun, table: Table, column: str, value: object) -> None:
    """Another value in the first row of V2 on the first day."""
    stored, key = StoredTable("v2", table), run.days[0].isoformat()
    frame = run.warehouse.read(stored, [key])
    frame.loc[0, column] = value
    publish(run.warehouse, stored, key, frame)
