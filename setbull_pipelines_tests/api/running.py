"""A running API over a finished small run, and a webserver that answers as Dagster's does.

Belongs here: starting and ending them. Does not belong here: assertions.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from setbull_pipelines import tables
from setbull_pipelines.api.patience import Server, limited
from setbull_pipelines.api.server import create_app
from setbull_pipelines.pipeline.group_plans import plan_days, publish_groups
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.settings import ApiSettings, GroupSettings, Settings
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.pipeline.small_run import SmallRun

PREFIX = "/api/v1"
USER = {"X-User-Id": "1"}


@contextmanager
def serving(
    settings: Settings | Callable[[], Settings], token: str | None = None
) -> Iterator[httpx.Client]:
    """A client of a server on a free port of this machine; settings that change are given as a function."""
    app = create_app(settings if callable(settings) else lambda: settings, token)
    bound = socket.create_server(("127.0.0.1", 0))
    server = Server(limited(app, log="warning"), app.state.feed.end)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + PATIENCE
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


def keys_of(run: SmallRun) -> list[str]:
    """The instruments with five-minute bars on the last day."""
    rows = run.warehouse.read(served_table(tables.CANDLES_5MIN), [run.days[-1].isoformat()])
    return sorted(rows["instrument_key"].unique())


@pytest.fixture(scope="module")
def grouped_run(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    """A copy of the small run with two planned groups; read it only."""
    return with_groups(small_run, tmp_path_factory.mktemp("api"))


def with_groups(small_run: SmallRun, folder: Path) -> SmallRun:
    """A copy of the small run below ``folder``, with two planned groups."""
    run = small_run.copy(folder / "data")
    first, second = keys_of(run)[:2]
    path = folder / "groups.csv"
    path.write_text(
        "group_id,instrument_key,entry_type,stop_loss_percent,direction\n"
        f"morning,{first},1ST_ENTRY,0.5,LONG\nmorning,{second},1ST_ENTRY,0.5,SHORT\n"
        f"bands,{first},BB_RANGE,0.5,LONG\n"
    )
    settings = replace(
        run.settings,
        groups=GroupSettings(file=str(path), first_entry_risk=5000.0),
        api=ApiSettings(wait_seconds=1.0),
    )
    publish_groups(run.warehouse, settings, "run")
    list(plan_days(run.days, run.warehouse, settings, "run"))
    return replace(run, settings=settings)


@dataclass
class Webserver:
    """Answers like Dagster's webserver; what it answers can be changed, what it was asked is kept."""

    folder: Path
    url: str = ""
    is_daemon_healthy: bool = True
    jobs: tuple[str, ...] = ("daily", "intake", "fetch")
    under_way: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=lambda: ["SUCCESS"])
    """Of the run, one per time it is asked for; the last one stays."""
    launched: list[dict] = field(default_factory=list)

    def data(self, query: str, variables: dict) -> dict:
        if "daemonHealth" in query:
            daemon = {"daemonType": "QUEUED_RUN_COORDINATOR", "healthy": self.is_daemon_healthy}
            repository = {"name": "r", "pipelines": [{"name": name} for name in self.jobs]}
            return {
                "instance": {
                    "info": f"base_dir: {self.folder}/dagster/storage\n",
                    "daemonHealth": {"allDaemonStatuses": [daemon]},
                },
                "workspaceOrError": {
                    "locationEntries": [
                        {"name": "l", "locationOrLoadError": {"repositories": [repository]}}
                    ]
                },
            }
        if "runsOrError" in query:
            return {"runsOrError": {"results": [{"runId": each} for each in self.under_way]}}
        if "launchRun" in query:
            self.launched.append(variables["params"])
            return {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "new"}}}
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return {"runOrError": {"status": status, "startTime": 100.0, "endTime": 101.5}}


@contextmanager
def webserver(folder: Path) -> Iterator[Webserver]:
    """A webserver of the data folder on a free port."""
    state = Webserver(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps({"data": state.data(asked["query"], asked["variables"])}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield state
        server.shutdown()


def with_dagster(settings: Settings, url: str) -> Settings:
    """The settings with another webserver."""
    return replace(settings, api=replace(settings.api, dagster_url=url))
