"""What commands begin with: the settings in force, and a catalog that reads this data folder.

Belongs here: what several commands do before their work. Does not belong here: options (``options.py``).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from setbull_pipelines.cli.reading_options import with_options
from setbull_pipelines.errors import SetbullError
from setbull_pipelines.settings import Settings, load_settings


def settings_in_force(with_recorded: bool = True) -> Settings:
    """The settings; how files were understood by the last run of the data folder only ``with_recorded``."""
    # The contracts bring pandas and Arrow with them, half a second that the help of every command would pay.
    from setbull_pipelines.tables.look_back import refuse_short_look_back

    return refuse_short_look_back(load_settings(with_recorded=with_recorded))


def reading_as(settings: Settings, given: dict[str, Any]) -> Settings:
    """The settings with how files are understood as the command says, beside the settings file."""
    return dataclasses.replace(settings, reading=with_options(settings.reading, given))


def bring_catalog_home(settings: Settings) -> None:
    """Tell what was done to a catalog that reads the files of another data folder, or why it stays."""
    from setbull_pipelines.pipeline import catalog
    from setbull_pipelines.pipeline.opening import catalog_path

    try:
        told = catalog.bring_catalog_home(settings)
    except (SetbullError, OSError) as error:
        told = f"{catalog_path(settings)}: not of this data folder, and cannot be rebuilt: {error}"
    if told:
        click.echo(told, err=True)
