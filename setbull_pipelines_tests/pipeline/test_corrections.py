"""Corrections through the whole chain: what they recompute, what they leave, and the replay of an earlier moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.pipeline import raw
from setbull_pipelines.pipeline.engine import StepRun
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources import Intake, replay, take_in
from setbull_pipelines.variants import V1, V2
from setbull_pipelines.warehouse.pointers import Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.pipeline.small_run import IN_FULL, publish

pytestmark = pytest.mark.run

VARIANTS = (V1, V2)
HEADER = "instrument_key,timestamp,open,high,low,close,volume"
INDIA = ZoneInfo("Asia/Kolkata")
MONDAY, TUESDAY = date(2025, 6, 2), date(2025, 6, 3)
DAYS = (MONDAY, TUESDAY)
MONDAY_11, MONDAY_16, TUESDAY_16, WEDNESDAY = (
    datetime(2025, 6, *moment, tzinfo=INDIA) for moment in ((2, 11), (2, 16), (3, 16), (4, 9))
)
A, B = "NSE_EQ|INE002A01018", "NSE_EQ|INE467B01029"


def minute(day: date, number: int, close: float = 100.5, key: str = A) -> str:
    return f"{key},{day}T09:{15 + number}:00+05:30,100,102,99,{close},1000"


def minutes(day: date, count: int = 20) -> list[str]:
    return [minute(day, number, key=key) for key in (A, B) for number in range(count)]


@dataclass
class Deployment:
    """An input folder, and a data folder that takes it in at given moments."""

    folder: Path

    def __post_init__(self) -> None:
        self.inbox = self.folder / "inbox"
        self.inbox.mkdir(parents=True, exist_ok=True)
        self.settings = Settings(data_directory=self.folder / "data", input=str(self.inbox))
        self.warehouse = Warehouse(self.settings.data_directory / "warehouse")
        self.landing = raw.landing_directory(self.settings)

    def put(self, name: str, *rows: str) -> None:
        (self.inbox / name).write_text("\n".join([HEADER, *rows]) + "\n")

    def run(self, moment: datetime) -> set[str]:
        return self.compute(take_in(self.inbox, self.landing, self.settings.sample, moment))

    def compute(self, intake: Intake) -> set[str]:
        """Publish and compute everything; returns the names of what was not up to date."""
        raw.publish_intake(intake, self.warehouse, self.settings, "test")
        done = raw.RawDays(intake, self.warehouse, self.settings, "test").over(DAYS)
        changed = {f"raw {result.day}" for result in done if not result.cached}
        for step in STEPS:
            for variant in VARIANTS:
                run = StepRun(step, variant, self.warehouse, self.settings, "test", IN_FULL)
                changed |= {
                    f"{variant.name}/{step.name} {result.day}"
                    for result in run.over(DAYS)
                    if not result.cached
                }
        return changed

    def pointers(self) -> dict[tuple[str, date], Pointer]:
        stored = [*raw.DAY_TABLES]
        stored += [StoredTable(lane, t) for t in tables.COMPUTED_TABLES for lane in ("v1", "v2")]
        return {(t.name, day): self.warehouse.pointer(t, str(day)) for t in stored for day in DAYS}

    def read(self, table: tables.Table, day: date) -> pd.DataFrame:
        return self.warehouse.read(StoredTable("raw", table), [str(day)])


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path)


def hashes(pointers: dict[tuple[str, date], Pointer]) -> dict[tuple[str, date], str]:
    return {place: pointer.content_hash for place, pointer in pointers.items()}


def test_a_confirmation_makes_rows_final_and_computes_nothing(deployment: Deployment) -> None:
    deployment.put("early.csv", *minutes(MONDAY))
    deployment.run(MONDAY_11)
    before = deployment.pointers()
    assert set(deployment.read(tables.CANDLES_1MIN, MONDAY)["state"]) == {"provisional"}
    deployment.put("late.csv", *minutes(MONDAY))
    assert deployment.run(MONDAY_16) == {f"raw {MONDAY}"}, "the file has no row of another day"
    after = deployment.pointers()
    rows = deployment.read(tables.CANDLES_1MIN, MONDAY)
    assert set(rows["state"]) == {"final"}
    assert set(rows["source"]) == {"early.csv"}
    assert (rows["ingested_at"] == MONDAY_11).all()
    place = ("raw.candles_1min", MONDAY)
    assert before[place].content_hash != after[place].content_hash
    assert before[place].values_hash == after[place].values_hash
    assert deployment.run(TUESDAY_16) == set()


def test_a_correction_computes_its_day_again_and_leaves_the_day_before(
    deployment: Deployment,
) -> None:
    deployment.put("candles.csv", *minutes(MONDAY), *minutes(TUESDAY))
    deployment.run(TUESDAY_16)
    deployment.put("correction.csv", minute(TUESDAY, 3, close=101.25))
    changed = deployment.run(WEDNESDAY)
    assert {f"{name}/candles_5min {TUESDAY}" for name in ("v1", "v2")} <= changed
    assert not any(str(MONDAY) in name for name in changed if not name.startswith("raw"))
    (revision,) = deployment.read(tables.REVISIONS, TUESDAY).itertuples()
    assert (revision.instrument_key, revision.changed) == (A, "close")
    assert (revision.old_close, revision.new_close) == (100.5, 101.25)
    assert (revision.old_state, revision.new_state) == ("final", "final")
    assert (revision.known_since, revision.revised_at) == (TUESDAY_16, WEDNESDAY)


@pytest.mark.parametrize("name", ["candles.csv", "correction.csv"])
def test_a_replay_has_the_bytes_of_then(deployment: Deployment, name: str, tmp_path: Path) -> None:
    """Whether the correction came in a file of its own or in the place of the first."""
    deployment.put("candles.csv", *minutes(MONDAY), *minutes(TUESDAY))
    deployment.run(MONDAY_16)
    then = deployment.pointers()
    deployment.put(name, minute(MONDAY, 3, close=101.25), minute(TUESDAY, 3, close=99.5))
    deployment.run(WEDNESDAY)
    now = deployment.pointers()
    assert hashes(now) != hashes(then)
    assert len(deployment.read(tables.CANDLES_1MIN, MONDAY)) == 40, "what it lacks stays"
    between = Deployment(tmp_path / "replayed")
    between.compute(replay(deployment.inbox, deployment.landing, TUESDAY_16))
    assert hashes(between.pointers()) == hashes(then)
    latest = Deployment(tmp_path / "latest")
    latest.compute(replay(deployment.inbox, deployment.landing, WEDNESDAY))
    assert hashes(latest.pointers()) == hashes(now)


def test_steps_read_nothing_of_where_rows_are_from(deployment: Deployment) -> None:
    deployment.put("candles.csv", *minutes(MONDAY))
    deployment.run(TUESDAY_16)
    stored = StoredTable("raw", tables.CANDLES_1MIN)
    rows = deployment.warehouse.read(stored, [str(MONDAY)])
    told = rows.assign(source="elsewhere", ingested_at=pd.Timestamp(WEDNESDAY), state="provisional")
    publish(deployment.warehouse, stored, str(MONDAY), tables.CANDLES_1MIN.conform(told))
    (step,) = (step for step in STEPS if step.name == "candles_5min")
    for variant in VARIANTS:
        run = StepRun(step, variant, deployment.warehouse, deployment.settings, "test", IN_FULL)
        assert [result.cached for result in run.over([MONDAY])] == [True]
        frame = run._windows.read(step.inputs[0], [MONDAY], None)
        assert len(frame) == len(rows)
        assert list(frame.columns) == tables.CANDLES_1MIN.without_provenance.column_names
