"""``setbull settings``: what it prints can be read back, names where values are from, and holds no secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from setbull_pipelines.cli.main import main
from setbull_pipelines.settings import Settings, load_settings
from setbull_pipelines.settings.deployment import groups_of

SECRETS = {
    "SETBULL_UPSTOX_TOKEN": "s3cret-of-the-broker",
    "READ_TOKEN": "s3cret-of-the-api",
    "MAIL": "mailto://user:s3cret@host",
    "AWS_SECRET_ACCESS_KEY": "s3cret-of-the-store",
}


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What the command prints, of the settings file with a text."""

    def printed_of(toml: str, *arguments: str) -> str:
        file = tmp_path / "settings.toml"
        file.write_text(toml, encoding="utf-8")
        monkeypatch.setenv("SETBULL_SETTINGS", str(file))
        monkeypatch.setenv("SETBULL_DATA_DIR", str(tmp_path / "data"))
        result = CliRunner().invoke(main, ["settings", *arguments])
        assert result.exit_code == 0, result.stderr
        return result.stdout

    return printed_of


def read_back(text: str, tmp_path: Path) -> Settings:
    file = tmp_path / "printed.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings({"SETBULL_SETTINGS": str(file), "SETBULL_DATA_DIR": str(tmp_path)})


CHANGED = """
profile = "strict"
[filters]
minimum_close = 21
[input]
columns = {date = "timestamp", "Vol. \\"x\\"" = "volume"}
day_first = true
series = ["EQ", "BE"]
[alerts]
channels = ["log", "MAIL"]
[api]
token_variable = "READ_TOKEN"
"""


def test_what_is_printed_is_a_settings_file_with_the_same_settings(printed, tmp_path: Path) -> None:
    settings = read_back(printed(CHANGED), tmp_path)
    assert groups_of(settings) == groups_of(read_back(CHANGED, tmp_path))
    assert settings.reading.columns == {"date": "timestamp", 'Vol. "x"': "volume"}
    assert settings.filters.minimum_close == 21


def test_the_defaults_are_a_file_that_changes_nothing(printed, tmp_path: Path) -> None:
    text = printed(CHANGED, "--defaults")
    assert groups_of(read_back(text, tmp_path)) == groups_of(Settings())
    assert (
        "# Daily bars that the mean volume is taken of. Expected: a whole number, 1 or more."
        in text
    )


def test_every_line_says_where_its_value_is_from(
    printed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SETBULL_KILL_V2", "yes")
    lines = printed(CHANGED).splitlines()
    assert f"minimum_close = 21.0  # file {tmp_path / 'settings.toml'}" in lines
    assert 'profile = "strict"  # profile strict' in lines
    assert "rsi_bullish = 60.0  # profile strict" in lines
    assert "volume_days = 10  # default" in lines
    assert "kill = true  # environment SETBULL_KILL_V2" in lines
    assert f"# data folder: {tmp_path / 'data'} (environment SETBULL_DATA_DIR)" in lines


@pytest.mark.parametrize("arguments", [(), ("--defaults",)])
def test_no_secret_is_printed(
    arguments: tuple[str, ...], printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    text = printed(CHANGED, *arguments)
    assert "s3cret" not in text
    for name in SECRETS if not arguments else ():
        assert f"#   {name}: set" in text.splitlines()


def test_impossible_settings_are_refused_as_by_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.toml").write_text("[filters]\nvolume_days = 0")
    monkeypatch.setenv("SETBULL_SETTINGS", str(tmp_path / "settings.toml"))
    refused = CliRunner().invoke(main, ["settings"])
    assert refused.exit_code == 2
    assert refused.stderr == (
        "error: setting filters.volume_days: found 0, expected 1 or more; type volume_days = 10 below [filters] in "
        f"{tmp_path / 'settings.toml'}\n"
    )
