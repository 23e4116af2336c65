"""The report of the small finished run, for the tests of this folder."""

import dataclasses

import pandas as pd
import pytest

from setbull_pipelines.pipeline.daily_reports import gather
from setbull_pipelines.reporting.content import Stored
from setbull_pipelines_tests.pipeline.small_run import SmallRun, copied_run, small_run

__all__ = ["HOSTILE", "copied_run", "small_run", "spoiled", "stored"]
HOSTILE = '</script><img src=x onerror="window.hacked=1">&amp;\'`${1} \N{DEVANAGARI LETTER A}\u2028'
"""A name that tries to be more than text."""


@pytest.fixture(scope="session")
def stored(small_run: SmallRun) -> Stored:
    """The stored rows of the last day of the run."""
    return gather(small_run.days[-1], small_run.warehouse, small_run.settings)


def spoiled(stored: Stored) -> Stored:
    """The same rows with hostile text wherever text comes from data."""
    results = stored.filter_results
    texts = {name: HOSTILE + results[name] for name in results if name.endswith("reason")}
    return dataclasses.replace(
        stored,
        filter_results=results.assign(**texts),
        instruments=stored.instruments.assign(symbol=HOSTILE, name=HOSTILE),
        quarantined=pd.Series({HOSTILE: 3}),
        failures=stored.failures.reindex([0]).assign(
            asset=HOSTILE, instrument_key=HOSTILE, origin=HOSTILE, error=HOSTILE
        ),
        reconciliation=stored.reconciliation.assign(reason=HOSTILE),
    )
