"""The words of messages about one and about several events."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from setbull_pipelines.alerts.finding import Severity
from setbull_pipelines.alerts.ledger import Alert
from setbull_pipelines.alerts.message import compose
from setbull_pipelines_tests.alerts.findings import at

UI = "http://127.0.0.1:3000"
ALERT = Alert(
    number=3,
    key="check reconciliation/indicators_5min v2_agrees_with_v1 2026-06-30",
    kind="check",
    severity=Severity.ERROR,
    state="open",
    title="v2/indicators_5min differs from v1 on 2026-06-30",
    message="diverged: bb_upper 5,400 cells, likely cause: sample deviation",
    asset="reconciliation/indicators_5min",
    trading_day=date(2026, 6, 30),
    link=f"{UI}/assets/reconciliation/indicators_5min?view=partitions&partition=2026-06-30",
    run_id="r1",
    first_seen=at(0),
    last_seen=at(0),
)


def test_one_alert_is_title_reason_and_links() -> None:
    message = compose([("raised", ALERT)], UI)
    assert message.title == "setbull: v2/indicators_5min differs from v1 on 2026-06-30"
    assert message.severity is Severity.ERROR
    assert message.body.splitlines() == [
        "v2/indicators_5min differs from v1 on 2026-06-30",
        "severity: error, alert 3",
        "reason: diverged: bb_upper 5,400 cells, likely cause: sample deviation",
        "run: http://127.0.0.1:3000/runs/r1",
        "asset: http://127.0.0.1:3000/assets/reconciliation/indicators_5min"
        "?view=partitions&partition=2026-06-30",
    ]


def test_a_reminder_says_how_often_and_since_when() -> None:
    message = compose([("reminder", replace(ALERT, occurrences=4))], UI)
    assert message.title == "setbull: still: v2/indicators_5min differs from v1 on 2026-06-30"
    assert "seen 4 times since 2026-06-30 16:00 UTC" in message.body


def test_a_recovery_links_the_run_that_showed_it_and_is_no_failure() -> None:
    well = replace(ALERT, state="recovered", recovered_at=at(26), recovered_by="r2")
    message = compose([("recovered", well)], UI)
    assert message.title.startswith("setbull: recovered: v2/indicators_5min")
    assert message.severity is None
    assert "wrong since 2026-06-30 16:00 UTC, well at 2026-07-01 18:00 UTC" in message.body
    assert f"{UI}/runs/r2" in message.body
    assert "r1" not in message.body


def test_of_several_the_worst_comes_first_and_recoveries_last() -> None:
    worst = replace(ALERT, number=9, severity=Severity.CRITICAL, title="rolled back")
    well = replace(ALERT, number=1, severity=Severity.CRITICAL, title="old", recovered_at=at(1))
    message = compose([("recovered", well), ("raised", ALERT), ("raised", worst)], UI)
    assert message.title == "setbull: 3 alerts, first: rolled back"
    assert message.severity is Severity.CRITICAL
    titles = [part.splitlines()[0] for part in message.body.strip().split("\n\n")]
    assert titles == ["rolled back", ALERT.title, "recovered: old"]


def test_a_long_list_is_cut_and_says_so() -> None:
    message = compose([("raised", replace(ALERT, number=n)) for n in range(1, 26)], UI)
    assert message.body.count("reason: ") == 20
    assert message.body.endswith("and 5 more: setbull alerts list\n")
