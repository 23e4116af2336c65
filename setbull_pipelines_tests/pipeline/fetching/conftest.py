"""A broker on loopback, settings to ask it, and a fetch at a fixed moment, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from setbull_pipelines.pipeline.fetching import Fetched, fetch
from setbull_pipelines.pipeline.what_to_fetch import fetched_directory
from setbull_pipelines.settings import UPSTOX_TOKEN_VARIABLE, Settings, UpstoxSettings
from setbull_pipelines_tests.sources.upstox.broker import TOKEN, Broker, broker, listed

IST = ZoneInfo("Asia/Kolkata")
FRIDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 23)
MORNING = datetime(2026, 11, 23, 8, 0, tzinfo=IST)  # a Monday, before the session


@pytest.fixture
def server() -> Iterator[Broker]:
    """The broker, whose today is the Monday."""
    with broker() as state:
        state.today = MONDAY
        yield state


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The token that the broker takes, as a user gives it."""
    monkeypatch.setenv(UPSTOX_TOKEN_VARIABLE, TOKEN)


@pytest.fixture
def settings(tmp_path: Path, server: Broker) -> Settings:
    """Settings to ask that broker, soon again where it fails."""
    upstox = UpstoxSettings(base_url=server.url, first_retry_seconds=0.01, attempts=3)
    return Settings(data_directory=tmp_path / "data", upstox=upstox)


def ask(
    settings: Settings, *keys: str, at: datetime = MORNING, days: int = 5, intraday: bool = False
) -> Fetched:
    """Fetch minutes of some instruments as it is done at a moment."""
    return fetch(listed(*keys), {"1minute": days}, settings, lambda: at, intraday)


def told(fetched: Fetched) -> list[tuple[str, str]]:
    """Status of each instrument, and what was asked for."""
    return [(r.status, "; ".join(map(str, r.segments))) for r in fetched.results]


def minute_files(settings: Settings) -> list[str]:
    """The sessions of which there are minutes."""
    folder = fetched_directory(settings) / "1minute"
    return sorted(path.stem for path in folder.glob("*.parquet"))
