"""The rollout as it happens: sessions go through the real daemon, one after the other, and V2 breaks on the way.

One story in one data folder, told in order: V2 advances to 100 %, fails for one instrument, is forced to 50 % by
people, diverges, stays taken back, and sees a day without data. The tests look at what it left behind.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from setbull_pipelines import tables
from setbull_pipelines.automation.told_by_tags import DIVERGED_TAG
from setbull_pipelines.cli.home import PROJECT, prepare_dagster_home
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.alert_delivery import ALERTS
from setbull_pipelines.pipeline.rollout_log import read_log
from setbull_pipelines.pipeline.serving import read_served, served_table
from setbull_pipelines.quality.processing import FAILURES, METRICS
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.rollout.controller import Verdict
from setbull_pipelines.rollout.log import LogRow, state_at
from setbull_pipelines.rollout.stages import Component
from setbull_pipelines.settings import RolloutSettings
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests import stored as faults
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.pipeline.receivers import SECRETS, Webhook, http_receiver
from setbull_pipelines_tests.processes import SETBULL, end, environment

pytestmark = pytest.mark.scenario

LAST_DAY = date(2026, 6, 30)
SESSIONS = NSE.trading_days(date(2026, 6, 1), LAST_DAY)[-7:]
WITHOUT_DATA = NSE.trading_days(date(2026, 7, 1), date(2026, 7, 10))[0]
PREPARED, TO_TEN, TO_FIFTY, TO_FULL, CRASHED, DIVERGED, STILL_WRONG = SESSIONS
CRASHING = "NSE_EQ|SAMPLE0004"
SETTINGS = f"""
[sample]
instruments = 12
daily_sessions = 74
minute_sessions = {len(SESSIONS)}
last_day = "{LAST_DAY}"
[indicators]
warm_margin_bars = 10
[look_back]
sessions_moves = 21
[reconciliation]
noise_instruments = 0
[rollout]
sessions_per_stage = 1
minimum_instruments = 10
minimum_rows = 10
minimum_cohort = 1
# A busy machine is no fault of V2.
maximum_calculation_seconds = 1000
maximum_aggregation_seconds = 1000
minimum_seconds_compared = 1000
maximum_worker_share = 1
[alerts]
channels = ["log", "SETBULL_DESK"]
minimum_severity = "critical"
"""
WORKSPACE = f"""
load_from:
  - python_module:
      module_name: setbull_pipelines_tests.scenarios.location
      working_directory: {PROJECT}
      location_name: setbull_pipelines
"""
TAKEN_BACK = "rollout of indicators: rolled back from 50 to off"


@dataclass
class Story:
    """The data folder of the story and what was written down while it was told."""

    folder: Path
    variables: dict[str, str]
    webhook: Webhook
    rows_after: dict[str, tuple[LogRow, ...]] = field(default_factory=dict)
    """The rollout log after each chapter."""

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.folder / "data" / "warehouse")

    @property
    def after_the_crash(self) -> Warehouse:
        """What was stored when the run with the crash had ended."""
        return Warehouse(self.folder / "after the crash")

    def keep_the_crash(self) -> None:
        root = self.warehouse.root
        shutil.copytree(root, self.after_the_crash.root, copy_function=faults.link)

    def write_script(self, sessions: list[date]) -> None:
        script = {
            "sessions": list(map(str, sessions)),
            "crash": {str(CRASHED): CRASHING},
            "sample deviation": list(map(str, (DIVERGED, STILL_WRONG))),
        }
        path = self.folder / "data" / "script.json"
        path.with_suffix(".new").write_text(json.dumps(script))
        path.with_suffix(".new").replace(path)

    def setbull(self, *arguments: str, **variables: str) -> str:
        finished = subprocess.run(
            [*SETBULL, *arguments],
            env=self.variables | variables,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-3000:]
        return finished.stdout

    def rows_of(self, day: date, component: Component) -> list[LogRow]:
        rows = self.rows_after["end"]
        return [
            row
            for row in rows
            if row.decision.session == day and row.decision.component is component
        ]

    def variants(self, table: tables.Table, day: date) -> dict[str, str]:
        rows = self.warehouse.read(served_table(table), [str(day)], ["instrument_key", "variant"])
        pairs = rows.drop_duplicates()
        assert pairs["instrument_key"].is_unique
        return dict(pairs.itertuples(index=False))


class Daemon:
    """``dagster-daemon`` with the location of the scenarios."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.log = story.folder / "daemon.log"
        workspace = story.folder / "workspace.yaml"
        workspace.write_text(WORKSPACE)
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dagster._daemon", "run", "-w", str(workspace)],
                env=story.variables,
                cwd=story.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, sessions: list[date]) -> None:
        """Let the clock ask for ``sessions`` and wait for the end of the run of the last one."""
        self.story.write_script(sessions)
        filters = dg.RunsFilter(tags={"dagster/partition": str(sessions[-1])}, job_name="daily")
        with dg.DagsterInstance.from_config(self.story.variables["DAGSTER_HOME"]) as instance:
            self.wait_for(
                f"the end of the run of {sessions[-1]}",
                lambda: any(run.is_finished for run in instance.get_runs(filters)),
            )
            (run,) = instance.get_runs(filters)
            # A run on whose day V2 differs does all its work, and is red.
            differs = sessions[-1] in (DIVERGED, STILL_WRONG)
            assert run.is_success is not differs, self
            assert (DIVERGED_TAG in run.tags) is differs, run.tags

    def wait_for(self, what: str, has_come: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not has_come():
            assert self.process.poll() is None, self
            assert time.monotonic() < deadline, f"{what} did not come in {PATIENCE:.0f} s. {self}"
            time.sleep(0.3)

    def __str__(self) -> str:
        return "\n".join(["", *self.log.read_text(errors="replace").splitlines()[-40:]])


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The whole story, told once."""
    folder = tmp_path_factory.mktemp("story")
    (folder / "settings.toml").write_text(SETTINGS)
    with http_receiver() as webhook:
        return told(folder, webhook)


def told(folder: Path, webhook: Webhook) -> Story:
    data = folder / "data"
    variables = environment(data, folder / "settings.toml", SETBULL_DESK=webhook.url)
    story = Story(folder, variables, webhook)
    with pytest.MonkeyPatch.context() as undo:
        undo.setenv("DAGSTER_HOME", "unset")
        undo.setenv("SETBULL_DATA_DIR", "unset")
        story.variables["DAGSTER_HOME"] = str(prepare_dagster_home(data))
    story.setbull("run", "--from", str(PREPARED), "--to", str(PREPARED))
    story.write_script([])
    daemon = Daemon(story)
    asked: list[date] = []

    def chapter(*sessions: date) -> None:
        for day in sessions:
            asked.append(day)
            daemon.run(asked)
            story.rows_after[str(day)] = read_log(story.warehouse)

    try:
        chapter(TO_TEN, TO_FIFTY, TO_FULL)
        chapter(CRASHED)
        story.keep_the_crash()
        # The command line has no broken V2: the day is computed again, and V2 has no hole any more.
        story.setbull("run", "--from", str(CRASHED), "--to", str(CRASHED))
        for component in (Component.AGGREGATION, Component.INDICATORS):
            story.setbull(
                *("rollout", "force", component.label, "50"),
                *("--by", "Asha", "--reason", "a closer look at SAMPLE0004"),
            )
        chapter(DIVERGED, STILL_WRONG, WITHOUT_DATA)
        daemon.wait_for("the alert about the defect", lambda: TAKEN_BACK in str(webhook.bodies))
    finally:
        end(daemon.process)
    story.rows_after["end"] = read_log(story.warehouse)
    return story


def path(rows: list[LogRow]) -> list[tuple[str, str, str]]:
    return [
        (row.decision.verdict.value, row.decision.from_stage.label, row.decision.to_stage.label)
        for row in rows
    ]


every_component = pytest.mark.parametrize(
    "component", Component, ids=lambda component: component.label
)


@every_component
def test_healthy_sessions_advance_stage_by_stage(story: Story, component: Component) -> None:
    found = [step for day in SESSIONS[:4] for step in path(story.rows_of(day, component))]
    assert found == [
        ("advanced", "off", "shadow"),
        ("advanced", "shadow", "10"),
        ("advanced", "10", "50"),
        ("advanced", "50", "100"),
    ]


def test_an_instrument_that_crashes_v2_is_served_from_v1_and_counted(story: Story) -> None:
    stored, day = story.after_the_crash, [str(CRASHED)]
    served = stored.read(served_table(tables.CANDLES_5MIN), day)
    pairs = served[["instrument_key", "variant"]].drop_duplicates()
    variants = dict(pairs.itertuples(index=False))
    assert len(pairs) == len(variants) == 12
    assert variants.pop(CRASHING) == "v1"
    assert set(variants.values()) == {"v2"}
    v1 = stored.read(StoredTable("v1", tables.CANDLES_5MIN), day)
    of_the_crash = [frame[frame["instrument_key"] == CRASHING] for frame in (served, v1)]
    assert len(of_the_crash[0]) == len(of_the_crash[1]) > 70
    metrics, failures = (
        stored.read(table, day).set_index("asset") for table in (METRICS, FAILURES)
    )
    assert metrics.loc["served.candles_5min", "fallbacks"] == 1
    assert metrics.loc["v2.candles_5min", "errors"] == 1
    assert metrics.loc["v2.indicators_5min", "inherited_errors"] == 1
    assert metrics.loc["v1.candles_5min", "errors"] == 0
    assert failures.loc["v2.candles_5min", "error"] == "FloatingPointError: no bar comes of this"


def test_one_exception_in_v2_is_fewer_than_its_error_rate_counts_from(story: Story) -> None:
    for component in (Component.AGGREGATION, Component.INDICATORS):
        with_the_crash, mended = story.rows_of(CRASHED, component)
        assert path([with_the_crash]) == [("counted", "100", "100")]
        evidence = with_the_crash.decision.evidence
        assert evidence.cells_compared == evidence.cells_expected > 0
        assert evidence.v2_exceptions == (component is Component.AGGREGATION)
        # The day is judged once; computed again, it changes nothing.
        assert path([mended]) == [("held", "100", "100")]
        assert mended.decision.reason.startswith(f"session {CRASHED} is not after")


def test_a_defect_at_half_is_taken_back_the_same_day_and_stays_off(story: Story) -> None:
    rows = [
        row for day in (DIVERGED, STILL_WRONG) for row in story.rows_of(day, Component.INDICATORS)
    ]
    assert path(rows) == [("rolled back", "50", "off"), ("held", "off", "off")]
    assert rows[0].decision.evidence.cohort > 0
    assert rows[1].decision.reason.startswith("still latched")
    # The others go on where people put them.
    (aggregation,) = story.rows_of(DIVERGED, Component.AGGREGATION)
    assert path([aggregation]) == [("advanced", "50", "100")]


def test_the_cause_of_the_defect_is_named(story: Story) -> None:
    causes = StoredTable("reconciliation", tables.RECONCILIATION_DIAGNOSES["indicators_5min"])
    found = story.warehouse.read(causes, [str(DIVERGED)])
    assert "sample deviation" in set(found["diagnosis"])


def test_people_are_told_once_and_told_why(story: Story) -> None:
    bodies = [body for body in story.webhook.bodies if TAKEN_BACK in str(body)]
    assert len(bodies) == 1
    assert "sample deviation in bb_upper" in bodies[0]["message"]
    alerts = story.warehouse.read(ALERTS, [WHOLE])
    raised = alerts[alerts["title"] == TAKEN_BACK]
    assert raised[["severity", "state"]].values.tolist() == [["critical", "open"]]
    # An instrument that is served from V1 is no reason to wake people.
    assert not any("rollout of aggregation" in str(body) for body in story.webhook.bodies)
    assert not any(secret in (story.folder / "daemon.log").read_text() for secret in SECRETS)


def test_after_the_rollback_everything_is_served_from_v1_again(story: Story) -> None:
    for day in SESSIONS:
        assert set(story.variants(tables.INDICATORS_5MIN, day).values()) == {"v1"}


@every_component
def test_a_day_without_data_holds(story: Story, component: Component) -> None:
    (row,) = story.rows_of(WITHOUT_DATA, component)
    assert row.decision.verdict is Verdict.HELD
    assert row.decision.from_stage is row.decision.to_stage


@every_component
def test_replaying_the_log_gives_the_state_of_every_moment(
    story: Story, component: Component
) -> None:
    whole = story.rows_after["end"]
    for rows in story.rows_after.values():
        assert whole[: len(rows)] == rows, "the log only grows"
        state = state_at(rows, component)
        last = [row for row in rows if row.decision.component is component][-1]
        assert state.stage is last.decision.to_stage


def test_the_kill_switch_serves_v1_at_once_without_writing_or_reading_the_log(
    story: Story,
) -> None:
    served = served_table(tables.CANDLES_5MIN)
    question = "SELECT variant, count(*) FROM served.candles_5min GROUP BY ALL"
    before = set(story.variants(tables.CANDLES_5MIN, STILL_WRONG).values())
    assert "v2" in before, "the switch would change nothing"
    # No log, and nobody may write.
    kept = story.warehouse.commits.path.read_bytes()
    faults.damage(story.warehouse, LOG, WHOLE)
    story.warehouse.partitions(LOG)  # opens the catalog, beside which SQLite then keeps two files
    directories = [story.warehouse.root, *filter(Path.is_dir, story.warehouse.root.rglob("*"))]
    modes = {path: path.stat().st_mode for path in directories}
    times = {path: path.stat().st_mtime_ns for path in directories}
    try:
        for path_ in directories:
            path_.chmod(0o555)
        answer = story.setbull("sql", question, SETBULL_KILL_V2="1")
        rows = read_served(
            tables.CANDLES_5MIN, [STILL_WRONG], story.warehouse, RolloutSettings(kill=True)
        )
    finally:
        for path_, mode in modes.items():
            path_.chmod(mode)
        story.warehouse.commits.path.write_bytes(kept)
    assert "v1" in answer
    assert "v2" not in answer
    assert set(rows["variant"]) == {"v1"}
    assert list(rows.columns) == served.table.column_names
    assert {path_: path_.stat().st_mtime_ns for path_ in directories} == times
