"""Values that settings refuse, each in one sentence: the key, what was found, what is expected."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from setbull_pipelines.settings import AggregationSettings, InvalidSettings, Settings
from setbull_pipelines_tests.settings_files import load


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
