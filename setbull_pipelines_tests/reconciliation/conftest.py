"""The small finished run, and the tables of the self-test's market, for the tests of this folder."""

import pytest

from setbull_pipelines.reconciliation.self_test.market import Market, computed_by
from setbull_pipelines.variants import V1, V2
from setbull_pipelines_tests.pipeline.small_run import small_run

__all__ = ["small_run", "variants"]


@pytest.fixture(scope="session")
def variants() -> tuple[Market, Market]:
    """All tables of the self-test's market in V1 and V2; read them, and copy what is to be changed."""
    return computed_by(V1), computed_by(V2)
