"""The rollout log in the warehouse: what it says.

Belongs here: reading the log, the stage in force. Does not belong here: deciding (``rollout/``), serving
(``serving``), Dagster.
"""

from __future__ import annotations

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.rollout.log import LogRow, from_record, state_at
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import RolloutSettings
from setbull_pipelines.warehouse.store import WHOLE, StoredTable, Warehouse

LOG = StoredTable("operations", tables.ROLLOUT_LOG)


def read_log(warehouse: Warehouse) -> tuple[LogRow, ...]:
    """The rows of the log, oldest first; none when nothing was ever written."""
    if warehouse.pointer(LOG, WHOLE) is None:
        return ()
    return tuple(map(_row, warehouse.read(LOG, [WHOLE]).to_dict("records")))


def stage_in_force(component: Component, warehouse: Warehouse, settings: RolloutSettings) -> Stage:
    """The stage that the log gives now; off under the kill switch, which needs no log."""
    if settings.kill:
        return Stage.OFF
    return state_at(read_log(warehouse), component).stage


def _row(record: dict) -> LogRow:
    return from_record(
        record
        | {
            "recorded_at": record["recorded_at"].to_pydatetime(),
            "session": None if pd.isna(record["session"]) else record["session"].date(),
            "evidence": None if pd.isna(record["evidence"]) else record["evidence"],
        }
    )
