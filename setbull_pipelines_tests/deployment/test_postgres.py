"""The instance of several machines, loaded as a machine loads it: a run in PostgreSQL, its secret nowhere else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from setbull_pipelines_tests.servers import postgres_server

pytestmark = pytest.mark.run

DEPLOYMENT = Path(__file__).resolve().parents[2] / "deployment"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine's DAGSTER_HOME, with a server running."""
    with postgres_server() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        home = tmp_path / "home"
        home.mkdir()
        shutil.copy(DEPLOYMENT / "dagster.yaml", home)
        yield home


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["2026-06-29", "2026-06-30"]))
def something() -> None:
    """An asset, to have something to run."""


def test_runs_and_events_are_in_postgresql_and_seen_by_another_machine(home, monkeypatch):
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert type(instance.run_storage).__name__ == "PostgresRunStorage"
        assert type(instance.event_log_storage).__name__ == "PostgresEventLogStorage"
        assert type(instance.schedule_storage).__name__ == "PostgresScheduleStorage"
        result = dg.materialize([something], instance=instance, partition_key="2026-06-30")
    other = home.parent / "other machine"
    shutil.copytree(home, other, ignore=lambda *_: {"storage", "history", "schedules"})

    with dg.DagsterInstance.from_config(str(other)) as instance:
        run = instance.get_run_by_id(result.run_id)
        done = instance.get_materialized_partitions(something.key)

    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert done == {"2026-06-30"}
    assert not list(home.rglob("*.db")), "SQLite is used beside PostgreSQL"


def test_without_its_password_the_instance_does_not_open(home, monkeypatch):
    monkeypatch.delenv("DAGSTER_PG_PASSWORD")

    with pytest.raises(Exception, match="DAGSTER_PG_PASSWORD"):
        dg.DagsterInstance.from_config(str(home))


def test_the_file_names_every_secret_by_its_environment_variable():
    database = yaml.safe_load((DEPLOYMENT / "dagster.yaml").read_text("utf-8"))["storage"][
        "postgres"
    ]["postgres_db"]

    database.pop("scheme")
    assert all(list(value) == ["env"] for value in database.values())
    assert set(database) == {"hostname", "port", "username", "password", "db_name"}
