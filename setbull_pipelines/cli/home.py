"""The data folder of a run: Dagster's home in it, and which input its tables belong to.

Belongs here: preparing the folder before Dagster starts. Does not belong here: running.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from setbull_pipelines import disk
from setbull_pipelines.settings import (
    DATA_DIRECTORY_VARIABLE,
    FIRST_SESSION_FILE,
    INPUT_VARIABLE,
    SOURCE_FILE,
    InvalidSettings,
    Replay,
    RunSettings,
    recorded_source,
    source_record,
)
from setbull_pipelines.warehouse.catalog import VERSIONS

PROJECT = Path(__file__).resolve().parents[2]
_RELATIVE_DATA = "data/"
_STORAGE = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")
"""What Dagster makes below ``storage/`` when an instance is opened for the first time."""
_SET_ASIDE = (
    *("warehouse", "dagster", "reports", "setbull.duckdb", VERSIONS),
    *(SOURCE_FILE, FIRST_SESSION_FILE),
)


def prepare_dagster_home(data_directory: Path, runs: RunSettings = RunSettings()) -> Path:
    """Write the instance configuration for this data folder, point Dagster to it and make Dagster's own files.

    The project's ``dagster.yaml`` is the one source; its relative paths are made absolute, and how long a run may take
    is added: assets that are chosen in the UI have no job that says it.
    """
    template = PROJECT / "dagster.yaml"
    if not template.is_file():
        raise FileNotFoundError(
            f"dagster.yaml not found at {template}; install the project in editable mode (make run does)"
        )
    configuration = _absolute(yaml.safe_load(template.read_text(encoding="utf-8")), data_directory)
    configuration["run_monitoring"]["max_runtime_seconds"] = runs.max_runtime_seconds
    home = data_directory / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    disk.replace_derived(home / "dagster.yaml", yaml.safe_dump(configuration).encode())
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ[DATA_DIRECTORY_VARIABLE] = str(data_directory)
    _make_storage(home)
    return home


def hold_for_ui(home: Path) -> str | None:
    """Hold Dagster's home until this process ends: a second daemon would start every schedule and sensor again.

    Why that cannot be, where another UI is open on the data folder; None when it is held.
    """
    place = home / "storage"
    place.mkdir(exist_ok=True)  # not there with another storage, such as PostgreSQL
    if disk.held_alone(place) is not None:
        return None
    holder = disk.who(disk.holders(place) or [])
    return (
        f"the UI of {home.parent} is open already: {holder}; use its pages, or end it first (its daemon starts the "
        "schedules, and a second one beside it would start them again)"
    )


def _make_storage(home: Path) -> None:
    """Make the files of runs, events and schedules where they are not there, one process at a time.

    Dagster looks whether a file is there and then makes it. Two first commands at once (a run, and the UI or another
    run) would both make it, and stamp its version twice: a file that no later process can open.
    """
    files = [home / "storage" / name for name in _STORAGE]
    with disk.writer_lock(home):
        if all(file.exists() for file in files):
            return
        import dagster as dg  # a second of imports, which only the first command of a folder pays
        from sqlalchemy import Engine

        from setbull_pipelines.assets.event_log import making_tables

        with making_tables(Engine), dg.DagsterInstance.get():
            pass
        for path in (*files, *(file.parent for file in files), home / "storage", home):
            if path.exists():  # another storage, such as PostgreSQL, has none of them
                disk.sync(path)


def _absolute(node: object, data_directory: Path) -> object:
    if isinstance(node, dict):
        return {key: _absolute(value, data_directory) for key, value in node.items()}
    if isinstance(node, list):
        return [_absolute(value, data_directory) for value in node]
    if isinstance(node, str) and node.startswith(_RELATIVE_DATA):
        return str(data_directory / node.removeprefix(_RELATIVE_DATA))
    return node


def replay_directory(data_directory: Path, as_of: datetime) -> Path:
    """Where the tables of ``data_directory`` are replayed as they were known at a moment."""
    return data_directory / "as-of" / f"{as_of:%Y-%m-%dT%H%M%S}"


def claim(
    data_directory: Path,
    source: str | None,
    replay: Replay | None = None,
    reading: Mapping[str, Any] | None = None,
) -> str | None:
    """Record that the folder's tables come from ``source`` (None: the generated sample), or from its replay, and how
    its files were to be ``reading``, beside the settings file. What killed processes left beside it is deleted.

    When they came from another one, the old results are moved to ``earlier/`` so that two inputs are
    never mixed in one history; the sentence that says so is returned. Raises InvalidSettings rather than write the
    tables of a replay over others.
    """
    data_directory.mkdir(parents=True, exist_ok=True)
    for folder in (data_directory, data_directory / "dagster", data_directory / "reports"):
        if folder.is_dir():
            disk.sweep(folder)
    record = data_directory / SOURCE_FILE
    note = None
    if replay and any((data_directory / name).exists() for name in _SET_ASIDE):
        if recorded_source(data_directory)[:2] != (source, replay):
            raise InvalidSettings(
                f"data folder {data_directory}: found other tables, expected none, or those of {source} as of "
                f"{replay.as_of}; a replay is never written over other tables: move them away first"
            )
    elif record.exists():
        before = json.loads(record.read_text(encoding="utf-8"))["input"]
        if before != source:
            kept = _set_aside(data_directory)
            note = f"the data folder held results of {before or 'the generated sample'}; they were moved to {kept}"
    text = json.dumps(source_record(source, replay, reading))
    disk.replace_durably(record, text.encode())
    disk.sync(data_directory)
    if source is None:
        os.environ.pop(INPUT_VARIABLE, None)
    else:
        os.environ[INPUT_VARIABLE] = source
    return note


def _set_aside(data_directory: Path) -> Path:
    earlier = data_directory / "earlier"
    earlier.mkdir(exist_ok=True)
    number = 1 + max(
        (int(path.name) for path in earlier.iterdir() if path.name.isdigit()), default=0
    )
    target = earlier / str(number)
    target.mkdir()
    for name in _SET_ASIDE:
        if (data_directory / name).exists():
            (data_directory / name).rename(target / name)
    return target
