"""The stored self-test: a row per fault and control, an asset that writes it, and a check that can fail."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest

from setbull_pipelines.assets.checking import severity
from setbull_pipelines.assets.common import needs_warehouse
from setbull_pipelines.assets.self_test import SELF_TEST_KEY, build_self_test_asset
from setbull_pipelines.pipeline.judging import judge
from setbull_pipelines.pipeline.opening import warehouse_root
from setbull_pipelines.pipeline.self_testing import STORED, publish_self_test
from setbull_pipelines.quality.self_test import RULES
from setbull_pipelines.reconciliation.self_test import score
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import WHOLE
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.markets import computed_once

MOMENT = datetime(2026, 6, 30, 7, 0, tzinfo=ZoneInfo("Asia/Kolkata"))
(RULE,) = RULES


@pytest.fixture(scope="module")
def result() -> score.SelfTest:
    """A perfect self-test of four faults."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score, "MUTANTS", score.MUTANTS[:4])
        patch.setattr(score, "NOISE_SEEDS", (1,))
        patch.setattr(score, "computed_by", computed_once)
        return score.run_self_test()


def stored(result: score.SelfTest, folder: Path) -> Warehouse:
    warehouse = Warehouse(folder)
    publish_self_test(result, warehouse, MOMENT, "test")
    return warehouse


def verdict(warehouse: Warehouse):
    return judge([RULE], warehouse, Settings(), None)[RULE.name]


def test_every_fault_and_control_is_a_row(result: score.SelfTest, tmp_path: Path) -> None:
    rows = stored(result, tmp_path).read(STORED, [WHOLE])
    assert rows["kind"].tolist() == ["fault"] * 4 + ["control"] * len(result.controls)
    first = rows.iloc[0]
    assert (first["number"], first["name"]) == (1, "1 sample deviation")
    assert first["found_diagnosis"] == first["expected_diagnosis"]
    assert first["expected_diagnosis"].startswith("sample deviation (bb_upper, bb_lower, ")
    assert first["recorded_at"] == pd.Timestamp(MOMENT)
    assert rows[["caught", "diagnosed"]].all(axis=None)
    assert rows["code_version"].nunique() == 1
    found = verdict(stored(result, tmp_path))
    assert found.passed
    assert (
        found.description
        == f"caught 4 of 4 faults, diagnosed 4, false alarms 0 of {len(result.controls)}; by the rows of one "
        "trading day: visible 4, caught 4, named 4, misnamed 0"
    )
    # The nulls of the bands are in the first session only; the others show on any day.
    assert rows["visible_on"][:4].dt.strftime("%m-%d").tolist() == [
        "06-18",
        "06-03",
        "06-18",
        "06-18",
    ]
    assert rows["on_an_ordinary_day"][:4].tolist() == [True, False, True, True]
    assert rows["visible_on"][4:].isna().all()


def test_a_missed_or_misnamed_fault_and_a_false_alarm_fail_the_check(
    result: score.SelfTest, tmp_path: Path
) -> None:
    outcome, control = result.outcomes[0], result.controls[0]
    misnamed = replace(outcome, found=dict.fromkeys(outcome.found, "rounding"))
    worse = {
        "missed": replace(result, outcomes=(replace(outcome, state="pass"), *result.outcomes[1:])),
        "misnamed": replace(result, outcomes=(misnamed, *result.outcomes[1:])),
        "passed on its day": replace(
            result,
            outcomes=(
                replace(outcome, one_day=replace(outcome.one_day, state="pass", found={})),
                *result.outcomes[1:],
            ),
        ),
        "false alarm": replace(result, controls=(replace(control, state="diverged"),)),
        "no faults": replace(result, outcomes=()),
        "no controls": replace(result, controls=()),
    }
    for name, wrong in worse.items():
        found = verdict(stored(wrong, tmp_path / name))
        assert not found.passed, name
        assert severity(RULE, found) is dg.AssetCheckSeverity.ERROR
    missed = verdict(Warehouse(tmp_path / "missed"))
    assert missed.description.startswith("caught 3 of 4 faults, diagnosed 3")
    assert missed.description.endswith("first: 1 sample deviation, indicators_5min")


def test_a_self_test_that_never_ran_fails_the_check(tmp_path: Path) -> None:
    found = verdict(Warehouse(tmp_path))
    assert not found.passed
    assert "operations.self_test" in found.description


def test_the_asset_stores_the_score_and_shows_it(
    result: score.SelfTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("setbull_pipelines.assets.self_test.run_self_test", lambda: result)
    settings = Settings(data_directory=tmp_path)
    done = dg.materialize(
        [build_self_test_asset(settings)],
        resources=needs_warehouse(settings),
    )
    (event,) = done.get_asset_materialization_events()
    shown = event.materialization.metadata
    assert event.asset_key == SELF_TEST_KEY
    assert (shown["faults"].value, shown["diagnosed"].value) == (4, 4)
    assert "| fault | 1 sample deviation | indicators_5min | yes | yes |" in shown["score"].value
    (evaluation,) = done.get_asset_check_evaluations()
    assert evaluation.passed
    assert len(Warehouse(warehouse_root(settings)).read(STORED, [WHOLE])) == 4 + len(
        result.controls
    )
