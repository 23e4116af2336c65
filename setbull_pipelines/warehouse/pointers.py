"""What a stored table, a partition and one version of it are called, and the small file that names the versions.

Belongs here: names that are safe in paths and SQL, what a pointer says, its bytes. Does not belong here: where files
lie, how a pointer is replaced (``store``), any rule about the data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import lru_cache

from setbull_pipelines.tables.contract import Table
from setbull_pipelines.warehouse.errors import DamagedPartition

WHOLE = "all"
"""The one partition of a table that has no trading day."""
UNASSIGNED = "unassigned"
"""The partition of quarantined rows whose trading day cannot be told."""

NEW, CHANGED, AGAIN, EVICTED, DAMAGED = "new", "changed", "again", "evicted", "damaged"
"""Why a version was published: there was none; inputs, code, settings or contract are others; none of these is; the
rows of the version before had been evicted; its bytes were not those published."""
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*")
_DATA_FILE = re.compile(r"[0-9a-f]{32}\.parquet")
_INPUTS_FILE = re.compile(r"[0-9a-f]{32}\.inputs")


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
        # By name: the hash of a contract changes when pandera validates with it for the first time.
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

    file: str
    """Name of the data file in the directory of the partition."""
    rows: int
    schema_hash: str
    code_version: str
    settings_hash: str
    inputs: Mapping[str, str]
    """Content hash of every input partition, by its name."""
    content_hash: str
    run_id: str
    note: str | None
    """Why there are zero rows, where that is so."""
    published_at: str
    """Moment of publishing, ISO 8601 in UTC."""
    cost: Cost | None = None
    """None where nothing was measured, as for the second table of one computation."""
    failures: Mapping[str, Failure] = field(default_factory=dict)
    """By instrument key. A partition with failures is computed again when it is asked for."""
    instrument_inputs: str | None = None
    """Name of the file that holds, by instrument, the hash of what it was computed from; None without such."""
    invalidated: tuple[str, ...] = ()
    """Instruments that somebody wants computed again. Until then the partition is not up to date."""
    values_hash: str | None = None
    """Hash of the rows without their provenance; None where the table has none."""
    published_because: str | None = None
    """One of :data:`NEW`, :data:`CHANGED`, :data:`AGAIN`, :data:`EVICTED`, :data:`DAMAGED`; None if not recorded."""
    evicted_at: str | None = None
    """Moment, ISO 8601 in UTC, since when the rows are gone and only this pointer says what they were."""
    upload: str | None = None
    """Where the files of this version are in the object store; None where there is no store."""

    @property
    def input_hash(self) -> str:
        """What a step that reads the partition is computed from: rows that only came to be known otherwise count
        as the same."""
        return self.values_hash or self.content_hash


_REQUIRED = [
    item.name
    for item in fields(Pointer)
    if item.default is MISSING and item.default_factory is MISSING
]


def versions_of(text: bytes, where: str) -> list[Pointer]:
    """The versions that a pointer names; DamagedPartition naming ``where`` it was found."""
    try:
        return list(_versions_in(text))
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedPartition(
            f"{where} is not a pointer ({error!r}); compute the partition again"
        ) from None


# By the text, not by the file: a file is read every time, and the same bytes always say the same.
@lru_cache(maxsize=8192)
def _versions_in(text: bytes) -> tuple[Pointer, ...]:
    record = json.loads(text)
    return tuple(_pointer(version) for version in (record, *record["earlier"]))


def _pointer(record: Mapping[str, object]) -> Pointer:
    cost = record.get("cost")
    pointer = Pointer(
        **{name: record[name] for name in _REQUIRED},
        cost=Cost(**cost) if cost else None,
        failures={key: Failure(**value) for key, value in record.get("failures", {}).items()},
        instrument_inputs=record.get("instrument_inputs"),
        invalidated=tuple(record.get("invalidated", ())),
        values_hash=record.get("values_hash"),
        published_because=record.get("published_because"),
        evicted_at=record.get("evicted_at"),
        upload=record.get("upload"),
    )
    if not _DATA_FILE.fullmatch(pointer.file):
        raise ValueError(f"file is {pointer.file!r}")
    if pointer.instrument_inputs and not _INPUTS_FILE.fullmatch(pointer.instrument_inputs):
        raise ValueError(f"instrument_inputs is {pointer.instrument_inputs!r}")
    return pointer


def to_bytes(versions: list[Pointer]) -> bytes:
    """A pointer that names ``versions``, the current one first; each content once."""
    current = versions[0]
    earlier = [
        asdict(pointer) for pointer in versions if pointer.content_hash != current.content_hash
    ]
    return json.dumps({**asdict(current), "earlier": earlier}, indent=1).encode()
