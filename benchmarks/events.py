"""What an event costs in Dagster's event log: its own SQLite class, and the one of ``dagster.yaml``.

``python -m benchmarks.events``: the same run over a range of days with both, in fresh folders. Belongs here: the run,
the clock, the printed table. Does not belong here: that both store the same (the tests).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage

from setbull_pipelines.assets.common import RANGE_TAGS
from setbull_pipelines.assets.event_log import BATCH_SIZE_VARIABLE, BatchedSqliteEventLog
from setbull_pipelines.market.calendar import NSE

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_DAYS = [str(day) for day in NSE.trading_days(NSE.first_day, NSE.last_day)]
_SESSIONS = dg.StaticPartitionsDefinition(_DAYS)
_TABLES = [dg.AssetSpec(f"table_{number}", partitions_def=_SESSIONS) for number in range(12)]
_CHECKS = [
    dg.AssetCheckSpec(name, asset=table.key) for table in _TABLES for name in ("schema", "complete")
]


@dg.multi_asset(specs=_TABLES, check_specs=_CHECKS, backfill_policy=dg.BackfillPolicy.single_run())
def lane(context) -> Iterator[Any]:
    """Twelve tables with two checks each, and some lines of log."""
    for table in _TABLES:
        context.log.info("computed %s", table.key.to_user_string())
        yield dg.MaterializeResult(asset_key=table.key, metadata={"rows": 1})
    for check in _CHECKS:
        yield dg.AssetCheckResult(asset_key=check.asset_key, check_name=check.name, passed=True)


def row(storage: type[SqliteEventLogStorage], sessions: int) -> str:
    """What a run over ``sessions`` took with one class, as a row of the table."""
    job = dg.Definitions(
        assets=[lane],
        jobs=[dg.define_asset_job("lane")],
        executor=dg.in_process_executor,
    ).resolve_job_def("lane")
    days = _DAYS[:sessions]
    os.environ.pop(BATCH_SIZE_VARIABLE, None)
    with tempfile.TemporaryDirectory(prefix="setbull-events-") as folder:
        config = {
            "module": storage.__module__,
            "class": storage.__name__,
            "config": {"base_dir": folder},
        }
        overrides = {"event_log_storage": config, "telemetry": {"enabled": False}}
        with dg.DagsterInstance.local_temp(folder, overrides) as instance:
            for measured in (days[:2], days):
                tags = dict(zip(RANGE_TAGS, (measured[0], measured[-1]), strict=True))
                started, used = time.monotonic(), time.process_time()
                result = job.execute_in_process(instance=instance, tags=tags, run_config=_QUIET)
            seconds, used = time.monotonic() - started, time.process_time() - used
            events = len(instance.all_logs(result.run_id))
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.db")) / 2**20
    return (
        f"| `{storage.__name__}` | {sessions} | {events:,} | {seconds:.2f} | {used:.2f} "
        f"| {used / events * 1000:.2f} | {size:.1f} MiB |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events", description=__doc__)
    parser.add_argument("--sessions", type=int, nargs="+", default=[30, 250])
    warnings.filterwarnings("ignore", category=dg.BetaWarning)
    print("| class | days | events | seconds | processor seconds | ms an event | files |")
    print("|---|---|---|---|---|---|---|")
    for sessions in parser.parse_args().sessions:
        for storage in (SqliteEventLogStorage, BatchedSqliteEventLog):
            print(row(storage, sessions), flush=True)


if __name__ == "__main__":
    main()
