"""Requests made from the API's own OpenAPI document: answers must be those that it promises."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from pydantic import TypeAdapter
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import positive_data_acceptance

from setbull_pipelines.api import (
    bands,
    candles,
    filters,
    groups,
    health,
    history,
    market,
    shapes,
)
from setbull_pipelines.api.examples import ANSWERS
from setbull_pipelines_tests.api.running import PREFIX, serving, webserver, with_dagster
from setbull_pipelines_tests.pipeline.small_run import SmallRun

EXAMPLES, FEW_EXAMPLES = 25, 4
OPERATIONS = {
    ("get", "/candles/{instrument_key}/{timeframe}"),
    ("post", "/candles/{instrument_key}/multi"),
    ("post", "/filter-pipeline/run"),
    ("get", "/filter-pipeline/fetch/top-10"),
    ("post", "/groups/{group_id}/execute"),
    ("post", "/market/quotes"),
    ("post", "/market/intraday-quotes"),
    ("post", "/historical-data/batch-store"),
    ("get", "/bbw/dashboard-data"),
    ("get", "/bbw/latest-day-data"),
    ("get", "/bbw/stocks"),
    ("get", "/bbw/stocks/{symbol}/history"),
    ("get", "/bbw/stats"),
    ("get", "/bbw/statistics"),
    ("get", "/bbw/alerts/active"),
    ("get", "/bbw/alerts/history"),
    ("get", "/bbw/market-status"),
    ("get", "/health"),
    ("get", "/ready"),
}
WITHOUT_INPUT = {
    *(("get", f"/bbw/{path}") for path in ("stats", "statistics", "market-status")),
    *(("get", f"/{path}") for path in ("health", "ready")),
}
"""There is nothing to vary: one request asks all."""
STREAMS = {("get", "/stream/candles")}
"""Answers without an end, which ``test_stream.py`` reads."""


@pytest.fixture(scope="module")
def client(grouped_run: SmallRun) -> Iterator[httpx.Client]:
    with (
        webserver(grouped_run.settings.data_directory) as dagster,
        serving(with_dagster(grouped_run.settings, dagster.url)) as asked,
    ):
        yield asked


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(str(client.base_url.join("/openapi.json")))


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("method", "path"), sorted(OPERATIONS - WITHOUT_INPUT))
def test_answers_are_those_of_the_document(
    document: schemathesis.BaseSchema, method: str, path: str, mode: GenerationMode
) -> None:
    operation = document[PREFIX + path][method]
    seen = set()
    # The paths of the dashboard share two parameters.
    examples = FEW_EXAMPLES if path.startswith("/bbw/") else EXAMPLES

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=examples, suppress_health_check=list(HealthCheck), derandomize=True)
    def ask(case: schemathesis.Case) -> None:
        # A type cannot say that a day must be a trading day, or that the end must not lie before the start.
        answer = case.call_and_validate(excluded_checks=[positive_data_acceptance])
        seen.add(answer.status_code)

    ask()
    assert seen
    assert seen <= {200, 400, 404}


def test_the_document_has_every_path_and_no_error_of_the_framework(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    found = {
        (method, path.removeprefix(PREFIX)): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert set(found) == OPERATIONS | STREAMS
    assert set(ANSWERS) == OPERATIONS
    for each, answer in ANSWERS.items():
        told = found[each]["responses"]["200"]["content"]["application/json"]
        assert told["example"] == answer
    for operation in found.values():
        assert "422" not in operation["responses"]
        assert {"200", "400"} <= set(operation["responses"])
        assert operation["description"]


def test_an_answer_that_the_document_does_not_promise_is_found(
    document: schemathesis.BaseSchema, client: httpx.Client
) -> None:
    """The oracle itself: an answer of another path breaks the promise."""
    case = document[f"{PREFIX}/filter-pipeline/fetch/top-10"]["get"].Case()
    other = client.get("/openapi.json")
    with pytest.raises(FailureGroup) as found:
        case.validate_response(other)
    assert [failure.title for failure in found.value.exceptions] == ["Response violates schema"]


@pytest.mark.parametrize(("method", "path"), sorted(WITHOUT_INPUT))
def test_answers_without_input_are_those_of_the_document(
    document: schemathesis.BaseSchema, method: str, path: str
) -> None:
    assert document[PREFIX + path][method].Case().call_and_validate().status_code == 200


@pytest.mark.parametrize(("method", "path"), sorted(OPERATIONS))
def test_the_example_of_an_answer_has_its_type(
    document: schemathesis.BaseSchema, method: str, path: str
) -> None:
    (route,) = (
        route
        for family in (bands, candles, filters, groups, health, history, market)
        for route in family.router.routes
        if (route.path, route.methods) == (path, {method.upper()})
    )
    TypeAdapter(route.response_model).validate_python(
        ANSWERS[method, path], strict=False, extra="forbid"
    )


def test_the_example_of_a_body_is_taken(document: schemathesis.BaseSchema) -> None:
    found = 0
    for name, schema in document.raw_schema["components"]["schemas"].items():
        if "example" in schema:
            getattr(shapes, name).model_validate(schema["example"], extra="forbid")
            found += 1
    assert found == 5
