"""The rollout log in the warehouse: reading it, adding to it, and getting it back when it is lost.

Belongs here: the one partition of ``operations.rollout_log``, its lock and its loss. Does not belong here: what a row
says (``rollout/``), evidence and judgements (``stage_decisions``), Dagster.

Nothing but the log records that a V2 was taken back. One that is gone is an error, never the start of a new one: a
V2 that was latched off would be served again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow

from setbull_pipelines import disk
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.quality.rollout_log import LOG, rows_of
from setbull_pipelines.rollout.log import IllegalLog, LogRow, as_record, state_at
from setbull_pipelines.rollout.stages import Component
from setbull_pipelines.settings import Settings, fingerprint
from setbull_pipelines.warehouse.errors import DamagedPartition, MissingPartition
from setbull_pipelines.warehouse.pointers import WHOLE
from setbull_pipelines.warehouse.store import Warehouse

_STARTED = "rollout_log_started"
"""Name of an empty file in the warehouse that says that there has been a log, should its folder vanish."""


class LogLost(DamagedPartition):
    """There was a log, and it cannot be read."""


def read_log(warehouse: Warehouse) -> tuple[LogRow, ...]:
    """The rows of the log, oldest first; none when nothing was ever written.

    Raises LogLost, with the command that restores it, when it is damaged or gone.
    """
    try:
        if warehouse.pointer(LOG, WHOLE) is not None:
            return rows_of(warehouse.read(LOG, [WHOLE]))
    except (DamagedPartition, MissingPartition) as error:
        raise _lost("damaged", warehouse) from error
    if (warehouse.root / _STARTED).exists():
        raise _lost("missing", warehouse)
    return ()


def _lost(how: str, warehouse: Warehouse) -> LogLost:
    return LogLost(
        f"{LOG.name} cannot be read: {warehouse.root.joinpath(*LOG.key)} is {how}. Nothing else records that a V2 "
        "was taken back, so nothing is computed or served without it; get it back by: "
        "setbull rollout restore --by NAME --reason WHY"
    )


@contextmanager
def writing(warehouse: Warehouse) -> Iterator[None]:
    """Keep other writers of the log out from reading it to publishing it."""
    directory = warehouse.root / LOG.schema
    directory.mkdir(parents=True, exist_ok=True)
    with disk.writer_lock(directory):
        yield


def publish(
    rows: Sequence[LogRow],
    inputs: Mapping[str, str],
    warehouse: Warehouse,
    settings: Settings,
    run_id: str,
) -> None:
    """Make ``rows`` the log, while :func:`writing`."""
    frame = pd.DataFrame(map(as_record, rows), columns=LOG.table.column_names)
    warehouse.publish(
        LOG,
        WHOLE,
        LOG.table.conform(frame),
        code_version=rolling_out_code_version(),
        settings_hash=fingerprint(settings.rollout),
        inputs=inputs,
        run_id=run_id,
    )
    # After the first rows: a process killed before them has written nothing that could be lost.
    marker = warehouse.root / _STARTED
    if not marker.exists():
        disk.replace_durably(marker, b"")
        disk.sync(warehouse.root)


def rolling_out_code_version() -> str:
    """Code version of everything that decides what is written to the log."""
    return code_version(
        "rollout",
        "tables",
        "pipeline/evidence.py",
        "pipeline/stage_decisions.py",
        "pipeline/rollout_log.py",
    )


def kept_rows(warehouse: Warehouse) -> tuple[tuple[LogRow, ...], bool]:
    """The longest log among the files that are left of it, and whether it is sure to be the last one.

    It is when all files that are left are whole, and the one that the pointer names, where that can be read, is among
    them: each version of the log is a file of its own, written before its pointer.
    """
    longest: tuple[LogRow, ...] = ()
    files = _files(warehouse)
    is_sure = bool(files) and _named(warehouse) in (None, *(path.name for path in files))
    for path in files:
        data = path.read_bytes()
        try:
            if disk.content_hash(data) != path.stem:
                raise DamagedPartition(path.name)
            rows = rows_of(LOG.table.conform(pd.read_parquet(pyarrow.BufferReader(data))))
            for component in Component:
                state_at(rows, component)
        except (DamagedPartition, IllegalLog, ValueError, KeyError, OSError):
            is_sure = False
            continue
        longest = max(longest, rows, key=len)
    return longest, is_sure


def _named(warehouse: Warehouse) -> str | None:
    try:
        pointer = warehouse.pointer(LOG, WHOLE)
    except DamagedPartition:
        return None
    return Path(pointer.file).name if pointer and pointer.file else None


def _files(warehouse: Warehouse) -> list[Path]:
    return sorted(warehouse.root.joinpath(*LOG.key).rglob("*.parquet"))
