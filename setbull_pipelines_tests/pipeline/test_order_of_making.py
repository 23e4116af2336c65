"""Sessions are judged in their order, in whatever order their runs ended."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from setbull_pipelines import tables
from setbull_pipelines.assets.common import PARTITION_TAG, RANGE_TAGS
from setbull_pipelines.assets.rollout import sessions_asked_for
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.rollout_log import publish as publish_log
from setbull_pipelines.pipeline.rollout_log import read_log
from setbull_pipelines.pipeline.stage_decisions import evaluate
from setbull_pipelines.rollout.controller import Verdict
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines_tests.automation.ticks import start_run
from setbull_pipelines_tests.pipeline.judged_run import forced, lenient, moment
from setbull_pipelines_tests.pipeline.small_run import SmallRun, changed_v2, reconciled


@pytest.fixture
def unjudged(copied_run: SmallRun) -> SmallRun:
    """The finished run with an empty rollout log, and rules under which its two sessions are enough."""
    settings = lenient(copied_run)
    publish_log((), {}, copied_run.warehouse, settings, "test")
    return replace(copied_run, settings=settings)


def judged(
    run: SmallRun, *days: date, asked_for: Collection[date] = ()
) -> list[tuple[date | None, str, str]]:
    """Session, verdict and stage of the rows of one component that an evaluation appended."""
    rows = evaluate(days, run.warehouse, run.settings, moment, "test", asked_for)
    of_all = {
        component: [
            (row.decision.session, row.decision.verdict.value, row.decision.to_stage.label)
            for row in rows
            if row.decision.component is component
        ]
        for component in Component
    }
    (found,) = {tuple(each) for each in of_all.values()}
    return list(found)


def test_a_session_that_is_made_after_a_later_one_is_judged_before_it(unjudged: SmallRun) -> None:
    """The run of the first of two sessions was killed, that of the second ended, and the first was made again."""
    first, second = unjudged.days
    assert judged(unjudged, second, asked_for={first}) == [(second, "held", "off")]
    reasons = {row.decision.reason for row in read_log(unjudged.warehouse)}
    assert reasons == {f"waits for session {first}, which comes before it and was not judged yet"}
    in_order = [(first, "counted", "off"), (second, "advanced", "shadow")]
    assert judged(unjudged, first) == in_order
    # Each once: nothing is left that waits.
    assert judged(unjudged, second) == [(second, "held", "shadow")]


def test_as_if_they_were_made_in_their_order(unjudged: SmallRun) -> None:
    first, second = unjudged.days
    unjudged = replace(
        unjudged,
        settings=replace(
            unjudged.settings, rollout=replace(unjudged.settings.rollout, sessions_per_stage=1)
        ),
    )
    judged(unjudged, second, asked_for={first})
    assert judged(unjudged, first) == [(first, "advanced", "shadow"), (second, "advanced", "10")]


def test_a_session_that_never_comes_is_waited_for_no_longer(unjudged: SmallRun) -> None:
    first, second = unjudged.days
    absent = NSE.previous(first)
    assert judged(unjudged, first, asked_for={absent}) == [(first, "held", "off")]
    # Still to come: what waits is not judged by the way either, and gets no second row.
    assert judged(unjudged, second, asked_for={absent}) == [(second, "held", "off")]
    # Given up: the next run, of whatever session, judges what has waited.
    assert judged(unjudged, second) == [(first, "counted", "off"), (second, "advanced", "shadow")]


def test_a_session_before_the_last_one_judged_is_waited_for_no_more(unjudged: SmallRun) -> None:
    first, second = unjudged.days
    assert judged(unjudged, first) == [(first, "counted", "off")]
    before = NSE.previous(first)
    assert judged(unjudged, second, asked_for={before}) == [(second, "advanced", "shadow")]


def test_v2_that_differs_is_taken_back_at_once(unjudged: SmallRun) -> None:
    day = unjudged.days[0]
    forced(unjudged, Component.INDICATORS, Stage.FIFTY)
    changed_v2(unjudged, tables.INDICATORS_5MIN, "rsi", 17.0)
    reconciled(unjudged, tables.INDICATORS_5MIN, day)
    rows = evaluate(
        *([day], unjudged.warehouse, unjudged.settings, moment, "test"),
        {NSE.previous(day)},
    )
    verdicts = {row.decision.component: row.decision.verdict for row in rows}
    assert verdicts[Component.INDICATORS] is Verdict.ROLLED_BACK
    assert verdicts[Component.AGGREGATION] is Verdict.HELD


DAY = date(2026, 3, 11)
FAILED = dg.DagsterRunStatus.FAILURE


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def asked_for(instance: dg.DagsterInstance, own: str = "", hours: float = 1.0) -> set[date]:
    """What is asked for some hours after the runs were made."""
    later = datetime.now(ZoneInfo("Asia/Kolkata")) + timedelta(hours=hours)
    return sessions_asked_for(instance, own, later)


def test_sessions_are_asked_for_while_a_run_of_theirs_has_not_ended_well(
    instance: dg.DagsterInstance,
) -> None:
    own = start_run(instance, {PARTITION_TAG: "2026-03-12"}, dg.DagsterRunStatus.STARTED)
    start_run(instance, {PARTITION_TAG: "2026-03-11"}, FAILED)
    start_run(instance, {PARTITION_TAG: "2026-03-10"}, dg.DagsterRunStatus.QUEUED)
    start_run(instance, {PARTITION_TAG: "2026-03-06"}, dg.DagsterRunStatus.CANCELED)
    start_run(instance, {PARTITION_TAG: "2026-03-05"}, dg.DagsterRunStatus.SUCCESS)
    start_run(instance, {PARTITION_TAG: "2026-03-02"}, FAILED, job="v1_lane")
    of_range = dict(zip(RANGE_TAGS, ("2026-02-26", "2026-03-02"), strict=True))
    start_run(instance, of_range, FAILED)
    start_run(instance, {PARTITION_TAG: "tomorrow"}, FAILED)
    expected = {date(2026, 3, 10), date(2026, 3, 11)}
    expected |= {*NSE.trading_days(date(2026, 2, 26), date(2026, 3, 2))}
    assert len(expected) > 3
    assert asked_for(instance, own) == expected
    assert asked_for(instance) == expected | {date(2026, 3, 12)}


def test_after_two_days_a_session_is_given_up_however_often_it_is_tried(
    instance: dg.DagsterInstance,
) -> None:
    start_run(instance, {PARTITION_TAG: str(DAY)}, FAILED)
    assert asked_for(instance, hours=47) == {DAY}
    assert asked_for(instance, hours=49) == set()
