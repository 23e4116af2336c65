"""The small finished run, and the tables of the self-test's market, for the tests of this folder."""

import pandas as pd
import pytest

from setbull_pipelines.reconciliation.self_test import score
from setbull_pipelines.reconciliation.self_test.market import SESSIONS, Market
from setbull_pipelines.variants import V1, V2
from setbull_pipelines_tests.markets import computed_once
from setbull_pipelines_tests.pipeline.small_run import small_run
from setbull_pipelines_tests.reconciliation.every_kind import of_every_kind

__all__ = ["market_computed_once", "small_run", "variants"]


@pytest.fixture(scope="session")
def variants() -> tuple[Market, Market]:
    """All tables of the self-test's market in V1 and V2; read them, and copy what is to be changed."""
    return computed_once(V1), computed_once(V2)


@pytest.fixture
def market_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Self-tests of this test do not compute the market again."""
    monkeypatch.setattr(score, "computed_by", computed_once)


@pytest.fixture
def frame() -> pd.DataFrame:
    return of_every_kind()


@pytest.fixture(scope="module")
def market(variants) -> Market:
    return variants[0]


@pytest.fixture(scope="module")
def last_session(market) -> pd.DataFrame:
    """The indicators of one trading day, with their history behind them."""
    indicators = market["indicators_5min"]
    return indicators[indicators["trading_day"] == SESSIONS[-1]].reset_index(drop=True)
