"""A real MariaDB server on loopback with the old tables in it.

Belongs here: starting, filling and stopping it. Does not belong here: assertions. It comes with the system's packages
``mariadb-server-core`` and ``mariadb-client``, which ``.ci/run`` installs where it may; without them a test is
skipped. Without the extra 'import' it is skipped too, and fails where ``CI`` is set.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from setbull_pipelines_tests.ports import free_port
from setbull_pipelines_tests.servers import wait_for

PASSWORD = "read only, 1:2@3"
_TYPES = {
    "id": "bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY",
    "timestamp": "timestamp NULL",
    "filter_date": "datetime NULL",
    "active": "tinyint(1) NOT NULL DEFAULT 1",
    "volume": "bigint",
    "open_interest": "bigint",
    **dict.fromkeys(("open", "high", "low", "close"), "decimal(18,2)"),
    **dict.fromkeys(("current_price", "avg_mamba_move", "avg_non_mamba_move"), "decimal(10,2)"),
    **dict.fromkeys(("rsi", "atr", "vwap", "ma_9", "bb_width"), "decimal(18,4)"),
}


@dataclass(frozen=True)
class Server:
    """A running server; ``url`` names a user who can only read."""

    port: int
    socket: Path

    @property
    def url(self) -> str:
        """Without the password."""
        return f"mysql://reader@127.0.0.1:{self.port}/setbull"

    def execute(self, *statements: str) -> None:
        """As the one who may do everything."""
        import pymysql

        connection = pymysql.connect(unix_socket=str(self.socket), user="root", autocommit=True)
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def ask(self, question: str) -> list[tuple]:
        """Likewise."""
        import pymysql

        connection = pymysql.connect(unix_socket=str(self.socket), user="root")
        with connection, connection.cursor() as cursor:
            cursor.execute(question)
            return list(cursor.fetchall())

    def dump(self) -> str:
        """What ``mariadb-dump`` says of the database."""
        command = ["mariadb-dump", "--no-defaults", f"--socket={self.socket}", "--user=root"]
        found = subprocess.run([*command, "setbull"], check=True, capture_output=True, text=True)
        return found.stdout

    def fill(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Create an old table with these rows; moments are exchange time."""
        import pymysql

        names = list(rows[0])
        columns = ", ".join(f"`{name}` {_TYPES.get(name, 'varchar(255)')}" for name in names)
        connection = pymysql.connect(
            unix_socket=str(self.socket), user="root", database="setbull", autocommit=True
        )
        with connection, connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+05:30'")
            cursor.execute(f"CREATE TABLE IF NOT EXISTS `{table}` ({columns})")
            marks = ", ".join(["%s"] * len(names))
            values = [tuple(row.values()) for row in rows]
            cursor.executemany(f"INSERT INTO `{table}` VALUES ({marks})", values)


def _require() -> None:
    for program, package in (
        ("mariadbd", "mariadb-server-core"),
        ("mariadb-install-db", "mariadb-server-core"),
        ("mariadb-dump", "mariadb-client"),
    ):
        if shutil.which(program) is None:
            pytest.skip(f"no {program}: install Debian's package {package}")
    if importlib.util.find_spec("pymysql") is None:
        reason = "pymysql is not installed; make test installs it with the extra 'test'"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@contextmanager
def mariadb() -> Iterator[Server]:
    """A server with an empty database ``setbull`` and the user ``reader``, who may SELECT."""
    _require()
    # The path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="old-") as name:
        folder = Path(name)
        data = folder / "data"
        user = ["--user=root"] if os.geteuid() == 0 else []
        subprocess.run(
            [
                *("mariadb-install-db", "--no-defaults", f"--datadir={data}", *user),
                *("--auth-root-authentication-method=normal", "--skip-test-db"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        server = Server(free_port(), folder / "socket")
        process = subprocess.Popen(
            [
                *("mariadbd", "--no-defaults", f"--datadir={data}", *user),
                *("--bind-address=127.0.0.1", f"--port={server.port}"),
                *(f"--socket={server.socket}", f"--pid-file={folder / 'pid'}"),
                # The zone of a session that says nothing: what is asked must not depend on it.
                "--default-time-zone=-03:00",
                # Nothing has to outlive the test.
                *("--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0"),
                *("--innodb-doublewrite=0", "--innodb-buffer-pool-size=16M"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(server.port, process)
            server.execute(
                "CREATE DATABASE setbull",
                f"CREATE USER reader@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'",
                "GRANT SELECT ON setbull.* TO reader@'127.0.0.1'",
                # All rights on another database: that nothing is written there is up to the import.
                "CREATE DATABASE writable",
                "GRANT ALL ON writable.* TO reader@'127.0.0.1'",
            )
            yield server
        finally:
            process.kill()
            process.wait()
