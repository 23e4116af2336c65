"""V1 of a few instruments computed twice in different ways, for the noise floor of a day.

Belongs here: choosing the instruments, reading their inputs, both ways of computing. Does not belong here: comparing,
judging (``reconciliation/``), formulas, publication.

V1 works in one thread, instrument by instrument. What can vary is the order of the input rows, which instruments are
computed together, and that they are computed in several threads at once; the second way varies all three.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from setbull_pipelines.pipeline.lanes import lane_read
from setbull_pipelines.pipeline.references import references_of
from setbull_pipelines.pipeline.steps import STEPS, Frames, Input, Step
from setbull_pipelines.reconciliation.compare import compare
from setbull_pipelines.reconciliation.noise import NoiseFloor, measured, without_noise
from setbull_pipelines.settings import ReconciliationSettings, Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.variants import V1
from setbull_pipelines.warehouse import encoding
from setbull_pipelines.warehouse.errors import ContractViolation, DamagedPartition, MissingPartition
from setbull_pipelines.warehouse.pointers import Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

BothWays = tuple[pd.DataFrame, pd.DataFrame]
"""Two results of V1 from the same rows."""


class NoiseFloors:
    """V1 of ``table`` against itself on each of some days, whose inputs are read together."""

    def __init__(
        self, table: Table, days: Sequence[date], warehouse: Warehouse, settings: Settings
    ) -> None:
        self._table, self._warehouse, self._settings = table, warehouse, settings
        (self._step,) = (step for step in STEPS if table in step.outputs)
        self._days = days
        self._references = references_of(warehouse)

    def of(self, day: date) -> NoiseFloor | None:
        """Compute V1 on ``day`` twice for a few instruments and compare the two.

        None when nothing can be measured: the setting asks for none, V1 has no row, or an input of the day
        cannot be read.
        """
        if day not in self._inputs:
            return None
        if self._step.is_of_own_rows(self._settings):
            plain, other = self._computed_together[day]
        else:
            plain, other = self._both_ways({day: self._inputs[day]})[day]
        return floor_between(self._table, plain, other, day, self._settings.reconciliation)

    @cached_property
    def _computed_together(self) -> dict[date, BothWays]:
        """What was computed of all days in the calls of one: what a call costs by itself is the most of few rows."""
        return self._both_ways(self._inputs)

    def _both_ways(self, given: Mapping[date, tuple[list[str], Frames]]) -> dict[date, BothWays]:
        return both_ways(self._table, self._step, given, self._settings) if given else {}

    @cached_property
    def _inputs(self) -> dict[date, tuple[list[str], Frames]]:
        """The instruments and the inputs of each day that can be measured."""
        try:
            return self._read_together(self._days)
        except (MissingPartition, DamagedPartition, ContractViolation):
            if len(self._days) == 1:
                return {}
        found = {}
        for day in self._days:
            # A day that cannot be read is not measured, and takes none of the others along.
            found |= NoiseFloors(self._table, [day], self._warehouse, self._settings)._inputs
        return found

    def _read_together(self, days: Sequence[date]) -> dict[date, tuple[list[str], Frames]]:
        chosen = {day: instruments for day in days if (instruments := self._sample(day))}
        v1 = self._warehouse.pointers(
            StoredTable("v1", self._table), [day.isoformat() for day in chosen]
        )
        wanted = [
            _Wanted(day, self._keys(instruments, day), v1[day.isoformat()])
            for day, instruments in chosen.items()
        ]
        read = {
            item.table.name: _read(item, wanted, self._warehouse, self._settings)
            for item in self._step.inputs
        }
        return {
            day: (instruments, self._frames({name: of[day] for name, of in read.items()}, day))
            for day, instruments in chosen.items()
        }

    def _sample(self, day: date) -> list[str]:
        size = self._settings.reconciliation.noise_instruments
        stored = StoredTable("v1", self._table)
        if not size or self._warehouse.pointer(stored, day.isoformat()) is None:
            return []
        keys = self._warehouse.read_arrow(stored, [day.isoformat()], ["instrument_key"])
        return sample(sorted(keys["instrument_key"].unique().to_pylist()), day, size)

    def _keys(self, instruments: Sequence[str], day: date) -> Collection[str]:
        if not self._step.is_adjusted:
            return instruments
        return self._references.with_former_keys(instruments, pd.Timestamp(day))

    def _frames(self, frames: Frames, day: date) -> Frames:
        moment = pd.Timestamp(day)
        if self._step.is_adjusted:
            frames = {
                name: self._references.under_current_keys(frame, moment)
                for name, frame in frames.items()
            }
        return {**frames, **self._references.frames(self._step, moment)}


def both_ways(
    table: Table,
    step: Step,
    given: Mapping[date, tuple[list[str], Frames]],
    settings: Settings,
) -> dict[date, BothWays]:
    """V1 as a run computes it, and from shuffled rows, in two parts that are computed at once in a thread each.

    ``given`` are the instruments and the inputs of one day, or of several of a step that computes a day from its own
    rows alone.
    """
    place = step.outputs.index(table)
    first_day = min(given)

    def compute(frames: Frames) -> pd.DataFrame:
        return step.compute(V1, frames, pd.Timestamp(first_day), settings)[place]

    plain = compute(_one_after_another([frames for _, frames in given.values()]))
    parts = [
        [
            _shuffled(frames, instruments[chosen], day)
            for day, (instruments, frames) in given.items()
            if instruments[chosen]
        ]
        for chosen in (slice(None, 1), slice(1, None))
    ]
    with ThreadPoolExecutor(len(parts)) as threads:
        computed = threads.map(compute, (_one_after_another(part) for part in parts if part))
        other = pd.concat(computed, ignore_index=True)
    both = table.conform(plain), table.conform(other)
    return {day: _of_day(both, day) for day in given} if len(given) > 1 else {first_day: both}


def _one_after_another(frames: Sequence[Frames]) -> Frames:
    """The rows of several days."""
    if len(frames) == 1:
        return frames[0]
    return {
        name: pd.concat([of_day[name] for of_day in frames], ignore_index=True)
        for name in frames[0]
    }


def _of_day(both: BothWays, day: date) -> BothWays:
    moment = pd.Timestamp(day)
    plain, other = (frame[frame["trading_day"] == moment].reset_index(drop=True) for frame in both)
    return plain, other


def floor_between(
    table: Table,
    plain: pd.DataFrame,
    other: pd.DataFrame,
    day: date,
    settings: ReconciliationSettings,
) -> NoiseFloor | None:
    """What comparing two results of V1 says, both sorted by key; None without rows.

    Mostly they are the same, value by value, which needs no more than a look.
    """
    is_same = plain.equals(other) and not plain.duplicated(list(table.key)).any()
    if is_same and len(plain):
        return without_noise(table, len(plain))
    sides = (encoding.plain_text(encoding.to_arrow(table, frame)) for frame in (plain, other))
    return measured(compare(table, *sides, day, settings))


def sample(instruments: Sequence[str], day: date, size: int) -> list[str]:
    """Return up to ``size`` of the sorted instruments, others on the next day until all had their turn."""
    size = min(size, len(instruments))
    first = day.toordinal() * size
    return [instruments[(first + place) % len(instruments)] for place in range(size)]


@dataclass(frozen=True)
class _Wanted:
    """What is read for one day."""

    day: date
    keys: Collection[str]
    v1: Pointer


def _read(
    item: Input, wanted: Sequence[_Wanted], warehouse: Warehouse, settings: Settings
) -> dict[date, pd.DataFrame]:
    """The rows of each day's instruments, on the day and on the stored sessions of its look-back.

    Days that are read from one lane are read together: their windows have most sessions in common.
    """
    found = {}
    by_lane: dict[str, list[_Wanted]] = {}
    for of_day in wanted:
        schema = "raw" if item.is_raw else lane_read(item.table, of_day.v1).value
        by_lane.setdefault(schema, []).append(of_day)
    look_back = item.look_back(settings)
    for schema, days in by_lane.items():
        stored = StoredTable(schema, item.table)
        partitions = warehouse.partitions(stored) if look_back else []
        windows = {}
        for of_day in days:
            key = of_day.day.isoformat()
            earlier = [name for name in partitions if name < key][-look_back:] if look_back else []
            windows[of_day.day] = [*earlier, key]
        rows = warehouse.read(
            stored,
            {key for window in windows.values() for key in window},
            item.column_names,
            {key for of_day in days for key in of_day.keys},
        )
        for of_day in days:
            window = windows[of_day.day]
            first, last = pd.Timestamp(window[0]), pd.Timestamp(window[-1])
            is_inside = rows["trading_day"].between(first, last)
            is_wanted = is_inside & rows["instrument_key"].isin(of_day.keys)
            found[of_day.day] = rows[is_wanted].reset_index(drop=True)
    return found


def _shuffled(frames: Frames, instruments: Collection[str], day: date) -> Frames:
    """The rows of some instruments in another order; where series begin stays known of all."""
    chance = np.random.default_rng(day.toordinal())
    shuffled = {}
    for name, frame in frames.items():
        if name != "history_starts":
            places = np.flatnonzero(frame["instrument_key"].isin(instruments))
            frame = frame.take(chance.permutation(places)).reset_index(drop=True)
        shuffled[name] = frame
    return shuffled
