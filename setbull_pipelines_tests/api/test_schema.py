"""Requests made from the API's own OpenAPI document: answers must be those that it promises."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance

from setbull_pipelines_tests.api.running import serving, webserver, with_dagster
from setbull_pipelines_tests.pipeline.small_run import SmallRun

EXAMPLES = 15


@pytest.fixture(scope="module")
def client(grouped_run: SmallRun) -> Iterator[httpx.Client]:
    with (
        webserver(grouped_run.settings.data_directory) as dagster,
        serving(with_dagster(grouped_run.settings, dagster.url)) as asked,
    ):
        yield asked


@pytest.fixture
def document(client: httpx.Client) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")


schema = schemathesis.pytest.from_fixture("document")


@schema.parametrize()
@settings(
    max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), deadline=None, derandomize=True
)
def test_answers_are_those_of_the_document(case: schemathesis.Case) -> None:
    # A type cannot say that a day must be a trading day, or that the end must not lie before the start.
    case.call_and_validate(excluded_checks=[positive_data_acceptance])


def test_the_document_has_every_path_and_no_error_of_the_framework(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) == {
        "/api/v1/candles/{instrument_key}/{timeframe}",
        "/api/v1/candles/{instrument_key}/multi",
        "/api/v1/filter-pipeline/run",
        "/api/v1/filter-pipeline/fetch/top-10",
        "/api/v1/groups/{group_id}/execute",
        "/api/v1/market/quotes",
        "/api/v1/market/intraday-quotes",
        "/api/v1/historical-data/batch-store",
    }
    for operations in document["paths"].values():
        for operation in operations.values():
            assert "422" not in operation["responses"]
            assert {"200", "400"} <= set(operation["responses"])
            assert operation["description"]


def test_a_server_error_would_be_seen() -> None:
    assert not_a_server_error in schemathesis.checks.CHECKS.get_all()
