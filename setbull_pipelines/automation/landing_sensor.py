"""The sensor that notices new and changed input files.

Belongs here: when the daemon looks, what it reads, what it requests. Does not belong here: the decision
(``landing``), looking at files (``sources/watching.py``).
"""

import datetime
from collections.abc import Collection, Mapping
from pathlib import Path

import dagster as dg
import pandas as pd

from setbull_pipelines.assets.common import DAILY_JOB_NAME, RANGE_TAGS
from setbull_pipelines.automation import landing
from setbull_pipelines.automation.jobs import INTAKE_JOB_NAME
from setbull_pipelines.automation.refresh import Offered
from setbull_pipelines.automation.schedules import (
    days_under_way,
    materialized_days,
)
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.dependents import sessions_of_changed_facts
from setbull_pipelines.pipeline.opening import now
from setbull_pipelines.pipeline.raw import WHOLE_TABLES
from setbull_pipelines.pipeline.references import facts_version, references_of
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources.decided_actions import accepted_file
from setbull_pipelines.sources.found_files import NoInput
from setbull_pipelines.sources.watching import scan
from setbull_pipelines.warehouse.pointers import WHOLE
from setbull_pipelines.warehouse.resources import WarehouseResource
from setbull_pipelines.warehouse.store import Warehouse

_SECONDS = 60
_SETTLED = datetime.timedelta(seconds=10)
"""A file that has not changed for this long is complete."""
_INTAKE = WHOLE_TABLES[0]
_SHOWN = 3


def build_landing_sensor(
    settings: Settings, jobs: dict[str, object], offered: Offered
) -> dg.SensorDefinition:
    """The sensor ``new_files``; off until somebody switches it on, because it launches runs."""

    @dg.sensor(
        name="new_files",
        jobs=[jobs[INTAKE_JOB_NAME], jobs[DAILY_JOB_NAME]],
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Notices new and changed files of the input by their content, has them taken in, and then "
        "refreshes the sessions they touch and those that look back on them, some at a time; also those that a new "
        "corporate action or alias touches. Files are never moved "
        "or changed.",
    )
    def new_files(
        context: dg.SensorEvaluationContext, warehouse: WarehouseResource
    ) -> dg.SensorResult | dg.SkipReason:
        if settings.input is None:
            return dg.SkipReason("the input is the generated sample: there is no folder to look at")
        moment = now()
        memory = landing.Memory.from_text(context.cursor) if context.cursor else None
        try:
            known = memory.files if memory else {}
            decided = accepted_file(settings.data_directory)
            files = scan(Path(settings.input), known, moment - _SETTLED, decided)
        except NoInput as error:
            return dg.SkipReason(str(error))
        done, under_way = materialized_days(context.instance), days_under_way(context.instance)
        store = warehouse.open()
        noticed = landing.notice(NSE, memory, files, taken_in(store))
        noticed = landing.with_dependents(memory, noticed, done | under_way, settings)
        if (facts := facts_version(store)) != noticed.facts:
            touched = sessions_of_changed_facts(references_of(store), store, settings)
            noticed = landing.with_facts(noticed, facts, touched)
        memory, sessions = landing.release(
            NSE,
            noticed,
            moment.replace(tzinfo=None),
            done,
            under_way,
            settings.refresh.catch_up_days,
            offered.first,
        )
        if older := [day for day in memory.sessions if day < offered.first]:
            context.log.warning(_reload(older, offered.first))
        requests = [_request(sessions)] if sessions else []
        if memory.waiting:
            # The daemon drops a key it has seen: the same files are asked for once, even if their intake fails.
            requests.insert(
                0,
                dg.RunRequest(
                    job_name=INTAKE_JOB_NAME,
                    run_key=f"intake of files {landing.digest(memory.waiting)}",
                ),
            )
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else _idle(memory, offered.first),
            cursor=memory.to_text(),
        )

    return new_files


def _request(sessions: Mapping[datetime.date, str]) -> dg.RunRequest:
    """One run over sessions that follow each other, each with what touched it."""
    first, last = (day.isoformat() for day in (min(sessions), max(sessions)))
    causes = " ".join(sorted(set(sessions.values())))
    if first == last:
        return dg.RunRequest(
            job_name=DAILY_JOB_NAME, partition_key=first, run_key=f"{first} after files {causes}"
        )
    return dg.RunRequest(
        job_name=DAILY_JOB_NAME,
        tags=dict(zip(RANGE_TAGS, (first, last), strict=True)),
        run_key=f"{first} to {last} after files {causes}",
    )


def taken_in(warehouse: Warehouse) -> dict[str, landing.Taken]:
    """What intake has read, by source; nothing before its first run."""
    if warehouse.pointer(_INTAKE, WHOLE) is None:
        return {}
    files = warehouse.read(_INTAKE, [WHOLE])
    return {
        row.source: landing.Taken(row.content_hash, _date(row.first_day), _date(row.last_day))
        for row in files.itertuples()
    }


def _date(moment: pd.Timestamp) -> datetime.date | None:
    return None if pd.isna(moment) else moment.date()


def _idle(memory: landing.Memory, first_offered: datetime.date) -> str:
    if older := [day for day in memory.sessions if day < first_offered]:
        return _reload(older, first_offered)
    if memory.sessions:
        return f"{len(memory.sessions)} touched sessions are under way or not closed yet"
    return f"no new content in {len(memory.files)} files"


def _reload(older: Collection[datetime.date], first_offered: datetime.date) -> str:
    return (
        f"{len(older)} touched sessions, the first is {min(older)}, are older than {first_offered}, with which the "
        "partitions began when the code location was loaded: reload it, and they are refreshed"
    )
