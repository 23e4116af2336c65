"""``setbull upload``: the tables of a data folder to a shared object store."""

from __future__ import annotations

import click

from setbull_pipelines.cli.ending import asking
from setbull_pipelines.cli.starting import settings_in_force


@click.command()
def upload() -> None:
    """Copy the tables to a shared object store.

    The setting storage.remote names the store.

    \b
    setbull upload
    """
    from setbull_pipelines.cli.uploading import bring

    with asking():
        click.echo(bring(settings_in_force()))
