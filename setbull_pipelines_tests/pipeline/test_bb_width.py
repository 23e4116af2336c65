"""The band-width monitor in the warehouse: its latest session, what is told of it, a split inside the look-back."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from setbull_pipelines import tables, variants
from setbull_pipelines.alerts.bb_width import BandAlert, MonitoredSession
from setbull_pipelines.automation import noticing
from setbull_pipelines.automation.noticing import band_width_news
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.bb_width import latest_session
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.settings import RolloutSettings
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines_tests import stored as faults
from setbull_pipelines_tests.calendars import amended
from setbull_pipelines_tests.pipeline.small_run import SmallRun, publish

SERVED = StoredTable("served", tables.SERVED["bb_width_alerts"])


def stored(run: SmallRun, table: StoredTable, *days) -> pd.DataFrame:
    return run.warehouse.read(table, [day.isoformat() for day in days])


def with_alerts(run: SmallRun, table: StoredTable) -> pd.DataFrame:
    """Put an alert of every instrument at 10:15 into the last day."""
    day = run.days[-1]
    rows = stored(run, table, day)
    bar = pd.Timestamp(day).tz_localize(INDIA) + pd.Timedelta(hours=10, minutes=15)
    rows = rows.assign(
        alert_rule="threshold",
        alert_bar=pd.Series([bar] * len(rows)).dt.as_unit("us"),
        alert_bb_width=1.5,
        alert_distance_percent=0.05,
        alerting_bands=1,
    )
    publish(run.warehouse, table, day.isoformat(), rows)
    return rows


def test_the_latest_session_is_the_last_served_day_with_its_hours(copied_run: SmallRun) -> None:
    rows = with_alerts(copied_run, SERVED)
    found = latest_session(copied_run.warehouse, copied_run.settings)
    assert found.day == copied_run.days[-1]
    assert f"{found.opens_at:%H:%M %Z} {found.closes_at:%H:%M %Z}" == "09:15 IST 15:30 IST"
    assert [alert.instrument_key for alert in found.alerts] == rows["instrument_key"].to_list()
    assert {f"{alert.closed_at:%H:%M}" for alert in found.alerts} == {"10:20"}
    known = copied_run.warehouse.read(StoredTable("raw", tables.INSTRUMENTS), [WHOLE])
    symbols = known.set_index("instrument_key")["symbol"]
    assert [alert.symbol for alert in found.alerts] == symbols[rows["instrument_key"]].to_list()


def test_the_kill_switch_shows_the_alerts_of_v1(copied_run: SmallRun) -> None:
    with_alerts(copied_run, SERVED)
    killed = replace(copied_run.settings, rollout=RolloutSettings(kill=True))
    v1 = StoredTable("v1", tables.BB_WIDTH_ALERTS)
    widths = stored(copied_run, v1, copied_run.days[-1])["alert_bb_width"].dropna().to_list()
    found = latest_session(copied_run.warehouse, killed)
    assert [alert.width for alert in found.alerts] == widths
    assert len(widths) > 0
    assert 1.5 not in widths


def test_news_are_those_of_the_moment_and_none_of_history(copied_run: SmallRun) -> None:
    with_alerts(copied_run, SERVED)
    day = copied_run.days[-1]

    def news(moment: datetime) -> list[str]:
        found = band_width_news(copied_run.warehouse, copied_run.settings, moment)
        return [finding.key for finding in found]

    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(INDIA))
    assert len(news(noon)) == 12
    assert news(noon + timedelta(hours=8)) == [f"bb_width session {day}"]
    assert news(noon + timedelta(days=9)) == [f"bb_width session {day}"]
    assert news(noon + timedelta(days=30)) == []


def test_a_damaged_monitor_does_not_silence_the_other_alerts(copied_run: SmallRun) -> None:
    day = copied_run.days[-1]
    faults.damage(copied_run.warehouse, SERVED, str(day))
    moment = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(INDIA))
    assert band_width_news(copied_run.warehouse, copied_run.settings, moment) == []


def test_a_stored_day_that_the_calendar_file_closes_does_not_silence_the_other_alerts(
    small_run: SmallRun,
) -> None:
    day = small_run.days[-1]
    moment = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(INDIA))
    with amended(f"{day},holiday,,mourning"):
        assert band_width_news(small_run.warehouse, small_run.settings, moment) == []


def test_long_after_the_end_of_the_calendar_its_last_session_is_no_news(
    small_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = NSE.last_day
    alert = BandAlert("NSE_EQ|A", "squeeze", moment_of(last, 15), 1.0, 1.0, 0.0)
    session = MonitoredSession(
        last, moment_of(last, 9), moment_of(last, 15), moment_of(last, 16), (alert,)
    )
    monkeypatch.setattr(noticing, "latest_session", lambda *arguments: session)

    def news(days: int) -> int:
        moment = moment_of(last, 20) + timedelta(days=days)
        return len(band_width_news(small_run.warehouse, small_run.settings, moment))

    assert (news(0), news(3), news(60)) == (1, 1, 0)


def moment_of(day: date, hour: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=ZoneInfo(INDIA))


def test_without_a_run_there_is_no_session(tmp_path, small_run: SmallRun) -> None:
    empty = type(small_run.warehouse)(tmp_path)
    assert latest_session(empty, small_run.settings) is None


@pytest.mark.parametrize("variant", [variants.V1, variants.V2], ids=["V1", "V2"])
def test_widths_from_before_a_split_are_in_rupees_of_the_day(
    small_run: SmallRun, variant: variants.Variant
) -> None:
    """2 shares for 1 on the last day: the lowest width, found before it, is half as many rupees."""
    before, day = small_run.days
    (step,) = (step for step in STEPS if step.name == "bb_width_alerts")
    lane = variant.name
    frames = {
        "indicators_5min": stored(small_run, StoredTable(lane, tables.INDICATORS_5MIN), day),
        "bb_width_daily": stored(small_run, StoredTable(lane, tables.BB_WIDTH_DAILY), before),
    }
    key = frames["bb_width_daily"]["instrument_key"].iloc[0]
    split = tables.CORPORATE_ACTIONS.empty().drop(columns="source")
    split.loc[0, ["instrument_key", "kind"]] = [key, "split"]
    split = split.assign(ex_date=pd.Series([pd.Timestamp(day)]).astype("datetime64[us]"), ratio=2.0)

    def lowest(actions: pd.DataFrame) -> pd.Series:
        given = frames | {"corporate_actions": actions}
        (alerts,) = step.compute(variant, given, pd.Timestamp(day), small_run.settings)
        return alerts.set_index("instrument_key")["lowest_bb_width"]

    plain, halved = lowest(split.head(0)), lowest(split)
    assert plain.notna().all()
    assert halved[key] == plain[key] / 2
    others = plain.index != key
    pd.testing.assert_series_equal(halved[others], plain[others])
