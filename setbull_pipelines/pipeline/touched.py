"""Which instruments of a day have to be computed again: those that anything changed for.

Belongs here: the hash of all that an instrument is computed from, held against that of the stored rows; asking for an
instrument to be computed again. Does not belong here: computing (``computing``), hashing rows (``warehouse/``).

The hash of an instrument on a day is the sum of the hashes of its rows in every partition of the window and of the
facts about it. A sum, because it does not depend on how many partitions without rows of the instrument are read:
rows say themselves which day they are of. That steps treat instruments independently is what ``isolating`` rests on
as well, and a property test holds. The one exception is what a new listing is: an instrument that begins after the
first stored day of all, inside the window. Where that is asked, both days are among the facts about everybody, and
an anchor, an instrument with rows on the first day of the window, is computed along.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow

from setbull_pipelines import tables
from setbull_pipelines.pipeline.lanes import Part
from setbull_pipelines.pipeline.references import References
from setbull_pipelines.pipeline.steps import Step
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse

_MODULUS = 2**64
Window = tuple[StoredTable, Sequence[str]]
"""An input and the partitions of it that are read."""


@dataclass(frozen=True)
class Found:
    """What the instruments of a day are computed from."""

    inputs: dict[str, int]
    """By instrument with a row in the window: the hash of its rows and of the facts about it."""
    anchor: str | None
    """An instrument with rows on the first day that has any; None where a step does not ask for the first day."""


class InstrumentInputs:
    """Works out, for the days of one step, what each instrument is computed from."""

    def __init__(self, step: Step, warehouse: Warehouse, references: References) -> None:
        self._step, self._warehouse, self._references = step, warehouse, references
        self._codes: dict[str, int] = {}
        self._partitions: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
        self._sums: dict[StoredTable, _Sums] = {}
        self._last_keys: tuple[pyarrow.ChunkedArray, np.ndarray] | None = None

    def on(
        self, day: date, windows: Iterable[Window], part: Part | None, failed: Collection[str]
    ) -> Found:
        """What each instrument of ``part`` (None: of all), under its key of ``day``, has in ``windows``.

        ``failed`` ones are not there when the others are computed. Raises as reading the rows.
        """
        moment = pd.Timestamp(day)
        windows = list(windows)
        is_renamed = self._step.is_adjusted and self._references.aliases_in_force(moment) > 0
        if is_renamed:
            totals, has_rows = self._sums_under_current_keys(windows, moment)
        else:
            totals, has_rows = self._sums_of_windows(windows)
        first = min((keys[0] for _, keys in windows), default=day.isoformat())
        facts = self._references.instrument_hashes(self._step, pd.Timestamp(first), moment)
        found = {
            key: total + facts.get(key, 0)
            for key, total, present in zip(
                self._codes, totals.tolist(), has_rows.tolist(), strict=True
            )
            if present
        }
        inside = part.of(found) if part else found.keys()
        about_all, anchor = 0, None
        if self._step.needs_history_starts:
            first_day, anchor = self._first_row(windows, inside - set(failed), moment)
            about_all = self._references.hash_about_all(moment, first_day)
        return Found({key: (found[key] + about_all) % _MODULUS for key in inside}, anchor)

    def _sums_of_windows(self, windows: Sequence[Window]) -> tuple[np.ndarray, np.ndarray]:
        """By code: the sum of the hashes of all rows, and whether there are any."""
        found = [self._sums_of(stored, keys) for stored, keys in windows]
        totals = np.zeros(len(self._codes), dtype=np.uint64)
        rows = np.zeros(len(self._codes), dtype=np.int64)
        for sums in found:
            totals[: len(sums.totals)] += sums.totals
            rows[: len(sums.rows)] += sums.rows
        return totals, rows > 0

    def _sums_of(self, stored: StoredTable, keys: Sequence[str]) -> _Sums:
        # Taken out until it is complete: reading a partition can fail.
        sums = self._sums.pop(stored, None)
        if sums is None or not sums.reaches(keys):
            sums = _Sums()
        gone, come = sums.move_to(keys)
        self._look_up(stored, [*gone, *come])
        for key in gone:
            sums.take_away(*self._hashes(stored, key))
        for key in come:
            sums.add(*self._hashes(stored, key))
        self._sums[stored] = sums
        return sums

    def _sums_under_current_keys(
        self, windows: Sequence[Window], moment: pd.Timestamp
    ) -> tuple[np.ndarray, np.ndarray]:
        for stored, keys in windows:
            self._look_up(stored, keys)
        read = [
            (self._codes_on(stored, key, moment), self._hashes(stored, key)[1])
            for stored, keys in windows
            for key in keys
        ]
        totals = np.zeros(len(self._codes), dtype=np.uint64)
        has_rows = np.zeros(len(self._codes), dtype=bool)
        for codes, hashes in read:
            # A key and its former one can have rows on the same day: a plain += would count one of them.
            np.add.at(totals, codes, hashes)
            has_rows[codes] = True
        return totals, has_rows

    def _first_row(
        self, windows: Sequence[Window], keys: Collection[str], moment: pd.Timestamp
    ) -> tuple[str | None, str | None]:
        """The first day with rows of one of ``keys``, and the first of those."""
        by_code = {self._codes[key]: key for key in keys}
        sessions = [(session, stored) for stored, keys in windows for session in keys]
        for session, stored in sorted(sessions, key=lambda pair: pair[0]):
            codes = self._codes_on(stored, session, moment)
            here = [by_code[code] for code in codes.tolist() if code in by_code]
            if here:
                return session, min(here)
        return None, None

    def _codes_on(self, stored: StoredTable, session: str, moment: pd.Timestamp) -> np.ndarray:
        """The codes of the instruments with rows of a session, under their keys of ``moment``."""
        codes = self._hashes(stored, session)[0]
        if not self._step.is_adjusted:
            return codes
        return self._under_current_keys(codes, session, moment)

    def _under_current_keys(
        self, codes: np.ndarray, session: str, moment: pd.Timestamp
    ) -> np.ndarray:
        renamed = self._references.renamed(pd.Timestamp(session), moment)
        if not renamed:
            return codes
        pairs = [(self._code(former), self._code(key)) for former, key in renamed.items()]
        under = np.arange(len(self._codes))
        for former, key in pairs:
            under[former] = key
        return under[codes]

    def _hashes(self, stored: StoredTable, partition: str) -> tuple[np.ndarray, np.ndarray]:
        self._look_up(stored, [partition])
        return self._partitions[stored.name, partition]

    def _look_up(self, stored: StoredTable, partitions: Iterable[str]) -> None:
        # Inputs belong to earlier steps and do not change while this one runs.
        unknown = [each for each in partitions if (stored.name, each) not in self._partitions]
        if not unknown:
            return
        for partition, found in self._warehouse.hashes_by_partition(stored, unknown):
            keys, hashes = found.columns
            # Most sessions have the instruments of the one before.
            if self._last_keys is None or not self._last_keys[0].equals(keys):
                codes = np.array([self._code(key) for key in keys.to_pylist()], dtype=np.int64)
                self._last_keys = keys, codes
            self._partitions[stored.name, partition] = self._last_keys[1], hashes.to_numpy()

    def _code(self, key: str) -> int:
        return self._codes.setdefault(key, len(self._codes))


class _Sums:
    """Sums over the partitions of a window, by code, that move with it: what has left is taken away again.

    Exact, because sums of whole numbers modulo 2^64 are.
    """

    def __init__(self) -> None:
        self._keys: Sequence[str] = ()
        self.totals, self.rows = np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)

    def reaches(self, keys: Sequence[str]) -> bool:
        """Whether the window of ``keys``, sessions without a gap, begins inside this one and ends no earlier."""
        return bool(self._keys) and self._keys[0] <= keys[0] <= self._keys[-1] <= keys[-1]

    def move_to(self, keys: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
        """The partitions that have left the window and those that have come, for the caller to take away and add."""
        left = self._keys.index(keys[0]) if self._keys else 0
        gone, come = self._keys[:left], keys[len(self._keys) - left :]
        self._keys = keys
        return gone, come

    def add(self, codes: np.ndarray, hashes: np.ndarray) -> None:
        """Add the hashes of a partition, each code once."""
        missing = codes.max(initial=-1) + 1 - len(self.totals)
        if missing > 0:
            self.totals, self.rows = (
                np.pad(each, (0, missing)) for each in (self.totals, self.rows)
            )
        self.totals[codes] += hashes
        self.rows[codes] += 1

    def take_away(self, codes: np.ndarray, hashes: np.ndarray) -> None:
        """The inverse of :meth:`add`."""
        self.totals[codes] -= hashes
        self.rows[codes] -= 1


def unchanged(
    inputs: Mapping[str, int],
    outputs: Sequence[StoredTable],
    partition: str,
    warehouse: Warehouse,
) -> set[str]:
    """Instruments whose rows in all current ``outputs`` were computed from just these ``inputs``, by instrument.

    Those that failed or were invalidated are none of them. Code and settings are for the caller to compare.
    """
    same = set(inputs)
    for stored in outputs:
        known = warehouse.instrument_inputs(stored, partition)
        if known is None:
            return set()
        found = dict(zip(*(column.to_pylist() for column in known.columns), strict=True))
        pointer = warehouse.pointer(stored, partition)
        same &= {key for key in same if found.get(key) == inputs[key]}
        same -= {*pointer.invalidated, *pointer.failures}
    return same


@dataclass(frozen=True)
class Invalidated:
    """Stored partitions that will be computed again for an instrument."""

    partitions: Mapping[str, int]
    """Number of them, by table such as ``v1.candles_5min``."""
    first: date
    last: date


def invalidate(
    warehouse: Warehouse, instrument_key: str, first: date | None, last: date | None
) -> Invalidated | None:
    """Mark the instrument in every partition from ``first`` to ``last`` (None: no bound) that it was computed for.

    Nothing is deleted, and readers see what they saw. None when no such partition is stored.
    """
    partitions: dict[str, int] = {}
    days: set[str] = set()
    for table in tables.COMPUTED_TABLES:
        for schema in table.schemas:
            stored = StoredTable(schema, table)
            for key in warehouse.partitions(stored):
                if (first and key < first.isoformat()) or (last and key > last.isoformat()):
                    continue
                if _holds(warehouse, stored, key, instrument_key):
                    warehouse.invalidate(stored, key, instrument_key)
                    partitions[stored.name] = partitions.get(stored.name, 0) + 1
                    days.add(key)
    if not days:
        return None
    return Invalidated(partitions, date.fromisoformat(min(days)), date.fromisoformat(max(days)))


def _holds(warehouse: Warehouse, stored: StoredTable, partition: str, instrument_key: str) -> bool:
    known = warehouse.instrument_inputs(stored, partition)
    if known is None:
        return len(warehouse.read(stored, [partition], instrument_keys=[instrument_key])) > 0
    return instrument_key in known.column("instrument_key").to_pylist()
