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
from setbull_pipelines.quality import computed_results
from setbull_pipelines.quality.delivered import UNIVERSE_COMPLETE
from setbull_pipelines.quality.holes import REACHES_THE_CLOSE
from setbull_pipelines.quality.own_bars import V2_DAILY, bars_are_own, prices_in_one_unit
from setbull_pipelines.quality.verdict import NOT_JUDGED
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.store import Warehouse

_RULES = (
    bars_are_own(V2_DAILY),
    prices_in_one_unit(V2_DAILY),
    REACHES_THE_CLOSE,
    UNIVERSE_COMPLETE,
    computed_results.not_stale.about(tables.FILTER_RESULTS)("v2"),
)


def doubted_inputs(
    days: Sequence[date], warehouse: Warehouse, settings: Settings
) -> dict[date, str]:
    """The days that are in doubt, each with what speaks against it.

    What cannot be judged, such as a day without minutes, is not in doubt.
    """
    doubts = {}
    for day, verdicts in judge_days(_RULES, warehouse, settings, days).items():
        said = [
            verdict.description
            for verdict in verdicts.values()
            if not verdict.passed and NOT_JUDGED not in verdict.metadata
        ]
        if said:
            doubts[day] = "; ".join(said)
    return doubts
