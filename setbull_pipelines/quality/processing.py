"""Rules about what processing took, and the figures of a rollout component in it.

Belongs here: adding up ``operations.processing_metrics`` by component, failed instruments, limits passed. Does not
belong here: measuring (``pipeline/``), the limits themselves (``settings``), deciding (``rollout/``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypedDict

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.quality.verdict import Rule, Verdict
from setbull_pipelines.rollout.controller import soft_breaches
from setbull_pipelines.rollout.evidence import Evidence
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.operations import ALL_INSTRUMENTS
from setbull_pipelines.warehouse.pointers import StoredTable

METRICS = StoredTable("operations", tables.PROCESSING_METRICS)
FAILURES = StoredTable("operations", tables.FAILURES)
TABLES_OF = {
    Component.AGGREGATION: (tables.CANDLES_5MIN, tables.CANDLES_DAILY),
    Component.INDICATORS: (
        tables.INDICATORS_5MIN,
        tables.INDICATORS_DAILY,
        tables.BB_WIDTH_DAILY,
        tables.BB_WIDTH_ALERTS,
    ),
    Component.SEQUENCES: (
        tables.MOVES_DAILY,
        tables.SEQUENCES,
        tables.SEQUENCE_ANALYSIS,
        tables.SEQUENCE_PATTERNS,
        tables.FILTER_RESULTS,
    ),
}
"""The computed tables that are evidence of each component."""
_COMPUTED_WITH_ANOTHER = (tables.SEQUENCE_PATTERNS,)
_DAILY = (StoredTable("v1", tables.CANDLES_DAILY), StoredTable("v2", tables.CANDLES_DAILY))
_SHOWN = 3


class Figures(TypedDict, total=False):
    """What a component took on one day, as fields of the evidence; absent or None for what was not measured."""

    seconds_v1: float | None
    seconds_v2: float
    v2_exceptions: int
    error_rate: float
    sequence_failure_share: float
    input_rows: int
    cache_lookups: int
    cache_hit_rate: float | None
    memory_share: float
    worker_share: float | None


def figures(
    component: Component,
    metrics: pd.DataFrame,
    failures: pd.DataFrame,
    instruments: Collection[str],
    settings: Settings,
) -> Figures:
    """What the component took on one day.

    ``metrics`` and ``failures`` are the day's rows of the two tables, ``instruments`` those with rows in a variant.
    """
    v1, v2 = (_measured(component, metrics, lane) for lane in ("v1", "v2"))
    taken: Figures = {
        "seconds_v1": None if v1["cpu_seconds"].isna().any() else float(v1["cpu_seconds"].sum()),
    }
    names = [StoredTable("v2", table).name for table in TABLES_OF[component]]
    failed = failures[failures["asset"].isin(names)]
    missing = failed["instrument_key"].nunique()
    attempted = len({*instruments, *failed["instrument_key"]})
    own = failed.loc[~failed["inherited"], "instrument_key"].nunique()
    if v2["rows"].notna().all():
        taken |= {
            "v2_exceptions": own,
            "error_rate": own / attempted if attempted else 0.0,
        }
        if component is Component.SEQUENCES:
            taken["sequence_failure_share"] = missing / attempted if attempted else 0.0
    if v2["seconds"].notna().all():
        hits, misses = int(v2["cache_hits"].sum()), int(v2["cache_misses"].sum())
        available = float((v2["seconds"] * v2["workers"]).sum())
        allowance = settings.processing.memory_allowance_mib * 2**20
        taken |= {
            # By the wall V2 would be slow whenever something else is busy on the machine.
            "seconds_v2": float(v2["cpu_seconds"].sum()),
            "input_rows": int(v2["input_rows"].sum()),
            "cache_lookups": hits + misses,
            "cache_hit_rate": hits / (hits + misses) if hits + misses else None,
            "memory_share": float(v2["peak_memory"].max()) / allowance,
            # Processor time has a coarser clock than the wall: of very short work it can come out above it. A day
            # without any row takes no time at all, and no worker used a share of that.
            "worker_share": min(float(v2["cpu_seconds"].sum()) / available, 1.0)
            if available
            else None,
        }
    return taken


def _measured(component: Component, metrics: pd.DataFrame, lane: str) -> pd.DataFrame:
    """The rows of the component's tables in one lane; null for those that have none."""
    measured = [table for table in TABLES_OF[component] if table not in _COMPUTED_WITH_ANOTHER]
    return metrics.set_index("asset").reindex([StoredTable(lane, table).name for table in measured])


def _no_instrument_failed(
    frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings
) -> Verdict:
    failures = frames[FAILURES.name]
    own = failures[~failures["inherited"]]
    figures = {
        "instruments failed": int(own["instrument_key"].nunique()),
        "instruments left out because an input lacks them": int(
            failures.loc[
                failures["inherited"] & failures["variant"].notna(), "instrument_key"
            ].nunique()
        ),
        "served from V1 because V2 has no row": int(failures["variant"].isna().sum()),
    }
    if failures.empty:
        return Verdict(
            True,
            "no instrument failed, and none is served from V1 for want of a row of V2",
            figures,
        )
    shown = [
        f"{row.asset} {row.instrument_key}: {row.error}"
        for row in failures.head(_SHOWN).itertuples()
    ]
    more = f" and {len(failures) - _SHOWN:,} more" if len(failures) > _SHOWN else ""
    return Verdict(False, f"{'; '.join(shown)}{more}", figures)


def _within_limits(
    frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings
) -> Verdict:
    metrics, failures = frames[METRICS.name], frames[FAILURES.name]
    instruments = {key for lane in _DAILY for key in frames[lane.name]["instrument_key"].unique()}
    breaches, unmeasured = [], []
    for component in Component:
        found = figures(component, metrics, failures, instruments, settings)
        cut_back = _measured(component, metrics, "v1")["computed_for"] != ALL_INSTRUMENTS
        # The time of a part of V1 is no measure of V2's.
        stage = Stage.SAMPLED if cut_back.any() else Stage.SHADOW
        evidence = Evidence(component, day.date(), stage, "", "", **found)
        needed = ["seconds_v2", "error_rate"]
        if stage.runs_both_in_full:
            needed.append("seconds_v1")
        if missing := [name for name in needed if found.get(name) is None]:
            unmeasured.append(f"{component.label}: not measured: {', '.join(missing)}")
            continue
        breaches += [
            f"{component.label}: {breach}"
            for breach in soft_breaches(stage, evidence, settings.rollout)
        ]
    wrong = [*breaches, *unmeasured]
    return Verdict(
        not wrong,
        "; ".join(wrong)
        or "V2 is within all limits of processor time, memory, workers, cache and errors",
        {"limits passed": len(breaches), "components not measured": len(unmeasured)},
    )


RULES: tuple[Rule, ...] = (
    Rule(
        "no_instrument_failed",
        "Every instrument was computed in both variants and served from the variant assigned to it",
        FAILURES,
        (FAILURES,),
        _no_instrument_failed,
    ),
    Rule(
        "within_limits",
        "V2 keeps the limits of settings.rollout on processor time, memory, worker use, cache hits and errors",
        METRICS,
        (METRICS, FAILURES, *_DAILY),
        _within_limits,
        is_error=False,
    ),
)
