"""Whether a day of a step is computed, and for which instruments.

Belongs here: what is stored held against what it would be computed from, the days on which V1 was cut back. Does not
belong here: those inputs (``windows``, ``touched``), computing (``computing``), publishing (``engine``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from setbull_pipelines.pipeline.lanes import MARK, lane_read
from setbull_pipelines.pipeline.running import AS_OF
from setbull_pipelines.pipeline.touched import InstrumentInputs, unchanged
from setbull_pipelines.pipeline.versions import CALENDAR, calendar_mark
from setbull_pipelines.pipeline.windows import V1, Windows
from setbull_pipelines.warehouse.encoding import schema_hash
from setbull_pipelines.warehouse.errors import DamagedPartition, MissingPartition
from setbull_pipelines.warehouse.pointers import Failure, Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse


@dataclass(frozen=True)
class Chosen:
    """A day to compute: from what, which instruments, and which of them keep their stored rows."""

    day: date
    inputs: dict[str, str]
    """What the partition is computed from."""
    instruments: dict[str, int]
    """The hash of what each instrument with a row in the window is computed from."""
    failures: dict[str, Failure]
    """Those that an input lacks."""
    kept: frozenset[str]
    anchor: str | None
    """One to be computed along, so that those touched are computed as among all; its rows are not taken."""

    @property
    def touched(self) -> set[str]:
        """Those that are computed."""
        return set(self.instruments) - self.kept - set(self.failures)


class Choosing:
    """Decides for the days of one step, by the code and the settings that it is to be computed with."""

    def __init__(
        self,
        windows: Windows,
        outputs: Sequence[StoredTable],
        warehouse: Warehouse,
        code_version: str,
        settings_hash: str,
    ) -> None:
        self._windows, self._outputs, self._warehouse = windows, outputs, warehouse
        self._code_version, self._settings_hash = code_version, settings_hash
        self.forget()

    def forget(self) -> None:
        """Look at the inputs again: some of them were published."""
        step, references = self._windows.step, self._windows.references
        self._instrument_inputs = InstrumentInputs(step, self._warehouse, references)

    def choose(self, day: date, inputs: dict[str, str]) -> Chosen:
        """What there is to compute of a day with these ``inputs``."""
        windows = self._windows
        part = windows.part(day)
        if part and not part.percentage:
            return Chosen(day, inputs, {}, {}, frozenset(), None)
        read = [(windows.stored(item), windows.window(item, day)) for item in windows.step.inputs]
        failures = windows.inherited_failures(day)
        found = self._instrument_inputs.on(day, read, part, failures)
        kept = self._unchanged(day, found.inputs) - set(failures)
        return Chosen(day, inputs, found.inputs, failures, frozenset(kept), found.anchor)

    def _unchanged(self, day: date, inputs: Mapping[str, int]) -> set[str]:
        """The instruments that computing would give their stored rows again.

        None of a session under way: which of its bars have closed follows from the minutes of all.
        """
        key = day.isoformat()
        if self._windows.mark(day):
            return set()
        for stored in self._outputs:
            pointer = self._readable_pointer(stored, key)
            if (
                pointer is None
                or AS_OF in pointer.inputs
                or pointer.inputs.get(CALENDAR) != calendar_mark(day).get(CALENDAR)
                or pointer.code_version != self._code_version
                or pointer.settings_hash != self._settings_hash
                or pointer.schema_hash != schema_hash(stored.table)
                or not self._warehouse.verify(stored, key)
            ):
                return set()
        return unchanged(inputs, self._outputs, key, self._warehouse)

    def is_all_there(self, chosen: Chosen) -> bool:
        """Whether just the stored instruments would be computed, each from the same as before."""
        key = chosen.day.isoformat()
        return (
            bool(chosen.kept)
            and len(chosen.kept) == len(chosen.instruments)
            and all(
                not self._warehouse.pointer(stored, key).failures
                and len(self._warehouse.instrument_inputs(stored, key)) == len(chosen.kept)
                for stored in self._outputs
            )
        )

    def is_current(self, day: date, inputs: Mapping[str, str]) -> bool:
        """Whether the day is stored from just these inputs."""
        return all(
            self._warehouse.is_current(
                stored,
                day.isoformat(),
                code_version=self._code_version,
                settings_hash=self._settings_hash,
                inputs=inputs,
            )
            for stored in self._outputs
        )

    def is_kept(self, day: date) -> bool:
        """Whether V1 is cut back on a day that it was computed in full for, from inputs that are still the same."""
        if not self._windows.part(day):
            return False
        pointer = self._readable_pointer(self._outputs[0], day.isoformat())
        if pointer is None or MARK in pointer.inputs:
            return False
        items = self._windows.step.inputs
        lanes = {item.table.name: lane_read(item.table, pointer).value for item in items}
        try:
            inputs = self._windows.hashes(day, None, lanes)
        except MissingPartition:
            return False
        return self.is_current(day, inputs)

    def cut_back(self) -> Iterator[date]:
        """Days to complete, now that V1 runs in full: those of a part, and those read from V2 in V1's place."""
        if not self._windows.runs_v1_in_full:
            return
        for stored in self._outputs:
            for key, pointer in self._warehouse.pointers(stored).items():
                if MARK in pointer.inputs or self._read_v2_instead(pointer):
                    yield date.fromisoformat(key)

    def _read_v2_instead(self, pointer: Pointer) -> bool:
        """Whether V1 was computed from a table of V2 that it now reads from its own lane."""
        return any(
            self._windows.stored(item).schema == V1 and lane_read(item.table, pointer).value != V1
            for item in self._windows.step.inputs
        )

    def _readable_pointer(self, stored: StoredTable, key: str) -> Pointer | None:
        """What is stored; None also when its pointer cannot be read: it is then computed again when asked for."""
        try:
            return self._warehouse.pointer(stored, key)
        except DamagedPartition:
            return None
