"""Corporate actions and former keys in the engine: what they recompute, what they join, what they leave alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.pipeline import noise
from setbull_pipelines.pipeline.references import References
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines_tests.pipeline.announcements import ALIASES, KEY, alias, announce
from setbull_pipelines_tests.pipeline.carrying_out import STEP, carry_out, steps_recomputed
from setbull_pipelines_tests.pipeline.small_run import SmallRun, publish

OLD, OLDER = "NSE_EQ|OLD", "NSE_EQ|OLDER"
D1, D2, D3, D4 = (pd.Timestamp(f"2025-06-0{day}") for day in (2, 3, 4, 5))
ADJUSTED = [step for step in STEPS if step.is_adjusted]


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_a_new_action_recomputes_from_its_ex_date_on(variant: str, copied_run: SmallRun) -> None:
    first, second = copied_run.days
    announce(copied_run, second)
    assert steps_recomputed(copied_run, variant, first) == set()
    recomputed = steps_recomputed(copied_run, variant, second)
    assert recomputed >= {step.name for step in ADJUSTED}
    assert not recomputed & {"candles_5min", "candles_daily"}
    stored = StoredTable(variant, tables.MOVES_DAILY)
    moves = copied_run.warehouse.read(stored, [second.isoformat()])
    raw = copied_run.warehouse.read(
        StoredTable("raw", tables.CANDLES_DAILY_HISTORY),
        [day.date().isoformat() for day in moves.loc[moves["instrument_key"] == KEY, "move_day"]],
    )
    closes = raw[raw["instrument_key"] == KEY].sort_values("trading_day")["close"].tolist()
    found = moves.loc[moves["instrument_key"] == KEY, "close"].tolist()
    assert found == [*(close / 2 for close in closes[:-1]), closes[-1]]


@pytest.mark.parametrize(
    ("days_later", "key"),
    [(1, KEY), (-400, KEY), (0, "NSE_EQ|UNKNOWN")],
    ids=["announced for tomorrow", "before every bar", "of an instrument without bars"],
)
def test_an_action_that_divides_no_bar_recomputes_nothing(
    days_later: int, key: str, copied_run: SmallRun
) -> None:
    day = copied_run.days[-1]
    announce(copied_run, day + timedelta(days=days_later), key)
    assert steps_recomputed(copied_run, "v2", day) == set()


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_the_history_of_a_former_key_is_that_of_its_successor(
    variant: str, copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = copied_run.days[-1]
    stored = StoredTable(variant, tables.INDICATORS_DAILY)
    candles = StoredTable(variant, tables.CANDLES_DAILY)
    expected = copied_run.warehouse.read(stored, [day.isoformat()])
    sessions = copied_run.warehouse.partitions(candles)
    change = pd.Timestamp(sessions[-5])
    for session in sessions[:-5]:
        rows = copied_run.warehouse.read(candles, [session])
        renamed = rows.assign(
            instrument_key=rows["instrument_key"].replace({KEY: OLD}).astype("str")
        )
        publish(copied_run.warehouse, candles, session, tables.CANDLES_DAILY.conform(renamed))
    coverage = StoredTable("raw", tables.COVERAGE)
    starts = copied_run.warehouse.read(coverage, [WHOLE])
    own = starts[starts["instrument_key"] == KEY]
    former = own.assign(instrument_key=pd.Series(OLD, index=own.index, dtype="str"))
    starts.loc[own.index, "first_trading_day"] = change
    both = tables.COVERAGE.conform(pd.concat([starts, former]))
    publish(copied_run.warehouse, coverage, WHOLE, both)

    def indicators() -> pd.DataFrame:
        carry_out(STEP["indicators_daily"], variant, copied_run, [day])
        return copied_run.warehouse.read(stored, [day.isoformat()])

    alone = indicators()
    assert alone.loc[alone["instrument_key"] == KEY, "bars_of_history"].max() == 5
    publish(copied_run.warehouse, ALIASES, WHOLE, alias((OLD, KEY, change)))
    pd.testing.assert_frame_equal(indicators(), expected, check_exact=True)
    # The noise floor reads only the instruments of its sample, and must find their former keys.
    floors = noise.NoiseFloors(
        tables.INDICATORS_DAILY, [day], copied_run.warehouse, copied_run.settings
    )
    monkeypatch.setattr(floors, "_sample", lambda day: [KEY])
    _, frames = floors._inputs[day]
    read = frames["candles_daily"]
    assert set(read["instrument_key"]) == {KEY}
    bars = expected.loc[expected["instrument_key"] == KEY].set_index("series")["bars_of_history"]
    assert (read["series"] == "exchange").sum() == bars["exchange"]


def references(
    aliases: Sequence[tuple[str, str, pd.Timestamp]], actions: pd.DataFrame | None = None
) -> References:
    coverage = pd.DataFrame(
        {
            "instrument_key": [OLDER, OLD, KEY],
            "series": "exchange",
            "first_trading_day": [D1, D2, D3],
            "last_trading_day": D4,
            "rows": 1,
        }
    )
    stored = {
        "coverage": tables.COVERAGE.conform(coverage),
        "instrument_aliases": alias(*aliases),
        "corporate_actions": tables.CORPORATE_ACTIONS.empty() if actions is None else actions,
    }

    def read(table: StoredTable, partitions: Sequence[str]) -> pd.DataFrame:
        return stored[table.table.name]

    return References(SimpleNamespace(read=read))


def rows(*found: tuple[str, pd.Timestamp, int]) -> pd.DataFrame:
    return pd.DataFrame(found, columns=["instrument_key", "trading_day", "value"])


CHAIN = [(OLDER, OLD, D2), (OLD, KEY, D3)]


def test_a_chain_of_keys_is_followed_but_not_before_its_day() -> None:
    stored = rows((OLDER, D1, 1), (OLD, D2, 2), (KEY, D3, 3))
    linked = references(CHAIN)
    keys = {
        day: linked.under_current_keys(stored, day)["instrument_key"].tolist()
        for day in (D1, D2, D3)
    }
    assert keys == {D1: [OLDER, OLD, KEY], D2: [OLD, OLD, KEY], D3: [KEY, KEY, KEY]}
    assert linked.current_key(OLDER, D1, D3) == KEY
    assert linked.current_key(OLDER, D2, D3) == OLDER
    assert linked.with_former_keys([KEY], D3) == {KEY, OLD, OLDER}
    assert linked.with_former_keys([KEY], D2) == {KEY}


def test_a_day_that_the_new_key_has_itself_is_not_mixed() -> None:
    stored = rows((OLD, D1, 1), (OLD, D2, 2), (KEY, D2, 20), (KEY, D3, 30))
    found = references([(OLD, KEY, D3)]).under_current_keys(stored, D3)
    assert found.values.tolist() == [[KEY, D1, 1], [KEY, D2, 20], [KEY, D3, 30]]


def test_a_circle_of_aliases_ends() -> None:
    circle = references([(OLD, KEY, D2), (KEY, OLD, D3)])
    assert circle.current_key(OLD, D1, D4) == OLD


def test_a_listing_begins_with_its_first_key() -> None:
    step = STEP["indicators_daily"]
    starts = references(CHAIN).frames(step, D4)["history_starts"]
    assert starts.values.tolist() == [[KEY, "exchange", D1]]
    assert len(references(CHAIN).frames(step, D1)["history_starts"]) == 3


def test_an_action_counts_for_the_key_of_the_day_and_only_once() -> None:
    def action(key: str, ratio: float) -> dict[str, object]:
        return {
            "instrument_key": key,
            "ex_date": D3,
            "kind": "split",
            "ratio": ratio,
            "source": "a",
        }

    def known(*found: dict[str, object]) -> list[list[object]]:
        stored = tables.CORPORATE_ACTIONS.conform(pd.DataFrame(found))
        frames = references(CHAIN, stored).frames(STEP["moves_daily"], D3)
        return frames["corporate_actions"][["instrument_key", "ratio"]].values.tolist()

    assert known(action(OLD, 10.0)) == [[KEY, 10.0]]
    assert known(action(OLD, 5.0), action(KEY, 10.0)) == [[KEY, 10.0]]


def test_every_step_that_looks_back_is_adjusted(small_run: SmallRun) -> None:
    for step in STEPS:
        looks_back = any(item.look_back(small_run.settings) for item in step.inputs)
        assert step.is_adjusted == looks_back, step.name
