"""All of an answer is of one moment, whatever is published while it is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from setbull_pipelines import tables
from setbull_pipelines.api import reading
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.tables import Table
from setbull_pipelines_tests.api.answers import data, path_of
from setbull_pipelines_tests.api.running import keys_of, serving
from setbull_pipelines_tests.pipeline.small_run import SmallRun, publish

MARKED = 77
"""No average of the sample's prices, which are in hundreds, and no volume of a bar or a day."""


def revised(run: SmallRun) -> None:
    """Publish the last day of the served tables anew, as a correction of its minutes would."""
    day = run.days[-1].isoformat()
    for table, column in (
        (tables.CANDLES_5MIN, "volume"),
        (tables.CANDLES_DAILY, "volume"),
        (tables.INDICATORS_5MIN, "ma_9"),
        (tables.INDICATORS_DAILY, "ma_9"),
    ):
        stored = served_table(table)
        rows = run.warehouse.read(stored, [day])
        marked = rows[column].mask(rows[column].notna(), MARKED)
        publish(run.warehouse, stored, day, rows.assign(**{column: marked}))


def after_the_first(read: Callable[..., Any], act: Callable[[], None]) -> Callable[..., Any]:
    """``read``, which after its first call lets something happen before it returns."""
    calls: list[Table] = []

    def reads(table: Table, days: Sequence, *rest: object) -> object:
        rows = read(table, days, *rest)
        calls.append(table)
        if len(calls) == 1:
            act()
        return rows

    return reads


def test_bars_and_their_indicators_are_of_one_moment(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(keys_of(copied_run)[0], "5minute")
    real = reading.read_served
    with serving(copied_run.settings) as client:
        before = data(client.get(path))["data"]
        monkeypatch.setattr(
            reading, "read_served", after_the_first(real, lambda: revised(copied_run))
        )
        assert data(client.get(path))["data"] == before
        monkeypatch.setattr(reading, "read_served", real)
        after = data(client.get(path))["data"]
    assert MARKED not in {bar["volume"] for bar in before} | {bar["ma_9"] for bar in before}
    last = [bar for bar in after if bar["timestamp"] >= copied_run.days[-1].isoformat()]
    assert {(bar["volume"], bar["ma_9"]) for bar in last} == {(MARKED, MARKED)}


def test_timeframes_of_one_answer_are_of_one_moment(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, body = path_of(keys_of(copied_run)[0], "multi"), {"timeframes": ["5minute", "day"]}
    real = reading.read_served
    with serving(copied_run.settings) as client:
        before = data(client.post(path, json=body))
        monkeypatch.setattr(
            reading, "read_served", after_the_first(real, lambda: revised(copied_run))
        )
        assert data(client.post(path, json=body)) == before
        monkeypatch.setattr(reading, "read_served", real)
        assert data(client.post(path, json=body)) != before
