"""What a step reads: the lane and the partitions of every input, and what they are recorded as.

Belongs here: look-back windows, the pointers in them, the inputs that a partition names, reading their rows. Does not
belong here: whether a day is computed (``choosing``), computing (``computing``), which inputs a step has (``steps``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache

import pandas as pd

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.lanes import (
    COMPONENT_OF,
    MARK,
    Part,
    Stages,
    lane_of,
    part_in,
    part_of,
)
from setbull_pipelines.pipeline.references import References
from setbull_pipelines.pipeline.running import mark_of, require_same_moment
from setbull_pipelines.pipeline.steps import Input, Step
from setbull_pipelines.pipeline.versions import calendar_mark, combined
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.errors import MissingPartition
from setbull_pipelines.warehouse.pointers import Failure, Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

V1 = "v1"


class Windows:
    """The windows of one step of one variant, under the stages in force and at one moment.

    Pointers are remembered: inputs belong to earlier steps and do not change while this one runs.
    """

    def __init__(
        self,
        step: Step,
        variant: str,
        warehouse: Warehouse,
        settings: Settings,
        stages: Stages,
        references: References,
        as_of: datetime | None,
    ) -> None:
        self.step, self.references = step, references
        self._variant, self._warehouse, self._settings = variant, warehouse, settings
        self._as_of = as_of
        self._component = COMPONENT_OF[step.outputs[0].name]
        self._stage = stages[self._component]
        self.lanes = {
            item.table.name: lane_of(
                item.table, self._component, stages, looks_back=item.look_back(settings) > 0
            ).value
            if variant == V1
            else variant
            for item in step.inputs
            if not item.is_raw
        }
        self._pointers: dict[tuple[str, str], Pointer] = {}
        self._windows: dict[tuple[str, date], list[str]] = {}

    @property
    def runs_v1_in_full(self) -> bool:
        """Whether this is V1, of all instruments on all days."""
        return self._variant == V1 and self._stage.runs_v1_in_full

    def stored(self, item: Input, lanes: Mapping[str, str] | None = None) -> StoredTable:
        """The table in the lane that it is read from; ``lanes`` in the place of those now in force."""
        schema = "raw" if item.is_raw else (lanes or self.lanes)[item.table.name]
        return StoredTable(schema, item.table)

    def part(self, day: date) -> Part | None:
        """The part of the instruments that is computed; None for all."""
        if self._variant != V1:
            return None
        return part_in(self._component, self._stage, day, self._settings.rollout)

    def mark(self, day: date) -> dict[str, str]:
        """What marks a partition of ``day`` as one of a session under way; nothing when the day is whole."""
        return mark_of(day, self._as_of)

    def window(self, item: Input, day: date) -> list[str]:
        """The partitions an input needs: the day and the sessions before it, back to the first stored one."""
        name = (item.table.name, day)
        if name not in self._windows:
            look_back = item.look_back(self._settings)
            first = day if look_back == 0 else min(day, self.references.first_day(item.table))
            sessions = NSE.trading_days(first, day)[-(look_back + 1) :]
            self._windows[name] = [_key_of(session) for session in sessions]
        return self._windows[name]

    def starts(self, day: date) -> tuple[str, ...]:
        """The first partition of each input's window."""
        return tuple(self.window(item, day)[0] for item in self.step.inputs)

    def pointers_of(self, day: date) -> Iterator[tuple[Input, str, Pointer]]:
        """Every partition that the day is computed from; each has been published (:meth:`inputs` was asked)."""
        for item in self.step.inputs:
            stored = self.stored(item)
            for key in self.window(item, day):
                yield item, key, self._pointer(stored, key)

    def rows_of_own(self, day: date) -> int:
        """Rows of the day itself in all inputs; each has been published."""
        key = day.isoformat()
        return sum(self._pointer(self.stored(item), key).rows for item in self.step.inputs)

    def cells(self, days: Collection[date]) -> int:
        """Cells (rows x columns) of the windows of ``days`` together."""
        found = {
            (item.table.name, key): pointer.rows * len(item.column_names)
            for day in days
            for item, key, pointer in self.pointers_of(day)
        }
        return sum(found.values())

    def evicted(self, day: date) -> dict[Input, list[date]]:
        """Computed inputs with the sessions of the window whose rows were removed to save space."""
        found: dict[Input, list[date]] = {}
        for item, key, pointer in self.pointers_of(day):
            if pointer.evicted_at and not item.is_raw:
                found.setdefault(item, []).append(date.fromisoformat(key))
        return found

    def forget(self) -> None:
        """Look at the inputs again: some of them were published."""
        self._pointers = {}

    def inherited_failures(self, day: date) -> dict[str, Failure]:
        """Instruments that are missing from an input partition: a window with a hole gives wrong values."""
        moment = pd.Timestamp(day)
        missing = {
            self.references.current_key(key, pd.Timestamp(session), moment): failure
            for _, session, pointer in self.pointers_of(day)
            for key, failure in pointer.failures.items()
        }
        part = self.part(day)
        concerned = part.of(missing) if part else missing
        return {key: failure for key, failure in missing.items() if key in concerned}

    def read(
        self, item: Input, days: Collection[date], instruments: Collection[str] | None
    ) -> pd.DataFrame:
        """The rows of the windows of ``days``, session after session, under the keys they are stored with.

        Of some instruments with those of their former keys, of all for None.
        """
        if instruments is not None and self.step.is_adjusted:
            instruments = self.references.with_former_keys(instruments, pd.Timestamp(max(days)))
        keys = {key for day in days for key in self.window(item, day)}
        return self._warehouse.read(self.stored(item), keys, item.column_names, instruments)

    def inputs(self, day: date) -> dict[str, str]:
        """What the partition is computed from. MissingPartition when some of it was never published."""
        part = self.part(day)
        if part is None:
            return self.hashes(day, None, self.lanes) | self.mark(day)
        hashes = self.hashes(day, part, self.lanes) if part.percentage else {}
        return hashes | {MARK: part.mark} | self.mark(day)

    def hashes(self, day: date, part: Part | None, lanes: Mapping[str, str]) -> dict[str, str]:
        """The hashes of everything that ``part`` of a day is computed from, read from ``lanes``."""
        hashes = {}
        for item in self.step.inputs:
            stored = self.stored(item, lanes)
            window = self.window(item, day)
            self._look_up(stored, window)
            pointers = [self._pointer(stored, key) for key in window]
            missing = [key for key, pointer in zip(window, pointers, strict=True) if not pointer]
            if missing:
                raise MissingPartition(
                    f"{self._variant}/{self.step.name} {day} needs {stored.name} of "
                    f"{len(missing)} session(s) from {missing[0]} to {missing[-1]} that were never "
                    f"materialized; materialize them first, or run: setbull run --from {day} --to {day}"
                )
            if not item.is_raw:
                reader = f"{self._variant}/{self.step.name} {day}"
                for key, pointer in zip(window, pointers, strict=True):
                    moment = self.mark(date.fromisoformat(key)) if self._as_of else {}
                    require_same_moment(reader, stored.name, pointer, moment, key)
            if stored.schema == V1:
                self._require_rows_of(part, day, stored, dict(zip(window, pointers, strict=True)))
            hashes[f"{stored.name} ({len(window)} sessions from {window[0]})"] = combined(
                pointer.input_hash for pointer in pointers
            )
        first = min(self.starts(day))
        hashes |= self.references.hashes(self.step, pd.Timestamp(first), pd.Timestamp(day))
        return hashes | calendar_mark(day)

    def _require_rows_of(
        self, part: Part | None, day: date, stored: StoredTable, window: Mapping[str, Pointer]
    ) -> None:
        """MissingPartition when a partition of V1 was computed for other instruments than are wanted here."""
        parts = {key: part_of(stored.table, pointer) for key, pointer in window.items()}
        other = [key for key, found in parts.items() if found not in (None, part)]
        if other:
            raise MissingPartition(
                f"{self._variant}/{self.step.name} {day} needs {stored.name} of "
                f"{part.mark if part else 'all'} instruments, but on {len(other)} session(s) from {other[0]} "
                f"to {other[-1]} {parts[other[0]].sentence}; materialize {stored.name} under the stage that is "
                f"now in force, or run: setbull run --from {day} --to {day}"
            )

    def _look_up(self, stored: StoredTable, keys: Sequence[str]) -> None:
        """Ask for the pointers of a window together: one by one each would be a request to the object store."""
        unknown = [key for key in keys if (stored.name, key) not in self._pointers]
        if len(unknown) > 1:
            found = self._warehouse.pointers(stored, unknown)
            self._pointers |= {(stored.name, key): pointer for key, pointer in found.items()}

    def _pointer(self, stored: StoredTable, key: str) -> Pointer | None:
        name = (stored.name, key)
        if name not in self._pointers:
            pointer = self._warehouse.pointer(stored, key)
            if pointer is None:
                return None
            self._pointers[name] = pointer
        return self._pointers[name]


@lru_cache(maxsize=10_000)  # windows of neighbouring days share their sessions
def _key_of(session: date) -> str:
    return session.isoformat()
