"""Why what a source delivered for a trading day is not to be believed.

Belongs here: which rules doubt a source, and what they say of a day, before it is judged and served. Does not belong
here: the rules (``quality/``), what doubt does to a component (``rollout/``).

V1 and V2 can agree on every cell of such a day and say nothing about V2 on a true one. The day is served all the same:
it is what the source said, and the checks of the same names tell that it is in doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from setbull_pipelines import tables
from setbull_pipelines.pipeline.judging import judge_days
from setbull_pipelines.quality.computed import rules
from setbull_pipelines.quality.computed_bars import PERHAPS_IN_PAISE
from setbull_pipelines.quality.own_bars import REACHES_THE_CLOSE, bars_are_own
from setbull_pipelines.quality.verdict import NOT_JUDGED, Verdict
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse

_GAPS = "no_unexplained_gap"
_OF_V2 = {
    (StoredTable("v2", tables.INDICATORS_DAILY), _GAPS),
    (StoredTable("v2", tables.FILTER_RESULTS), "not_stale"),
}
_RULES = (
    bars_are_own(StoredTable("v2", tables.CANDLES_DAILY)),
    REACHES_THE_CLOSE,
    *(rule for rule in rules("v2") if (rule.table, rule.name) in _OF_V2),
)


def doubted_inputs(
    days: Sequence[date], warehouse: Warehouse, settings: Settings
) -> dict[date, str]:
    """The days that are in doubt, each with what speaks against it.

    What cannot be judged, such as a day without minutes, is not in doubt. Only those unexplained gaps count
    that look like prices in paise: the others are mostly corporate actions that nobody told yet.
    """
    return {
        day: "; ".join(said)
        for day, verdicts in judge_days(_RULES, warehouse, settings, days).items()
        if (
            said := [
                verdict.description for name, verdict in verdicts.items() if _doubts(name, verdict)
            ]
        )
    }


def _doubts(name: str, verdict: Verdict) -> bool:
    if verdict.passed or NOT_JUDGED in verdict.metadata:
        return False
    return name != _GAPS or bool(verdict.metadata.get(PERHAPS_IN_PAISE, True))
