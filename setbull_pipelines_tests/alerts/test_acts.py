"""Mutes end by themselves and silence nothing critical, acknowledging ends reminders, the morning is one message."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from setbull_pipelines.alerts.acts import (
    ACKNOWLEDGED,
    MUTED,
    NoSuchSubject,
    NotMuted,
    Subject,
    named,
)
from setbull_pipelines.alerts.finding import Finding, Says, Severity
from setbull_pipelines.alerts.ledger import Ledger, acted, record
from setbull_pipelines.alerts.message import compose, how_things_stand
from setbull_pipelines.alerts.outbox import due
from setbull_pipelines.settings import AlertSettings
from setbull_pipelines_tests.alerts.findings import at, finding
from setbull_pipelines_tests.package_imports import modules, project_imports

SETTINGS = AlertSettings(channels=("log",), repeat_hours=6)
MORNING = replace(SETTINGS, morning="08:30")
FIRST = Subject("alert", "check v2/candles_5min bars 2026-06-30", 1)
KEY, ASSET = FIRST.name, "v2/candles_5min"
UI = "http://127.0.0.1:3000"


def of_bars(hours: float, says: Says = Says.WRONG, **changes) -> Finding:
    return finding(hours, says, **{"key": KEY, "asset": ASSET} | changes)


def told(ledger: Ledger) -> list[tuple[int, str]]:
    return [(notice.alert, notice.event) for notice in ledger.notices]


def muted(ledger: Ledger, subject: Subject, hours: float, until: float) -> Ledger:
    return acted(ledger, MUTED, subject, "A. Operator", "known", at(until), at(hours))


def recorded(ledger: Ledger, *findings: Finding, settings: AlertSettings = SETTINGS) -> Ledger:
    for item in findings:
        ledger = record(ledger, [item], settings, item.observed_at)
    return ledger


@pytest.mark.parametrize(
    "subject",
    [
        Subject("check", "bars"),
        Subject("table", "candles_5min"),
        Subject("table", ASSET),
        Subject("alert", KEY),
    ],
)
def test_what_is_muted_is_recorded_and_told_to_nobody(subject: Subject) -> None:
    ledger = muted(Ledger(), subject, 0, 48)
    other = finding(1, key="check v1/candles_daily whole 2026-06-30", asset="v1/candles_daily")
    ledger = recorded(ledger, of_bars(1), other, of_bars(9), of_bars(10, Says.WELL))
    assert [(alert.state, alert.occurrences) for alert in ledger.alerts] == [
        ("recovered", 2),
        ("open", 1),
    ]
    assert told(ledger) == [(2, "raised")]


def test_a_mute_of_one_lane_leaves_the_other() -> None:
    ledger = muted(Ledger(), Subject("table", "v1/candles_5min"), 0, 48)
    assert told(recorded(ledger, of_bars(1))) == [(1, "raised")]


def test_a_mute_ends_by_itself_and_what_is_still_open_is_told_once() -> None:
    ledger = recorded(muted(Ledger(), Subject("check", "bars"), 0, 24), of_bars(1))
    assert record(ledger, [], SETTINGS, at(23.9)) == ledger
    after = record(ledger, [], SETTINGS, at(24))
    assert told(after) == [(1, "raised")]
    assert record(after, [], SETTINGS, at(25)) == after
    well = recorded(after, of_bars(26, Says.WELL))
    assert told(well) == [(1, "raised"), (1, "recovered")]


def test_what_was_told_before_the_mute_is_not_told_again_at_its_end() -> None:
    ledger = muted(recorded(Ledger(), of_bars(0)), FIRST, 1, 24)
    assert told(record(ledger, [], SETTINGS, at(25))) == [(1, "raised")]


def test_the_last_mute_of_a_subject_counts_so_that_one_can_be_ended_early() -> None:
    ledger = muted(Ledger(), Subject("check", "bars"), 0, 48)
    ledger = muted(ledger, Subject("check", "bars"), 1, 1)
    assert told(recorded(ledger, of_bars(2))) == [(1, "raised")]
    assert [act.number for act in ledger.acts] == [1, 2], "both are kept"


def test_nothing_critical_is_muted() -> None:
    ledger = recorded(
        muted(Ledger(), Subject("table", "candles_5min"), 0, 48),
        of_bars(1),
        of_bars(2, severity=Severity.CRITICAL),
    )
    assert told(ledger) == [(1, "raised")], "from the moment on at which it is critical"
    assert ledger.muted(ledger.alert(1), at(3)) is None
    with pytest.raises(NotMuted, match=r"alert 1 is critical.* setbull alerts acknowledge 1"):
        muted(ledger, FIRST, 3, 48)


def test_nothing_that_serves_or_judges_reads_what_people_did_about_alerts() -> None:
    """What is muted is rolled back all the same: the rollout cannot know."""
    seen: set[str] = set()
    waiting = ["pipeline.judging", "pipeline.serving", "pipeline.stage_decisions", "assets.rollout"]
    waiting += [module for module in modules() if module.startswith("rollout")]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting += project_imports(module)
    assert "rollout.controller" in seen
    assert not [module for module in seen if module.startswith(("alerts", "pipeline.alert"))]


def test_who_knows_of_an_alert_is_not_reminded_unless_it_gets_worse() -> None:
    ledger = recorded(Ledger(), of_bars(0))
    ledger = acted(ledger, ACKNOWLEDGED, FIRST, "A. Operator", None, None, at(1))
    ledger = recorded(ledger, of_bars(8))
    assert told(ledger) == [(1, "raised")]
    ledger = recorded(ledger, of_bars(9, severity=Severity.CRITICAL), of_bars(10, Says.WELL))
    assert told(ledger) == [(1, "raised"), (1, "reminder"), (1, "recovered")]
    again = recorded(ledger, of_bars(11), of_bars(18))
    assert told(again)[3:] == [(2, "raised"), (2, "reminder")], "another alert, which nobody knows"


def test_in_the_morning_there_is_one_message_about_what_has_changed() -> None:
    # 16:00 UTC is 21:30 on the clock of the exchange.
    ledger = recorded(
        Ledger(),
        of_bars(0),
        finding(1, key="check b"),
        finding(2, key="check b", says=Says.WELL),
        finding(3, Says.CHANGED, key="news", severity=Severity.INFO),
        settings=MORNING,
    )
    assert not due(ledger.notices, datetime(2026, 7, 1, 2, 59, tzinfo=UTC))
    morning = datetime(2026, 7, 1, 3, 0, tzinfo=UTC)
    assert len(due(ledger.notices, morning)) == 4
    last = {notice.alert: notice.event for notice in due(ledger.notices, morning)}
    events = [(event, ledger.alert(number)) for number, event in last.items()]
    body = compose(events, UI, how_things_stand(ledger, morning, UI)).body.splitlines()
    assert body[:2] == [
        "1 new, 1 recovered, 1 news",
        f"open now: 1 error; all: {UI}/assets/operations/alerts",
    ]


def test_a_morning_without_a_change_is_quiet() -> None:
    ledger = recorded(Ledger(), of_bars(0), settings=MORNING)
    later = recorded(ledger, of_bars(24), of_bars(48), settings=MORNING)
    assert later.alert(1).occurrences == 3
    assert told(later) == [(1, "raised")]
    worse = recorded(later, of_bars(72, severity=Severity.CRITICAL), settings=MORNING)
    assert told(worse) == [(1, "raised"), (1, "reminder")]


def test_what_cannot_wait_is_told_at_once() -> None:
    ledger = recorded(
        Ledger(),
        of_bars(0, severity=Severity.CRITICAL),
        finding(0, Says.CHANGED, key="width", kind="bb_width", severity=Severity.INFO),
        of_bars(1, key="check b", severity=Severity.ERROR),
        settings=MORNING,
    )
    assert {notice.alert for notice in due(ledger.notices, at(1))} == {1, 2}
    eager = replace(MORNING, at_once_severity="error")
    assert len(due(recorded(Ledger(), of_bars(0), settings=eager).notices, at(0))) == 1


def test_how_things_stand_counts_what_is_open_muted_and_known() -> None:
    ledger = recorded(
        Ledger(),
        of_bars(0),
        finding(0, key="check b", asset=None, severity=Severity.CRITICAL),
        finding(0, key="check c", asset=None, severity=Severity.WARNING),
        finding(0, key="check d", asset=None, says=Says.CHANGED),
    )
    ledger = muted(ledger, FIRST, 1, 48)
    ledger = acted(
        ledger, ACKNOWLEDGED, Subject("alert", "check b", 2), "A. Operator", None, None, at(1)
    )
    assert how_things_stand(ledger, at(2), UI) == (
        "open now: 1 critical, 1 error, 1 warning (of them 1 muted, 1 acknowledged); "
        f"all: {UI}/assets/operations/alerts"
    )
    assert how_things_stand(Ledger(), at(2), UI).startswith("open now: nothing; ")


def test_a_subject_is_an_alert_a_check_or_a_table() -> None:
    def meant(text: str) -> Subject:
        return named(text, {1: KEY}.get, {"bars"}, {"candles_5min", ASSET})

    assert meant("1") == FIRST
    assert meant("bars") == Subject("check", "bars")
    assert meant("candles_5min") == Subject("table", "candles_5min")
    assert meant("v2.candles_5min") == meant(ASSET) == Subject("table", ASSET)
    with pytest.raises(NoSuchSubject, match="no alert 2, expected a number"):
        meant("2")
    with pytest.raises(NoSuchSubject, match=r"'candles_5mn'.* such as candles_5min"):
        meant("candles_5mn")
