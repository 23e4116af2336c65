"""What Dagster loads: a snapshot of the graph, the cost of loading it, and what every asset carries.

The snapshot (``definitions.json`` beside this file) makes every change of the graph visible in review.
After an intended change write it again, and read its diff:

    python -m setbull_pipelines_tests.test_definitions
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from setbull_pipelines import tables
from setbull_pipelines.cli.home import prepare_dagster_home
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.quality.rules import all_rules
from setbull_pipelines.settings import Settings
from setbull_pipelines_tests.patience import PATIENCE

PROJECT = Path(__file__).resolve().parents[1]
SNAPSHOT = Path(__file__).with_name("definitions.json")
REFRESH = "python -m setbull_pipelines_tests.test_definitions"
COMPUTED = [
    dg.AssetKey([variant, table.name])
    for table in tables.COMPUTED_TABLES
    for variant in ("v1", "v2")
]
HEAVY_PACKAGES = (
    "PIL",
    "alembic",
    "apprise",
    "dagster_ray",
    "fastapi",
    "grpc",
    "httpx",
    "jinja2",
    "llvmlite",
    "markdown_it",
    "matplotlib",
    "numba",
    "obstore",
    "pandera",
    "plotly",
    "polars",
    "ray",
    "rich",
    "sqlalchemy",
    "talib",
    "tenacity",
    "uvicorn",
)


def snapshot(definitions: dg.Definitions) -> dict[str, dict]:
    """The graph as plain JSON values, without what changes with every edit (code versions, texts)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        repository = definitions.get_repository_def()
    graph = repository.asset_graph
    checks: dict[str, dict[str, str]] = {}
    for node in graph.asset_check_nodes:
        on = checks.setdefault(node.key.asset_key.to_user_string(), {})
        on[node.key.name] = "per day" if node.partitions_def else "whole table"
    return {
        "assets": {
            node.key.to_user_string(): {
                "group": node.group_name,
                "deps": sorted(key.to_user_string() for key in node.parent_keys),
                "tags": dict(sorted(node.tags.items())),
                "partitions": "trading days" if node.partitions_def else "none",
            }
            for node in sorted(graph.asset_nodes, key=lambda node: node.key)
        },
        "checks": {asset: dict(sorted(names.items())) for asset, names in sorted(checks.items())},
        "jobs": {
            job.name: {
                "assets": sorted(
                    key.to_user_string() for key in job.asset_layer.executable_asset_keys
                ),
                "checks": len(job.asset_layer.asset_graph.asset_check_keys),
                "partitions": "trading days" if job.partitions_def else "none",
            }
            for job in sorted(repository.get_all_jobs(), key=lambda job: job.name)
            if not job.name.startswith("__")
        },
        "schedules": {
            schedule.name: {
                "job": schedule.job_name,
                "cron": list(schedule.cron_schedule),
                "time zone": schedule.execution_timezone,
                "default": schedule.default_status.value,
            }
            for schedule in repository.schedule_defs
        },
        "sensors": {
            sensor.name: {"default": sensor.default_status.value}
            for sensor in repository.sensor_defs
        },
    }


def differences(before: object, after: object, path: str = "") -> Iterator[str]:
    """One line per difference between two snapshots."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            here = f"{path} > {key}" if path else key
            if key not in after:
                yield f"{here}: gone"
            elif key not in before:
                yield f"{here}: new"
            else:
                yield from differences(before[key], after[key], here)
    elif before != after:
        yield f"{path}: was {before}, is {after}"


@pytest.fixture(scope="module")
def definitions(tmp_path_factory) -> dg.Definitions:
    return build_defs(Settings(data_directory=tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def graph(definitions) -> AssetGraph:
    return definitions.resolve_asset_graph()


def environment(data_directory: Path) -> dict[str, str]:
    """The environment of a process without a Dagster home or settings of its own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SETBULL_", "DAGSTER_"))
    }
    return kept | {"SETBULL_DATA_DIR": str(data_directory)}


def test_the_graph_is_the_one_of_the_snapshot(definitions):
    recorded = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    lines = list(differences(recorded, snapshot(definitions)))
    assert not lines, (
        f"the definitions differ from {SNAPSHOT.name}:\n  "
        + "\n  ".join(lines)
        + f"\nIf that is what you want, run `{REFRESH}` and commit the file with the change."
    )


def test_the_comparison_of_snapshots_sees_every_kind_of_difference():
    before = {"assets": {"a": {"deps": ["x"]}, "b": {}}, "jobs": {}}
    after = {"assets": {"a": {"deps": ["y"]}, "c": {}}, "jobs": {}}
    assert list(differences(before, after)) == [
        "assets > a > deps: was ['x'], is ['y']",
        "assets > b: gone",
        "assets > c: new",
    ]


def test_every_table_has_an_asset_in_every_schema(graph):
    expected = {
        dg.AssetKey([schema, table.name])
        for table in (*tables.RAW_TABLES, *tables.COMPUTED_TABLES, *tables.SERVED_TABLES)
        for schema in table.schemas
    }
    assert len(COMPUTED) == 22
    assert expected <= graph.get_all_asset_keys()
    assert set(COMPUTED) <= expected


def test_v1_and_v2_have_the_same_shape_and_neither_waits_for_the_other(graph):
    for table in tables.COMPUTED_TABLES:
        parents = {
            variant: {
                parent.to_user_string()
                for parent in graph.get(dg.AssetKey([variant, table.name])).parent_keys
            }
            for variant in ("v1", "v2")
        }
        assert parents["v1"], table.name
        assert {name.replace("v1/", "v2/", 1) for name in parents["v1"]} == parents["v2"]
        # What V1 reads of V2 where it is cut back its lane brings up by itself.
        assert not any(name.startswith("v2/") for name in parents["v1"]), table.name


def test_every_asset_says_what_it_is(graph):
    for node in graph.asset_nodes:
        name = node.key.to_user_string()
        assert len(node.description or "") > 20, f"{name} has no description"
        assert node.group_name not in (None, "default"), f"{name} has no group"
        assert node.code_version, f"{name} has no code version"


def test_every_table_shows_its_columns(graph):
    for node in graph.asset_nodes:
        if node.group_name in ("operations", "charts"):  # views, a clean-up and pictures, no tables
            continue
        name = node.key.to_user_string()
        if name == "raw/fetched":  # a folder of files for intake
            continue
        schema = node.metadata.get("dagster/column_schema")
        assert schema is not None, f"{name} has no column schema"
        columns = schema.columns
        assert len(columns) >= 3, name
        assert all(column.type and column.description for column in columns), name


def test_every_computed_table_has_a_check_that_can_fail_a_run(graph):
    rules = {stored.key: of_table for stored, of_table in all_rules().items()}
    for key in COMPUTED:
        errors = {rule.name for rule in rules[tuple(key.path)] if rule.is_error}
        present = {check.name for check in graph.asset_check_keys if check.asset_key == key}
        assert errors & present, f"{key.to_user_string()} has no check of severity ERROR"


def test_no_check_is_partitioned(graph):
    """One that is leaves a row per day as planned: a run gives a check one result."""
    checks = list(graph.asset_check_nodes)
    assert len(checks) > 100
    assert {check.partitions_def for check in checks} == {None}


LOAD = """
import json, sys
import setbull_pipelines.definitions
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@pytest.mark.run
def test_definitions_load_without_heavy_packages(tmp_path):
    """Dagster loads them for every run and every reload. How long that takes: ``benchmarks.days``."""
    output = subprocess.run(
        [sys.executable, "-c", LOAD],
        env=environment(tmp_path),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    packages = json.loads(output)
    assert "dagster" in packages
    heavy = [name for name in HEAVY_PACKAGES if name in packages]
    assert not heavy, f"loading the definitions imports {heavy}"
    assert list(tmp_path.iterdir()) == [], (
        "loading the definitions must not write to the data folder"
    )


@pytest.mark.run
def test_a_code_server_loads_the_workspace(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "dagster", "definitions", "validate"),
            *("--workspace", "workspace.yaml", "--load-with-grpc"),
        ],
        env=environment(tmp_path / "data") | {"DAGSTER_HOME": str(home)},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    said = finished.stdout + finished.stderr
    assert finished.returncode == 0, said
    assert "Validation successful for code location setbull_pipelines" in said


def paths_in(node: object) -> list[str]:
    """Every setting called like a directory, anywhere in a configuration."""
    if not isinstance(node, dict):
        return []
    found = []
    for key, value in node.items():
        if isinstance(value, str) and key.endswith("_dir"):
            found.append(value)
        found += paths_in(value)
    return found


def test_dagster_yaml_keeps_everything_under_data_and_sends_nothing():
    configuration = yaml.safe_load((PROJECT / "dagster.yaml").read_text(encoding="utf-8"))
    assert configuration["telemetry"] == {"enabled": False}
    assert configuration["nux"] == {"enabled": False}
    assert set(paths_in(configuration)) == {
        "data/dagster/storage/history",
        "data/dagster/storage/history/runs",
        "data/dagster/storage/schedules",
        "data/dagster/artifacts",
        "data/dagster/logs",
    }


def test_the_instance_of_a_data_folder_keeps_everything_in_it(tmp_path, monkeypatch):
    # Set first, so that what prepare_dagster_home sets is undone.
    monkeypatch.setenv("DAGSTER_HOME", "unset")
    monkeypatch.setenv("SETBULL_DATA_DIR", "unset")
    home = prepare_dagster_home(tmp_path)
    assert Path(os.environ["DAGSTER_HOME"]) == home
    configuration = yaml.safe_load((home / "dagster.yaml").read_text(encoding="utf-8"))
    paths = paths_in(configuration)
    assert len(paths) == 5
    assert all(Path(path).is_relative_to(tmp_path) for path in paths), paths
    with dg.DagsterInstance.get() as instance:
        assert instance.telemetry_enabled is False
        assert Path(instance.root_directory).is_relative_to(tmp_path)
        assert instance.get_runs_count() == 0
    assert list((home / "storage").rglob("runs.db"))


if __name__ == "__main__":
    current = snapshot(build_defs(Settings()))
    SNAPSHOT.write_text(json.dumps(current, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {SNAPSHOT}")
