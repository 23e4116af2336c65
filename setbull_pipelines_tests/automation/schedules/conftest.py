"""Definitions, an instance of Dagster, and the daily schedule, for the tests of this folder."""

from __future__ import annotations

import dagster as dg
import pytest

from setbull_pipelines.definitions import build_defs
from setbull_pipelines.settings import CalendarSettings, RefreshSettings, Settings
from setbull_pipelines_tests.automation.ticks import (
    Tick,
    ticking,
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    # Days before the sample, of which the calendar knows holidays and special sessions of every kind.
    return Settings(
        data_directory=tmp_path_factory.mktemp("data"),
        refresh=RefreshSettings(catch_up_days=3),
        calendar=CalendarSettings(first_partition="2023-01-01"),
    )


@pytest.fixture(scope="module")
def definitions(settings) -> dg.Definitions:
    return build_defs(settings)


@pytest.fixture
def instance(stored_instance) -> dg.DagsterInstance:
    stored_instance.wipe()
    return stored_instance


@pytest.fixture
def tick(settings, instance) -> Tick:
    return ticking(settings, instance, "after_close")


# The session under way


@pytest.fixture
def look(settings, instance) -> Tick:
    return ticking(settings, instance, "intraday")
