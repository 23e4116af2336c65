"""What Dagster knows, as findings; and one look at everything that can raise an alert.

Belongs here: reading finished runs and materialized days from the instance, showing the ledger in the UI. Does not
belong here: what a fact means (``alerts/``), storing and delivering (``pipeline/alert_delivery.py``).
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
    of_calendar,
    of_missing_sessions,
    of_rollout,
    of_run,
)
from setbull_pipelines.assets.checking import BY_DAY
from setbull_pipelines.assets.common import PARTITION_TAG, RANGE_TAGS, asset_key, asset_spec
from setbull_pipelines.assets.lane import PartsFailed
from setbull_pipelines.automation.schedules import materialized_days
from setbull_pipelines.automation.told_by_tags import V2Differs
from setbull_pipelines.market.calendar import NSE, MarketClosed, OutsideCoverage
from setbull_pipelines.market.coverage import outlook, regular_close, weekdays_beyond
from setbull_pipelines.pipeline import alert_delivery, candle_receivers
from setbull_pipelines.pipeline.bb_width import latest_session
from setbull_pipelines.pipeline.catalog import refresh_catalog
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.opening import now
from setbull_pipelines.pipeline.overview import write_overview
from setbull_pipelines.pipeline.rollout_log import read_log
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.quality.verdict import NOT_JUDGED, TOLD_BY_OWN_ALERT
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.warehouse.errors import (
    ContractViolation,
    DamagedPartition,
    MissingPartition,
)
from setbull_pipelines.warehouse.resources import WarehouseResource
from setbull_pipelines.warehouse.store import Warehouse

_CHOSEN_ASSETS = "__ASSET_JOB"
_WRAPPERS = ("DagsterExecutionStepExecutionError", "Failure")
"""Errors of Dagster round the one that a step raised."""
_SHOWN = 50


def build_alerts_asset() -> dg.AssetsDefinition:
    """``operations/alerts`` in the graph. No run has to make it: each change is reported with the open alerts."""
    spec = asset_spec(
        alert_delivery.ALERTS,
        group="operations",
        code_version=alert_delivery.alerting_code_version(),
        deps=[asset_key(SUMMARY), asset_key(LOG)],
    )

    @dg.multi_asset(name="alerts", specs=[spec], can_subset=True)
    def alerts(warehouse: WarehouseResource):
        """Show the alerts as they are; raising and delivering them is for the sensor and the command line."""
        ledger = alert_delivery.read_ledger(warehouse.open())
        yield dg.MaterializeResult(asset_key(alert_delivery.ALERTS), metadata=_figures(ledger))

    return alerts


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
        # The alert of the check says that V2 differs, and on which day.
        error=None if run.is_success or is_of_divergence(events) else failure_of(events),
        ended_at=datetime.datetime.fromtimestamp(
            record.end_time or record.update_timestamp.timestamp(), ZoneInfo(INDIA)
        ),
        checks=tuple(_check_outcomes(events)),
    )


def is_of_divergence(events: Iterable[dg.DagsterEvent]) -> bool:
    """Whether a run did all its work and failed only because V2 differs from V1."""
    failures = [event.event_specific_data for event in events if event.is_run_failure]
    # A run that was ended from outside has no data, one whose steps failed no error.
    errors = [failure.error for failure in failures if failure is not None and failure.error]
    return any(error.cls_name == V2Differs.__name__ for error in errors)


def failure_of(events: Iterable[dg.DagsterEvent]) -> str:
    """Why a run failed, in one sentence: its first failed step, or what Dagster says of the run."""
    reason = "the run failed before its first step; see the run in the UI"
    for event in events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            # What the step raised, which says more than what that was raised from.
            while error.cause and error.cls_name in _WRAPPERS:
                error = error.cause
            message = re.sub(r"^(\w+\.)+(?=\w+:)", "", error.message.strip())
            message = message.removeprefix(f"{PartsFailed.__name__}: ")
            return f"step {event.step_key} failed: {message}"
        if event.is_run_failure and event.message:
            reason = event.message
    return reason


def _check_outcomes(events: Iterable[dg.DagsterEvent]) -> Iterator[CheckOutcome]:
    """What each check says of each day; of the whole table where it has no days.

    Days with an evaluation of their own say that, the last one; the others passed, where the result of the run names
    them. Without those that were not judged because a person retired V1 or put it on a sample, which is no news every
    day, and without those that an alert of its own tells.
    """
    last: dict[dg.AssetCheckKey, dict[str | None, dg.AssetCheckEvaluation]] = {}
    for event in events:
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            last.setdefault(evaluation.asset_check_key, {})[evaluation.partition] = evaluation
    for by_day in last.values():
        of_run = by_day.pop(None, None)
        judged = of_run.metadata[BY_DAY].value if of_run and BY_DAY in of_run.metadata else {}
        if of_run and not judged and not by_day:
            by_day[None] = of_run
        for day in sorted({*judged, *by_day}, key=str):
            if day not in by_day:
                if judged[day]["passed"]:
                    yield _check_outcome(of_run, day, True, judged[day].get("state"))
                continue
            evaluation = by_day[day]
            if NOT_JUDGED in evaluation.metadata or TOLD_BY_OWN_ALERT in evaluation.metadata:
                continue
            state = evaluation.metadata.get("state")
            yield _check_outcome(evaluation, day, evaluation.passed, state and state.value)


def _check_outcome(
    evaluation: dg.AssetCheckEvaluation, day: str | None, passed: bool, state: object
) -> CheckOutcome:
    return CheckOutcome(
        asset=evaluation.asset_key.to_user_string(),
        check=evaluation.check_name,
        day=datetime.date.fromisoformat(day) if day else None,
        passed=passed,
        is_error=evaluation.severity is dg.AssetCheckSeverity.ERROR,
        description=evaluation.description or "the check gives no reason",
        state=str(state) if state else None,
    )


@dataclass(frozen=True)
class Round:
    """One look and what it led to."""

    changed: list[Alert]
    deliveries: list[alert_delivery.Delivery]
    candles: list[candle_receivers.Sent]
    """Live bars that receivers did not accept at once."""


def look_and_deliver(
    instance: dg.DagsterInstance,
    runs: Iterable[RunOutcome],
    warehouse: Warehouse,
    settings: Settings,
    clock: alert_delivery.Clock = now,
) -> Round:
    """Record :func:`findings_of` ``runs``, and deliver what is due; the page of all sessions tells what changed.

    Live bars that a receiver did not accept from the run that made them are sent here.
    """
    findings = findings_of(instance, runs, warehouse, settings, clock())
    changed = alert_delivery.record_findings(findings, warehouse, settings.alerts, clock)
    deliveries = alert_delivery.deliver(warehouse, settings.alerts, clock)
    if changed or deliveries:
        _show(instance, warehouse)
        refresh_catalog(warehouse, settings)
        write_overview(warehouse, settings)
    try:
        candles = candle_receivers.send_due(warehouse, settings, clock)
    except (ContractViolation, DamagedPartition, MissingPartition) as error:
        # The run that made the events has failed of it, which is an alert.
        logging.getLogger(__name__).warning("live bars are not sent: %s", error)
        candles = []
    return Round(changed, deliveries, candles)


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
        *coverage_of_calendar(instance, settings, moment),
        *overdue_sessions(instance, settings, moment, _oldest_told(warehouse)),
        *band_width_news(warehouse, settings, moment),
    ]


def band_width_news(
    warehouse: Warehouse, settings: Settings, moment: datetime.datetime
) -> list[Finding]:
    """What the band-width monitor says, unless its latest session is history: before the ``refresh.catch_up_days``."""
    try:
        session = latest_session(warehouse, settings)
    except (
        ContractViolation,
        DamagedPartition,
        MissingPartition,
        MarketClosed,
        OutsideCoverage,
    ) as error:
        # The last two: the calendar file says by now that the stored day was no session.
        logging.getLogger(__name__).warning("the band-width monitor raises no alerts: %s", error)
        return []
    clock = moment.astimezone(ZoneInfo(INDIA)).replace(tzinfo=None)
    today = min(clock.date(), NSE.last_day)
    sessions = (*NSE.trading_days(NSE.first_day, today), *weekdays_beyond(NSE, clock))
    recent = sessions[-settings.refresh.catch_up_days :]
    if session is None or session.day not in recent:
        return []
    bar = datetime.timedelta(minutes=settings.aggregation.bar_minutes)
    return list(of_bb_width(session, bar, settings.alerts, moment))


def coverage_of_calendar(
    instance: dg.DagsterInstance, settings: Settings, moment: datetime.datetime
) -> Iterator[Finding]:
    """How far the calendar reaches at a moment, as published by the exchange.

    Nothing in a folder of history that nobody refreshes: no session of next year is missed there.
    """
    moment = moment.astimezone(ZoneInfo(INDIA))
    recent = _closed_sessions(moment.replace(tzinfo=None))[-settings.refresh.catch_up_days :]
    if materialized_days(instance).isdisjoint(recent):
        return
    found = outlook(NSE, moment.date())
    since = None
    if found.reached is not None:
        day = NSE.published_until - datetime.timedelta(days=found.reached)
        since = datetime.datetime.combine(day, datetime.time.min, ZoneInfo(INDIA))
    yield of_calendar(found, since, settings.alerts, moment)


def overdue_sessions(
    instance: dg.DagsterInstance,
    settings: Settings,
    moment: datetime.datetime,
    told_since: datetime.date | None = None,
) -> Iterator[Finding]:
    """What the calendar says: which of the last ``refresh.catch_up_days`` sessions have no reconciliation.

    Also which of those since ``told_since``, the oldest one of an open alert: it is not well because its sessions are
    no longer among the last. After the last covered day Mondays to Fridays are counted. Nothing when none of the last
    sessions has one: then the folder holds history that nobody refreshes, or an alert has been open for long.
    Nothing for the generated sample, which has no later sessions.
    """
    grace = datetime.timedelta(hours=settings.alerts.stale_after_hours)
    latest = moment.astimezone(ZoneInfo(INDIA)).replace(tzinfo=None) - grace
    done, closed = materialized_days(instance), _closed_sessions(latest)
    recent = closed[-settings.refresh.catch_up_days :]
    if settings.input is None or done.isdisjoint(recent):
        return
    first = min(recent[0], told_since or recent[0])
    missing = [
        day
        for day in (*closed, *weekdays_beyond(NSE, latest))
        if day >= first and day not in done and day > min(done)
    ]
    since = _close(missing[0]) + grace if missing else None
    yield of_missing_sessions(missing, since, NSE, settings.alerts, moment)


def _closed_sessions(moment: datetime.datetime) -> list[datetime.date]:
    """The sessions of the calendar that were over at a moment (exchange time, without zone)."""
    closed = NSE.trading_days(NSE.first_day, min(moment.date(), NSE.last_day))
    if closed[-1] == moment.date() and not NSE.has_closed(closed[-1], moment):
        closed.pop()
    return closed


def _oldest_told(warehouse: Warehouse) -> datetime.date | None:
    """The oldest session of the open alert about missing ones; None when there is none."""
    told = (alert for alert in alert_delivery.read_ledger(warehouse).open if alert.kind == "stale")
    return next((alert.trading_day for alert in told), None)


def _close(day: datetime.date) -> datetime.datetime:
    if day > NSE.last_day:
        return regular_close(day).replace(tzinfo=ZoneInfo(INDIA))
    end = NSE.closes_at(day) or datetime.time.max
    return datetime.datetime.combine(day, end, ZoneInfo(INDIA))


def _show(instance: dg.DagsterInstance, warehouse: Warehouse) -> None:
    """Report the ledger to Dagster, so that the UI shows the open alerts and what was not delivered."""
    ledger = alert_delivery.read_ledger(warehouse)
    instance.report_runless_asset_event(
        dg.AssetMaterialization(asset_key(alert_delivery.ALERTS), metadata=_figures(ledger))
    )


def _figures(ledger: Ledger) -> dict[str, object]:
    states = [notice.state for notice in ledger.notices]
    return {
        "open": len(ledger.open),
        "open alerts": dg.MetadataValue.md(markdown(ledger)),
        "notices waiting": states.count(WAITING),
        "notices given up": states.count(GIVEN_UP),
        "dagster/row_count": len(ledger.alerts),
    }


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
