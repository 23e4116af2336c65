"""A client of the replaced system, asking what it always asked: every name that it reads is there with its type.

``old_answers.json`` holds an answer for each path: ``recorded`` from the running service (18 July 2025), ``documented``
by its own text, or of its ``structure``, names and types with invented values. Null stands for what is not known.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from setbull_pipelines_tests.api.running import (
    PREFIX,
    USER,
    keys_of,
    serving,
    webserver,
    with_dagster,
)
from setbull_pipelines_tests.pipeline.small_run import SmallRun

OLD = json.loads(Path(__file__).with_name("old_answers.json").read_text("utf-8"))
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "api.md"
LEFT_OUT = {
    "LastCandle.id",
    "LastCandle.created_at",
    "data.data[].id",
    "data.data[].created_at",
}
"""Ends of names that are not told any more; each is in docs/api.md with its reason."""


@pytest.fixture(scope="module")
def client(grouped_run: SmallRun) -> Iterator[httpx.Client]:
    with (
        webserver(grouped_run.settings.data_directory) as dagster,
        serving(with_dagster(grouped_run.settings, dagster.url)) as asked,
    ):
        yield asked


def differences(old: object, new: object, name: str) -> Iterator[str]:
    """Names that are gone, and values of another type."""
    if any(name.endswith(end) for end in LEFT_OUT) or new is None:
        return
    if isinstance(old, dict):
        if not isinstance(new, dict):
            yield f"{name} is no object"
            return
        for each, value in old.items():
            inner = f"{name}.{each}".removeprefix(".")
            if each in new:
                yield from differences(value, new[each], inner)
            elif not any(inner.endswith(end) for end in LEFT_OUT):
                yield f"{inner} is gone"
    elif isinstance(old, list):
        if not isinstance(new, list):
            yield f"{name} is no list"
            return
        for each in new[:3]:
            if old:
                yield from differences(old[0], each, f"{name}[]")
    elif isinstance(old, bool) or isinstance(new, bool) or isinstance(old, str):
        if type(old) is not type(new):
            yield f"{name} is {new!r}, was like {old!r}"
    elif not isinstance(new, int | float):
        yield f"{name} is {new!r}, was like {old!r}"


@pytest.mark.parametrize("case", OLD, ids=lambda case: f"{case['verb']} {case['path']}")
def test_every_name_of_an_old_answer_is_there_with_its_type(
    client: httpx.Client, grouped_run: SmallRun, case: dict
) -> None:
    # The first of the groups that trade the band range, with a symbol of the universe.
    key = keys_of(grouped_run)[0]
    asked = case["path"].format(key=quote(key, safe=""), symbol=key.partition("|")[2])
    body = json.loads(json.dumps(case.get("body")).replace("{key}", key))
    answer = client.request(case["verb"], PREFIX + asked, json=body, headers=USER)
    assert answer.status_code == 200, answer.text
    old = json.loads(json.dumps(case["answer"]).replace("{key}", key))
    new = answer.json()
    assert list(differences(old, new, "")) == []
    # An empty list would promise everything.
    told = new["data"]
    assert told.get("data", told) if isinstance(told, dict) else told


def test_what_is_gone_or_of_another_type_is_found() -> None:
    old = {"a": 1, "b": [{"c": "x", "d": True}], "e": {"f": 2.0}}
    assert list(differences(old, {"a": 2.5, "b": [], "e": None}, "")) == []
    assert list(differences(old, {"b": [{"c": 1, "d": 1}], "e": []}, "")) == [
        "a is gone",
        "b[].c is 1, was like 'x'",
        "b[].d is 1, was like True",
        "e is no object",
    ]


def test_what_is_left_out_is_documented() -> None:
    text = DOCUMENT.read_text("utf-8")
    for name in LEFT_OUT:
        assert f"`{name.rpartition('.')[2]}`" in text, name


def test_the_eleven_paths_of_the_dashboard_are_answered_or_say_why_not(
    client: httpx.Client,
) -> None:
    told = client.delete(f"{PREFIX}/bbw/alerts/history")
    assert (told.status_code, told.json()["error"]) == (
        405,
        "the history of alerts is what the stored sessions say; this API changes nothing",
    )
    told = client.post(f"{PREFIX}/bbw/alerts/configure", json={"alert_threshold": 0.1})
    assert (told.status_code, told.json()["error"]) == (
        405,
        "alerts are configured in the settings file, in its groups bb_width and alerts",
    )
    answered = [case["path"] for case in OLD if case["path"].startswith("/bbw/")]
    assert len(answered) == 9


def test_pages_follow_each_other_until_all_is_told(
    client: httpx.Client, grouped_run: SmallRun
) -> None:
    path = f"{PREFIX}/candles/{quote(keys_of(grouped_run)[0], safe='')}/30minute"
    whole = client.get(path)
    rows, url = [], f"{path}?limit=7&start=2026-06-29T09:45:00%2B05:30"
    while url:
        page = client.get(url)
        assert int(page.headers["x-total-count"]) == len(whole.json()["data"]["data"]) - 1
        found = page.json()["data"]["data"]
        assert 1 <= len(found) <= 7
        rows += found
        url = page.links.get("next", {}).get("url")
    assert rows == whole.json()["data"]["data"][1:]
    beyond = client.get(path, params={"limit": 5, "offset": 1000})
    assert (beyond.json()["data"]["data"], beyond.links) == ([], {})

    stocks = f"{PREFIX}/filter-pipeline/fetch/top-10"
    everyone = client.get(stocks).json()["data"]
    second = client.get(stocks, params={"limit": 1, "offset": 1})
    assert second.json()["data"] == everyone[1:2]
    assert second.headers["x-total-count"] == str(len(everyone))


def test_the_reference_is_a_page_of_every_path_that_loads_nothing(client: httpx.Client) -> None:
    answer = client.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = answer.text
    assert "<script" not in page
    assert "http://" not in page.replace("http://127.0.0.1:8000", "")
    assert "https://" not in page
    for (path, operations), number in zip(
        client.get("/openapi.json").json()["paths"].items(), range(100), strict=False
    ):
        assert page.count(f"</span> {path}</h2>") == len(operations), number
    assert (
        "curl -X POST -H &#x27;X-User-Id: 1&#x27; -H &#x27;Content-Type: application/json" in page
    )
