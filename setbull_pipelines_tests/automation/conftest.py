"""The small finished run, a copy of it, and an instance of Dagster on disk."""

from collections.abc import Iterator

import dagster as dg
import pytest

from setbull_pipelines.assets.event_log import BatchedSqliteEventLog
from setbull_pipelines_tests.pipeline.small_run import copied_run, small_run

__all__ = ["copied_run", "small_run", "stored_instance"]


@pytest.fixture(scope="module")
def stored_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """On disk, with the event log that users have: what happened is found again there, and ticks refuse a memory."""
    events = {
        "module": BatchedSqliteEventLog.__module__,
        "class": BatchedSqliteEventLog.__name__,
        "config": {"base_dir": str(tmp_path_factory.mktemp("events"))},
    }
    with dg.instance_for_test(overrides={"event_log_storage": events}) as instance:
        yield instance
