"""Which instruments V1 is computed for in a stage, and which lane its steps read.

Belongs here: V1's part of the instruments on a day, the mark that a partition of a part carries, the lane of an
input. Does not belong here: the stage in force (``stage_decisions``), carrying out steps (``engine``), Dagster.

Where V1 runs in full it reads V1's tables. Behind a component whose V1 is cut back it reads V2's: it then checks
one step of V2 on V2's inputs, since V1's own history has holes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import pandas as pd

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.quality.processing import TABLES_OF
from setbull_pipelines.rollout.bucketing import Variant, rotating_sample, sample_turns
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import RolloutSettings
from setbull_pipelines.tables import Table
from setbull_pipelines.warehouse.pointers import Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

Stages = Mapping[Component, Stage]
COMPONENT_OF = {table.name: component for component, owned in TABLES_OF.items() for table in owned}
"""What switches each computed table, by its name."""
MARK = "instruments"
"""Name among the inputs of a partition of V1 that was computed for a part of the instruments."""
_NONE = "none"
_SAMPLE = re.compile(r"sample ([0-9]+) of [0-9]+, ([0-9]+) %")


@dataclass(frozen=True)
class Part:
    """The instruments that V1 of a component is computed for on a day, where these are not all."""

    component: Component
    percentage: int
    """Of 100 instruments; 0 when V1 is retired."""
    turn: int = 0
    """Number of the sample, from 0; they repeat when each instrument had its turn."""

    @property
    def mark(self) -> str:
        """The part in words; equal for equal parts of one component."""
        if not self.percentage:
            return _NONE
        return f"sample {self.turn + 1} of {sample_turns(self.percentage)}, {self.percentage} %"

    @property
    def sentence(self) -> str:
        """What V1 did."""
        return f"V1 ran on {self.mark} of the instruments" if self.percentage else "V1 is retired"

    def of(self, keys: Iterable[str]) -> set[str]:
        """Those of the instruments that are in the part."""
        if not self.percentage:
            return set()
        found = sorted(set(keys))
        chosen = rotating_sample(found, self.component.flag, self.percentage, self.turn)
        return {key for key, inside in zip(found, chosen.tolist(), strict=True) if inside}

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of the part; ``frame`` has ``instrument_key``."""
        inside = self.of(frame["instrument_key"].unique())
        return frame[frame["instrument_key"].isin(inside)].reset_index(drop=True)


def part_in(
    component: Component, stage: Stage, day: date, settings: RolloutSettings
) -> Part | None:
    """The part of the instruments that V1 is computed for in ``stage``; None for all of them."""
    if stage.runs_v1_in_full:
        return None
    if stage is Stage.RETIRED:
        return Part(component, 0)
    session = len(NSE.trading_days(NSE.first_day, day))
    turn = session % sample_turns(settings.sample_percentage)
    return Part(component, settings.sample_percentage, turn)


def part_of(table: Table, pointer: Pointer | None) -> Part | None:
    """The part that a stored partition of V1 of ``table`` was computed for; None for all instruments, or no partition.

    ValueError for a mark that this program does not write.
    """
    mark = pointer.inputs.get(MARK) if pointer else None
    if mark is None:
        return None
    component = COMPONENT_OF[table.name]
    if mark == _NONE:
        return Part(component, 0)
    found = _SAMPLE.fullmatch(mark)
    if not found:
        raise ValueError(
            f"v1.{table.name}: found {mark!r} for the instruments it was computed for, expected "
            f"{_NONE!r} or 'sample n of m, p %'; compute the partition again"
        )
    return Part(component, int(found[2]), int(found[1]) - 1)


def lane_read(table: Table, pointer: Pointer) -> Variant:
    """The lane from which a stored partition of V1 was computed, as far as it reads the computed ``table``."""
    names = {name.partition(" ")[0] for name in pointer.inputs}
    return Variant.V2 if f"{Variant.V2.value}.{table.name}" in names else Variant.V1


def lane_of(table: Table, reader: Component, stages: Stages, looks_back: bool = False) -> Variant:
    """The lane from which V1 of ``reader`` reads the computed ``table``, of earlier sessions too if it looks back.

    Of what a component reads of itself on the same day, the rows of its part are there; earlier sessions have those
    of other parts.
    """
    owner = COMPONENT_OF[table.name]
    in_v1 = (owner is reader and not looks_back) or stages[owner].runs_v1_in_full
    return Variant.V1 if in_v1 else Variant.V2


def evicted_lanes(table: Table, day: date, warehouse: Warehouse) -> list[str]:
    """The variants' tables, such as ``v1.candles_5min``, whose rows of ``day`` were removed to save space."""
    lanes = [StoredTable(variant.value, table) for variant in Variant]
    pointers = {lane.name: warehouse.pointer(lane, day.isoformat()) for lane in lanes}
    return [name for name, pointer in pointers.items() if pointer and pointer.evicted_at]
