"""Which rules hold for which computed table, of V1 and of V2.

Belongs here: the list. Does not belong here: a rule (``computed_bars.py``, ``computed_results.py``, ``bars.py``,
``raw.py``).
"""

from __future__ import annotations

from collections.abc import Callable

from setbull_pipelines import tables
from setbull_pipelines.quality import computed_bars, computed_results
from setbull_pipelines.quality.bars import bars_follow_from_minutes
from setbull_pipelines.quality.raw import CANDLES_1MIN, CANDLES_DAILY_HISTORY, in_session
from setbull_pipelines.quality.verdict import Rule
from setbull_pipelines.tables import Table
from setbull_pipelines.warehouse.pointers import StoredTable

_OfVariant = Callable[[str], Rule]


def _made_by(make: Callable[[StoredTable], Rule], table: Table) -> _OfVariant:
    return lambda variant: make(StoredTable(variant, table))


_RULES: tuple[_OfVariant, ...] = (
    _made_by(in_session, tables.CANDLES_5MIN),
    computed_bars.session_conserved.about(tables.CANDLES_5MIN, CANDLES_1MIN),
    _made_by(bars_follow_from_minutes, tables.CANDLES_5MIN),
    _made_by(bars_follow_from_minutes, tables.CANDLES_DAILY),
    computed_bars.daily_conserved.about(tables.CANDLES_DAILY, CANDLES_1MIN, CANDLES_DAILY_HISTORY),
    computed_bars.series_agree.about(tables.CANDLES_DAILY, CANDLES_1MIN),
    computed_bars.one_row_per_candle.about(tables.INDICATORS_5MIN, tables.CANDLES_5MIN),
    computed_bars.one_row_per_candle.about(tables.INDICATORS_DAILY, tables.CANDLES_DAILY),
    computed_bars.no_unexplained_gap.about(tables.INDICATORS_DAILY),
    computed_results.one_row_per_instrument.about(tables.BB_WIDTH_DAILY, tables.INDICATORS_5MIN),
    computed_results.bands_counted.about(tables.BB_WIDTH_DAILY, tables.INDICATORS_5MIN),
    computed_results.one_row_per_instrument.about(tables.BB_WIDTH_ALERTS, tables.INDICATORS_5MIN),
    computed_results.alerts_follow_from_bands.about(tables.BB_WIDTH_ALERTS, tables.INDICATORS_5MIN),
    computed_results.ends_on_the_day.about(tables.MOVES_DAILY, tables.CANDLES_DAILY),
    computed_results.days_conserved.about(tables.SEQUENCES, tables.MOVES_DAILY),
    computed_results.one_row_per_instrument.about(tables.SEQUENCE_ANALYSIS, tables.MOVES_DAILY),
    computed_results.runs_counted.about(tables.SEQUENCE_PATTERNS, tables.SEQUENCES),
    computed_results.verdicts_consistent.about(tables.FILTER_RESULTS, tables.CANDLES_DAILY),
    computed_results.not_stale.about(tables.FILTER_RESULTS),
)


def rules(variant: str) -> tuple[Rule, ...]:
    """The rules of one variant's tables."""
    return tuple(of_variant(variant) for of_variant in _RULES)
