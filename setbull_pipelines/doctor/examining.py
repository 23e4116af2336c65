"""All examinations in order, and repairing what they found.

Belongs here: the order, and that one examination which fails stops only itself. Does not belong here: examinations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from setbull_pipelines.doctor import logs, received, runs, stored, surroundings
from setbull_pipelines.doctor.finding import FAULT, NOTE, DataFolder, Examination, Finding
from setbull_pipelines.pipeline.opening import warehouse_root

EXAMINATIONS: tuple[tuple[str, Examination], ...] = (
    ("settings", surroundings.settings_in_force),
    ("access", surroundings.access),
    ("disk", surroundings.disk_left),
    ("calendar", surroundings.calendar),
    ("dagster", runs.storage),
    ("runs", runs.unfinished),
    ("locks", runs.locks),
    ("leftovers", surroundings.leftovers),
    ("landing", received.landed),
    # Before anything opens the file that may be damaged.
    ("catalog", stored.commits),
)
OF_TABLES: tuple[tuple[str, Examination], ...] = (
    ("clock", surroundings.clock),
    ("files", stored.files),
    ("files", stored.unneeded),
    ("rollout log", logs.rollout_log),
    ("alerts", logs.alerts),
    ("views", stored.views),
)
"""Examinations that ask what is current; without a catalog nobody knows."""


def examine(folder: DataFolder, repairs: bool = False) -> Iterator[Finding]:
    """Look at every part; with ``repairs`` mend what can be mended without loss, before the next part is looked at.

    What was mended says what was done, and is followed by what the same examination finds afterwards.
    """
    for part, examination in EXAMINATIONS:
        found = _examined(part, examination, folder, repairs)
        yield from found
    if any(finding.state == FAULT for finding in found):
        parts = ", ".join(dict.fromkeys(part for part, _ in OF_TABLES))
        yield Finding("tables", NOTE, f"not looked at without a catalog: {parts}")
    elif warehouse_root(folder.settings).is_dir():
        for part, examination in OF_TABLES:
            yield from _examined(part, examination, folder, repairs)


def _examined(
    part: str, examination: Examination, folder: DataFolder, repairs: bool
) -> list[Finding]:
    found = _looked_at(part, examination, folder)
    if not repairs:
        return found
    found = [_repaired(finding, finding.repair) if finding.repair else finding for finding in found]
    mended = [finding for finding in found if finding.done]
    return [*mended, *_looked_at(part, examination, folder)] if mended else found


def _looked_at(part: str, examination: Examination, folder: DataFolder) -> list[Finding]:
    try:
        return list(examination(folder))
    except Exception as error:  # whatever is wrong with one part, the others are still to be told
        return [
            Finding(
                part,
                FAULT,
                f"could not be looked at: {type(error).__name__}: {error}",
                "mend what is named above and ask again",
            )
        ]


def _repaired(finding: Finding, repair: Callable[[], str]) -> Finding:
    try:
        return replace(finding, state=NOTE, done=repair())
    except Exception as error:  # told, and the next part is looked at
        told = f"{finding.told}; mending it failed: {type(error).__name__}: {error}"
        return replace(finding, state=FAULT, told=told)
