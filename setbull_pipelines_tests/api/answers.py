"""Where candles are asked for, what an answer of the API holds, and the sentence of one that refuses.

Belongs here: what tests of several paths ask and look at. Does not belong here: starting a server, which :mod:`running`
has.
"""

from __future__ import annotations

from urllib.parse import quote

import httpx

from setbull_pipelines_tests.api.running import PREFIX

UNKNOWN = "NSE_EQ|INE000000000"
NOT_KNOWN = f"{UNKNOWN} is not among the instruments; raw.instruments lists them"


def path_of(key: str, rest: str) -> str:
    return f"{PREFIX}/candles/{quote(key, safe='')}/{rest}"


def data(answer: httpx.Response, status: int = 200) -> object:
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert document["success"] is True
    return document["data"]


def sentence(answer: httpx.Response, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert set(document) == {"success", "error"}
    assert document["success"] is False
    return document["error"]
