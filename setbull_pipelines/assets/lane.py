"""What the lanes share: carrying out part after part, and telling Dagster of every day that was made.

Belongs here: which of a lane's tables a run selects, a failed part among others that are not, days and tables that come
along. Does not belong here: single lanes, what a day says in the UI (``common``).

A lane is one step of a run: a multi-asset that can make any choice of its tables.
"""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import MappingProxyType

import dagster as dg

from setbull_pipelines.assets.checking import check_results, in_a_line
from setbull_pipelines.assets.common import MAX_RUNTIME_TAG, asset_key, first_rows, pointer_metadata
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.opening import now
from setbull_pipelines.pipeline.progress import tell
from setbull_pipelines.rollout.bucketing import Variant
from setbull_pipelines.secrets import without_secrets
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

INTAKE, RAW = "raw_intake", "raw"
RECONCILIATION, JUDGEMENT, SERVED = "reconciliation", "judgement", "served"
LANES = (INTAKE, RAW, *map(str, Variant), RECONCILIATION, JUDGEMENT, SERVED)
"""Names of the lanes, and so of their steps, in the order in which they end; those of variants have their names."""
Describe = Callable[[PartitionResult, StoredTable], Mapping[str, object]]
_SECONDS_BETWEEN_LOOKS = 5.0
_last_looks: dict[str, float] = {}
"""When this process last asked whether somebody ended a run, by its id: a run has many tables, and asking takes longer
than many of them."""


class PartsFailed(RuntimeError):
    """Some tables of a lane could not be made; the message says which and why."""


def nothing_more(result: PartitionResult, stored: StoredTable) -> Mapping[str, object]:
    """What a lane says that knows no more of a day than its pointer does."""
    return {}


class Lane:
    """One execution of a lane. Each part is carried out by :meth:`part`; :meth:`end` comes last."""

    def __init__(
        self, context: dg.AssetExecutionContext, warehouse: Warehouse, settings: Settings
    ) -> None:
        self.context, self.warehouse, self._settings = context, warehouse, settings
        self._made: set[dg.AssetKey] = set()
        self._failed: dict[str, str] = {}
        """By table: why it was not made."""
        self._first_error: Exception | None = None
        self._along: dict[str, set[datetime.date]] = {}
        self._stored_before: dict[str, set[str]] = {}

    def is_selected(self, stored: StoredTable) -> bool:
        """Whether the run is to materialize the table."""
        return asset_key(stored) in self.context.selected_asset_keys

    def part(
        self,
        outputs: Iterable[StoredTable],
        work: Callable[[], Iterable[PartitionResult]],
        needs: Iterable[StoredTable] = (),
        describe: Describe = nothing_more,
        look_back: Collection[datetime.date] = (),
    ) -> Iterator[dg.MaterializeResult]:
        """Carry out ``work`` and materialize those of ``outputs`` that the run selects.

        Days that are neither asked for nor in ``look_back`` came along for another reason: they are judged too. What
        was made besides, other days and other tables, is reported as materialized by this run. A part that fails stops
        those whose ``needs`` it makes, and no other; :meth:`end` raises for it.
        """
        outputs = list(outputs)
        for needed in needs:
            if needed.name in self._failed:
                self._leave_out(outputs, f"needs {needed.name}")
                return
        try:
            yield from self._report(outputs, work(), describe, {*look_back})
        except dg.Failure:
            raise
        except Exception as error:
            self._first_error = self._first_error or error
            self._leave_out(outputs, without_secrets(f"{type(error).__name__}: {error}"))

    def bring_along(
        self, outputs: Iterable[StoredTable], results: Iterable[PartitionResult]
    ) -> None:
        """Drive ``results`` of tables that another lane makes to the end, and report what was made."""
        outputs, besides = list(outputs), []
        try:
            for result in unless_ended(results, self.context):
                besides += [
                    self._besides(result, stored, nothing_more)
                    for stored in outputs
                    if self._is_news(result, stored)
                ]
        finally:
            report_besides(self.context, besides)

    def materialized(
        self,
        stored: StoredTable,
        pointer: Pointer,
        metadata: Mapping[str, object] = MappingProxyType({}),
    ) -> dg.MaterializeResult:
        """The result of a table without trading days."""
        return self.made(
            asset_key(stored),
            pointer_metadata(pointer) | dict(metadata),
            dg.DataVersion(pointer.input_hash),
        )

    def made(
        self,
        key: dg.AssetKey,
        metadata: Mapping[str, object],
        data_version: dg.DataVersion | None = None,
    ) -> dg.MaterializeResult:
        """The result of an asset about which the lane says everything itself."""
        self._made.add(key)
        return dg.MaterializeResult(asset_key=key, metadata=metadata, data_version=data_version)

    def _besides(
        self, result: PartitionResult, stored: StoredTable, describe: Describe
    ) -> dg.AssetMaterialization:
        return dg.AssetMaterialization(
            asset_key(stored),
            partition=result.day.isoformat(),
            metadata=self._figures(result, stored, describe),
        )

    def _leave_out(self, outputs: Iterable[StoredTable], reason: str) -> None:
        for stored in outputs:
            self._failed[stored.name] = reason

    def end(self) -> Iterator[dg.AssetCheckResult]:
        """Judge the checks that the run selects, say how they came out; then raise where something was not made.

        Raises PartsFailed for parts that failed. Forgetting a selected table would be no error of Dagster: that is an
        AssertionError here.
        """
        judged = []
        for result in check_results(
            self.context, self.warehouse, self._settings, self._failed.keys(), self._along
        ):
            judged.append(result)
            yield result
        if judged:
            lane = self.context.op_execution_context.op.name
            tell(in_a_line(lane, judged), is_well=all(result.passed for result in judged))
        if self._first_error is not None:
            raise PartsFailed(self._sentence()) from None
        forgotten = self.context.selected_asset_keys - self._made
        assert not forgotten, f"selected and not made: {sorted(map(str, forgotten))}"

    def _sentence(self) -> str:
        """Which tables failed, the first with its reason, and how many wait for them."""
        broken = [name for name, why in self._failed.items() if not why.startswith("needs ")]
        first = f"{broken[0]}: {self._failed[broken[0]]}"
        more = f"; {len(broken) - 1} more failed: {', '.join(broken[1:])}" if broken[1:] else ""
        waiting = len(self._failed) - len(broken)
        were = "table that needs it was" if waiting == 1 else "tables that need it were"
        left_out = f"; {waiting} {were} left out" if waiting else ""
        return f"{first}{more}{left_out}"

    def _report(
        self,
        outputs: list[StoredTable],
        results: Iterable[PartitionResult],
        describe: Describe,
        look_back: Collection[datetime.date],
    ) -> Iterator[dg.MaterializeResult]:
        """Drive ``results`` to the end, attach each day's figures, and materialize.

        Only the last day shows its first rows: Dagster keeps them for ever.
        """
        context = self.context
        selected = [stored for stored in outputs if self.is_selected(stored)]
        days = cached = computed = kept = 0
        last: PartitionResult | None = None
        rows = dict.fromkeys((stored.name for stored in selected), 0)
        for result in self._asked_for(unless_ended(results, context), outputs, describe, look_back):
            days += 1
            cached += result.cached
            computed += result.instruments_computed or 0
            kept += result.instruments_kept or 0
            last = result
            for stored in selected:
                rows[stored.name] += result.pointers[stored.table.name].rows
                context.add_asset_metadata(
                    self._figures(result, stored, describe),
                    asset_key=asset_key(stored),
                    partition_key=result.day.isoformat(),
                )
        for stored in selected:
            if last:
                context.add_asset_metadata(
                    {"preview": first_rows(stored, last.day.isoformat(), self.warehouse)},
                    asset_key=asset_key(stored),
                    partition_key=last.day.isoformat(),
                )
            self._made.add(asset_key(stored))
            yield dg.MaterializeResult(
                asset_key=asset_key(stored),
                metadata={
                    "days in run": days,
                    "days from cache": cached,
                    "rows in run": rows[stored.name],
                }
                | (_by_instrument(computed, kept) if computed or kept else {}),
                data_version=dg.DataVersion(last.pointers[stored.table.name].input_hash)
                if days == 1 and last
                else None,
            )

    def _asked_for(
        self,
        results: Iterable[PartitionResult],
        outputs: list[StoredTable],
        describe: Describe,
        look_back: Collection[datetime.date],
    ) -> Iterator[PartitionResult]:
        """Those of ``results`` that the run was asked for; the others are reported together, also when a day fails."""
        asked = set(self.context.partition_keys)
        besides: list[dg.AssetMaterialization] = []
        try:
            for result in results:
                is_asked = result.day.isoformat() in asked
                for stored in outputs:
                    if is_asked and self.is_selected(stored):
                        continue
                    if self._is_news(result, stored):
                        besides.append(self._besides(result, stored, describe))
                    if self.is_selected(stored) and result.day not in look_back:
                        self._along.setdefault(stored.name, set()).add(result.day)
                if is_asked:
                    yield result
        finally:
            report_besides(self.context, besides)

    def _figures(
        self, result: PartitionResult, stored: StoredTable, describe: Describe
    ) -> dict[str, object]:
        return (
            pointer_metadata(result.pointers[stored.table.name])
            | {"from cache": result.cached, "seconds computing": round(result.seconds, 4)}
            | _by_instrument(result.instruments_computed, result.instruments_kept)
            | dict(describe(result, stored))
        )

    def _is_news(self, result: PartitionResult, stored: StoredTable) -> bool:
        """Whether Dagster has to be told of a day: one that was made, or one that it has never heard of."""
        if not result.cached:
            return True
        if stored.name not in self._stored_before:
            self._stored_before[stored.name] = self.context.instance.get_materialized_partitions(
                asset_key(stored)
            )
        return result.day.isoformat() not in self._stored_before[stored.name]


def report_besides(
    context: dg.AssetExecutionContext, materializations: Iterable[dg.AssetMaterialization]
) -> None:
    """Tell Dagster of tables and days that the run was not asked for and that came along, as made by its step."""
    # Loading the definitions does not pay for the libraries of the event log.
    from setbull_pipelines.assets.event_log import report_materializations

    report_materializations(
        context.instance, context.run, materializations, context.op_execution_context.op.name
    )


def report_whole(
    context: dg.AssetExecutionContext,
    outputs: Iterable[StoredTable],
    pointers: Mapping[str, Pointer],
) -> None:
    """Tell Dagster of tables without trading days, by name in ``pointers``, that were made and not selected."""
    report_besides(
        context,
        [
            dg.AssetMaterialization(
                asset_key(stored), metadata=pointer_metadata(pointers[stored.table.name])
            )
            for stored in outputs
            if asset_key(stored) not in context.selected_asset_keys
        ],
    )


def unless_ended(
    results: Iterable[PartitionResult], context: dg.AssetExecutionContext
) -> Iterator[PartitionResult]:
    """``results``, which are computed one by one, as long as nobody ended the run and it is not over its time.

    The daemon ends the run of a queue in its process. A run of the command line it can only mark; such a run would go
    on beside the next one, and be a success in the end. Raises dg.Failure.
    """
    for result in results:
        yield result
        if time.monotonic() - _last_looks.get(context.run_id, -math.inf) < _SECONDS_BETWEEN_LOOKS:
            continue
        _last_looks[context.run_id] = time.monotonic()
        record = context.instance.get_run_record_by_id(context.run_id)
        if record is None:
            continue
        run, reason = record.dagster_run, None
        if run.is_finished:
            reason = f"somebody else ended the run ({run.status.value})"
        elif MAX_RUNTIME_TAG in run.tags and record.start_time is not None:
            limit = float(run.tags[MAX_RUNTIME_TAG])
            if limit and now().timestamp() - record.start_time > limit:
                reason = f"the run took more than the {limit:.0f} s of its settings"
        if reason:
            raise dg.Failure(
                f"{reason}; what it published until {result.day} stays, and the next run goes on from there",
                allow_retries=False,
            )


def _by_instrument(computed: int | None, kept: int | None) -> dict[str, int]:
    """Figures of work that is done by instrument; none of other work and where a look at the pointer was enough."""
    if computed is None or kept is None:
        return {}
    return {"instruments computed": computed, "instruments kept": kept}
