"""Secrets planted where people put them, commands that fail in every way, and a search of all that is left and told.

Belongs here: planting, failing, searching. Does not belong here: which sentence each failure ends with (the tests of
the command).
"""

from __future__ import annotations

import base64
import gzip
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest

from benchmarks.reliability.tiny import SETTINGS
from setbull_pipelines.settings import Settings
from setbull_pipelines_tests.api.running import PREFIX, serving
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.ports import free_port
from setbull_pipelines_tests.processes import SETBULL, environment
from setbull_pipelines_tests.sources.upstox.broker import INFY, Reply, broker, error_body

pytestmark = pytest.mark.scenario

MARK = "Pl4ntedSecret"
"""What every planted value holds; none of them is anywhere else."""
PASSWORD = f"{MARK}/with@signs"
VARIABLES = {
    "SETBULL_UPSTOX_TOKEN": f"{MARK}-broker-token",
    "SETBULL_IMPORT_PASSWORD": f"{MARK}-import",
    "SETBULL_API_TOKEN": f"{MARK}-api-token",
    "AWS_ACCESS_KEY_ID": f"{MARK}KEYID",
    "AWS_SECRET_ACCESS_KEY": f"{MARK}-aws",
    "DAGSTER_PG_PASSWORD": f"{MARK}-postgres",
}
DAY = ("--from", "2026-06-30", "--to", "2026-06-30")
STEP_CRASHES = """
from setbull_pipelines import variants
def breaks(*arguments):
    import os
    password, token = os.environ["HOOK_PASSWORD"], os.environ["SETBULL_UPSTOX_TOKEN"]
    raise ValueError(f"GET https://user:{password}@host/ by {token}, then {os.environ['HOOK']}")
variants.v1.to_5min = breaks
"""
COMMAND_CRASHES = """
import os
from setbull_pipelines.cli.commands import self_test
def breaks(*arguments):
    raise ValueError("sent to " + os.environ["HOOK"] + " with " + os.environ["SETBULL_API_TOKEN"])
self_test.settings_in_force = breaks
"""


@dataclass
class Planted:
    """A data folder whose commands run with secrets all around them."""

    folder: Path
    variables: dict[str, str]
    printed: dict[str, str] = field(default_factory=dict)

    def fails(
        self,
        place: str,
        *arguments: str,
        settings: str = "",
        code: str = "",
        more: Mapping[str, str] | None = None,
    ) -> None:
        """Carry the command out, which has to end with a sentence and no traceback."""
        done = self.carried_out(place, *arguments, settings=settings, code=code, more=more)
        assert done.returncode not in (0, None), f"{place} did not fail: {done.stdout}"
        assert "Traceback" not in self.printed[place], self.printed[place]
        assert "error: " in self.printed[place] or "not delivered" in self.printed[place], (
            self.printed[place]
        )

    def carried_out(
        self,
        place: str,
        *arguments: str,
        settings: str = "",
        code: str = "",
        more: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Carry the command out; ``code`` is run before it, in its process."""
        file = self.folder.parent / "settings.toml"
        file.write_text(settings or SETTINGS, encoding="utf-8")
        command = [*SETBULL, *arguments]
        if code:
            begin = f"{code}\nfrom setbull_pipelines.cli.main import main\nmain()\n"
            command = [sys.executable, "-c", begin, *arguments]
        done = subprocess.run(
            command,
            env=environment(self.folder, file, **self.variables | dict(more or {})),
            cwd=self.folder.parent,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        self.printed[place] = done.stdout + done.stderr
        return done

    def leaks(self) -> Iterator[str]:
        """Where a planted value was printed or written, as it is, quoted, or in base 64."""
        for place, text in self.printed.items():
            yield from (f"printed by {place}: {found}" for found in _planted(text.encode()))
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                name = path.relative_to(self.folder)
                for data in _contents(path):
                    yield from (f"{name}: {found}" for found in _planted(data))


def _contents(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    yield data
    if path.suffix == ".gz":
        yield gzip.decompress(data)
    if data[:4] == b"PAR1":
        table = pq.read_table(path)
        yield str(table.schema.metadata).encode()
        for column in table.column_names:
            if "string" in str(table.schema.field(column).type):
                yield str(table[column].to_pylist()).encode()


def _planted(data: bytes) -> Iterator[str]:
    coded = [base64.b64encode(MARK.encode())[:-4], MARK.encode()]
    for value in coded:
        for found in re.finditer(re.escape(value), data):
            yield data[max(0, found.start() - 90) : found.end() + 30].decode("utf-8", "replace")


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    closed = free_port()
    hook = f"json://user:{quote(PASSWORD, safe='')}@127.0.0.1:{closed}/{MARK}-path?+X-Token={MARK}-header"
    more = {"HOOK": hook, "HOOK_PASSWORD": f"{MARK}-hook", "NO_PROXY": "*"}
    return Planted(tmp_path / "data", VARIABLES | more)


def test_what_is_searched_would_be_found(planted: Planted) -> None:
    """The search itself: a search that finds nothing anywhere proves nothing."""
    import pyarrow as pa

    planted.folder.mkdir()
    (planted.folder / "plain").write_text(f"a {MARK} b")
    (planted.folder / "packed.gz").write_bytes(gzip.compress(MARK.encode()))
    (planted.folder / "coded").write_bytes(base64.b64encode(f"{MARK}-header".encode()))
    pq.write_table(pa.table({"x": [f"{MARK}-row"]}), planted.folder / "rows", compression="zstd")
    planted.printed["a command"] = MARK
    found = {leak.partition(":")[0] for leak in planted.leaks()}
    assert found == {"plain", "packed.gz", "coded", "rows", "printed by a command"}


def test_no_secret_is_in_what_failing_commands_leave_and_tell(planted: Planted) -> None:
    closed = free_port()
    hooked = f'{SETTINGS}[alerts]\nchannels = ["log", "HOOK"]\ntimeout_seconds = 2\n'
    planted.fails("a step that crashes", "run", *DAY, settings=hooked, code=STEP_CRASHES)
    done = planted.carried_out("the run after it", "run", *DAY, settings=hooked)
    assert done.returncode == 0, planted.printed["the run after it"]
    planted.fails("a command that crashes", "self-test", code=COMMAND_CRASHES)
    planted.fails("webhook down", "alerts", "test", settings=hooked)
    planted.fails(
        "webhook that is no address",
        "alerts",
        "test",
        settings=hooked,
        more={"HOOK": f"nosuch://{MARK}"},
    )
    for place, text in {
        "URL as a channel": f'[alerts]\nchannels = ["json://user:{MARK}@host"]\n',
        "password in the broker's address": f'[upstox]\nbase_url = "https://user:{MARK}@host"\n',
        "password in the address of the list": f'[upstox]\ninstruments_url = "https://u:{MARK}@host/x"\n',
        "token for the name of its variable": f'[api]\ntoken_variable = "{MARK}-token"\n',
        "password in the UI's address": f'[api]\ndagster_url = "http://user:{MARK}@host"\n',
        "password in the public address": f'[api]\npublic_url = "http://user:{MARK}@host"\n',
        "password in the address of links": f'[alerts]\nui_address = "http://user:{MARK}@host?"\n',
        "password in the place of a number": f'[upstox]\nattempts = "{VARIABLES["SETBULL_IMPORT_PASSWORD"]}"\n',
        "unknown password in the place of a number": f'[upstox]\nattempts = "{MARK}-of-nobody-at-all"\n',
        "token as a setting of its own": f'[upstox]\ntoken = "{MARK}"\n',
        "keys in the store's address": f'[storage]\nremote = "s3://key:{MARK}@bucket/prefix"\n',
        "a file that is no TOML": f"[upstox]\ntoken = {MARK}\n",
    }.items():
        planted.fails(place, "settings", settings=text)

    list_of = planted.folder.parent / "instruments.csv"
    list_of.write_text(f"instrument_key,symbol\n{INFY},INFY\n")
    fetch = ("fetch", "--instruments", str(list_of), "--days", "2")
    quick = f"{SETTINGS}[upstox]\nattempts = 1\ntimeout_seconds = 2\nbase_url = "
    planted.fails("broker down", *fetch, settings=f'{quick}"http://127.0.0.1:{closed}"\n')
    with broker() as server:
        said = error_body("UDAPI100050", f"Invalid token {VARIABLES['SETBULL_UPSTOX_TOKEN']}")
        server.scripts[INFY] = [Reply(status=401, body=said)] * 3
        planted.fails("a wrong token", *fetch, settings=f'{quick}"{server.url}"\n')
        server.scripts[INFY] = [Reply(status=400, body=said)] * 3
        planted.fails("a broker that repeats it", *fetch, settings=f'{quick}"{server.url}"\n')
    planted.fails(
        "a token with a space",
        *fetch,
        settings=f'{quick}"http://127.0.0.1:{closed}"\n',
        more={"SETBULL_UPSTOX_TOKEN": f"{MARK} token"},
    )
    planted.fails("old database down", "import", f"mysql://reader@127.0.0.1:{closed}/setbull")
    planted.fails("password on the command line", "import", f"mysql://u:{MARK}@127.0.0.1/setbull")
    planted.fails(
        "object store down",
        "upload",
        settings=f'{SETTINGS}[storage]\nremote = "s3://bucket/prefix"\n',
        more={
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{closed}",
            "AWS_REGION": "x",
            "AWS_ALLOW_HTTP": "true",
        },
    )
    for name, *arguments in (
        ["settings"],
        ["doctor"],
        ["doctor", "--json"],
        ["alerts"],
        ["report"],
    ):
        planted.carried_out(
            " ".join(["setbull", name, *arguments]), name, *arguments, settings=hooked
        )

    settings = Settings(data_directory=planted.folder)
    with serving(settings, VARIABLES["SETBULL_API_TOKEN"]) as client:
        for headers in ({}, {"Authorization": f"Bearer {VARIABLES['SETBULL_API_TOKEN']}"}):
            for path in (
                "/",
                "/openapi.json",
                "/alerts",
                f"{PREFIX}/market/quotes",
                f"/{MARK[:3]}",
            ):
                answer = client.get(path, headers=headers)
                planted.printed[f"GET {path} of the API"] = answer.text + str(answer.headers)
    leaks = list(planted.leaks())
    assert not leaks, "\n".join([f"{len(leaks):,} leaks", *leaks[:20]])
