"""Readers beside everything that writes: errors, and rows of two tables of one commit that do not belong together.

Belongs here: writers, readers, the count. Does not belong here: killed writers (``kills``).

A writer gives four tables of a day the same new number in one commit, again and again, and refreshes the views; others
refresh a session under way, end it, write reports, scrub, put files together and delete what nobody needs,
all in the same folder. A reader that finds two numbers has seen half of a commit: three connect with DuckDB, one is our
own, one asks the API for two timeframes at once, and one opens its pages.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from itertools import chain, cycle, repeat
from pathlib import Path
from urllib.parse import quote

import httpx

from benchmarks.reliability.kills import judgement
from benchmarks.reliability.tiny import DAYS, Place, carried_out, command, ended, started
from benchmarks.reliability.works import maintain, tick
from setbull_pipelines_tests.ports import free_port

_NUMBERS = (
    "SELECT (SELECT max(volume) FROM v1.candles_5min WHERE trading_day = DATE '{day}'), "
    "(SELECT max(volume) FROM v2.candles_5min WHERE trading_day = DATE '{day}'), "
    "(SELECT count(*) FROM v1.candles_5min WHERE trading_day = DATE '{day}') - "
    "(SELECT count(*) FROM v2.candles_5min WHERE trading_day = DATE '{day}')"
)
_DAY = "2026-01-05"
"""A session that no run beside the writer looks back on: its two lanes are two commits."""
_GRACE = timedelta(seconds=10)
"""How long files stay that nobody needs: longer than a query over twelve instruments, and short enough that they go."""
_PAUSE = 0.05
"""Seconds between two reads, so that they are spread over many commits."""
_MARKED = 10**9
"""Volumes from here on are the writer's numbers."""


def main(reads: int, directory: Path) -> int:
    """Read ``reads`` times beside writers, tell, and give the exit code."""
    place = Place.below(directory / "readers")
    shutil.rmtree(place.folder, ignore_errors=True)
    if carried_out(command("run", "--from", DAYS[0], "--to", DAYS[1]), place):
        raise SystemExit(place.told[-2000:])
    began = time.monotonic()
    stop = place.folder.with_name("stop")
    stop.unlink(missing_ok=True)
    commits = place.folder.with_name("commits")
    commits.unlink(missing_ok=True)
    port = free_port()
    looks = {
        "our own reader": _our_reader,
        **{f"plain DuckDB {number}": _plain_duckdb for number in (1, 2, 3)},
        "API, two timeframes": partial(_api, port=port),
        "API, pages": partial(_pages, port=port),
    }
    each = -(-reads // len(looks))
    answers = [place.folder.with_name(f"reader-{number}.json") for number in range(len(looks))]
    server = started(command("api", "--port", str(port)), place)
    readers = [
        started(_reading(look, place, each, answer, commits), place)
        for look, answer in zip(looks.values(), answers, strict=True)
    ]
    # A session that was computed as a whole takes no tick any more.
    session = chain(
        (
            partial(tick, f"{hour}:{minute:02}")
            for hour in range(10, 15)
            for minute in range(0, 60, 5)
        ),
        repeat(command("run", "--from", DAYS[2], "--to", DAYS[2])),
    )
    writers = [
        started(_writing(place, stop, commits), place),
        started(_repeating(stop, session), place),
        started(_repeating(stop, repeat(command("report", "--day", DAYS[1]))), place),
        started(_repeating(stop, repeat(command("scrub"))), place),
        started(_repeating(stop, repeat(partial(maintain, _GRACE))), place),
    ]
    for reader in readers:
        ended(reader, 7200)
    stop.touch()
    os.kill(server, signal.SIGINT)
    ended(server)
    codes = [ended(writer) for writer in writers]
    found = [json.loads(answer.read_text(encoding="utf-8")) for answer in answers]
    faults = [f"a writer ended with {code}: {place.told[-1500:]}" for code in codes if code]
    if "Traceback" in place.told:
        faults.append(f"a traceback was printed: {place.told[-1500:]}")
    print(f"| reader | reads | commits seen | errors | torn |\n|{'---|' * 5}")
    for name, said in zip(looks, found, strict=True):
        print(
            f"| {name} | {said['reads']:,} | {said['seen']:,} | {len(said['errors'])} | {len(said['torn'])} |"
        )
        faults += [f"{name}: {fault}" for fault in said["errors"][:3] + said["torn"][:3]]
    made = commits.read_text(encoding="utf-8")
    print(
        f"\n{made} commits of four tables in {time.monotonic() - began:.0f} s, beside ticks, runs, reports, scrubs and "
        "maintenance"
    )
    faults += _two_at_once(directory)
    for fault in faults:
        print(f"fault: {fault}")
    return 1 if faults else 0


def _two_at_once(directory: Path) -> list[str]:
    """Two runs over the same session, started by mistake at the same moment."""
    place = Place.below(directory / "two")
    shutil.rmtree(place.folder, ignore_errors=True)
    place.log.unlink(missing_ok=True)
    work = command("run", "--from", DAYS[0], "--to", DAYS[0])
    runs = [started(work, place), started(work, place)]
    codes = [ended(run) for run in runs]
    faults = []
    if any(codes) and "error: " not in place.told:
        faults.append(f"two runs at once ended with {codes} and no sentence")
    if "Traceback" in place.told:
        faults.append(f"two runs at once: {place.told[-1500:]}")
    if carried_out(work, place):
        faults.append(f"the run after two at once failed: {place.told[-800:]}")
    wrong = judgement(place)["wrong"]
    print(f"two runs of one session at once: exit codes {codes}, afterwards {len(wrong)} wrong")
    return faults + wrong


def _writing(place: Place, stop: Path, answer: Path) -> Callable[[], None]:
    """Four tables of one day with a new number, in one commit, until ``stop`` is there."""

    def write() -> None:
        import pandas as pd

        from setbull_pipelines import tables
        from setbull_pipelines.cli.starting import settings_in_force
        from setbull_pipelines.pipeline.catalog import refresh_catalog
        from setbull_pipelines.pipeline.opening import open_warehouse
        from setbull_pipelines.pipeline.serving import ASSIGNMENT, served_table
        from setbull_pipelines.warehouse.pointers import StoredTable

        settings = settings_in_force()
        warehouse = open_warehouse(settings)
        written = [StoredTable(lane, tables.CANDLES_5MIN) for lane in ("v1", "v2")]
        written += [served_table(tables.CANDLES_5MIN), served_table(tables.CANDLES_DAILY)]
        earlier = pd.Timestamp(DAYS[0]) - pd.Timestamp(_DAY)
        frames, inputs = {}, {}
        for stored in written:
            # As served by the assignment in force: a run would serve the day again.
            inputs[stored] = {
                name: value
                for name, value in warehouse.pointer(stored, DAYS[0]).inputs.items()
                if name == ASSIGNMENT
            }
            frame = warehouse.read(stored, [DAYS[0]])
            frame["trading_day"] -= earlier
            frame["timestamp"] -= earlier
            frames[stored] = frame
        number = 0
        while not stop.exists():
            number += 1
            for frame in frames.values():
                frame.loc[0, "volume"] = _MARKED + number
            with warehouse.commit() as commit:
                for stored, frame in frames.items():
                    batch = warehouse.check(stored, {_DAY: frame})
                    commit.add(
                        stored,
                        batch,
                        code_version="test",
                        settings_hash="test",
                        inputs={_DAY: inputs[stored]},
                        run_id="readers",
                    )
            refresh_catalog(warehouse, settings)
            answer.write_text(str(number), encoding="utf-8")

    return write


def _repeating(stop: Path, works: Iterable[Callable[[], None]]) -> Callable[[], None]:
    """Each of ``works`` in a process of its own, one after the other."""

    def carry_out() -> None:
        for work in works:
            if stop.exists():
                return
            if code := carried_out(work, Place.below(stop.parent)):
                raise SystemExit(code)
            time.sleep(random.random())

    return carry_out


def _reading(
    read: Callable[[Place], Callable[[], tuple[int, int, int]]],
    place: Place,
    reads: int,
    answer: Path,
    begun: Path,
) -> Callable[[], None]:
    def run() -> None:
        errors, torn, seen = [], [], set()
        while not begun.exists():
            time.sleep(0.1)
        look = read(place)
        for _ in range(reads):
            try:
                first, second, apart = look()
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")
                continue
            seen.add(first)
            time.sleep(_PAUSE)
            if first != second or apart:
                torn.append(f"{first} and {second}, {apart} rows apart")
        said = {"reads": reads, "seen": len(seen), "errors": errors, "torn": torn}
        answer.write_text(json.dumps(said), encoding="utf-8")

    return run


def _plain_duckdb(place: Place) -> Callable[[], tuple[int, int, int]]:
    """As a notebook does: connected anew for each question."""
    import duckdb

    path, question = str(place.folder / "setbull.duckdb"), _NUMBERS.format(day=_DAY)

    def look() -> tuple[int, int, int]:
        with duckdb.connect(path, read_only=True) as connection:
            return connection.execute(question).fetchone()

    return look


def _our_reader(place: Place) -> Callable[[], tuple[int, int, int]]:
    from setbull_pipelines import tables
    from setbull_pipelines.warehouse.pointers import StoredTable
    from setbull_pipelines.warehouse.store import Warehouse

    warehouse = Warehouse(place.folder / "warehouse")
    both = [StoredTable(lane, tables.CANDLES_5MIN) for lane in ("v1", "v2")]

    def look() -> tuple[int, int, int]:
        with warehouse.snapshot() as reader:
            first, second = (reader.read(stored, [_DAY], ["volume"]) for stored in both)
        return int(first.max().iloc[0]), int(second.max().iloc[0]), len(first) - len(second)

    return look


def _api(place: Place, port: int) -> Callable[[], tuple[int, int, int]]:
    """Five-minute bars and the bar of the day in one answer."""
    client, key = _client(port), quote(_first_instrument(place), safe="")
    bounds = {"start": f"{_DAY}T00:00:00+05:30", "end": f"{_DAY}T23:59:00+05:30"}

    def look() -> tuple[int, int, int]:
        answer = client.post(
            f"/api/v1/candles/{key}/multi", json={"timeframes": ["5minute", "day"], **bounds}
        )
        bars = answer.raise_for_status().json()["data"]["data"]
        first, second = (max(bar["volume"] for bar in bars[name]) for name in ("5minute", "day"))
        return first, second, 0

    return look


def _pages(place: Place, port: int) -> Callable[[], tuple[int, int, int]]:
    """A page after the other: all are there, whatever is written."""
    client, key = _client(port), quote(_first_instrument(place), safe="")
    paths = cycle(["/reports/index.html", f"/reports/{DAYS[1]}", f"/chart/{key}"])

    def look() -> tuple[int, int, int]:
        client.get(next(paths), follow_redirects=True).raise_for_status()
        return 0, 0, 0

    return look


def _client(port: int) -> httpx.Client:
    """A client of the API, once it answers."""
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=120)
    while True:
        try:
            client.get("/api/v1/health").raise_for_status()
            return client
        except httpx.TransportError:
            time.sleep(0.2)


def _first_instrument(place: Place) -> str:
    from setbull_pipelines import tables
    from setbull_pipelines.warehouse.pointers import StoredTable
    from setbull_pipelines.warehouse.store import Warehouse

    stored = StoredTable("v1", tables.CANDLES_5MIN)
    rows = Warehouse(place.folder / "warehouse").read(stored, [DAYS[0]], ["instrument_key"])
    return str(rows["instrument_key"].iloc[0])
