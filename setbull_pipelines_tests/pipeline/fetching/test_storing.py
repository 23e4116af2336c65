"""What is stored of a fetch: the list of instruments, a row for each, the asset and its check, and for how long."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run

from setbull_pipelines.assets import fetched as fetched_asset
from setbull_pipelines.assets.checking import severity
from setbull_pipelines.assets.common import needs_warehouse
from setbull_pipelines.assets.fetched import FETCHED_KEY, FETCHES_KEY, build_fetched_asset
from setbull_pipelines.assets.maintenance import build_maintenance_asset
from setbull_pipelines.automation.noticing import failure_of
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.pipeline.fetching import STORED, fetch, publish_fetch, remove_expired
from setbull_pipelines.pipeline.judging import judge
from setbull_pipelines.pipeline.opening import warehouse_root
from setbull_pipelines.pipeline.raw import read_sources
from setbull_pipelines.pipeline.what_to_fetch import (
    NoInstruments,
    fetched_directory,
    instruments_of,
    kept_directory,
)
from setbull_pipelines.quality.fetches import RULES
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import WHOLE
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.pipeline.fetching.conftest import FRIDAY, MORNING, ask, minute_files
from setbull_pipelines_tests.sources.upstox.broker import INFY, TCS, Broker, Reply, listed

(RULE,) = RULES

# Instruments


def test_the_list_of_instruments_is_a_csv_or_the_brokers_json(tmp_path: Path) -> None:
    csv = tmp_path / "list.csv"
    csv.write_text(f"instrument_key,symbol\n{TCS},TCS\n{INFY},INFY\n")
    assert list(instruments_of(csv)["symbol"]) == ["INFY", "TCS"]
    json = tmp_path / "NSE.json"
    json.write_text(
        f'[{{"instrument_key": "{INFY}", "trading_symbol": "INFY", "lot_size": 1, "tick_size": 5}}]'
    )
    found = instruments_of(json).iloc[0]
    assert (found["instrument_key"], found["isin"], found["tick_size"]) == (INFY, INFY[7:], 0.05)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"cannot be read \(No such file or directory\)"),
        ("", "empty file"),
        ("symbol,lot_size\n,1\nINFY,1\n", "1 of 2 rows name no instrument; first line 2"),
        ("instrument_key,symbol\nNOWHERE|X,X\n", "unknown segment 'NOWHERE'"),
    ],
)
def test_a_list_that_is_none_is_refused(tmp_path: Path, content: str | None, sentence: str) -> None:
    path = tmp_path / "list.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(NoInstruments, match=sentence):
        instruments_of(path)


# Stored results, check, asset, retention


def test_the_last_fetch_of_every_instrument_is_a_row(server: Broker, settings: Settings) -> None:
    store = Warehouse(warehouse_root(settings))
    server.scripts[TCS] = [Reply(400, b"no")]
    publish_fetch(ask(settings, INFY, TCS), store, settings, "test")
    found = judge([RULE], store, settings, None)[RULE.name]
    assert not found.passed
    assert found.description.startswith(
        "1 of 2 failed; first: 1minute candles of NSE_EQ|INE467B01029"
    )
    assert severity(RULE, found) is dg.AssetCheckSeverity.WARN
    publish_fetch(ask(settings, TCS), store, settings, "test")
    rows = store.read(STORED, [WHOLE]).set_index("instrument_key")
    assert list(rows["status"]) == ["success", "success"]
    assert rows.loc[INFY, "segments"] == "full_range 2026-11-16 to 2026-11-20"
    assert list(rows["wanted_to"].dt.date) == [FRIDAY] * 2
    assert list(rows["finished_at"]) == [MORNING] * 2
    assert judge([RULE], store, settings, None)[RULE.name].passed


def test_a_fetch_of_nothing_fails_the_check(server: Broker, settings: Settings) -> None:
    store = Warehouse(warehouse_root(settings))
    publish_fetch(ask(settings), store, settings, "test")
    assert not judge([RULE], store, settings, None)[RULE.name].passed


def configured(settings: Settings, tmp_path: Path, *keys: str) -> Settings:
    path = tmp_path / "list.csv"
    path.write_text("instrument_key,symbol\n" + "".join(f"{key},{key[-4:]}\n" for key in keys))
    upstox = replace(settings.upstox, instruments=str(path), days=5, daily_days=10)
    return replace(settings, upstox=upstox)


def materialize(settings: Settings) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [build_fetched_asset(settings)],
        resources=needs_warehouse(settings),
        raise_on_error=False,
    )


def test_the_asset_fetches_stores_and_shows_it(
    server: Broker, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetched_asset, "now", lambda: MORNING)
    settings = configured(settings, tmp_path, INFY, TCS)
    server.scripts[TCS] = [Reply(400, b"no")]
    result = materialize(settings)
    assert result.success
    events = {e.asset_key: e.materialization for e in result.get_asset_materialization_events()}
    assert events[FETCHED_KEY].metadata["files written"].value == 6  # 5 sessions, 1 month
    shown = events[FETCHES_KEY].metadata
    assert [shown[name].value for name in ("success", "skipped", "failed")] == [3, 0, 1]
    assert len(shown["failed, the first"].value.records) == 1
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    # What was fetched is an input like any other.
    intake = read_sources(replace(settings, input=str(fetched_directory(settings))))
    assert intake.days("minutes")[-1] == FRIDAY
    assert len(intake.days("daily")) == 10
    assert set(intake.files["kind"]) == {"minutes", "daily", "instruments"}
    assert list(intake.instruments["symbol"]) == ["1021", "1029"]


def test_the_list_beside_the_candles_never_forgets_an_instrument(
    server: Broker, settings: Settings
) -> None:
    ask(settings, INFY, TCS)
    renamed = listed(INFY).assign(symbol="INFOSYS")
    fetch(renamed, {"1minute": 5}, settings, lambda: MORNING)
    intake = read_sources(replace(settings, input=str(fetched_directory(settings))))
    assert list(intake.instruments["symbol"]) == ["INFOSYS", "01029"]
    day = intake.load_day(FRIDAY)
    assert len(day.candles_1min) == 6
    assert day.quarantine.empty


def test_the_asset_fails_when_the_token_is_refused_and_stores_that(
    server: Broker, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetched_asset, "now", lambda: MORNING)
    settings = configured(settings, tmp_path, INFY)
    server.scripts[INFY] = [Reply(401, b"")] * 2
    result = materialize(settings)
    assert not result.success
    rows = Warehouse(warehouse_root(settings)).read(STORED, [WHOLE])
    assert set(rows["status"]) == {"failed"}


def test_the_asset_without_a_list_says_which_setting_is_missing(settings: Settings) -> None:
    result = materialize(settings)
    assert not result.success
    (failure,) = [e for e in result.all_node_events if e.is_step_failure]
    assert "upstox.instruments" in str(failure.step_failure_data.user_failure_data.description)


def test_maintenance_removes_answers_and_candles_past_their_retention(
    server: Broker, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(settings, INFY)
    assert remove_expired(settings, date(2029, 5, 8)) == 0  # 900 days after the last session
    assert len(minute_files(settings)) == 5
    assert remove_expired(settings, date(2029, 5, 10)) == 1
    assert minute_files(settings) == []
    assert not list(kept_directory(settings).rglob("*.json.gz"))
    result = dg.materialize(
        [build_maintenance_asset(settings)], resources=needs_warehouse(settings)
    )
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["answers of the broker deleted"].value == 0


def test_nothing_is_removed_where_nothing_was_fetched(tmp_path: Path) -> None:
    assert remove_expired(Settings(data_directory=tmp_path), FRIDAY) == 0


@pytest.mark.parametrize("with_others", [False, True])
def test_a_broker_that_was_never_set_up_fails_a_fetch_and_not_a_run_of_everything(
    settings: Settings, with_others: bool
) -> None:
    keys = {FETCHED_KEY, FETCHES_KEY}
    if with_others:
        keys |= {dg.AssetKey(["raw", "intake"])}
    definitions = build_defs(settings)
    job = definitions.resolve_implicit_global_asset_job_def().get_subset(asset_selection=keys)
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(job, asset_selection=frozenset(keys))
        result = execute_run(InMemoryJob(job), run, instance)
        assert result.success is with_others
        if not with_others:
            assert "upstox.instruments: found no file" in failure_of(result.all_events)
        made = {
            event.asset_key: event.materialization.metadata
            for event in result.all_events
            if event.is_step_materialization
        }
        if with_others:
            assert made[FETCHED_KEY]["requests"].value == 0
            assert made[FETCHED_KEY]["list of instruments"].value.startswith(
                "nothing was asked for"
            )
        else:
            assert FETCHED_KEY not in made
