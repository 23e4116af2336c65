"""The table contracts: the one place that says which tables exist and what their columns mean.

Belongs here: one :class:`~setbull_pipelines.tables.contract.Table` per warehouse table. pandera validation,
Arrow and DuckDB types, the column schema, lineage and formulas in the UI, ``docs/tables.md`` and
``docs/definitions.md`` are derived from them. Does not belong here: computing, storage, Dagster.
"""

from __future__ import annotations

from setbull_pipelines.tables.actions import CORPORATE_ACTIONS, INSTRUMENT_ALIASES
from setbull_pipelines.tables.bb_width import BB_WIDTH_ALERTS, BB_WIDTH_DAILY
from setbull_pipelines.tables.candles import (
    CANDLES_1MIN,
    CANDLES_5MIN,
    CANDLES_DAILY,
    CANDLES_DAILY_HISTORY,
)
from setbull_pipelines.tables.contract import Column, Kind, Table, Tolerance
from setbull_pipelines.tables.filters import FILTER_RESULTS
from setbull_pipelines.tables.groups import (
    GROUP_EXECUTION_PLAN,
    STOCK_GROUPS,
    STOCK_GROUPS_QUARANTINE,
)
from setbull_pipelines.tables.indicators import INDICATORS_5MIN, INDICATORS_DAILY
from setbull_pipelines.tables.live import CANDLE_EVENTS, CANDLE_RECEIVERS
from setbull_pipelines.tables.moves import MOVES_DAILY
from setbull_pipelines.tables.operations import (
    ALERT_ACTS,
    ALERT_NOTICES,
    ALERTS,
    FAILURES,
    FETCHES,
    PROCESSING_METRICS,
    ROLLOUT_LOG,
    SCRUB,
    SELF_TEST,
)
from setbull_pipelines.tables.raw import (
    ACCOUNTING,
    COVERAGE,
    DERIVATIVE_UNDERLYINGS,
    INSTRUMENTS,
    INTAKE,
    QUARANTINE,
    REVISIONS,
)
from setbull_pipelines.tables.reconciliation import (
    RECONCILIATION_BARS,
    RECONCILIATION_CELLS,
    RECONCILIATION_DECISIONS,
    RECONCILIATION_DIAGNOSES,
    RECONCILIATION_INSTRUMENTS,
    RECONCILIATION_SUMMARY,
    RECONCILIATION_VERDICTS,
    RECONCILIATION_WINDOWS,
    RECONCILIATIONS,
)
from setbull_pipelines.tables.report import DAILY_REPORT
from setbull_pipelines.tables.sequence_analysis import SEQUENCE_ANALYSIS
from setbull_pipelines.tables.sequences import SEQUENCE_PATTERNS, SEQUENCES
from setbull_pipelines.tables.served import SERVED

RAW_TABLES = (
    INTAKE,
    INSTRUMENTS,
    DERIVATIVE_UNDERLYINGS,
    COVERAGE,
    CORPORATE_ACTIONS,
    INSTRUMENT_ALIASES,
    CANDLES_1MIN,
    CANDLES_DAILY_HISTORY,
    QUARANTINE,
    ACCOUNTING,
    REVISIONS,
)
GROUP_TABLES = (STOCK_GROUPS, STOCK_GROUPS_QUARANTINE, GROUP_EXECUTION_PLAN)
COMPUTED_TABLES = (
    CANDLES_5MIN,
    CANDLES_DAILY,
    INDICATORS_5MIN,
    INDICATORS_DAILY,
    BB_WIDTH_DAILY,
    BB_WIDTH_ALERTS,
    MOVES_DAILY,
    SEQUENCES,
    SEQUENCE_ANALYSIS,
    SEQUENCE_PATTERNS,
    FILTER_RESULTS,
)
RECONCILIATION_TABLES = (
    *RECONCILIATIONS.values(),
    *RECONCILIATION_CELLS.values(),
    *RECONCILIATION_VERDICTS.values(),
    *RECONCILIATION_DIAGNOSES.values(),
    *RECONCILIATION_INSTRUMENTS.values(),
    *RECONCILIATION_WINDOWS.values(),
    *RECONCILIATION_BARS.values(),
    RECONCILIATION_DECISIONS,
    RECONCILIATION_SUMMARY,
)
SERVED_TABLES = tuple(SERVED.values())
OPERATIONS_TABLES = (
    PROCESSING_METRICS,
    FAILURES,
    ROLLOUT_LOG,
    SELF_TEST,
    SCRUB,
    ALERTS,
    ALERT_NOTICES,
    ALERT_ACTS,
    FETCHES,
    CANDLE_EVENTS,
    CANDLE_RECEIVERS,
)
ALL_TABLES = (
    *RAW_TABLES,
    *COMPUTED_TABLES,
    *RECONCILIATION_TABLES,
    *SERVED_TABLES,
    *GROUP_TABLES,
    DAILY_REPORT,
    *OPERATIONS_TABLES,
)

__all__ = [
    "ACCOUNTING",
    "ALERTS",
    "ALERT_ACTS",
    "ALERT_NOTICES",
    "ALL_TABLES",
    "BB_WIDTH_ALERTS",
    "BB_WIDTH_DAILY",
    "CANDLES_1MIN",
    "CANDLES_5MIN",
    "CANDLES_DAILY",
    "CANDLES_DAILY_HISTORY",
    "CANDLE_EVENTS",
    "CANDLE_RECEIVERS",
    "COMPUTED_TABLES",
    "CORPORATE_ACTIONS",
    "COVERAGE",
    "DAILY_REPORT",
    "DERIVATIVE_UNDERLYINGS",
    "FAILURES",
    "FETCHES",
    "FILTER_RESULTS",
    "GROUP_EXECUTION_PLAN",
    "GROUP_TABLES",
    "INDICATORS_5MIN",
    "INDICATORS_DAILY",
    "INSTRUMENTS",
    "INSTRUMENT_ALIASES",
    "INTAKE",
    "MOVES_DAILY",
    "OPERATIONS_TABLES",
    "PROCESSING_METRICS",
    "QUARANTINE",
    "RAW_TABLES",
    "RECONCILIATIONS",
    "RECONCILIATION_BARS",
    "RECONCILIATION_CELLS",
    "RECONCILIATION_DECISIONS",
    "RECONCILIATION_DIAGNOSES",
    "RECONCILIATION_INSTRUMENTS",
    "RECONCILIATION_SUMMARY",
    "RECONCILIATION_TABLES",
    "RECONCILIATION_VERDICTS",
    "RECONCILIATION_WINDOWS",
    "REVISIONS",
    "ROLLOUT_LOG",
    "SCRUB",
    "SELF_TEST",
    "SEQUENCES",
    "SEQUENCE_ANALYSIS",
    "SEQUENCE_PATTERNS",
    "SERVED",
    "SERVED_TABLES",
    "STOCK_GROUPS",
    "STOCK_GROUPS_QUARANTINE",
    "Column",
    "Kind",
    "Table",
    "Tolerance",
]
