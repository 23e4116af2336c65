"""SIGKILL of the daemon, of the webserver and of the code server with its runs, and what is true after they are back.

Belongs here: what is killed, when, the start of what was killed, and the count. Does not belong here: the processes
(``soak_daemon``), what has to be true of the folder (``judged``).

Two sessions are asked for at once over the webserver's API, as its pages ask. While they are made something is killed
at a random moment, with its process group, and started again; a session whose run was killed is asked for again, as a
tick of the schedule does, so that it can be made after the other. Then both are held against a folder in which the
command line made them undisturbed, one after the other.
"""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import requests

from benchmarks.reliability import soak_faults
from benchmarks.reliability.clock import Clock
from benchmarks.reliability.judged import differences
from benchmarks.reliability.kills import judgement
from benchmarks.reliability.soak_daemon import Station, WentWrong, kill
from benchmarks.reliability.tiny import DAYS, Place, carried_out, command

_LONGEST = 20.0
"""Seconds after which the last of the random moments comes."""
_MOST_KILLS = 4
_LAUNCH = """
mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) { __typename ... on PythonError { message } }
}"""


def main(kills: int, directory: Path, seed: int) -> int:
    """Kill ``kills`` times, tell, and give the exit code."""
    chance = random.Random(seed)
    start = Place.below(directory / "start")
    if not start.folder.exists() and carried_out(
        command("run", "--from", DAYS[0], "--to", DAYS[0]), start
    ):
        raise SystemExit(start.told[-2000:])
    expected = _undisturbed(start, directory)
    tally: Counter[str] = Counter()
    faults: list[str] = []
    rounds = 0
    while tally.total() < kills:
        rounds += 1
        place = _copied(start, directory / "place")
        found = _round(place, directory, chance, tally, expected)
        faults += found
        print(
            f"{time.strftime('%H:%M:%S')} {tally.total()} kills in {rounds} rounds, {len(faults)} faults "
            f"{'; '.join(found)}".rstrip(),
            flush=True,
        )
    print(f"\n| killed | kills |\n|{'---|' * 2}")
    for name, count in tally.items():
        print(f"| {name} | {count} |")
    print(f"\n{tally.total()} kills in {rounds} rounds, seed {seed}, {len(faults)} faults")
    for fault in faults:
        print(f"  {fault}")
    return 1 if faults else 0


def _undisturbed(start: Place, directory: Path) -> dict:
    place = _copied(start, directory / "undisturbed")
    for day in DAYS[1:]:
        if carried_out(command("run", "--from", day, "--to", day), place):
            raise SystemExit(place.told[-2000:])
    found = judgement(place)
    if found["wrong"]:
        raise SystemExit(f"undisturbed, there is wrong: {found['wrong']}")
    return found


def _copied(start: Place, directory: Path) -> Place:
    place = Place.below(directory)
    shutil.rmtree(place.folder, ignore_errors=True)
    place.log.unlink(missing_ok=True)
    shutil.copytree(start.folder, place.folder, symlinks=True)
    carried_out(command("catalog"), place)
    return place


def _round(
    place: Place, directory: Path, chance: random.Random, tally: Counter[str], expected: dict
) -> list[str]:
    """Make two sessions while something is killed up to four times; what is wrong then."""
    station = Station(place, None, Clock(directory / "clock"))
    # Dagster's configuration names the folder that it was copied from.
    carried_out(_prepare_home, place)
    killed: list[str] = []
    try:
        for begin in (station.start_server, station.start_daemon, station.start_webserver):
            begin()
        _ask(station)
        for _ in range(chance.randint(1, _MOST_KILLS)):
            moment = chance.random() * _LONGEST
            time.sleep(moment)
            if _is_done(station):
                break
            name = chance.choice(list(_KILLED))
            _KILLED[name](station)
            killed.append(f"{name} after {moment:.1f} s")
            tally[name] += 1
            _ask(station)
        station.wait("both sessions", lambda: _is_done(station, asks=True), hurried=True)
        station.wait("the end of all runs", lambda: not station.runs(unfinished=True))
    except WentWrong as reason:
        return [f"{killed}: {reason}"]
    finally:
        station.end()
    if "Traceback" in (log := station.log_of("webserver")):
        return [f"{killed}: the webserver printed a traceback: {log[-600:]}"]
    found = judgement(place)
    # Runs that were killed are alerts; undisturbed, there never was one.
    differing = [
        told for told in differences(expected, found) if not told.startswith("operations.alert_")
    ]
    wrong = [*found["wrong"], *differing]
    return [f"{killed}: {wrong[:8]}"] if wrong else []


def _prepare_home() -> None:
    from setbull_pipelines.cli.home import prepare_dagster_home
    from setbull_pipelines.cli.starting import settings_in_force

    settings = settings_in_force()
    prepare_dagster_home(settings.data_directory, settings.runs)


def _is_done(station: Station, asks: bool = False) -> bool:
    missing = set(DAYS[1:]) - soak_faults.materialized(station)
    if missing and asks:
        _ask(station)
    return not missing


def _ask(station: Station) -> None:
    """Ask for the sessions that are not there, unless a run is under way."""
    if not station.runs(unfinished=True):
        for day in sorted(set(DAYS[1:]) - soak_faults.materialized(station)):
            _launch(station, day)


def _launch(station: Station, day: str) -> None:
    parameters = {
        "selector": {
            "repositoryLocationName": "setbull_pipelines",
            "repositoryName": "__repository__",
            "pipelineName": "daily",
        },
        "mode": "default",
        "runConfigData": {},
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": day}]},
    }

    def is_launched() -> bool:
        try:
            answer = requests.post(
                f"http://127.0.0.1:{station.webserver_port}/graphql",
                json={"query": _LAUNCH, "variables": {"params": parameters}},
                timeout=30,
            ).json()
        except requests.RequestException:
            return False  # it is not up yet, or has not found the code server again
        return answer.get("data", {}).get("launchRun", {}).get("__typename") == "LaunchRunSuccess"

    station.wait(f"the launch of {day}", is_launched)


def _daemon(station: Station) -> None:
    kill(station.daemon)
    station.start_daemon()


def _webserver(station: Station) -> None:
    kill(station.webserver)
    station.start_webserver()


def _code_server(station: Station) -> None:
    kill(station.server)
    station.start_server()


_KILLED: dict[str, Callable[[Station], None]] = {
    "daemon": _daemon,
    "webserver": _webserver,
    "code server with its runs": _code_server,
}
