"""Asset checks in Dagster: one verdict per trading day, in runs over one day and over a range."""

from __future__ import annotations

from datetime import date

import dagster as dg
import pytest

from setbull_pipelines import tables
from setbull_pipelines.assets import checking
from setbull_pipelines.assets.checking import in_a_line
from setbull_pipelines.assets.common import asset_key
from setbull_pipelines.quality.rules import all_rules
from setbull_pipelines.quality.verdict import NOT_JUDGED, Rule, Verdict, not_judged
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.assets.judge import CANDLES_5MIN, OHLC, Judge, by_day
from setbull_pipelines_tests.pipeline.small_run import SmallRun, forget, publish

CANDLES_1MIN = StoredTable("raw", tables.CANDLES_1MIN)


def break_prices(run: SmallRun, day: date) -> None:
    """Volumes that are not those of the minutes: the contract allows them, the rule does not."""
    bars = run.warehouse.read(CANDLES_5MIN, [day.isoformat()])
    publish(run.warehouse, CANDLES_5MIN, day.isoformat(), bars.assign(volume=bars["volume"] + 1))


CONSERVED = dg.AssetCheckKey(asset_key(CANDLES_5MIN), "session_conserved")


def test_a_run_over_one_day_tells_the_verdict_of_that_day(small_run: SmallRun) -> None:
    judge = Judge(small_run.settings)
    day = small_run.days[0]
    evaluations = judge.over([day])
    assert set(evaluations) == {rule.name for rule in all_rules()[CANDLES_5MIN]}
    assert all(check.passed for check in evaluations.values())
    assert all(set(by_day(check)) == {str(day)} for check in evaluations.values())
    figures = {
        name: entry.value for name, entry in evaluations["session_conserved"].metadata.items()
    }
    assert by_day(evaluations["session_conserved"])[str(day)] == {
        "passed": True,
        "cells": figures["cells"],
    }
    assert judge.stored() == [(None, True)]


def test_a_run_over_a_range_tells_the_verdict_of_each_day(small_run: SmallRun) -> None:
    judge = Judge(small_run.settings)
    conserved = judge.over(small_run.days)["session_conserved"]
    told = by_day(conserved)
    assert list(told) == [str(day) for day in small_run.days]
    for day in small_run.days:
        alone = judge.over([day])["session_conserved"]
        assert told[str(day)] == by_day(alone)[str(day)]
    figures = {name: entry.value for name, entry in conserved.metadata.items()}
    assert (figures["first day"], figures["last day"]) == (min(told), max(told))
    # The UI draws the numbers of all results: no sum of a range among those of days.
    assert "cells" not in figures
    assert judge.stored() == [(None, True)] * 3


def test_no_row_is_left_as_planned(small_run: SmallRun) -> None:
    judge = Judge(small_run.settings)
    judge.over(small_run.days)
    records = judge.instance.event_log_storage.get_asset_check_execution_history(OHLC, 100)
    assert [(record.status.value, record.partition) for record in records] == [("SUCCEEDED", None)]


def test_the_same_range_can_be_judged_again(small_run: SmallRun) -> None:
    judge = Judge(small_run.settings)
    judge.over(small_run.days)
    once = len(judge.stored())
    again = judge.over(small_run.days)
    assert all(check.passed for check in again.values())
    assert len(judge.stored()) == 2 * once


def test_a_day_is_told_by_itself_while_it_fails_and_once_when_it_passes_again(
    small_run: SmallRun, copied_run: SmallRun
) -> None:
    _, bad = copied_run.days
    judge = Judge(copied_run.settings)
    judge.over(copied_run.days)
    break_prices(copied_run, bad)
    judge.over(copied_run.days)
    judge.over(copied_run.days)
    right = small_run.warehouse.read(CANDLES_5MIN, [bad.isoformat()])
    publish(copied_run.warehouse, CANDLES_5MIN, bad.isoformat(), right)
    judge.over(copied_run.days)
    judge.over(copied_run.days)
    judge.over([bad])
    failed, passes = (str(bad), False), (str(bad), True)
    assert judge.stored(CONSERVED) == [
        (None, True),
        *((None, False), failed) * 2,
        *((None, True), passes),
        *((None, True),) * 2,
    ]


def test_the_state_of_a_check_is_its_worst_day(small_run: SmallRun, copied_run: SmallRun) -> None:
    """The UI takes the last row: not that of a later day which passes again."""
    first, second = copied_run.days
    judge = Judge(copied_run.settings)
    break_prices(copied_run, second)
    judge.over([second])
    right = small_run.warehouse.read(CANDLES_5MIN, [str(second)])
    publish(copied_run.warehouse, CANDLES_5MIN, str(second), right)
    break_prices(copied_run, first)
    judge.over(copied_run.days)
    latest = judge.instance.event_log_storage.get_latest_asset_check_execution_by_key([CONSERVED])
    assert (latest[CONSERVED].status.value, latest[CONSERVED].partition) == ("FAILED", str(first))
    assert judge.stored(CONSERVED)[-3:] == [(None, False), (str(second), True), (str(first), False)]


def test_checks_by_themselves_judge_the_latest_day(copied_run: SmallRun) -> None:
    """Where the UI runs checks alone, it asks for no day."""
    latest = copied_run.days[-1]
    break_prices(copied_run, latest)
    judge = Judge(copied_run.settings)
    conserved = judge.alone()["session_conserved"]
    assert set(by_day(conserved)) == {str(latest)}
    assert not conserved.passed
    for partition in copied_run.warehouse.partitions(CANDLES_5MIN):
        forget(copied_run.warehouse, CANDLES_5MIN, date.fromisoformat(partition))
    conserved = judge.alone()["session_conserved"]
    assert conserved.severity is dg.AssetCheckSeverity.WARN
    assert conserved.description == "not judged: v1.candles_5min has no partition"


def test_a_day_that_fails_in_a_range_is_named(copied_run: SmallRun) -> None:
    good, bad = copied_run.days
    break_prices(copied_run, bad)
    judge = Judge(copied_run.settings)

    of_range = judge.over(copied_run.days)["session_conserved"]

    assert not of_range.passed
    assert of_range.severity is dg.AssetCheckSeverity.ERROR
    assert of_range.description.startswith(f"fails on 1 of 2 days, first {bad}: ")
    assert of_range.metadata["days failed"].value == 1
    assert {day: said["passed"] for day, said in by_day(of_range).items()} == {
        str(good): True,
        str(bad): False,
    }
    assert judge.stored(CONSERVED) == [(None, False), (str(bad), False)]


def test_a_day_that_fails_alone_says_why_and_a_repaired_day_passes(
    small_run: SmallRun, copied_run: SmallRun
) -> None:
    day = copied_run.days[0]
    break_prices(copied_run, day)
    judge = Judge(copied_run.settings)
    broken = judge.over([day])["session_conserved"]
    assert not broken.passed
    assert "instruments differ from their minutes" in broken.description

    right = small_run.warehouse.read(CANDLES_5MIN, [day.isoformat()])
    publish(copied_run.warehouse, CANDLES_5MIN, day.isoformat(), right)
    assert judge.over([day])["session_conserved"].passed
    assert judge.stored(CONSERVED) == [
        (None, False),
        (day.isoformat(), False),
        (None, True),
        (day.isoformat(), True),
    ]


def test_a_table_that_is_absent_fails_its_checks_without_breaking_the_run(
    copied_run: SmallRun,
) -> None:
    day = copied_run.days[0]
    forget(copied_run.warehouse, CANDLES_5MIN, day)
    evaluations = Judge(copied_run.settings).over([day])
    assert not any(check.passed for check in evaluations.values())
    assert {check.severity for check in evaluations.values()} == {dg.AssetCheckSeverity.ERROR}
    assert "v1.candles_5min has no partition" in evaluations["schema"].description


def test_an_error_on_one_day_outweighs_an_earlier_warning(copied_run: SmallRun) -> None:
    """Both variants empty on the first day (a warning), a wrong V2 on the second (an error)."""
    table = tables.SEQUENCES
    agreement = StoredTable("reconciliation", tables.RECONCILIATIONS[table.name])
    verdicts = StoredTable("reconciliation", tables.RECONCILIATION_VERDICTS[table.name])
    empty, wrong = copied_run.days
    for variant in ("v1", "v2"):
        stored = StoredTable(variant, table)
        publish(copied_run.warehouse, stored, empty.isoformat(), table.empty())
    verdict = copied_run.warehouse.read(verdicts, [wrong.isoformat()])
    publish(
        copied_run.warehouse,
        verdicts,
        wrong.isoformat(),
        verdict.assign(state="diverged", reason="1 cell differs"),
    )
    judge = Judge(copied_run.settings, agreement)

    of_range = judge.over(copied_run.days)["v2_agrees_with_v1"]

    assert of_range.severity is dg.AssetCheckSeverity.ERROR
    beside = "(1 more were not judged)"  # no session before it is stored that had a row
    assert of_range.description == f"fails on 1 of 2 days {beside}, first {wrong}: 1 cell differs"
    of_day = judge.over([empty])["v2_agrees_with_v1"]
    assert not of_day.passed
    assert of_day.severity is dg.AssetCheckSeverity.WARN


def test_a_rule_that_only_warns_never_fails_a_run(
    small_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = Rule(
        "looks_odd",
        "Never holds",
        CANDLES_5MIN,
        (CANDLES_5MIN,),
        lambda frames, day, settings: Verdict(False, f"{len(frames)} table looks odd"),
        is_error=False,
    )
    monkeypatch.setattr(checking, "all_rules", lambda: {CANDLES_5MIN: (rule,)})
    judge = Judge(small_run.settings)
    evaluation = judge.over([small_run.days[0]])["looks_odd"]
    assert not evaluation.passed
    assert evaluation.severity is dg.AssetCheckSeverity.WARN


@pytest.mark.parametrize("passed", [True, False])
def test_an_evaluation_carries_figures_for_the_interface(
    passed: bool, copied_run: SmallRun
) -> None:
    day = copied_run.days[0]
    if not passed:
        break_prices(copied_run, day)
    evaluation = Judge(copied_run.settings).over([day])["session_conserved"]
    assert evaluation.passed is passed
    figures = {name: entry.value for name, entry in evaluation.metadata.items()}
    assert (figures["cells"] > 0) if passed else (figures["instruments wrong"] == 12)


def test_a_warning_of_a_range_is_not_hidden_by_a_day_that_was_not_judged() -> None:
    (rule,) = (rule for rule in all_rules()[CANDLES_1MIN] if rule.name == "complete")
    days = [date(2026, 6, day) for day in (26, 29, 30)]
    verdicts = dict(
        zip(
            days,
            (not_judged("nothing"), Verdict(False, "half is missing"), Verdict(True, "all")),
            strict=True,
        )
    )
    worst = checking._worst(rule, verdicts)
    assert worst.description == (
        "fails on 1 of 3 days (1 more were not judged), first 2026-06-29: half is missing"
    )
    assert NOT_JUDGED not in worst.metadata
    skipped = checking._worst(rule, {day: not_judged("nothing") for day in days})
    assert skipped.description == (
        "not judged on 3 of 3 days, first 2026-06-26: not judged: nothing"
    )
    assert NOT_JUDGED in skipped.metadata


def a_result(name: str, passed: bool, severity: dg.AssetCheckSeverity) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(["raw", "coverage"]),
        check_name=name,
        passed=passed,
        severity=severity,
        description=f"what {name} found",
    )


def test_a_lane_says_how_many_checks_pass_and_the_worst_that_does_not() -> None:
    passed = a_result("whole", True, dg.AssetCheckSeverity.ERROR)
    warned = a_result("usual", False, dg.AssetCheckSeverity.WARN)
    failed = a_result("known", False, dg.AssetCheckSeverity.ERROR)

    assert in_a_line("raw", [passed, passed]) == "raw: 2 checks passed"
    assert in_a_line("raw", [passed, warned]) == (
        "raw: 1 of 2 checks passed; raw/coverage usual: what usual found"
    )
    assert in_a_line("raw", [warned, passed, failed]) == (
        "raw: 1 of 3 checks passed; raw/coverage known: what known found"
    )
