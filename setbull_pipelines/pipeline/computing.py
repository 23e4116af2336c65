"""Computing days of a step: their rows read once, one call of the variant for as many of them as can go together.

Belongs here: chunks of instruments, calls, instruments that fail, what it took. Does not belong here: which days go
together and why that changes no row (``spans``), what is computed (``choosing``), publishing (``engine``).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.pipeline.choosing import Chosen
from setbull_pipelines.pipeline.chunks import allowance, bytes_to_compute, chunks_of
from setbull_pipelines.pipeline.isolating import (
    NOT_OF_AN_INSTRUMENT,
    isolate,
    of_instruments,
    sentence,
    without,
)
from setbull_pipelines.pipeline.measuring import Meter, memory_in_use, shared_out
from setbull_pipelines.pipeline.running import minutes_of_closed_bars
from setbull_pipelines.pipeline.spans import (
    Outputs,
    Rows,
    by_day,
    calls,
    days_with_rows,
    groups,
    of_days,
    rows_of_windows,
)
from setbull_pipelines.pipeline.steps import Frames
from setbull_pipelines.pipeline.windows import Windows
from setbull_pipelines.settings import Settings
from setbull_pipelines.variants.protocol import Variant, allowing_workers
from setbull_pipelines.warehouse.pointers import Cost, Failure, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ComputedDay:
    """What is known of a day that was computed, besides its rows."""

    chosen: Chosen
    cost: Cost | None
    """None where nothing was read or computed."""
    failures: dict[str, Failure]
    note: str | None

    @property
    def instrument_inputs(self) -> dict[str, int]:
        """The hash of what each instrument that did not fail was computed from."""
        inputs = self.chosen.instruments
        return {key: value for key, value in inputs.items() if key not in self.failures}


@dataclass(frozen=True)
class Computed:
    """Days that were computed at once, or one day, that wait to be validated and published."""

    days: list[ComputedDay]
    frames: Outputs
    """Rows of all the days, in any order."""

    def each(self) -> list[Computed]:
        """One for each of the days."""
        if len(self.days) == 1:
            return [self]
        days = [each.chosen.day for each in self.days]
        frames = by_day(self.frames, days)
        return [Computed([day], rows) for day, rows in zip(self.days, frames, strict=True)]


@dataclass
class _Found:
    """What has been computed of a day so far."""

    outputs: list[Outputs] = field(default_factory=list)
    """What was computed of the day alone."""
    errors: dict[str, str] = field(default_factory=dict)
    rows_read: Counter[str] = field(default_factory=Counter)
    """Rows of the window, by table."""
    own_rows: int = 0


@dataclass
class _Group:
    """What has been computed so far of days that can be computed at once."""

    days: list[Chosen]
    outputs: list[Outputs] = field(default_factory=list)
    """What was computed of all the days together, and of no other."""


class Computing:
    """Computes days of one step of one variant."""

    def __init__(
        self,
        variant: Variant,
        windows: Windows,
        outputs: Sequence[StoredTable],
        warehouse: Warehouse,
        settings: Settings,
        as_of: datetime | None,
    ) -> None:
        self._step, self._variant, self._windows = windows.step, variant, windows
        self._outputs, self._warehouse = outputs, warehouse
        self._settings, self._as_of = settings, as_of
        self._has_told_of_memory = False

    def compute(self, days: Sequence[Chosen], validate: bool = False) -> list[Computed]:
        """Compute ``days``; ``validate`` makes rows that break the contract a failure of their instrument."""
        return [
            computed
            for together in self._read_together(days, validate)
            for computed in self._compute(together, validate)
        ]

    def _read_together(self, days: Sequence[Chosen], validate: bool) -> Iterator[list[Chosen]]:
        """``days`` in parts that are computed for the same instruments; alone what is not of whole days."""
        found: dict[object, list[Chosen]] = {}
        for chosen in days:
            is_alone = validate or self._windows.part(chosen.day) or self._windows.mark(chosen.day)
            touched = frozenset(chosen.touched) if chosen.kept else None
            found.setdefault(chosen.day if is_alone else touched, []).append(chosen)
        yield from found.values()

    def _compute(self, days: Sequence[Chosen], validate: bool) -> list[Computed]:
        part = self._windows.part(days[0].day)
        if part and not part.percentage:
            empty = tuple(stored.table.empty() for stored in self._outputs)
            note = f"no rows: {part.sentence}"
            return [Computed([ComputedDay(each, None, {}, note)], empty) for each in days]
        chunks, fits = self._chunks(days)
        if not fits and len(days) > 1:
            middle = len(days) // 2
            return self._compute(days[:middle], validate) + self._compute(days[middle:], validate)
        found = {chosen.day: _Found() for chosen in days}
        together = [_Group(group) for group in groups(days, self._windows, self._settings)]
        self._variant.prepare()
        with Meter(self._warehouse.cache) as meter:
            rows = sum(
                self._compute_chunk(days, chunk, together, found, validate) for chunk in chunks
            )
        if len(days) == 1:
            rows = sum(found[days[0].day].rows_read.values())
        shares = shared_out(meter.cost(rows), [found[each.day].own_rows for each in days])
        costs = {
            chosen.day: replace(cost, chunks=len(chunks))
            for chosen, cost in zip(days, shares, strict=True)
        }
        return [computed for group in together for computed in self._finished(group, found, costs)]

    def _compute_chunk(
        self,
        days: Sequence[Chosen],
        chunk: Collection[str] | None,
        together: Sequence[_Group],
        found: Mapping[date, _Found],
        validate: bool,
    ) -> int:
        """Read and compute some instruments (None: all); returns how many rows were read."""
        wanted = None
        if chunk is not None:
            wanted = {*chunk, *(_along(chosen, chunk) for chosen in days)} - {None}
        rows = Rows(self._windows, [chosen.day for chosen in days], wanted)
        for chosen in days:
            found[chosen.day].own_rows += rows.on(chosen.day)
        for group in together:
            if len(group.days) == 1 or not self._compute_at_once(group, chunk, rows, found):
                for chosen in group.days:
                    self._compute_alone(chosen, chunk, rows, found[chosen.day], validate)
        return len(rows)

    def _compute_at_once(
        self,
        group: _Group,
        chunk: Collection[str] | None,
        rows: Rows,
        found: Mapping[date, _Found],
    ) -> bool:
        """Compute several days of whole instruments; False, and nothing computed, when one of them raises."""
        days = [chosen.day for chosen in group.days]
        last = group.days[-1]
        frames = self._under_current_keys(rows, days)
        computed: list[Outputs] = []
        try:
            for call in calls(days, frames, last.anchor, self._windows):
                are_all = call.days == days
                given = frames if are_all else self._under_current_keys(rows, call.days)
                given = self._given(last, chunk, given, call.days[0])
                if call.left_out:
                    given = without(given, list(call.left_out))
                outputs = self._call(given, call.days[0], validate=False)
                not_taken = {*call.not_taken, *([] if chunk is None else [_along(last, chunk)])}
                computed.append(of_days(_without_rows_of(not_taken, outputs), call.days))
        except NOT_OF_AN_INSTRUMENT:
            raise
        except Exception as error:
            # Whose fault it is on which day is found day by day; where it is nobody's, only this line tells of it.
            logger.warning(
                "%s: %s days from %s to %s cannot be computed at once (%s); each is computed alone",
                *(self._outputs[0].name, f"{len(days):,}", days[0], days[-1], sentence(error)),
            )
            return False
        for day, read in rows_of_windows(frames, days, self._windows):
            found[day].rows_read.update(read)
        group.outputs += computed
        return True

    def _compute_alone(
        self,
        chosen: Chosen,
        chunk: Collection[str] | None,
        rows: Rows,
        found: _Found,
        validate: bool,
    ) -> None:
        """Compute one day; instruments that raise are named, and left out."""
        frames = self._under_current_keys(rows, [chosen.day])
        part = self._windows.part(chosen.day)
        if part:
            frames = {name: part.rows(frame) for name, frame in frames.items()}
        found.rows_read.update({name: len(frame) for name, frame in frames.items()})
        frames = self._given(chosen, chunk, frames, chosen.day)
        along = {None if chunk is None else _along(chosen, chunk)} - {None}
        results, failed = isolate(lambda given: self._call(given, chosen.day, validate), frames)
        found.outputs += [_without_rows_of(along, outputs) for outputs in results]
        found.errors |= {key: error for key, error in failed.items() if key not in along}

    def _under_current_keys(self, rows: Rows, days: Sequence[date]) -> dict[str, pd.DataFrame]:
        """The rows of the window of the first of ``days`` up to the last, under the keys of the first."""
        frames, first = rows.between(days[0], days[-1]), days[0]
        minutes = tables.CANDLES_1MIN.name
        if minutes in frames and self._windows.mark(first):
            frames[minutes] = minutes_of_closed_bars(
                frames[minutes], self._as_of, self._settings.aggregation.bar_minutes
            )
        if not self._step.is_adjusted:
            return frames
        renamed, moment = self._windows.references.under_current_keys, pd.Timestamp(first)
        return {name: renamed(frame, moment) for name, frame in frames.items()}

    def _given(
        self, chosen: Chosen, chunk: Collection[str] | None, frames: Frames, day: date
    ) -> dict[str, pd.DataFrame]:
        """The frames, and the facts known on ``day``, of the instruments of the chunk that no input lacks."""
        references = self._windows.references.frames(self._step, pd.Timestamp(day))
        frames = {**frames, **references}
        if chunk is not None:
            frames = of_instruments(frames, {*chunk, _along(chosen, chunk)} - {None})
        return without(frames, list(chosen.failures)) if chosen.failures else frames

    def _call(self, frames: Frames, day: date, validate: bool) -> Outputs:
        with allowing_workers(self._settings.processing.workers):
            outputs = self._step.compute(self._variant, frames, pd.Timestamp(day), self._settings)
        if validate:
            for stored, frame in zip(self._outputs, outputs, strict=True):
                self._warehouse.check(stored, {day.isoformat(): frame})
        return outputs

    def _finished(
        self, group: _Group, found: Mapping[date, _Found], costs: Mapping[date, Cost]
    ) -> Iterator[Computed]:
        """The days together where all of them were computed at once, each for itself otherwise."""
        days = [chosen.day for chosen in group.days]
        if len(days) > 1 and not any(found[day].outputs for day in days):
            yield self._computed(group.days, group.outputs, found, costs)
            return
        at_once = [by_day(outputs, days) for outputs in group.outputs]
        for place, chosen in enumerate(group.days):
            outputs = [by_place[place] for by_place in at_once] + found[chosen.day].outputs
            yield self._computed([chosen], outputs, found, costs)

    def _computed(
        self,
        days: Sequence[Chosen],
        outputs: Sequence[Outputs],
        found: Mapping[date, _Found],
        costs: Mapping[date, Cost],
    ) -> Computed:
        frames = self._together([*outputs, *self._kept(days)])
        there = {days[0].day} if any(map(len, frames)) else set()
        if len(days) > 1:
            there = days_with_rows(frames)
        return Computed(
            [
                self._about(chosen, found[chosen.day], costs[chosen.day], chosen.day in there)
                for chosen in days
            ],
            frames,
        )

    def _kept(self, days: Sequence[Chosen]) -> list[Outputs]:
        """The stored rows of instruments that nothing has changed for."""
        days_of: dict[frozenset[str], list[str]] = {}
        for chosen in days:
            if chosen.kept:
                days_of.setdefault(chosen.kept, []).append(chosen.day.isoformat())
        return [
            tuple(
                self._warehouse.read(stored, keys, instrument_keys=kept) for stored in self._outputs
            )
            for kept, keys in days_of.items()
        ]

    def _about(self, chosen: Chosen, found: _Found, cost: Cost, has_rows: bool) -> ComputedDay:
        kept, failures = chosen.kept, dict(chosen.failures)
        origin = f"{self._outputs[0].name} {chosen.day}"
        failures |= {key: Failure(origin, error) for key, error in found.errors.items()}
        if found.errors:
            key, error = next(iter(found.errors.items()))
            logger.warning(
                "%s: %s instruments failed and are left out; the first, %s: %s",
                *(origin, f"{len(found.errors):,}", key, error),
            )
        note = None
        if not has_rows:
            note = self._reason_for_no_rows(chosen, found.rows_read, failures)
        cost = replace(cost, instruments_computed=len(chosen.touched), instruments_kept=len(kept))
        return ComputedDay(chosen, cost, failures, note)

    def _reason_for_no_rows(
        self, chosen: Chosen, rows_read: Mapping[str, int], failures: Collection[str]
    ) -> str:
        part = self._windows.part(chosen.day)
        if failures:
            return f"no rows: {len(failures):,} instruments failed"
        if part:
            return f"no rows: {part.sentence}, and of those no row was read"
        read = ", ".join(f"{name} {rows:,}" for name, rows in rows_read.items())
        note = f"no rows: nothing to compute from the rows read ({read})"
        return note + (f", and {len(chosen.kept):,} instruments as before" if chosen.kept else "")

    def _together(self, computed: list[Outputs]) -> Outputs:
        """The outputs of groups of instruments as those of all."""
        if len(computed) == 1:
            return computed[0]
        if not computed:
            return tuple(stored.table.empty() for stored in self._outputs)
        return tuple(pd.concat(frames, ignore_index=True) for frames in zip(*computed, strict=True))

    def _chunks(self, days: Sequence[Chosen]) -> tuple[list[Collection[str] | None], bool]:
        """The instruments to read and compute together, part after part (None: all there are), and if that fits.

        A step that reads the minutes of a session under way sees them all: they tell which bars have closed.
        """
        touched = sorted(set().union(*(chosen.touched for chosen in days)))
        whole = [touched if days[0].kept else None]
        if self._windows.mark(days[0].day) and any(
            item.table is tables.CANDLES_1MIN for item in self._step.inputs
        ):
            return whole, True
        processing = self._settings.processing
        everybody = set().union(*(chosen.instruments for chosen in days))
        cells = self._windows.cells([chosen.day for chosen in days])
        needed = int(bytes_to_compute(cells) * len(touched) / max(len(everybody), 1))
        cache = self._warehouse.cache
        room_for_files = cache.limit_bytes - cache.size_bytes
        available = allowance(processing) - memory_in_use() - room_for_files
        chunks = chunks_of(touched, needed, available, processing)
        fits = needed <= available * len(chunks)
        if not fits and len(days) == 1 and not self._has_told_of_memory:
            self._has_told_of_memory = True
            logger.warning(
                "%s/%s %s: %s instruments at a time need about %s MiB, and %s MiB of "
                "processing.memory_allowance_mib (%s) are left; the run goes on",
                *(self._variant.name, self._step.name, days[0].day, f"{len(chunks[0]):,}"),
                *(f"{size / 2**20:,.0f}" for size in (needed / len(chunks), max(available, 0))),
                f"{processing.memory_allowance_mib:,}",
            )
        return (whole if len(chunks) == 1 else chunks), fits


def _along(chosen: Chosen, chunk: Collection[str]) -> str | None:
    """The anchor, where it is computed along with a chunk that it is not in."""
    return chosen.anchor if chunk and chosen.anchor not in chunk else None


def _without_rows_of(keys: Collection[str | None], outputs: Outputs) -> Outputs:
    keys = set(keys) - {None}
    if not keys:
        return outputs
    return tuple(frame[~frame["instrument_key"].isin(keys)] for frame in outputs)
