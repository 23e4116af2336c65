"""Which earlier sessions a lane brings up: the closure of the windows, against lists counted by hand."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import pytest

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.look_back import needs_of, partitions_behind
from setbull_pipelines.pipeline.steps import STEPS, Step
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import BandWidthSettings, LookBackSettings, Settings
from setbull_pipelines.tables import BB_WIDTH_DAILY, CANDLES_5MIN, Table

DAILY = NSE.trading_days(date(2024, 1, 1), date(2025, 6, 30))
MINUTES = DAILY[-30:]
SETTINGS = Settings(
    look_back=LookBackSettings(sessions_5min=9, sessions_daily=100, sessions_moves=42),
    bb_width=BandWidthSettings(look_back_sessions=5),
)
IN_FULL = dict.fromkeys(Component, Stage.SHADOW)


class Starts:
    """Where the stored series begin: daily bars at ``DAILY[0]``, minutes at ``MINUTES[0]``."""

    def __init__(self, daily: date = DAILY[0], minutes: date = MINUTES[0]) -> None:
        self._daily, self._minutes = daily, minutes

    def first_day(self, table: Table) -> date:
        return self._minutes if table in (CANDLES_5MIN, BB_WIDTH_DAILY) else self._daily


def step(name: str) -> Step:
    return next(step for step in STEPS if step.name == name)


def days_by_step(
    days: Collection[date],
    asked: Collection[Step] = STEPS,
    variant: str = "v2",
    stages: dict[Component, Stage] = IN_FULL,
    starts: Starts = Starts(),
    settings: Settings = SETTINGS,
) -> dict[tuple[str, str], list[date]]:
    """What has to be up to date, by variant and step; ("raw", "") are the days of the raw tables."""
    needs = needs_of([(variant, asked)], days, stages, settings, starts)
    works = {(work.variant, work.step.name): list(work.days) for work in needs.works}
    return works | {("raw", ""): list(needs.raw)}


def test_the_look_back_is_as_long_as_the_windows_one_behind_the_other() -> None:
    found = days_by_step(MINUTES[20:23])
    before = DAILY[: DAILY.index(MINUTES[20])]
    asked = MINUTES[20:23]
    # 100 sessions for the indicators of 42 sessions of moves.
    assert found["v2", "candles_daily"] == before[-142:] + asked
    assert found["v2", "indicators_daily"] == before[-42:] + asked
    # 9 sessions for the bands of 5 sessions of widths.
    assert found["v2", "candles_5min"] == before[-14:] + asked
    assert found["v2", "indicators_5min"] == found["v2", "bb_width_daily"] == before[-5:] + asked
    for name in ("moves_daily", "sequences", "sequence_analysis", "filter_results"):
        assert found["v2", name] == asked
    assert found["raw", ""] == before[-142:] + asked


def test_nothing_is_asked_for_before_the_first_stored_session() -> None:
    found = days_by_step([MINUTES[4]])
    assert found["v2", "candles_5min"] == MINUTES[:5]
    found = days_by_step(DAILY[30:32])
    assert found["v2", "candles_daily"] == found["v2", "indicators_daily"] == DAILY[:32]
    assert found["v2", "candles_5min"] == DAILY[30:32]
    minutes_only = Starts(daily=MINUTES[0])
    assert days_by_step(MINUTES, starts=minutes_only)["raw", ""] == MINUTES


def test_a_day_before_all_that_is_stored_needs_itself_alone() -> None:
    later = Starts(daily=MINUTES[10], minutes=MINUTES[10])
    assert days_by_step([MINUTES[3]], starts=later)["raw", ""] == [MINUTES[3]]
    found = days_by_step([MINUTES[3], MINUTES[12]], starts=later)
    assert found["raw", ""] == [MINUTES[3], *MINUTES[10:13]]


def test_one_table_alone_needs_what_it_is_made_from_and_nothing_else() -> None:
    found = days_by_step([MINUTES[20]], [step("bb_width_daily")])
    assert set(found) == {
        ("v2", "candles_5min"),
        ("v2", "indicators_5min"),
        ("v2", "bb_width_daily"),
        ("raw", ""),
    }
    assert found["v2", "bb_width_daily"] == found["v2", "indicators_5min"] == [MINUTES[20]]
    assert found["v2", "candles_5min"] == found["raw", ""] == MINUTES[11:21]


def test_windows_of_days_far_apart_leave_out_what_lies_between() -> None:
    found = days_by_step([MINUTES[0], MINUTES[29]], [step("indicators_5min")])
    assert found["v2", "candles_5min"] == [MINUTES[0], *MINUTES[20:30]]


def test_works_come_in_the_order_in_which_they_need_each_other() -> None:
    needs = needs_of([("v2", STEPS)], [MINUTES[20]], IN_FULL, SETTINGS, Starts())
    assert [work.step.name for work in needs.works] == [step.name for step in STEPS]
    assert all(list(work.days) == sorted(work.days) for work in needs.works)


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.FULL])
def test_v1_in_full_needs_nothing_of_v2(stage: Stage) -> None:
    found = days_by_step([MINUTES[20]], variant="v1", stages=dict.fromkeys(Component, stage))
    assert {variant for variant, _ in found} == {"v1", "raw"}


def test_v1_on_a_sample_brings_up_the_tables_of_v2_that_it_reads_first() -> None:
    stages = IN_FULL | {Component.AGGREGATION: Stage.SAMPLED}
    needs = needs_of(
        [("v1", [step("indicators_daily")])], [MINUTES[20]], stages, SETTINGS, Starts()
    )
    assert [(work.variant, work.step.name) for work in needs.works] == [
        ("v2", "candles_daily"),
        ("v1", "indicators_daily"),
    ]


def test_a_retired_v1_looks_back_at_nothing() -> None:
    retired = dict.fromkeys(Component, Stage.RETIRED)
    found = days_by_step([MINUTES[20]], variant="v1", stages=retired)
    assert found.pop(("raw", "")) == []
    assert {variant for variant, _ in found} == {"v1"}
    assert all(days == [MINUTES[20]] for days in found.values())


def test_without_look_back_there_is_only_the_session_of_the_band_widths() -> None:
    settings = Settings(
        look_back=LookBackSettings(sessions_5min=0, sessions_daily=0, sessions_moves=0),
        bb_width=BandWidthSettings(look_back_sessions=1, minimum_sessions=1),
    )
    found = days_by_step([MINUTES[5]], settings=settings)
    assert found["v2", "candles_daily"] == found["v2", "indicators_daily"] == [MINUTES[5]]
    assert found["v2", "candles_5min"] == found["v2", "bb_width_daily"] == MINUTES[4:6]


def test_the_partitions_behind_all_tables_are_those_of_both_variants() -> None:
    behind = {
        stored.name: days
        for stored, days in partitions_behind([MINUTES[20]], IN_FULL, SETTINGS, Starts())
    }
    assert len(behind["v1.candles_daily"]) == len(behind["v2.candles_daily"]) == 143
    assert behind["raw.candles_1min"] == behind["v1.candles_daily"]
    assert behind["v1.sequence_patterns"] == behind["v2.filter_results"] == [MINUTES[20]]
