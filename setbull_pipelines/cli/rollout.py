"""``setbull rollout``: what the log says, and what a person adds to it.

Belongs here: reading the state for people and recording their actions. Does not belong here: options
(``commands/``), deciding (``rollout/``), the log in the warehouse (``pipeline/rollout_log.py``).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence

from setbull_pipelines.pipeline.opening import now, open_warehouse
from setbull_pipelines.pipeline.rollout_log import read_log
from setbull_pipelines.pipeline.serving import TABLES, served_day, served_table
from setbull_pipelines.pipeline.stage_decisions import record_actions, restore_log, states
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.rollout.controller import State, Verdict
from setbull_pipelines.rollout.log import LogRow
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.store import Warehouse

KILL_SWITCH_ON = "the kill switch is on: V1 is served everywhere"


def _warehouse(settings: Settings) -> Warehouse:
    return open_warehouse(settings)


def status(settings: Settings) -> Iterator[str]:
    """One line per component, and one per served table with the share that is really served from V2."""
    warehouse = _warehouse(settings)
    yield from _stages(warehouse, settings)
    for table in TABLES:
        stored = served_table(table)
        if days := warehouse.partitions(stored):
            found = served_day(table, datetime.date.fromisoformat(days[-1]), warehouse)
            yield (
                f"{stored.name} {days[-1]}: {found.from_v2} of {found.instruments} instruments from V2"
                + (f" ({found.share:.0%})" if found.share is not None else "")
            )


def _stages(warehouse: Warehouse, settings: Settings) -> Iterator[str]:
    for component, state in states(read_log(warehouse)).items():
        yield f"{component.label}: {_sentence(state, settings)}"


def _sentence(state: State, settings: Settings) -> str:
    needed = settings.rollout.sessions_per_stage
    parts = [f"stage {state.stage.label}", f"{state.healthy_sessions} of {needed} healthy sessions"]
    if state.latched:
        parts.append("latched until a new code version or a re-arm")
    if state.frozen:
        parts.append("frozen")
    parts.append(f"last judged {state.last_judged}" if state.last_judged else "never judged")
    return ", ".join(parts)


def history(settings: Settings, component: Component | None, at_most: int) -> Iterator[str]:
    """The last rows of the log, oldest first."""
    rows = [
        row
        for row in read_log(_warehouse(settings))
        if component is None or row.decision.component is component
    ]
    return map(sentence_of, rows[-at_most:])


def sentence_of(row: LogRow) -> str:
    """A row of the log as one line."""
    decision = row.decision
    about = f", session {decision.session}" if decision.session else ""
    return (
        f"{row.number} {row.when:%Y-%m-%d %H:%M} {row.actor}: {decision.component.label} "
        f"{decision.from_stage.label} to {decision.to_stage.label}, {decision.verdict.value}{about}: "
        f"{decision.reason}"
    )


def restore(settings: Settings, actor: str, reason: str) -> Iterator[str]:
    """Get a lost log back and say what it says; IllegalLog when it is not lost."""
    rows, added = restore_log(actor, reason, _warehouse(settings), settings, now)
    yield f"{LOG.name}: {rows:,} rows restored"
    if added:
        yield (
            "it is not sure that these are all: V1 is served everywhere until you re-arm, by: "
            "setbull rollout rearm --by NAME --reason WHY"
        )
        yield from map(sentence_of, added)
    yield from _stages(_warehouse(settings), settings)


def act(
    settings: Settings,
    components: Sequence[Component],
    verdict: Verdict,
    actor: str,
    reason: str,
    to_stage: Stage | None = None,
) -> Iterator[str]:
    """Record the action for each component, or for none: then IllegalLog."""
    rows = record_actions(
        components, verdict, actor, reason, _warehouse(settings), settings, now, to_stage
    )
    return map(sentence_of, rows)
