"""V1 of a few instruments computed twice in different ways, for the noise floor of a day.

Belongs here: choosing the instruments, reading their inputs, both ways of computing. Does not belong here: comparing,
judging (``reconciliation/``), formulas, publication.

V1 works in one thread, instrument by instrument. What can vary is the order of the input rows, which instruments are
computed together, and that they are computed in several threads at once; the second way varies all three.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow.parquet

from setbull_pipelines.pipeline.lanes import lane_read
from setbull_pipelines.pipeline.references import references_of
from setbull_pipelines.pipeline.steps import STEPS, Frames, Input, Step
from setbull_pipelines.reconciliation.compare import compare
from setbull_pipelines.reconciliation.noise import NoiseFloor, measured
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.variants import V1
from setbull_pipelines.warehouse import encoding
from setbull_pipelines.warehouse.errors import ContractViolation, DamagedPartition, MissingPartition
from setbull_pipelines.warehouse.pointers import Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse


def noise_floor(
    table: Table, day: date, warehouse: Warehouse, settings: Settings
) -> NoiseFloor | None:
    """Compute V1 of ``table`` on ``day`` twice for a few instruments and compare the two.

    None when nothing can be measured: the setting asks for none, V1 has no row, or an input of the day
    cannot be read.
    """
    (step,) = (step for step in STEPS if table in step.outputs)
    try:
        instruments = sample(
            _instruments(warehouse, table, day), day, settings.reconciliation.noise_instruments
        )
        if not instruments:
            return None
        v1 = warehouse.pointer(StoredTable("v1", table), day.isoformat())
        frames = _inputs(step, v1, instruments, day, warehouse, settings)
    except (MissingPartition, DamagedPartition, ContractViolation):
        return None
    place = step.outputs.index(table)

    def compute(given: Frames) -> pd.DataFrame:
        return step.compute(V1, given, pd.Timestamp(day), settings)[place]

    plain = compute(frames)
    with ThreadPoolExecutor(len(instruments)) as threads:
        parts = threads.map(compute, (_shuffled(frames, key, day) for key in instruments))
        other = pd.concat(parts, ignore_index=True)
    with TemporaryDirectory(prefix="noise-") as folder:
        sides = []
        for name, frame in (("plain", plain), ("other", other)):
            path = Path(folder) / f"{name}.parquet"
            path.write_bytes(
                encoding.to_parquet(table, encoding.to_arrow(table, table.conform(frame)))
            )
            sides.append([path])
        return measured(compare(table, *sides, day, settings.reconciliation))


def sample(instruments: Sequence[str], day: date, size: int) -> list[str]:
    """Return up to ``size`` of the sorted instruments, others on the next day until all had their turn."""
    size = min(size, len(instruments))
    first = day.toordinal() * size
    return [instruments[(first + place) % len(instruments)] for place in range(size)]


def _instruments(warehouse: Warehouse, table: Table, day: date) -> list[str]:
    keys = warehouse.read(StoredTable("v1", table), [day.isoformat()], ["instrument_key"])
    return sorted(keys["instrument_key"].unique())


def _inputs(
    step: Step,
    v1: Pointer,
    instruments: Sequence[str],
    day: date,
    warehouse: Warehouse,
    settings: Settings,
) -> dict[str, pd.DataFrame]:
    references = references_of(warehouse)
    keys = (
        references.with_former_keys(instruments, pd.Timestamp(day))
        if step.is_adjusted
        else instruments
    )
    frames = {
        item.table.name: _read(item, v1, keys, day, warehouse, settings) for item in step.inputs
    }
    if step.is_adjusted:
        frames = {
            name: references.under_current_keys(frame, pd.Timestamp(day))
            for name, frame in frames.items()
        }
    return frames | references.frames(step, pd.Timestamp(day))


def _read(
    item: Input,
    v1: Pointer,
    instruments: Collection[str],
    day: date,
    warehouse: Warehouse,
    settings: Settings,
) -> pd.DataFrame:
    """Read the rows of ``instruments`` on the day and the stored sessions of its look-back."""
    stored = StoredTable("raw" if item.is_raw else lane_read(item.table, v1).value, item.table)
    key = day.isoformat()
    look_back = item.look_back(settings)
    earlier = [name for name in warehouse.partitions(stored) if name < key] if look_back else []
    files = warehouse.files(stored, [*earlier[-look_back:], key])
    # Not through the cache of the warehouse: of hundreds of files only a few rows are wanted.
    rows = pyarrow.parquet.read_table(
        files, filters=[("instrument_key", "in", list(instruments))], partitioning=None
    )
    return encoding.to_frame([item.table.column(name) for name in item.column_names], rows)


def _shuffled(frames: Frames, instrument: str, day: date) -> Frames:
    """The rows of one instrument in another order; where series begin stays known of all."""
    return {
        name: frame
        if name == "history_starts"
        else frame[frame["instrument_key"] == instrument].sample(
            frac=1.0, random_state=day.toordinal(), ignore_index=True
        )
        for name, frame in frames.items()
    }
