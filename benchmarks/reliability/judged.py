"""What has to be true of a data folder after whatever was done to it.

Belongs here: judging a folder, in the process that asks. Does not belong here: breaking it.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

from setbull_pipelines.disk import content_hash

_UNFINISHED = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")


def judge(answer: Path) -> None:
    """Write into ``answer`` what the data folder of this process holds and what is wrong in it, as JSON."""
    from benchmarks.equal_content import content_of
    from setbull_pipelines.cli.doctor import looked_over
    from setbull_pipelines.cli.starting import settings_in_force
    from setbull_pipelines.doctor.finding import FAULT, WELL
    from setbull_pipelines.pipeline.opening import open_warehouse
    from setbull_pipelines.pipeline.rollout_log import read_log
    from setbull_pipelines.rollout.controller import Verdict
    from setbull_pipelines.rollout.log import CONTROLLER

    settings = settings_in_force()
    wrong = []
    wrong += [
        f"doctor: {finding.part}: {finding.told}"
        for finding in looked_over(settings, repairs=False)
        if finding.state == FAULT or (finding.part == "leftovers" and finding.state != WELL)
    ]
    wrong += [f"left behind: {path}" for path in left_behind(settings.data_directory)]
    wrong += open_runs(settings.data_directory)
    log = read_log(open_warehouse(settings))
    judged = Counter(
        f"{row.decision.component.name} {row.decision.session}"
        for row in log
        if row.actor == CONTROLLER and row.decision.verdict is not Verdict.HELD
    )
    wrong += [f"judged {count} times: {name}" for name, count in judged.items() if count > 1]
    acts = [
        f"{row.decision.component.name} {row.decision.verdict}"
        for row in log
        if row.actor != CONTROLLER
    ]
    said = {
        "content": content_of(settings.data_directory),
        "files": {
            f"{folder}/{name}": content
            for folder in ("imported", "fetched")
            for name, content in files_of(settings.data_directory / folder).items()
        },
        "wrong": wrong,
        "judged": sorted(judged),
        "acts": acts,
    }
    answer.write_text(json.dumps(said), encoding="utf-8")


def files_of(folder: Path) -> dict[str, str]:
    """A hash of the rows of every file, by its name below ``folder``; of what a file is made of nothing is hashed."""
    import pandas as pd

    found = {}
    for path in sorted(folder.rglob("*.parquet")):
        rows = pd.util.hash_pandas_object(pd.read_parquet(path), index=False)
        found[path.relative_to(folder).as_posix()] = content_hash(rows.to_numpy().tobytes())
    return found


def left_behind(folder: Path) -> list[str]:
    """Half-written files and folders anywhere below ``folder``.

    A link is made and renamed in two steps and cannot be locked: one that a kill left is younger than the minute after
    which it is swept.
    """
    from setbull_pipelines.sources.landing_writing import LEFT_BEHIND

    found = []
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if name.startswith(LEFT_BEHIND) and not path.is_symlink():
                found.append(str(path.relative_to(folder)))
    return found


def open_runs(folder: Path) -> list[str]:
    """Dagster's runs that are not over; nobody is working in ``folder``."""
    import dagster as dg

    if not (folder / "dagster" / "storage").is_dir():
        return []
    with dg.DagsterInstance.get() as instance:
        unfinished = [dg.DagsterRunStatus[name] for name in _UNFINISHED]
        runs = instance.get_runs(dg.RunsFilter(statuses=unfinished))
    return [f"a run is open: {run.run_id} {run.status.name}" for run in runs]


def differences(undisturbed: dict, found: dict) -> list[str]:
    """In which partitions the content differs, but for tables that tell moments and durations.

    Why a partition was last published differs where a killed step is done again.
    """
    from benchmarks.equal_content import TELL_THE_TIME

    old, new = undisturbed["content"], found["content"]
    told = []
    for place in sorted(old.keys() | new.keys()):
        if place.partition(" ")[0] in TELL_THE_TIME:
            continue
        if place not in old or place not in new:
            told.append(f"{place}: only {'undisturbed' if place in old else 'after kills'}")
        else:
            parts = [
                name
                for name in old[place]
                if name != "published_because" and new[place].get(name) != old[place][name]
            ]
            if parts:
                told.append(f"{place}: {', '.join(parts)} differ")
    if undisturbed["judged"] != found["judged"]:
        told.append(f"judged: {found['judged']}, undisturbed {undisturbed['judged']}")
    return told
