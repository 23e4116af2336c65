"""What commands bring into memory before their work: the help no frames, questions about stored tables no Dagster.

How long that takes: ``benchmarks.days``. An import at the top of a module brings it back without anybody noticing.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

ASKING = ("actions", "alerts", "asking", "daily_report", "divergence", "json_answers", "rollout")


def packages_after(*modules: str) -> set[str]:
    """The packages that a fresh process has imported together with ``modules`` of the command line."""
    imported = "".join(f"import setbull_pipelines.cli.{name}\n" for name in modules)
    names = "{name.partition('.')[0] for name in sys.modules}"
    program = f"import sys\n{imported}print(*{names})"
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(finished.stdout.split())


def test_the_help_of_a_command_loads_no_frames():
    found = packages_after("main")
    assert {"click", "setbull_pipelines"} <= found
    assert not found & {"dagster", "duckdb", "numpy", "pandas", "pandera", "pyarrow", "rich"}


@pytest.mark.parametrize("module", ASKING)
def test_a_question_about_stored_tables_loads_no_dagster(module):
    found = packages_after("main", module)
    assert "pandas" in found
    assert not found & {"alembic", "dagster", "pandera", "sqlalchemy"}
