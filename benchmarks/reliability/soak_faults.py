"""The faults of the soak: what is done to a session, what people must be told of it once, and what mends it.

Belongs here: one entry for each fault. Does not belong here: the month (``soak_market``), the order of things and the
judgement at the end (``soak``).
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import psutil

from benchmarks.reliability.soak_daemon import Station, kill
from benchmarks.reliability.soak_market import (
    CORRECTED,
    CORRECTED_AFTER,
    INDIA,
    MUHURAT,
    NEXT_YEAR,
    RENAMED_ON,
    SPLIT_DAY,
    Market,
)
from benchmarks.reliability.tiny import Place, carried_out
from setbull_pipelines.automation.schedules import materialized_days

_INVALIDATE = """
import sys
from datetime import date
from setbull_pipelines.cli.invalidating import mark
from setbull_pipelines.cli.starting import settings_in_force
day = date.fromisoformat(sys.argv[1])
for instrument in sys.argv[2:]:
    print(*mark(settings_in_force(), instrument, day, day), sep="\\n")
"""
"""``setbull invalidate`` for each of several instruments, in one process."""
_TICK = time(16, 29, 30)
_ROOM = 2**30


@dataclass(frozen=True)
class Fault:
    """A fault of one session."""

    name: str
    commit: Callable[[Station, Market, date], None]
    """Delivers the session, with the fault, and mends what people mend."""
    alerts: tuple[str, ...] = ()
    """The keys of the alerts that it must raise, each once; ``{day}`` is the session."""


def _at(day: date, moment: time) -> datetime:
    return datetime.combine(day, moment, INDIA)


def _jump(station: Station, moment: datetime) -> None:
    station.clock.jump(moment, (station.place.folder, station.inbox))


def _kill_run(station: Station, market: Market, day: date) -> None:
    market.deliver(day, station.inbox)
    os.kill(station.working_process(day), signal.SIGKILL)
    _until_nobody_works(station)
    _jump(station, _at(day, _TICK))


def _kill_daemon(station: Station, market: Market, day: date) -> None:
    market.deliver(day, station.inbox)
    station.working_process(day)
    kill(station.daemon)
    station.start_daemon()


def _kill_server(station: Station, market: Market, day: date) -> None:
    """The run's process is started by the code server, in its group, and goes with it."""
    market.deliver(day, station.inbox)
    process = station.working_process(day)
    kill(station.server)
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    station.start_server()
    _until_nobody_works(station)
    _jump(station, _at(day, _TICK))


def _outage(station: Station, market: Market, day: date) -> None:
    """Nothing comes of the session until the next morning; at night people are told."""
    _jump(station, _at(day, time(20, 29, 30)))

    def told() -> bool:
        return "stale reconciliation/summary" in open_alerts(station.place)

    station.wait("the alert of the outage", told, hurried=True)
    _jump(station, _at(day + timedelta(days=1), time(8)))
    market.deliver(day, station.inbox)


def _full_disk(station: Station, market: Market, day: date) -> None:
    if not station.place.folder.is_mount():
        market.deliver(day, station.inbox)
        return
    market.deliver(day, station.inbox)
    process = station.working_process(day)
    used = shutil.disk_usage(station.place.folder).used
    _remounted(station.place, used + 300_000)
    station.wait("the end of the run on a full disk", lambda: not psutil.pid_exists(process))
    _remounted(station.place, _ROOM)
    _until_nobody_works(station)
    _jump(station, _at(day, _TICK))


def _defect(station: Station, market: Market, day: date) -> None:
    defect = station.place.folder.with_name("defect")
    defect.touch()
    market.deliver(day, station.inbox)
    station.wait(
        f"the comparison of {day}", lambda: str(day) in materialized(station), hurried=True
    )
    _until_nobody_works(station)
    station.wait(
        "the alert of the rollback",
        lambda: "rollout indicators taken back" in open_alerts(station.place),
        hurried=True,
    )
    defect.unlink()
    by = ("--by", "Asha", "--reason", "the average true range is right again")
    station.done([sys.executable, "-c", _INVALIDATE, str(day), *_keys(station, day)])
    station.setbull("run", "--from", str(day), "--to", str(day))
    station.setbull("rollout", "rearm", "--component", "indicators", *by)


def _flipped_bit(station: Station, market: Market, day: date) -> None:
    """In a file of the session before, on the evening before a scrub."""
    before = market.days[market.days.index(day) - 1]

    def flip() -> None:
        from setbull_pipelines import tables
        from setbull_pipelines.warehouse.pointers import StoredTable
        from setbull_pipelines.warehouse.store import Warehouse

        warehouse = Warehouse(station.place.folder / "warehouse")
        stored = StoredTable("v1", tables.CANDLES_5MIN)
        path = warehouse.data.path(warehouse.pointer(stored, str(before)).file)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    market.deliver(day, station.inbox)
    station.wait(f"the results of {day}", lambda: str(day) in materialized(station), hurried=True)
    _until_nobody_works(station)
    if carried_out(flip, station.place):
        raise SystemExit(station.place.told[-2000:])


def _end_of_calendar(station: Station, market: Market, day: date) -> None:
    market.deliver(day, station.inbox)
    station.wait(f"the results of {day}", lambda: str(day) in materialized(station), hurried=True)
    _until_nobody_works(station)
    _jump(station, _at(day, time(22)))
    calendar = station.place.folder.with_name("calendar.csv")
    with calendar.open("a", encoding="utf-8") as file:
        file.write(NEXT_YEAR)
    station.end()
    station.start_server()
    station.start_daemon()
    station.wait(
        "the recovery of the calendar",
        lambda: "calendar" not in open_alerts(station.place),
        hurried=True,
    )


def _plain(station: Station, market: Market, day: date) -> None:
    market.deliver(day, station.inbox)


_LOST_RUN = "run daily {day}"
PLAIN = Fault("", _plain)
OF_DEFECT = Fault(
    "defect of V2 at 50 %, and its fix",
    _defect,
    (
        "rollout indicators taken back",
        "check reconciliation/indicators_5min v2_agrees_with_v1 {day}",
        "check reconciliation/indicators_daily v2_agrees_with_v1 {day}",
    ),
)
_AT_ANY_TIME = (
    Fault("SIGKILL of the run", _kill_run, (_LOST_RUN,)),
    Fault(
        "outage of the source until the next morning", _outage, ("stale reconciliation/summary",)
    ),
    Fault("SIGKILL of the daemon", _kill_daemon),
    OF_DEFECT,
    Fault("full disk", _full_disk, (_LOST_RUN,)),
    Fault("SIGKILL of the code server and the run", _kill_server, (_LOST_RUN,)),
    Fault("SIGKILL of the run, again", _kill_run, (_LOST_RUN,)),
)
_BOUND = {
    date(2026, 12, 18): Fault(
        "a flipped bit", _flipped_bit, ("check operations/scrub no_file_had_to_be_repaired",)
    ),
    RENAMED_ON: Fault("a stock gets another key", _plain),
    SPLIT_DAY: Fault("a split", _plain),
    MUHURAT: Fault("Muhurat on a Sunday", _plain),
    CORRECTED_AFTER: Fault("two old bars corrected", _plain),
    date(2026, 12, 31): Fault(
        "the end of the calendar, and the next year's", _end_of_calendar, ("calendar",)
    ),
}
_FRIDAY = 4


def planned(days: Sequence[date]) -> dict[date, Fault]:
    """The fault of each session: first those that are bound to a date, then the others on the days that are left.

    None on another Friday, whose night and morning belong to the weekly jobs.
    """
    bound = {day: fault for day, fault in _BOUND.items() if day in days}
    if CORRECTED not in days:
        bound.pop(CORRECTED_AFTER, None)
    free = [day for day in days if day not in bound and day.weekday() != _FRIDAY]
    found = dict(zip(free, _AT_ANY_TIME, strict=False)) | bound
    return {day: found.get(day, PLAIN) for day in days}


def open_alerts(place: Place) -> dict[str, str]:
    """The keys of the open alerts with their titles."""
    return {each["key"]: each["title"] for each in ledger(place) if each["state"] == "open"}


def ledger(place: Place) -> list[dict]:
    """All alerts, each with how often people were told that it was raised and that it is over."""
    answer = place.log.with_name("ledger.json")

    def read() -> None:
        from setbull_pipelines.alerts.ledger import DELIVERED
        from setbull_pipelines.cli.starting import settings_in_force
        from setbull_pipelines.pipeline.alert_delivery import read_ledger
        from setbull_pipelines.pipeline.opening import open_warehouse

        known = read_ledger(open_warehouse(settings_in_force()))
        said = [
            {
                "key": alert.key,
                "state": alert.state,
                "title": alert.title,
                "message": alert.message,
                "severity": alert.severity.label,
                "told": [
                    notice.event
                    for notice in known.notices
                    if notice.alert == alert.number and notice.state == DELIVERED
                ],
            }
            for alert in known.alerts
        ]
        answer.write_text(json.dumps(said), encoding="utf-8")

    answer.unlink(missing_ok=True)
    if carried_out(read, place):
        raise SystemExit(place.told[-2000:])
    return json.loads(answer.read_text(encoding="utf-8"))


def materialized(station: Station) -> set[str]:
    """The sessions that no tick asks for again."""
    with station.instance() as instance:
        return set(map(str, materialized_days(instance)))


def _until_nobody_works(station: Station) -> None:
    """Until no run is under way; one whose process was killed is ended by the daemon."""
    station.wait("the end of the runs", lambda: not station.runs(unfinished=True))


def _keys(station: Station, day: date) -> list[str]:
    """The instruments that traded."""
    with (station.inbox / f"daily {day}.csv").open(encoding="utf-8") as file:
        return [row["instrument_key"] for row in csv.DictReader(file)]


@contextmanager
def disk_of_its_own(place: Place) -> Iterator[bool]:
    """A file system in memory for the data folder, which can be full; False where nobody may mount one."""
    place.folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_ROOM}", "none", str(place.folder)]
    is_mounted = subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(place.folder)], check=True)


def _remounted(place: Place, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(place.folder)], check=True)
