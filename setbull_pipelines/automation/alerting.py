"""What Dagster knows, as findings; and one look at everything that can raise an alert.

Belongs here: reading finished runs and materialized days from the instance, showing the ledger in the UI. Does not
belong here: what a fact means (``alerts/``), storing and delivering (``pipeline/alerting.py``).
"""

import datetime
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import dagster as dg

from setbull_pipelines.alerts.bb_width import of_bb_width
from setbull_pipelines.alerts.finding import Finding
from setbull_pipelines.alerts.ledger import GIVEN_UP, WAITING, Alert, Ledger
from setbull_pipelines.alerts.observing import (
    CheckOutcome,
    RunOutcome,
    of_missing_sessions,
    of_rollout,
    of_run,
)
from setbull_pipelines.assets.catalog import refresh_catalog
from setbull_pipelines.assets.common import asset_key, asset_spec, now
from setbull_pipelines.automation.schedules import PARTITION_TAG, RANGE_TAGS, materialized_days
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline import alerting
from setbull_pipelines.pipeline.bb_width import latest_session
from setbull_pipelines.pipeline.reconciling import SUMMARY
from setbull_pipelines.pipeline.rollout_log import read_log
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.quality.verdict import NOT_JUDGED
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.warehouse.errors import (
    ContractViolation,
    DamagedPartition,
    MissingPartition,
)
from setbull_pipelines.warehouse.store import Warehouse

_CHOSEN_ASSETS = "__ASSET_JOB"
_SHOWN = 50


def build_alerts_spec() -> dg.AssetSpec:
    """``operations/alerts`` in the graph. No run makes it: each change is reported with the alerts that are open."""
    return asset_spec(
        alerting.ALERTS,
        group="operations",
        code_version=alerting.alerting_code_version(),
        deps=[asset_key(SUMMARY), asset_key(LOG)],
    )


def finished_runs(
    instance: dg.DagsterInstance, after: datetime.datetime, at_most: int
) -> Sequence[dg.RunRecord]:
    """Runs that succeeded or failed and were last changed after a moment, oldest first.

    One list for both ends: two sensors, one per end, could see a success before the failure that it repairs.
    """
    return instance.get_run_records(
        dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE],
            updated_after=after.astimezone(datetime.UTC),
        ),
        limit=at_most,
        order_by="update_timestamp",
        ascending=True,
    )


def outcome_of(instance: dg.DagsterInstance, record: dg.RunRecord) -> RunOutcome:
    """What a finished run and its checks say."""
    run = record.dagster_run
    events = [
        entry.event_log_entry.dagster_event
        for entry in instance.get_records_for_run(
            run.run_id,
            of_type={
                dg.DagsterEventType.ASSET_CHECK_EVALUATION,
                dg.DagsterEventType.STEP_FAILURE,
                dg.DagsterEventType.RUN_FAILURE,
            },
        ).records
    ]
    work = run.job_name
    if work.startswith(_CHOSEN_ASSETS) and run.asset_selection:
        work = ", ".join(sorted(key.to_user_string() for key in run.asset_selection))
    days = [run.tags[tag] for tag in (PARTITION_TAG, *RANGE_TAGS) if tag in run.tags]
    return RunOutcome(
        run_id=run.run_id,
        work=work,
        # A range can have one day.
        days=" to ".join(dict.fromkeys(days)) or None,
        error=None if run.is_success else failure_of(events),
        ended_at=datetime.datetime.fromtimestamp(
            record.end_time or record.update_timestamp.timestamp(), ZoneInfo(INDIA)
        ),
        checks=tuple(_check_outcomes(events)),
    )


def failure_of(events: Iterable[dg.DagsterEvent]) -> str:
    """Why a run failed, in one sentence: its first failed step, or what Dagster says of the run."""
    reason = "the run failed before its first step; see the run in the UI"
    for event in events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error.cause:
                error = error.cause
            message = re.sub(r"^(\w+\.)+(?=\w+:)", "", error.message.strip())
            return f"step {event.step_key} failed: {message}"
        if event.is_run_failure and event.message:
            reason = event.message
    return reason


def _check_outcomes(events: Iterable[dg.DagsterEvent]) -> Iterator[CheckOutcome]:
    """The last evaluation of each check and day; that of a whole range only where there is none per day.

    Without those that were not judged because a person retired V1 or put it on a sample: that is no news every day.
    """
    last: dict[dg.AssetCheckKey, dict[str | None, dg.AssetCheckEvaluation]] = {}
    for event in events:
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            last.setdefault(evaluation.asset_check_key, {})[evaluation.partition] = evaluation
    for by_day in last.values():
        for day, evaluation in by_day.items():
            if day is None and len(by_day) > 1:
                continue
            if evaluation.metadata.get(NOT_JUDGED):
                continue
            state = evaluation.metadata.get("state")
            yield CheckOutcome(
                asset=evaluation.asset_key.to_user_string(),
                check=evaluation.check_name,
                day=datetime.date.fromisoformat(day) if day else None,
                passed=evaluation.passed,
                is_error=evaluation.severity is dg.AssetCheckSeverity.ERROR,
                description=evaluation.description or "the check gives no reason",
                state=str(state.value) if state else None,
            )


@dataclass(frozen=True)
class Round:
    """One look and what it led to."""

    changed: list[Alert]
    deliveries: list[alerting.Delivery]


def look_and_deliver(
    instance: dg.DagsterInstance,
    runs: Iterable[RunOutcome],
    warehouse: Warehouse,
    settings: Settings,
    clock: alerting.Clock = now,
) -> Round:
    """Record :func:`findings_of` ``runs``, and deliver what is due."""
    findings = findings_of(instance, runs, warehouse, settings, clock())
    changed = alerting.record_findings(findings, warehouse, settings.alerts, clock)
    deliveries = alerting.deliver(warehouse, settings.alerts, clock)
    if changed or deliveries:
        _show(instance, warehouse)
        refresh_catalog(warehouse, settings)
    return Round(changed, deliveries)


def findings_of(
    instance: dg.DagsterInstance,
    runs: Iterable[RunOutcome],
    warehouse: Warehouse,
    settings: Settings,
    moment: datetime.datetime,
) -> list[Finding]:
    """What ``runs``, the rollout log, the calendar and the band-width monitor say at a moment."""
    ui_address = settings.alerts.ui_address
    findings = [finding for run in runs for finding in of_run(run, ui_address)]
    try:
        findings += of_rollout(read_log(warehouse), ui_address)
    except (ContractViolation, DamagedPartition) as error:
        # Nothing can be served without the log, so the failed runs tell it too.
        logging.getLogger(__name__).warning("the rollout log raises no alerts: %s", error)
    return [
        *findings,
        *overdue_sessions(instance, settings, moment),
        *band_width_news(warehouse, settings, moment),
    ]


def band_width_news(
    warehouse: Warehouse, settings: Settings, moment: datetime.datetime
) -> list[Finding]:
    """What the band-width monitor says, unless its latest session is history: before the ``refresh.catch_up_days``."""
    try:
        session = latest_session(warehouse, settings)
    except (ContractViolation, DamagedPartition, MissingPartition) as error:
        logging.getLogger(__name__).warning("the band-width monitor raises no alerts: %s", error)
        return []
    today = min(moment.astimezone(ZoneInfo(INDIA)).date(), NSE.last_day)
    recent = NSE.trading_days(NSE.first_day, today)[-settings.refresh.catch_up_days :]
    if session is None or session.day not in recent:
        return []
    bar = datetime.timedelta(minutes=settings.aggregation.bar_minutes)
    return list(of_bb_width(session, bar, settings.alerts, moment))


def overdue_sessions(
    instance: dg.DagsterInstance, settings: Settings, moment: datetime.datetime
) -> Iterator[Finding]:
    """What the calendar says: which of the last ``refresh.catch_up_days`` sessions have no reconciliation.

    Nothing when none of them has one: then the folder holds history that nobody refreshes, or an alert has been open
    for long. Nothing for the generated sample, which has no later sessions.
    """
    grace = datetime.timedelta(hours=settings.alerts.stale_after_hours)
    latest = moment.astimezone(ZoneInfo(INDIA)).replace(tzinfo=None) - grace
    done = materialized_days(instance)
    closed = NSE.trading_days(NSE.first_day, min(latest.date(), NSE.last_day))
    if closed[-1] == latest.date() and not NSE.has_closed(closed[-1], latest):
        closed.pop()
    recent = closed[-settings.refresh.catch_up_days :]
    if settings.input is None or done.isdisjoint(recent):
        return
    missing = [day for day in recent if day not in done and day > min(done)]
    since = _close(missing[0]) + grace if missing else None
    yield of_missing_sessions(missing, since, settings.alerts, moment)


def _close(day: datetime.date) -> datetime.datetime:
    end = NSE.closes_at(day) or datetime.time.max
    return datetime.datetime.combine(day, end, ZoneInfo(INDIA))


def _show(instance: dg.DagsterInstance, warehouse: Warehouse) -> None:
    """Report the ledger to Dagster, so that the UI shows the open alerts and what was not delivered."""
    ledger = alerting.read_ledger(warehouse)
    states = [notice.state for notice in ledger.notices]
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            asset_key(alerting.ALERTS),
            metadata={
                "open": len(ledger.open),
                "open alerts": dg.MetadataValue.md(markdown(ledger)),
                "notices waiting": states.count(WAITING),
                "notices given up": states.count(GIVEN_UP),
                "dagster/row_count": len(ledger.alerts),
            },
        )
    )


def markdown(ledger: Ledger) -> str:
    """The open alerts, the worst first, as a table."""
    if not ledger.open:
        return "no open alert"
    lines = ["| alert | severity | what | since | reason |", "|---|---|---|---|---|"]
    for alert in ledger.open[:_SHOWN]:
        cells = (
            str(alert.number),
            alert.severity.label,
            f"[{_cell(alert.title)}]({alert.link})",
            f"{alert.first_seen:%Y-%m-%d %H:%M}",
            _cell(alert.message),
        )
        lines.append(f"| {' | '.join(cells)} |")
    if len(ledger.open) > _SHOWN:
        lines.append(f"\n{len(ledger.open) - _SHOWN} more in operations.alerts")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
