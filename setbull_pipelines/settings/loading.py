"""Reading the settings: defaults, then the TOML file, then the environment, each value with where it is from.

Belongs here: the file, environment variables that are settings, what the last run of a data folder recorded, putting
the calendar file in force. Does not belong here: what settings there are and which values they can have.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from setbull_pipelines.market.calendar import NSE, Amendment
from setbull_pipelines.market.calendar_file import InvalidCalendar, parse_calendar
from setbull_pipelines.settings.computing import PROFILES
from setbull_pipelines.settings.declaring import InvalidSettings, nearest, refuse_unknown, require
from setbull_pipelines.settings.deployment import (
    READING_TABLE,
    Replay,
    Settings,
    groups_of,
    replaying,
    with_groups,
)
from setbull_pipelines.settings.operating import CalendarSettings
from setbull_pipelines.settings.toml_text import toml_line

DATA_DIRECTORY_VARIABLE = "SETBULL_DATA_DIR"
SETTINGS_FILE_VARIABLE = "SETBULL_SETTINGS"
INPUT_VARIABLE = "SETBULL_INPUT"
KILL_VARIABLE = "SETBULL_KILL_V2"
UPSTOX_TOKEN_VARIABLE = "SETBULL_UPSTOX_TOKEN"
"""Holds the access token of the broker's API, which is a secret and has no setting."""
_YES, _NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
FIRST_SESSION_FILE = "first_session"
"""In the data folder: the first day of its input, from which on there are partitions."""
SOURCE_FILE = "source.json"
"""In the data folder: which input its tables were made from, and of a replay the moment."""


@dataclass(frozen=True)
class Loaded:
    """Settings, and where each value that is no default is from."""

    settings: Settings
    origins: Mapping[str, str]
    """By ``group.name``: "profile strict", "file PATH", "environment NAME" or "data folder PATH"."""


def load_settings(
    environment: Mapping[str, str] | None = None, with_recorded: bool = True
) -> Settings:
    """Read the settings: defaults, then the TOML file, then the environment.

    ``SETBULL_SETTINGS`` names the TOML file (groups as tables, ``profile = "strict"`` at the top for a
    filter profile), ``SETBULL_DATA_DIR`` the data folder, ``SETBULL_INPUT`` the input; ``SETBULL_KILL_V2=1``
    serves V1 everywhere. Files are understood as the last run of the data folder was told to, if
    ``with_recorded``. Raises :class:`InvalidSettings` for an unknown key or an impossible value.

    The calendar file that they name is in force in this process from then on, for all who ask ``market.calendar.NSE``.
    """
    return load_with_origins(environment, with_recorded).settings


def load_with_origins(
    environment: Mapping[str, str] | None = None, with_recorded: bool = True
) -> Loaded:
    """What :func:`load_settings` reads, and where every value is from."""
    environment = os.environ if environment is None else environment
    file = environment.get(SETTINGS_FILE_VARIABLE) or None
    document = _document(file) if file else {}
    profile = document.pop("profile", "production")
    known = isinstance(profile, str) and profile in PROFILES
    require(known, "profile", profile, f"one of {sorted(PROFILES)}")
    sequences, filters = PROFILES[profile]
    settings = Settings(sequences=sequences, filters=filters)
    origins = _differences(Settings(), settings, f"profile {profile}")
    groups = groups_of(settings)
    for name, values in document.items():
        groups[name] = _group_of_file(groups, name, values, str(file))
        origins |= {f"{name}.{key}": f"file {file}" for key in values}
    kill = environment.get(KILL_VARIABLE, "").strip().lower()
    require(kill in (*_YES, *_NO), KILL_VARIABLE, kill, f"one of {_YES} or {_NO}")
    if kill in _YES:
        groups["rollout"] = dataclasses.replace(groups["rollout"], kill=True)
        origins["rollout.kill"] = f"environment {KILL_VARIABLE}"
    directory = data_directory(environment)
    is_folder = directory.is_dir() or not directory.exists()
    require(
        is_folder, DATA_DIRECTORY_VARIABLE, str(directory), "a folder, or a name of nothing yet"
    )
    source = environment.get(INPUT_VARIABLE)
    recorded, replay, reading = recorded_source(directory)
    given = str(Path(source).resolve()) if source else recorded
    if with_recorded and reading and given == recorded:
        groups[READING_TABLE] = _changed(groups[READING_TABLE], reading)
        origins |= {f"{READING_TABLE}.{key}": f"data folder {directory}" for key in reading}
    settings = dataclasses.replace(settings, data_directory=directory, input=given)
    try:
        settings = with_groups(settings, groups)
    except InvalidSettings as error:
        raise _with_what_to_type(error, file) if file else error from None
    NSE.amend(_amendment(settings.calendar))
    if replay:
        settings = replaying(settings, replay, directory)
    return Loaded(settings, origins)


def _document(file: str) -> dict[str, Any]:
    import tomllib  # its patterns take 3 ms to compile, which a process without a settings file saves

    try:
        return tomllib.loads(Path(file).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InvalidSettings(
            f"setting {SETTINGS_FILE_VARIABLE}: found {file!r}, expected a readable TOML file ({error.strerror})"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidSettings(f"settings file {file}: not valid TOML: {error}") from error


def _group_of_file(groups: Mapping[str, Any], name: str, values: Any, file: str) -> Any:
    """A group with the values of its table in the settings file."""
    if name not in groups:
        known = [*groups, "profile"]
        near = (nearest(name, known) or ["filters"])[0]
        line = f"type {'profile = ...' if near == 'profile' else f'[{near}]'} in {file}"
        raise refuse_unknown(name, known, line)
    require(
        isinstance(values, Mapping), name, values, f"a table of settings; type [{name}] in {file}"
    )
    if name == "filters" and "profile" in values:
        # It would rename the numbers of another profile, and be shown beside every result.
        expected = (
            f"no such key here, but profile = {values['profile']!r} as the first line of the file"
        )
        require(False, "filters.profile", values["profile"], expected)
    known = [item.name for item in dataclasses.fields(groups[name])]
    for key in values:
        if key not in known:
            raise _unknown_key(groups[name], name, key, known, file)
    try:
        return _changed(groups[name], values)
    except InvalidSettings as error:
        raise _with_what_to_type(error, file) from None


def _unknown_key(group: Any, name: str, key: str, known: list[str], file: str) -> InvalidSettings:
    from setbull_pipelines.settings.former_names import now_called

    near = (nearest(key, known) or known)[0]
    line = toml_line(near, getattr(group, near)) or f"{near} = ..."
    hint = now_called(key) or f"type {line} below [{name}] in {file}"
    return refuse_unknown(f"{name}.{key}", known, hint)


def _changed(group: Any, values: Mapping[str, Any]) -> Any:
    """The group with ``values`` as TOML and JSON write them, which know no tuples."""
    return dataclasses.replace(
        group,
        **{
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        },
    )


def _with_what_to_type(error: InvalidSettings, file: str) -> InvalidSettings:
    """The error with a line that would be accepted, that of the default."""
    name, _, key = error.key.partition(".")
    line = toml_line(key, getattr(groups_of(Settings())[name], key)) if key else None
    where = f"below [{name}] in {file}"
    return InvalidSettings(
        f"{error}; type {line} {where}" if line else f"{error}; {where}", error.key
    )


def _differences(before: Settings, after: Settings, origin: str) -> dict[str, str]:
    """The settings that differ, by ``group.name``, all of this origin."""
    earlier = groups_of(before)
    return {
        f"{name}.{item.name}": origin
        for name, made in groups_of(after).items()
        for item in dataclasses.fields(made)
        if getattr(made, item.name) != getattr(earlier[name], item.name)
    }


def _amendment(settings: CalendarSettings) -> Amendment:
    if not settings.file:
        return Amendment()
    try:
        return parse_calendar(Path(settings.file).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InvalidSettings(
            f"setting calendar.file: found {settings.file!r}, expected a readable CSV file ({reason})"
        ) from error
    except InvalidCalendar as error:
        raise InvalidSettings(f"setting calendar.file: {settings.file}, {error}") from error


def recorded_source(
    data_directory: Path,
) -> tuple[str | None, Replay | None, dict[str, Any]]:
    """The input that the data folder's tables were made from, None for the generated sample; the replay; and what
    the command line said of reading it.

    ``setbull run`` records both, so that the UI's code server works on the same.
    """
    path = data_directory / SOURCE_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        replay = record.get("replay")
        as_of = (
            Replay(datetime.fromisoformat(replay["as_of"]), Path(replay["landing"]))
            if replay
            else None
        )
        return record["input"], as_of, dict(record.get("reading", {}))
    except FileNotFoundError:
        return None, None, {}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidSettings(
            f'{path}: found something else than {{"input": ...}}; restore it, or delete it to start from the '
            "generated sample"
        ) from None


def data_directory(environment: Mapping[str, str]) -> Path:
    """The data folder that the environment names, or ``data`` in the working folder."""
    return Path(environment.get(DATA_DIRECTORY_VARIABLE) or "data").resolve()


def source_record(
    source: str | None, replay: Replay | None, reading: Mapping[str, Any] | None = None
) -> dict[str, object]:
    """What :func:`recorded_source` reads."""
    record: dict[str, object] = {"input": source}
    if replay is not None:
        record["replay"] = {"as_of": replay.as_of.isoformat(), "landing": str(replay.landing)}
    if reading:
        record["reading"] = dict(reading)
    return record
