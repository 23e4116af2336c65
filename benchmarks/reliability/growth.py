"""Daily runs, one after the other: what they leave on the disk, and whether the last takes longer than the first.

Belongs here: carrying them out and measuring. Does not belong here: what is deleted when (``assets/forgetting.py``).
"""

from __future__ import annotations

import os
import statistics
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

from benchmarks.reliability.tiny import SETTINGS, Place, carried_out, command
from benchmarks.reliability.works import maintain

_SHOWN = ("dagster", "warehouse", ".catalogs", "reports", "logs")
_PAST = timedelta(days=91)
"""A day more than the default of ``storage.runs_days``."""


def main(runs: int, directory: Path) -> int:
    """Run ``runs`` sessions one by one, tell, and give the exit code."""
    settings = SETTINGS.replace("minute_sessions = 3", f"minute_sessions = {runs}")
    place = Place.below(directory / "growth", settings)
    days = _sessions(place, runs)
    seconds, asking = [], []
    print(
        f"| run | seconds | rollout status | files | {' | '.join(_SHOWN)} |\n|{'---|' * (4 + len(_SHOWN))}"
    )
    for number, day in enumerate(days, 1):
        seconds.append(_timed(place, "run", "--from", day, "--to", day))
        asking.append(_timed(place, "rollout", "status"))
        _line(str(number), seconds[-1], asking[-1], place)
    before = _sizes(place.folder)["dagster"]
    if carried_out(partial(maintain, timedelta(0), _PAST), place):
        raise SystemExit(place.told[-2000:])
    after = _sizes(place.folder)["dagster"]
    _line("maintenance", 0.0, _timed(place, "rollout", "status"), place)
    third = max(1, runs // 3)
    print(
        f"\n{runs} runs: median seconds of the first third {statistics.median(seconds[:third]):.1f}, of the last "
        f"{statistics.median(seconds[-third:]):.1f}; rollout status {statistics.median(asking[:third]):.2f} and "
        f"{statistics.median(asking[-third:]):.2f}; storage of Dagster {before / 1e6:.1f} MB, and {after / 1e6:.1f} MB "
        f"after the maintenance {_PAST.days} days later"
    )
    return 0 if after < before else 1


def _sessions(place: Place, runs: int) -> list[str]:
    """The sessions of the sample that have minutes; it ends on 2026-06-30."""
    from datetime import date

    from setbull_pipelines.market.calendar import NSE

    return [
        day.isoformat() for day in NSE.trading_days(date(2026, 1, 1), date(2026, 6, 30))[-runs:]
    ]


def _timed(place: Place, *arguments: str) -> float:
    began = time.monotonic()
    if code := carried_out(command(*arguments), place):
        raise SystemExit(f"{arguments} ended with {code}: {place.told[-2000:]}")
    return time.monotonic() - began


def _line(name: str, seconds: float, asking: float, place: Place) -> None:
    sizes = _sizes(place.folder)
    files = sum(len(found) for _, _, found in os.walk(place.folder))
    shown = " | ".join(f"{sizes[part] / 1e6:.1f} MB" for part in _SHOWN)
    print(f"| {name} | {seconds:.1f} | {asking:.2f} | {files:,} | {shown} |", flush=True)


def _sizes(folder: Path) -> dict[str, int]:
    return {
        part: sum(
            os.lstat(os.path.join(where, name)).st_size
            for where, _, found in os.walk(folder / part)
            for name in found
        )
        for part in _SHOWN
    }
