"""Rules about served tables: whole series of one variant per instrument, the one that was decided, nobody forgotten."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.quality.processing import TABLES_OF
from setbull_pipelines.quality.rollout_log import LOG, rows_of
from setbull_pipelines.quality.verdict import Rule, Verdict, not_judged
from setbull_pipelines.rollout.bucketing import Variant, configured_overrides
from setbull_pipelines.rollout.log import sessions_judged, stage_served
from setbull_pipelines.rollout.stages import Component, Stage, served_variants
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.reconciliation import PASS
from setbull_pipelines.tables.served import SERVED_SCHEMA
from setbull_pipelines.warehouse.pointers import StoredTable

_SHOWN = 3


def _rows_of(served: pd.DataFrame, lane: pd.DataFrame) -> bool:
    """Whether the served rows are all rows that the lane has of their instruments, unchanged."""
    if served.empty:
        return True
    found = served.drop(columns="variant").reset_index(drop=True)
    if found.equals(lane):
        return True  # mostly all instruments are of one lane, and looking for theirs takes longest
    expected = lane[lane["instrument_key"].isin(served["instrument_key"].unique())]
    return found.equals(expected.reset_index(drop=True))


def _one_variant(table: Table) -> Rule:
    served = StoredTable(SERVED_SCHEMA, tables.SERVED[table.name])
    lanes = {name: StoredTable(name, table) for name in ("v1", "v2")}

    def judge(frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings) -> Verdict:
        rows = frames[served.name]
        if rows.empty and all(frames[stored.name].empty for stored in lanes.values()):
            return not_judged("neither variant has a row, and none is served")
        pairs = rows[["instrument_key", "variant"]].drop_duplicates()
        instruments = set(pairs["instrument_key"])
        mixed = len(pairs) - len(instruments)
        altered = [
            stored.name
            for name, stored in lanes.items()
            if not _rows_of(rows[rows["variant"] == name], frames[stored.name])
        ]
        missing = len(set(frames[lanes["v1"].name]["instrument_key"].unique()) - instruments)
        from_v2 = int((pairs["variant"] == "v2").sum())
        return Verdict(
            not mixed and not altered and not missing,
            f"{len(instruments)} instruments, {from_v2} of them from V2; {mixed} of two variants, "
            f"{missing} of V1 not served; rows differ from those of: {', '.join(altered) or 'none'}",
            {"instruments": len(instruments), "instruments from V2": from_v2},
        )

    return Rule(
        "one_variant_per_instrument",
        "Every instrument of V1 is served, with all rows of exactly one variant",
        served,
        (served, *lanes.values()),
        judge,
    )


def _as_decided(table: Table, component: Component) -> Rule:
    served = StoredTable(SERVED_SCHEMA, tables.SERVED[table.name])
    v2 = StoredTable("v2", table)
    verdicts = StoredTable("reconciliation", tables.RECONCILIATION_VERDICTS[table.name])

    def judge(frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings) -> Verdict:
        log = rows_of(frames[LOG.name])
        stage = Stage.OFF if settings.rollout.kill else stage_served(log, component)
        state = str(frames[verdicts.name]["state_of_compared"].iloc[0])
        is_proven = day.date() in sessions_judged(log, component) and state == PASS
        # A frozen instrument has the variant that it had, which no row of the log says.
        rows = frames[served.name]
        pairs = rows.loc[
            ~rows["instrument_key"].isin(settings.rollout.freeze), ["instrument_key", "variant"]
        ].drop_duplicates()
        keys = pairs["instrument_key"].tolist()
        assigned = served_variants(keys, component, stage, configured_overrides(settings.rollout))
        in_v2 = set(frames[v2.name]["instrument_key"].unique())
        wrong = []
        for key, found, expected in zip(keys, pairs["variant"], assigned, strict=True):
            may_be_v2 = expected is Variant.V2 and (is_proven or not stage.runs_v1_in_full)
            must_be_v2 = may_be_v2 and key in in_v2
            if (found == Variant.V2 and not may_be_v2) or (found == Variant.V1 and must_be_v2):
                wrong.append(f"{key} from {found}")
        told = f"stage {stage.label} of {component.label}"
        if settings.rollout.kill:
            told = "the kill switch"
        if not is_proven:
            told += f", V2 {state} or not judged on this session"
        shown = ", ".join(wrong[:_SHOWN]) + (
            f" and {len(wrong) - _SHOWN:,} more" if len(wrong) > _SHOWN else ""
        )
        return Verdict(
            not wrong,
            f"{len(wrong):,} of {len(keys):,} instruments are served against the rollout ({told}): {shown}; "
            f"serve the day again by: setbull run --from {day.date()} --to {day.date()}"
            if wrong
            else f"{len(keys):,} instruments are served as the rollout says ({told})",
            {"instruments": len(keys), "instruments against the rollout": len(wrong)},
        )

    return Rule(
        "variant_as_decided",
        "Every row is from the variant that the rollout log, the overrides and the kill switch give its instrument",
        served,
        (served, v2, verdicts, LOG),
        judge,
    )


RULES: tuple[Rule, ...] = tuple(
    rule
    for component, owned in TABLES_OF.items()
    for table in owned
    if table.name in tables.SERVED
    for rule in (_one_variant(table), _as_decided(table, component))
)
