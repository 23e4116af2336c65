"""All sessions on one page: how verdicts, agreement, stages and quality went, and where each day's report is.

Belongs here: counting per session and the document. Does not belong here: one day (``page``), reading tables and the
place of the file (``pipeline/overview.py``), scripts: the page has none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING

import pandas as pd

from setbull_pipelines.reporting.document import part, template_of
from setbull_pipelines.tables.filters import PASSING_VERDICTS, STAGES, VERDICTS
from setbull_pipelines.tables.operations import ALERT_STATES, COMPONENTS
from setbull_pipelines.tables.reconciliation import DIVERGED, PASS

if TYPE_CHECKING:
    from jinja2 import Template

OPEN = ALERT_STATES[0]
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_OPEN_MONTHS = 2
"""Months whose table is open when the page is; the others open by a click."""
_HEIGHT = 100
"""Height of a chart, in its own units."""


@dataclass(frozen=True)
class Sessions:
    """What is stored of the sessions that the page shows. Every frame has the column ``trading_day``."""

    days: tuple[str, ...]
    """Ascending."""
    reports: frozenset[str]
    """Days with a file beside the page."""
    summary: pd.DataFrame
    """Verdicts of V1 against V2: ``table_name``, ``state``, ``reason``."""
    results: pd.DataFrame
    """One row per stock: ``verdict``, ``stopped_at``."""
    accounting: pd.DataFrame
    failures: pd.DataFrame
    alerts: pd.DataFrame
    """Alerts of failed checks: ``severity``, ``title``, ``state``."""
    rollout: pd.DataFrame
    """Rows of the rollout log about a session, oldest first: ``component``, ``to_stage``, ``verdict``, ``reason``."""
    links: Mapping[tuple[str, str], str]
    """The page of a difference, by table and day."""
    earlier: int = 0
    """Sessions before the first one here."""
    unreadable: tuple[str, ...] = ()
    """Tables and days that could not be read."""


@dataclass(frozen=True)
class Session:
    """One session as the page shows it."""

    day: pd.Timestamp
    has_report: bool
    verdicts: Mapping[str, int]
    """Stocks by verdict; empty where nothing is served."""
    passed: Sequence[tuple[str, int]]
    """How many stocks passed each stage of the filters, in order."""
    states: Mapping[str, tuple[str, str]]
    """State and reason of V1 against V2, by table."""
    received: int
    quarantined: int
    failed: int
    """Instruments that could not be computed, in any table."""
    alerts: Sequence[tuple[str, str, str]]
    """Severity, title and state of the alert of each check that failed once."""
    stages: Mapping[str, str]
    """Stage of each component after the session."""

    @property
    def open_alerts(self) -> int:
        """Alerts of checks that still fail."""
        return sum(state == OPEN for *_, state in self.alerts)

    @property
    def name(self) -> str:
        return f"{self.day:%Y-%m-%d}"

    @property
    def stocks(self) -> int:
        return sum(self.verdicts.values())

    @property
    def worst(self) -> str:
        """The state that the calendar shows: diverged before not comparable before pass."""
        found = {state for state, _ in self.states.values()}
        if DIVERGED in found:
            return DIVERGED
        return PASS if found == {PASS} else "not comparable"

    def count(self, state: str) -> int:
        """Tables in this state."""
        return sum(found == state for found, _ in self.states.values())


def html_overview(stored: Sessions, made_from: str) -> str:
    """Return the page as one document; the same rows give the same text."""
    sessions = session_rows(stored)
    return _template().render(
        policy=_POLICY,
        style=part("page.css") + part("overview.css"),
        made_from=made_from,
        sessions=sessions,
        last=sessions[-1] if sessions else None,
        before=sessions[-2] if len(sessions) > 1 else None,
        months=_months(sessions),
        open_months=_OPEN_MONTHS,
        tables=list(dict.fromkeys(stored.summary["table_name"].astype(str))),
        tally=tally(sessions),
        components=COMPONENTS,
        changes=stage_changes(stored.rollout),
        links=stored.links,
        passing=PASSING_VERDICTS,
        verdicts=VERDICTS,
        stages=STAGES,
        height=_HEIGHT,
        most_passing=max(max(map(session_passing, sessions), default=0), 1),
        most_stocks=max(max((session.stocks for session in sessions), default=0), 1),
        earlier=stored.earlier,
        unreadable=stored.unreadable,
    )


def session_passing(session: Session) -> int:
    """The longer of both lists of a session."""
    return max(session.verdicts.get(verdict, 0) for verdict in PASSING_VERDICTS)


def session_rows(stored: Sessions) -> list[Session]:
    """Every session, the earliest first."""
    results, summary, accounting, failures, alerts, rollout = (
        dict(list(frame.groupby(frame["trading_day"].dt.strftime("%Y-%m-%d"))))
        for frame in (
            *(stored.results, stored.summary, stored.accounting),
            *(stored.failures, stored.alerts, stored.rollout),
        )
    )
    stages: dict[str, str] = {}
    rows = []
    for day in stored.days:
        for row in _of(rollout, day, stored.rollout).itertuples():
            stages[row.component] = row.to_stage
        of_day = _of(results, day, stored.results)
        counts = _of(accounting, day, stored.accounting)
        rows.append(
            Session(
                day=pd.Timestamp(day),
                has_report=day in stored.reports,
                verdicts={
                    name: int(count) for name, count in of_day["verdict"].value_counts().items()
                },
                passed=_passed(of_day),
                states={
                    row.table_name: (row.state, row.reason)
                    for row in _of(summary, day, stored.summary).itertuples()
                },
                received=int(counts["received"].sum()),
                quarantined=int(counts["quarantined"].sum()),
                failed=int(_of(failures, day, stored.failures)["instrument_key"].nunique()),
                alerts=[
                    (row.severity, row.title, row.state)
                    for row in _of(alerts, day, stored.alerts).itertuples()
                ],
                stages=dict(stages),
            )
        )
    return rows


def stage_changes(rollout: pd.DataFrame) -> dict[str, list[tuple[str, str, str]]]:
    """Per component the sessions on which its stage began: session, stage, and why, oldest first."""
    changes = {}
    for component in COMPONENTS:
        rows = rollout[rollout["component"] == component]
        began = rows[rows["to_stage"] != rows["to_stage"].shift()]
        changes[component] = [
            (f"{row.trading_day:%Y-%m-%d}", row.to_stage, row.reason) for row in began.itertuples()
        ]
    return changes


def tally(sessions: Sequence[Session]) -> dict[str, Counter[str]]:
    """Per table how many sessions are in which state."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for session in sessions:
        for table, (state, _) in session.states.items():
            counts[table][state] += 1
    return counts


def _of(by_day: Mapping[str, pd.DataFrame], day: str, whole: pd.DataFrame) -> pd.DataFrame:
    return by_day.get(day, whole.iloc[:0])


def _passed(results: pd.DataFrame) -> list[tuple[str, int]]:
    left, counts = len(results), []
    for stage in STAGES:
        left -= int((results["stopped_at"] == stage).sum())
        counts.append((stage, left))
    return counts


def _months(sessions: Sequence[Session]) -> list[tuple[str, list[Session]]]:
    """The newest month first, and in it the newest session."""
    newest_first = sessions[::-1]
    return [
        (name, list(found)) for name, found in groupby(newest_first, lambda row: f"{row.day:%B %Y}")
    ]


@cache
def _template() -> Template:
    return template_of("overview.html", {})
