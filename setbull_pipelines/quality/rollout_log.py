"""The rule that the rollout log can be replayed, and the log as rows.

Belongs here: turning the stored log into rows and judging it. Does not belong here: what may follow what
(``rollout/log.py``).
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.quality.verdict import Rule, Verdict
from setbull_pipelines.rollout.log import IllegalLog, LogRow, from_record, state_at
from setbull_pipelines.rollout.stages import Component
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import StoredTable

LOG = StoredTable("operations", tables.ROLLOUT_LOG)


def rows_of(log: pd.DataFrame) -> tuple[LogRow, ...]:
    """The rows of the stored log, oldest first. ValueError for an unknown label."""
    return tuple(map(_row, log.to_dict("records")))


def _row(record: dict) -> LogRow:
    return from_record(
        record
        | {
            "recorded_at": record["recorded_at"].to_pydatetime(),
            "session": None if pd.isna(record["session"]) else record["session"].date(),
            "evidence": None if pd.isna(record["evidence"]) else record["evidence"],
        }
    )


def _replayable(
    frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings
) -> Verdict:
    log = frames[LOG.name]
    try:
        rows = rows_of(log)
        stages = {component.label: state_at(rows, component).stage.label for component in Component}
    except (IllegalLog, ValueError) as error:
        return Verdict(False, str(error), {"rows": len(log)})
    told = ", ".join(f"{component} {stage}" for component, stage in stages.items())
    return Verdict(True, f"{len(rows):,} rows follow from each other: {told}", {"rows": len(log)})


RULES: tuple[Rule, ...] = (
    Rule(
        "replayable",
        "Every row of the log follows from the rows before it, and the stages follow from all of them",
        LOG,
        (LOG,),
        _replayable,
    ),
)
