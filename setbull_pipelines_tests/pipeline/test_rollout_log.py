"""The stored log of the rollout: every act is a row, none is lost, and a log that was changed is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from setbull_pipelines.pipeline.rollout_log import read_log
from setbull_pipelines.pipeline.stage_decisions import record_actions, stages_in_force, states
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.rollout.controller import Verdict
from setbull_pipelines.rollout.log import IllegalLog, LogRow, state_at
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import RolloutSettings, Settings
from setbull_pipelines.warehouse.errors import DamagedPartition
from setbull_pipelines.warehouse.pointers import WHOLE
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests import stored as faults
from setbull_pipelines_tests.pipeline.judged_run import forced, judged, lenient, moment, outcomes
from setbull_pipelines_tests.pipeline.small_run import SmallRun, publish


def test_the_kill_switch_is_a_row_and_needs_no_log_to_serve_v1(copied_run: SmallRun) -> None:
    forced(copied_run, Component.SEQUENCES, Stage.FULL)
    settings = lenient(copied_run, kill=True)
    for rows in judged(copied_run, settings, 0).values():
        assert outcomes(rows) == [("killed", "off")]
    faults.damage(copied_run.warehouse, LOG, WHOLE)
    warehouse = copied_run.warehouse
    assert stages_in_force(warehouse, settings.rollout)[Component.SEQUENCES] is Stage.OFF
    with pytest.raises(DamagedPartition):
        stages_in_force(warehouse, RolloutSettings())


def test_a_log_that_was_tampered_with_is_refused(copied_run: SmallRun) -> None:
    forced(copied_run, Component.SEQUENCES, Stage.FULL)
    frame = copied_run.warehouse.read(LOG, [WHOLE])
    publish(copied_run.warehouse, LOG, WHOLE, frame.assign(actor="controller"))
    with pytest.raises(IllegalLog, match="needs a named person"):
        stages_in_force(copied_run.warehouse, RolloutSettings())
    with pytest.raises(IllegalLog, match="needs a named person"):
        judged(copied_run, lenient(copied_run), 0)


def test_rows_written_while_the_clock_was_ahead_stop_nobody_afterwards(tmp_path: Path) -> None:
    """Also then V2 can be turned off at once; the rows keep their order."""
    warehouse, settings = Warehouse(tmp_path), Settings()
    ahead = moment() + timedelta(days=400)
    for verdict, clock in ((Verdict.FORCED, lambda: ahead), (Verdict.KILLED, moment)):
        stage = Stage.SHADOW if verdict is Verdict.FORCED else None
        arguments = ([Component.SEQUENCES], verdict, "Asha", "a test", warehouse, settings, clock)
        record_actions(*arguments, stage)
    rows = read_log(warehouse)
    assert [row.decision.verdict for row in rows] == [Verdict.FORCED, Verdict.KILLED]
    assert [row.when for row in rows] == [ahead, ahead]
    assert state_at(rows, Component.SEQUENCES).stage is Stage.OFF


def test_rows_come_back_as_they_were_written(copied_run: SmallRun) -> None:
    row = forced(copied_run, Component.AGGREGATION, Stage.TEN)
    rows = read_log(copied_run.warehouse)
    assert rows[-1] == row
    assert states(rows)[Component.AGGREGATION].stage is Stage.TEN
    assert states(rows)[Component.SEQUENCES].stage is Stage.OFF


def test_people_acting_at_once_lose_no_row(tmp_path: Path) -> None:
    root, settings = tmp_path / "warehouse", Settings(data_directory=tmp_path)
    actors = [f"person {number}" for number in range(8)]

    def act(actor: str) -> tuple[LogRow, ...]:
        return record_actions(
            *([Component.INDICATORS], Verdict.FORCED, actor, "a test"),
            *(Warehouse(root), settings, moment, Stage.SHADOW),
        )

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(act, actors))
    rows = read_log(Warehouse(root))
    assert sorted(row.actor for row in rows) == actors
    assert [row.number for row in rows] == list(range(1, 9))


def test_the_stored_log_is_readable_as_a_table(small_run: SmallRun) -> None:
    frame = small_run.warehouse.read(LOG, [WHOLE])
    assert frame["number"].tolist() == list(range(1, len(frame) + 1))
    assert set(frame["component"]) == {"aggregation", "indicators", "sequences"}
    assert frame["session"].unique().tolist() == [pd.Timestamp(day) for day in small_run.days]
    assert frame["evidence"].str.startswith("{").all()
