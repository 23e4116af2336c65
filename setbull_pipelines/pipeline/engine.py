"""How a computing step is carried out: days in, what is out of date computed and published, results out.

Belongs here: the order of work, bringing back what was evicted, batches of publications. Does not belong here: which
inputs a step has (``steps``) and what is read of them (``windows``), the decision whether a day must be computed
(``choosing``), computing (``computing``), Dagster.

What a day gives follows from its own look-back window, also when a run covers many days and they are computed
together (``spans``). In a partition that is out of date only the instruments are computed that something changed for;
the rows of the others are kept. That gives the bytes that computing the whole day gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from setbull_pipelines.pipeline.choosing import Choosing, Chosen
from setbull_pipelines.pipeline.chunks import is_full, is_full_to_compute
from setbull_pipelines.pipeline.computing import Computed, Computing
from setbull_pipelines.pipeline.lanes import Stages
from setbull_pipelines.pipeline.progress import Progress
from setbull_pipelines.pipeline.references import references_of
from setbull_pipelines.pipeline.steps import STEPS, Step
from setbull_pipelines.pipeline.versions import variant_code_version
from setbull_pipelines.pipeline.windows import Windows
from setbull_pipelines.settings import Settings, fingerprint
from setbull_pipelines.variants import V1, V2
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines.warehouse import instrument_hashes
from setbull_pipelines.warehouse.errors import ContractViolation, MissingPartition
from setbull_pipelines.warehouse.pointers import Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines.warehouse.validation import Batch

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
    """The share of a day that was computed together with others."""
    instruments_computed: int | None = None
    """None where work is not done by instrument, and where a look at the pointer was enough."""
    instruments_kept: int | None = None
    """Instruments whose stored rows were taken over, since nothing had changed for them."""


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
        self.warehouse, self.settings, self.run_id = warehouse, settings, run_id
        self._stages, self._as_of = stages, as_of
        self.code_version = variant_code_version(variant.name)
        self.settings_hash = fingerprint(*step.settings_groups(settings))
        self.outputs = [StoredTable(variant.name, table) for table in step.outputs]
        self._windows = Windows(
            step, variant.name, warehouse, settings, stages, references_of(warehouse), as_of
        )
        self.inputs = [self._windows.stored(item) for item in step.inputs]
        """The tables read, raw ones and those of the lanes in force."""
        self._choosing = Choosing(
            self._windows, self.outputs, warehouse, self.code_version, self.settings_hash
        )
        self._computing = Computing(
            variant, self._windows, self.outputs, warehouse, settings, as_of
        )

    def over(self, days: Sequence[date]) -> Iterator[PartitionResult]:
        """Bring every day up to date and report each: stored ones at once, computed ones as published.

        Where V1 runs in full, the days are joined by all on which it was cut back. A whole partition of V1 from
        before it was cut back is kept while it is up to date.

        An instrument that computing or the contract fails for is left out and recorded as a failure of the
        partition, with what follows from it on later days; the others go on. Raises MissingPartition for absent
        inputs, after the days before were published.
        """
        wanted = sorted({*days, *self._choosing.cut_back()})
        progress = Progress(f"{self.variant.name}/{self.step.name}", len(wanted), "days")
        for result in self._results(wanted):
            progress.advance()
            yield result

    def _results(self, wanted: Sequence[date]) -> Iterator[PartitionResult]:
        batch: list[Chosen] = []
        rows = 0
        for day in wanted:
            try:
                found = self._look_at(day)
            except MissingPartition:
                yield from self._bring_up_to_date(batch)
                raise
            if isinstance(found, PartitionResult):
                yield found
            else:
                batch.append(found)
                rows += self._rows_to_compute(found)
                if is_full_to_compute(
                    len(batch), rows, self._most_columns, self.settings.processing
                ):
                    yield from self._bring_up_to_date(batch)
                    batch, rows = [], 0
        yield from self._bring_up_to_date(batch)

    def _look_at(self, day: date) -> PartitionResult | Chosen:
        """What there is to compute of a day, or its result when that is nothing."""
        if self._choosing.is_kept(day):
            return PartitionResult(day, self._current_pointers(day), cached=True)
        inputs = self._windows.inputs(day)
        if self._choosing.is_current(day, inputs):
            return PartitionResult(day, self._current_pointers(day), cached=True)
        if self._bring_back(day):
            inputs = self._windows.inputs(day)
        chosen = self._choosing.choose(day, inputs)
        return self._confirm(chosen) if self._choosing.is_all_there(chosen) else chosen

    def _bring_back(self, day: date) -> bool:
        """Compute again what was evicted of the look-back; whether there was any."""
        part = self._windows.part(day)
        if part and not part.percentage:
            return False  # nothing is read
        evicted = self._windows.evicted(day)
        for item, days in evicted.items():
            step = next(step for step in STEPS if item.table in step.outputs)
            variant = _VARIANTS[self._windows.lanes[item.table.name]]
            given = (self.warehouse, self.settings, self.run_id, self._stages, self._as_of)
            for _ in StepRun(step, variant, *given).over(days):
                pass
        if evicted:
            self._windows.forget()
            self._choosing.forget()
        return bool(evicted)

    def _compute(self, batch: Sequence[Chosen], validate: bool = False) -> list[Computed]:
        return self._computing.compute(batch, validate)

    def _rows_to_compute(self, chosen: Chosen) -> int:
        part = self._windows.part(chosen.day)
        return 0 if part and not part.percentage else self._windows.rows_of_own(chosen.day)

    @property
    def _most_columns(self) -> int:
        return max(len(stored.table.columns) for stored in self.outputs)

    def _confirm(self, chosen: Chosen) -> PartitionResult:
        key = chosen.day.isoformat()
        pointers = {
            stored.table.name: self.warehouse.confirm(stored, key, chosen.inputs)
            for stored in self.outputs
        }
        return PartitionResult(
            chosen.day,
            pointers,
            cached=True,
            instruments_computed=0,
            instruments_kept=len(chosen.kept),
        )

    def _bring_up_to_date(self, batch: Sequence[Chosen]) -> list[PartitionResult]:
        """Compute days and publish them; those computed one by one no more at once than is encoded side by side."""
        results: list[PartitionResult] = []
        alone: list[Computed] = []
        for computed in self._compute(batch) if batch else []:
            if len(computed.days) > 1:
                results += self._publish([computed])
                continue
            alone.append(computed)
            rows = sum(len(frame) for each in alone for frame in each.frames)
            if is_full(len(alone), rows, self._most_columns, self.settings.processing):
                results += self._publish(alone)
                alone = []
        if alone:
            results += self._publish(alone)
        return sorted(results, key=lambda result: result.day)

    def _publish(self, batch: list[Computed]) -> list[PartitionResult]:
        """Publish days that were computed at once, or days that were computed one by one."""
        try:
            pointers = self._publish_together(batch)
        except ContractViolation:
            batch = [
                again
                for together in batch
                for computed in together.each()
                for again in (
                    [computed]
                    if self._keeps_the_contract(computed)
                    else self._compute([computed.days[0].chosen], validate=True)
                )
            ]
            pointers = self._publish_together(batch)
        return [
            PartitionResult(
                day.chosen.day,
                {
                    stored.table.name: published[day.chosen.day.isoformat()]
                    for stored, published in zip(self.outputs, pointers, strict=True)
                },
                cached=False,
                seconds=day.cost.seconds if day.cost else 0.0,
                instruments_computed=len(day.chosen.touched),
                instruments_kept=len(day.chosen.kept),
            )
            for computed in batch
            for day in computed.days
        ]

    def _publish_together(self, batch: Sequence[Computed]) -> list[dict[str, Pointer]]:
        """Publish all outputs of all days. ContractViolation, with nothing written, when one breaks its contract."""
        by_key = {day.chosen.day.isoformat(): day for computed in batch for day in computed.days}
        # The outputs of one step belong together: all are checked before the first is written.
        checked = [
            self._checked(stored, position, batch, list(by_key))
            for position, stored in enumerate(self.outputs)
        ]
        computed_from = {
            key: instrument_hashes.of_mapping(day.instrument_inputs) for key, day in by_key.items()
        }
        with self.warehouse.commit() as commit:
            for stored, rows in zip(self.outputs, checked, strict=True):
                commit.add(
                    stored,
                    rows,
                    code_version=self.code_version,
                    settings_hash=self.settings_hash,
                    inputs={key: day.chosen.inputs for key, day in by_key.items()},
                    run_id=self.run_id,
                    notes={key: day.note for key, day in by_key.items()},
                    # One computation makes all outputs: its cost is recorded once.
                    costs={key: day.cost for key, day in by_key.items()}
                    if stored == self.outputs[0]
                    else {},
                    failures={key: day.failures for key, day in by_key.items()},
                    instrument_inputs=computed_from,
                )
        return [commit.pointers[stored] for stored in self.outputs]

    def _checked(
        self, stored: StoredTable, position: int, batch: Sequence[Computed], keys: Sequence[str]
    ) -> Batch:
        """The rows of one output, in the form that is published."""
        frames = [computed.frames[position] for computed in batch]
        if len(frames) < len(keys):
            return self.warehouse.check_range(stored, frames[0], keys)
        return self.warehouse.check(stored, dict(zip(keys, frames, strict=True)))

    def _keeps_the_contract(self, computed: Computed) -> bool:
        """Whether the rows of a single day keep the contract of their table."""
        key = computed.days[0].chosen.day.isoformat()
        try:
            for stored, frame in zip(self.outputs, computed.frames, strict=True):
                self.warehouse.check(stored, {key: frame})
        except ContractViolation:
            return False
        return True

    def _current_pointers(self, day: date) -> dict[str, Pointer]:
        return {
            stored.table.name: self.warehouse.pointer(stored, day.isoformat())
            for stored in self.outputs
        }
