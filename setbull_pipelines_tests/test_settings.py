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
from setbull_pipelines_tests.settings_files import load


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


def test_a_mark_of_utf8_before_the_settings_is_no_part_of_them(tmp_path: Path) -> None:
    assert load(tmp_path, "\ufeff[input]\r\nday_first = true\r\n").reading.day_first is True


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
