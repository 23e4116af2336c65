"""What commands bring into memory before their work: the help no frames, questions about stored tables no Dagster.

How long that takes: ``benchmarks.days``. An import at the top of a module brings it back without anybody noticing.
"""

from __future__ import annotations

import subprocess
import sys

ASKING = ("actions", "alerts", "asking", "daily_report", "divergence", "json_answers", "rollout")


def packages_after(*modules: str) -> list[set[str]]:
    """The packages that one fresh process has imported after each of ``modules`` of the command line, in order."""
    imported = "".join(
        f"import setbull_pipelines.cli.{name}\nprint(*{{name.partition('.')[0] for name in sys.modules}})\n"
        for name in modules
    )
    finished = subprocess.run(
        [sys.executable, "-c", f"import sys\n{imported}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [set(line.split()) for line in finished.stdout.splitlines()]


def test_the_help_of_a_command_loads_no_frames():
    (found,) = packages_after("main")
    assert {"click", "setbull_pipelines"} <= found
    assert not found & {"dagster", "duckdb", "numpy", "pandas", "pandera", "pyarrow", "rich"}


def test_a_question_about_stored_tables_loads_no_dagster():
    """What none loads after all before it, none loads alone."""
    _, *found = packages_after("main", *ASKING)
    for module, packages in zip(ASKING, found, strict=True):
        assert "pandas" in packages
        assert not packages & {"alembic", "dagster", "pandera", "sqlalchemy"}, module
