"""``setbull upload``: the tables of a data folder to a shared object store."""

from __future__ import annotations

import click

from setbull_pipelines.cli.ending import asking
from setbull_pipelines.cli.starting import settings_in_force


@click.command()
def upload() -> None:
    """Bring the tables to a shared object store.

    To the one that the setting storage.remote names.

    \b
    setbull upload
    """
    from setbull_pipelines.cli.uploading import bring

    with asking():
        click.echo(bring(settings_in_force()))
