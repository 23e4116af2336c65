"""Every command of the README and of ``docs/`` is run as it stands, and what it prints is what the document shows.

Blocks marked ``sh`` are run whole and must end well. In ``console`` blocks lines after ``$`` are commands, what
follows is what they print: ``...`` stands for any lines, and numbers for numbers of any size, since documents show
the sample of 40 instruments and tests run a small one. Zero is shown as zero only. A command that prints a line
``error: ...`` must fail. ``sql`` is asked, ``toml`` is read as settings. What cannot run here is in :data:`NOT_RUN`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from setbull_pipelines.settings import load_settings
from setbull_pipelines_tests.documents import DOCUMENTS, PROJECT, Block, blocks_of
from setbull_pipelines_tests.patience import PATIENCE

pytestmark = pytest.mark.scenario

SETTINGS = """
[sample]
instruments = 12
daily_sessions = 74
minute_sessions = 3
[indicators]
warm_margin_bars = 10
[look_back]
sessions_moves = 21
[reconciliation]
noise_instruments = 0
[rollout]
minimum_instruments = 10
sessions_per_stage = 3
"""
FIRST_COMMAND = "make run"
"""What a reader of the README begins with; every document starts with the tables that it leaves."""
SHOWN_FOLDER = "/path/to/setbull_pipelines"


@dataclass(frozen=True)
class NotRun:
    """Blocks of a document whose language and text begin with ``start``, and why they are not run here."""

    document: str
    start: str
    reason: str


NOT_RUN = (
    NotRun(
        "actions.md", "text 2025-06-23 HALVED", "what a gap prints; cli/test_actions.py makes it"
    ),
    NotRun(
        "README.md",
        "sh make run ",
        "make ui serves until it is stopped, test_webserver.py starts it; make run is the next block",
    ),
    NotRun("api.md", "csv group_id", "a file; sources/test_group_files.py reads such files"),
    NotRun("api.md", "console $ pip install", "serves until it is stopped; api/ starts it"),
    NotRun("api.md", 'console $ curl "$API', "asks a server that is not there; api/ asks one"),
    NotRun(
        "api.md", 'console $ curl -N "$API', "has no end; api/test_stream.py reads such a stream"
    ),
    NotRun("architecture.md", "text  input files", "a picture of the flow"),
    NotRun("alerts.md", "text */10", "a line of a crontab; cli/test_alerts.py runs its command"),
    NotRun("corrections.md", "sh setbull run --input data/fetched", "needs files of a fetch"),
    NotRun(
        "operations.md",
        "text all assets and checks",
        "a moment of a display that changes; cli/test_terminal.py looks at one",
    ),
    NotRun("extending.md", "diff ", "patches, which test_extending.py applies and runs"),
    NotRun(
        "hosts.md", "sh docker compose", "needs Docker; deployment/test_compose.py reads the file"
    ),
    NotRun("hosts.md", "sh sudo", "changes the machine; deployment/test_units.py reads the units"),
    NotRun(
        "import.md",
        "sh export SETBULL_IMPORT_PASSWORD",
        "needs the old database; sources/legacy/test_live.py starts one",
    ),
    NotRun(
        "scaling.md", "sh export RAY_USAGE", "starts a Ray cluster; deployment/test_ray.py does"
    ),
    NotRun(
        "scaling.md", "sh dagster job execute", "needs the cluster; deployment/test_ray.py has one"
    ),
    NotRun("sources.md", "sh export SETBULL_UPSTOX_TOKEN", "needs a token of the broker"),
)


def head_of(block: Block) -> str:
    """What :class:`NotRun` looks at."""
    return f"{block.language} {block.text}"


def reason_not_to_run(block: Block) -> str | None:
    for entry in NOT_RUN:
        if block.document == entry.document and head_of(block).startswith(entry.start):
            return entry.reason
    return None


@dataclass(frozen=True)
class Checkout:
    """A copy of the project with a data folder of its own and the commands that the documents name."""

    root: Path
    first_output: str = ""

    @property
    def data(self) -> Path:
        return self.root / "data"

    def run(self, script: str) -> tuple[int, str]:
        """Exit code and output of a shell script in the checkout."""
        own = ("SETBULL_", "DAGSTER_", "PYTHON", "MAKE", "MFLAGS")
        inherited = {name: text for name, text in os.environ.items() if not name.startswith(own)}
        finished = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.root,
            env=inherited
            | {
                "PATH": f"{self.root / '.venv' / 'bin'}:{os.environ['PATH']}",
                "PYTHONPATH": str(self.root),
                "SETBULL_SETTINGS": str(self.root / "small.toml"),
                "COLUMNS": "140",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return finished.returncode, finished.stdout

    @property
    def kept(self) -> Path:
        """A copy of it as it was at first."""
        return self.root.with_suffix(".kept")

    def restore(self) -> None:
        """Make it again what it was at first, in its own place: commands notice when theirs is another one."""
        shutil.rmtree(self.root)
        shutil.copytree(self.kept, self.root)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which the first command of the README has run, on a small sample."""
    root = tmp_path_factory.mktemp("documents") / "checkout"
    shutil.copytree(PROJECT / "setbull_pipelines", root / "setbull_pipelines")
    for name in ("Makefile", "dagster.yaml", "workspace.yaml", "pyproject.toml", "constraints.txt"):
        shutil.copy2(PROJECT / name, root)
    (root / "small.toml").write_text(SETTINGS, encoding="utf-8")
    # The environment that make installs, with the libraries of the one that runs the tests.
    commands = root / ".venv" / "bin"
    commands.mkdir(parents=True)
    for name, module in (
        ("python", ""),
        ("setbull", "-m setbull_pipelines.cli.main "),
        ("dg", "-m dagster_dg_cli.cli "),
    ):
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module}"$@"\n')
        (commands / name).chmod(0o755)
    for name in ("ready", "ready-test"):
        (root / ".venv" / name).touch()
    checkout = Checkout(root)
    code, output = checkout.run(FIRST_COMMAND)
    assert code == 0, output
    shutil.copytree(root, checkout.kept)
    return Checkout(root, output)


def normalised(line: str) -> str:
    """A line without colours, widths, ages and the size of numbers; what is zero stays zero."""
    line = re.sub(r"\x1b\[[0-9;]*m", "", line).replace("\u2500", "-")
    line = re.sub(r"\b\d+ (min|h)\b", "# min", line)
    line = re.sub(r"[0-9a-f]{8,}", "#", line)
    line = re.sub(r"\d[\d,.:]*", lambda found: "#" if re.search(r"[1-9]", found[0]) else "0", line)
    return re.sub(r"-{3,}", "---", re.sub(r"\s+", " ", line)).strip()


def is_shown(expected: str, found: str) -> bool:
    """Whether a line is the one that is shown; of a long one the document may show the beginning and ``...``."""
    return (
        found.startswith(expected[:-3].rstrip()) if expected.endswith("...") else found == expected
    )


def difference(shown: str, printed: str) -> str | None:
    """The first shown line that is not where it should be in what was printed; None when all are."""
    lines = [text for line in printed.splitlines() if (text := normalised(line))]
    position, may_skip = 0, False
    for line in filter(str.strip, shown.splitlines()):
        if line.strip() == "...":
            may_skip = True
            continue
        begins = [
            number
            for number, found in enumerate(lines[position:] if may_skip else lines[position:][:1])
            if is_shown(normalised(line), found)
        ]
        if not begins:
            return line
        position += begins[0] + 1
        may_skip = False
    return None if may_skip or position == len(lines) else f"(nothing after it) {lines[position]}"


def steps_of(block: Block) -> list[tuple[str, str]]:
    """The commands of a ``console`` block, each with what it prints."""
    steps: list[tuple[str, str]] = []
    for line in block.text.splitlines(keepends=True):
        if line.startswith("$ "):
            steps.append((line[2:], ""))
        elif steps and steps[-1][0].endswith("\\\n"):
            steps[-1] = (steps[-1][0] + line, "")
        else:
            command, shown = steps[-1]
            steps[-1] = (command, shown + line)
    return steps


def problems_of(block: Block, checkout: Checkout, known: dict[str, str]) -> list[str]:
    """What goes wrong when the block is followed; empty when it is true.

    ``known`` has the output of commands that have run already; each is used once.
    """
    if block.language == "sh":
        code, output = checkout.run(block.text)
        return [f"{block.place}: exit {code}\n{block.text}\n{output}"] if code else []
    if block.language == "sql":
        with duckdb.connect(str(checkout.data / "setbull.duckdb"), read_only=True) as catalog:
            catalog.execute(block.text).fetchall()
        return []
    if block.language == "toml":
        path = checkout.root / "of-document.toml"
        path.write_text(block.text, encoding="utf-8")
        load_settings({"SETBULL_SETTINGS": str(path)})
        return []
    problems = []
    for command, shown in steps_of(block):
        before = known.pop(command.strip(), None)
        code, output = checkout.run(command) if before is None else (0, before)
        output = output.replace(str(checkout.root), SHOWN_FOLDER)
        must_fail = re.search(r"^error: ", shown, re.MULTILINE) is not None
        if (code != 0) != must_fail:
            problems.append(f"{block.place}: exit {code}\n$ {command}{output}")
        elif found := difference(shown, output):
            problems.append(f"{block.place}: not printed: {found}\n$ {command}{output}")
    return problems


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_the_commands_of_a_document_do_what_it_says(document: Path, prepared: Checkout) -> None:
    blocks = [block for block in blocks_of(document) if reason_not_to_run(block) is None]
    if not blocks:
        return
    prepared.restore()
    known = {FIRST_COMMAND: prepared.first_output} if document.name == "README.md" else {}
    problems = [problem for block in blocks for problem in problems_of(block, prepared, known)]
    assert not problems, "\n".join(problems)


def test_every_block_is_run_or_excused() -> None:
    for document in DOCUMENTS:
        for block in blocks_of(document):
            known = block.language in ("sh", "console", "sql", "toml")
            assert known or reason_not_to_run(block), f"{block.place}: language {block.language!r}"
            if block.language == "console":
                assert block.text.startswith("$ "), block.place


@pytest.mark.parametrize("entry", NOT_RUN, ids=lambda entry: f"{entry.document} {entry.start[:30]}")
def test_every_excuse_is_needed(entry: NotRun) -> None:
    (document,) = (path for path in DOCUMENTS if path.name == entry.document)
    assert any(head_of(block).startswith(entry.start) for block in blocks_of(document))
    assert len(entry.reason.split()) > 3


@pytest.mark.parametrize(
    ("shown", "printed", "is_told"),
    [
        ("checks: 140 passed, 0 failed", "checks: 96 passed, 0 failed", False),
        ("checks: 140 passed, 0 failed", "checks: 96 passed, 2 failed", True),
        ("one\n...\nthree", "one\ntwo\nthree", False),
        ("one\n...\nthree", "one\ntwo", True),
        ("one\nthree", "one\ntwo\nthree", True),
        ("one", "one\ntwo", True),
        ("one\n...", "one\ntwo", False),
        ("one 1 ...", "one 2 three", False),
        ("one 1 ...", "one 0 three", True),
        ("open for 0 min, 0 failed", "open for 1 min, 0 failed", False),
        ("open for 0 min, 0 failed", "open for 0 min, 1 failed", True),
    ],
)
def test_what_is_shown_is_compared(shown: str, printed: str, is_told: bool) -> None:
    assert (difference(shown, printed) is not None) == is_told


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_link_and_picture_leads_somewhere(document: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", document.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s#]+)", text):
        if not target.startswith(("http://", "https://")):
            assert (document.parent / target).exists(), target


def test_the_readme_is_short() -> None:
    assert len((PROJECT / "README.md").read_text("utf-8").split()) <= 1300
