"""What finished runs, the rollout log and the calendar say, as findings.

Belongs here: which fact is wrong, well or news, its severity, and its title. Does not belong here: reading facts from
Dagster or tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from setbull_pipelines.alerts.finding import Finding, Says, Severity
from setbull_pipelines.market.calendar import TradingCalendar
from setbull_pipelines.market.coverage import Outlook
from setbull_pipelines.rollout.controller import Verdict
from setbull_pipelines.rollout.log import LogRow
from setbull_pipelines.settings import AlertSettings
from setbull_pipelines.tables.reconciliation import DIVERGED

_LAST_TABLE = "served/filter_results"
_STALE = "stale reconciliation/summary"
"""The name under which folders know the alert of missing sessions: under another one those that are open stay open."""
_ROLLOUT_LOG = "operations/rollout_log"
_AGREEMENT = "v2_agrees_with_v1"
_DAYS_NAMED = 5
_LATE = timedelta(days=14)
_V1, _V2 = "v1/", "v2/"


@dataclass(frozen=True)
class CheckOutcome:
    """One evaluation of a check; ``day`` is None where the table has no trading day."""

    asset: str
    check: str
    day: date | None
    passed: bool
    is_error: bool
    description: str
    state: str | None = None
    """What the reconciliation found, where the check is about one."""


@dataclass(frozen=True)
class RunOutcome:
    """A finished run: what it was, how it ended and what its checks say."""

    run_id: str | None
    """Its run in Dagster; None for work outside of one."""
    work: str
    """What was run, the same for every run of the same work: a job, or chosen assets."""
    days: str | None
    """Its trading day, or ``first to last`` of a range; None for work without trading days."""
    error: str | None
    """Why it failed, in one sentence; None when it succeeded."""
    ended_at: datetime
    checks: tuple[CheckOutcome, ...] = ()


def of_run(run: RunOutcome, ui_address: str) -> list[Finding]:
    """The run itself and every check that it evaluated, all at the moment the run ended.

    What both variants' tables fail for in the same words has one cause, the input, and is one finding, of V2's table.
    """
    work = f"{run.work} {run.days}" if run.days else run.work
    itself = Finding(
        key=f"run {work}",
        kind="run",
        says=Says.WELL if run.error is None else Says.WRONG,
        severity=Severity.ERROR,
        title=f"the run of {work} failed",
        message=run.error or "",
        link=f"{ui_address}/runs/{run.run_id or ''}",
        observed_at=run.ended_at,
        run_id=run.run_id,
    )
    of_v1, of_v2 = (
        {
            _cause(check)
            for check in run.checks
            if check.asset.startswith(variant) and not check.passed
        }
        for variant in (_V1, _V2)
    )
    in_both = of_v1 & of_v2
    return [
        itself,
        *(
            _of_check(check, run, ui_address, _cause(check) in in_both)
            for check in run.checks
            if check.passed or not check.asset.startswith(_V1) or _cause(check) not in in_both
        ),
    ]


def _cause(check: CheckOutcome) -> tuple[str, str, date | None, str]:
    """What a check says of a table, whichever variant made it."""
    return check.asset.rpartition("/")[2], check.check, check.day, check.description


def _of_check(check: CheckOutcome, run: RunOutcome, ui_address: str, in_both: bool) -> Finding:
    on_day = f" on {check.day}" if check.day else ""
    asset = check.asset
    if in_both and not check.passed and asset.startswith(_V2):
        asset = f"{_V1}{asset.removeprefix(_V2)} and {asset}"
    title = f"{asset}: {check.check} fails{on_day}"
    if check.check == _AGREEMENT:
        table = check.asset.rpartition("/")[2]
        verb = "differs from" if check.state == DIVERGED else "cannot be compared with"
        title = f"v2/{table} {verb} v1{on_day}"
    return Finding(
        key=" ".join(filter(None, ["check", check.asset, check.check, str(check.day or "")])),
        kind="check",
        says=Says.WELL if check.passed else Says.WRONG,
        severity=Severity.ERROR if check.is_error else Severity.WARNING,
        title=title,
        message=check.description,
        link=_asset_link(ui_address, check.asset, check.day),
        observed_at=run.ended_at,
        asset=check.asset,
        trading_day=check.day,
        run_id=run.run_id,
    )


def _asset_link(ui_address: str, asset: str, day: date | None) -> str:
    return f"{ui_address}/assets/{asset}" + (f"?view=partitions&partition={day}" if day else "")


_TAKEN_BACK = (Verdict.ROLLED_BACK, Verdict.KILLED)
# Not REARMED: a person, or a new code version, has judged no session.
_HEALTHY = (Verdict.COUNTED, Verdict.ADVANCED)
_NEWS = (
    Verdict.ADVANCED,
    Verdict.REARMED,
    Verdict.FORCED,
    Verdict.FROZEN,
    Verdict.RELEASED,
)


class _TooLate:
    """Which sessions come after later ones were judged, and so never are. Older ones are a back-fill of history."""

    def __init__(self) -> None:
        self._looked_at: set[tuple[str, date]] = set()
        self._judged: dict[str, tuple[date, date]] = {}
        """The first and the last session judged, by component."""

    def notes(self, row: LogRow) -> bool:
        """Take the next row of the log in; whether it is the first of such a session."""
        decision, session = row.decision, row.decision.session
        if session is None:
            return False
        component = decision.component.label
        is_new = (component, session) not in self._looked_at
        self._looked_at.add((component, session))
        if decision.verdict is not Verdict.HELD:
            first, last = self._judged.get(component, (session, session))
            self._judged[component] = (min(first, session), max(last, session))
            return False
        if not is_new or component not in self._judged:
            return False
        first, last = self._judged[component]
        return first < session < last and last - session <= _LATE


def of_rollout(rows: Iterable[LogRow], ui_address: str) -> Iterator[Finding]:
    """The rows of the rollout log that change something.

    Taking V2 back is critical until a re-arm; a soft breach is a warning until a healthy session. Every other
    change of the stage or of a freeze is news, and so is a session that came too late to be judged.
    """
    too_late = _TooLate()
    for row in rows:
        if too_late.notes(row):
            about = f"too late {row.decision.session}"
            found = _of_row(row, about, Says.CHANGED, Severity.WARNING, ui_address)
            title = f"rollout: the session of {row.decision.session} came too late to be judged"
            yield replace(found, title=title)
        component, verdict = row.decision.component.label, row.decision.verdict
        taken_back, breach = f"{component} taken back", f"{component} soft breach"
        if verdict in _TAKEN_BACK:
            yield _of_row(row, taken_back, Says.WRONG, Severity.CRITICAL, ui_address)
        if verdict is Verdict.SOFT_BREACH:
            yield _of_row(row, breach, Says.WRONG, Severity.WARNING, ui_address)
        if verdict in _HEALTHY:
            yield _of_row(row, breach, Says.WELL, Severity.WARNING, ui_address)
        if verdict is Verdict.REARMED:
            yield _of_row(row, taken_back, Says.WELL, Severity.CRITICAL, ui_address)
        if verdict in _NEWS:
            yield _of_row(row, f"row {row.number}", Says.CHANGED, Severity.INFO, ui_address)


def _of_row(row: LogRow, about: str, says: Says, severity: Severity, ui_address: str) -> Finding:
    decision = row.decision
    title = f"rollout of {decision.component.label}: {decision.verdict.value}"
    if decision.from_stage is not decision.to_stage:
        title += f" from {decision.from_stage.label} to {decision.to_stage.label}"
    return Finding(
        key=f"rollout {about}",
        kind="rollout",
        says=says,
        severity=severity,
        title=title,
        message=f"{decision.reason} (row {row.number} of the log, by {row.actor})",
        link=_asset_link(ui_address, _ROLLOUT_LOG, decision.session),
        # The rows of one evaluation share their moment; their order is that of their numbers.
        observed_at=row.when + timedelta(microseconds=row.number),
        asset=_ROLLOUT_LOG,
        trading_day=decision.session,
    )


def of_calendar(
    outlook: Outlook, since: datetime | None, settings: AlertSettings, now: datetime
) -> Finding:
    """How far the calendar reaches; ``since`` is the moment its latest reminder fell due, None while enough is left.

    A reminder is one fact however often it is looked at. From the last published day on it is a new one once per
    ``repeat_hours``.
    """
    observed_at = now
    if since is not None:
        observed_at = _once_per_period(since, settings, now) if outlook.is_over else since
    return Finding(
        key="calendar",
        kind="calendar",
        says=Says.WELL if outlook.reached is None else Says.WRONG,
        severity=Severity.ERROR if outlook.is_over else Severity.WARNING,
        title="the published calendar is at its end"
        if outlook.is_over
        else f"the published calendar ends in {outlook.days_left} days",
        message=outlook.sentence,
        link=settings.ui_address,
        observed_at=observed_at,
    )


def of_missing_sessions(
    missing: Sequence[date],
    since: datetime | None,
    calendar: TradingCalendar,
    settings: AlertSettings,
    now: datetime,
) -> Finding:
    """Sessions without results, oldest first; ``since`` is the moment the oldest became overdue.

    One finding for all of them. While some are missing it is a new fact once per ``repeat_hours``, so that looking
    every minute does not count every minute. Where ``calendar`` does not cover days, or only provisionally, it says
    that nobody knows whether they were sessions.
    """
    named = ", ".join(map(str, missing[:_DAYS_NAMED]))
    more = f" and {len(missing) - _DAYS_NAMED} more" if len(missing) > _DAYS_NAMED else ""
    beyond = sum(day > calendar.last_day for day in missing)
    provisional = sum(day > calendar.published_until for day in missing) - beyond
    certainty = ""
    if provisional:
        certainty += (
            f"; {provisional} of them are after {calendar.published_until}, where the {calendar.name} calendar is "
            "provisional, and may be holidays"
        )
    if beyond:
        certainty += (
            f"; {beyond} of them are after {calendar.last_day}, where the {calendar.name} calendar ends: every Monday "
            "to Friday is counted there, and holidays with them"
        )
    oldest = missing[0] if missing else None
    sessions = "1 session" if len(missing) == 1 else f"{len(missing)} sessions"
    return Finding(
        key=_STALE,
        kind="stale",
        says=Says.WRONG if missing else Says.WELL,
        severity=Severity.ERROR,
        title=f"{sessions} without results, the oldest {oldest}",
        message=f"not materialized {settings.stale_after_hours:g} hours after the close: {named}{more}{certainty}; "
        "is the schedule after_close on, and did its runs succeed?",
        link=_asset_link(settings.ui_address, _LAST_TABLE, oldest),
        observed_at=_once_per_period(since, settings, now) if missing and since else now,
        asset=_LAST_TABLE,
        trading_day=oldest,
    )


def _once_per_period(since: datetime, settings: AlertSettings, now: datetime) -> datetime:
    """The last of the moments that follow ``since`` at distances of ``repeat_hours``."""
    period = timedelta(hours=settings.repeat_hours)
    return since + (now - since) // period * period
