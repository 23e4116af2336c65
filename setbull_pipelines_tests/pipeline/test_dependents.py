"""How far a correction reaches."""

from __future__ import annotations

from datetime import date

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.dependents import (
    depending,
    reach,
    sessions_of_changed_facts,
    sessions_of_changed_files,
)
from setbull_pipelines.pipeline.references import FactsTakenIn, References
from setbull_pipelines.settings import LookBackSettings, Settings
from setbull_pipelines_tests.moments import LATER
from setbull_pipelines_tests.pipeline.small_run import SmallRun

SETTINGS = Settings(
    look_back=LookBackSettings(sessions_5min=2, sessions_daily=60, sessions_moves=21)
)
SESSIONS = NSE.trading_days(date(2025, 1, 1), date(2025, 12, 31))


def test_indicators_reach_over_their_look_back_and_moves_over_theirs_in_addition() -> None:
    assert reach(SETTINGS) == 60 + 21


def test_what_is_stored_within_reach_depends_on_a_correction() -> None:
    stored = set(SESSIONS[5:200]) - {SESSIONS[20]}
    found = depending({SESSIONS[10]}, stored, SETTINGS)
    assert found == [*SESSIONS[10:20], *SESSIONS[21 : 10 + 81 + 1]]
    assert depending({SESSIONS[3]}, stored, SETTINGS) == []
    assert depending({SESSIONS[199], SESSIONS[220]}, stored, SETTINGS) == [SESSIONS[199]]
    assert depending({SESSIONS[10]}, set(), SETTINGS) == []
    # A hole that is filled is a correction for those that looked back over it.
    assert depending({SESSIONS[20]}, stored, SETTINGS)[0] == SESSIONS[21]


def files(*rows: tuple[str, str, str | None, str | None]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["source", "content_hash", "first_day", "last_day"])
    days = {name: pd.to_datetime(frame[name]) for name in ("first_day", "last_day")}
    of_all = {
        "kind": "daily",
        "reason": None,
        "taken_for": None,
        "received": 1,
        "assigned": 1,
        "unassigned": 0,
    }
    return tables.INTAKE.conform(frame.assign(**days, **of_all, ingested_at=pd.Timestamp(LATER)))


def test_changed_new_and_removed_files_touch_the_sessions_between_their_days() -> None:
    before = files(
        ("same.csv", "1", "2025-06-02", "2025-06-06"),
        ("changed.csv", "2", "2025-06-09", "2025-06-09"),
        ("removed.csv", "3", "2025-06-12", "2025-06-13"),
    )
    after = files(
        ("same.csv", "1", "2025-06-02", "2025-06-06"),
        ("changed.csv", "4", "2025-06-10", "2025-06-10"),
        ("list.csv", "5", None, None),
    )
    expected = {date(2025, 6, day) for day in (9, 10, 12, 13)}
    assert sessions_of_changed_files(before, after) == expected
    assert sessions_of_changed_files(before, before) == set()


def test_a_new_action_or_alias_touches_the_stored_sessions_from_its_day_on(
    small_run: SmallRun,
) -> None:
    intake, (first, last) = small_run.intake, small_run.days
    known = intake.corporate_actions
    keys = sorted(intake.coverage["instrument_key"].unique())

    def touched(actions: pd.DataFrame = known, aliases: pd.DataFrame | None = None) -> list[date]:
        aliases = intake.instrument_aliases if aliases is None else aliases
        facts = References(FactsTakenIn(intake.coverage, actions, aliases))
        return sessions_of_changed_facts(facts, small_run.warehouse, small_run.settings)

    def and_one(key: str, day: date, kind: str = "split") -> pd.DataFrame:
        row = (key, pd.Timestamp(day), kind, 2.0, "test")
        added = pd.DataFrame([row], columns=tables.CORPORATE_ACTIONS.column_names)
        return tables.CORPORATE_ACTIONS.conform(pd.concat([known, added]))

    assert touched() == []
    assert touched(and_one(keys[0], first)) == [first, last]
    assert touched(and_one(keys[0], last)) == [last]
    assert touched(and_one(keys[0], NSE.next(last))) == []
    assert touched(and_one("NSE_EQ|NOBODY", last)) == []
    assert touched(known.iloc[:0]) == [first, last]
    alias = (keys[0], "NSE_EQ|NEW", pd.Timestamp(last), "test")
    aliases = pd.DataFrame([alias], columns=tables.INSTRUMENT_ALIASES.column_names)
    assert touched(aliases=tables.INSTRUMENT_ALIASES.conform(aliases)) == [last]
