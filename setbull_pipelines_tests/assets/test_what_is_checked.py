"""What is checked: every rule, also on days that are served again; and of a part of V1 what can be."""

from __future__ import annotations

import dagster as dg
import pytest

from setbull_pipelines import tables
from setbull_pipelines.assets.common import asset_key
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.pipeline.fetching import STORED as FETCHES
from setbull_pipelines.pipeline.lanes import part_of
from setbull_pipelines.pipeline.self_testing import STORED as SELF_TEST
from setbull_pipelines.quality.rules import all_rules
from setbull_pipelines.rollout.stages import Stage
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.assets.judge import Judge, by_day, stored_evaluations
from setbull_pipelines_tests.pipeline.small_run import (
    PROVENANCE,
    SmallRun,
    cut_back_v1,
    publish_part,
)


def test_there_is_a_check_for_every_rule(tmp_path) -> None:
    graph = build_defs(Settings(data_directory=tmp_path)).resolve_asset_graph()
    keys = {(key.asset_key, key.name) for key in graph.asset_check_keys}
    assert keys == {
        (asset_key(table), rule.name) for table, rules in all_rules().items() for rule in rules
    }


def test_the_finished_run_has_one_verdict_per_rule_and_tells_each_day(
    small_run: SmallRun,
) -> None:
    outcome = small_run.outcome
    assert outcome.failed_checks == []
    # The first session that is stored has none before it: a rule about those is not judged, and does not pass.
    assert [check.check_name for check in outcome.warnings] == ["shares_are_usual"]
    judged = [(check.asset_key, check.check_name) for check in outcome.checks]
    # The self-test has a job of its own.
    of_the_day = {
        table: rules for table, rules in all_rules().items() if table not in (SELF_TEST, FETCHES)
    }
    assert len(of_the_day) == len(all_rules()) - 2
    rules = [(table, rule) for table, rules in of_the_day.items() for rule in rules]
    assert sorted(judged) == sorted((asset_key(table), rule.name) for table, rule in rules)
    for table, rule in rules:
        key = dg.AssetCheckKey(asset_key(table), rule.name)
        (told,) = (check for check in outcome.checks if check.asset_check_key == key)
        if not table.table.partitioned:
            assert set(stored_evaluations(small_run.instance, key)) == {(None, True)}
            continue
        # Shares are held against the sessions before; there is none before the first.
        first = 1 if rule.name == "shares_are_usual" else 0
        expected = {str(day): place >= first for place, day in enumerate(small_run.days)}
        assert {day: said["passed"] for day, said in by_day(told).items()} == expected
        own = [(day, False) for day, passed in expected.items() if not passed]
        assert stored_evaluations(small_run.instance, key) == [(None, not own), *own]


@pytest.mark.parametrize(
    ("stage", "reason"),
    [(Stage.SAMPLED, "V1 ran on sample "), (Stage.RETIRED, "V1 is retired")],
)
def test_a_part_of_v1_is_held_to_its_contract_and_not_against_whole_tables(
    stage: Stage, reason: str, copied_run: SmallRun
) -> None:
    day = copied_run.days[0]
    cut_back_v1(copied_run, tables.CANDLES_5MIN, stage, day)
    evaluations = Judge(copied_run.settings).over([day])
    # They read the minutes, of which V1 saw a part: what was traded, and how long the instrument trades.
    for name in ("session_conserved", "bars_follow_from_minutes", "in_session"):
        against_minutes = evaluations.pop(name)
        assert not against_minutes.passed
        assert against_minutes.severity is dg.AssetCheckSeverity.WARN
        assert against_minutes.description.startswith(f"not judged: {reason}")
    assert all(check.passed for check in evaluations.values())
    # Nor can a whole table be held against the part of another.
    indicators = StoredTable("v1", tables.INDICATORS_5MIN)
    per_candle = Judge(copied_run.settings, indicators).over([day])["one_row_per_candle"]
    assert not per_candle.passed
    assert per_candle.severity is dg.AssetCheckSeverity.WARN
    assert per_candle.description.endswith("(v1.candles_5min)")


def test_days_that_are_served_again_besides_are_judged_too(copied_run: SmallRun) -> None:
    served = StoredTable("served", tables.SERVED["candles_daily"])
    first, second = copied_run.days
    # Asked for the second day, the lane serves the first again, and loses a row of it.
    frame = copied_run.warehouse.read(served, [str(first)]).iloc[:-1]
    copied_run.warehouse.publish(served, str(first), frame, **PROVENANCE)
    judge = Judge(copied_run.settings, served, along={served.name: {first}})
    check = dg.AssetCheckKey(asset_key(served), "one_variant_per_instrument")

    told = judge.over([second])["one_variant_per_instrument"]

    assert set(judge.stored(check)) == {(str(first), False), (None, True)}
    assert (told.partition, told.passed) == (str(first), False)


def test_tables_of_the_same_sample_are_held_against_each_other(copied_run: SmallRun) -> None:
    day = copied_run.days[0]
    for table in (tables.MOVES_DAILY, tables.SEQUENCES):
        cut_back_v1(copied_run, table, Stage.SAMPLED, day)
    sequences = StoredTable("v1", tables.SEQUENCES)
    assert Judge(copied_run.settings, sequences).over([day])["days_conserved"].passed
    rows = copied_run.warehouse.read(sequences, [str(day)])
    part = part_of(tables.SEQUENCES, copied_run.warehouse.pointer(sequences, str(day)))
    publish_part(copied_run, tables.SEQUENCES, day, part, rows.iloc[1:])
    lost = Judge(copied_run.settings, sequences).over([day])["days_conserved"]
    assert not lost.passed
    assert lost.severity is dg.AssetCheckSeverity.ERROR
