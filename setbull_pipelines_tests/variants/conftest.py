"""Fixtures of the tests that both variants must pass."""

from __future__ import annotations

import pytest

from setbull_pipelines.variants import V1, V2
from setbull_pipelines.variants.protocol import Variant


@pytest.fixture(scope="session", params=[V1, V2], ids=["V1", "V2"])
def variant(request: pytest.FixtureRequest) -> Variant:
    """Each implementation in turn."""
    return request.param
