"""Who is answered: the token, names of this machine, other sites, and large bodies."""

from __future__ import annotations

import logging

import pytest
from click.testing import CliRunner

from setbull_pipelines.api.gate import LARGEST_BODY, is_loopback
from setbull_pipelines.api.server import NotAllowed, serve
from setbull_pipelines.cli.main import main
from setbull_pipelines.settings import Settings
from setbull_pipelines_tests.api.answers import data, sentence
from setbull_pipelines_tests.api.running import PREFIX, USER, serving
from setbull_pipelines_tests.pipeline.small_run import SmallRun

TOP = f"{PREFIX}/filter-pipeline/fetch/top-10"
QUOTES = f"{PREFIX}/market/quotes"
TOKEN = "a secret of this test"


def test_with_a_token_only_those_who_send_it_are_answered(
    small_run: SmallRun, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(small_run.settings, TOKEN) as client:
        for given in (None, TOKEN, f"Bearer {TOKEN}x", "Bearer", f"bearer {TOKEN}"):
            headers = {} if given is None else {"Authorization": given}
            answer = client.get(TOP, headers=headers)
            assert sentence(answer, 401) == "expected the header Authorization: Bearer TOKEN"
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert client.get("/openapi.json").status_code == 401
        right = {"Authorization": f"Bearer {TOKEN}"}
        data(client.get(TOP, headers=right))
        data(client.get(TOP, headers=right | {"Host": "candles.example"}))
        document = client.get("/openapi.json", headers=right).json()
    assert document["components"]["securitySchemes"] == {
        "HTTPBearer": {"type": "http", "scheme": "bearer"}
    }
    assert TOKEN not in caplog.text


def test_without_a_token_only_names_of_this_machine_are_answered(small_run: SmallRun) -> None:
    with serving(small_run.settings) as client:
        for host in ("localhost", "127.0.0.1:8000", "[::1]:8000"):
            data(client.get(TOP, headers={"Host": host}))
        for host in ("candles.example", "127.0.0.1.example", "[::1"):
            said = sentence(client.get(TOP, headers={"Host": host}))
            assert said == "header Host: expected a name of this machine"


def test_pages_of_other_sites_are_refused(small_run: SmallRun) -> None:
    with serving(small_run.settings) as client:
        own = {"Origin": str(client.base_url).rstrip("/")}
        data(client.post(QUOTES, json={}, headers=USER | own))
        for origin in ("http://example.com", "null", "http://127.0.0.1"):
            said = sentence(client.post(QUOTES, json={}, headers=USER | {"Origin": origin}), 403)
            assert said == "header Origin: found another site, expected none"


def test_bodies_are_limited_before_they_are_read(small_run: SmallRun) -> None:
    with serving(small_run.settings) as client:
        large = b"[" + b" " * LARGEST_BODY
        assert sentence(client.post(QUOTES, content=large, headers=USER), 413)
        chunks = iter([b"{}"])
        assert sentence(client.post(QUOTES, content=chunks, headers=USER), 411)


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("example.com", False),
        ("", False),
    ],
)
def test_which_addresses_are_this_machine_alone(host: str, is_own: bool) -> None:
    assert is_loopback(host) is is_own


@pytest.mark.parametrize("environment", [{}, {"SETBULL_API_TOKEN": ""}])
def test_other_addresses_need_a_token(environment: dict[str, str]) -> None:
    with pytest.raises(NotAllowed, match=r"--host: found 0\.0\.0\.0, .*SETBULL_API_TOKEN"):
        serve(Settings(), "0.0.0.0", 0, environment)


def test_the_command_says_so(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETBULL_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("SETBULL_API_TOKEN", raising=False)
    result = CliRunner().invoke(main, ["api", "--host", "0.0.0.0"])
    assert result.exit_code == 2
    assert "error: --host: found 0.0.0.0" in result.output
    assert list(tmp_path.iterdir()) == []
