"""SQL macros of the catalog: the sequence repository of the system this project replaces, and bars as of a moment.

Belongs here: named questions over the computed tables, each with an example; the reconciliation of all tables as one
table each. Does not belong here: rules.
The examples are run by the tests and printed in ``docs/queries.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from setbull_pipelines.tables.contract import Table
from setbull_pipelines.tables.reconciliation import (
    RECONCILIATION_BARS,
    RECONCILIATION_CELLS,
    RECONCILIATION_DIAGNOSES,
    RECONCILIATION_INSTRUMENTS,
    RECONCILIATION_WINDOWS,
    RECONCILIATIONS,
)
from setbull_pipelines.tables.sequence_analysis import RUN_PATTERNS
from setbull_pipelines.warehouse.queries import quoted_text


@dataclass(frozen=True)
class Macro:
    """A table macro of the catalog: what it answers, how it is defined, how it is asked."""

    name: str
    description: str
    definition: str
    example: str

    @property
    def statements(self) -> str:
        """The definition, and the description as the comment that ``duckdb_functions()`` shows."""
        return f"{self.definition};\nCOMMENT ON MACRO TABLE {self.name} IS {quoted_text(self.description)}"


SEQUENCE_STORE = Macro(
    "sequence_store",
    "Every run of mamba or other days with the trend and quality of its analysis, of one variant.",
    """
    CREATE MACRO sequence_store(variant_name) AS TABLE
    WITH runs AS (
        SELECT 'v1' AS variant, * FROM v1.sequences
        UNION ALL BY NAME SELECT 'v2' AS variant, * FROM v2.sequences
    ), analyses AS (
        SELECT 'v1' AS variant, * FROM v1.sequence_analysis
        UNION ALL BY NAME SELECT 'v2' AS variant, * FROM v2.sequence_analysis
    )
    SELECT runs.variant, runs.trading_day, runs.instrument_key, instruments.symbol,
           runs.sequence_number, runs.kind, runs.length, runs.start_day, runs.end_day,
           runs.strength, runs.return_percent, analyses.trend, analyses.quality_score
    FROM runs
    JOIN analyses USING (variant, trading_day, instrument_key)
    LEFT JOIN raw.instruments AS instruments USING (instrument_key)
    WHERE runs.variant = variant_name
    """,
    "SELECT * FROM sequence_store('v1') WHERE kind = 'MAMBA' ORDER BY trading_day DESC, strength DESC LIMIT 10",
)
METRICS_BY_INSTRUMENT = Macro(
    "metrics_by_instrument",
    "Sequence metrics of one instrument, by its key or its symbol, over a range of as-of days, V1 and V2 side by side.",
    """
    CREATE MACRO metrics_by_instrument(instrument, first_day, last_day) AS TABLE
    SELECT * FROM (
        SELECT 'v1' AS variant, * FROM v1.sequence_analysis
        UNION ALL BY NAME SELECT 'v2' AS variant, * FROM v2.sequence_analysis
    )
    WHERE (
        instrument_key = instrument
        OR instrument_key IN (SELECT instrument_key FROM raw.instruments WHERE lower(symbol) = lower(instrument))
    ) AND trading_day BETWEEN first_day AND last_day
    ORDER BY trading_day, variant
    """,
    "SELECT trading_day, variant, trend, quality_score, momentum_score FROM metrics_by_instrument("
    "'SAMPLE0001', DATE '2026-01-01', DATE '2026-12-31')",
)
PATTERNS_BY_FILTER = Macro(
    "patterns_by_filter",
    "Patterns of the instruments with a given verdict, over a range of as-of days, of the variant "
    "that is served.",
    """
    CREATE MACRO patterns_by_filter(wanted_verdict, first_day, last_day) AS TABLE
    SELECT results.trading_day, results.instrument_key, instruments.symbol, results.verdict,
           patterns.pattern_rank, patterns.kind, patterns.length, patterns.frequency,
           patterns.strength, patterns.average_gap_days, patterns.average_return_percent
    FROM served.filter_results AS results
    JOIN (
        SELECT 'v1' AS variant, * FROM v1.sequence_patterns
        UNION ALL BY NAME SELECT 'v2' AS variant, * FROM v2.sequence_patterns
    ) AS patterns USING (trading_day, instrument_key, variant)
    LEFT JOIN raw.instruments AS instruments USING (instrument_key)
    WHERE results.verdict = wanted_verdict AND results.trading_day BETWEEN first_day AND last_day
    ORDER BY results.trading_day, results.instrument_key, patterns.pattern_rank
    """,
    "SELECT symbol, kind, length, frequency FROM patterns_by_filter("
    "'bullish', DATE '2026-01-01', DATE '2026-12-31')",
)
_IS_SHOWN = " ".join(f"WHEN '{column.name}' THEN analysis.{column.name}" for column in RUN_PATTERNS)
_NO_PATTERN = "no such pattern, expected one of " + ", ".join(
    column.name for column in RUN_PATTERNS
)
STOCKS_WITH_PATTERN = Macro(
    "stocks_with_pattern",
    "Stocks whose current mamba run shows a pattern ("
    + ", ".join(column.name for column in RUN_PATTERNS)
    + "), over a range of as-of days, of the variant that is served. What the patterns predicted, and what not: "
    "docs/patterns.md.",
    f"""
    CREATE MACRO stocks_with_pattern(pattern_name, first_day, last_day) AS TABLE
    SELECT analysis.trading_day, analysis.instrument_key, instruments.symbol, analysis.trend,
           analysis.current_length, analysis.mamba_days, analysis.quality_score, analysis.variant
    FROM served.sequence_analysis AS analysis
    LEFT JOIN raw.instruments AS instruments USING (instrument_key)
    WHERE analysis.trading_day BETWEEN first_day AND last_day
      AND CASE pattern_name {_IS_SHOWN} ELSE error('{_NO_PATTERN}') END
    ORDER BY analysis.trading_day, instruments.symbol, analysis.instrument_key
    """,
    "SELECT trading_day, symbol, trend, current_length FROM stocks_with_pattern("
    "'run_after_pull_back', DATE '2026-01-01', DATE '2026-12-31')",
)
_VALUES_AS_OF = ", ".join(
    f"CASE WHEN later.revision IS NULL THEN latest.{name} ELSE later.old_{name} END AS {name}"
    for name in ("open", "high", "low", "close", "volume", "open_interest")
)
MINUTES_AS_OF = Macro(
    "minutes_as_of",
    "One-minute candles as they were known at a moment: of a bar that was corrected later, the values before.",
    f"""
    CREATE MACRO minutes_as_of(moment) AS TABLE
    WITH corrected_later AS (
        SELECT * FROM raw.revisions WHERE kind = 'minutes' AND revised_at > moment
        QUALIFY row_number() OVER (PARTITION BY instrument_key, timestamp ORDER BY revision) = 1
    )
    SELECT latest.instrument_key, latest.timestamp, latest.trading_day, {_VALUES_AS_OF},
           coalesce(later.old_source, latest.source) AS source,
           coalesce(later.known_since, latest.ingested_at) AS ingested_at
    FROM raw.candles_1min AS latest
    LEFT JOIN corrected_later AS later USING (instrument_key, timestamp)
    WHERE coalesce(later.known_since, latest.ingested_at) <= moment
    """,
    "SELECT * FROM minutes_as_of(now()) ORDER BY instrument_key, timestamp LIMIT 5",
)


def _of_all_comparisons(name: str, tables: Mapping[str, Table], ask: str) -> Macro:
    """What the reconciliation keeps in a table for each compared table, as one table with its name in front."""
    described = next(iter(tables.values())).description
    first = next(iter(tables))
    return Macro(
        name,
        described.replace(first, "every compared table"),
        f"CREATE MACRO {name}() AS TABLE "
        + " UNION ALL BY NAME ".join(
            f"SELECT '{compared}' AS table_name, * FROM reconciliation.{table.name}"
            for compared, table in tables.items()
        ),
        ask,
    )


RECONCILIATION_MACROS = (
    _of_all_comparisons(
        "compared_columns",
        RECONCILIATIONS,
        "SELECT table_name, column_name, sum(cells_unequal) FROM compared_columns() GROUP BY ALL ORDER BY ALL",
    ),
    _of_all_comparisons(
        "differing_cells",
        RECONCILIATION_CELLS,
        "SELECT * FROM differing_cells() ORDER BY relative_difference DESC LIMIT 10",
    ),
    _of_all_comparisons(
        "differing_instruments",
        RECONCILIATION_INSTRUMENTS,
        "SELECT instrument_key, sum(cells_unequal) FROM differing_instruments() GROUP BY ALL ORDER BY ALL",
    ),
    _of_all_comparisons(
        "likely_causes",
        RECONCILIATION_DIAGNOSES,
        "SELECT trading_day, table_name, diagnosis, sentence FROM likely_causes() ORDER BY trading_day DESC, rank",
    ),
    _of_all_comparisons(
        "inputs_of_differences",
        RECONCILIATION_WINDOWS,
        "SELECT table_name, column_name, input_table, rows_back, input_column, v1, v2, is_equal "
        "FROM inputs_of_differences() ORDER BY ALL LIMIT 10",
    ),
    _of_all_comparisons(
        "bars_of_differences",
        RECONCILIATION_BARS,
        "SELECT * FROM bars_of_differences() WHERE is_first LIMIT 10",
    ),
)
MACROS = (
    SEQUENCE_STORE,
    METRICS_BY_INSTRUMENT,
    PATTERNS_BY_FILTER,
    STOCKS_WITH_PATTERN,
    MINUTES_AS_OF,
    *RECONCILIATION_MACROS,
)
