"""What the data folder stands on: settings, access, disk, clock, calendar, and what killed processes left.

Belongs here: whatever is true of the folder as a whole. Does not belong here: tables (``stored``), what was received
(``received``).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from setbull_pipelines import disk
from setbull_pipelines.doctor.finding import FAULT, NOTE, WELL, DataFolder, Finding, size
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.opening import open_warehouse, warehouse_root
from setbull_pipelines.pipeline.raw import landing_directory
from setbull_pipelines.settings import SETTINGS_FILE_VARIABLE, fingerprint
from setbull_pipelines.sources.landing_writing import LEFT_BEHIND
from setbull_pipelines.warehouse.looking import shortened

LEAST_FREE = 500 * 10**6
"""Bytes on the disk below which the next run is likely to stop in the middle."""
_CLOCKS_DIFFER = timedelta(minutes=5)
_HORIZON_DAYS = 60
"""The exchange publishes the holidays of a year in December; a calendar that ends sooner is due for its next year."""


def settings_in_force(folder: DataFolder) -> list[Finding]:
    """Which settings file counts. Settings that cannot be read stop every command before this one."""
    place = os.environ.get(SETTINGS_FILE_VARIABLE)
    origin = f"{place} over the defaults" if place else "the defaults, no settings file"
    return [
        Finding(
            "settings",
            WELL,
            f"{origin} (fingerprint {fingerprint(folder.settings)}); setbull settings shows each",
        )
    ]


def access(folder: DataFolder) -> list[Finding]:
    """Whether this user may write everywhere below the folder."""
    root = folder.settings.data_directory
    closed = [path for path in _folders(root) if not os.access(path, os.R_OK | os.W_OK | os.X_OK)]
    if not closed:
        return [Finding("access", WELL, f"{root} may be read and written")]
    told = f"may not be read and written: {shortened(closed)}"
    return [Finding("access", FAULT, told, f"chown -R {os.getuid()} {root}")]


def disk_left(folder: DataFolder) -> list[Finding]:
    """What is free beside what the folder takes."""
    root = folder.settings.data_directory
    taken = sum(
        path.lstat().st_size for each in _folders(root) for path in each.iterdir() if path.is_file()
    )
    free = shutil.disk_usage(root).free
    told = f"{size(taken)} in the folder, {size(free)} free on its disk"
    if free < LEAST_FREE:
        return [
            Finding(
                "disk",
                FAULT,
                told,
                f"make room for {size(LEAST_FREE)} at least; storage.intermediate_limit_mib bounds what is kept of V1 "
                "and V2",
            )
        ]
    if free < taken:
        return [Finding("disk", NOTE, told, "the folder cannot double on this disk")]
    return [Finding("disk", WELL, told)]


def clock(folder: DataFolder) -> list[Finding]:
    """Whether the clock agrees with what was written before."""
    last = open_warehouse(folder.settings).commits.last_moment()
    if last is None:
        return [Finding("clock", WELL, f"it is {folder.moment:%Y-%m-%d %H:%M %Z}")]
    ahead = datetime.fromisoformat(last) - folder.moment
    if ahead > _CLOCKS_DIFFER:
        return [
            Finding(
                "clock",
                FAULT,
                f"it is {folder.moment:%Y-%m-%d %H:%M %Z}, and the last commit is {ahead} later",
                "set the clock right: it decides which sessions have closed",
            )
        ]
    return [
        Finding("clock", WELL, f"it is {folder.moment:%Y-%m-%d %H:%M %Z}, after the last commit")
    ]


def calendar(folder: DataFolder) -> list[Finding]:
    """How long the calendar of sessions still lasts."""
    left = (NSE.last_day - folder.moment.date()).days
    told = f"{NSE.name} sessions are known from {NSE.first_day} to {NSE.last_day}"
    remedy = "enter the next year's holidays in the file that the setting calendar.file names"
    if left < 0:
        return [Finding("calendar", FAULT, f"{told}, which is over", remedy)]
    if left < _HORIZON_DAYS:
        return [Finding("calendar", NOTE, f"{told}, {left} days from now", remedy)]
    return [Finding("calendar", WELL, told)]


def leftovers(folder: DataFolder) -> list[Finding]:
    """Half-written files and folders whose process is gone."""
    left = list(_left_behind(folder))
    if not left:
        return [Finding("leftovers", WELL, "no half-written file is left")]

    def remove() -> str:
        gone = [
            path
            for place in {path.parent for path in left}
            for path in disk.sweep(place, LEFT_BEHIND)
        ]
        return f"{len(gone):,} deleted"

    names = shortened([str(path.relative_to(folder.settings.data_directory)) for path in left])
    return [
        Finding(
            "leftovers",
            NOTE,
            f"{len(left):,} half-written by processes that were killed: {names}",
            "they are deleted; no table names them",
            remove,
        )
    ]


def _left_behind(folder: DataFolder) -> Iterator[Path]:
    root = folder.settings.data_directory
    places = [root, root / "dagster", root / "reports", landing_directory(folder.settings)]
    for place in (*places, *_folders(warehouse_root(folder.settings))):
        if place.is_dir():
            yield from disk.abandoned(place, LEFT_BEHIND)


def _folders(root: Path) -> Sequence[Path]:
    return [Path(place) for place, _, _ in os.walk(root)]
