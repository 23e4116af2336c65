"""Requests made from the API's own OpenAPI document: answers must be those that it promises."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import positive_data_acceptance

from setbull_pipelines_tests.api.running import PREFIX, serving, webserver, with_dagster
from setbull_pipelines_tests.pipeline.small_run import SmallRun

EXAMPLES = 25
OPERATIONS = {
    ("get", "/candles/{instrument_key}/{timeframe}"),
    ("post", "/candles/{instrument_key}/multi"),
    ("post", "/filter-pipeline/run"),
    ("get", "/filter-pipeline/fetch/top-10"),
    ("post", "/groups/{group_id}/execute"),
    ("post", "/market/quotes"),
    ("post", "/market/intraday-quotes"),
    ("post", "/historical-data/batch-store"),
}
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
@pytest.mark.parametrize(("method", "path"), sorted(OPERATIONS))
def test_answers_are_those_of_the_document(
    document: schemathesis.BaseSchema, method: str, path: str, mode: GenerationMode
) -> None:
    operation = document[PREFIX + path][method]
    seen = set()

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), derandomize=True)
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
