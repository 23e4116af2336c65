"""Groups and plans as they are stored: of served bars, made again when something changed, of V1 under the switch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.pipeline.group_plans import plan_days, publish_groups, read_plan
from setbull_pipelines.pipeline.serving import read_served, served_table
from setbull_pipelines.quality.groups import GROUPS, PLAN, REFUSED
from setbull_pipelines.settings import GroupSettings, RolloutSettings, Settings
from setbull_pipelines.warehouse.errors import MissingPartition
from setbull_pipelines.warehouse.pointers import WHOLE
from setbull_pipelines_tests.pipeline.small_run import SmallRun, forget, publish

HEADER = "group_id,instrument_key,entry_type,stop_loss_percent,direction,position_type\n"


def keys_of(run: SmallRun) -> list[str]:
    rows = run.warehouse.read(served_table(tables.CANDLES_5MIN), [run.days[-1].isoformat()])
    return sorted(rows["instrument_key"].unique())


@pytest.fixture
def settings(copied_run: SmallRun, tmp_path: Path) -> Settings:
    """Settings of the run with a file of two groups and one bad row."""
    first, second = keys_of(copied_run)[:2]
    path = tmp_path / "groups.csv"
    path.write_text(
        f"{HEADER}morning,{first},1ST_ENTRY,0.5,LONG,\nmorning,{second},1ST_ENTRY,1,SHORT,FIXED\n"
        f"afternoon,{first},2_30_ENTRY,0.5,LONG,\nmorning,{first},1ST_ENTRY,0.5,,\n"
    )
    return replace(
        copied_run.settings,
        groups=GroupSettings(file=str(path), first_entry_risk=5000.0, second_entry_risk=5000.0),
    )


def test_the_plan_is_made_of_served_bars(copied_run: SmallRun, settings: Settings) -> None:
    store, day = copied_run.warehouse, copied_run.days[-1]
    publish_groups(store, settings, "run")
    assert len(store.read(GROUPS, [WHOLE])) == 3
    assert store.read(REFUSED, [WHOLE])["line"].tolist() == [5]

    (result,) = plan_days([day], store, settings, "run")
    assert not result.cached
    plan = read_plan(day, store, settings).set_index(["group_id", "instrument_key"])
    bars = read_served(tables.CANDLES_5MIN, [day], store, settings.rollout)
    first, second = keys_of(copied_run)[:2]
    for group, key, clock, column in (
        ("morning", first, "09:15", "high"),
        ("morning", second, "09:15", "low"),
        ("afternoon", first, "14:30", "high"),
    ):
        at = pd.Timestamp(f"{day} {clock}", tz="Asia/Kolkata")
        (bar,) = bars[(bars["instrument_key"] == key) & (bars["timestamp"] == at)].itertuples()
        row = plan.loc[(group, key)]
        assert row["is_planned"], row["reason"]
        assert row["entry_price"] == getattr(bar, column)
        assert row["entry_time"] == at + pd.Timedelta(minutes=5)
    assert (plan["indicators_day"] == pd.Timestamp(copied_run.days[-2])).all()

    (again,) = plan_days([day], store, settings, "another")
    assert again.cached
    other = replace(settings, groups=replace(settings.groups, first_entry_risk=9000.0))
    (changed,) = plan_days([day], store, other, "another")
    assert not changed.cached


def test_without_a_file_there_are_no_groups_and_no_rows(copied_run: SmallRun) -> None:
    store, day = copied_run.warehouse, copied_run.days[-1]
    pointers = publish_groups(store, copied_run.settings, "run")
    assert pointers["stock_groups"].note == "no groups: the setting groups.file names no file"
    (result,) = plan_days([day], store, copied_run.settings, "run")
    assert result.pointers[PLAN.table.name].rows == 0


def test_under_the_kill_switch_the_plan_is_made_of_v1(
    copied_run: SmallRun, settings: Settings
) -> None:
    store, day = copied_run.warehouse, copied_run.days[-1]
    publish_groups(store, settings, "run")
    stored = served_table(tables.CANDLES_5MIN)
    rows = store.read(stored, [day.isoformat()])
    publish(store, stored, day.isoformat(), rows.assign(high=rows["high"] + 7))
    list(plan_days([day], store, settings, "run"))

    of_v1 = replace(settings, rollout=RolloutSettings(kill=True))
    entries = [read_plan(day, store, each)["entry_price"] for each in (settings, of_v1)]
    longs = read_plan(day, store, settings)["direction"] == "LONG"
    assert ((entries[0] - entries[1])[longs].round(6) == 7).all()


def test_a_session_before_that_was_never_served_is_a_reason(
    copied_run: SmallRun, settings: Settings
) -> None:
    store, (before, day) = copied_run.warehouse, copied_run.days[-2:]
    publish_groups(store, settings, "run")
    forget(store, served_table(tables.INDICATORS_DAILY), before)
    list(plan_days([day], store, settings, "run"))
    plan = read_plan(day, store, settings)
    assert plan["is_planned"].all()
    assert set(plan["range_reason"]) == {f"there is no daily bar with indicators of {before}"}


def test_a_session_that_is_made_late_is_in_the_plan_of_the_next_one(
    copied_run: SmallRun, settings: Settings
) -> None:
    store, (before, day) = copied_run.warehouse, copied_run.days[-2:]
    publish_groups(store, settings, "run")
    list(plan_days([before, day], store, settings, "run"))
    in_order = read_plan(day, store, settings)
    served = served_table(tables.INDICATORS_DAILY)
    rows = store.read(served, [before.isoformat()])
    forget(store, served, before)
    list(plan_days([day], store, settings, "run"))
    assert not read_plan(day, store, settings).equals(in_order)

    publish(store, served, before.isoformat(), rows)
    results = plan_days([before], store, settings, "run")
    assert [(result.day, result.cached) for result in results][-1] == (day, False)
    pd.testing.assert_frame_equal(read_plan(day, store, settings), in_order)
    assert all(result.cached for result in plan_days([before], store, settings, "run"))


def test_a_day_without_served_candles_is_not_planned(
    copied_run: SmallRun, settings: Settings
) -> None:
    store, day = copied_run.warehouse, copied_run.days[-1]
    publish_groups(store, settings, "run")
    forget(store, served_table(tables.CANDLES_5MIN), day)
    with pytest.raises(MissingPartition, match=r"served\.candles_5min"):
        list(plan_days([day], store, settings, "run"))
