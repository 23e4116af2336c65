"""Findings become alerts once, repeats are counted, a recovery is told once, and order does not matter."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines.alerts.finding import Finding, Says, Severity
from setbull_pipelines.alerts.ledger import Ledger, record
from setbull_pipelines.settings import SEVERITIES, AlertSettings
from setbull_pipelines_tests.alerts.findings import at, finding

SETTINGS = AlertSettings(channels=("log", "MAIL_URL"), repeat_hours=6)


def events(ledger: Ledger) -> list[tuple[int, str]]:
    """Alert and event of every notice of one channel."""
    return [(n.alert, n.event) for n in ledger.notices if n.channel == "log"]


def after(*findings: Finding, settings: AlertSettings = SETTINGS) -> Ledger:
    """Findings recorded one by one, each an hour after it was the case."""
    ledger = Ledger()
    for item in findings:
        ledger = record(ledger, [item], settings, item.observed_at + timedelta(hours=1))
    return ledger


def test_the_severities_are_those_of_the_settings_in_their_order() -> None:
    assert [severity.label for severity in Severity] == list(SEVERITIES)
    assert Severity.named("critical") is Severity.CRITICAL


def test_a_finding_raises_an_alert_and_a_notice_per_channel() -> None:
    ledger = after(finding(0))
    (alert,) = ledger.open
    assert (alert.number, alert.key, alert.occurrences) == (1, "check a", 1)
    assert alert.first_seen == alert.last_seen == at(0)
    assert [(n.number, n.alert, n.event, n.channel) for n in ledger.notices] == [
        (1, 1, "raised", "log"),
        (2, 1, "raised", "MAIL_URL"),
    ]


def test_the_same_finding_again_changes_nothing() -> None:
    once = after(finding(0), finding(1))
    assert record(once, [finding(0), finding(1)], SETTINGS, at(50)) == once


def test_repeats_are_counted_and_told_again_only_after_the_repeat_hours() -> None:
    ledger = after(finding(0), finding(1), finding(5.9))
    (alert,) = ledger.open
    assert (alert.occurrences, alert.last_seen, alert.message) == (3, at(5.9), "seen at 5.9")
    assert alert.first_seen == at(0)
    assert events(ledger) == [(1, "raised")]
    ledger = record(ledger, [finding(6)], SETTINGS, at(7))
    assert events(ledger) == [(1, "raised"), (1, "reminder")]
    ledger = record(ledger, [finding(8)], SETTINGS, at(8))
    assert len(events(ledger)) == 2


def test_an_alert_that_gets_worse_is_told_at_once() -> None:
    ledger = after(finding(0, severity=Severity.WARNING), finding(0.5))
    assert events(ledger) == [(1, "raised"), (1, "reminder")]
    assert ledger.open[0].severity is Severity.ERROR


def test_a_recovery_is_told_exactly_once_and_the_next_failure_is_a_new_alert() -> None:
    well = finding(2, Says.WELL)
    ledger = after(finding(0), well, well, finding(3, Says.WELL))
    (alert,) = ledger.alerts
    assert (alert.state, alert.recovered_at, alert.recovered_by) == ("recovered", at(2), "run-2")
    assert events(ledger) == [(1, "raised"), (1, "recovered")]
    ledger = record(ledger, [finding(4)], SETTINGS, at(4))
    assert [(a.number, a.state) for a in ledger.alerts] == [(1, "recovered"), (2, "open")]
    assert events(ledger)[-1] == (2, "raised")


def test_an_old_failure_does_not_open_what_recovered_later() -> None:
    ledger = after(finding(0), finding(2, Says.WELL))
    assert record(ledger, [finding(1)], SETTINGS, at(3)) == ledger


def test_findings_of_one_look_count_in_the_order_of_their_moments() -> None:
    ledger = record(Ledger(), [finding(2, Says.WELL), finding(0)], SETTINGS, at(3))
    assert [alert.state for alert in ledger.alerts] == ["recovered"]


def test_well_without_an_alert_is_nothing() -> None:
    assert after(finding(0, Says.WELL)) == Ledger()


def test_news_is_noted_and_told_once() -> None:
    news = finding(0, Says.CHANGED, severity=Severity.INFO)
    ledger = after(news, news)
    assert [alert.state for alert in ledger.alerts] == ["noted"]
    assert ledger.open == ()
    assert events(ledger) == [(1, "raised")]


def test_below_the_minimum_an_alert_is_kept_and_neither_it_nor_its_end_is_told() -> None:
    settings = replace(SETTINGS, minimum_severity="error")
    mild = finding(0, severity=Severity.WARNING)
    ledger = after(mild, settings=settings)
    assert len(ledger.open) == 1
    assert ledger.notices == ()
    assert record(ledger, [finding(1, Says.WELL)], settings, at(2)).notices == ()
    worse = record(ledger, [finding(1)], settings, at(2))
    assert events(worse) == [(1, "raised")]


# Runs in the order in which they ended; each says something about some keys.
RUNS = st.lists(
    st.dictionaries(st.sampled_from("abc"), st.sampled_from([Says.WRONG, Says.WELL]), min_size=1),
    min_size=1,
    max_size=8,
)


@given(RUNS, st.data())
def test_however_two_observers_mix_the_open_alerts_are_those_of_the_last_run_of_each_key(
    runs: list[dict[str, Says]], data: st.DataObject
) -> None:
    """The daemon sees every run, the command line some of them, each in order; looks can repeat."""
    by_run = [
        [finding(number, says, key) for key, says in of_run.items()]
        for number, of_run in enumerate(runs)
    ]
    seen_by_command = data.draw(st.lists(st.booleans(), min_size=len(runs), max_size=len(runs)))
    daemon = list(by_run)
    command = [run for run, seen in zip(by_run, seen_by_command, strict=True) if seen]
    ledger = Ledger()
    while daemon or command:
        source = daemon if daemon and (not command or data.draw(st.booleans())) else command
        batch = source[0] if data.draw(st.booleans()) else source.pop(0)  # a look that is repeated
        ledger = record(ledger, data.draw(st.permutations(batch)), SETTINGS, at(100))
    last = {key: says for run in runs for key, says in run.items()}
    assert {alert.key for alert in ledger.open} == {
        key for key, says in last.items() if says is Says.WRONG
    }
    assert len({alert.key for alert in ledger.open}) == len(ledger.open)
    for alert in ledger.alerts:
        told = [event for number, event in events(ledger) if number == alert.number]
        assert told == ["raised"] + ["recovered"] * (alert.state == "recovered")


@given(RUNS)
def test_occurrences_count_the_runs_that_showed_it(runs: list[dict[str, Says]]) -> None:
    ledger = Ledger()
    for number, of_run in enumerate(runs):
        findings = [finding(number, says, key) for key, says in of_run.items()]
        ledger = record(ledger, findings, SETTINGS, at(number))
    for key in "abc":
        wrong = sum(of_run.get(key) is Says.WRONG for of_run in runs)
        assert sum(a.occurrences for a in ledger.alerts if a.key == key) == wrong


@pytest.mark.parametrize("channels", [(), ("log",), ("A", "B", "C")])
def test_every_event_has_a_notice_for_every_channel(channels: tuple[str, ...]) -> None:
    settings = replace(SETTINGS, channels=channels)
    ledger = after(finding(0), finding(1, Says.WELL), settings=settings)
    assert [(n.event, n.channel) for n in ledger.notices] == [
        (event, channel) for event in ("raised", "recovered") for channel in channels
    ]
    assert ledger.alerts[0].state == "recovered"
