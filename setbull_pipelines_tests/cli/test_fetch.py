"""``setbull fetch`` as a user sees it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from setbull_pipelines.cli import fetch as fetch_command
from setbull_pipelines.cli import terminal
from setbull_pipelines.cli.main import main
from setbull_pipelines_tests.sources.upstox import instrument_list
from setbull_pipelines_tests.sources.upstox.broker import (
    INFY,
    TCS,
    TOKEN,
    Broker,
    Reply,
    broker,
    error_body,
)

MORNING = datetime(2026, 11, 23, 8, 0, tzinfo=ZoneInfo("Asia/Kolkata"))


@pytest.fixture
def server() -> Iterator[Broker]:
    with broker() as state:
        state.today = date(2026, 11, 23)
        yield state


@pytest.fixture
def listed(
    server: Broker, data_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The list of instruments, in an environment that leads to the server."""
    settings = tmp_path / "settings.toml"
    settings.write_text(
        f'[upstox]\nbase_url = "{server.url}"\nattempts = 2\nfirst_retry_seconds = 0.01\n'
    )
    monkeypatch.setenv("SETBULL_SETTINGS", str(settings))
    monkeypatch.setenv("SETBULL_UPSTOX_TOKEN", TOKEN)
    monkeypatch.setattr(fetch_command, "now", lambda: MORNING)
    path = tmp_path / "instruments.csv"
    path.write_text(f"instrument_key,symbol\n{INFY},INFY\n{TCS},TCS\n")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["fetch", *map(str, arguments)])


def rows(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines()]


def test_both_intervals_are_fetched_and_the_next_step_is_named(
    listed: Path, data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "_SECONDS_BETWEEN_LINES", 0.0)
    result = run("--instruments", listed, "--days", 10)
    assert result.exit_code == 0, result.output
    # interval, success, skipped, failed, requests, candles, provisional, files
    assert ["1minute", "2", "0", "0", "2", "60", "0", "10"] in rows(result.output)
    assert ["day", "2", "0", "0", "2", "20", "0", "1"] in rows(result.output)
    assert "fetching: 4 of 4 instruments" in result.output
    assert f"setbull run --input {data_directory / 'fetched'}" in result.output
    again = run("--instruments", listed, "--days", 10)
    assert ["1minute", "0", "2", "0", "0", "0", "0", "0"] in rows(again.output)


def test_one_interval_and_the_default_number_of_sessions(listed: Path, server: Broker) -> None:
    result = run("--instruments", listed, "--interval", "day")
    assert ["day", "2", "0", "0", "2", "1,200", "0", "30"] in rows(result.output)
    assert not [path for path in server.paths if "minutes" in path]


def test_a_failed_instrument_is_listed_and_the_exit_code_is_1(listed: Path, server: Broker) -> None:
    server.scripts[TCS] = [Reply(400, error_body("UDAPI100011", "Invalid Instrument key"))]
    result = run("--instruments", listed, "--interval", "1minute", "--days", 5)
    assert result.exit_code == 1
    assert ["1minute", "1", "0", "1", "2", "15", "0", "5"] in rows(result.output)
    assert "UDAPI100011: Invalid Instrument key" in " ".join(result.output.split())
    assert "error: 1 of 2 failed" in result.output


def test_a_refused_token_is_one_sentence(listed: Path, server: Broker) -> None:
    for key in (INFY, TCS):
        server.scripts[key] = [Reply(401, error_body("UDAPI100050", "Invalid token used"))] * 2
    result = run("--instruments", listed, "--days", 5)
    assert result.exit_code == 1
    last = result.output.splitlines()[-1]
    assert last.startswith("error: ")
    assert "set SETBULL_UPSTOX_TOKEN to a token of today" in last
    assert TOKEN not in result.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "setting upstox.instruments: found no file"),
        (["--instruments", "nowhere.csv"], "nowhere.csv: cannot be read"),
        (
            ["--instruments", "{listed}", "--days", "601"],
            "upstox.days: found 601, expected 1 to 600",
        ),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_asked(
    listed: Path, server: Broker, arguments: list[str], sentence: str
) -> None:
    result = run(*(argument.format(listed=listed) for argument in arguments))
    assert result.exit_code == 2
    assert sentence in result.output
    assert server.paths == []


def test_a_token_that_cannot_be_sent_is_not_shown(
    listed: Path, server: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SETBULL_UPSTOX_TOKEN", "secret one")
    result = run("--instruments", listed)
    assert result.exit_code == 2
    assert "SETBULL_UPSTOX_TOKEN: found a token with white space" in result.output
    assert "secret" not in result.output
    assert server.paths == []


def test_the_list_of_the_broker_can_be_what_is_fetched(
    listed: Path, server: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(
        settings.read_text() + f'instruments_url = "{server.url}{instrument_list.PATH}"\ndays = 1\n'
    )
    server.files[instrument_list.PATH] = Reply(body=instrument_list.LISTED)
    result = run("--master", "--interval", "1minute")
    assert result.exit_code == 0, result.output
    assert "the broker lists 2 stocks, 1 of them with derivatives" in result.output
    assert ["1minute", "2", "0", "0", "2", "6", "0", "1"] in rows(result.output)
    server.files[instrument_list.PATH] = Reply(404)
    failed = run("--master")
    assert failed.exit_code == 2
    assert "found HTTP 404, expected a file" in failed.output
