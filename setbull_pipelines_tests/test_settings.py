"""Settings: defaults, the TOML file, the environment, and one sentence for every impossible value."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from setbull_pipelines.cli.main import main
from setbull_pipelines.market.calendar import NSE, Amendment
from setbull_pipelines.settings import (
    PROFILES,
    AggregationSettings,
    InvalidSettings,
    Settings,
    fingerprint,
    load_settings,
    recorded_source,
)
from setbull_pipelines.settings.deployment import groups_of
from setbull_pipelines.settings.former_names import FORMER, now_called
from setbull_pipelines.settings.loading import load_with_origins
from setbull_pipelines.settings.meanings import purpose_of, settings_of
from setbull_pipelines.tables.look_back import refuse_short_look_back


def load(tmp_path: Path, toml: str = "", **environment: str) -> Settings:
    path = tmp_path / "settings.toml"
    path.write_text(toml, encoding="utf-8")
    return load_settings(
        {"SETBULL_SETTINGS": str(path), "SETBULL_DATA_DIR": str(tmp_path / "data"), **environment}
    )


def test_without_file_and_environment_the_defaults_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings({})
    assert settings.data_directory == tmp_path / "data"
    assert dataclasses.replace(settings, data_directory=Path("data")) == Settings()
    assert settings.input is None


def test_defaults_are_the_published_ones() -> None:
    settings = Settings()
    assert settings.filters.minimum_close == 50.0
    assert settings.filters.maximum_close == 1000.0
    assert settings.filters.minimum_average_volume == 400_000
    assert settings.sequences.look_back_days == 21
    assert settings.indicators.warm_margin_bars == 200
    assert settings.look_back.sessions_daily == 600


def test_the_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "[filters]\nminimum_close = 20\n[indicators]\nwarm_margin_bars = 300\n"
        '[refresh]\nticks = ["0 17 * * *"]\n[aggregation]\nuntraded_minutes = "include"\n',
    )
    assert settings.filters == dataclasses.replace(Settings().filters, minimum_close=20.0)
    assert isinstance(settings.filters.minimum_close, float)
    assert settings.indicators == dataclasses.replace(Settings().indicators, warm_margin_bars=300)
    assert settings.refresh.ticks == ("0 17 * * *",)
    assert settings.aggregation.untraded_minutes == "include"
    assert settings.sequences == Settings().sequences


def test_a_profile_is_the_start_and_the_file_has_the_last_word(tmp_path: Path) -> None:
    settings = load(tmp_path, 'profile = "strict"\n[filters]\nrsi_bullish = 61\n')
    sequences, filters = PROFILES["strict"]
    assert settings.sequences == sequences
    assert settings.filters == dataclasses.replace(filters, rsi_bullish=61.0)
    assert settings.filters.mamba_ratio == 0.3


def test_the_environment_names_folder_and_input(tmp_path: Path) -> None:
    settings = load(tmp_path, SETBULL_INPUT="/candles")
    assert settings.data_directory == tmp_path / "data"
    assert settings.input == "/candles"


@pytest.mark.parametrize(
    ("found", "kills"),
    [("1", True), ("TRUE", True), (" on ", True), ("0", False), ("no", False), ("", False)],
)
def test_the_environment_kills_v2(found: str, kills: bool, tmp_path: Path) -> None:
    assert load(tmp_path, SETBULL_KILL_V2=found).rollout.kill is kills
    # It can only add: what the file kills stays killed.
    killed_by_file = load(
        tmp_path, "[rollout]\nkill = true\nsessions_per_stage = 9", SETBULL_KILL_V2=found
    )
    assert killed_by_file.rollout.kill
    assert killed_by_file.rollout.sessions_per_stage == 9


def test_a_kill_switch_that_is_neither_on_nor_off_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="setting SETBULL_KILL_V2: found 'maybe'"):
        load(tmp_path, SETBULL_KILL_V2="maybe")


def test_without_a_named_input_the_recorded_one_is_used(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    record = tmp_path / "data" / "source.json"
    record.write_text(json.dumps({"input": "/candles/recorded"}))
    assert load(tmp_path).input == "/candles/recorded"
    assert load(tmp_path, SETBULL_INPUT="/candles/named").input == "/candles/named"
    record.write_text(json.dumps({"input": None}))
    assert load(tmp_path).input is None
    assert recorded_source(tmp_path / "nowhere")[0] is None


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        (
            'profile = "bold"',
            "setting profile: found 'bold', expected one of ['production', 'strict']",
        ),
        (
            "[filterz]\nx = 1",
            "setting filterz: found an unknown key, expected one such as filters; type [filters] in /",
        ),
        (
            "profil = 'strict'",
            "setting profil: found an unknown key, expected one such as profile; type profile = ... in /",
        ),
        (
            "[cache]\nx = 1",
            "setting cache: found an unknown key, expected one of aggregation, alerts, api, bb_width, calendar",
        ),
        ("filters = 3", "setting filters: found 3, expected a table of settings"),
        (
            "[filters]\nclose = 1.0",
            "setting filters.close: found an unknown key, expected one such as maximum_close or minimum_close; "
            "type maximum_close = 1000.0 below [filters] in /",
        ),
        (
            "[upstox]\nmaxConcurrentRequests = 5",
            "setting upstox.maxConcurrentRequests: found an unknown key, expected one of api_version",
        ),
        (
            "[upstox]\nmaxConcurrentRequests = 5",
            "; maxConcurrentRequests of the old service is upstox.concurrency here",
        ),
        (
            "[upstox]\ncache_ttl_minutes = 5",
            "; cache_ttl_minutes of the old service has no setting here: none: nothing expires",
        ),
        (
            '[filters]\nminimum_close = "20"',
            "setting filters.minimum_close: found '20', expected a number; type minimum_close = 50.0 below [filters]",
        ),
        (
            "[filters]\nvolume_days = 2.5",
            "setting filters.volume_days: found 2.5, expected a whole number, 1 or more",
        ),
        (
            "[filters]\nvolume_days = true",
            "setting filters.volume_days: found True, expected a whole number, 1 or more",
        ),
        ("[filters]\nvolume_days = 0", "setting filters.volume_days: found 0, expected 1 or more"),
        (
            "[filters]\nminimum_close = 2000",
            "setting filters.minimum_close: found 2000.0, expected above 0 and below "
            "filters.maximum_close (1000.0)",
        ),
        (
            "[filters]\nema_deviation = 0",
            "setting filters.ema_deviation: found 0, expected above 0",
        ),
        ("[filters]\nema_deviation = nan", "setting filters.ema_deviation: found nan"),
        (
            "[filters]\nema_deviation = 1.5",
            "setting filters.ema_deviation: found 1.5, expected above 0 and below 1",
        ),
        (
            "[filters]\nminimum_average_volume = -1",
            "setting filters.minimum_average_volume: found -1, expected 0 or more",
        ),
        (
            "[filters]\nminimum_sequence_length = -1",
            "setting filters.minimum_sequence_length: found -1, expected 0 or more",
        ),
        (
            "[filters]\nminimum_sequence_length = 22",
            "setting filters.minimum_sequence_length: found 22, expected at most sequences.look_back_days (21)",
        ),
        (
            '[filters]\nprofile = "strict"',
            "setting filters.profile: found 'strict', expected no such key here, but profile = 'strict' as the first "
            "line of the file",
        ),
        (
            "[filters]\nvolume_days = 43",
            "setting filters.volume_days: found 43, expected at most look_back.sessions_moves (42), which are read",
        ),
        (
            "[look_back]\nsessions_moves = 19",
            "setting sequences.look_back_days: found 21, expected at most look_back.sessions_moves (19), "
            "which are read",
        ),
        *(
            (
                f"[sequences]\n{key} = {found}",
                f"setting sequences.{key}: found {found}, expected {expected}",
            )
            for key, found, expected in (
                ("pattern_minimum_length", 0, "1 or more"),
                ("pattern_minimum_length", 22, "at most sequences.look_back_days (21)"),
                ("long_run_days", -1, "1 or more"),
                ("bullish_move_percent", -5.0, "above 0 and below 100"),
                ("bearish_move_percent", 0.0, "above 0 and below 100"),
                ("strength_threshold", 1.5, "0 to 1"),
            )
        ),
        (
            '[groups]\nfirst_entry_bar = "09:17"',
            "setting groups.first_entry_bar: found '09:17', expected the start of a bar of 5 minutes that "
            "counts from 09:15",
        ),
        (
            "[filters]\nrsi_bullish = 101",
            "setting filters.rsi_bullish: found 101, expected 0 to 100",
        ),
        ("[filters]\nmamba_ratio = 1.5", "setting filters.mamba_ratio: found 1.5, expected 0 to 1"),
        (
            "[aggregation]\nbar_minutes = 0",
            "setting aggregation.bar_minutes: found 0, expected 1 or more",
        ),
        (
            '[aggregation]\nuntraded_minutes = "both"',
            "setting aggregation.untraded_minutes: found 'both', expected one of 'exclude', 'include'",
        ),
        # A period belongs to its column.
        *(
            (
                f"[indicators]\n{key} = {found}",
                f"setting indicators.{key}: found an unknown key, expected",
            )
            for key, found in (
                ("ema_periods", [5, 9, 20, 500]),
                ("sma_period", 10),
                ("rsi_period", 10),
                ("atr_period", 10),
                ("bollinger_period", 10),
                ("bollinger_deviations", 2.5),
                ("volume_average_period", 20),
            )
        ),
        (
            "[indicators]\nwarm_margin_bars = -1",
            "setting indicators.warm_margin_bars: found -1, expected 0 or more",
        ),
        (
            "[sequences]\nlook_back_days = 1",
            "setting sequences.look_back_days: found 1, expected 2 or more",
        ),
        (
            "[sequences]\nvolume_weight = 2",
            "setting sequences.volume_weight: found 2, expected 0 to 1",
        ),
        (
            "[sequences]\ntrend_share = 0.4",
            "setting sequences.trend_share: found 0.4, expected 0.5 to 1",
        ),
        (
            "[look_back]\nsessions_daily = -1",
            "setting look_back.sessions_daily: found -1, expected 0 or more",
        ),
        (
            "[reconciliation]\nsample_cells = 0",
            "setting reconciliation.sample_cells: found 0, expected 1 or more",
        ),
        (
            "[reconciliation]\nchart_bars = 1",
            "setting reconciliation.chart_bars: found 1, expected 2 or more",
        ),
        (
            "[quality]\nminimum_delivered_share = 1.2",
            "setting quality.minimum_delivered_share: found 1.2, expected 0 to 1",
        ),
        ("[refresh]\nticks = []", "setting refresh.ticks: found (), expected at least one cron"),
        (
            "[refresh]\ncatch_up_days = 0",
            "setting refresh.catch_up_days: found 0, expected 1 or more",
        ),
        (
            '[groups]\nfirst_entry_bar = "9:15"',
            "setting groups.first_entry_bar: found '9:15', expected a time such as '09:15'",
        ),
        (
            "[groups]\nsecond_entry_risk = 0",
            "setting groups.second_entry_risk: found 0, expected above 0",
        ),
        (
            '[api]\ntoken_variable = "a secret"',
            "setting api.token_variable: found '...', expected the name of an environment variable",
        ),
        (
            '[api]\ndagster_url = "http://dagster.example"',
            "setting api.dagster_url: found 'http://...', expected https:// and a host without path",
        ),
        (
            "[storage]\nkeep_versions = 1",
            "setting storage.keep_versions: found 1, expected 2 or more",
        ),
        ("[sample]\ninstruments = 3", "setting sample.instruments: found 3, expected 12 or more"),
        (
            "[sample]\nminute_sessions = 500",
            "setting sample.minute_sessions: found 500, expected 1 to sample.daily_sessions (",
        ),
        (
            "[rollout]\nsessions_per_stage = 0",
            "setting rollout.sessions_per_stage: found 0, expected 1 or more",
        ),
        (
            "[rollout]\nsample_percentage = 0",
            "setting rollout.sample_percentage: found 0, expected 1 to 100",
        ),
        (
            "[rollout]\nsoft_breach_sessions = 2",
            "setting rollout.soft_breach_sessions: found 2, expected at least rollout.soft_breaches (3)",
        ),
        (
            '[rollout]\nhighest_automatic_stage = "retired"',
            "setting rollout.highest_automatic_stage: found 'retired', expected one of 'shadow',",
        ),
        (
            "[rollout]\nmaximum_memory_share = nan",
            "setting rollout.maximum_memory_share: found nan, expected a finite number",
        ),
        (
            "[rollout]\nrollback_error_rate = 0.01",
            "setting rollout.rollback_error_rate: found 0.01, expected rollout.maximum_error_rate (0.05) to 1",
        ),
        (
            "[rollout]\ncalculation_seconds_per_million_rows = 0",
            "setting rollout.calculation_seconds_per_million_rows: found 0, expected above 0",
        ),
        (
            "[rollout]\nmaximum_calculation_seconds = inf",
            "setting rollout.maximum_calculation_seconds: found inf, expected a finite number",
        ),
        (
            "[rollout]\nmaximum_slowdown = -0.5",
            "setting rollout.maximum_slowdown: found -0.5, expected 0 or more",
        ),
        (
            '[rollout]\nforce_v1 = ["a"]\nfreeze = ["a"]',
            "setting rollout.freeze: found 'a', expected each instrument key only once",
        ),
        (
            '[alerts]\nchannels = ["mail"]',
            "setting alerts.channels: found 'mail', expected 'log' or names of environment variables",
        ),
        (
            '[alerts]\nchannels = ["log", "log"]',
            "setting alerts.channels: found ('log', 'log'), expected each channel only once",
        ),
        (
            '[alerts]\nminimum_severity = "bad"',
            "setting alerts.minimum_severity: found 'bad', expected one of 'info', 'warning',",
        ),
        (
            "[alerts]\nfirst_retry_seconds = 10",
            "setting alerts.first_retry_seconds: found 10.0, expected more than alerts.timeout_seconds (15.0)",
        ),
        ("[alerts]\nattempts = 0", "setting alerts.attempts: found 0, expected 1 to 20"),
        ("[alerts]\nrepeat_hours = 0", "setting alerts.repeat_hours: found 0, expected above 0"),
        (
            '[alerts]\nui_address = "localhost:3000"',
            "setting alerts.ui_address: found 'localhost:3000', expected an address like",
        ),
        (
            "[rollout]\nforce_v2 = [3]",
            "setting rollout.force_v2: found 3, expected an instrument key as text",
        ),
        (
            '[upstox]\nbase_url = "http://api.upstox.com"',
            "setting upstox.base_url: found 'http://...', expected https:// and a host without path",
        ),
        (
            '[upstox]\nbase_url = "https://user:secret@host"',
            "setting upstox.base_url: found 'https://...', expected",
        ),
        ('[upstox]\nbase_url = "https://host/v3"', "expected https:// and a host without path"),
        ('[upstox]\napi_version = "v4"', "setting upstox.api_version: found 'v4', expected one of"),
        ("[upstox]\nconcurrency = 0", "setting upstox.concurrency: found 0, expected 1 or more"),
        ("[upstox]\nrequests_per_minute = 0", "setting upstox.requests_per_minute: found 0"),
        ("[upstox]\ntimeout_seconds = 0", "setting upstox.timeout_seconds: found 0, expected"),
        ("[upstox]\nsettle_minutes = -1", "setting upstox.settle_minutes: found -1, expected 0"),
        (
            "[upstox]\nretention_days = 300",
            "setting upstox.daily_days: found 600, expected 1 to 200, two thirds of upstox.retention_days",
        ),
        (
            "[runs]\nmax_runtime_seconds = 0",
            "setting runs.max_runtime_seconds: found 0, expected 1 or more",
        ),
        (
            "[runs]\nfetch_retries = -1",
            "setting runs.fetch_retries: found -1, expected 0 or more",
        ),
        (
            "[runs]\nfetch_retry_seconds = 0",
            "setting runs.fetch_retry_seconds: found 0, expected above 0",
        ),
        (
            "[processing]\nworkers = -1",
            "setting processing.workers: found -1, expected 0 or more",
        ),
        (
            "[processing]\ninstruments_per_chunk = -1",
            "setting processing.instruments_per_chunk: found -1, expected 0 or more",
        ),
        ("[processing]\nsessions_per_chunk = 1.5", "setting processing.sessions_per_chunk: found"),
        (
            "[processing]\nmemory_allowance_mib = 400",
            "setting processing.decoded_cache_mib: found 256, expected 0 to half of "
            "processing.memory_allowance_mib (400)",
        ),
        (
            "[storage]\nintermediate_limit_mib = -1",
            "setting storage.intermediate_limit_mib: found -1, expected 0 or more",
        ),
        (
            "[storage]\nintermediate_days = -1",
            "setting storage.intermediate_days: found -1, expected 0 or more",
        ),
        ("[upstox]\ndays = 0", "setting upstox.days: found 0, expected 1 to 600"),
        ('[upstox]\ntoken = "x"', "setting upstox.token: found an unknown key, expected one of"),
        ('[refresh]\nfetch_ticks = ["noon"]', "setting refresh.fetch_ticks: found 'noon'"),
        ("[filters", "settings.toml: not valid TOML"),
    ],
)
def test_an_impossible_value_is_refused_in_one_sentence(
    toml: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load(tmp_path, toml)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mark_of_utf8_before_the_settings_is_no_part_of_them(tmp_path: Path) -> None:
    assert load(tmp_path, "\ufeff[input]\r\nday_first = true\r\n").reading.day_first is True


@pytest.mark.parametrize(
    "toml",
    [
        'profile = ["strict"]',
        '[sample]\nlast_day = "the last of June"',
        '[refresh]\nticks = ["every evening"]',
        "[sample]\nminute_sessions = -1",
        "[filters]\nema_deviation = inf",
    ],
)
def test_every_impossible_value_is_refused(toml: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings):
        load(tmp_path, toml)


@pytest.mark.parametrize("channels", ['["slack://t0ken/t0ken"]', '"mailto://u:t0ken@host"', "3"])
def test_a_receiver_put_into_the_file_is_refused_without_its_secret(
    channels: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidSettings, match=r"alerts\.channels") as refused:
        load(tmp_path, f"[alerts]\nchannels = {channels}")
    assert "t0ken" not in str(refused.value)


def test_channels_are_names_of_variables(tmp_path: Path) -> None:
    settings = load(tmp_path, '[alerts]\nchannels = ["log", "SETBULL_MAIL_2"]\nrepeat_hours = 6')
    assert settings.alerts.channels == ("log", "SETBULL_MAIL_2")
    assert settings.alerts.repeat_hours == 6.0
    assert load(tmp_path, "[alerts]\nchannels = []").alerts.channels == ()
    assert Settings().alerts.channels == ("log",)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost", "http://[::1]:9"])
def test_this_machine_may_be_asked_without_encryption(url: str, tmp_path: Path) -> None:
    assert load(tmp_path, f'[upstox]\nbase_url = "{url}"').upstox.base_url == url


def test_a_settings_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    absent = tmp_path / "absent.toml"
    with pytest.raises(InvalidSettings, match=r"absent\.toml.*No such file"):
        load_settings({"SETBULL_SETTINGS": str(absent)})


def test_the_fingerprint_follows_the_values() -> None:
    settings = Settings()
    assert fingerprint(settings.filters) == fingerprint(Settings().filters)
    changed = dataclasses.replace(settings.filters, volume_days=11)
    assert fingerprint(settings.filters) != fingerprint(changed)
    assert fingerprint(settings.filters, settings.sequences) != fingerprint(
        settings.sequences, settings.filters
    )


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        (
            "[look_back]\nsessions_daily = 567",
            "setting look_back.sessions_daily: found 567, expected 568 or more: only after 569 daily bars the value "
            "that ema_50 starts from weighs less than its tolerance",
        ),
        (
            "[look_back]\nsessions_5min = 8",
            "setting look_back.sessions_5min: found 8, expected 9 or more: only after 569 bars of 5 minutes the value "
            "that ema_50 starts from weighs less than its tolerance",
        ),
        (
            "[aggregation]\nbar_minutes = 15",
            "setting look_back.sessions_5min: found 9, expected 25 or more: only after 569 bars of 15 minutes",
        ),
    ],
)
def test_a_look_back_that_is_too_short_for_a_column_is_refused_by_every_command(
    toml: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        refuse_short_look_back(load(tmp_path, toml))
    assert str(caught.value).startswith(sentence)
    monkeypatch.setenv("SETBULL_SETTINGS", str(tmp_path / "settings.toml"))
    monkeypatch.setenv("SETBULL_DATA_DIR", str(tmp_path / "data"))
    refused = CliRunner().invoke(main, ["run"])
    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"error: {sentence}")


@pytest.mark.parametrize(
    "toml",
    [
        "",
        "[look_back]\nsessions_daily = 568\nsessions_moves = 21",
        "[look_back]\nsessions_moves = 21\n[filters]\nvolume_days = 21",
        "[aggregation]\nbar_minutes = 15\n[look_back]\nsessions_5min = 25",
    ],
)
def test_a_look_back_at_its_limit_is_accepted(toml: str, tmp_path: Path) -> None:
    settings = load(tmp_path, toml)
    assert refuse_short_look_back(settings) is settings


def test_an_impossible_value_is_refused_however_a_group_is_made() -> None:
    with pytest.raises(
        InvalidSettings, match=r"^setting upstox\.daily_days: found 700, expected 1 to 600"
    ):
        dataclasses.replace(Settings().upstox, daily_days=700)
    with pytest.raises(InvalidSettings, match=r"found '5', expected a whole number, 1 or more$"):
        AggregationSettings(bar_minutes="5")
    with pytest.raises(
        InvalidSettings, match=r"setting aggregation\.bar_minute: found an unknown key"
    ):
        AggregationSettings(bar_minute=5)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("5", "'5'"),
        ("1,234.5e-7 %", "a text of 12 characters"),
        ("1_000.5e-7", "'1_000.5e-7'"),
        ("Yes", "'Yes'"),
        ("9" * 21, "a text of 21 characters"),
        ("five", "a text of 4 characters"),
        ("s3cret", "a text of 6 characters"),
        ("8472", "a text of 4 characters"),
    ],
)
def test_a_password_in_the_place_of_a_number_is_not_repeated(
    text: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SETBULL_IMPORT_PASSWORD", "8472")
    with pytest.raises(InvalidSettings) as refused:
        load(tmp_path, f'[upstox]\nattempts = "{text}"\n')
    assert f"setting upstox.attempts: found {shown}, expected a whole number" in str(refused.value)


def test_a_secret_under_a_key_that_is_unknown_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings) as refused:
        load(tmp_path, '[upstox]\ntoken = "t0ken"')
    assert "t0ken" not in str(refused.value)


def test_every_value_says_where_it_is_from(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('profile = "strict"\n[filters]\nrsi_bullish = 61\n', encoding="utf-8")
    (tmp_path / "data").mkdir()
    record = {"input": None, "reading": {"timezone": "UTC"}}
    (tmp_path / "data" / "source.json").write_text(json.dumps(record), encoding="utf-8")
    environment = {
        "SETBULL_SETTINGS": str(file),
        "SETBULL_DATA_DIR": str(tmp_path / "data"),
        "SETBULL_KILL_V2": "1",
    }
    loaded = load_with_origins(environment)
    assert loaded.origins["filters.rsi_bullish"] == f"file {file}"
    assert loaded.origins["filters.rsi_bearish"] == "profile strict"
    assert loaded.origins["sequences.long_run_days"] == "profile strict"
    assert loaded.origins["rollout.kill"] == "environment SETBULL_KILL_V2"
    assert loaded.origins["input.timezone"] == f"data folder {tmp_path / 'data'}"
    assert loaded.settings.reading.timezone == "UTC"
    assert "filters.volume_days" not in loaded.origins
    assert "input.timezone" not in load_with_origins(environment, with_recorded=False).origins


def test_every_setting_has_a_meaning_and_says_what_is_expected() -> None:
    seen = 0
    for name, group in groups_of(Settings()).items():
        assert purpose_of(group), name
        for setting in settings_of(group):
            assert len(setting.meaning.split()) > 2, (name, setting)
            assert setting.allowed, (name, setting)
            seen += 1
    assert seen > 140


def test_what_an_old_name_leads_to_is_a_setting() -> None:
    known = {
        f"{name}.{setting.name}"
        for name, group in groups_of(Settings()).items()
        for setting in settings_of(group)
    }
    led_to = {now for former in FORMER for now in former.now}
    assert len(led_to) > 40
    assert led_to <= known
    names = [name for former in FORMER for name in former.names]
    assert len(set(names)) == len(names)
    assert all(former.now or former.remark for former in FORMER)
    assert now_called("MAX_CACHE_SIZE").startswith(
        "MAX_CACHE_SIZE of the old service is processing.decoded_cache_mib and storage."
    )
    assert now_called("minimum_close") == ""


def test_importing_settings_does_not_wait_for_pydantic() -> None:
    """It is imported with the first group that is made; until then that is two thirds of the time of an import."""
    code = (
        "import sys; import setbull_pipelines.settings as settings; before = 'pydantic' in sys.modules; "
        "settings.Settings(); print(before, 'pydantic' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False True\n"


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().filters.volume_days = 11


@pytest.fixture
def calendar_file(tmp_path: Path) -> Iterator[Path]:
    """Where a calendar file can be; afterwards the calendar is the built-in one."""
    yield tmp_path / "holidays.csv"
    NSE.amend(Amendment())


def test_the_calendar_file_that_settings_name_is_in_force(
    tmp_path: Path, calendar_file: Path
) -> None:
    calendar_file.write_text("date,kind,intervals,source\n2027-03-22,holiday,,CMTR/1\n")
    holi = date(2027, 3, 22)
    assert NSE.is_trading_day(holi)
    settings = load(tmp_path, f'[calendar]\nfile = "{calendar_file}"')
    assert settings.calendar.file == str(calendar_file)
    assert not NSE.is_trading_day(holi)
    load(tmp_path)
    assert NSE.is_trading_day(holi)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, ": found '{path}', expected a readable CSV file (No such file or directory)"),
        (b"\xff\xfe", ": found '{path}', expected a readable CSV file (not UTF-8)"),
        (
            b"date,kind,intervals,source\n2027-03-22,closed,,x\n",
            ": {path}, line 2: found kind 'closed', expected one of holiday, special, muhurat, "
            "drill, outage, regular, published",
        ),
    ],
)
def test_a_calendar_file_that_cannot_be_used_is_one_sentence(
    content: bytes | None, sentence: str, tmp_path: Path, calendar_file: Path
) -> None:
    if content is not None:
        calendar_file.write_bytes(content)
    with pytest.raises(InvalidSettings) as fault:
        load(tmp_path, f'[calendar]\nfile = "{calendar_file}"')
    assert str(fault.value) == "setting calendar.file" + sentence.format(path=calendar_file)


@pytest.mark.run
def test_the_sessions_of_the_calendar_file_are_partitions_of_a_new_process(
    calendar_file: Path,
) -> None:
    calendar_file.write_text(
        "date,kind,intervals,source\n2027-03-22,holiday,,x\n2027-10-29,muhurat,18:00-19:00,x\n"
        "2028-01-26,holiday,,x\n2028-12-31,published,,x\n"
    )
    settings = calendar_file.with_name("settings.toml")
    settings.write_text(f'[calendar]\nfile = "{calendar_file}"')
    code = (
        "from setbull_pipelines.definitions import defs\n"
        "from setbull_pipelines.market.calendar import NSE\n"
        "from datetime import date\n"
        "days = ['2027-03-19', '2027-03-22', '2028-01-25', '2028-01-26']\n"
        "keys = defs.resolve_job_def('daily').partitions_def.get_partition_keys()\n"
        "print([day in keys for day in days])\n"
        "print(NSE.session(date(2027, 10, 29)).minutes)"
    )
    # Of files, since the days of the sample end with it.
    environment = os.environ | {
        "SETBULL_SETTINGS": str(settings),
        "SETBULL_INPUT": str(settings.parent),
        "SETBULL_DATA_DIR": str(settings.with_name("data")),
    }
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines() == ["[True, False, True, False]", "60"]
