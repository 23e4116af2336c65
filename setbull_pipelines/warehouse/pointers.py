"""What a stored table, a partition and one version of it are called, and what is known of a version.

Belongs here: names that are safe in paths and SQL, what a pointer says, as a record and back. Does not belong here:
where pointers are kept (``commits``), files, any rule about the data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from typing import Any, TypedDict

from setbull_pipelines.tables.contract import Table

WHOLE = "all"
"""The one partition of a table that has no trading day."""
UNASSIGNED = "unassigned"
"""The partition of quarantined rows whose trading day cannot be told."""

NEW, CHANGED, AGAIN, EVICTED, DAMAGED = "new", "changed", "again", "evicted", "damaged"
"""Why a version was published: there was none; inputs, code, settings or contract are others; none of these is; the
rows of the version before had been evicted; its bytes were not those published."""
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_QUARANTINE = ("raw", "quarantine")


def validate_identifier(name: str) -> str:
    """Return ``name`` if it is a lower-case SQL identifier, so that it is safe in paths and SQL."""
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(f"{name!r} is not an identifier of the form [a-z_][a-z0-9_]*")
    return name


@dataclass(frozen=True)
class StoredTable:
    """A table contract in one schema of the warehouse, such as 5-minute candles of V1."""

    schema: str
    table: Table

    def __post_init__(self) -> None:
        for name in (self.schema, self.table.name, *self.table.column_names):
            validate_identifier(name)
        if self.schema not in self.table.schemas:
            raise ValueError(
                f"table {self.table.name} is not held in schema {self.schema!r}, "
                f"only in {self.table.schemas}"
            )

    def __hash__(self) -> int:
        # By name: hashing a contract hashes every column of it.
        return hash(self.name)

    @property
    def key(self) -> tuple[str, str]:
        """Schema and table name, the asset key of the project."""
        return (self.schema, self.table.name)

    @property
    def name(self) -> str:
        """The name used in SQL and messages, such as ``v1.candles_5min``."""
        return f"{self.schema}.{self.table.name}"


@dataclass(frozen=True)
class Cost:
    """What computing one version of a partition took: reading its inputs and computing, without publishing.

    Of days that were computed at once each has its share, by its rows among the rows of all of them: shares of time,
    rows and files add up to what it took together.
    """

    seconds: float
    cpu_seconds: float
    workers: int
    """Processors that the process was allowed to use."""
    peak_memory_bytes: int
    """Highest memory of the whole process meanwhile, sampled."""
    input_rows: int
    cache_hits: int
    cache_misses: int
    cache_first_reads: int
    """Input files read for the first time by the process: neither hit nor miss."""
    instruments_computed: int | None = None
    """None where work is not done by instrument."""
    instruments_kept: int | None = None
    """Instruments whose rows were taken over from the version before, since nothing of them had changed."""
    chunks: int | None = None
    """Groups of instruments that were computed one after the other; None where work is not done by instrument."""


@dataclass(frozen=True)
class Failure:
    """Why an instrument is missing from a partition."""

    origin: str
    """Table and partition whose computing raised: this one, or an input, such as ``v2.candles_daily 2026-06-29``."""
    error: str
    """What was raised, in one line."""


@dataclass(frozen=True)
class Pointer:
    """What one version of a partition is and what it was computed from."""

    file: str | None
    """The data file that holds its rows, from the root of the warehouse; None where there are no rows."""
    first_row: int
    """Where its rows begin in the file."""
    rows: int
    schema_hash: str
    code_version: str
    settings_hash: str
    inputs: Mapping[str, str]
    """Content hash of every input partition, by its name."""
    content_hash: str
    """Hash of the rows in key order, whatever file they lie in."""
    run_id: str
    note: str | None
    """Why there are zero rows, where that is so."""
    published_at: str
    """Moment of publishing, ISO 8601 in UTC."""
    cost: Cost | None = None
    """None where nothing was measured, as for the second table of one computation."""
    failures: Mapping[str, Failure] = field(default_factory=dict)
    """By instrument key. A partition with failures is computed again when it is asked for."""
    hashes_file: str | None = None
    """The file with one hash per instrument, of its rows and of what it was computed from; None without such."""
    hashes_first_row: int = 0
    """Where the hashes of rows begin in that file; those of inputs follow."""
    hashes_rows: int = 0
    inputs_rows: int | None = None
    """None where nobody can tell what instruments were computed from."""
    invalidated: tuple[str, ...] = ()
    """Instruments that somebody wants computed again. Until then the partition is not up to date."""
    values_hash: str | None = None
    """Hash of the rows without their provenance; None where the table has none."""
    published_because: str | None = None
    """One of :data:`NEW`, :data:`CHANGED`, :data:`AGAIN`, :data:`EVICTED`, :data:`DAMAGED`; None if not recorded."""
    evicted_at: str | None = None
    """Moment, ISO 8601 in UTC, since when the rows are gone and only this pointer says what they were."""

    @property
    def input_hash(self) -> str:
        """What a step that reads the partition is computed from: rows that only came to be known otherwise count
        as the same."""
        return self.values_hash or self.content_hash

    @property
    def place(self) -> tuple[str, int, int] | None:
        """File, first row and rows; None where there is nothing to read."""
        if self.file is None or not self.rows or self.evicted_at:
            return None
        return self.file, self.first_row, self.rows


class HashesPlace(TypedDict, total=False):
    """Where the hashes by instrument of a partition lie, as fields of its pointer."""

    hashes_file: str | None
    hashes_first_row: int
    hashes_rows: int
    inputs_rows: int | None


FIELDS = tuple(item.name for item in fields(Pointer))
"""What a record of a pointer holds, in this order."""
_AS_TEXT = ("inputs", "cost", "failures", "invalidated")


def to_record(pointer: Pointer) -> tuple[str | int | None, ...]:
    """The values of :data:`FIELDS`, each one that SQLite and JSON can hold."""
    values = dict(vars(pointer))
    values["cost"] = pointer.cost and asdict(pointer.cost)
    values["failures"] = {key: asdict(each) for key, each in pointer.failures.items()}
    for name in _AS_TEXT:
        values[name] = json.dumps(values[name]) if values[name] else None
    return tuple(values.values())


def from_record(record: tuple[str | int | None, ...]) -> Pointer:
    """The inverse of :func:`to_record`; ValueError, KeyError or TypeError for what it did not give."""
    # What each is, only the pointer that is made of them knows: they come from a database and from JSON.
    values: dict[str, Any] = dict(zip(FIELDS, record, strict=True))
    for name in _AS_TEXT:
        values[name] = json.loads(values[name]) if values[name] else None
    values["inputs"] = values["inputs"] or {}
    values["cost"] = values["cost"] and Cost(**values["cost"])
    values["failures"] = {key: Failure(**each) for key, each in (values["failures"] or {}).items()}
    values["invalidated"] = tuple(values["invalidated"] or ())
    return Pointer(**values)


def require_partition(stored: StoredTable, partition: str) -> None:
    """ValueError for a name of a partition that the table cannot have."""
    if not stored.table.partitioned:
        if partition != WHOLE:
            raise ValueError(
                f"{stored.name} has no trading day: its partition is {WHOLE!r}, not {partition!r}"
            )
    elif not (is_day(partition) or (partition == UNASSIGNED and stored.key == _QUARANTINE)):
        raise ValueError(f"{stored.name}: partition {partition!r} is not a trading day YYYY-MM-DD")


def is_day(partition: str) -> bool:
    """Whether the name of a partition is a day, as ``2026-06-30``."""
    try:
        return bool(_DAY.fullmatch(partition) and date.fromisoformat(partition))
    except ValueError:
        return False
