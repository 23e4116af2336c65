"""Settings: defaults, the TOML file, the environment, and one sentence for every impossible value."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from setbull_pipelines.settings import (
    PROFILES,
    IndicatorSettings,
    InvalidSettings,
    Settings,
    fingerprint,
    load_settings,
    recorded_source,
)


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
    assert settings.indicators.ema_periods == (5, 9, 20, 50)
    assert settings.indicators.warm_bars == 250
    assert settings.look_back.sessions_daily == 600


def test_the_slowest_period_counts_the_bar_before_the_first_change() -> None:
    assert IndicatorSettings().slowest_period == 50
    assert IndicatorSettings(rsi_period=60).slowest_period == 61
    assert IndicatorSettings(bollinger_period=70).slowest_period == 70


def test_the_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "[filters]\nminimum_close = 20\n[indicators]\nema_periods = [3, 6, 12, 24]\n"
        '[refresh]\nticks = ["0 17 * * *"]\n[aggregation]\nuntraded_minutes = "include"\n',
    )
    assert settings.filters == dataclasses.replace(Settings().filters, minimum_close=20.0)
    assert isinstance(settings.filters.minimum_close, float)
    assert settings.indicators.ema_periods == (3, 6, 12, 24)
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
        ("[filterz]\nx = 1", "setting filterz: found {'x': 1}, expected one of the groups"),
        ("filters = 3", "setting filters: found 3, expected a table of settings"),
        ("[filters]\nclose = 1.0", "setting filters.close: found 1.0, expected one of the keys"),
        (
            '[filters]\nminimum_close = "20"',
            "setting filters.minimum_close: found '20', expected a float",
        ),
        ("[filters]\nvolume_days = 2.5", "setting filters.volume_days: found 2.5, expected a int"),
        (
            "[filters]\nvolume_days = true",
            "setting filters.volume_days: found True, expected a int",
        ),
        ("[filters]\nvolume_days = 0", "setting filters.volume_days: found 0, expected 1 or more"),
        (
            "[filters]\nminimum_close = 2000",
            "setting filters.minimum_close: found 2000.0, expected above 0 and below "
            "filters.maximum_close (1000.0)",
        ),
        (
            "[filters]\nema_deviation = 0",
            "setting filters.ema_deviation: found 0.0, expected above 0",
        ),
        ("[filters]\nema_deviation = nan", "setting filters.ema_deviation: found nan"),
        (
            "[indicators]\nvolume_average_period = 0",
            "setting indicators.volume_average_period: found 0",
        ),
        (
            "[filters]\nrsi_bullish = 101",
            "setting filters.rsi_bullish: found 101.0, expected 0 to 100",
        ),
        ("[filters]\nmamba_ratio = 1.5", "setting filters.mamba_ratio: found 1.5, expected 0 to 1"),
        (
            "[aggregation]\nbar_minutes = 0",
            "setting aggregation.bar_minutes: found 0, expected 1 or more",
        ),
        (
            '[aggregation]\nuntraded_minutes = "both"',
            "setting aggregation.untraded_minutes: found 'both', expected 'exclude' or 'include'",
        ),
        (
            "[indicators]\nrsi_period = 1",
            "setting indicators.rsi_period: found 1, expected 2 or more",
        ),
        (
            "[indicators]\nema_periods = [5, 9]",
            "setting indicators.ema_periods: found (5, 9), expected four periods of 2 or more",
        ),
        (
            "[indicators]\nbollinger_deviations = 0",
            "setting indicators.bollinger_deviations: found 0.0, expected a number above 0",
        ),
        (
            "[indicators]\nwarm_margin_bars = -1",
            "setting indicators.warm_margin_bars: found -1, expected 0 or more",
        ),
        (
            "[sequences]\nlook_back_days = 1",
            "setting sequences.look_back_days: found 1, expected >= 2",
        ),
        (
            "[sequences]\nvolume_weight = 2",
            "setting sequences.volume_weight: found 2.0, expected 0 to 1",
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
            "setting reconciliation.sample_cells: found 0, expected >= 1",
        ),
        (
            "[reconciliation]\nchart_bars = 1",
            "setting reconciliation.chart_bars: found 1, expected >= 2",
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
            "setting groups.second_entry_risk: found 0.0, expected a number above 0",
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
            "setting rollout.highest_automatic_stage: found 'retired', expected one of ('shadow',",
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
            "setting rollout.calculation_seconds_per_million_rows: found 0.0, expected a number above 0",
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
            "setting alerts.minimum_severity: found 'bad', expected one of ('info', 'warning',",
        ),
        (
            "[alerts]\nfirst_retry_seconds = 10",
            "setting alerts.first_retry_seconds: found 10.0, expected more than alerts.timeout_seconds (15.0)",
        ),
        ("[alerts]\nattempts = 0", "setting alerts.attempts: found 0, expected 1 to 20"),
        ("[alerts]\nrepeat_hours = 0", "setting alerts.repeat_hours: found 0.0, expected a number"),
        (
            '[alerts]\nui_address = "localhost:3000"',
            "setting alerts.ui_address: found 'localhost:3000', expected an address like",
        ),
        (
            "[rollout]\nforce_v2 = [3]",
            "setting rollout.force_v2: found 3, expected instrument keys as text",
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
        ("[upstox]\ntimeout_seconds = 0", "setting upstox.timeout_seconds: found 0.0, expected"),
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
            "setting runs.fetch_retry_seconds: found 0.0, expected a number above 0",
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
        ('[upstox]\ntoken = "x"', "setting upstox.token: found 'x', expected one of the keys"),
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


@pytest.mark.parametrize(
    "toml",
    [
        'profile = ["strict"]',
        '[indicators]\nema_periods = ["a", "b", "c", "d"]',
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


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().filters.volume_days = 11
