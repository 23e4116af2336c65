"""How a computing step is carried out: windows in, one variant call per trading day, partitions out.

Belongs here: look-back windows, the decision whether a partition must be computed, batching of
publications. Does not belong here: which inputs a step has (``steps``), formulas, Dagster.

Every partition is computed from exactly its own look-back window, also when a run covers many days: the
result of a day never depends on which other days were computed with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.progress import Progress
from setbull_pipelines.pipeline.steps import Input, Step
from setbull_pipelines.pipeline.versions import combined, variant_code_version
from setbull_pipelines.settings import Settings, fingerprint
from setbull_pipelines.tables.columns import MINUTES
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines.warehouse.errors import MissingPartition
from setbull_pipelines.warehouse.store import WHOLE, Pointer, StoredTable, Warehouse

_BATCH_ROWS = 200_000
_BATCH_PARTITIONS = 40
_HISTORY_START_COLUMNS = ["instrument_key", "series", "first_trading_day"]


@dataclass(frozen=True)
class PartitionResult:
    """What happened to one trading day of one step."""

    day: date
    pointers: dict[str, Pointer]
    """By table name."""
    cached: bool
    """True when inputs, code and settings were those of the stored partition: nothing was computed."""
    seconds: float = 0.0


@dataclass
class _Batch:
    """Computed partitions waiting to be validated and published together."""

    frames: dict[str, tuple[pd.DataFrame, ...]] = field(default_factory=dict)
    inputs: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        rows = sum(len(frame) for frames in self.frames.values() for frame in frames)
        return len(self.frames) >= _BATCH_PARTITIONS or rows >= _BATCH_ROWS


class StepRun:
    """One step of one variant over some trading days."""

    def __init__(
        self,
        step: Step,
        variant: Variant,
        warehouse: Warehouse,
        settings: Settings,
        run_id: str,
    ) -> None:
        self.step, self.variant = step, variant
        self.warehouse, self.settings, self.run_id = warehouse, settings, run_id
        self.code_version = variant_code_version(variant.name)
        self.settings_hash = fingerprint(*step.settings_groups(settings))
        self.outputs = [StoredTable(variant.name, table) for table in step.outputs]
        coverage = warehouse.read(StoredTable("raw", tables.COVERAGE), [WHOLE])
        self._history_starts = coverage[_HISTORY_START_COLUMNS]
        self._history_starts_hash = combined(
            "|".join(map(str, row)) for row in self._history_starts.itertuples(index=False)
        )
        self._pointers: dict[tuple[str, str], Pointer] = {}

    def over(self, days: Sequence[date]) -> Iterator[PartitionResult]:
        """Bring every day up to date and report each: stored ones at once, computed ones as published.

        Raises MissingPartition for absent inputs, ContractViolation for a result that breaks its
        contract; partitions published before stay.
        """
        progress = Progress(f"{self.variant.name}/{self.step.name}", len(days), "days")
        batch = _Batch()
        for day in sorted(days):
            inputs = self._input_hashes(day)
            if self._is_current(day, inputs):
                yield PartitionResult(day, self._current_pointers(day), cached=True)
            else:
                self._compute(day, inputs, batch)
                if batch.is_full:
                    yield from self._publish(batch)
                    batch = _Batch()
            progress.advance()
        yield from self._publish(batch)

    def _compute(self, day: date, inputs: dict[str, str], batch: _Batch) -> None:
        started = time.monotonic()
        frames = {item.table.name: self._read(item, day) for item in self.step.inputs}
        input_rows = {name: len(frame) for name, frame in frames.items()}
        if self.step.needs_history_starts:
            frames["history_starts"] = self._history_starts
        outputs = self.step.compute(self.variant, frames, pd.Timestamp(day), self.settings)
        key = day.isoformat()
        batch.frames[key] = outputs
        batch.inputs[key] = inputs
        batch.seconds[key] = time.monotonic() - started
        if not any(len(frame) for frame in outputs):
            read = ", ".join(f"{name} {rows:,}" for name, rows in input_rows.items())
            batch.notes[key] = f"no rows: nothing to compute from the rows read ({read})"

    def _publish(self, batch: _Batch) -> Iterator[PartitionResult]:
        if not batch.frames:
            return
        frames_of = [
            {key: frames[position] for key, frames in batch.frames.items()}
            for position in range(len(self.outputs))
        ]
        # The outputs of one step belong together: all are checked before the first is written, and
        # publishing checks the last of them anyway.
        for stored, frames in zip(self.outputs[1:], frames_of[1:], strict=True):
            self.warehouse.check(stored, frames)
        pointers = [
            self.warehouse.publish_many(
                stored,
                frames,
                code_version=self.code_version,
                settings_hash=self.settings_hash,
                inputs=batch.inputs,
                run_id=self.run_id,
                notes=batch.notes,
            )
            for stored, frames in zip(self.outputs, frames_of, strict=True)
        ]
        for key in batch.frames:
            yield PartitionResult(
                date.fromisoformat(key),
                {
                    stored.table.name: published[key]
                    for stored, published in zip(self.outputs, pointers, strict=True)
                },
                cached=False,
                seconds=batch.seconds[key],
            )

    def _stored(self, item: Input) -> StoredTable:
        return StoredTable("raw" if item.is_raw else self.variant.name, item.table)

    def _window(self, item: Input, day: date) -> list[str]:
        """The partitions an input needs: the day and the sessions before it, back to the first stored one."""
        look_back = item.look_back(self.settings)
        first = day if look_back == 0 else min(day, self._first_stored_day(item))
        sessions = NSE.trading_days(first, day)
        return [session.isoformat() for session in sessions[-(look_back + 1) :]]

    def _first_stored_day(self, item: Input) -> date:
        starts = self._history_starts
        if item.table is tables.CANDLES_5MIN:
            starts = starts[starts["series"] == MINUTES]
        return starts["first_trading_day"].min().date() if len(starts) else date.max

    def _read(self, item: Input, day: date) -> pd.DataFrame:
        return self.warehouse.read(self._stored(item), self._window(item, day))

    def _input_hashes(self, day: date) -> dict[str, str]:
        hashes = {}
        for item in self.step.inputs:
            stored = self._stored(item)
            window = self._window(item, day)
            pointers = [self._input_pointer(stored, key) for key in window]
            missing = [key for key, pointer in zip(window, pointers, strict=True) if not pointer]
            if missing:
                raise MissingPartition(
                    f"{self.variant.name}/{self.step.name} {day} needs {stored.name} of "
                    f"{len(missing)} session(s) from {missing[0]} to {missing[-1]} that were never "
                    f"materialized; materialize them first, or run: setbull run --from {day} --to {day}"
                )
            hashes[f"{stored.name} ({len(window)} sessions from {window[0]})"] = combined(
                pointer.content_hash for pointer in pointers
            )
        if self.step.needs_history_starts:
            hashes["history_starts"] = self._history_starts_hash
        return hashes

    def _input_pointer(self, stored: StoredTable, key: str) -> Pointer | None:
        # Inputs belong to earlier steps and do not change while this one runs.
        name = (stored.name, key)
        if name not in self._pointers:
            pointer = self.warehouse.pointer(stored, key)
            if pointer is None:
                return None
            self._pointers[name] = pointer
        return self._pointers[name]

    def _is_current(self, day: date, inputs: dict[str, str]) -> bool:
        return all(
            self.warehouse.is_current(
                stored,
                day.isoformat(),
                code_version=self.code_version,
                settings_hash=self.settings_hash,
                inputs=inputs,
            )
            for stored in self.outputs
        )

    def _current_pointers(self, day: date) -> dict[str, Pointer]:
        return {
            stored.table.name: self.warehouse.pointer(stored, day.isoformat())
            for stored in self.outputs
        }
