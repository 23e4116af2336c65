"""The log of live bars: each bar once, in order, nothing silent, nothing lost, and the same whoever is killed when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from setbull_pipelines import tables
from setbull_pipelines.pipeline import candle_events
from setbull_pipelines.pipeline.candle_events import EVENTS, events_after, events_of, last_event
from setbull_pipelines.pipeline.repairing import make_again
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.settings import LiveSettings
from setbull_pipelines.tables.live import CANDLE, OF_BAR, REMOVAL, REVISION
from setbull_pipelines.variants import V1
from setbull_pipelines.warehouse.errors import DamagedPartition, MissingPartition
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.pipeline.live_session import LiveSession
from setbull_pipelines_tests.pipeline.small_run import SmallRun

BAR = ["instrument_key", "timestamp"]
VALUES = [column.name for column in OF_BAR]


@pytest.fixture
def session(copied_run: SmallRun) -> LiveSession:
    return LiveSession(copied_run)


def times(events: pd.DataFrame) -> list[str]:
    return [f"{moment:%H:%M}" for moment in events["timestamp"]]


def test_every_closed_bar_is_an_event_once_with_indicators_and_band_width(
    session: LiveSession,
) -> None:
    session.tick("09:30")
    session.tick("09:30")
    session.tick("09:40")
    events = session.events()
    assert list(events["event_id"]) == list(range(1, len(events) + 1))
    assert set(events["event"]) == {CANDLE}
    assert not events.duplicated(BAR).any()
    assert sorted(set(times(events))) == ["09:15", "09:20", "09:25", "09:30", "09:35"]
    for _, of_instrument in events.groupby("instrument_key"):
        assert of_instrument["timestamp"].is_monotonic_increasing
    candles, values, widths = (session.whole[table.name] for table in candle_events.READ)
    both = events.merge(candles, on=BAR, suffixes=("", "_stored")).merge(
        values, on=BAR, suffixes=("", "_computed")
    )
    assert len(both) == len(events)
    assert (both["close"] - both["close_stored"]).abs().max() <= 0.005
    assert (both["rsi"] - both["rsi_computed"]).abs().max() <= 0.005 + 1e-9
    assert (both["bb_width"] - both["bb_width_computed"]).abs().max() <= 0.005 + 1e-9
    lowest = widths.set_index("instrument_key")["lowest_bb_width"]
    found = events.set_index("instrument_key")["lowest_bb_width"]
    assert (found - lowest.reindex(found.index)).abs().max() <= 0.005 + 1e-9
    # What the monitor says is of the newest bar of each look.
    told = events[events["bb_width_trend"].notna()]
    assert set(times(told)) == {"09:25", "09:35"}


def test_a_correction_is_a_revision_and_never_silent(session: LiveSession) -> None:
    session.tick("09:30")
    before = session.events()
    key = before["instrument_key"].iloc[0]

    def corrected(name: str, rows: pd.DataFrame) -> pd.DataFrame:
        if name != tables.CANDLES_5MIN.name:
            return rows
        is_bar = (rows["instrument_key"] == key) & (
            rows["timestamp"].dt.strftime("%H:%M") == "09:20"
        )
        return rows.assign(
            close=rows["close"].where(~is_bar, rows["low"]), volume=rows["volume"].where(~is_bar, 7)
        )

    session.tick("09:35", change=corrected)
    events = session.events()
    pd.testing.assert_frame_equal(events.head(len(before)), before)
    revisions = events[events["event"] == REVISION]
    assert revisions[["instrument_key", "revision", "volume"]].values.tolist() == [[key, 2, 7]]
    assert times(revisions) == ["09:20"]
    # Back to what it was: told again, by a higher number.
    session.tick("09:35")
    last = session.events().iloc[-1]
    assert (last["event"], last["revision"]) == (REVISION, 3)
    assert last["volume"] == before.loc[(before["instrument_key"] == key), "volume"].iloc[1]


def test_a_bar_that_goes_is_removed_and_one_that_comes_late_is_a_revision(
    session: LiveSession,
) -> None:
    key = session.whole[tables.CANDLES_5MIN.name]["instrument_key"].iloc[0]

    def without(name: str, rows: pd.DataFrame) -> pd.DataFrame:
        if "timestamp" not in rows:
            return rows
        is_bar = (rows["instrument_key"] == key) & (
            rows["timestamp"].dt.strftime("%H:%M") == "09:20"
        )
        return rows[~is_bar]

    session.tick("09:30", change=without)
    session.tick("09:30")
    session.tick("09:35", change=without)
    events = session.events()
    of_bar = events[(events["instrument_key"] == key) & (np.array(times(events)) == "09:20")]
    assert list(of_bar["event"]) == [REVISION, REMOVAL]
    assert list(of_bar["revision"]) == [1, 2]
    assert of_bar[VALUES].iloc[1].isna().all()
    assert of_bar["close"].notna().iloc[0]


def test_a_session_that_was_not_refreshed_while_it_traded_has_no_events(
    session: LiveSession,
) -> None:
    session.record(is_under_way=False)
    assert session.warehouse.partitions(EVENTS) == []
    assert last_event(session.warehouse) == 0
    assert events_after(session.warehouse, 0).empty


def test_the_run_after_the_close_sends_the_rest_and_no_bar_again(session: LiveSession) -> None:
    session.tick("15:00")
    before = len(session.events())
    session.serve(None)
    session.record(is_under_way=False)
    events = session.events()
    assert set(events["event"]) == {CANDLE}
    assert set(times(events.iloc[before:])) == {
        "15:00",
        "15:05",
        "15:10",
        "15:15",
        "15:20",
        "15:25",
    }
    assert len(events) == len(session.whole[tables.CANDLES_5MIN.name])


def test_which_variant_serves_makes_no_event(session: LiveSession) -> None:
    for variant in ("v2", "v1"):
        for table in candle_events.READ:
            rows = session.warehouse.read(StoredTable(variant, table), [session.key])
            session.whole[table.name] = served_table(table).table.conform(
                rows.assign(variant=variant)
            )
        session.tick("12:00")
    assert set(session.events()["event"]) == {CANDLE}
    assert V1.name in set(
        session.warehouse.read(served_table(tables.CANDLES_5MIN), [session.key])["variant"]
    )


def test_numbers_go_on_over_sessions_and_a_correction_of_an_earlier_one_comes_last(
    copied_run: SmallRun,
) -> None:
    earlier = LiveSession(copied_run, copied_run.days[0])
    earlier.tick("09:25")
    first = last_event(earlier.warehouse)
    later = LiveSession(copied_run)
    later.tick("09:20")
    second = last_event(later.warehouse)
    assert second > first > 0
    earlier.serve(
        "09:25",
        lambda name, rows: (
            rows.assign(volume=rows["volume"] + 1) if name == tables.CANDLES_5MIN.name else rows
        ),
    )
    # Whatever day a run is about.
    later.record()
    events = events_after(later.warehouse, 0)
    assert list(events["event_id"]) == list(range(1, 2 * first + second - first + 1))
    tail = events.iloc[second:]
    assert set(tail["event"]) == {REVISION}
    assert set(tail["trading_day"]) == {pd.Timestamp(earlier.day)}
    some = events_after(later.warehouse, first, 3, [events["instrument_key"].iloc[0]])
    assert (some["event_id"] > first).all()
    assert some["instrument_key"].nunique() == 1


def test_events_of_old_sessions_are_given_up_and_a_reader_is_told(copied_run: SmallRun) -> None:
    settings = replace(copied_run.settings, live=LiveSettings(sessions_kept=1))
    run = replace(copied_run, settings=settings)
    earlier, later = LiveSession(run, run.days[0]), LiveSession(run)
    earlier.tick("09:25")
    last = last_event(run.warehouse)
    later.tick("09:20")
    with pytest.raises(MissingPartition, match=f"go on after event {last}$"):
        events_after(run.warehouse, 3)
    assert len(events_after(run.warehouse, last)) == last_event(run.warehouse) - last
    later.tick("09:25")
    assert last_event(run.warehouse) > last


def test_a_log_that_is_damaged_begins_anew_with_higher_numbers(session: LiveSession) -> None:
    session.tick("09:25")
    last = last_event(session.warehouse)
    (file,) = session.warehouse.files(EVENTS, [session.key])
    file.write_bytes(file.read_bytes()[:-1] + b"X")
    session.warehouse = Warehouse(session.warehouse.root)
    with pytest.raises(DamagedPartition):
        session.events()
    make_again(EVENTS, session.key, session.warehouse, session.run.settings, "test")
    events = session.events()
    assert events["event_id"].min() == last + 1
    assert len(events) == last


def test_tables_of_different_moments_are_refused(session: LiveSession) -> None:
    session.serve("09:30")
    widths = served_table(tables.BB_WIDTH_ALERTS)
    rows = session.warehouse.read(widths, [session.key])
    session.warehouse.publish(
        widths, session.key, rows, code_version="t", settings_hash="t", inputs={}, run_id="t"
    )
    with pytest.raises(MissingPartition, match="as of"):
        session.record()


def test_a_run_that_is_killed_before_its_events_are_stored_loses_none_and_repeats_none(
    session: LiveSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.tick("09:20")
    with monkeypatch.context() as patched:
        patched.setattr(candle_events, "events_of", _killed)
        with pytest.raises(KeyboardInterrupt):
            session.tick("09:25")
    assert set(times(session.events())) == {"09:15"}
    session.tick("09:30")
    events = session.events()
    assert set(times(events)) == {"09:15", "09:20", "09:25"}
    assert not events.duplicated(BAR).any()


def _killed(*_: object) -> pd.DataFrame:
    raise KeyboardInterrupt


BARS = st.dictionaries(
    st.tuples(st.sampled_from(["A", "B", "C"]), st.integers(0, 5)),
    st.tuples(st.integers(1, 3), st.booleans()),
    max_size=12,
)


def frame(bars: dict[tuple[str, int], tuple[int, bool]]) -> pd.DataFrame:
    """Bars by instrument and place in the session, with a close and a monitor that speaks of them or not."""
    start = pd.Timestamp("2026-06-30 09:15", tz="Asia/Kolkata")
    rows = (
        EVENTS.table.empty()
        .drop(columns=["event_id", "event", "revision"])
        .reindex(range(len(bars)))
    )
    keys = sorted(bars)
    rows["instrument_key"] = [key for key, _ in keys]
    moments = pd.DatetimeIndex([start + pd.Timedelta(minutes=5 * place) for _, place in keys])
    rows["timestamp"] = moments if len(keys) else rows["timestamp"]
    rows["trading_day"] = pd.Timestamp("2026-06-30")
    rows["close"] = [float(bars[key][0]) for key in keys]
    is_newest = np.array([bars[key][1] for key in keys], dtype=bool)
    rows["candles_in_range"] = pd.array([1 if newest else None for newest in is_newest], "Int64")
    return rows.assign(is_newest=is_newest)


@settings(max_examples=20, deadline=None)
@given(st.lists(BARS, min_size=1, max_size=4))
def test_the_fold_of_the_events_is_what_is_served(looks: list[dict]) -> None:
    log = EVENTS.table.empty()
    for look in looks:
        served = frame(look)
        events = events_of(log, served, len(log))
        log = pd.concat([log, events], ignore_index=True) if len(log) else events
        assert list(log["event_id"]) == list(range(1, len(log) + 1))
        assert events_of(log, served, len(log)).empty
        current = log.drop_duplicates(BAR, keep="last")
        current = current[current["event"] != REMOVAL].sort_values(BAR)
        assert current[[*BAR, "close"]].values.tolist() == served[[*BAR, "close"]].values.tolist()
    for _, of_bar in log.groupby(BAR):
        assert list(of_bar["revision"]) == list(range(1, len(of_bar) + 1))
    for _, of_instrument in log[log["event"] == CANDLE].groupby("instrument_key"):
        moments = of_instrument["timestamp"]
        assert moments.is_monotonic_increasing
        assert moments.is_unique
