"""A month of sessions through the real daemon in less than an hour, with faults, and what it left behind.

Belongs here: the order of things, what is measured after each session, the judgement at the end. Does not belong here:
the month (``soak_market``), the faults (``soak_faults``), processes (``soak_daemon``).

The clock of the daemon, of the code server and of every run jumps from one moment at which something happens to the
next. Every evening the session has to be served. At the end every fault was told once and is over, nothing else was
told, memory, handles and files are flat, and the tables are those of a folder that got the same files without faults.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import time as real_time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

from benchmarks.reliability import soak_faults as faults
from benchmarks.reliability import soak_market as month
from benchmarks.reliability.clock import Clock
from benchmarks.reliability.judged import differences
from benchmarks.reliability.soak_daemon import Station, Weight, WentWrong, moment_of
from benchmarks.reliability.soak_market import INDIA, Market
from benchmarks.reliability.tiny import Place, carried_out

_SATURDAY = 5
_WEEKLY = {"maintenance": time(5, 59, 30), "scrub": time(7, 59, 30)}
_GROWTH = 1.15
"""Most by which the last third of the sessions may take more than the third before."""
_ARRIVED = ("raw.candles_1min ", "raw.candles_daily_history ", "raw.intake ", "raw.revisions ")
"""Tables that tell when a row arrived; what else they tell is in another hash."""
Plan = dict[date, faults.Fault]
_JUDGE = (
    "import sys; from pathlib import Path; from benchmarks.reliability.judged import judge; "
    "judge(Path(sys.argv[1]))"
)


@dataclass(frozen=True)
class Evening:
    """What is measured after a session."""

    day: str
    fault: str
    seconds: float
    weights: dict[str, Weight]
    files: int
    mebibytes: float


def main(sessions: int, directory: Path) -> int:
    """Let the month pass, tell, and give the exit code."""
    market = month.made(directory).last(sessions)
    plan = faults.planned(market.days[1:])
    place = month.place_below(directory / "soak")
    clock = Clock(directory / "clock")
    station = Station(place, directory / "inbox", clock)
    wrong: list[str] = []
    with faults.disk_of_its_own(place) as is_mounted:
        if not is_mounted:
            wrong.append("left out: the full disk, for which nobody may mount a file system here")
        try:
            evenings = list(_passed(station, market, plan, wrong))
            station.end()
            ledger = faults.ledger(place)
            found = _judged(station)
        except BaseException:
            station.end()
            shutil.copytree(place.folder, directory / "kept", symlinks=True, dirs_exist_ok=True)
            raise
    wrong += _of_alerts(ledger, plan)
    wrong += _of_weights(evenings)
    wrong += [told for told in found["wrong"] if not told.startswith("doctor: clock: ")]
    # Before the replay, which takes a third of the time and may be stopped.
    _show(evenings, ledger, directory)
    wrong += _of_contents(_replayed(market, plan, directory, clock), found)
    print(
        f"\n{len(evenings)} sessions, {len(found['content']):,} partitions, {len(wrong)} faults found"
    )
    for each in wrong:
        print(f"  {each}")
    return 1 if wrong else 0


def _passed(station: Station, market: Market, plan: Plan, wrong: list[str]) -> Iterator[Evening]:
    """The sessions, one after the other, with what was measured after each."""
    first, *days = market.days
    station.clock.jump(month.closes_at(first))
    market.deliver(first, station.inbox)
    station.setbull("run", "--input", str(station.inbox))
    station.start_server()
    station.start_daemon()
    station.switch_on()
    began = real_time.monotonic()
    for number, day in enumerate(days, 1):
        started = real_time.monotonic()
        fault = plan[day]
        try:
            _days_between(station, market.days[number - 1], day, wrong)
            _jump(station, month.closes_at(day))
            fault.commit(station, market, day)
            _settled(station, day)
        except WentWrong as reason:
            wrong.append(f"{day}: {reason}")
            print(f"{reason}: {station.told}", flush=True)
            station.revive()
        wrong += [f"{day}: {told}" for told in _of_served(station.place, day)]
        evening = Evening(
            str(day),
            fault.name,
            real_time.monotonic() - started,
            station.weights(),
            *_extent(station.place.folder),
        )
        passed = real_time.monotonic() - began
        left = passed / number * (len(days) - number)
        print(
            f"{real_time.strftime('%H:%M:%S')} session {number} of {len(days)}, {moment_of(station.clock)}: "
            f"{evening.seconds:.0f} s, {fault.name or 'nothing planted'}; {number / passed * 60:.1f} a minute, "
            f"{left / 60:.0f} min left; {len(wrong)} faults found",
            flush=True,
        )
        yield evening


def _days_between(station: Station, before: date, day: date, wrong: list[str]) -> None:
    """Saturdays with their jobs, and the holiday, on which nothing may be asked for."""
    for offset in range(1, (day - before).days):
        between = before + timedelta(days=offset)
        if between.weekday() == _SATURDAY:
            for job, moment in _WEEKLY.items():
                _weekly(station, job, datetime.combine(between, moment, INDIA))
        if between == month.HOLIDAY:
            asked = len(station.runs(job="daily"))
            _jump(station, datetime.combine(between, time(16, 29, 30), INDIA))
            real_time.sleep(75)  # the daemon looks at its schedules once a minute
            if len(station.runs(job="daily")) > asked:
                wrong.append(f"a run was asked for on the holiday {between}")


def _weekly(station: Station, job: str, moment: datetime) -> None:
    done = {run.run_id for run in station.runs(job=job)}
    _jump(station, moment)

    def is_done() -> bool:
        new = [run for run in station.runs(job=job) if run.run_id not in done]
        return bool(new) and all(run.is_finished for run in new)

    station.wait(f"the {job} of {moment}", is_done)


def _jump(station: Station, moment: datetime) -> None:
    """Unless it has passed: a night in which people mended something can be long."""
    if moment.timestamp() > station.clock.now():
        station.clock.jump(moment, (station.place.folder, station.inbox))


def _settled(station: Station, day: date) -> None:
    """Until the session is there, nobody works and the daemon has looked at everything that happened."""
    station.wait(
        f"the results of {day}", lambda: str(day) in faults.materialized(station), hurried=True
    )

    def seen() -> bool:
        if station.runs(unfinished=True):
            return False
        with station.instance() as instance:
            ended = instance.get_run_records(limit=1, order_by="update_timestamp")
            states = {each.name: each for each in instance.all_instigator_state()}
            alerts = states["alerts"].instigator_data
            cursor = alerts.cursor if alerts else None
        last = ended[0].update_timestamp.timestamp()
        return bool(cursor) and datetime.fromisoformat(cursor).timestamp() >= last - 0.001

    # Twice: what a look asks for is under way at the next one.
    for _ in range(2):
        station.hurry(61)
        real_time.sleep(6)
        station.wait(f"quiet after {day}", seen, hurried=True)


def _of_served(place: Place, day: date) -> list[str]:
    """What is wrong with the tables that are served of a session."""
    answer = place.log.with_name("served.json")

    def look() -> None:
        from setbull_pipelines import tables
        from setbull_pipelines.cli.starting import settings_in_force
        from setbull_pipelines.pipeline.opening import open_warehouse
        from setbull_pipelines.pipeline.serving import served_table
        from setbull_pipelines.warehouse.pointers import StoredTable

        warehouse = open_warehouse(settings_in_force())
        found = []
        for table in (tables.CANDLES_5MIN, tables.INDICATORS_DAILY, tables.FILTER_RESULTS):
            served, v1 = (
                warehouse.read(stored, [str(day)])
                for stored in (served_table(table), StoredTable("v1", table))
            )
            if len(served) != len(v1) or not len(served):
                found.append(f"{table.name}: {len(served)} rows served, {len(v1)} of V1")
        answer.write_text(json.dumps(found), encoding="utf-8")

    answer.unlink(missing_ok=True)
    if carried_out(look, place):
        return [f"the served tables cannot be read: {place.told[-600:]}"]
    return json.loads(answer.read_text(encoding="utf-8"))


def _extent(folder: Path) -> tuple[int, float]:
    """Files below a folder, and their mebibytes."""
    sizes = []
    for place, _, files in os.walk(folder):
        for name in files:
            try:
                sizes.append(os.lstat(os.path.join(place, name)).st_size)
            except FileNotFoundError:
                continue
    return len(sizes), sum(sizes) / 2**20


def _judged(station: Station) -> dict:
    """What the folder holds and what is wrong in it, by the clock of the story."""
    answer = station.place.folder.with_name("judged.json")
    station.done([sys.executable, "-c", _JUDGE, str(answer)])
    return json.loads(answer.read_text(encoding="utf-8"))


def _replayed(market: Market, plan: Plan, directory: Path, clock: Clock) -> dict:
    """The same files without faults and without a daemon: what a folder holds then.

    Served tables say which variant they hold, so that V2 is turned off where the defect turns it off.
    """
    place, inbox = month.place_below(directory / "replay"), directory / "replayed"
    for folder in (place.folder, inbox):
        shutil.rmtree(folder, ignore_errors=True)
    (place.folder.with_name("calendar.csv")).write_text(
        month.CALENDAR + month.NEXT_YEAR,
        encoding="utf-8",
    )
    station = Station(place, inbox, clock)
    days = market.days
    of_defect = next((day for day, fault in plan.items() if fault is faults.OF_DEFECT), None)
    by = ("--by", "Asha", "--reason", "as the rollback of the soak")
    for day in days:
        if day == of_defect:
            station.setbull("rollout", "kill", "--component", "indicators", *by)
        market.deliver(day, inbox)
        station.setbull("run", "--input", str(inbox))
        if day == of_defect:
            station.setbull("rollout", "rearm", "--component", "indicators", *by)
        print(f"{real_time.strftime('%H:%M:%S')} replayed until {day}", flush=True)
    return _judged(station)


def _of_alerts(ledger: list[dict], plan: Plan) -> list[str]:
    """Whether people were told of every fault once, and of nothing else, and that each is over."""
    expected = Counter(key.format(day=day) for day, fault in plan.items() for key in fault.alerts)
    raised = [alert for alert in ledger if alert["state"] != "noted"]
    found = Counter(alert["key"] for alert in raised)
    wrong = [f"not told: {key}" for key in (expected - found)]
    wrong += [
        f"told and not planted: {alert['key']}: {alert['title']}: {alert['message']}"
        for alert in raised
        if alert["key"] not in expected
    ]
    for alert in raised:
        if alert["key"] not in expected:
            continue
        if found[alert["key"]] > expected[alert["key"]]:
            wrong.append(f"raised {found[alert['key']]} times: {alert['key']}")
        if alert["state"] != "recovered":
            wrong.append(f"{alert['state']}: {alert['key']}")
        if alert["told"].count("raised") != 1 or alert["told"].count("recovered") != 1:
            wrong.append(f"told {alert['told']}: {alert['key']}")
    return wrong


def _of_weights(evenings: list[Evening]) -> list[str]:
    """What the last third of the sessions takes more than the third before."""
    third = len(evenings) // 3
    if third < 3:
        return []
    wrong = []
    for name in evenings[0].weights:
        for part in ("mebibytes", "handles", "threads"):
            middle, last = (
                statistics.median(getattr(each.weights[name], part) for each in stretch)
                for stretch in (evenings[-2 * third : -third], evenings[-third:])
            )
            if last > middle * _GROWTH:
                wrong.append(f"{name}: {part} grew from {middle:.0f} to {last:.0f}")
    return wrong


def _of_contents(replayed: dict, found: dict) -> list[str]:
    """In which partitions the content is another than after the same files without faults.

    What shows a difference is a partition without rows once the difference is gone; without one there is none.
    """
    emptied = {
        f"{place}: only after kills"
        for place, said in found["content"].items()
        if place.startswith("reconciliation.") and not said["rows"]
    }
    return [
        told
        for told in differences(replayed, found)
        if not (told.startswith(_ARRIVED) and told.endswith(": content differ"))
        and not told.startswith("judged: ")
        and told not in emptied
    ]


def _show(evenings: list[Evening], ledger: list[dict], directory: Path) -> None:
    """Print what was measured, and keep it."""
    print("\n| session | planted | seconds | daemon | code server | files | data folder |")
    print(f"|{'---|' * 7}")
    for evening in evenings:
        weights = (
            f"{weight.mebibytes:.0f} MiB, {weight.handles} handles, {weight.threads} threads"
            for weight in evening.weights.values()
        )
        print(
            f"| {evening.day} | {evening.fault or 'nothing'} | {evening.seconds:.0f} | {' | '.join(weights)} | "
            f"{evening.files:,} | {evening.mebibytes:.1f} MiB |"
        )
    print("\n| alert | state | told |\n|---|---|---|")
    for alert in ledger:
        if alert["state"] != "noted":
            print(f"| {alert['key']} | {alert['state']} | {', '.join(alert['told'])} |")
    measured = {"evenings": [asdict(each) for each in evenings], "alerts": ledger}
    (directory / "measured.json").write_text(json.dumps(measured), encoding="utf-8")
