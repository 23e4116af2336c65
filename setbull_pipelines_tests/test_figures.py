"""Figures in the documents that do not depend on the size of a sample: each is held against what it is about.

``test_documents.py`` compares what commands print, but numbers of a larger sample only by being there. What is
counted or was measured elsewhere is compared here, digit by digit.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from setbull_pipelines import tables
from setbull_pipelines.assets.common import DAILY_JOB_NAME
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.errors import TRACEBACKS
from setbull_pipelines.reconciliation.self_test.score import MUTANTS
from setbull_pipelines.settings import RolloutSettings, Settings
from setbull_pipelines_tests.documents import PROJECT

RESULTS = (PROJECT / "benchmarks" / "RESULTS.md").read_text("utf-8")


def document(name: str) -> str:
    return (PROJECT / name).read_text("utf-8")


def only(pattern: str, text: str) -> tuple[str, ...]:
    """The groups of the one place where ``pattern`` is found."""
    found = re.findall(pattern, text)
    assert len(found) == 1, (pattern, found)
    return found[0] if isinstance(found[0], tuple) else (found[0],)


def section(heading: str) -> str:
    """The part of the results below a heading."""
    _, found, rest = RESULTS.partition(f"\n{heading}")
    assert found, heading
    return re.split(r"\n##+ ", rest)[0]


@pytest.mark.parametrize(
    ("told", "heading"),
    [
        (r"\| (\d+) x \(`Step indicators`\)", "### Step indicators"),
        (r"\| (\d+) x \(`Step aggregation`\)", "### Step aggregation"),
        (r"\| whole day (\d+) x V1 \|", "### Whole day"),
    ],
)
def test_how_much_faster_v2_is_than_v1(told: str, heading: str) -> None:
    (said,) = only(told, document("docs/migration.md"))
    (measured,) = only(r"\| V1 \|[^\n]*?\| ([\d.]+)x \|", section(heading))
    assert int(said) == round(float(measured))


def test_the_memory_and_the_rate_of_a_whole_day() -> None:
    saved, more = only(
        r"missed: -(\d+) % for a whole day, \+(\d+) % for aggregation",
        document("docs/migration.md"),
    )
    of_day, of_aggregation = (
        int(only(r"Peak memory of V2 over V1: (\d+)%", section(heading))[0])
        for heading in ("### Whole day", "### Step aggregation")
    )
    assert (100 - int(saved), 100 + int(more)) == (of_day, of_aggregation)
    (rate,) = only(r"([\d.]+) million rows/s for a whole day of V2", document("docs/migration.md"))
    (measured,) = only(r"\| V2 \| [\d.]+ \| ([\d.]+) \|", section("### Whole day"))
    assert float(rate) == round(float(measured), 1)


def test_the_speed_of_the_api() -> None:
    text, measured = document("docs/api.md"), section("## Read API")
    first, then, most = only(
        r"one request: ([\d.]+) s the first time, then ([\d.]+) s \(median of 20\), ([\d.]+) s at",
        text,
    )
    assert f"first answer {first} s, then {then} s (median of 20), slowest {most} s" in measured
    answers, p50, p99 = only(
        r"time: (\d+) answers in 20 s,\n\s+p50 ([\d.]+) s, p99 ([\d.]+) s", text
    )
    found = only(r"once: (\d+) answers in 20 s, p50 ([\d.]+) s, p99 ([\d.]+) s", measured)
    assert answers == found[0]
    for said, exact in ((p50, found[1]), (p99, found[2])):
        assert abs(float(said) - float(exact)) <= 0.0051


def test_the_limits_of_the_rollout_are_the_settings() -> None:
    settings = RolloutSettings()
    rollback, least, soft = only(
        r"`rollout.rollback_error_rate` \(([\d.]+)\), hard, from `rollout.minimum_exceptions` \((\d+)\) "
        r"instruments on; above `rollout.maximum_error_rate` \(([\d.]+)\) soft",
        document("docs/migration.md"),
    )
    assert (float(rollback), int(least), float(soft)) == (
        settings.rollback_error_rate,
        settings.minimum_exceptions,
        settings.maximum_error_rate,
    )
    (sessions,) = only(r"`rollout.sessions_per_stage` \((\d+)\)", document("docs/migration.md"))
    assert int(sessions) == settings.sessions_per_stage


def test_the_number_of_compared_tables() -> None:
    (told,) = only(r"│ pass +│ +(\d+) │ +0 │", document("docs/operations.md"))
    assert int(told) == len(tables.COMPUTED_TABLES)


def test_the_number_of_checks_of_a_day(tmp_path: Path) -> None:
    job = build_defs(Settings(data_directory=tmp_path)).resolve_job_def(DAILY_JOB_NAME)
    checks = len(job.asset_layer.asset_graph.asset_check_keys)
    for passed, warn, failed in re.findall(
        r"checks: (\d+) passed, (\d+) warn, (\d+) failed", document("README.md")
    ):
        assert int(passed) + int(warn) + int(failed) == checks


def test_the_number_of_planted_faults() -> None:
    (told,) = only(r"breaks V2 in more than (\d+) known ways", document("README.md"))
    assert len(MUTANTS) > int(told)


def test_every_folder_of_the_data_folder_is_named() -> None:
    """Folders as the code writes them, and none that it does not write."""
    source = "\n".join(
        path.read_text("utf-8") for path in (PROJECT / "setbull_pipelines").rglob("*.py")
    )
    assert "data_directory / TRACEBACKS" in source
    written = {*re.findall(r'data_directory / "([a-z-]+)"', source), TRACEBACKS}
    named = set(re.findall(r"^\| `([a-z-]+)/", document("data/README.md"), re.MULTILINE))
    assert named == written


def test_what_the_sample_costs() -> None:
    said = only(
        r"after: 96 s and ([\d.]+) s of processor time", document("docs/decisions/0002-lanes.md")
    )
    measured = only(
        r"\| `setbull run`, the sample, empty folder \| [\d.]+ \| ([\d.]+) \|",
        section("## Small runs"),
    )
    assert said == measured


def test_what_an_event_costs() -> None:
    ours, dagsters = only(
        r"Over 250 days an event takes ([\d.]+) ms of processor time where Dagster's class needs ([\d.]+) ",
        document("docs/running.md"),
    )
    row = r"\| `{}` \| 250 \| [\d,]+ \| [\d.]+ \| [\d.]+ \| ([\d.]+) \|"
    events = section("## Events")
    assert (ours,) == only(row.format("BatchedSqliteEventLog"), events)
    assert (dagsters,) == only(row.format("SqliteEventLogStorage"), events)
