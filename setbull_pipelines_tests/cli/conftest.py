"""The small finished run, and an environment that a command may change."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from setbull_pipelines_tests.pipeline.small_run import copied_run, small_run

__all__ = ["QUICK", "commands_in", "copied_run", "data_directory", "small_run"]
QUICK = "[reconciliation]\nnoise_instruments = 0\n"
"""Settings without what has tests of its own and takes seconds of every run."""


@contextmanager
def commands_in(folder: Path) -> Iterator[Path]:
    """The data folder of commands run in this process; what they do to the environment is undone."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("SETBULL_", "DAGSTER_"))]:
        del os.environ[name]
    os.environ["SETBULL_DATA_DIR"] = str(folder / "data")
    (folder / "settings.toml").write_text(QUICK, encoding="utf-8")
    os.environ["SETBULL_SETTINGS"] = str(folder / "settings.toml")
    os.environ["COLUMNS"] = "200"
    try:
        yield folder / "data"
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def data_directory(tmp_path: Path) -> Iterator[Path]:
    """The data folder of one test."""
    with commands_in(tmp_path) as folder:
        yield folder
