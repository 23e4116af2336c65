"""The kinds of work that are killed: what each begins with, what it does, and what it has to leave.

Belongs here: one entry for each kind. Does not belong here: killing (``kills``).
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from benchmarks.reliability.judged import differences
from benchmarks.reliability.tiny import DAYS, SETTINGS, Place, carried_out, command
from setbull_pipelines.settings.loading import UPSTOX_TOKEN_VARIABLE

_KEPT_SHORT = f"{SETTINGS}[storage]\nkeep_versions = 2\n"


def same(undisturbed: dict, found: dict, starts: int) -> list[str]:
    """Everything is as in a folder that nobody disturbed."""
    return differences(undisturbed, found)


def same_but_arrivals(undisturbed: dict, found: dict, starts: int) -> list[str]:
    """Everything is the same but when files arrived; their rows have another hash, which leaves that out."""
    arrived = ("raw.candles_1min ", "raw.intake ")
    return [
        told
        for told in differences(undisturbed, found)
        if not (told.startswith(arrived) and told.endswith(": content differ"))
    ]


def same_acts(undisturbed: dict, found: dict, starts: int) -> list[str]:
    """A person's act that was killed was done or was not, and was done once at most each time that it was asked for."""
    wrong = differences(undisturbed, found)
    expected, acts = undisturbed["acts"], len(found["acts"])
    if not 1 <= acts <= starts or set(found["acts"]) != set(expected):
        wrong.append(f"acts in the log: {found['acts']}, expected {expected}, up to {starts} times")
    return wrong


def same_files(undisturbed: dict, found: dict, starts: int) -> list[str]:
    """Files that are input for later runs have the same content, and none is missing."""
    old, new = undisturbed["files"], found["files"]
    wrong = [
        f"{name} differs"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    return [*differences(undisturbed, found), *wrong, *([] if old else ["nothing was written"])]


@dataclass(frozen=True)
class Work:
    """One kind."""

    prepare: Callable[[Place], None]
    """Makes the folder that it begins with; nothing for an empty one."""
    begin: Callable[[Place], Callable[[], None]]
    """What is carried out in a process."""
    share: float
    """Of the kills: work that takes long gets fewer."""
    compare: Callable[[dict, dict, int], list[str]] = same
    settings: str = SETTINGS
    code: int = 0
    most_kills: int = 8
    """Of one command, before it is let through."""
    commits: bool = True
    """Whether it changes the catalog of commits."""
    repeats: bool = False
    """Whether it is begun again after it was done, too."""


def _nothing(place: Place) -> None:
    pass


def _finished(days: tuple[str, ...]) -> Callable[[Place], None]:
    """The folder of a run over ``days``; made once for all works."""

    def prepare(place: Place) -> None:
        name = f"{days[0]}-{days[-1]}"
        finished = place.folder.parents[2] / f"finished-{name}"
        if not finished.exists():
            made = Place.below(place.folder.parents[2] / f"making-{name}")
            shutil.rmtree(made.folder, ignore_errors=True)
            if carried_out(command("run", "--from", days[0], "--to", days[-1]), made):
                raise SystemExit(
                    f"the folder to begin with could not be made:\n{made.told[-2000:]}"
                )
            made.folder.rename(finished)
        shutil.copytree(finished, place.folder, symlinks=True)
        carried_out(command("catalog"), place)  # its views read the files of this folder

    return prepare


def _of_files(place: Place) -> None:
    """A session of the sample as a file per instrument, to be taken in."""
    _finished(DAYS[:1])(place)
    folder = place.folder.parent / "input"
    folder.mkdir()

    def write() -> None:
        from setbull_pipelines import tables
        from setbull_pipelines.warehouse.pointers import StoredTable
        from setbull_pipelines.warehouse.store import Warehouse

        warehouse = Warehouse(place.folder / "warehouse")
        columns = ["instrument_key", "timestamp", "open", "high", "low", "close", "volume"]
        rows = warehouse.read(StoredTable("raw", tables.CANDLES_1MIN), DAYS[:1], columns)
        for number, (_, of_one) in enumerate(rows.groupby("instrument_key", observed=True)):
            of_one.to_csv(folder / f"minutes-{number}.csv", index=False)

    if carried_out(write, place):
        raise SystemExit(place.told[-2000:])
    shutil.rmtree(place.folder)


def _damaged(place: Place) -> None:
    """Three damaged files, that scrubbing makes again."""
    _finished(DAYS)(place)

    def damage() -> None:
        from setbull_pipelines import tables
        from setbull_pipelines.warehouse.pointers import StoredTable
        from setbull_pipelines.warehouse.store import Warehouse

        warehouse = Warehouse(place.folder / "warehouse")
        for schema, table in (
            ("v1", tables.CANDLES_5MIN),
            ("v2", tables.INDICATORS_DAILY),
            ("v2", tables.SEQUENCES),
        ):
            pointer = warehouse.pointer(StoredTable(schema, table), DAYS[-1])
            path = warehouse.data.path(pointer.file)
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)

    carried_out(damage, place)


def maintain(grace: timedelta = timedelta(0), later: timedelta = timedelta(0)) -> None:
    """The job of maintenance, as the daemon carries it out; what nobody needs goes after ``grace``, not an hour.

    It takes place ``later`` than now.
    """
    from setbull_pipelines.assets import maintenance
    from setbull_pipelines.automation.jobs import MAINTENANCE_JOB_NAME
    from setbull_pipelines.pipeline.opening import now
    from setbull_pipelines.warehouse import looking

    looking.GRACE = grace
    maintenance.now = lambda: now() + later
    _execute(MAINTENANCE_JOB_NAME, {})


def _execute(job_name: str, asked: Mapping[str, str]) -> None:
    """A job, as the daemon carries it out."""
    import dagster as dg

    from setbull_pipelines.automation.run_process import end_gone_runs, process_tags
    from setbull_pipelines.cli.home import prepare_dagster_home
    from setbull_pipelines.cli.starting import settings_in_force
    from setbull_pipelines.definitions import build_defs

    settings = settings_in_force()
    prepare_dagster_home(settings.data_directory, settings.runs)
    with dg.DagsterInstance.get() as instance:
        end_gone_runs(instance)
        job = build_defs(settings).resolve_job_def(job_name)
        run_id = str(uuid.uuid4())
        tags = {**asked, **process_tags(run_id)}
        if not job.execute_in_process(instance=instance, run_id=run_id, tags=tags).success:
            raise SystemExit(1)


def tick(at: str = "11:00") -> None:
    """A tick of the session under way, at a time of the day."""
    from setbull_pipelines.assets import common

    day = datetime.fromisoformat(f"{DAYS[2]}T{at}:00+05:30")
    common.now = lambda: day
    moment = day.replace(tzinfo=None).isoformat()
    asked = {common.PARTITION_TAG: DAYS[2], common.AS_OF_TAG: moment}
    _execute(common.INTRADAY_JOB_NAME, asked)


def _alerts() -> None:
    """Thirty findings that are raised, and told to a channel that is a log, one after the other."""
    from setbull_pipelines.alerts.finding import Finding, Says, Severity
    from setbull_pipelines.cli.starting import settings_in_force
    from setbull_pipelines.pipeline.alert_delivery import deliver, read_ledger, record_findings
    from setbull_pipelines.pipeline.opening import open_warehouse

    settings = settings_in_force()
    warehouse = open_warehouse(settings)
    first = datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Asia/Kolkata"))
    for number in range(30):
        moment = first + timedelta(minutes=number)
        finding = Finding(
            f"planted {number}",
            "check",
            Says.WRONG,
            Severity.WARNING,
            "check",
            "a test",
            "",
            moment,
        )
        record_findings([finding], warehouse, settings.alerts, lambda moment=moment: moment)
    deliver(warehouse, settings.alerts, lambda: first + timedelta(hours=1), lambda *_: None)
    ledger = read_ledger(warehouse)
    if [alert.occurrences for alert in ledger.alerts if alert.key.startswith("planted")] != [
        1
    ] * 30:
        raise SystemExit("not every alert is there once")


def _runs(*arguments: str) -> Callable[[Place], Callable[[], None]]:
    return lambda place: command(*arguments)


def _old_export(place: Place) -> None:
    """Two tables of the old system as exports, with rows enough for several chunks."""
    folder = place.folder.parent / "old"
    folder.mkdir(exist_ok=True)
    moments = [
        datetime(2026, 6, day, 9, 15) + timedelta(minutes=minute)
        for day in (24, 25, 29, 30)
        for minute in range(375)
    ]
    keys = [f"NSE_EQ|INE{number:06d}A01" for number in range(150)]
    lines = ["id,instrument_key,timestamp,open,high,low,close,volume,open_interest,time_interval"]
    for moment in moments:
        for key in keys:
            bar = f"100.00,101.00,99.00,{100 + len(lines) % 97 / 100:.2f},{1000 + len(lines) % 89}"
            lines.append(f"{len(lines)},{key},{moment:%Y-%m-%d %H:%M:%S},{bar},0,1minute")
    (folder / "stock_candle_data.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _import(place: Place) -> Callable[[], None]:
    return command("import", str(place.folder.parent / "old"), "--timezone", "Asia/Kolkata")


_BROKER = """
import sys
from datetime import date
from setbull_pipelines_tests.sources.upstox.broker import broker
with broker() as state:
    state.today, state.history_has_today = date.today(), True
    print(state.port, flush=True)
    sys.stdin.read()
"""


@cache
def _broker() -> int:
    """The port of a server that speaks the candle API, in a process that ends with this one."""
    project = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", _BROKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=project,
    )
    assert process.stdout is not None
    atexit.register(process.kill)
    return int(process.stdout.readline())


def _fetch(place: Place) -> Callable[[], None]:
    """Minutes of ten sessions and daily bars of twenty, of twelve instruments, each in several questions."""
    keys = [f"NSE_EQ|INE{number:06d}A01" for number in range(12)]
    listed = place.folder.with_name("instruments.csv")
    lines = ["instrument_key,symbol", *(f"{key},{key[-6:]}" for key in keys)]
    listed.write_text("\n".join(lines) + "\n", encoding="utf-8")
    upstox = f"""
[upstox]
base_url = "http://127.0.0.1:{_broker()}"
instruments = "{listed}"
days = 10
daily_days = 20
concurrency = 3
"""
    place.settings.write_text(SETTINGS + upstox, encoding="utf-8")

    def run() -> None:
        os.environ[UPSTOX_TOKEN_VARIABLE] = "planted.by.a.test"
        command("fetch")()

    return run


def same_fetched(undisturbed: dict, found: dict, starts: int) -> list[str]:
    """The candle files are the same; what the last fetch says of itself is about what was left to ask."""
    return [
        told
        for told in same_files(undisturbed, found, starts)
        if not told.startswith("operations.fetches")
    ]


WORKS = {
    "run of a range, from nothing": Work(_nothing, _runs("run"), 4),
    "run of one more session": Work(
        _finished(DAYS[:2]), _runs("run", "--from", DAYS[2], "--to", DAYS[2]), 4
    ),
    "scrub that makes files again": Work(_damaged, _runs("scrub"), 4),
    "maintenance": Work(_finished(DAYS), lambda place: maintain, 3, settings=_KEPT_SHORT),
    "acts of the rollout": Work(
        _finished(DAYS[:1]),
        _runs("rollout", "force", "sequences", "10", "--by", "Asha", "--reason", "a test"),
        6,
        compare=same_acts,
        most_kills=30,
        repeats=True,
    ),
    "alerts": Work(_finished(DAYS[:1]), lambda place: _alerts, 6, most_kills=20),
    "refresh of the session under way": Work(
        _finished(DAYS[:2]), lambda place: tick, 4, repeats=True
    ),
    "run of files": Work(
        _of_files,
        lambda place: command("run", "--input", str(place.folder.parent / "input")),
        4,
        compare=same_but_arrivals,
    ),
    "fetch from the broker": Work(
        _finished(DAYS[:1]), _fetch, 4, compare=same_fetched, repeats=True
    ),
    "import of the old system": Work(_old_export, _import, 4, compare=same_files, commits=False),
}
