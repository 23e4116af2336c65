"""The rule about served tables sees every way in which an instrument can get the wrong rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.pipeline import serving
from setbull_pipelines.pipeline.judging import judge
from setbull_pipelines.pipeline.rollout_log import read_log
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.pipeline.serving_days import serve_one
from setbull_pipelines.pipeline.stage_decisions import evaluate, record_actions, serving_of
from setbull_pipelines.quality.served import RULES
from setbull_pipelines.quality.verdict import Verdict
from setbull_pipelines.rollout.bucketing import Variant
from setbull_pipelines.rollout.controller import Verdict as Action
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import RolloutSettings, Settings
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.moments import LATER
from setbull_pipelines_tests.pipeline.small_run import SmallRun, failed, publish, reconciled

RULE = next(
    rule
    for rule in RULES
    if rule.table.name == "served.candles_5min" and rule.name == "one_variant_per_instrument"
)


def lane(keys: str, price: float) -> pd.DataFrame:
    """Two bars of each instrument."""
    return pd.DataFrame(
        {
            "instrument_key": [key for key in keys for _ in range(2)],
            "timestamp": [1, 2] * len(keys),
            "close": price,
        }
    ).astype({"instrument_key": "str", "timestamp": "int64", "close": "float64"})


def judged(served: pd.DataFrame) -> Verdict:
    frames = {
        "v1.candles_5min": lane("abc", 10.0),
        "v2.candles_5min": lane("bcd", 20.0),
        "served.candles_5min": served,
    }
    return RULE.judge(frames, pd.Timestamp("2026-03-02"), Settings())


def served(v1: str, v2: str) -> pd.DataFrame:
    parts = (lane(v1, 10.0).assign(variant="v1"), lane(v2, 20.0).assign(variant="v2"))
    return pd.concat(parts).sort_values(["instrument_key", "timestamp"], ignore_index=True)


@pytest.mark.parametrize(("v1", "v2"), [("abc", ""), ("a", "bc"), ("a", "bcd"), ("ac", "b")])
def test_whole_series_of_either_variant_pass(v1: str, v2: str) -> None:
    verdict = judged(served(v1, v2))
    assert verdict.passed, verdict.description
    assert verdict.metadata["instruments from V2"] == len(v2)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda frame: frame.assign(variant=["v1", "v2", *frame["variant"][2:]]), "1 of two"),
        (lambda frame: frame.iloc[2:], "1 of V1 not served"),
        (lambda frame: frame.iloc[1:], "rows differ from those of: v1.candles_5min"),
        (lambda frame: frame.assign(variant="v1"), "rows differ from those of: v1.candles_5min"),
        (lambda frame: frame.assign(close=10.0), "rows differ from those of: v2.candles_5min"),
    ],
    ids=["mixed", "forgotten", "a bar short", "wrong label", "wrong value"],
)
def test_a_spoilt_series_fails_and_says_how(
    spoil: Callable[[pd.DataFrame], pd.DataFrame], words: str
) -> None:
    verdict = judged(spoil(served("a", "bc")))
    assert not verdict.passed
    assert words in verdict.description


def decided(run: SmallRun, settings: Settings) -> dict[str, Verdict]:
    """The verdict of the rule on each of the served tables, on the last day."""
    day = run.days[-1]
    return {
        rule.table.table.name: judge([rule], run.warehouse, settings, day)[rule.name]
        for rule in RULES
        if rule.name == "variant_as_decided"
    }


def served_at(run: SmallRun, stage: Stage, settings: Settings) -> None:
    """Every component at ``stage``, judged and served on the last day."""
    day, warehouse = run.days[-1], run.warehouse
    record_actions(
        *(list(Component), Action.FORCED, "Asha", "a test"),
        *(warehouse, settings, lambda: LATER, stage),
    )
    evaluate([day], warehouse, settings, lambda: LATER, "test")
    log = read_log(warehouse)
    for table in tables.COMPUTED_TABLES:
        if table.name in tables.SERVED:
            asked = serving_of(table, log, warehouse, settings.rollout)
            list(serve_one(table, [day], asked, warehouse, "test"))


@pytest.mark.parametrize("stage", [Stage.OFF, Stage.SHADOW, Stage.FIFTY, Stage.FULL])
def test_what_is_served_by_the_rollout_holds(stage: Stage, copied_run: SmallRun) -> None:
    served_at(copied_run, stage, copied_run.settings)
    found = decided(copied_run, copied_run.settings)
    assert set(found) == set(tables.SERVED)
    for name, verdict in found.items():
        assert verdict.passed, (name, verdict.description)
        assert verdict.metadata["instruments"] > 0


@pytest.mark.parametrize("stage", [Stage.OFF, Stage.SHADOW, Stage.TEN, Stage.FIFTY])
def test_serving_v2_always_is_seen_on_every_table(
    stage: Stage, copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        serving.Assignment, "variants", lambda self, keys: [Variant.V2 for _ in keys]
    )
    monkeypatch.setattr(serving.Assignment, "hash", "V2 always")
    monkeypatch.setattr(serving, "withheld", lambda *arguments: None)
    served_at(copied_run, stage, copied_run.settings)
    monkeypatch.undo()
    for name, verdict in decided(copied_run, copied_run.settings).items():
        rows = copied_run.warehouse.read(
            served_table(next(t for t in tables.COMPUTED_TABLES if t.name == name)),
            [str(copied_run.days[-1])],
        )
        assert set(rows["variant"]) == {"v2"}, name
        assert not verdict.passed, name
        assert verdict.metadata["instruments against the rollout"] > 0
        assert "from v2" in verdict.description


def test_v2_of_a_session_on_which_it_differs_is_against_the_rollout_at_every_stage(
    copied_run: SmallRun,
) -> None:
    served_at(copied_run, Stage.FULL, copied_run.settings)
    day, table = copied_run.days[-1], tables.INDICATORS_5MIN
    frame = copied_run.warehouse.read(StoredTable("v2", table), [str(day)])
    publish(
        *(copied_run.warehouse, StoredTable("v2", table), str(day)),
        frame.assign(ema_50=frame["ema_50"] * 1.01),
    )
    reconciled(copied_run, table, day)
    found = decided(copied_run, copied_run.settings)
    assert not found["indicators_5min"].passed
    assert "V2 diverged" in found["indicators_5min"].description
    assert found["indicators_daily"].passed


def test_the_kill_switch_and_overrides_are_part_of_it(copied_run: SmallRun) -> None:
    served_at(copied_run, Stage.FULL, copied_run.settings)
    killed = replace(copied_run.settings, rollout=RolloutSettings(kill=True))
    assert {verdict.passed for verdict in decided(copied_run, killed).values()} == {False}
    rows = copied_run.warehouse.read(served_table(tables.CANDLES_DAILY), [str(copied_run.days[-1])])
    key = rows["instrument_key"].iloc[0]
    forced = replace(copied_run.settings, rollout=RolloutSettings(force_v1=(key,)))
    verdict = decided(copied_run, forced)["candles_daily"]
    assert verdict.metadata["instruments against the rollout"] == 1
    assert f"{key} from v2" in verdict.description


def test_an_instrument_that_v2_has_no_row_of_is_rightly_from_v1(copied_run: SmallRun) -> None:
    key = copied_run.warehouse.read(
        StoredTable("v2", tables.CANDLES_DAILY), [str(copied_run.days[-1])]
    )["instrument_key"].iloc[0]
    failed(copied_run, "v2", [tables.CANDLES_DAILY], key, copied_run.days[-1])
    served_at(copied_run, Stage.FULL, copied_run.settings)
    rows = copied_run.warehouse.read(served_table(tables.CANDLES_DAILY), [str(copied_run.days[-1])])
    assert set(rows.loc[rows["instrument_key"] == key, "variant"]) == {"v1"}
    assert decided(copied_run, copied_run.settings)["candles_daily"].passed
