"""The broker's list of instruments, in the layout of its documentation, from a real server."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from setbull_pipelines.assets import fetched as fetched_asset
from setbull_pipelines.assets.common import needs_warehouse
from setbull_pipelines.assets.fetched import build_fetched_asset
from setbull_pipelines.pipeline.fetching import fetch
from setbull_pipelines.pipeline.raw import read_sources
from setbull_pipelines.pipeline.what_to_fetch import (
    NoInstruments,
    RefreshedInstruments,
    configured_instruments,
    fetched_directory,
    refresh_instruments,
)
from setbull_pipelines.settings import UPSTOX_TOKEN_VARIABLE, RunSettings, Settings, UpstoxSettings
from setbull_pipelines.sources.upstox.calls import CallFailed
from setbull_pipelines.sources.upstox.master import (
    InvalidMaster,
    derivatives_file,
    instruments_file,
    read_master,
)
from setbull_pipelines_tests.sources.upstox.broker import INFY, TCS, TOKEN, Broker, Reply, broker
from setbull_pipelines_tests.sources.upstox.instrument_list import (
    INDEX,
    LISTED,
    PATH,
    future,
    packed,
    stock,
    zipped,
)

MONDAY, WEDNESDAY = date(2026, 11, 23), date(2026, 11, 25)


def test_shares_are_taken_and_those_with_derivatives_known() -> None:
    master = read_master(LISTED)
    assert sorted(master.stocks) == sorted([TCS, INFY])
    assert master.underlyings == {INFY}


def test_limits_of_orders_and_the_order_of_the_list_make_no_new_file() -> None:
    other = packed(stock(INFY, "INFY", freeze_quantity=7.0), stock(TCS, "TCS", short_name="Tata"))
    assert instruments_file(read_master(other)) == instruments_file(read_master(LISTED))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "no gzipped JSON"),
        (LISTED[:-20], "cut short"),
        (zipped("{"), "no gzipped JSON"),
        (zipped("{}"), "another shape"),
        (zipped("[1]"), "another shape"),
        (zipped("[]"), "0 instruments and no stock"),
        (packed(INDEX, future(INFY)), "2 instruments and no stock"),
    ],
    ids=["web page", "cut", "half a text", "object", "list of numbers", "empty", "no stock"],
)
def test_what_is_no_list_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(InvalidMaster, match=reason):
        read_master(body)


def test_derivatives_begin_when_they_are_first_seen_and_end_when_they_are_gone() -> None:
    def rows(content: bytes) -> list[list[str]]:
        return list(csv.reader(io.StringIO(content.decode())))[1:]

    both = read_master(packed(stock(INFY, "INFY"), stock(TCS, "TCS"), future(INFY), future(TCS)))
    one = read_master(packed(stock(INFY, "INFY"), stock(TCS, "TCS"), future(INFY)))
    first = derivatives_file(both, None, MONDAY)
    assert rows(first) == [[INFY, "INFY", "2026-11-23", ""], [TCS, "TCS", "2026-11-23", ""]]
    assert derivatives_file(both, first, WEDNESDAY) == first
    second = derivatives_file(one, first, WEDNESDAY)
    assert rows(second) == [
        [INFY, "INFY", "2026-11-23", ""],
        [TCS, "TCS", "2026-11-23", "2026-11-24"],
    ]
    assert derivatives_file(one, second, date(2026, 11, 26)) == second
    back = derivatives_file(both, second, date(2026, 12, 1))
    assert rows(back)[1:] == [
        [TCS, "TCS", "2026-11-23", "2026-11-24"],
        [TCS, "TCS", "2026-12-01", ""],
    ]


# The whole way


@pytest.fixture
def server() -> Iterator[Broker]:
    with broker() as state:
        state.today = MONDAY
        state.files[PATH] = Reply(body=LISTED)
        yield state


@pytest.fixture
def settings(tmp_path: Path, server: Broker, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv(UPSTOX_TOKEN_VARIABLE, TOKEN)
    upstox = UpstoxSettings(
        base_url=server.url,
        instruments_url=server.url + PATH,
        attempts=2,
        first_retry_seconds=0.01,
        days=1,
        daily_days=1,
    )
    return Settings(data_directory=tmp_path / "data", upstox=upstox)


def now() -> datetime:
    return datetime(2026, 11, 23, 8, tzinfo=ZoneInfo("Asia/Kolkata"))


def files_of(settings: Settings) -> dict[str, bytes]:
    folder = fetched_directory(settings) / "master"
    return {path.name: path.read_bytes() for path in folder.glob("[a-z]*")}


def test_a_list_becomes_files_that_intake_reads(server: Broker, settings: Settings) -> None:
    with pytest.raises(NoInstruments, match="or the broker's list by --master"):
        configured_instruments(settings)
    assert refresh_instruments(settings, now) == RefreshedInstruments(
        2, 1, ("instruments.json", "derivatives.csv")
    )
    # The token is for the API and goes nowhere else.
    assert server.authorizations == {None}
    instruments = configured_instruments(settings)
    assert set(instruments["symbol"]) == {"TCS", "INFY"}
    fetch(instruments, {"1minute": 1}, settings, now)
    intake = read_sources(replace(settings, input=str(fetched_directory(settings))))
    assert (intake.files["kind"] != "rejected").all()
    assert set(intake.instruments["tick_size"]) == {0.05}
    assert set(intake.instruments["series"]) == {"EQ"}
    assert intake.derivative_underlyings["instrument_key"].tolist() == [INFY]


def test_an_unchanged_list_writes_nothing(settings: Settings) -> None:
    refresh_instruments(settings, now)
    stamps = {p: p.stat().st_mtime_ns for p in (fetched_directory(settings) / "master").glob("*.*")}
    assert refresh_instruments(settings, now).written == ()
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


@pytest.mark.parametrize(
    ("reply", "error", "reason"),
    [
        (Reply(503), CallFailed, "found HTTP 503, expected a file, after 2 attempts"),
        (Reply(404), CallFailed, "found HTTP 404, expected a file$"),
        (Reply(body=b"<html>"), InvalidMaster, "no gzipped JSON"),
        (Reply(body=LISTED, cut=True), CallFailed, "the request failed"),
    ],
)
def test_a_failure_leaves_the_files_as_they_were(reply, error, reason, server, settings) -> None:
    refresh_instruments(settings, now)
    before = files_of(settings)
    server.files[PATH] = reply
    with pytest.raises(error, match=reason):
        refresh_instruments(settings, now)
    assert files_of(settings) == before


def test_a_list_without_half_of_the_stocks_is_refused(server: Broker, settings: Settings) -> None:
    keys = [f"NSE_EQ|INE00000000{number}" for number in range(5)]
    server.files[PATH] = Reply(body=packed(*(stock(key, key[-5:]) for key in keys)))
    refresh_instruments(settings, now)
    before = files_of(settings)
    server.files[PATH] = Reply(body=packed(stock(keys[0], "ONE"), stock(keys[1], "TWO")))
    with pytest.raises(
        InvalidMaster, match="found 2 stocks, expected at least half of the 5 known"
    ):
        refresh_instruments(settings, now)
    assert files_of(settings) == before


def test_a_fetch_that_failed_is_tried_again_and_a_token_that_is_none_is_not(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh_instruments(settings, now)
    monkeypatch.setattr(fetched_asset, "now", now)
    runs = RunSettings(fetch_retries=1, fetch_retry_seconds=0.01)
    tried, passes = [], [False, True]

    def fetch_at_last(*given: object, **named: object) -> object:
        tried.append(given)
        if not passes.pop(0):
            raise OSError("the folder is away")
        return fetch(*given, **named)

    def run() -> bool:
        asset = build_fetched_asset(replace(settings, runs=runs))
        resources = needs_warehouse(settings)
        return dg.materialize([asset], resources=resources, raise_on_error=False).success

    monkeypatch.setattr(fetched_asset.fetching, "fetch", fetch_at_last)
    assert run()
    assert len(tried) == 2
    passes += [False, False, True]
    assert not run()
    assert len(tried) == 4
    passes[:] = [True, True]
    monkeypatch.setenv(UPSTOX_TOKEN_VARIABLE, "two words")
    assert not run()
    assert len(tried) == 5


def test_a_fetch_of_dagster_begins_with_the_list_and_goes_on_without_it(
    server: Broker, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetched_asset, "now", now)
    settings = replace(settings, upstox=replace(settings.upstox, refresh_instruments=True))

    def run() -> dg.ExecuteInProcessResult:
        asset = build_fetched_asset(settings)
        return dg.materialize([asset], resources=needs_warehouse(settings), raise_on_error=False)

    server.files[PATH] = Reply(503)
    assert not run().success  # neither a list nor instruments that are named
    for reply, told in (
        (Reply(body=LISTED), "2 stocks, 1 with derivatives"),
        (Reply(503), "stays as it was: "),
    ):
        server.files[PATH] = reply
        result = run()
        assert result.success
        (event, _) = result.get_asset_materialization_events()
        shown = event.materialization.metadata["list of instruments"].value
        assert shown.startswith(told)
