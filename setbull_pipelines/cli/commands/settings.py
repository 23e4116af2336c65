"""``setbull settings``: the settings in force, and where they are from."""

from __future__ import annotations

import os

import click


@click.command()
@click.option(
    "--defaults", is_flag=True, help="Print the defaults with comments, to start a file from."
)
def settings(defaults: bool) -> None:
    """Show every setting with its value and origin.

    Secrets are never shown.

    \b
    setbull settings
    setbull settings --defaults > settings.toml
    """
    from setbull_pipelines.cli.settings import default_lines, lines_of
    from setbull_pipelines.settings.loading import load_with_origins

    lines = default_lines() if defaults else lines_of(load_with_origins(), os.environ)
    for line in lines:
        click.echo(line)
