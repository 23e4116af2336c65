"""What the partitions of a trading day took and what failed in them, collected from their pointers.

Belongs here: the rows of ``operations.processing_metrics`` and ``operations.failures``. Does not belong here:
measuring (``measuring``), judging (``quality/processing.py``), Dagster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.pipeline.comparing_days import outputs_of
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.lanes import MARK
from setbull_pipelines.pipeline.raw import DAY_TABLES
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.quality.processing import FAILURES, METRICS
from setbull_pipelines.settings import fingerprint
from setbull_pipelines.tables.operations import ALL_INSTRUMENTS
from setbull_pipelines.tables.served import SERVED_SCHEMA
from setbull_pipelines.warehouse.encoding import schema_hash
from setbull_pipelines.warehouse.pointers import Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

VARIANTS = ("v1", "v2")
OUTPUTS = (METRICS, FAILURES)
MEASURED = (
    *DAY_TABLES,
    *(StoredTable(lane, table) for table in tables.COMPUTED_TABLES for lane in VARIANTS),
    *(outputs_of(table)[0] for table in tables.COMPUTED_TABLES),
    *(served_table(table) for table in tables.COMPUTED_TABLES if table.name in tables.SERVED),
)
"""The tables that have a row per trading day in the metrics."""
_COSTS = (
    "input_rows",
    "seconds",
    "cpu_seconds",
    "workers",
    "cache_hits",
    "cache_misses",
    "cache_first_reads",
    "instruments_computed",
    "instruments_kept",
    "chunks",
)


@dataclass(frozen=True)
class CacheUse:
    """How many partitions were asked for, and how many of them had to be computed."""

    asked: int = 0
    up_to_date: int = 0
    """Nothing was computed: inputs, code and settings were the same and the bytes those published."""
    computed: Mapping[str, int] = field(default_factory=dict)
    """The others, by reason ('new', 'changed', 'evicted', 'damaged', 'again')."""

    def __add__(self, other: CacheUse) -> CacheUse:
        reasons = Counter(self.computed) + Counter(other.computed)
        return CacheUse(self.asked + other.asked, self.up_to_date + other.up_to_date, reasons)

    @property
    def hit_rate(self) -> float | None:
        """Share of the partitions asked for that was up to date; None when none was."""
        return self.up_to_date / self.asked if self.asked else None


def cache_use(rows: pd.DataFrame) -> CacheUse:
    """The cache in ``rows`` of ``operations.processing_metrics``."""
    computed = rows.loc[~rows["from_cache"], "published_because"].value_counts()
    return CacheUse(
        len(rows), int(rows["from_cache"].sum()), Counter(computed[computed > 0].to_dict())
    )


def cache_use_of(results: Iterable[PartitionResult]) -> CacheUse:
    """The cache in what a step reported of its days."""
    use = CacheUse()
    for result in results:
        pointers = result.pointers.values()
        why = {} if result.cached else Counter(pointer.published_because for pointer in pointers)
        use += CacheUse(len(pointers), len(pointers) if result.cached else 0, why)
    return use


def metrics_code_version() -> str:
    """Code version of everything that the two tables depend on."""
    return code_version("tables", "pipeline/metrics.py")


def collect(days: Sequence[date], warehouse: Warehouse, run_id: str) -> Iterator[PartitionResult]:
    """Publish what the stored partitions of each day took; ``run_id`` tells which of them were up to date.

    Tables without a partition of the day have no row.
    """
    for day in sorted(days):
        key = day.isoformat()
        stored_now = _stored_now(MEASURED, key, warehouse)
        rows, failed = _records(stored_now, day, run_id)
        provenance = {
            "code_version": metrics_code_version(),
            "settings_hash": fingerprint(),
            "inputs": {stored.name: pointer.content_hash for stored, pointer in stored_now.items()},
            "run_id": run_id,
        }
        frames = {
            stored: stored.table.conform(pd.DataFrame(records, columns=stored.table.column_names))
            for stored, records in zip(OUTPUTS, (rows, failed), strict=True)
        }
        published = warehouse.publish_together(
            frames, key, **provenance, note_if_empty="no rows: nothing failed"
        )
        yield PartitionResult(day, published, cached=False)


def measured(
    lanes: Iterable[StoredTable], day: date, warehouse: Warehouse
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that :func:`collect` would publish of ``lanes`` on ``day``: what they took, and what failed in them."""
    metrics, failures = (
        stored.table.conform(pd.DataFrame(records, columns=stored.table.column_names))
        for stored, records in zip(
            OUTPUTS, _records(_stored_now(lanes, day.isoformat(), warehouse), day, ""), strict=True
        )
    )
    return metrics, failures


def _stored_now(
    lanes: Iterable[StoredTable], partition: str, warehouse: Warehouse
) -> dict[StoredTable, Pointer]:
    pointers = {stored: warehouse.pointer(stored, partition) for stored in lanes}
    return {stored: pointer for stored, pointer in pointers.items() if pointer}


def _records(
    stored_now: Mapping[StoredTable, Pointer], day: date, run_id: str
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """The rows of the two tables."""
    rows = [_row(stored, pointer, day, run_id) for stored, pointer in stored_now.items()]
    failed = [
        row for stored, pointer in stored_now.items() for row in _failures(stored, pointer, day)
    ]
    return rows, failed


def note_evicted(
    partitions: Iterable[tuple[StoredTable, str]], warehouse: Warehouse, run_id: str
) -> None:
    """Mark ``partitions`` as evicted in the metrics of their days; days without metrics are left out."""
    evicted: dict[str, set[str]] = {}
    for stored, partition in partitions:
        evicted.setdefault(partition, set()).add(stored.name)
    for partition, names in sorted(evicted.items()):
        pointer = warehouse.pointer(METRICS, partition)
        if pointer is None or pointer.schema_hash != schema_hash(METRICS.table):
            continue  # not measured, or written under another contract
        rows = warehouse.read(METRICS, [partition])
        rows["is_evicted"] |= rows["asset"].isin(names)
        warehouse.publish(
            METRICS,
            partition,
            rows,
            code_version=pointer.code_version,
            settings_hash=pointer.settings_hash,
            inputs=pointer.inputs,
            run_id=run_id,
        )


def _variant(stored: StoredTable) -> str | None:
    return stored.schema if stored.schema in VARIANTS else None


def _row(stored: StoredTable, pointer: Pointer, day: date, run_id: str) -> dict[str, object]:
    cost = asdict(pointer.cost) if pointer.cost else {}
    seconds, workers = cost.get("seconds"), cost.get("workers")
    lookups = cost.get("cache_hits", 0) + cost.get("cache_misses", 0)
    inherited = sum(
        _is_inherited(stored, failure.origin, day) for failure in pointer.failures.values()
    )
    is_served = stored.schema == SERVED_SCHEMA
    return {
        "asset": stored.name,
        "trading_day": pd.Timestamp(day),
        "variant": _variant(stored),
        "run_id": pointer.run_id,
        "from_cache": pointer.run_id != run_id,
        "published_because": pointer.published_because,
        "is_evicted": pointer.evicted_at is not None,
        "computed_for": pointer.inputs.get(MARK, ALL_INSTRUMENTS),
        "rows": pointer.rows,
        **{name: cost.get(name) for name in _COSTS},
        "rows_per_second": cost["input_rows"] / seconds if seconds else None,
        "worker_share": cost["cpu_seconds"] / (seconds * workers) if seconds else None,
        "peak_memory": cost.get("peak_memory_bytes"),
        "files_validated": cost["cache_misses"] + cost["cache_first_reads"] if cost else None,
        "cache_hit_rate": cost["cache_hits"] / lookups if lookups else None,
        "errors": 0 if is_served else len(pointer.failures) - inherited,
        "inherited_errors": 0 if is_served else inherited,
        "fallbacks": len(pointer.failures) if is_served else None,
    }


def _failures(stored: StoredTable, pointer: Pointer, day: date) -> Iterator[dict[str, object]]:
    for key, failure in pointer.failures.items():
        yield {
            "asset": stored.name,
            "instrument_key": key,
            "trading_day": pd.Timestamp(day),
            "variant": _variant(stored),
            "inherited": _is_inherited(stored, failure.origin, day),
            "origin": failure.origin,
            "error": failure.error,
        }


def _is_inherited(stored: StoredTable, origin: str, day: date) -> bool:
    return origin != f"{stored.name} {day}"
