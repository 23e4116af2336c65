"""A session under way, replayed: at every tick just the bars of the whole day that have closed, and none of them wrong.

Expected bars are those of the whole day whose end, by the hours written out here, is not after the tick.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.session_frames import minutes_in_session
from setbull_pipelines.pipeline.engine import PartitionResult, StepRun
from setbull_pipelines.pipeline.running import AS_OF, minutes_of_closed_bars
from setbull_pipelines.pipeline.serving import Serving, assignment_of
from setbull_pipelines.pipeline.serving_days import serve_one
from setbull_pipelines.rollout.stages import Stage
from setbull_pipelines.variants import V2
from setbull_pipelines.warehouse.errors import MissingPartition
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.calendars import AUCTION, DRILL, MUHURAT, OUTAGE
from setbull_pipelines_tests.pipeline.carrying_out import STEP, VARIANTS, every_variant
from setbull_pipelines_tests.pipeline.small_run import IN_FULL, SmallRun, forget, publish
from setbull_pipelines_tests.variants.frames import minute_candles

RAW = StoredTable("raw", tables.CANDLES_1MIN)
FIVE_MINUTES = timedelta(minutes=5)


def at(day: date, clock: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock))


def received_at(minutes: pd.DataFrame, moment: datetime) -> pd.DataFrame:
    """What a source has at the moment: the minute under way is there, with a part of its trades."""
    clock = minutes["timestamp"].dt.tz_localize(None)
    known = minutes[clock <= moment].reset_index(drop=True)
    under_way = known["timestamp"].dt.tz_localize(None) > moment - timedelta(minutes=1)
    known["high"] = known["high"].mask(under_way, known["close"].clip(lower=known["open"]))
    known["volume"] = known["volume"].mask(under_way, known["volume"] // 3)
    return known


@pytest.mark.parametrize(
    ("day", "moment", "newest", "until"),
    [
        (MUHURAT, "18:14", "18:14", None),
        (MUHURAT, "18:19", "18:19", None),
        (MUHURAT, "18:20", "18:20", "18:20"),
        (MUHURAT, "18:24", "18:24", "18:20"),
        # The minute from 18:19 was the last to come: it may lack trades.
        (MUHURAT, "18:20", "18:19", None),
        (MUHURAT, "18:27", "18:21", "18:20"),
        (MUHURAT, "19:15", "19:14", "19:10"),
        (MUHURAT, "19:16", "19:14", "19:15"),
        (MUHURAT, "23:00", "19:14", "19:15"),
        (OUTAGE, "11:38", "11:38", "11:35"),
        (OUTAGE, "11:41", "11:39", "11:40"),
        (OUTAGE, "15:47", "15:47", "11:40"),
        (OUTAGE, "15:50", "15:50", "15:50"),
        (OUTAGE, "17:01", "16:59", "17:00"),
        (DRILL, "10:05", "09:59", "10:00"),
        (DRILL, "11:34", "11:34", "10:00"),
        (DRILL, "11:35", "11:35", "11:35"),
        (AUCTION, "15:20", "15:20", "15:20"),
        (AUCTION, "15:31", "15:29", "15:30"),
    ],
)
def test_where_the_last_closed_bar_ends(day, moment, newest, until) -> None:
    found = NSE.bars_closed_until(at(day, moment), at(day, newest), 5)
    assert found == (until and at(day, until))


def test_a_bar_that_the_session_cuts_short_closes_with_it() -> None:
    # 375 minutes hold five bars of 70 minutes and one of 25.
    day = date(2026, 6, 30)
    assert NSE.bars_closed_until(at(day, "15:20"), at(day, "15:20"), 70) == at(day, "15:05")
    assert NSE.bars_closed_until(at(day, "15:31"), at(day, "15:29"), 70) == at(day, "15:30")


@every_variant
@pytest.mark.parametrize(
    ("day", "opens", "hours", "bars"), [(MUHURAT, "18:15", 2, 12), (OUTAGE, "09:15", 9, 29 + 15)]
)
def test_a_real_day_minute_by_minute(variant, day, opens, hours, bars, shared_data: Path) -> None:
    rows = pd.read_parquet(shared_data / "market" / "minute_special_days.parquet")
    rows = rows[rows["timestamp"].dt.date == day]
    minutes = minute_candles(rows[minutes_in_session(rows["timestamp"])])
    whole = VARIANTS[variant].to_5min(minutes)
    ends = whole["timestamp"].dt.tz_localize(None) + FIVE_MINUTES
    assert ends.nunique() == bars
    seen = set()
    for minute in range(0, hours * 60, 7 if hours > 2 else 1):
        moment = at(day, opens) + timedelta(minutes=minute)
        known = received_at(minutes, moment)
        made = VARIANTS[variant].to_5min(minutes_of_closed_bars(known, moment, 5))
        newest = known["timestamp"].dt.tz_localize(None).max()
        session_ends = [at(day, str(part.end)) for part in NSE.session(day).intervals]
        closed = [end for end in session_ends if end + timedelta(minutes=1) <= moment]
        until = max([min(moment, newest), *closed])
        pd.testing.assert_frame_equal(made, whole[ends <= until].reset_index(drop=True))
        seen.add(made["timestamp"].nunique())
    assert {0, bars} <= seen
    assert len(seen) > 8


def test_before_the_first_minute_there_is_nothing(small_run: SmallRun) -> None:
    day = small_run.days[-1]
    nothing = RAW.table.empty()
    assert minutes_of_closed_bars(nothing, at(day, "12:00"), 5).empty


def refresh(run: SmallRun, step: str, variant: str, moment: datetime | None) -> PartitionResult:
    store, day = run.warehouse, run.days[-1]
    stepping = StepRun(STEP[step], VARIANTS[variant], store, run.settings, "t", IN_FULL, moment)
    (result,) = stepping.over([day])
    return result


def rows_of(run: SmallRun, schema: str, name: str) -> pd.DataFrame:
    table = tables.SERVED[name] if schema == "served" else STEP[name].outputs[0]
    return run.warehouse.read(StoredTable(schema, table), [run.days[-1].isoformat()])


@every_variant
def test_every_tick_has_the_first_bars_of_the_whole_day_and_their_indicators(
    variant: str, small_run: SmallRun, copied_run: SmallRun
) -> None:
    day = small_run.days[-1]
    minutes = small_run.warehouse.read(RAW, [day.isoformat()])
    whole = {
        name: rows_of(small_run, variant, name) for name in ("candles_5min", "indicators_5min")
    }
    for clock in ("09:20", "09:25", "12:05", "15:25", "15:31"):
        moment = at(day, clock)
        publish(copied_run.warehouse, RAW, day.isoformat(), received_at(minutes, moment))
        for name, expected in whole.items():
            assert not refresh(copied_run, name, variant, moment).cached
            ends = expected["timestamp"].dt.tz_localize(None) + FIVE_MINUTES
            expected = expected[ends <= moment].reset_index(drop=True)
            assert len(expected) >= 11
            pd.testing.assert_frame_equal(rows_of(copied_run, variant, name), expected)


def test_the_whole_day_is_computed_again_though_no_row_changed(copied_run: SmallRun) -> None:
    day = copied_run.days[-1]
    after = at(day, "16:00")
    before = rows_of(copied_run, "v2", "candles_5min")
    first = refresh(copied_run, "candles_5min", "v2", after)
    assert first.pointers["candles_5min"].inputs[AS_OF] == f"{day} 16:00"
    assert refresh(copied_run, "candles_5min", "v2", after).cached
    whole = refresh(copied_run, "candles_5min", "v2", None)
    assert not whole.cached
    assert AS_OF not in whole.pointers["candles_5min"].inputs
    pd.testing.assert_frame_equal(rows_of(copied_run, "v2", "candles_5min"), before)


def test_nothing_is_computed_from_a_session_that_was_not_finished(copied_run: SmallRun) -> None:
    earlier, day = copied_run.days[-2:]
    moment = at(earlier, "12:00")
    (half,) = StepRun(
        STEP["candles_5min"], V2, copied_run.warehouse, copied_run.settings, "t", IN_FULL, moment
    ).over([earlier])
    assert half.pointers["candles_5min"].inputs[AS_OF] == f"{earlier} 12:00"
    for as_of in (None, at(day, "12:00")):
        with pytest.raises(
            MissingPartition,
            match=f"needs v2.candles_5min of {earlier} as a whole day, but it was computed as of {earlier} 12:00",
        ):
            refresh(copied_run, "indicators_5min", "v2", as_of)


def test_what_is_served_says_that_the_session_was_under_way(copied_run: SmallRun) -> None:
    day = copied_run.days[-1]
    moment = at(day, "10:05")
    warehouse, rollout = copied_run.warehouse, copied_run.settings.rollout
    refresh(copied_run, "candles_5min", "v1", moment)
    assignment = assignment_of(tables.CANDLES_5MIN, Stage.SHADOW, warehouse, rollout)
    # V2 still has the whole day.
    with pytest.raises(MissingPartition, match=f"needs v2.candles_5min of {day} as of {day} 10:05"):
        list(serve_one(tables.CANDLES_5MIN, [day], Serving(assignment, []), warehouse, "t"))
    refresh(copied_run, "candles_5min", "v2", moment)
    (result,) = serve_one(
        tables.CANDLES_5MIN, [day], Serving(assignment, []), copied_run.warehouse, "t"
    )
    assert result.pointers["candles_5min"].inputs[AS_OF] == f"{day} 10:05"
    served = rows_of(copied_run, "served", "candles_5min")
    assert served["timestamp"].dt.time.max() == time(10, 0)


def test_a_tick_without_a_closed_bar_makes_a_partition_without_rows(copied_run: SmallRun) -> None:
    day = copied_run.days[-1]
    forget(copied_run.warehouse, StoredTable("v2", tables.CANDLES_5MIN), day)
    result = refresh(copied_run, "candles_5min", "v2", at(day, "09:17"))
    assert result.pointers["candles_5min"].rows == 0
    assert result.pointers["candles_5min"].note
