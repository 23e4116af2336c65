"""What is compared of a table on a trading day: the stored versions of both variants, and their rows.

Belongs here: what a comparison is made from, which instruments it leaves out, reading both sides for a range of days.
Does not belong here: comparing (``reconciliation/``), publishing (``comparing_days``), Dagster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import pyarrow
import pyarrow.compute

from setbull_pipelines.pipeline.lanes import MARK, Part, part_of
from setbull_pipelines.pipeline.ranges import tables_by_day
from setbull_pipelines.tables import Table
from setbull_pipelines.warehouse.pointers import Failure, Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

_ABSENT = "never published"
_LEFT_OUT = "left out"


def compared_inputs(table: Table, pointers: Mapping[str, Pointer | None]) -> dict[str, str]:
    """What a comparison of the stored partitions of ``v1`` and ``v2`` is made from."""
    inputs = {
        StoredTable(schema, table).name: pointer.content_hash if pointer else _ABSENT
        for schema, pointer in pointers.items()
    }
    part = part_of(table, pointers["v1"])
    left_out = sorted({*failures_of(pointers["v1"]), *failures_of(pointers["v2"])})
    return (
        inputs
        | ({MARK: part.mark} if part else {})
        | ({_LEFT_OUT: ", ".join(left_out)} if left_out else {})
    )


def failures_of(pointer: Pointer | None) -> Mapping[str, Failure]:
    """The instruments that are missing from a partition, since computing failed for them; none without one."""
    return pointer.failures if pointer else {}


@dataclass(frozen=True)
class ComparedDay:
    """A day of a table that is asked for, and what is stored of both variants."""

    day: date
    provenance: dict[str, object]
    cached: bool
    pointers: dict[str, Pointer | None]
    """The pointers of both variants; None where nothing is stored, or its rows are gone."""
    part: Part | None
    evicted: list[str]

    @property
    def key(self) -> str:
        """The partition."""
        return self.day.isoformat()

    @property
    def rows(self) -> int:
        """The rows of both variants together."""
        return sum(pointer.rows for pointer in self.pointers.values() if pointer)

    @property
    def failures(self) -> dict[str, Mapping[str, Failure]]:
        """The instruments that computing failed for, by variant."""
        return {schema: failures_of(pointer) for schema, pointer in self.pointers.items()}

    @property
    def is_identical(self) -> bool:
        """Whether both variants have the same bytes."""
        v1, v2 = self.pointers["v1"], self.pointers["v2"]
        return bool(
            self.part is None
            and v1
            and v2
            and (v1.content_hash, v1.rows) == (v2.content_hash, v2.rows)
        )


class Side:
    """The rows of one variant on some days, read together when the first of them is asked for."""

    def __init__(
        self, stored: StoredTable, days: Sequence[ComparedDay], warehouse: Warehouse
    ) -> None:
        self._stored, self._warehouse = stored, warehouse
        self._days = [
            of_day
            for of_day in days
            if of_day.pointers[stored.schema] and not (of_day.is_identical and self._is_v2)
        ]

    def rows_of(self, of_day: ComparedDay) -> pyarrow.Table | None:
        """The rows that are compared of a day; None without a side."""
        rows = self._rows.get(of_day.key)
        if rows is None:
            return None
        left_out = {key for failures in of_day.failures.values() for key in failures}
        part = of_day.part if self._is_v2 else None
        if part is None and not left_out:
            return rows
        present = set(rows["instrument_key"].unique().to_pylist())
        wanted = (part.of(present) if part else present) - left_out
        chosen = pyarrow.array(sorted(wanted), pyarrow.string())
        return rows.filter(pyarrow.compute.is_in(rows["instrument_key"], value_set=chosen))

    @property
    def _is_v2(self) -> bool:
        return self._stored.schema == "v2"

    @cached_property
    def _rows(self) -> dict[str, pyarrow.Table]:
        pointers = {of_day.key: of_day.pointers[self._stored.schema] for of_day in self._days}
        return tables_by_day(self._stored, pointers, self._warehouse)
