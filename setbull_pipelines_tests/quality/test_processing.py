"""What the evidence of a day says that a component took, from the rows that were measured."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines.quality.processing import TABLES_OF, figures
from setbull_pipelines.rollout.stages import Component
from setbull_pipelines.settings import Settings

NO_FAILURES = pd.DataFrame({"asset": [], "instrument_key": [], "inherited": pd.Series(dtype=bool)})


def measured(component: Component, seconds: float) -> pd.DataFrame:
    """A row for each table of a component in both lanes, each of which took so long."""
    return pd.DataFrame(
        [
            {
                **dict.fromkeys(("rows", "input_rows", "cache_hits", "cache_misses"), 0),
                "asset": f"{lane}.{table.name}",
                "seconds": seconds,
                "cpu_seconds": seconds,
                "workers": 2,
                "peak_memory": 2**20,
            }
            for lane in ("v1", "v2")
            for table in TABLES_OF[component]
        ]
    )


@pytest.mark.parametrize("component", list(TABLES_OF))
def test_of_a_day_that_took_no_time_no_share_was_used(component: Component) -> None:
    found = figures(component, measured(component, 0.0), NO_FAILURES, [], Settings())
    assert (found["worker_share"], found["seconds_v2"], found["error_rate"]) == (None, 0.0, 0.0)


def test_workers_are_used_as_much_as_they_worked() -> None:
    component = next(iter(TABLES_OF))
    found = figures(component, measured(component, 2.0), NO_FAILURES, ["NSE_EQ|A"], Settings())
    assert found["worker_share"] == 0.5
