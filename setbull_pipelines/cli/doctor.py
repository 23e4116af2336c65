"""``setbull doctor``: a whole data folder looked over, and mended where nothing is lost by it.

Belongs here: the command's output. Does not belong here: examinations and repairs (``doctor/``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import dagster as dg

from setbull_pipelines.cli.home import prepare_dagster_home
from setbull_pipelines.doctor.examining import examine
from setbull_pipelines.doctor.finding import FAULT, NOTE, WELL, DataFolder, Finding
from setbull_pipelines.pipeline.opening import now
from setbull_pipelines.settings import Settings

_SIGNS = {WELL: "ok   ", NOTE: "note ", FAULT: "WRONG"}


def looked_over(settings: Settings, repairs: bool) -> Iterator[Finding]:
    """What is found in the data folder of ``settings``, part by part, while it is looked at."""
    if not settings.data_directory.is_dir():
        told = f"{settings.data_directory}: there is no such folder; setbull run makes it"
        yield Finding("folder", WELL, told)
        return
    instance = None
    if (settings.data_directory / "dagster" / "storage").is_dir():
        prepare_dagster_home(settings.data_directory, settings.runs)
        instance = dg.DagsterInstance.get
    yield from examine(DataFolder(settings, now(), instance), repairs)


def line(finding: Finding) -> str:
    """One finding as people read it."""
    text = f"{_SIGNS[finding.state]} {finding.part}: {finding.told}"
    if finding.done:
        return f"{text}\n      done: {finding.done}"
    return f"{text}\n      {finding.remedy}" if finding.remedy else text


def summary(findings: list[Finding]) -> str:
    """The last line: how many parts are wrong, and what to type."""
    wrong = [finding for finding in findings if finding.state == FAULT]
    if not wrong:
        return "nothing is wrong"
    mendable = sum(finding.repair is not None for finding in wrong)
    by = f"; {mendable} of them are mended by: setbull doctor --repair" if mendable else ""
    return f"{len(wrong)} wrong{by}"


def as_json(settings: Settings, findings: list[Finding]) -> str:
    """``{"folder", "well", "findings": [{"part", "state", "told", "remedy", "repairable", "done"}]}``."""
    return json.dumps(
        {
            "folder": str(settings.data_directory),
            "well": all(finding.state != FAULT for finding in findings),
            "findings": [
                {
                    "part": finding.part,
                    "state": finding.state,
                    "told": finding.told,
                    "remedy": finding.remedy,
                    "repairable": finding.repair is not None and finding.done is None,
                    "done": finding.done,
                }
                for finding in findings
            ],
        },
        indent=2,
    )
