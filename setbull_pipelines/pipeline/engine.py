"""How a computing step is carried out: windows in, one variant call per trading day, partitions out.

Belongs here: look-back windows, the decision whether a partition must be computed and for which instruments,
batching of publications. Does not belong here: which inputs a step has (``steps``), formulas, Dagster.

Every partition is computed from exactly its own look-back window, also when a run covers many days: the
result of a day never depends on which other days were computed with it. Of a partition that is out of date only
the instruments are computed that something changed for; the rows of the others are kept. That gives the bytes that
computing the whole day gives.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.chunks import (
    allowance,
    bytes_to_compute,
    chunks_of,
    is_full,
)
from setbull_pipelines.pipeline.isolating import isolate, of_instruments, without
from setbull_pipelines.pipeline.lanes import (
    COMPONENT_OF,
    MARK,
    Part,
    Stages,
    lane_of,
    lane_read,
    part_in,
    part_of,
)
from setbull_pipelines.pipeline.measuring import Meter, memory_in_use
from setbull_pipelines.pipeline.progress import Progress
from setbull_pipelines.pipeline.references import references_of
from setbull_pipelines.pipeline.running import (
    AS_OF,
    mark_of,
    minutes_of_closed_bars,
    require_same_moment,
)
from setbull_pipelines.pipeline.steps import STEPS, Frames, Input, Step
from setbull_pipelines.pipeline.touched import InstrumentInputs, unchanged
from setbull_pipelines.pipeline.versions import (
    CALENDAR,
    calendar_mark,
    combined,
    variant_code_version,
)
from setbull_pipelines.settings import Settings, fingerprint
from setbull_pipelines.variants import V1, V2
from setbull_pipelines.variants.protocol import Variant, allowing_workers
from setbull_pipelines.warehouse import instrument_hashes
from setbull_pipelines.warehouse.encoding import schema_hash
from setbull_pipelines.warehouse.errors import (
    ContractViolation,
    DamagedPartition,
    MissingPartition,
)
from setbull_pipelines.warehouse.pointers import Cost, Failure, Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

logger = logging.getLogger(__name__)

_V1 = "v1"
_VARIANTS = {V1.name: V1, V2.name: V2}


@dataclass(frozen=True)
class PartitionResult:
    """What happened to one trading day of one step."""

    day: date
    pointers: dict[str, Pointer]
    """By table name."""
    cached: bool
    """True when nothing was computed, since what the stored partition is computed from is the same."""
    seconds: float = 0.0
    instruments_computed: int | None = None
    """None where work is not done by instrument, and where a look at the pointer was enough."""
    instruments_kept: int | None = None
    """Instruments whose stored rows were taken over, since nothing had changed for them."""


@dataclass(frozen=True)
class _Instruments:
    """Which instruments of a day are computed, and which keep their stored rows."""

    inputs: dict[str, int]
    """Of all that have a row in the window: the hash of what they are computed from."""
    failures: dict[str, Failure]
    """Those that an input lacks."""
    kept: frozenset[str]
    anchor: str | None
    """One to be computed along, so that those touched are computed as among all; its rows are not taken."""

    @property
    def touched(self) -> set[str]:
        """Those that are computed."""
        return set(self.inputs) - self.kept - set(self.failures)


@dataclass(frozen=True)
class _Computed:
    """A day that waits to be validated and published."""

    inputs: dict[str, str]
    chosen: _Instruments
    frames: tuple[pd.DataFrame, ...]
    cost: Cost | None
    """None where nothing was read or computed."""
    failures: dict[str, Failure]
    note: str | None

    @property
    def instrument_inputs(self) -> dict[str, int]:
        """Of those that did not fail: the hash of what they were computed from."""
        return {key: value for key, value in self.chosen.inputs.items() if key not in self.failures}


class StepRun:
    """One step of one variant over some trading days, under the stages in force.

    They say for which instruments V1 is computed, and from which lane it reads (``lanes``); V2 is always computed
    for all, from its own lane. ``as_of`` (exchange time, without zone) is given while the session of its day is
    under way: of that day only bars that have closed are made (``running``).
    """

    def __init__(
        self,
        step: Step,
        variant: Variant,
        warehouse: Warehouse,
        settings: Settings,
        run_id: str,
        stages: Stages,
        as_of: datetime | None = None,
    ) -> None:
        self.step, self.variant = step, variant
        self._as_of, self._stages = as_of, stages
        self.warehouse, self.settings, self.run_id = warehouse, settings, run_id
        self._component = COMPONENT_OF[step.outputs[0].name]
        self._stage = stages[self._component]
        self._lanes = {
            item.table.name: lane_of(
                item.table, self._component, stages, looks_back=item.look_back(settings) > 0
            ).value
            if variant.name == _V1
            else variant.name
            for item in step.inputs
            if not item.is_raw
        }
        self.code_version = variant_code_version(variant.name)
        self.settings_hash = fingerprint(*step.settings_groups(settings))
        self.outputs = [StoredTable(variant.name, table) for table in step.outputs]
        self.inputs = [self._stored(item) for item in step.inputs]
        """The tables read, raw ones and those of the lanes in force."""
        self._references = references_of(warehouse)
        self._instrument_inputs = InstrumentInputs(step, warehouse, self._references)
        self._pointers: dict[tuple[str, str], Pointer] = {}
        self._has_told_of_memory = False

    def over(self, days: Sequence[date]) -> Iterator[PartitionResult]:
        """Bring every day up to date and report each: stored ones at once, computed ones as published.

        Where V1 runs in full, the days are joined by all on which it was cut back (:meth:`_cut_back`). A whole
        partition of V1 from before it was cut back is kept while it is up to date.

        An instrument that computing or the contract fails for is left out and recorded as a failure of the
        partition, with what follows from it on later days; the others go on. Raises MissingPartition for absent
        inputs; partitions published before stay.
        """
        wanted = sorted({*days, *self._cut_back()})
        progress = Progress(f"{self.variant.name}/{self.step.name}", len(wanted), "days")
        batch: dict[date, _Computed] = {}
        for day in wanted:
            kept = self._is_kept(day)
            inputs = {} if kept else self._inputs(day)
            if kept or self._is_current(day, inputs):
                yield PartitionResult(day, self._current_pointers(day), cached=True)
            else:
                if self._bring_back(day):
                    inputs = self._inputs(day)
                chosen = self._choose(day)
                if self._is_all_there(day, chosen):
                    yield self._confirm(day, inputs, chosen)
                else:
                    batch[day] = self._compute(day, inputs, chosen)
                if self._is_full(batch):
                    yield from self._publish(batch)
                    batch = {}
            progress.advance()
        yield from self._publish(batch)

    def _bring_back(self, day: date) -> bool:
        """Compute again what was evicted of the look-back; whether there was any."""
        part = self._part(day)
        if part and not part.percentage:
            return False  # nothing is read
        evicted = {
            item.table: [
                date.fromisoformat(key)
                for key in self._window(item, day)
                if self._input_pointer(self._stored(item), key).evicted_at
            ]
            for item in self.step.inputs
            if not item.is_raw
        }
        for table, days in evicted.items():
            if days:
                step = next(step for step in STEPS if table in step.outputs)
                variant = _VARIANTS[self._lanes[table.name]]
                given = (self.warehouse, self.settings, self.run_id, self._stages, self._as_of)
                for _ in StepRun(step, variant, *given).over(days):
                    pass
        if any(evicted.values()):
            self._pointers = {}
            self._instrument_inputs = InstrumentInputs(self.step, self.warehouse, self._references)
        return any(evicted.values())

    def _compute(
        self, day: date, inputs: dict[str, str], chosen: _Instruments, validate: bool = False
    ) -> _Computed:
        """Compute one day; ``validate`` makes rows that break the contract a failure of their instrument."""

        def compute(frames: Frames) -> tuple[pd.DataFrame, ...]:
            with allowing_workers(self.settings.processing.workers):
                outputs = self.step.compute(self.variant, frames, pd.Timestamp(day), self.settings)
            if validate:
                for stored, frame in zip(self.outputs, outputs, strict=True):
                    self.warehouse.check(stored, {day.isoformat(): frame})
            return outputs

        part = self._part(day)
        if part and not part.percentage:
            empty = tuple(stored.table.empty() for stored in self.outputs)
            return _Computed(inputs, chosen, empty, None, {}, f"no rows: {part.sentence}")
        kept, failures = chosen.kept, dict(chosen.failures)
        chunks = self._chunks(day, chosen)
        _VARIANTS[self.variant.name].prepare()
        with Meter(self.warehouse.cache) as meter:
            computed, errors, rows_read = self._compute_chunks(day, chosen, chunks, part, compute)
        origin = f"{self.outputs[0].name} {day}"
        failures |= {key: Failure(origin, error) for key, error in errors.items()}
        if errors:
            key, error = next(iter(errors.items()))
            logger.warning(
                "%s: %s instruments failed and are left out; the first, %s: %s",
                *(origin, f"{len(errors):,}", key, error),
            )
        if kept:
            computed.append(self._stored_rows(day, kept))
        outputs = self._together(computed)
        note = None
        if not any(len(frame) for frame in outputs):
            read = ", ".join(f"{name} {rows:,}" for name, rows in rows_read.items())
            note = f"no rows: nothing to compute from the rows read ({read})"
            if kept:
                note += f", and {len(kept):,} instruments as before"
            if failures:
                note = f"no rows: {len(failures):,} instruments failed"
            elif part:
                note = f"no rows: {part.sentence}, and of those no row was read"
        cost = replace(
            meter.cost(sum(rows_read.values())),
            instruments_computed=len(chosen.touched),
            instruments_kept=len(kept),
            chunks=len(chunks),
        )
        return _Computed(inputs, chosen, outputs, cost, failures, note)

    def _compute_chunks(
        self,
        day: date,
        chosen: _Instruments,
        chunks: Sequence[Collection[str] | None],
        part: Part | None,
        compute: Callable[[Frames], tuple[pd.DataFrame, ...]],
    ) -> tuple[list[tuple[pd.DataFrame, ...]], dict[str, str], Counter[str]]:
        """Read and compute chunk by chunk; the results, who failed with which error, and the rows read by table."""
        computed: list[tuple[pd.DataFrame, ...]] = []
        errors: dict[str, str] = {}
        rows_read: Counter[str] = Counter()
        for chunk in chunks:
            along = {chosen.anchor} - {None, *chunk} if chunk else set()
            wanted = None if chunk is None else {*chunk, *along}
            frames = {item.table.name: self._read(item, day, wanted) for item in self.step.inputs}
            if part:
                frames = {name: part.rows(frame) for name, frame in frames.items()}
            rows_read.update({name: len(frame) for name, frame in frames.items()})
            frames |= self._references.frames(self.step, pd.Timestamp(day))
            if wanted is not None:
                frames = of_instruments(frames, wanted)
            if chosen.failures:
                frames = without(frames, list(chosen.failures))
            results, failed = isolate(compute, frames)
            if along:
                results = [
                    tuple(frame[~frame["instrument_key"].isin(along)] for frame in outputs)
                    for outputs in results
                ]
            computed += results
            errors |= {key: error for key, error in failed.items() if key not in along}
        return computed, errors, rows_read

    def _chunks(self, day: date, chosen: _Instruments) -> list[Collection[str] | None]:
        """The instruments to read and compute together, part after part; None stands for all there are.

        A step that reads the minutes of a session under way sees them all: they tell which bars have closed.
        """
        whole = [chosen.touched if chosen.kept else None]
        if mark_of(day, self._as_of) and any(
            item.table is tables.CANDLES_1MIN for item in self.step.inputs
        ):
            return whole
        processing, touched = self.settings.processing, sorted(chosen.touched)
        cells = sum(
            self._input_pointer(self._stored(item), key).rows * len(item.column_names)
            for item in self.step.inputs
            for key in self._window(item, day)
        )
        share = len(touched) / max(len(chosen.inputs), 1)
        needed = int(bytes_to_compute(cells) * share)
        cache = self.warehouse.cache
        room_for_files = cache.limit_bytes - cache.size_bytes
        available = allowance(processing) - memory_in_use() - room_for_files
        chunks = chunks_of(touched, needed, available, processing)
        if needed > available * len(chunks) and not self._has_told_of_memory:
            self._has_told_of_memory = True
            logger.warning(
                "%s/%s %s: %s instruments at a time need about %s MiB, and %s MiB of "
                "processing.memory_allowance_mib (%s) are left; the run goes on",
                *(self.variant.name, self.step.name, day, f"{len(chunks[0]):,}"),
                *(f"{size / 2**20:,.0f}" for size in (needed / len(chunks), max(available, 0))),
                f"{processing.memory_allowance_mib:,}",
            )
        return whole if len(chunks) == 1 else chunks

    def _choose(self, day: date) -> _Instruments:
        part = self._part(day)
        if part and not part.percentage:
            return _Instruments({}, {}, frozenset(), None)
        windows = [(self._stored(item), self._window(item, day)) for item in self.step.inputs]
        failures = self._inherited_failures(day)
        found = self._instrument_inputs.on(day, windows, part, failures)
        kept = self._unchanged(day, found.inputs) - set(failures)
        return _Instruments(found.inputs, failures, frozenset(kept), found.anchor)

    def _unchanged(self, day: date, inputs: Mapping[str, int]) -> set[str]:
        """The instruments that computing would give their stored rows again.

        None of a session under way: which of its bars have closed follows from the minutes of all.
        """
        key = day.isoformat()
        if mark_of(day, self._as_of):
            return set()
        for stored in self.outputs:
            pointer = self._readable_pointer(stored, key)
            if (
                pointer is None
                or AS_OF in pointer.inputs
                or pointer.inputs.get(CALENDAR) != calendar_mark(day).get(CALENDAR)
                or pointer.code_version != self.code_version
                or pointer.settings_hash != self.settings_hash
                or pointer.schema_hash != schema_hash(stored.table)
                or not self.warehouse.verify(stored, key)
            ):
                return set()
        return unchanged(inputs, self.outputs, key, self.warehouse)

    def _is_all_there(self, day: date, chosen: _Instruments) -> bool:
        """Whether just the stored instruments would be computed, each from the same as before."""
        return (
            bool(chosen.kept)
            and len(chosen.kept) == len(chosen.inputs)
            and all(
                not self.warehouse.pointer(stored, day.isoformat()).failures
                and len(self.warehouse.instrument_inputs(stored, day.isoformat()))
                == len(chosen.kept)
                for stored in self.outputs
            )
        )

    def _confirm(self, day: date, inputs: dict[str, str], chosen: _Instruments) -> PartitionResult:
        pointers = {
            stored.table.name: self.warehouse.confirm(stored, day.isoformat(), inputs)
            for stored in self.outputs
        }
        return PartitionResult(
            day,
            pointers,
            cached=True,
            instruments_computed=0,
            instruments_kept=len(chosen.kept),
        )

    def _stored_rows(self, day: date, keys: Collection[str]) -> tuple[pd.DataFrame, ...]:
        return tuple(
            self.warehouse.read(stored, [day.isoformat()], instrument_keys=keys)
            for stored in self.outputs
        )

    def _together(self, computed: list[tuple[pd.DataFrame, ...]]) -> tuple[pd.DataFrame, ...]:
        """The outputs of groups of instruments as those of all."""
        if len(computed) == 1:
            return computed[0]
        if not computed:
            return tuple(stored.table.empty() for stored in self.outputs)
        return tuple(pd.concat(frames, ignore_index=True) for frames in zip(*computed, strict=True))

    def _inherited_failures(self, day: date) -> dict[str, Failure]:
        """Instruments that are missing from an input partition: a window with a hole gives wrong values."""
        missing = {
            self._references.current_key(key, pd.Timestamp(session), pd.Timestamp(day)): failure
            for item in self.step.inputs
            for session in self._window(item, day)
            for key, failure in self._input_pointer(self._stored(item), session).failures.items()
        }
        part = self._part(day)
        concerned = part.of(missing) if part else missing
        return {key: failure for key, failure in missing.items() if key in concerned}

    def _publish(self, batch: dict[date, _Computed]) -> Iterator[PartitionResult]:
        if not batch:
            return
        try:
            pointers = self._publish_together(batch)
        except ContractViolation:
            batch = {
                day: computed
                if self._keeps_the_contract(day, computed)
                else self._compute(day, computed.inputs, computed.chosen, validate=True)
                for day, computed in batch.items()
            }
            pointers = self._publish_together(batch)
        for day, computed in batch.items():
            yield PartitionResult(
                day,
                {
                    stored.table.name: published[day.isoformat()]
                    for stored, published in zip(self.outputs, pointers, strict=True)
                },
                cached=False,
                seconds=computed.cost.seconds if computed.cost else 0.0,
                instruments_computed=len(computed.chosen.touched),
                instruments_kept=len(computed.chosen.kept),
            )

    def _is_full(self, batch: Mapping[date, _Computed]) -> bool:
        rows = sum(len(frame) for computed in batch.values() for frame in computed.frames)
        columns = max(len(stored.table.columns) for stored in self.outputs)
        return is_full(len(batch), rows, columns, self.settings.processing)

    def _publish_together(self, batch: dict[date, _Computed]) -> list[dict[str, Pointer]]:
        """Publish all outputs of all days. ContractViolation, with nothing written, when one breaks its contract."""
        by_key = {day.isoformat(): computed for day, computed in batch.items()}
        frames_of = [
            {key: computed.frames[position] for key, computed in by_key.items()}
            for position in range(len(self.outputs))
        ]
        # The outputs of one step belong together: all are checked before the first is written, and
        # publishing checks the first of them anyway.
        for stored, frames in zip(self.outputs[1:], frames_of[1:], strict=True):
            self.warehouse.check(stored, frames)
        return [
            self.warehouse.publish_many(
                stored,
                frames,
                code_version=self.code_version,
                settings_hash=self.settings_hash,
                inputs={key: computed.inputs for key, computed in by_key.items()},
                run_id=self.run_id,
                notes={key: computed.note for key, computed in by_key.items()},
                # One computation makes all outputs: its cost is told once.
                costs={key: computed.cost for key, computed in by_key.items()}
                if stored == self.outputs[0]
                else {},
                failures={key: computed.failures for key, computed in by_key.items()},
                instrument_inputs={
                    key: instrument_hashes.of_mapping(computed.instrument_inputs)
                    for key, computed in by_key.items()
                },
            )
            for stored, frames in zip(self.outputs, frames_of, strict=True)
        ]

    def _keeps_the_contract(self, day: date, computed: _Computed) -> bool:
        try:
            for stored, frame in zip(self.outputs, computed.frames, strict=True):
                self.warehouse.check(stored, {day.isoformat(): frame})
        except ContractViolation:
            return False
        return True

    def _stored(self, item: Input, lanes: Mapping[str, str] | None = None) -> StoredTable:
        schema = "raw" if item.is_raw else (lanes or self._lanes)[item.table.name]
        return StoredTable(schema, item.table)

    def _part(self, day: date) -> Part | None:
        """The part of the instruments that is computed; None for all."""
        if self.variant.name != _V1:
            return None
        return part_in(self._component, self._stage, day, self.settings.rollout)

    def _cut_back(self) -> Iterator[date]:
        """Days to complete, now that V1 runs in full: those of a part, and those read from V2 in V1's place."""
        if self.variant.name != _V1 or not self._stage.runs_v1_in_full:
            return
        for stored in self.outputs:
            for key, pointer in self.warehouse.pointers(stored).items():
                if MARK in pointer.inputs or self._read_v2_instead(pointer):
                    yield date.fromisoformat(key)

    def _read_v2_instead(self, pointer: Pointer) -> bool:
        """Whether V1 was computed from a table of V2 that it now reads from its own lane."""
        return any(
            self._stored(item).schema == _V1 and lane_read(item.table, pointer).value != _V1
            for item in self.step.inputs
        )

    def _is_kept(self, day: date) -> bool:
        """Whether V1 is cut back on a day that it was computed in full for, from inputs that are still the same."""
        if not self._part(day):
            return False
        pointer = self._readable_pointer(self.outputs[0], day.isoformat())
        if pointer is None or MARK in pointer.inputs:
            return False
        lanes = {item.table.name: lane_read(item.table, pointer).value for item in self.step.inputs}
        try:
            inputs = self._input_hashes(day, None, lanes)
        except MissingPartition:
            return False
        return self._is_current(day, inputs)

    def _readable_pointer(self, stored: StoredTable, key: str) -> Pointer | None:
        """What is stored; None also when its pointer cannot be read: it is then computed again when asked for."""
        try:
            return self.warehouse.pointer(stored, key)
        except DamagedPartition:
            return None

    def _window(self, item: Input, day: date) -> list[str]:
        """The partitions an input needs: the day and the sessions before it, back to the first stored one."""
        look_back = item.look_back(self.settings)
        first = day if look_back == 0 else min(day, self._references.first_day(item.table))
        sessions = NSE.trading_days(first, day)
        return [session.isoformat() for session in sessions[-(look_back + 1) :]]

    def _read(self, item: Input, day: date, instruments: Collection[str] | None) -> pd.DataFrame:
        """The rows of the window; of some instruments with those of their former keys, of all for None."""
        moment = pd.Timestamp(day)
        if instruments is not None and self.step.is_adjusted:
            instruments = self._references.with_former_keys(instruments, moment)
        rows = self.warehouse.read(
            self._stored(item),
            self._window(item, day),
            item.column_names,
            instruments,
        )
        if item.table is tables.CANDLES_1MIN and mark_of(day, self._as_of):
            rows = minutes_of_closed_bars(rows, self._as_of, self.settings.aggregation.bar_minutes)
        if not self.step.is_adjusted:
            return rows
        return self._references.under_current_keys(rows, moment)

    def _inputs(self, day: date) -> dict[str, str]:
        """What the partition is computed from."""
        part = self._part(day)
        if part is None:
            return self._input_hashes(day, None, self._lanes) | mark_of(day, self._as_of)
        hashes = self._input_hashes(day, part, self._lanes) if part.percentage else {}
        return hashes | {MARK: part.mark} | mark_of(day, self._as_of)

    def _input_hashes(
        self, day: date, part: Part | None, lanes: Mapping[str, str]
    ) -> dict[str, str]:
        hashes = {}
        for item in self.step.inputs:
            stored = self._stored(item, lanes)
            window = self._window(item, day)
            self._look_up(stored, window)
            pointers = [self._input_pointer(stored, key) for key in window]
            missing = [key for key, pointer in zip(window, pointers, strict=True) if not pointer]
            if missing:
                raise MissingPartition(
                    f"{self.variant.name}/{self.step.name} {day} needs {stored.name} of "
                    f"{len(missing)} session(s) from {missing[0]} to {missing[-1]} that were never "
                    f"materialized; materialize them first, or run: setbull run --from {day} --to {day}"
                )
            if not item.is_raw:
                for key, pointer in zip(window, pointers, strict=True):
                    moment = mark_of(date.fromisoformat(key), self._as_of)
                    reader = f"{self.variant.name}/{self.step.name} {day}"
                    require_same_moment(reader, stored.name, pointer, moment, key)
            if stored.schema == _V1:
                self._require_rows_of(part, day, stored, dict(zip(window, pointers, strict=True)))
            hashes[f"{stored.name} ({len(window)} sessions from {window[0]})"] = combined(
                pointer.input_hash for pointer in pointers
            )
        first = min(self._window(item, day)[0] for item in self.step.inputs)
        hashes |= self._references.hashes(self.step, pd.Timestamp(first), pd.Timestamp(day))
        return hashes | calendar_mark(day)

    def _require_rows_of(
        self, part: Part | None, day: date, stored: StoredTable, window: Mapping[str, Pointer]
    ) -> None:
        """MissingPartition when a partition of V1 was computed for other instruments than are wanted here."""
        parts = {key: part_of(stored.table, pointer) for key, pointer in window.items()}
        other = [key for key, found in parts.items() if found not in (None, part)]
        if other:
            raise MissingPartition(
                f"{self.variant.name}/{self.step.name} {day} needs {stored.name} of "
                f"{part.mark if part else 'all'} instruments, but on {len(other)} session(s) from {other[0]} "
                f"to {other[-1]} {parts[other[0]].sentence}; materialize {stored.name} under the stage that is "
                f"now in force, or run: setbull run --from {day} --to {day}"
            )

    def _look_up(self, stored: StoredTable, keys: Sequence[str]) -> None:
        """Ask for the pointers of a window together: one by one each would be a request to the object store."""
        unknown = [key for key in keys if (stored.name, key) not in self._pointers]
        if len(unknown) > 1:
            found = self.warehouse.pointers(stored, unknown)
            self._pointers |= {(stored.name, key): pointer for key, pointer in found.items()}

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
