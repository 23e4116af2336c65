"""``setbull settings``: every setting with its value and where that is from, as a settings file writes them.

Belongs here: laying them out. Does not belong here: reading them (``settings/``), anything secret: of variables that
hold secrets it says only whether they are set.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from setbull_pipelines.settings import (
    DATA_DIRECTORY_VARIABLE,
    INPUT_VARIABLE,
    LOG_CHANNEL,
    SETTINGS_FILE_VARIABLE,
    UPSTOX_TOKEN_VARIABLE,
    Settings,
)
from setbull_pipelines.settings.deployment import groups_of
from setbull_pipelines.settings.loading import Loaded
from setbull_pipelines.settings.meanings import purpose_of, settings_of
from setbull_pipelines.settings.toml_text import toml_line, toml_value

_WIDTH = 116


def lines_of(loaded: Loaded, environment: Mapping[str, str]) -> Iterator[str]:
    """The settings in force, each with "default" or where its value is from."""
    settings = loaded.settings
    yield f"# data folder: {settings.data_directory} ({_named_by(DATA_DIRECTORY_VARIABLE, environment)})"
    recorded = "as the last run" if settings.input else "default"
    input_from = _named_by(INPUT_VARIABLE, environment, recorded)
    yield f"# input: {settings.input or 'the generated sample'} ({input_from})"
    yield f"# settings file: {environment.get(SETTINGS_FILE_VARIABLE) or f'none ({SETTINGS_FILE_VARIABLE})'}"
    yield "# secrets are never shown:"
    for name in _secret_variables(settings, environment):
        yield f"#   {name}: {'set' if environment.get(name) else 'not set'}"
    profile = settings.filters.profile
    origin = (
        "default" if profile == Settings().filters.profile else loaded.origins["filters.profile"]
    )
    yield f"\nprofile = {toml_value(profile)}  # {origin}"
    for name, group in groups_of(settings).items():
        yield f"\n[{name}]"
        for setting in settings_of(group):
            if (name, setting.name) == ("filters", "profile"):
                continue
            origin = loaded.origins.get(f"{name}.{setting.name}", "default")
            line = toml_line(setting.name, setting.default)
            yield f"{line}  # {origin}" if line else f"# {setting.name}: not given  # {origin}"


def default_lines() -> Iterator[str]:
    """The defaults with what each means: a settings file to start from, that changes nothing as it is."""
    yield "# All settings of setbull with their defaults: keep the lines that you change."
    yield f"# {SETTINGS_FILE_VARIABLE} names the file; docs/settings.md says more."
    yield "\n# Profile of filter thresholds: production or strict."
    yield f"profile = {toml_value(Settings().filters.profile)}"
    for name, group in groups_of(Settings()).items():
        yield ""
        yield from _comment(purpose_of(group).splitlines()[0])
        yield f"[{name}]"
        for setting in settings_of(group):
            if (name, setting.name) == ("filters", "profile"):
                continue
            yield from _comment(f"{setting.meaning} Expected: {setting.allowed}.")
            yield toml_line(setting.name, setting.default) or f"# {setting.name} ="


def _named_by(variable: str, environment: Mapping[str, str], otherwise: str = "default") -> str:
    return f"environment {variable}" if environment.get(variable) else otherwise


def _secret_variables(settings: Settings, environment: Mapping[str, str]) -> list[str]:
    channels = [name for name in settings.alerts.channels if name != LOG_CHANNEL]
    store = sorted(name for name in environment if name.startswith("AWS_"))
    return [UPSTOX_TOKEN_VARIABLE, settings.api.token_variable, *channels, *store]


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH)]
